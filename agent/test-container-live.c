/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real containers on the machine the test runs on: needs root and a cgroup v2 mount, else it skips
 * with 77 and says so. Root file system: busybox-static in a temporary directory. Leaves nothing
 * behind.
 */

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"

#define BUSYBOX "/bin/busybox"
#define OUTPUT_MAX (256U * 1024U)
#define CYCLES 200U
#define TIMEOUT (20 * USEC_PER_SEC)

static const char *cgroup_root;
static char base[] = "/tmp/kata-container-test-XXXXXX";

/* One run of one container: configuration, events, output. */
typedef struct Run {
        Loop *loop;
        Container *container;
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux linux_part;
        Grpc__User user;
        Grpc__LinuxCapabilities caps;
        char *args[8], *env[8], *names[8], *ambient[4];
        Grpc__LinuxNamespace namespaces[8], *namespace_list[8];
        Grpc__Mount mounts[16], *mount_list[16];
        Grpc__POSIXRlimit rlimit, *rlimit_list[1];
        char rootfs[128];

        int output_fd;
        LoopSource *output_source;
        char output[OUTPUT_MAX];
        size_t n_output;

        bool created, started, exited, removed, hold;
        int error, status, remove_error;
        char *message;
} Run;

static void on_created(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->created = true;
        run->error = error;
        if (error < 0) {
                ASSERT_EQ(container_state(c), CONTAINER_STOPPED);
                run->message = strdup(message);
                return;
        }
        ASSERT_EQ(container_state(c), CONTAINER_CREATED);
        if (!run->hold)
                ASSERT_OK(container_start(c, NULL));
}

static void on_started(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->started = true;
        run->error = error;
        if (error < 0)
                run->message = strdup(message);
        else
                ASSERT_EQ(container_state(c), CONTAINER_RUNNING);
}

static void on_exit_status(Container *c, int status, void *userdata)
{
        Run *run = userdata;

        ASSERT_FALSE(run->exited);
        run->exited = true;
        run->status = status;
}

static void on_removed(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->removed = true;
        run->remove_error = error;
        run->container = NULL;
}

static const ContainerHandlers handlers = {
        .on_created = on_created,
        .on_started = on_started,
        .on_exit = on_exit_status,
        .on_removed = on_removed,
};

static void on_output(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        Run *run = userdata;
        ssize_t n = read(fd, run->output + run->n_output, sizeof(run->output) - 1 - run->n_output);

        if (n > 0)
                run->n_output += (size_t) n;
        else {
                run->output_source = loop_source_free(run->output_source);
                run->output_fd = safe_close(run->output_fd);
        }
}

static void add_mount(Run *run, const char *destination, const char *source, const char *type,
                      char **options, size_t n)
{
        Grpc__Mount *m = &run->mounts[run->spec.n_mounts];

        ASSERT_TRUE(run->spec.n_mounts < ELEMENTSOF(run->mounts));
        *m = (Grpc__Mount) GRPC__MOUNT__INIT;
        m->destination = (char *) destination;
        m->source = (char *) source;
        m->type = (char *) type;
        m->options = options;
        m->n_options = n;
        run->mount_list[run->spec.n_mounts++] = m;
}

static char *opt_dev[] = { (char *) "nosuid", (char *) "strictatime", (char *) "mode=755",
                           (char *) "size=65536k" };
static char *opt_pts[] = { (char *) "nosuid", (char *) "noexec", (char *) "newinstance",
                           (char *) "ptmxmode=0666", (char *) "mode=0620", (char *) "gid=5" };
static char *opt_shm[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev",
                           (char *) "mode=1777", (char *) "size=1024k" };
static char *opt_safe[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev" };
static char *opt_sys[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev", (char *) "ro" };

static void run_init(Run *run, const char *script)
{
        static const char *const types[] = { "pid", "mount", "ipc", "uts", "cgroup" };

        memset(run, 0, sizeof(*run));
        ASSERT_OK(loop_new(&run->loop));
        run->output_fd = -EBADF;
        snprintf(run->rootfs, sizeof(run->rootfs), "%s/rootfs", base);

        run->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        run->process = (Grpc__Process) GRPC__PROCESS__INIT;
        run->root = (Grpc__Root) GRPC__ROOT__INIT;
        run->linux_part = (Grpc__Linux) GRPC__LINUX__INIT;
        run->user = (Grpc__User) GRPC__USER__INIT;
        run->caps = (Grpc__LinuxCapabilities) GRPC__LINUX_CAPABILITIES__INIT;
        run->rlimit = (Grpc__POSIXRlimit) GRPC__POSIXRLIMIT__INIT;
        run->spec.version = (char *) "1.0.2";
        run->spec.process = &run->process;
        run->spec.root = &run->root;
        run->spec.linux = &run->linux_part;
        run->spec.mounts = run->mount_list;
        run->root.path = run->rootfs;
        run->process.user = &run->user;
        run->process.cwd = (char *) "/";
        run->process.capabilities = &run->caps;
        run->process.args = run->args;
        run->process.env = run->env;
        run->env[run->process.n_env++] = (char *) "PATH=/nowhere:/bin";

        run->args[0] = (char *) "sh";
        run->args[1] = (char *) "-c";
        run->args[2] = (char *) script;
        run->process.n_args = 3;

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                run->namespaces[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                run->namespaces[i].type = (char *) types[i];
                run->namespace_list[i] = &run->namespaces[i];
        }
        run->linux_part.namespaces = run->namespace_list;
        run->linux_part.n_namespaces = ELEMENTSOF(types);
        run->linux_part.cgroupspath = (char *) "/pod/live-test";

        add_mount(run, "/proc", "proc", "proc", opt_safe, ELEMENTSOF(opt_safe));
        add_mount(run, "/dev", "tmpfs", "tmpfs", opt_dev, ELEMENTSOF(opt_dev));
        add_mount(run, "/dev/pts", "devpts", "devpts", opt_pts, ELEMENTSOF(opt_pts));
        add_mount(run, "/dev/shm", "shm", "tmpfs", opt_shm, ELEMENTSOF(opt_shm));
        add_mount(run, "/dev/mqueue", "mqueue", "mqueue", opt_safe, ELEMENTSOF(opt_safe));
        add_mount(run, "/sys", "sysfs", "sysfs", opt_sys, ELEMENTSOF(opt_sys));
        add_mount(run, "/sys/fs/cgroup", "cgroup", "cgroup", opt_sys, ELEMENTSOF(opt_sys));
}

static void run_until(Run *run, const bool *flag)
{
        usec_t end = now_usec() + TIMEOUT;

        while (!*flag && now_usec() < end)
                ASSERT_OK(loop_run_once(run->loop, 1000));
        if (!*flag)
                TEST_FAIL("timeout; output so far: %s", run->output);
}

static int run_create(Run *run)
{
        int p[2], r;

        ASSERT_OK(pipe2(p, O_CLOEXEC));
        run->output_fd = p[0];
        ASSERT_OK(loop_add_fd(run->loop, &run->output_source, p[0], EPOLLIN, on_output, run));

        ContainerHandlers h = handlers;
        h.userdata = run;
        r = container_create_at(&run->container, run->loop, cgroup_root, "live-1", &run->spec,
                                &(ContainerIo) { -EBADF, p[1], p[1] }, &h, &run->message);
        safe_close(p[1]);
        if (r < 0)
                run->error = r;
        return r;
}

/* Removes the container, and checks that the cgroup is gone. */
static void run_done(Run *run)
{
        char path[256];

        if (run->container) {
                ASSERT_OK(container_remove(run->container, NULL));
                run_until(run, &run->removed);
                ASSERT_EQ(run->remove_error, 0);
        }
        snprintf(path, sizeof(path), "%s/kata/live-test", cgroup_root);
        ASSERT_EQ(access(path, F_OK), -1);

        run->output_source = loop_source_free(run->output_source);
        run->output_fd = safe_close(run->output_fd);
        run->loop = loop_free(run->loop);
        free(run->message);
        run->message = NULL;
}

/* Runs to the end; the exit status, or a negative errno with run->message. */
static int run_all(Run *run)
{
        int r = run_create(run);

        if (r < 0)
                return r;

        run_until(run, &run->created);
        if (run->error < 0)
                return run->error;
        run_until(run, &run->started);
        if (run->error < 0)
                return run->error;
        run_until(run, &run->exited);
        while (run->output_source)
                ASSERT_OK(loop_run_once(run->loop, 1000));
        return run->status;
}

static char *host_path(char *buf, size_t n, const char *name)
{
        snprintf(buf, n, "%s/%s", base, name);
        return buf;
}

TEST(exit_codes_and_output)
{
        static Run run;

        run_init(&run, "echo out; echo err >&2; echo $$; exit 42");
        ASSERT_EQ(run_all(&run), 42);
        ASSERT_STREQ(run.output, "out\nerr\n1\n");
        run_done(&run);

        run_init(&run, "kill -9 $$; exit 3");
        /* pid 1 cannot kill itself. */
        ASSERT_EQ(run_all(&run), 3);
        run_done(&run);
}

TEST(nothing_leaks_in)
{
        static Run run;
        int secret = ASSERT_OK(open("/etc/hostname", O_RDONLY)); /* without O_CLOEXEC on purpose */

        run_init(&run, "ls -l /proc/self/fd | wc -l; pwd; ls /");
        run.spec.hostname = (char *) "box";
        /* 0, 1, 2, the directory itself, and the "total" line: CVE-2016-9962, CVE-2024-21626 */
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "5\n/\n");
        ASSERT_NULL(strstr(run.output, "boot"));
        run_done(&run);
        safe_close(secret);
}

TEST(identity)
{
        static Run run;
        uint32_t groups[] = { 7, 4711 };

        run_init(&run, "id; echo home=$HOME; hostname; cat /proc/self/oom_score_adj; umask; pwd; "
                       "grep -E '^(Cap|NoNew)' /proc/self/status; ulimit -n; ulimit -H -n");
        run.spec.hostname = (char *) "box";
        run.user.uid = 1000;
        run.user.gid = 1001;
        run.user.additionalgids = groups;
        run.user.n_additionalgids = 2;
        run.process.cwd = (char *) "/srv/made/for/it";
        run.process.nonewprivileges = true;
        run.process.oomscoreadj = 123;
        run.names[0] = (char *) "CAP_NET_BIND_SERVICE";
        run.names[1] = (char *) "CAP_KILL";
        run.caps.bounding = run.caps.permitted = run.caps.effective = run.names;
        run.caps.n_bounding = run.caps.n_permitted = run.caps.n_effective = 2;
        run.caps.inheritable = run.caps.ambient = run.names;
        run.caps.n_inheritable = run.caps.n_ambient = 1;
        run.rlimit.type = (char *) "RLIMIT_NOFILE";
        run.rlimit.soft = 100;
        run.rlimit.hard = 200;
        run.rlimit_list[0] = &run.rlimit;
        run.process.rlimits = run.rlimit_list;
        run.process.n_rlimits = 1;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "uid=1000(tester) gid=1001 groups=7,4711");
        ASSERT_CONTAINS(run.output, "home=/home/tester\nbox\n123\n0022\n/srv/made/for/it\n");
        /* After exec: only what is ambient is left of permitted and effective. */
        ASSERT_CONTAINS(run.output, "CapInh:\t0000000000000400");
        ASSERT_CONTAINS(run.output, "CapPrm:\t0000000000000400");
        ASSERT_CONTAINS(run.output, "CapEff:\t0000000000000400");
        ASSERT_CONTAINS(run.output, "CapBnd:\t0000000000000420");
        ASSERT_CONTAINS(run.output, "CapAmb:\t0000000000000400");
        ASSERT_CONTAINS(run.output, "NoNewPrivs:\t1");
        ASSERT_CONTAINS(run.output, "\n100\n200\n");
        run_done(&run);

        /* No capabilities at all, and root. */
        run_init(&run, "grep -E '^(Cap|NoNew)' /proc/self/status; chown 1:1 /etc/passwd || echo "
                       "no");
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "CapBnd:\t0000000000000000");
        ASSERT_CONTAINS(run.output, "CapEff:\t0000000000000000");
        ASSERT_CONTAINS(run.output, "NoNewPrivs:\t0");
        ASSERT_CONTAINS(run.output, "no\n");
        run_done(&run);
}

TEST(mounts)
{
        static Run run;
        static char *ro[] = { (char *) "rbind", (char *) "ro", (char *) "rprivate" };
        static char *rw[] = { (char *) "bind", (char *) "nosuid" };
        char dir[256], file[256];

        run_init(&run, "cat /proc/self/mountinfo; cat /vol/data; echo x >/vol/new || echo "
                       "read-only; "
                       "cat /link-target/file.txt; echo y >>/link-target/file.txt; "
                       "ls /dev | tr '\\n' ' '; echo; readlink /dev/ptmx; echo 1 >/dev/null; "
                       "stat -c '%a %F %t:%T' /dev/null; ls /sys/fs/cgroup; cat /proc/self/cgroup");
        add_mount(&run, "/vol", host_path(dir, sizeof(dir), "volume"), "bind", ro, ELEMENTSOF(ro));
        /* A file, onto a path that leads through a symlink of the image to a missing directory. */
        add_mount(&run, "/link/file.txt", host_path(file, sizeof(file), "volume/data"), "bind", rw,
                  ELEMENTSOF(rw));
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, " /proc rw,nosuid,nodev,noexec,relatime");
        ASSERT_CONTAINS(run.output, " /sys ro,nosuid,nodev,noexec,relatime");
        ASSERT_CONTAINS(run.output, " /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime");
        ASSERT_CONTAINS(run.output, " /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755");
        ASSERT_CONTAINS(run.output, " /dev/pts rw,nosuid,noexec,relatime - devpts devpts "
                                    "rw,gid=5,mode=620,ptmxmode=666");
        ASSERT_CONTAINS(run.output, " /dev/shm rw,nosuid,nodev,noexec");
        ASSERT_CONTAINS(run.output, " /dev/mqueue rw,nosuid,nodev,noexec");
        ASSERT_CONTAINS(run.output, " /vol ro,");
        ASSERT_CONTAINS(run.output, "\nread-only\nvolume data\n");
        ASSERT_CONTAINS(run.output,
                        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty "
                        "urandom zero \npts/ptmx\n");
        ASSERT_CONTAINS(run.output, "666 character special file 1:3");
        ASSERT_CONTAINS(run.output, "cgroup.procs");
        ASSERT_CONTAINS(run.output, "0::/\n");
        ASSERT_NULL(strstr(run.output, "master:"));
        run_done(&run);

        /* The host's volume was reached through the read-write one, and nothing else was made. */
        int fd = ASSERT_OK(open(file, O_RDONLY | O_CLOEXEC));
        char text[64] = {};
        ASSERT_OK((int) read(fd, text, sizeof(text) - 1));
        ASSERT_STREQ(text, "volume data\ny\n");
        safe_close(fd);
}

TEST(readonly_root_and_masks)
{
        static Run run;
        static char *masked[] = {(char *) "/proc/kcore", (char *) "/proc/bus",
                        (char *) "/sys/kernel", (char *) "/nonexistent", (char *) "/etc/passwd"};
        static char *readonly[] = { (char *) "/proc/sys", (char *) "/proc/irq", (char *) "/none" };

        run_init(&run, "touch /x || echo ro-root; cat /etc/passwd; ls /sys/kernel | wc -l; "
                       "cat /proc/kcore; ls /proc/bus; touch /proc/bus/x || echo ro-mask; "
                       "echo 1 >/proc/sys/kernel/panic || echo ro-sys; "
                       "grep -c ' /proc/sys ro' /proc/self/mountinfo; touch /dev/shm/ok && echo "
                       "shm");
        run.root.readonly = true;
        run.linux_part.maskedpaths = masked;
        run.linux_part.n_maskedpaths = ELEMENTSOF(masked);
        run.linux_part.readonlypaths = readonly;
        run.linux_part.n_readonlypaths = ELEMENTSOF(readonly);
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "ro-root\n");
        ASSERT_CONTAINS(run.output, "\n0\n");
        ASSERT_CONTAINS(run.output, "ro-mask\n");
        ASSERT_CONTAINS(run.output, "ro-sys\n1\nshm\n");
        ASSERT_NULL(strstr(run.output, "tester"));
        run_done(&run);
}

/* CVE-2019-16884, CVE-2021-30465, CVE-2026-41579: the image puts symlinks where mounts go. */
TEST(symlinks)
{
        static Run run;
        static char *rw[] = { (char *) "bind" };
        char path[256], evil[256], volume[256];

        /* Trees of their own, made from the good one by hard links to busybox. */
        static const struct {
                const char *link, *target;
        } cases[] = {
                { "proc", "/etc" },
                { "dev", "/etc" },
                { "sys", "../../../../../sys" },
        };

        host_path(evil, sizeof(evil), "evil");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ASSERT_OK(mkdir(evil, 0755));
                snprintf(path, sizeof(path), "%s/evil/%s", base, cases[i].link);
                ASSERT_OK(symlink(cases[i].target, path));
                snprintf(path, sizeof(path), "%s/evil/etc", base);
                ASSERT_OK(mkdir(path, 0755));

                run_init(&run, "true");
                run.root.path = evil;
                ASSERT_ERROR(run_all(&run), ELOOP);
                ASSERT_CONTAINS(run.message, "symlink");
                run_done(&run);
                ASSERT_OK(rm_rf(evil));
        }

        /* A mount target that climbs out: it ends up inside the root. */
        run_init(&run, "cat /outside/data; grep -c /outside /proc/self/mountinfo");
        add_mount(&run, "/climb/data", host_path(volume, sizeof(volume), "volume/data"), "bind", rw,
                        1);
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "volume data\n");
        run_done(&run);
        ASSERT_EQ(access(host_path(path, sizeof(path), "outside"), F_OK), -1);
        ASSERT_EQ(access("/outside", F_OK), -1);

        /* A mount target that leads into procfs. */
        run_init(&run, "true");
        add_mount(&run, "/to-proc/sys", volume, "bind", rw, 1);
        run.mounts[run.spec.n_mounts - 1].source = host_path(path, sizeof(path), "volume");
        ASSERT_ERROR(run_all(&run), EPERM);
        ASSERT_CONTAINS(run.message, "procfs");
        run_done(&run);
}

TEST(programs_that_cannot_run)
{
        static Run run;

        run_init(&run, "");
        run.args[0] = (char *) "no-such-program";
        ASSERT_ERROR(run_all(&run), ENOENT);
        ASSERT_CONTAINS(run.message,
                        "exec: \"no-such-program\": executable file not found in $PATH");
        ASSERT_TRUE(run.created && !run.started && !run.exited);
        run_done(&run);

        run_init(&run, "");
        run.args[0] = (char *) "/bin/missing";
        ASSERT_ERROR(run_all(&run), ENOENT);
        ASSERT_CONTAINS(run.message, "exec: \"/bin/missing\": no such file or directory");
        run_done(&run);

        run_init(&run, "");
        run.args[0] = (char *) "/etc/passwd";
        ASSERT_ERROR(run_all(&run), EACCES);
        ASSERT_CONTAINS(run.message, "exec: \"/etc/passwd\": permission denied");
        run_done(&run);

        /* Found, but not a program: only exec itself can tell. */
        run_init(&run, "");
        run.args[0] = (char *) "/bin/garbage";
        ASSERT_ERROR(run_all(&run), ENOEXEC);
        ASSERT_TRUE(run.started && !run.exited);
        ASSERT_CONTAINS(run.message, "Exec format error");
        run_done(&run);

        run_init(&run, "");
        run.process.cwd = (char *) "/etc/passwd/x";
        ASSERT_ERROR(run_all(&run), ENOTDIR);
        ASSERT_CONTAINS(run.message, "cwd '/etc/passwd/x'");
        run_done(&run);

        run_init(&run, "");
        run.root.path = (char *) "/nonexistent/rootfs";
        ASSERT_ERROR(run_all(&run), ENOENT);
        ASSERT_CONTAINS(run.message, "root '/nonexistent/rootfs'");
        run_done(&run);
}

TEST(signals)
{
        static Run run;

        /* A handler. */
        run_init(&run, "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.05; done");
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        while (!strstr(run.output, "up\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        ASSERT_OK(container_signal(run.container, SIGTERM, false, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 5);
        ASSERT_ERROR(container_signal(run.container, SIGTERM, false, NULL), ESRCH);
        ASSERT_ERROR(container_signal(run.container, SIGKILL, true, NULL), ESRCH);
        run_done(&run);

        /* None: the kernel would drop it, so it becomes SIGKILL. */
        run_init(&run, "");
        run.args[0] = (char *) "sleep";
        run.args[1] = (char *) "1000";
        run.process.n_args = 2;
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        ASSERT_ERROR(container_start(run.container, NULL), EBUSY);
        ASSERT_ERROR(container_signal(run.container, 65, false, NULL), EINVAL);
        ASSERT_OK(container_signal(run.container, SIGTERM, false, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 128 + SIGKILL);
        run_done(&run);

        /* All processes of the cgroup. */
        run_init(&run, "sleep 1000 & sleep 1000 & echo up; trap '' TERM; wait; wait; echo end; "
                       "exit 0");
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        while (!strstr(run.output, "up\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        usleep(50000);
        ASSERT_OK(container_signal(run.container, SIGTERM, true, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 0);
        run_done(&run);

        run_init(&run, "sleep 1000 & wait");
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        ASSERT_OK(container_signal(run.container, SIGKILL, true, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 128 + SIGKILL);
        run_done(&run);

        /* Before start. */
        run_init(&run, "echo never");
        run.hold = true;
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.created);
        ASSERT_OK(container_signal(run.container, SIGTERM, false, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 128 + SIGKILL);
        ASSERT_FALSE(run.started);
        ASSERT_EQ(run.n_output, 0);
        run_done(&run);
}

TEST(without_pid_namespace)
{
        static Run run;

        /* Children outlive the init process; removal gets them through the cgroup. */
        run_init(&run, "sleep 1000 & sleep 1000 & exit 0");
        run.linux_part.namespaces++;
        run.linux_part.n_namespaces--;
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 0);
        run_done(&run);
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

TEST(network_namespace)
{
        static Run run;

        run_init(&run, "ifconfig -a | grep -E '^[a-z]|UP'; cat /proc/sys/net/ipv4/ip_default_ttl");
        run.namespaces[5] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
        run.namespaces[5].type = (char *) "network";
        run.namespace_list[5] = &run.namespaces[5];
        run.linux_part.n_namespaces = 6;

        Grpc__StringEntry ttl = GRPC__STRING_ENTRY__INIT, *list[] = { &ttl };
        ttl.key = (char *) "net.ipv4.ip_default_ttl";
        ttl.value = (char *) "77";
        run.linux_part.sysctl = list;
        run.linux_part.n_sysctl = 1;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "lo ");
        ASSERT_CONTAINS(run.output, "UP LOOPBACK RUNNING");
        ASSERT_CONTAINS(run.output, "\n77\n");
        run_done(&run);
}

TEST(devices)
{
        static Run run;
        Grpc__LinuxDevice fuse = GRPC__LINUX_DEVICE__INIT, *list[] = { &fuse };
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxDeviceCgroup rules[2] = { GRPC__LINUX_DEVICE_CGROUP__INIT,
                                             GRPC__LINUX_DEVICE_CGROUP__INIT };
        Grpc__LinuxDeviceCgroup *rule_list[] = { &rules[0], &rules[1] };
        static char *mknod_cap[] = { (char *) "CAP_MKNOD" };

        /* kmsg stands for a device that no rule allows: CVE-2020-2023 */
        run_init(&run, "stat -c '%a %u:%g %t:%T' /dev/box/fuse; mknod /dev/kmsg c 1 11 && echo "
                       "made; "
                       "cat /dev/kmsg >/dev/null || echo denied; head -c 4 /dev/zero | wc -c");
        fuse.path = (char *) "/dev/box/fuse";
        fuse.type = (char *) "c";
        fuse.major = 10;
        fuse.minor = 229;
        fuse.filemode = 0640;
        fuse.uid = 7;
        fuse.gid = 8;
        run.linux_part.devices = list;
        run.linux_part.n_devices = 1;
        run.caps.bounding = run.caps.permitted = run.caps.effective = mknod_cap;
        run.caps.n_bounding = run.caps.n_permitted = run.caps.n_effective = 1;
        rules[0].access = (char *) "rwm";
        rules[1].allow = true;
        rules[1].type = (char *) "c";
        rules[1].major = 10;
        rules[1].minor = 229;
        rules[1].access = (char *) "rwm";
        resources.devices = rule_list;
        resources.n_devices = 2;
        run.linux_part.resources = &resources;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "640 7:8 a:e5\nmade\n");
        ASSERT_CONTAINS(run.output, "denied\n4\n");
        run_done(&run);
}

TEST(seccomp)
{
        static Run run;
        Grpc__LinuxSeccomp filter = GRPC__LINUX_SECCOMP__INIT;
        Grpc__LinuxSyscall rule = GRPC__LINUX_SYSCALL__INIT, *rules[] = { &rule };
        static char *names[] = { (char *) "mkdir", (char *) "mkdirat", (char *) "no_such_call" };

        for (unsigned nnp = 0; nnp < 2; nnp++) {
                run_init(&run, "mkdir /tmp/x; grep -E '^(Seccomp|NoNew)' /proc/self/status");
                run.process.nonewprivileges = nnp;
                filter.defaultaction = (char *) "SCMP_ACT_ALLOW";
                filter.syscalls = rules;
                filter.n_syscalls = 1;
                rule.names = names;
                rule.n_names = ELEMENTSOF(names);
                rule.action = (char *) "SCMP_ACT_ERRNO";
                rule.errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
                rule.errnoret = EXDEV;
                run.linux_part.seccomp = &filter;
                ASSERT_EQ(run_all(&run), 0);
                ASSERT_CONTAINS(run.output, "Invalid cross-device link");
                ASSERT_CONTAINS(run.output, "Seccomp:\t2");
                ASSERT_CONTAINS(run.output, nnp ? "NoNewPrivs:\t1" : "NoNewPrivs:\t0");
                run_done(&run);
        }
}

TEST(tmpcopyup)
{
        static Run run;
        static char *options[] = { (char *) "tmpcopyup", (char *) "size=1m" };

        run_init(&run, "cat /etc/passwd | wc -l; readlink /etc/link; stat -c %a /etc; echo x "
                       ">/etc/new && "
                       "echo written");
        run.root.readonly = true;
        add_mount(&run, "/etc", "tmpfs", "tmpfs", options, ELEMENTSOF(options));
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "2\ntarget\n751\nwritten\n");
        run_done(&run);
}

TEST(limits_without_controllers)
{
        static Run run;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
        _cleanup_free_ char *available = NULL;
        char path[256];

        snprintf(path, sizeof(path), "%s/cgroup.controllers", cgroup_root);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &available, NULL));
        run_init(&run, "cat /sys/fs/cgroup/pids.max");
        pids.limit = 20;
        resources.pids = &pids;
        run.linux_part.resources = &resources;
        if (strstr(available, "pids")) {
                ASSERT_EQ(run_all(&run), 0);
                ASSERT_STREQ(run.output, "20\n");
        } else {
                ASSERT_ERROR(run_all(&run), EOPNOTSUPP);
                ASSERT_CONTAINS(run.message, "'pids.max'");
        }
        run_done(&run);
}

static unsigned count_entries(const char *path)
{
        DIR *d = opendir(path);
        unsigned n = 0;

        ASSERT_NOT_NULL(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static unsigned count_lines(const char *path)
{
        _cleanup_free_ char *text = NULL;
        unsigned n = 0;

        ASSERT_OK(read_file_at(AT_FDCWD, path, 1024 * 1024, &text, NULL));
        for (const char *p = text; (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

TEST(cycles_leak_nothing)
{
        static Run run;
        unsigned fds = count_entries("/proc/self/fd"), mounts = count_lines("/proc/self/mountinfo");
        char kata[256];

        snprintf(kata, sizeof(kata), "%s/kata", cgroup_root);
        for (unsigned i = 0; i < CYCLES; i++) {
                run_init(&run, "sleep 1000 & exit 7");
                if (i % 4 == 3)
                        run.args[0] = (char *) "missing";
                ASSERT_EQ(run_all(&run), i % 4 == 3 ? -ENOENT : 7);
                run_done(&run);
        }
        ASSERT_EQ(count_entries("/proc/self/fd"), fds);
        ASSERT_EQ(count_lines("/proc/self/mountinfo"), mounts);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        ASSERT_EQ(errno, ECHILD);
}

/* Removal at every stage, from handlers too. */
static void remove_in_handler(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->created = true;
        ASSERT_OK(container_remove(c, NULL));
        ASSERT_ERROR(container_remove(c, NULL), EALREADY);
}

TEST(remove_at_any_time)
{
        static Run run;
        ContainerHandlers h = handlers;

        h.on_created = remove_in_handler;
        h.userdata = &run;
        for (unsigned i = 0; i < 2; i++) {
                run_init(&run, "exit 1");
                if (i == 1)
                        run.args[0] = (char *) "missing";
                ASSERT_OK(container_create_at(&run.container, run.loop, cgroup_root, "live-1",
                                &run.spec, &(ContainerIo){-EBADF, -EBADF, -EBADF}, &h, NULL));
                run_until(&run, &run.removed);
                ASSERT_FALSE(run.exited);
                run_done(&run);
        }

        for (unsigned delay = 0; delay < 10; delay++) {
                run_init(&run, "sleep 1000");
                ASSERT_OK(run_create(&run));
                for (unsigned k = 0; k < delay; k++)
                        ASSERT_OK(loop_run_once(run.loop, 1));
                run_done(&run);
        }
}

static const char *find_cgroup_root(void)
{
        static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs s;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (statfs(places[i], &s) >= 0 && s.f_type == 0x63677270)
                        return places[i];

        return NULL;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", base, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

static void make_dir(const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", base, name);
        ASSERT_OK(mkdir_p(path, 0755));
}

static void make_link(const char *target, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", base, name);
        ASSERT_OK(symlink(target, path));
}

static void make_rootfs(void)
{
        static const char *const tools[] = {
                        "cat",
                        "chown",
                        "echo",
                        "grep",
                        "head",
                        "hostname",
                        "id",
                        "ifconfig",
                        "kill",
                        "ls",
                        "mkdir",
                        "mknod",
                        "mount",
                        "pwd",
                        "readlink",
                        "sh",
                        "sleep",
                        "stat",
                        "touch",
                        "tr",
                        "true",
                        "wc",
        };
        _cleanup_free_ char *busybox = NULL;
        size_t size;
        char path[256];
        int fd;

        make_dir("rootfs/bin");
        make_dir("rootfs/etc");
        make_dir("rootfs/tmp");
        make_dir("rootfs/proc");
        make_dir("volume");
        ASSERT_OK(read_file_at(AT_FDCWD, BUSYBOX, 8 * 1024 * 1024, &busybox, &size));
        snprintf(path, sizeof(path), "%s/rootfs/bin/busybox", base);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
        ASSERT_OK(write_full(fd, busybox, size));
        safe_close(fd);
        for (size_t i = 0; i < ELEMENTSOF(tools); i++) {
                snprintf(path, sizeof(path), "rootfs/bin/%s", tools[i]);
                make_link("busybox", path);
        }

        write_file("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                        "tester:x:1000:1001::/home/tester:/bin/sh\n", 0644);
        write_file("rootfs/bin/garbage", "\177not a program\n", 0755);
        write_file("volume/data", "volume data\n", 0644);
        make_link("target", "rootfs/etc/link");
        snprintf(path, sizeof(path), "%s/rootfs/etc", base);
        ASSERT_OK(chmod(path, 0751));
        make_link("/link-target", "rootfs/link");
        make_link("../../../../outside", "rootfs/climb");
        make_link("/proc", "rootfs/to-proc");
}

TestCase *test_cases;

static void run_tests(int argc, char *argv[])
{
        for (TestCase *t = test_cases; t; t = t->next) {
                bool wanted = argc < 2;

                for (int i = 1; i < argc; i++)
                        wanted = wanted || streq(argv[i], t->name);
                if (!wanted)
                        continue;
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
}

int main(int argc, char *argv[])
{
        char path[256];
        pid_t pid;
        int status;

        cgroup_root = find_cgroup_root();
        if (geteuid() != 0 || !cgroup_root || access(BUSYBOX, X_OK) < 0) {
                fprintf(stderr, "skipped: needs %s\n", geteuid() != 0 ? "root"
                                                       : !cgroup_root ? "a cgroup v2 mount"
                                                                      : "busybox-static");
                return 77;
        }

        umask(022);
        ASSERT_NOT_NULL(mkdtemp(base));
        ASSERT_OK(chmod(base, 0755));
        make_rootfs();

        /* In a child, so that a failed assertion leaves nothing behind either. */
        pid = fork();
        if (pid == 0) {
                run_tests(argc, argv);
                exit(EXIT_SUCCESS);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);

        snprintf(path, sizeof(path), "%s/kata/live-test", cgroup_root);
        if (!WIFEXITED(status) && access(path, F_OK) >= 0) {
                char file[320];

                snprintf(file, sizeof(file), "%s/cgroup.kill", path);
                (void) write_string_file_at(AT_FDCWD, file, "1");
                for (unsigned i = 0; i < 100 && rmdir(path) < 0; i++)
                        usleep(10000);
        }
        snprintf(path, sizeof(path), "%s/kata", cgroup_root);
        (void) rmdir(path);
        ASSERT_OK(rm_rf(base));
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
