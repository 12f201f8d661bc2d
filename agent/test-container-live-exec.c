/* SPDX-License-Identifier: Apache-2.0 */
/* What processes that join a real container must be like, and terminals: see test-container-live.h. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox-ns.h"
#include "agent/test-container-live-exec.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define EXECS 1000U

void exec_init(ExecRun *x, Run *run, const char *script)
{
        memset(x, 0, sizeof(*x));
        x->run = run;
        x->output_fd = x->stdin_fd = -EBADF;
        x->process = (Grpc__Process) GRPC__PROCESS__INIT;
        x->user = (Grpc__User) GRPC__USER__INIT;
        x->caps = (Grpc__LinuxCapabilities) GRPC__LINUX_CAPABILITIES__INIT;
        x->size = (Grpc__Box) GRPC__BOX__INIT;
        x->process.user = &x->user;
        x->process.capabilities = &x->caps;
        x->process.consolesize = &x->size;
        x->process.cwd = (char *) "/";
        x->process.args = x->args;
        x->process.n_args = 3;
        x->args[0] = (char *) "sh";
        x->args[1] = (char *) "-c";
        x->args[2] = (char *) script;
        x->process.env = x->env;
        x->process.n_env = 1;
        x->env[0] = (char *) "PATH=/nowhere:/bin";
}

static void on_output(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        ExecRun *x = userdata;
        ssize_t n = read(fd, x->output + x->n_output, sizeof(x->output) - 1 - x->n_output);

        if (n > 0)
                x->n_output += (size_t) n;
        else {
                x->source = loop_source_free(x->source);
                x->output_fd = safe_close(x->output_fd);
        }
}

static void watch_output(ExecRun *x, int fd)
{
        x->output_fd = fd;
        ASSERT_OK(loop_add_fd(x->run->loop, &x->source, fd, EPOLLIN, on_output, x));
}

static void on_terminal(ContainerExec *e, int fd, void *userdata)
{
        watch_output(userdata, fd);
}

static void on_started(ContainerExec *e, int error, const char *message, void *userdata)
{
        ExecRun *x = userdata;

        ASSERT_FALSE(x->started);
        x->started = true;
        x->error = error;
        if (error < 0)
                x->message = strdup(message);
        else
                ASSERT_TRUE(container_exec_pid(e) > 0);
}

static void on_exit_status(ContainerExec *e, int status, void *userdata)
{
        ExecRun *x = userdata;

        ASSERT_FALSE(x->exited);
        x->exited = true;
        x->status = status;
}

int exec_create(ExecRun *x)
{
        const ContainerExecHandlers h = {
                .on_terminal = on_terminal, .on_started = on_started, .on_exit = on_exit_status,
                .userdata = x,
        };
        int p[2] = { -EBADF, -EBADF }, r;

        if (!x->process.terminal) {
                ASSERT_OK(pipe2(p, O_CLOEXEC));
                watch_output(x, p[0]);
        }
        r = container_exec(&x->exec, x->run->container, &x->process, x->extension,
                           &(ContainerIo) { x->stdin_fd, p[1], p[1] }, &h, &x->message);
        safe_close(p[1]);
        return r;
}

void exec_done(ExecRun *x)
{
        x->exec = container_exec_free(x->exec);
        x->source = loop_source_free(x->source);
        x->output_fd = safe_close(x->output_fd);
        free(x->message);
        x->message = NULL;
}

int exec_all(ExecRun *x)
{
        int r = exec_create(x);

        if (r < 0)
                return r;
        run_until(x->run, &x->started);
        if (x->error < 0)
                return x->error;
        run_until(x->run, &x->exited);
        while (x->source)
                ASSERT_OK(loop_run_once(x->run->loop, 1000));
        return x->status;
}

void start_sleeper(Run *run)
{
        ASSERT_OK(run_create(run));
        run_until(run, &run->started);
        ASSERT_EQ(run->error, 0);
}

TEST(exec_identity)
{
        static Run run;
        static ExecRun x;
        uint32_t groups[] = { 7, 4711 };

        run_init(&run, "sleep 1000");
        run.spec.hostname = (char *) "box";
        start_sleeper(&run);

        exec_init(&x, &run, "id; echo home=$HOME a=$A; hostname; cat /proc/self/oom_score_adj; umask; pwd; "
                            "grep -E '^(Cap|NoNew|NSpid)' /proc/self/status; ulimit -n");
        x.user.uid = 1000;
        x.user.gid = 1001;
        x.user.additionalgids = groups;
        x.user.n_additionalgids = 2;
        x.process.cwd = (char *) "/tmp";
        x.process.nonewprivileges = true;
        x.process.oomscoreadj = 321;
        x.env[x.process.n_env++] = (char *) "A=b";
        /* CVE-2022-27650: inheritable capabilities only where they are asked for. */
        x.names[0] = (char *) "CAP_KILL";
        x.caps.bounding = x.caps.permitted = x.caps.effective = x.names;
        x.caps.n_bounding = x.caps.n_permitted = x.caps.n_effective = 1;
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "uid=1000(tester) gid=1001 groups=7,4711");
        ASSERT_CONTAINS(x.output, "home=/srv/tester a=b\nbox\n321\n0022\n/tmp\n");
        ASSERT_CONTAINS(x.output, "CapInh:\t0000000000000000");
        ASSERT_CONTAINS(x.output, "CapBnd:\t0000000000000020");
        ASSERT_CONTAINS(x.output, "NoNewPrivs:\t1");
        exec_done(&x);
        run_done(&run);
}

TEST(exec_is_in_the_container)
{
        static Run run;
        static ExecRun x;

        /* As process 1 of the container, whose links root may read. */
        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        exec_init(&x, &run, "for n in mnt pid ipc uts cgroup net user; do "
                            "[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo other $n; done; "
                            "grep ^0: /proc/self/cgroup; grep -c . /proc/1/cgroup; ls -d /bin /tmp; "
                            "ls /boot 2>/dev/null; echo end");
        x.names[0] = (char *) "CAP_SYS_PTRACE";
        x.caps.bounding = x.caps.permitted = x.caps.effective = x.names;
        x.caps.n_bounding = x.caps.n_permitted = x.caps.n_effective = 1;
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_NULL(strstr(x.output, "other"));
        ASSERT_CONTAINS(x.output, "0::/\n");
        ASSERT_CONTAINS(x.output, "/bin\n/tmp\nend\n");
        exec_done(&x);
        run_done(&run);
}

TEST(exec_joins_a_time_namespace)
{
        static Run run;
        static ExecRun x;

        run_init(&run, "sleep 1000");
        run.namespaces[run.linux_part.n_namespaces] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
        run.namespaces[run.linux_part.n_namespaces].type = (char *) "time";
        run.namespace_list[run.linux_part.n_namespaces] = &run.namespaces[run.linux_part.n_namespaces];
        run.linux_part.n_namespaces++;
        start_sleeper(&run);
        exec_init(&x, &run, "for n in 1 self; do readlink /proc/$n/ns/time; done");
        x.names[0] = (char *) "CAP_SYS_PTRACE";
        x.caps.bounding = x.caps.permitted = x.caps.effective = x.names;
        x.caps.n_bounding = x.caps.n_permitted = x.caps.n_effective = 1;
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_EQ(strncmp(x.output, "time:", 5), 0);
        /* Two lines, the same. */
        ASSERT_EQ(strcspn(x.output, "\n") * 2 + 2, strlen(x.output));
        ASSERT_EQ(strncmp(x.output, x.output + strcspn(x.output, "\n") + 1, strcspn(x.output, "\n")), 0);
        exec_done(&x);
        run_done(&run);
}

/* CVE-2016-9962, CVE-2024-21626: 0, 1, 2, the directory itself, the "total" line. */
TEST(exec_leaks_nothing_in)
{
        static Run run;
        static ExecRun x;
        int secret = ASSERT_OK(open("/etc/hostname", O_RDONLY)); /* without O_CLOEXEC on purpose */

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        exec_init(&x, &run, "ls -l /proc/self/fd 2>/dev/null | wc -l; pwd; readlink /proc/self/cwd");
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "5\n/\n/\n");
        exec_done(&x);
        /* Directories outside of the root can not be named. */
        exec_init(&x, &run, "echo never");
        x.process.cwd = (char *) "/proc/self/fd/4";
        ASSERT_TRUE(exec_all(&x) < 0);
        exec_done(&x);
        run_done(&run);
        safe_close(secret);
}

TEST(exec_programs_that_cannot_run)
{
        static const struct {
                const char *program;
                int error;
                const char *text;
        } cases[] = {
                { "missing", ENOENT, "exec: \"missing\": executable file not found in $PATH" },
                { "/bin/missing", ENOENT, "no such file or directory" },
                { "/etc/passwd", EACCES, "permission denied" },
                { "/tmp", EISDIR, "is a directory" },
                { "garbage", ENOEXEC, "garbage" },
        };
        static Run run;
        static ExecRun x;

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                exec_init(&x, &run, "");
                x.args[0] = (char *) cases[i].program;
                x.process.n_args = 1;
                ASSERT_EQ(exec_all(&x), -cases[i].error);
                ASSERT_CONTAINS(x.message, cases[i].text);
                ASSERT_FALSE(x.exited);
                exec_done(&x);
        }
        exec_init(&x, &run, "pwd");
        x.process.cwd = (char *) "/not/there";
        ASSERT_EQ(exec_all(&x), -ENOENT);
        ASSERT_CONTAINS(x.message, "cwd '/not/there'");
        exec_done(&x);
        exec_init(&x, &run, "");
        x.process.n_args = 0;
        ASSERT_EQ(exec_all(&x), -EINVAL);
        exec_done(&x);
        run_done(&run);
}

TEST(exec_ends)
{
        static Run run;
        static ExecRun x, other;

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        exec_init(&x, &run, "exit 42");
        ASSERT_EQ(exec_all(&x), 42);
        ASSERT_ERROR(container_exec_signal(x.exec, SIGKILL), ESRCH);
        exec_done(&x);

        exec_init(&x, &run, "");
        x.args[0] = (char *) "sleep";
        x.args[1] = (char *) "1000";
        x.process.n_args = 2;
        exec_init(&other, &run, "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
        ASSERT_OK(exec_create(&x));
        ASSERT_OK(exec_create(&other));
        ASSERT_ERROR(container_exec_signal(x.exec, SIGTERM), EBUSY);
        run_until(&run, &x.started);
        while (!strstr(other.output, "up\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        /* What it says may be here before it is known to run. */
        run_until(&run, &other.started);
        ASSERT_OK(container_exec_signal(other.exec, SIGTERM));
        run_until(&run, &other.exited);
        ASSERT_EQ(other.status, 7);
        ASSERT_FALSE(x.exited);
        exec_done(&other);

        /* With the init process its pid namespace ends, and all in it. */
        ASSERT_OK(container_signal(run.container, SIGKILL, false, NULL));
        run_until(&run, &run.exited);
        run_until(&run, &x.exited);
        ASSERT_EQ(x.status, 128 + SIGKILL);
        exec_done(&x);

        exec_init(&x, &run, "echo never");
        ASSERT_EQ(exec_all(&x), -EBUSY);
        ASSERT_CONTAINS(x.message, "stopped container");
        exec_done(&x);
        run_done(&run);
}

TEST(exec_before_start_and_paused)
{
        static Run run;
        static ExecRun x;
        char path[256];

        run_init(&run, "sleep 1000");
        run.hold = true;
        ASSERT_OK(run_create(&run));
        exec_init(&x, &run, "echo never");
        ASSERT_EQ(exec_all(&x), -EBUSY);
        exec_done(&x);
        run_until(&run, &run.created);

        /* Created, not started: its root is there. */
        exec_init(&x, &run, "ls -d /bin");
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_STREQ(x.output, "/bin\n");
        exec_done(&x);

        snprintf(path, sizeof(path), "%s/kata/live-test/cgroup.freeze", cgroup_root);
        if (write_string_file_at(AT_FDCWD, path, "1") >= 0) {
                exec_init(&x, &run, "echo never");
                ASSERT_EQ(exec_all(&x), -EBUSY);
                ASSERT_CONTAINS(x.message, "paused container");
                exec_done(&x);
                ASSERT_OK(write_string_file_at(AT_FDCWD, path, "0"));
        }
        run_done(&run);
}

TEST(exec_is_confined)
{
        static Run run;
        static ExecRun x;
        static char *names[] = { (char *) "mkdir", (char *) "mkdirat" }, *masked[] = { (char *) "/etc/passwd" };
        Grpc__LinuxSeccomp filter = GRPC__LINUX_SECCOMP__INIT;
        Grpc__LinuxSyscall rule = GRPC__LINUX_SYSCALL__INIT, *rules[] = { &rule };

        run_init(&run, "sleep 1000");
        filter.defaultaction = (char *) "SCMP_ACT_ALLOW";
        filter.syscalls = rules;
        filter.n_syscalls = 1;
        rule.names = names;
        rule.n_names = 2;
        rule.action = (char *) "SCMP_ACT_ERRNO";
        run.linux_part.seccomp = &filter;
        run.linux_part.maskedpaths = masked;
        run.linux_part.n_maskedpaths = 1;
        start_sleeper(&run);
        for (unsigned nnp = 0; nnp < 2; nnp++) {
                exec_init(&x, &run, "mkdir /tmp/x; grep ^Seccomp: /proc/self/status; cat /etc/passwd; "
                                    "echo x >/proc/1/oom_score_adj; echo $?");
                x.process.nonewprivileges = nnp;
                x.user.uid = 1000;
                ASSERT_EQ(exec_all(&x), 0);
                ASSERT_CONTAINS(x.output, "Operation not permitted");
                ASSERT_CONTAINS(x.output, "Seccomp:\t2");
                ASSERT_NULL(strstr(x.output, "root:"));
                exec_done(&x);
        }
        run_done(&run);
}

TEST(exec_without_pid_namespace)
{
        static Run run;
        static ExecRun x;

        run_init(&run, "sleep 1000");
        run.linux_part.namespaces++;
        run.linux_part.n_namespaces--;
        start_sleeper(&run);
        exec_init(&x, &run, "echo here; exit 3");
        ASSERT_EQ(exec_all(&x), 3);
        ASSERT_STREQ(x.output, "here\n");
        exec_done(&x);
        run_done(&run);
}

TEST(exec_terminal)
{
        static Run run;
        static ExecRun x;

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        exec_init(&x, &run, "tty; stty size; for fd in 0 1 2; do [ -t $fd ] || echo no $fd; done; "
                            "stat -c %u $(tty); read line; echo got=$line; read line || echo end; "
                            "ls -l /proc/self/fd 2>/dev/null | wc -l");
        x.process.terminal = true;
        x.user.uid = 1000;
        x.size.height = 33;
        x.size.width = 99;
        ASSERT_OK(exec_create(&x));
        run_until(&run, &x.started);
        ASSERT_EQ(x.error, 0);
        /* The terminal echoes: not in between. */
        while (!strstr(x.output, "\n1000\r\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        ASSERT_EQ(write(x.output_fd, "word\n\004", 6), 6);
        run_until(&run, &x.exited);
        ASSERT_EQ(x.status, 0);
        while (x.source)
                ASSERT_OK(loop_run_once(run.loop, 1000));
        ASSERT_CONTAINS(x.output, "/dev/pts/0\r\n33 99\r\n1000\r\n");
        ASSERT_CONTAINS(x.output, "got=word\r\nend\r\n5\r\n");
        exec_done(&x);

        /* The host goes: SIGHUP. */
        exec_init(&x, &run, "trap 'exit 9' HUP; echo up; while :; do sleep 0.05; done");
        x.process.terminal = true;
        ASSERT_OK(exec_create(&x));
        while (!strstr(x.output, "up"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        x.source = loop_source_free(x.source);
        x.output_fd = safe_close(x.output_fd);
        run_until(&run, &x.exited);
        ASSERT_EQ(x.status, 9);
        exec_done(&x);
        run_done(&run);
}

TEST(init_terminal)
{
        static Run run;
        Grpc__Box size = GRPC__BOX__INIT;

        /* CVE-2025-52565: the console is the terminal by descriptor, not what is found under a name. */
        run_init(&run, "tty; stty size; stat -c %t:%T /dev/console /dev/pts/0; echo on-console >/dev/console");
        run.process.terminal = true;
        size.height = 20;
        size.width = 70;
        run.process.consolesize = &size;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "\r\n20 70\r\n88:0\r\n88:0\r\non-console\r\n");
        run_done(&run);

        /* Nowhere to make it. */
        run_init(&run, "echo never");
        run.process.terminal = true;
        run.mounts[2].type = (char *) "tmpfs";
        run.mounts[2].options = NULL;
        run.mounts[2].n_options = 0;
        ASSERT_EQ(run_all(&run), -ENOENT);
        ASSERT_CONTAINS(run.message, "terminal: /dev/pts/ptmx");
        run_done(&run);
}

/* Two containers of one sandbox, and what holds them together. */
TEST(sandbox_namespaces)
{
        static Run run, other;
        static ExecRun x;
        ContainerPlace place = CONTAINER_PLACE_NULL(cgroup_root);
        SandboxNs ns;
        unsigned fds = count_entries("/proc/self/fd");

        run_init(&run, "sleep 1000 & hostname; readlink /proc/self/ns/ipc; wait");
        ASSERT_OK(sandbox_ns_make(&ns, run.loop, "pod", true, NULL));
        place.pid_fd = ns.pid_fd;
        place.ipc_fd = ns.ipc_fd;
        place.uts_fd = ns.uts_fd;
        place.hostname = "pod";
        run.place = &place;
        start_sleeper(&run);
        while (!strstr(run.output, "]\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        ASSERT_CONTAINS(run.output, "pod\nipc:[");

        /* The same loop and cgroup are good for the second one, too. */
        run_init(&other, "cat /proc/1/comm; hostname; readlink /proc/self/ns/ipc; "
                         "grep -l ^sleep /proc/[0-9]*/comm | wc -l; (sleep 0.2 &) ; exit 5");
        loop_free(other.loop);
        other.loop = run.loop;
        other.place = &place;
        other.linux_part.cgroupspath = (char *) "/pod/live-other";
        ASSERT_EQ(run_all(&other), 5);
        ASSERT_CONTAINS(other.output, "sandbox-ns\npod\nipc:[");
        ASSERT_CONTAINS(other.output, "]\n1\n");
        ASSERT_CONTAINS(other.output, strstr(run.output, "ipc:["));
        ASSERT_OK(container_remove(other.container, NULL));
        run_until(&other, &other.removed);
        ASSERT_EQ(other.remove_error, 0);

        /* What lost its parent was reaped by process 1. */
        exec_init(&x, &run, "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l; readlink /proc/self/ns/uts; "
                            "readlink /proc/1/ns/uts");
        x.names[0] = (char *) "CAP_SYS_PTRACE";
        x.caps.bounding = x.caps.permitted = x.caps.effective = x.names;
        x.caps.n_bounding = x.caps.n_permitted = x.caps.n_effective = 1;
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "0\nuts:[");
        exec_done(&x);

        /* With it goes everything. */
        sandbox_ns_done(&ns);
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 128 + SIGKILL);
        run_done(&run);
        while (waitpid(-1, NULL, 0) > 0)
                ;
        ASSERT_EQ(count_entries("/proc/self/fd"), fds);
}

static void add_hook(Grpc__Hook *hook, Grpc__Hook **list, Grpc__Hook ***ret, size_t *ret_n, char **args,
                     const char *script)
{
        *hook = (Grpc__Hook) GRPC__HOOK__INIT;
        args[0] = (char *) "sh";
        args[1] = (char *) "-c";
        args[2] = (char *) script;
        hook->path = (char *) "/bin/sh";
        hook->args = args;
        hook->n_args = 3;
        *list = hook;
        *ret = list;
        *ret_n = 1;
}

TEST(hooks)
{
        static Run run;
        static char scripts[6][256], *args[6][3];
        Grpc__Hooks hooks = GRPC__HOOKS__INIT;
        Grpc__Hook hook[6], *list[6];
        _cleanup_free_ char *text = NULL;
        char log_path[128];

        host_path(log_path, sizeof(log_path), "hook-log");
        for (unsigned i = 0; i < 6; i++)
                snprintf(scripts[i], sizeof(scripts[i]), "echo %u >>%s", i, i == 3 ? "/tmp/hook-start" : log_path);
        run_init(&run, "cat /tmp/hook-start");
        add_hook(&hook[0], &list[0], &hooks.prestart, &hooks.n_prestart, args[0], scripts[0]);
        add_hook(&hook[1], &list[1], &hooks.createruntime, &hooks.n_createruntime, args[1], scripts[1]);
        add_hook(&hook[2], &list[2], &hooks.createcontainer, &hooks.n_createcontainer, args[2], scripts[2]);
        add_hook(&hook[3], &list[3], &hooks.startcontainer, &hooks.n_startcontainer, args[3], scripts[3]);
        add_hook(&hook[4], &list[4], &hooks.poststart, &hooks.n_poststart, args[4], scripts[4]);
        add_hook(&hook[5], &list[5], &hooks.poststop, &hooks.n_poststop, args[5], scripts[5]);
        run.spec.hooks = &hooks;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "3\n");
        run_done(&run);
        ASSERT_OK(read_file_at(AT_FDCWD, log_path, 4096, &text, NULL));
        ASSERT_STREQ(text, "0\n1\n2\n4\n5\n");

        /* One that fails, before and after the container is created. */
        for (unsigned i = 0; i < 2; i++) {
                run_init(&run, "echo never");
                hooks = (Grpc__Hooks) GRPC__HOOKS__INIT;
                snprintf(scripts[0], sizeof(scripts[0]), "echo because; exit 4");
                if (i == 0)
                        add_hook(&hook[0], &list[0], &hooks.createruntime, &hooks.n_createruntime, args[0],
                                 scripts[0]);
                else
                        add_hook(&hook[0], &list[0], &hooks.startcontainer, &hooks.n_startcontainer, args[0],
                                 scripts[0]);
                run.spec.hooks = &hooks;
                ASSERT_EQ(run_all(&run), -EIO);
                ASSERT_CONTAINS(run.message, i == 0 ? "createRuntime hook '/bin/sh': exit status 4: because"
                                                    : "startContainer hook '/bin/sh': exit status 4: because");
                ASSERT_EQ(run.n_output, 0);
                run_done(&run);
        }
}

/* Given up at every stage: nothing runs, nothing is left to be reaped. */
TEST(exec_given_up_at_any_time)
{
        static Run run;
        static ExecRun x;

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        for (unsigned delay = 0; delay < 8; delay++) {
                exec_init(&x, &run, "sleep 1000");
                ASSERT_OK(exec_create(&x));
                for (unsigned k = 0; k < delay; k++)
                        ASSERT_OK(loop_run_once(run.loop, 10));
                x.exec = container_exec_free(x.exec);
                /* Its output ends when it does. */
                while (x.source)
                        ASSERT_OK(loop_run_once(run.loop, 1000));
                exec_done(&x);
        }
        for (unsigned i = 0; i < 20; i++)
                ASSERT_OK(loop_run_once(run.loop, 5));
        run_done(&run);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        ASSERT_EQ(errno, ECHILD);
}

static unsigned long resident_kib(void)
{
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(read_file_at(AT_FDCWD, "/proc/self/status", 16384, &text, NULL));
        return strtoul(ASSERT_NOT_NULL(strstr(text, "VmRSS:")) + 6, NULL, 10);
}

/* Descriptors when nothing has happened for a while: a joiner may be gone from the container and not yet be reaped. */
static unsigned settled_fds(Run *run)
{
        unsigned fds = count_entries("/proc/self/fd"), quiet = 0;

        while (quiet < 5) {
                unsigned before = fds;

                ASSERT_OK(loop_run_once(run->loop, 20));
                fds = count_entries("/proc/self/fd");
                quiet = fds == before ? quiet + 1 : 0;
        }
        return fds;
}

TEST(exec_thousand_leak_nothing)
{
        static Run run;
        static ExecRun x;
        unsigned fds = 0;
        unsigned long resident = 0;
        int r;

        run_init(&run, "sleep 1000");
        start_sleeper(&run);
        for (unsigned i = 0; i < EXECS; i++) {
                exec_init(&x, &run, "");
                x.args[0] = (char *) (i % 8 == 7 ? "missing" : "true");
                x.process.n_args = 1;
                x.process.terminal = i % 8 == 3;
                r = exec_all(&x);
                if (r != (i % 8 == 7 ? -ENOENT : 0))
                        TEST_FAIL("exec %u: %d, %s", i, r, strempty(x.message));
                exec_done(&x);
                if (i == EXECS / 10) {
                        fds = settled_fds(&run);
                        resident = resident_kib();
                }
        }
        ASSERT_EQ(settled_fds(&run), fds);
        ASSERT_TRUE(resident_kib() <= resident + 256);
        run_done(&run);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        ASSERT_EQ(errno, ECHILD);
}
