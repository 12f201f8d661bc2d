/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paused children: order of events, descriptors, identity, failures. Works with and without root.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/vmm/spawn.h"

typedef struct Seen {
        sd_event *event;
        bool exec, exit;
        int exec_error, code, status;
        char *text;
} Seen;

static void on_exec(Spawn *s, int error, const char *text, void *userdata)
{
        Seen *seen = userdata;

        ASSERT_FALSE(seen->exec);
        ASSERT_FALSE(seen->exit);
        seen->exec = true;
        seen->exec_error = error;
        seen->text = text ? strdup(text) : NULL;
}

static void on_exit_handler(Spawn *s, int code, int status, void *userdata)
{
        Seen *seen = userdata;

        ASSERT_FALSE(seen->exit);
        seen->exit = true;
        seen->code = code;
        seen->status = status;
}

static const SpawnHandlers handlers = { .on_exec = on_exec, .on_exit = on_exit_handler };

static void seen_done(Seen *seen)
{
        sd_event_unref(seen->event);
        free(seen->text);
}

static Spawn *start(Seen *seen, const SpawnParams *params)
{
        Spawn *s = NULL;

        *seen = (Seen) {};
        ASSERT_OK(sd_event_new(&seen->event));
        ASSERT_OK(spawn_new(seen->event, params, &handlers, seen, &s, NULL));
        return s;
}

static void run_to_exit(Seen *seen)
{
        for (unsigned i = 0; i < 20 && !seen->exit; i++)
                ASSERT_OK(sd_event_run(seen->event, 500000));
        ASSERT_TRUE(seen->exit);
}

/* Runs a shell command line with up to two pipes and returns its standard output. */
static char *run_shell(SpawnParams params, const char *script, Seen *seen)
{
        char *argv[] = { (char *) "sh", (char *) "-c", (char *) script, NULL };
        _cleanup_(spawn_freep) Spawn *s = NULL;
        char *output = NULL;
        int pair[2];

        ASSERT_OK(pipe2(pair, O_CLOEXEC));
        params.path = "/bin/sh";
        params.argv = argv;
        params.stdout_fd = pair[1];
        s = start(seen, &params);
        close(pair[1]);
        ASSERT_OK(spawn_release(s));
        run_to_exit(seen);
        ASSERT_OK(read_fd_max(pair[0], 65536, &output, NULL));
        close(pair[0]);
        return output;
}

TEST(release_and_exit)
{
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = run_shell(SPAWN_PARAMS_INIT, "echo hello; exit 3", &seen);

        ASSERT_STREQ(output, "hello\n");
        ASSERT_TRUE(seen.exec);
        ASSERT_EQ(seen.exec_error, 0);
        ASSERT_EQ(seen.code, CLD_EXITED);
        ASSERT_EQ(seen.status, 3);
}

TEST(paused_until_released)
{
        char *argv[] = { (char *) "true", NULL };
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_(spawn_freep) Spawn *s = NULL;

        params.path = "/bin/true";
        params.argv = argv;
        s = start(&seen, &params);
        ASSERT_EQ(sd_event_run(seen.event, 50000), 0);
        ASSERT_FALSE(seen.exec);
        ASSERT_OK(kill(spawn_pid(s)->pid, 0));
        ASSERT_OK(spawn_release(s));
        ASSERT_ERROR(spawn_release(s), EALREADY);
        run_to_exit(&seen);
        ASSERT_EQ(seen.status, 0);
        ASSERT_ERROR(spawn_kill(s, SIGKILL), ESRCH);
        ASSERT_ERROR(spawn_release(s), ESRCH);
}

TEST(exec_failure)
{
        char *argv[] = { (char *) "x", NULL };
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_(spawn_freep) Spawn *s = NULL;

        params.path = "/nonexistent/program";
        params.argv = argv;
        s = start(&seen, &params);
        ASSERT_OK(spawn_release(s));
        run_to_exit(&seen);
        ASSERT_TRUE(seen.exec);
        ASSERT_EQ(seen.exec_error, -ENOENT);
        ASSERT_STREQ(seen.text, "exec of /nonexistent/program failed: No such file or directory");
        ASSERT_EQ(seen.code, CLD_EXITED);
        ASSERT_EQ(seen.status, 127);
}

TEST(kill_before_release)
{
        char *argv[] = { (char *) "true", NULL };
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_(spawn_freep) Spawn *s = NULL;

        params.path = "/bin/true";
        params.argv = argv;
        s = start(&seen, &params);
        ASSERT_OK(spawn_kill(s, SIGKILL));
        run_to_exit(&seen);
        ASSERT_FALSE(seen.exec);
        ASSERT_EQ(seen.code, CLD_KILLED);
        ASSERT_EQ(seen.status, SIGKILL);
}

TEST(free_before_release)
{
        char *argv[] = { (char *) "true", NULL };
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        Spawn *s;
        pid_t pid;

        params.path = "/bin/true";
        params.argv = argv;
        s = start(&seen, &params);
        pid = spawn_pid(s)->pid;
        spawn_free(s);
        ASSERT_EQ(kill(pid, 0), -1);
        ASSERT_EQ(errno, ESRCH);
}

/* The supervisor is killed while its child is paused: a middle process plays the supervisor. */
TEST(parent_dies)
{
        char *argv[] = { (char *) "true", NULL };
        int pair[2];
        char byte;
        pid_t pid;

        ASSERT_OK(pipe2(pair, O_CLOEXEC));
        pid = ASSERT_OK(fork());
        if (pid == 0) {
                SpawnParams params = SPAWN_PARAMS_INIT;
                Seen seen;

                params.path = "/bin/true";
                params.argv = argv;
                (void) spawn_params_add_fd(&params, pair[1]);
                (void) start(&seen, &params);
                _exit(0);
        }
        close(pair[1]);
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        /*
         * Ends only when the paused grandchild, which holds the pipe as its descriptor 3, has
         * gone.
         */
        ASSERT_TRUE(fd_wait(pair[0], 1 /* POLLIN */, 5000) != 0);
        ASSERT_EQ(read(pair[0], &byte, 1), 0);
        close(pair[0]);
}

/* Sources in an order that clashes with the targets; the program gets 0 to 4 and nothing else. */
TEST(descriptors)
{
        _cleanup_close_ int leaked = -EBADF;
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = NULL;
        int a[2], b[2];

        leaked = ASSERT_OK(open("/dev/null", O_RDONLY));         /* no CLOEXEC */
        ASSERT_OK(pipe2(a, O_CLOEXEC));
        ASSERT_OK(pipe2(b, O_CLOEXEC));
        ASSERT_OK(write_full(a[1], "from-a\n", 7));
        ASSERT_OK(write_full(b[1], "from-b\n", 7));
        ASSERT_ERROR(spawn_params_add_fd(&params, -1), EBADF);
        ASSERT_EQ(spawn_params_add_fd(&params, b[0]), 3);
        ASSERT_EQ(spawn_params_add_fd(&params, a[0]), 4);
        /*
         * 5 is the directory that ls itself reads; anything inherited would have taken that
         * number.
         */
        output = run_shell(params,
                        "read x <&3; read y <&4; echo $x $y; "
                        "readlink /proc/self/fd/0 /proc/self/fd/2; exec ls /proc/self/fd",
                        &seen);
        ASSERT_STREQ(output, "from-b from-a\n/dev/null\n/dev/null\n0\n1\n2\n3\n4\n5\n");
        close(a[0]);
        close(a[1]);
        close(b[0]);
        close(b[1]);
}

TEST(too_many_descriptors)
{
        SpawnParams params = SPAWN_PARAMS_INIT;

        for (unsigned i = 0; i < SPAWN_FDS_MAX; i++)
                ASSERT_EQ(spawn_params_add_fd(&params, 0), 3 + i);
        ASSERT_ERROR(spawn_params_add_fd(&params, 0), E2BIG);
}

TEST(environment_and_confinement)
{
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = NULL;
        sigset_t block;

        /* Settings of the supervisor that must not be inherited. */
        sigemptyset(&block);
        sigaddset(&block, SIGTERM);
        ASSERT_OK(sigprocmask(SIG_BLOCK, &block, NULL));
        (void) signal(SIGPIPE, SIG_IGN);
        params.oom_score_adj = 300;
        params.nofile = 64;
        output = run_shell(params,
                        "grep -E '^(SigBlk|SigIgn|NoNewPrivs|CapEff|CapBnd|CapInh|CapAmb):' "
                        "/proc/self/status; "
                        "cat /proc/self/oom_score_adj; ulimit -n; ulimit -c; pwd; umask; "
                        "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=",
                        &seen);
        ASSERT_CONTAINS(output, "SigBlk:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "SigIgn:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "NoNewPrivs:\t1\n");
        ASSERT_CONTAINS(output, "CapInh:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "CapEff:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "CapAmb:\t0000000000000000\n");
        if (geteuid() == 0)
                ASSERT_CONTAINS(output, "CapBnd:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "\n300\n64\n0\n/\n0077\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
        ASSERT_OK(sigprocmask(SIG_UNBLOCK, &block, NULL));
}

TEST(identity)
{
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = NULL;
        const gid_t groups[] = { 4242 };

        if (geteuid() != 0) {
                fprintf(stderr, "not root, skipped\n");
                return;
        }

        params.uid = params.gid = 65534;
        params.groups = groups;
        params.n_groups = 1;
        output = run_shell(params,
                        "grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapBnd):' /proc/self/status",
                        &seen);
        ASSERT_CONTAINS(output, "Uid:\t65534\t65534\t65534\t65534\n");
        ASSERT_CONTAINS(output, "Gid:\t65534\t65534\t65534\t65534\n");
        ASSERT_CONTAINS(output, "Groups:\t4242 \n");
        ASSERT_CONTAINS(output, "CapPrm:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "CapEff:\t0000000000000000\n");
        ASSERT_CONTAINS(output, "CapBnd:\t0000000000000000\n");
}

TEST(network_namespace)
{
        _cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = -EBADF;
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = NULL;
        char path[64], wanted[64] = {};

        if (unshare(CLONE_NEWNET) < 0) {
                fprintf(stderr, "no network namespace of our own, skipped\n");
                return;
        }
        other = ASSERT_OK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        ASSERT_OK(setns(own, CLONE_NEWNET));

        params.netns_fd = other;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
        ASSERT_TRUE(readlink(path, wanted, sizeof(wanted) - 2) > 0);
        strcat(wanted, "\n");
        output = run_shell(params, "readlink /proc/self/ns/net; ls /proc/self/fd | wc -l", &seen);
        /* The namespace, and no descriptor of it: 0, 1, 2 and that of ls. */
        ASSERT_CONTAINS(output, wanted);
        ASSERT_CONTAINS(output, "\n4\n");
}

TEST(kept_capabilities)
{
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(seen_done) Seen seen = {};
        _cleanup_free_ char *output = NULL;

        if (geteuid() != 0) {
                fprintf(stderr, "not root, skipped\n");
                return;
        }

        params.keep_caps = 0x3;         /* CAP_CHOWN, CAP_DAC_OVERRIDE */
        output = run_shell(params, "grep -E '^Cap(Eff|Bnd):' /proc/self/status", &seen);
        ASSERT_STREQ(output, "CapEff:\t0000000000000003\nCapBnd:\t0000000000000003\n");
}

TEST(exit_text)
{
        _cleanup_free_ char *a = process_exit_text(CLD_EXITED, 1),
                            *b = process_exit_text(CLD_KILLED, SIGKILL),
                            *c = process_exit_text(0, 0), *d = process_exit_text(CLD_KILLED, 40);

        ASSERT_STREQ(a, "exited with status 1");
        ASSERT_STREQ(b, "was killed by signal KILL");
        ASSERT_CONTAINS(c, "not known");
        ASSERT_STREQ(d, "was killed by signal 40");
}

DEFINE_TEST_MAIN
