/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that join a container with a user namespace: see test-container-live-exec.h. */

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test-container-live-exec.h"
#include "basic/fd.h"

/* Root inside is nobody outside, from the first moment on that the container can see. */
TEST(exec_in_a_user_namespace)
{
        _cleanup_free_ char *text = NULL;
        static Run run;
        static ExecRun x;
        Grpc__POSIXRlimit limit = GRPC__POSIXRLIMIT__INIT, *limits[] = { &limit };
        uint32_t groups[] = { 7 };
        unsigned fds = count_entries("/proc/self/fd");
        char path[64], expected[128];
        /* Without it this machine can not show that the agent's privileges are used. */
        bool may_raise = prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1;

        /* Also into one that has not executed a program yet, whose links nobody inside may read. */
        run_init_user(&run, "sleep 1000");
        run.spec.hostname = (char *) "box";
        run.hold = true;
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.created);
        if (run.error < 0)
                TEST_FAIL("%d: %s", run.error, run.message);
        exec_init(&x, &run, "cat /proc/self/cgroup; ls -d /bin");
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "0::/\n/bin\n");
        exec_done(&x);
        ASSERT_OK(container_start(run.container, NULL));
        run_until(&run, &run.started);

        /* A score and a limit that take a privilege of the guest's. */
        exec_init(&x, &run, "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -G; hostname; "
                            "cat /proc/self/oom_score_adj; grep msgqueue /proc/self/limits; "
                            "for n in mnt pid ipc uts cgroup net user; do "
                            "[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo other $n; done; "
                            "ls -l /proc/self/fd 2>/dev/null | wc -l; grep -E '^Cap(Prm|Bnd)' /proc/self/status; "
                            "touch /etc/x || echo denied; cat /proc/1/oom_score_adj; echo again >/dev/stdout");
        x.user.additionalgids = groups;
        x.user.n_additionalgids = 1;
        x.process.oomscoreadj = may_raise ? -17 : 17;
        limit.type = (char *) "RLIMIT_MSGQUEUE";
        limit.soft = 4711;
        limit.hard = may_raise ? 1 << 24 : 4712;
        x.process.rlimits = limits;
        x.process.n_rlimits = 1;
        x.names[0] = (char *) "CAP_SYS_PTRACE";
        x.caps.bounding = x.caps.permitted = x.caps.effective = x.names;
        x.caps.n_bounding = x.caps.n_permitted = x.caps.n_effective = 1;
        if (exec_all(&x) != 0)
                TEST_FAIL("%d: %s; %s", x.status, strempty(x.message), x.output);
        snprintf(expected, sizeof(expected), "         0     100000      65536\n         0     100000      65536\n"
                                             "0\n0 7\nbox\n%lld\n", (long long) x.process.oomscoreadj);
        ASSERT_CONTAINS(x.output, expected);
        snprintf(expected, sizeof(expected), " 4711                 %llu ", (unsigned long long) limit.hard);
        ASSERT_CONTAINS(x.output, expected);
        ASSERT_CONTAINS(x.output, "\n5\nCapPrm:\t0000000000080000\nCapBnd:\t0000000000080000\n");
        ASSERT_CONTAINS(x.output, "denied\n0\nagain\n");
        ASSERT_NULL(strstr(x.output, "other"));
        exec_done(&x);

        /* Another user; as the guest sees it. */
        exec_init(&x, &run, "id -u; echo again >/dev/stdout; sleep 1000");
        x.user.uid = 1000;
        x.user.gid = 1001;
        ASSERT_OK(exec_create(&x));
        while (!strstr(x.output, "again\n"))
                ASSERT_OK(loop_run_once(run.loop, 1000));
        ASSERT_STREQ(x.output, "1000\nagain\n");
        run_until(&run, &x.started);
        snprintf(path, sizeof(path), "/proc/%d/status", (int) container_exec_pid(x.exec));
        ASSERT_OK(read_file_at(AT_FDCWD, path, 16384, &text, NULL));
        ASSERT_CONTAINS(text, "Uid:\t101000\t101000\t101000\t101000\nGid:\t101001\t");
        exec_done(&x);

        /* Nobody inside. */
        exec_init(&x, &run, "echo never");
        x.user.uid = 70000;
        ASSERT_EQ(exec_all(&x), -EINVAL);
        ASSERT_CONTAINS(x.message, "user 70000 has no mapping");
        exec_done(&x);
        exec_init(&x, &run, "echo never");
        groups[0] = 65536;
        x.user.additionalgids = groups;
        x.user.n_additionalgids = 1;
        ASSERT_EQ(exec_all(&x), -EINVAL);
        ASSERT_CONTAINS(x.message, "group 65536 has no mapping");
        exec_done(&x);

        exec_init(&x, &run, "tty; stty size; stat -c %u:%t $(tty); ls -l /proc/self/fd 2>/dev/null | wc -l");
        x.process.terminal = true;
        x.user.uid = 1000;
        x.size.height = 33;
        x.size.width = 99;
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_STREQ(x.output, "/dev/pts/0\r\n33 99\r\n1000:88\r\n5\r\n");
        exec_done(&x);

        for (unsigned i = 0; i < 20; i++) {
                exec_init(&x, &run, i % 2 == 0 ? "exit 3" : "");
                if (i % 2 == 1)
                        x.args[0] = (char *) "missing";
                ASSERT_EQ(exec_all(&x), i % 2 == 0 ? 3 : -ENOENT);
                exec_done(&x);
        }
        run_done(&run);
        ASSERT_EQ(count_entries("/proc/self/fd"), fds);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
}

/* A cgroup that the container's root owns, and a container without a cgroup namespace. */
TEST(exec_in_cgroups_of_a_user_namespace)
{
        static char *rw[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev" };
        static Run run;
        static ExecRun x;

        run_init_user(&run, "sleep 1000");
        run.mounts[run.spec.n_mounts - 1].options = rw;
        run.mounts[run.spec.n_mounts - 1].n_options = ELEMENTSOF(rw);
        start_sleeper(&run);
        exec_init(&x, &run, "mkdir /sys/fs/cgroup/sub && echo $$ >/sys/fs/cgroup/sub/cgroup.procs && "
                            "cat /proc/self/cgroup");
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "0::/sub\n");
        exec_done(&x);
        run_done(&run);

        run_init_user(&run, "sleep 1000");
        run.namespace_list[4] = run.namespace_list[5];
        run.linux_part.n_namespaces = 5;
        start_sleeper(&run);
        exec_init(&x, &run, "cat /proc/self/cgroup; id -u");
        ASSERT_EQ(exec_all(&x), 0);
        ASSERT_CONTAINS(x.output, "/kata/live-test\n0\n");
        exec_done(&x);
        run_done(&run);
}
