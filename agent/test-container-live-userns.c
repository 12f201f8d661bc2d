/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that join a container with a user namespace: see test-container-live-exec.h. */

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

/* Ids of a volume as they are on the file system, and as the container sees them: two views of one directory. */
TEST(idmapped_mounts)
{
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Kata__Systemd__V1__MountMappings mappings = KATA__SYSTEMD__V1__MOUNT_MAPPINGS__INIT, *list[] = { &mappings };
        Grpc__LinuxIDMapping map = GRPC__LINUX_IDMAPPING__INIT, *maps[] = { &map };
        static char *idmap[] = { (char *) "rbind", (char *) "ridmap" };
        ContainerPlace place = CONTAINER_PLACE_NULL(cgroup_root);
        char volume[256], inner[256], file[300];
        struct stat st;
        static Run run;

        host_path(volume, sizeof(volume), "mapped");
        host_path(inner, sizeof(inner), "mapped/inner");
        snprintf(file, sizeof(file), "%s/seven", inner);
        ASSERT_OK(mkdir_p(volume, 0755));
        ASSERT_OK(mount("tmpfs", volume, "tmpfs", 0, "mode=755"));
        ASSERT_OK(mkdir_p(inner, 0755));
        ASSERT_OK(mount("tmpfs", inner, "tmpfs", 0, "mode=777"));
        ASSERT_OK(write_file_atomic(file, "x", 1, 0600));
        ASSERT_OK(chown(file, 7, 8));

        /* Not in a user namespace: what is 7 there is 1007 here, and the other way round. */
        run_init(&run, "cd /vol; stat -c %u:%g . inner inner/seven; touch inner/new; stat -c %u inner/new");
        run.place = &place;
        run.user.uid = 1007;
        run.user.gid = 1008;
        place.extension = &extension;
        extension.mount_mappings = list;
        extension.n_mount_mappings = 1;
        mappings.uid_mappings = mappings.gid_mappings = maps;
        mappings.n_uid_mappings = mappings.n_gid_mappings = 1;
        map.hostid = 1000;
        map.size = 100;
        add_mount(&run, "/vol", volume, "bind", idmap, ELEMENTSOF(idmap));
        mappings.mount = (uint32_t) run.spec.n_mounts - 1;
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_STREQ(run.output, "1000:1000\n1000:1000\n1007:1008\n1007\n");
        run_done(&run);
        snprintf(file, sizeof(file), "%s/new", inner);
        ASSERT_OK(stat(file, &st));
        ASSERT_EQ(st.st_uid, 7);

        /* In one, by its mappings: its root owns what is root's on the file system. */
        run_init_user(&run, "stat -c %u:%g /vol /vol/inner/seven; touch /vol/mine && echo made; "
                            "umount /vol || echo kept");
        add_mount(&run, "/vol", volume, "bind", idmap, ELEMENTSOF(idmap));
        ASSERT_EQ(run_all(&run), 0);
        ASSERT_CONTAINS(run.output, "0:0\n7:8\nmade\n");
        ASSERT_CONTAINS(run.output, "kept\n");
        run_done(&run);
        snprintf(file, sizeof(file), "%s/mine", volume);
        ASSERT_OK(stat(file, &st));
        ASSERT_EQ(st.st_uid, 0);

        /* A file system without, and a source that is not there: one error each, and nothing is left. */
        for (unsigned i = 0; i < 2; i++) {
                run_init_user(&run, "true");
                add_mount(&run, "/vol", i == 0 ? "/proc/self" : "/no/such", "bind", idmap, ELEMENTSOF(idmap));
                ASSERT_ERROR(run_all(&run), i == 0 ? EOPNOTSUPP : ENOENT);
                ASSERT_CONTAINS(run.message, i == 0 ? "mount '/vol': id map of '/proc/self': this kernel has no "
                                                      "id-mapped mounts of the file system (proc)"
                                                    : "mount '/vol': source '/no/such': No such file");
                run_done(&run);
        }
        ASSERT_OK(umount2(volume, MNT_DETACH));
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
