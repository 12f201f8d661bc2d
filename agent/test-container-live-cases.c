/* SPDX-License-Identifier: Apache-2.0 */
/* What real containers must do: see test-container-live.h. */

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test-container-live.h"
#include "basic/fd.h"

#define CYCLES 200U

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

/* Programs wait for their input, also where there is none. */
TEST(empty_input_is_an_ordinary_file)
{
        static Run run;

        run_init(&run, "cat /proc/self/fdinfo/0");
        ASSERT_EQ(run_all(&run), 0);
        /* O_NONBLOCK */
        ASSERT_CONTAINS(run.output, "flags:\t");
        ASSERT_FALSE(strtoul(strstr(run.output, "flags:\t") + strlen("flags:\t"), NULL, 8) & 04000);
        run_done(&run);
}

/* The guest's own mounts are not followed, but where the configuration says so. */
TEST(propagation)
{
        static char *bind[] = { (char *) "rbind" }, *slave[] = { (char *) "rbind", (char *) "rslave" };
        static Run run;
        char path[256], other[256];

        run_init(&run, "grep -E ' /(vol|dev/null|proc/keys|secret) ' /proc/self/mountinfo; echo; "
                       "grep ' /slave ' /proc/self/mountinfo");
        ASSERT_OK(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
        add_mount(&run, "/vol", host_path(path, sizeof(path), "volume"), "bind", bind, 1);
        add_mount(&run, "/slave", host_path(other, sizeof(other), "volume"), "bind", slave, 2);
        run.names[0] = (char *) "/etc/passwd";
        run.linux_part.maskedpaths = run.names;
        run.linux_part.n_maskedpaths = 1;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, " /vol ");
        ASSERT_TRUE(!strstr(run.output, "master:") || strstr(run.output, "master:") > strstr(run.output, "\n\n"));
        ASSERT_CONTAINS(strstr(run.output, "\n\n"), "master:");
        run_done(&run);
        ASSERT_OK(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL));
}

TEST(read_only_dev)
{
        static char *options[] = { (char *) "nosuid", (char *) "mode=755", (char *) "ro" };
        static Run run;

        run_init(&run, "touch /dev/x 2>&1; echo to >/dev/null && ls /dev/pts/ptmx; : >/dev/shm/y && echo shm");
        for (size_t i = 0; i < run.spec.n_mounts; i++)
                if (strcmp(run.mounts[i].destination, "/dev") == 0) {
                        run.mounts[i].options = options;
                        run.mounts[i].n_options = ELEMENTSOF(options);
                }
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "Read-only file system");
        ASSERT_CONTAINS(run.output, "/dev/pts/ptmx\nshm\n");
        run_done(&run);
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
        ASSERT_CONTAINS(run.output, "home=/srv/tester\nbox\n123\n0022\n/srv/made/for/it\n");
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

static bool have_controller(const char *name)
{
        _cleanup_free_ char *available = NULL;
        char path[256];

        snprintf(path, sizeof(path), "%s/cgroup.controllers", cgroup_root);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &available, NULL));
        return strstr(available, name);
}

TEST(limits_without_controllers)
{
        static Run run;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;

        run_init(&run, "cat /sys/fs/cgroup/pids.max");
        pids.limit = 20;
        resources.pids = &pids;
        run.linux_part.resources = &resources;
        if (have_controller("pids")) {
                ASSERT_EQ(run_all(&run), 0);
                ASSERT_STREQ(run.output, "20\n");
        } else {
                ASSERT_ERROR(run_all(&run), EOPNOTSUPP);
                ASSERT_CONTAINS(run.message, "'pids.max'");
        }
        run_done(&run);
}

TEST(standard_streams)
{
        static Run run;
        int p[2];

        /* A pipe of the agent, reopened by name by a user who is not root. */
        ASSERT_OK(pipe2(p, O_CLOEXEC));
        ASSERT_EQ(write(p[1], "input\n", 6), 6);
        safe_close(p[1]);
        run_init(&run, "cat; cat /dev/stdin; echo again >/dev/stdout; echo 2 >/dev/stderr; id -u");
        run.stdin_fd = p[0];
        run.user.uid = run.user.gid = 1000;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "input\nagain\n2\n1000\n");
        run_done(&run);
        safe_close(p[0]);

        /* None: a /dev/null of the container's own. */
        run_init(&run, "cat; stat -L -c '%F %t:%T' /proc/self/fd/0; readlink /proc/self/fd/0");
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "character special file 1:3\n/dev/null\n");
        run_done(&run);
}

TEST(without_cgroup_namespace)
{
        static Run run;

        /* The mount shows the container's cgroup and nothing above it. */
        run_init(&run, "cat /proc/self/cgroup | tail -n 1; cat /sys/fs/cgroup/cgroup.procs | head -n 1; "
                       "ls /sys/fs/cgroup/kata 2>&1; ls /sys/fs/cgroup/..");
        run.linux_part.n_namespaces--;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "/kata/live-test\n1\n");
        ASSERT_CONTAINS(run.output, "No such file");
        run_done(&run);
}

TEST(proc_and_remount)
{
        static Run run;
        static char *rbind[] = { (char *) "rbind" };
        static char *remount[] = { (char *) "remount", (char *) "ro", (char *) "noexec" };
        char dir[256];

        /* Another procfs instead of a new one is fine, anything else is not. */
        run_init(&run, "cat /proc/uptime >/dev/null && echo proc");
        add_mount(&run, "/proc", "/proc", "bind", rbind, 1);
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "proc\n");
        run_done(&run);

        run_init(&run, "");
        add_mount(&run, "/proc", host_path(dir, sizeof(dir), "volume"), "bind", rbind, 1);
        ASSERT_ERROR(run_all(&run), EPERM);
        ASSERT_CONTAINS(run.message, "is not a procfs");
        run_done(&run);

        run_init(&run, "touch /dev/shm/x || echo ro; grep -c ' /dev/shm ro,nosuid,nodev,noexec' "
                       "/proc/self/mountinfo; grep -c ' / rw.* shared:' /proc/self/mountinfo");
        run.linux_part.rootfspropagation = (char *) "rshared";
        add_mount(&run, "/dev/shm", "", "", remount, ELEMENTSOF(remount));
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "ro\n1\n1\n");
        run_done(&run);
}

/* A list of what is allowed, as container engines ship it; and a user who may not load filters. */
TEST(seccomp_allow_list)
{
        static Run run;
        static char *archs[] = { (char *) "SCMP_ARCH_X86_64", (char *) "SCMP_ARCH_X86" };
        static char *names[512];
        Grpc__LinuxSeccomp filter = GRPC__LINUX_SECCOMP__INIT;
        Grpc__LinuxSyscall rule = GRPC__LINUX_SYSCALL__INIT, *rules[] = { &rule };

        for (int nr = 0; nr < 460 && rule.n_names < ELEMENTSOF(names); nr++) {
                char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);

                if (name && (startswith(name, "mkdir") || streq(name, "getrandom")))
                        free(name);
                else if (name)
                        names[rule.n_names++] = name;
        }
        run_init(&run, "mkdir /tmp/x; id -u; grep -E '^(Seccomp|CapEff)' /proc/self/status");
        run.user.uid = 1000;
        filter.defaultaction = (char *) "SCMP_ACT_ERRNO";
        filter.syscalls = rules;
        filter.n_syscalls = 1;
        if (seccomp_arch_native() == SCMP_ARCH_X86_64) {
                filter.architectures = archs;
                filter.n_architectures = 2;
        }
        rule.names = names;
        rule.action = (char *) "SCMP_ACT_ALLOW";
        run.linux_part.seccomp = &filter;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "Operation not permitted\n1000\n");
        ASSERT_CONTAINS(run.output, "CapEff:\t0000000000000000");
        ASSERT_CONTAINS(run.output, "Seccomp:\t2");
        run_done(&run);
        for (size_t i = 0; i < rule.n_names; i++)
                free(names[i]);
}

TEST(limits)
{
        static Run run;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
        Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;

        if (!have_controller("memory") || !have_controller("cpu")) {
                fprintf(stderr, "skipped: no memory and cpu controller in cgroup v2\n");
                return;
        }

        run_init(&run, "cd /sys/fs/cgroup; cat memory.max memory.low cpu.max cpu.weight cpuset.cpus; "
                       "tail -c 64m /dev/zero | wc -c; "
                       "grep -E '^oom_kill [1-9]' memory.events && echo enforced");
        memory.limit = 16 * 1024 * 1024;
        memory.reservation = 1024 * 1024;
        memory.swap = 32 * 1024 * 1024;
        cpu.shares = 2048;
        cpu.quota = 90000;
        cpu.cpus = (char *) "0";
        resources.memory = &memory;
        resources.cpu = &cpu;
        run.linux_part.resources = &resources;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "16777216\n1048576\n90000 100000\n174\n0\n");
        ASSERT_CONTAINS(run.output, "enforced\n");
        run_done(&run);

        /* Too little for the set-up itself: said as such. Some kernels let it get as far as execve(). */
        run_init(&run, "");
        memory.limit = 64 * 1024;
        memory.reservation = memory.swap = 0;
        run.linux_part.resources = &resources;
        if (run_all(&run) == 128 + SIGKILL)
                ASSERT_TRUE(run.started);
        else {
                ASSERT_EQ(run.error, -ENOMEM);
                ASSERT_CONTAINS(run.message, "memory limit");
        }
        run_done(&run);
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
        const ContainerPlace place = CONTAINER_PLACE_NULL(cgroup_root);
        ContainerHandlers h = handlers;

        h.on_created = remove_in_handler;
        h.userdata = &run;
        for (unsigned i = 0; i < 2; i++) {
                run_init(&run, "exit 1");
                if (i == 1)
                        run.args[0] = (char *) "missing";
                ASSERT_OK(container_create(&run.container, run.loop, &place, "live-1",
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
