/* SPDX-License-Identifier: Apache-2.0 */
/* Real containers: user and time namespaces, changes of what is there, pauses, numbers. */

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/cgroup-events.h"
#include "agent/cgroup-stats.h"
#include "agent/devices.h"
#include "agent/test-container-live-exec.h"
#include "basic/fd.h"

#define S(s) ((char *) (s))

static void run_ok(Run *run)
{
        int r = run_all(run);

        if (r != 0)
                TEST_FAIL("%d: %s; %s", r, strempty(run->message), run->output);
}

TEST(user_namespace)
{
        static char *caps[] = { S("CAP_SYS_ADMIN"), S("CAP_DAC_OVERRIDE") };
        static char *rw[] = { S("nosuid"), S("noexec"), S("nodev") };
        static Run run;
        char path[256];
        struct stat st;

        run_init_user(&run, "cat /proc/self/uid_map /proc/self/gid_map; id -u; hostname; cat "
                            "/proc/self/oom_score_adj; ulimit -n; echo x >/dev/null && echo null; "
                            "head -c 3 /dev/zero | wc -c; touch /etc/x || echo denied; "
                            "mount -t tmpfs none /tmp && touch /tmp/x && echo mounted; "
                            "echo 0 >/sys/fs/cgroup/cgroup.freeze || echo ro; "
                            "grep -E '^CapEff' /proc/self/status; hostname other && hostname");
        run.spec.hostname = S("box");
        run.process.oomscoreadj = 17;
        run.rlimit.type = S("RLIMIT_NOFILE");
        run.rlimit.soft = 100;
        run.rlimit.hard = 200;
        run.rlimit_list[0] = &run.rlimit;
        run.process.rlimits = run.rlimit_list;
        run.process.n_rlimits = 1;
        run.caps.bounding = run.caps.permitted = run.caps.effective = caps;
        run.caps.n_bounding = run.caps.n_permitted = run.caps.n_effective = ELEMENTSOF(caps);
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "         0     100000      65536\n         0     100000      65536\n"
                                    "0\nbox\n17\n100\nnull\n3\n");
        ASSERT_CONTAINS(run.output, "denied\nmounted\n");
        ASSERT_CONTAINS(run.output, "ro\nCapEff:\t0000000000200002\nother\n");
        run_done(&run);

        /* Another user, who may open the pipe by name. */
        run_init_user(&run, "id -u; id -G; echo again >/dev/stdout");
        run.user.uid = 1000;
        run.user.gid = 1001;
        run_ok(&run);
        ASSERT_STREQ(run.output, "1000\n1001\nagain\n");
        run_done(&run);

        /* A writable cgroup is handed over. */
        run_init_user(&run, "mkdir /sys/fs/cgroup/sub && echo $$ >/sys/fs/cgroup/sub/cgroup.procs && cat "
                            "/proc/self/cgroup; stat -c %u /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/cgroup.freeze");
        run.mounts[run.spec.n_mounts - 1].options = rw;
        run.mounts[run.spec.n_mounts - 1].n_options = ELEMENTSOF(rw);
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "0::/sub\n0\n65534\n");
        run_done(&run);

        /* Files that root inside makes belong to nobody special outside. */
        run_init_user(&run, "touch /vol/made && echo made");
        ASSERT_OK(mkdir_p(host_path(path, sizeof(path), "shared"), 0755));
        ASSERT_OK(chown(path, OUTSIDE, OUTSIDE));
        static char *bind[] = { S("rbind") };
        ASSERT_OK(mkdir_p(host_path(path, sizeof(path), "rootfs/vol"), 0755));
        add_mount(&run, "/vol", host_path(path, sizeof(path), "shared"), "bind", bind, 1);
        run_ok(&run);
        ASSERT_STREQ(run.output, "made\n");
        run_done(&run);
        ASSERT_OK(stat(host_path(path, sizeof(path), "shared/made"), &st));
        ASSERT_EQ(st.st_uid, OUTSIDE);
}

/* The ipc namespace is made by root of the user namespace, so that what is in it is its. */
TEST(user_namespace_message_queues)
{
        static char *safe[] = { S("nosuid"), S("noexec"), S("nodev") };
        static Run run;

        run_init_user(&run, "stat -c %u:%g /dev/mqueue");
        add_mount(&run, "/dev/mqueue", "mqueue", "mqueue", safe, ELEMENTSOF(safe));
        run_ok(&run);
        ASSERT_STREQ(run.output, "0:0\n");
        run_done(&run);
}

TEST(user_and_network_namespace)
{
        static Run run;
        Grpc__StringEntry ttl = GRPC__STRING_ENTRY__INIT, *list[] = { &ttl };

        /* A network of its own is its own to configure. */
        run_init_user(&run, "cat /proc/sys/net/ipv4/ip_default_ttl; ifconfig lo");
        add_namespace(&run, "network");
        ttl.key = S("net.ipv4.ip_default_ttl");
        ttl.value = S("78");
        run.linux_part.sysctl = list;
        run.linux_part.n_sysctl = 1;
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "78\n");
        ASSERT_CONTAINS(run.output, "UP LOOPBACK RUNNING");
        run_done(&run);
}

TEST(time_namespace)
{
        static Run run;
        char ours[64] = {};

        if (readlink("/proc/self/ns/time", ours, sizeof(ours) - 1) < 0) {
                fprintf(stderr, "skipped: no time namespaces in this kernel\n");
                return;
        }
        run_init(&run, "readlink /proc/self/ns/time; cat /proc/self/timens_offsets");
        add_namespace(&run, "time");
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "time:[");
        ASSERT_NULL(strstr(run.output, ours));
        run_done(&run);
}

/* What Kata's messages have no field for. */
TEST(extension)
{
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Kata__Systemd__V1__IOPriority io = KATA__SYSTEMD__V1__IOPRIORITY__INIT;
        Kata__Systemd__V1__Scheduler scheduler = KATA__SYSTEMD__V1__SCHEDULER__INIT;
        Kata__Systemd__V1__Personality personality = KATA__SYSTEMD__V1__PERSONALITY__INIT;
        Kata__Systemd__V1__TimeOffset offset = KATA__SYSTEMD__V1__TIME_OFFSET__INIT, *offsets[] = { &offset };
        ContainerPlace place = CONTAINER_PLACE_NULL(cgroup_root);
        static Run run;

        run_init(&run, "umask; cat /proc/sys/kernel/domainname; uname -m; ionice -p $$; "
                       "cut -d' ' -f18,19 /proc/$$/stat");
        place.extension = &extension;
        run.place = &place;
        extension.domainname = S("example.org");
        extension.has_umask = true;
        extension.umask = 027;
        extension.io_priority = &io;
        io.io_class = S("IOPRIO_CLASS_BE");
        io.priority = 6;
        extension.scheduler = &scheduler;
        scheduler.policy = S("SCHED_BATCH");
        scheduler.nice = 5;
        extension.personality = &personality;
        personality.domain = S("LINUX32");
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "0027\nexample.org\ni686\n");
        ASSERT_CONTAINS(run.output, "prio 6\n");
        ASSERT_CONTAINS(run.output, "25 5\n");
        run_done(&run);

        if (access("/proc/self/timens_offsets", F_OK) < 0 || prctl(PR_CAPBSET_READ, CAP_SYS_TIME) <= 0) {
                fprintf(stderr, "skipped: no time namespaces in this kernel, or no CAP_SYS_TIME\n");
                return;
        }
        run_init(&run, "grep boottime /proc/self/timens_offsets; read up rest </proc/uptime; "
                       "test ${up%.*} -gt 10000000 && echo late");
        run.place = &place;
        extension = (Kata__Systemd__V1__SpecExtension) KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        extension.time_offsets = offsets;
        extension.n_time_offsets = 1;
        offset.clock = S("boottime");
        offset.secs = 10000000;
        add_namespace(&run, "time");
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "10000000");
        ASSERT_CONTAINS(run.output, "late\n");
        run_done(&run);
}

/* A process that joins has its own, and of the container the personality. */
TEST(extension_of_exec)
{
        Kata__Systemd__V1__SpecExtension of_container = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT,
                                         extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        static const char script[] = "umask; uname -m; ionice -p $$; echo policy $(cut -d' ' -f41 /proc/$$/stat) "
                                     "nice $(cut -d' ' -f19 /proc/$$/stat)";
        Kata__Systemd__V1__IOPriority io = KATA__SYSTEMD__V1__IOPRIORITY__INIT;
        Kata__Systemd__V1__Scheduler batch = KATA__SYSTEMD__V1__SCHEDULER__INIT,
                                     nice = KATA__SYSTEMD__V1__SCHEDULER__INIT;
        Kata__Systemd__V1__Personality personality = KATA__SYSTEMD__V1__PERSONALITY__INIT;
        ContainerPlace place = CONTAINER_PLACE_NULL(cgroup_root);
        static Run run;
        static ExecRun x;

        place.extension = &of_container;
        of_container.has_umask = true;
        of_container.umask = 077;
        of_container.scheduler = &batch;
        batch.policy = S("SCHED_BATCH");
        batch.nice = 5;
        of_container.personality = &personality;
        personality.domain = S("LINUX32");
        for (int user = 0; user < 2; user++) {
                if (user)
                        run_init_user(&run, "exec sleep 1000");
                else
                        run_init(&run, "exec sleep 1000");
                run.place = &place;
                ASSERT_OK(run_create(&run));
                run_until(&run, &run.started);

                exec_init(&x, &run, script);
                ASSERT_EQ(exec_all(&x), 0);
                ASSERT_CONTAINS(x.output, "0022\ni686\n");
                ASSERT_CONTAINS(x.output, "policy 0 ");
                exec_done(&x);

                exec_init(&x, &run, script);
                x.extension = &extension;
                extension.has_umask = true;
                extension.umask = 027;
                extension.io_priority = &io;
                io.io_class = S("IOPRIO_CLASS_BE");
                io.priority = 6;
                extension.scheduler = &nice;
                nice.policy = S("SCHED_OTHER");
                nice.nice = -3;
                ASSERT_EQ(exec_all(&x), 0);
                ASSERT_CONTAINS(x.output, "0027\ni686\n");
                ASSERT_CONTAINS(x.output, "prio 6\n");
                ASSERT_CONTAINS(x.output, "policy 0 nice -3\n");
                exec_done(&x);

                exec_init(&x, &run, script);
                extension.domainname = S("d");
                x.extension = &extension;
                ASSERT_ERROR(exec_create(&x), EINVAL);
                ASSERT_CONTAINS(x.message, "domainname is no property of a process");
                extension.domainname = S("");
                exec_done(&x);
                run_done(&run);
        }
}

TEST(sysctls_and_recursive_read_only)
{
        static char *rro[] = { S("rbind"), S("rro") };
        static Run run;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *list[] = { &entry };
        char volume[256], inner[256];

        host_path(volume, sizeof(volume), "nested");
        host_path(inner, sizeof(inner), "nested/inner");
        ASSERT_OK(mkdir_p(inner, 0755));
        ASSERT_OK(mount("tmpfs", inner, "tmpfs", 0, NULL));
        run_init(&run, "cat /proc/sys/kernel/msgmax; touch /vol/x || echo ro; touch /vol/inner/x || echo ro");
        entry.key = S("kernel.msgmax");
        entry.value = S("8000");
        run.linux_part.sysctl = list;
        run.linux_part.n_sysctl = 1;
        add_mount(&run, "/vol", volume, "bind", rro, ELEMENTSOF(rro));
        run_ok(&run);
        ASSERT_CONTAINS(run.output, "8000\n");
        ASSERT_CONTAINS(strstr(run.output, "ro\n") + 3, "ro\n");
        run_done(&run);
        ASSERT_OK(umount2(inner, MNT_DETACH));
}

static void on_changed(void *userdata)
{
        *(unsigned *) userdata += 1;
}

static void wait_for_output(Run *run, const char *text)
{
        usec_t end = now_usec() + 20 * USEC_PER_SEC;

        while (!strstr(run->output, text) && now_usec() < end)
                ASSERT_OK(loop_run_once(run->loop, 100));
        ASSERT_CONTAINS(run->output, text);
}

static void wait_frozen(Run *run, const unsigned *changes, uint64_t wanted)
{
        usec_t end = now_usec() + 20 * USEC_PER_SEC;
        uint64_t frozen = 2;

        /* The notification comes; what it says is in the file. */
        do {
                ASSERT_OK(loop_run_once(run->loop, 100));
                ASSERT_OK(cgroup_read_key(container_cgroup(run->container), "cgroup.events", "frozen", &frozen));
        } while ((frozen != wanted || *changes == 0) && now_usec() < end);
        ASSERT_EQ(frozen, wanted);
        ASSERT_TRUE(*changes > 0);
}

TEST(pause)
{
        static Run run;
        CgroupEvents *events;
        CgroupWatch *watch;
        unsigned changes = 0;
        size_t before;
        int fd;

        run_init(&run, "while :; do echo tick; sleep 0.01; done");
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        wait_for_output(&run, "tick\ntick\n");
        fd = container_cgroup(run.container)->fd;
        ASSERT_OK(cgroup_events_new(&events, run.loop));
        ASSERT_OK(cgroup_events_watch(events, &watch, container_cgroup(run.container), "cgroup.events",
                                      on_changed, &changes));
        ASSERT_OK(write_string_file_at(fd, "cgroup.freeze", "1"));
        wait_frozen(&run, &changes, 1);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(loop_run_once(run.loop, 10));
        before = run.n_output;
        for (unsigned i = 0; i < 10; i++)
                ASSERT_OK(loop_run_once(run.loop, 10));
        ASSERT_EQ(run.n_output, before);

        changes = 0;
        ASSERT_OK(write_string_file_at(fd, "cgroup.freeze", "0"));
        wait_frozen(&run, &changes, 0);
        while (run.n_output == before)
                ASSERT_OK(loop_run_once(run.loop, 100));

        /* A frozen container can be killed, and removed. */
        changes = 0;
        ASSERT_OK(write_string_file_at(fd, "cgroup.freeze", "1"));
        wait_frozen(&run, &changes, 1);
        ASSERT_OK(container_signal(run.container, SIGKILL, false, NULL));
        run_until(&run, &run.exited);
        ASSERT_EQ(run.status, 128 + SIGKILL);
        cgroup_watch_free(watch);
        cgroup_events_free(events);
        run_done(&run);

        run_init(&run, "sleep 1000 & sleep 1000");
        ASSERT_OK(run_create(&run));
        run_until(&run, &run.started);
        ASSERT_OK(write_string_file_at(container_cgroup(run.container)->fd, "cgroup.freeze", "1"));
        run_done(&run);
}

static int update_extended(Run *run, const Grpc__LinuxResources *resources,
                           const Kata__Systemd__V1__SpecExtension *extension, char **message)
{
        ContainerUpdate *u = NULL;
        int r;

        r = container_update_plan(&u, run->container, resources, extension, message);
        if (r >= 0)
                r = container_update_devices(run->container, u, message);
        if (r >= 0) {
                r = container_update_files(u, message);
                if (r < 0)
                        ASSERT_OK(container_update_undo(run->container, u));
        }
        container_update_free(u);
        return r;
}

static int update(Run *run, const Grpc__LinuxResources *resources, char **message)
{
        return update_extended(run, resources, NULL, message);
}

TEST(update_by_names)
{
        const Grpc__LinuxResources nothing = GRPC__LINUX_RESOURCES__INIT;
        Kata__Systemd__V1__SpecExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *list[] = { &entry };
        _cleanup_free_ char *message = NULL, *text = NULL;
        static Run run;

        run_init(&run, "exec sleep 1000");
        start_sleeper(&run);
        extension.has_umask = true;
        ASSERT_ERROR(update_extended(&run, &nothing, &extension, &message), EINVAL);
        ASSERT_CONTAINS(message, "umask can not be changed later");
        extension.has_umask = false;
        extension.unified = list;
        extension.n_unified = 1;
        entry.key = S("cgroup.procs");
        entry.value = S("1");
        ASSERT_ERROR(update_extended(&run, &nothing, &extension, &message), EINVAL);
        ASSERT_CONTAINS(message, "'cgroup.procs' is no file of a controller");
        entry.key = S("pids.max");
        entry.value = S("78");
        if (faccessat(container_cgroup(run.container)->fd, "pids.max", F_OK, 0) < 0) {
                ASSERT_ERROR(update_extended(&run, &nothing, &extension, &message), EOPNOTSUPP);
                ASSERT_CONTAINS(message, "'pids.max'");
        } else {
                ASSERT_OK(update_extended(&run, &nothing, &extension, &message));
                ASSERT_OK(read_file_at(container_cgroup(run.container)->fd, "pids.max", 64, &text, NULL));
                ASSERT_STREQ(text, "78\n");
        }
        run_done(&run);
}

static volatile sig_atomic_t n_alarms;

static void on_alarm(int sig)
{
        n_alarms++;
}

/*
 * The verifier gives up when a signal arrives; that other containers end meanwhile is no error of this one. One signal
 * for each filter, a little later every time: an emulated processor does nothing else if they come faster.
 */
TEST(device_filter_while_signals_arrive)
{
        const struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        _cleanup_free_ struct bpf_insn *insns = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF;
        DeviceRule rules[32];
        struct sigaction old;
        static Run run;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                rules[i] = (DeviceRule) { .allow = true, .type = 'c', .major = 511, .minor = (int64_t) i, .access = 1 };
        ASSERT_OK(device_filter_build(rules, ELEMENTSOF(rules), &insns, &n));

        run_init(&run, "exec sleep 1000");
        start_sleeper(&run);
        ASSERT_OK(sigaction(SIGALRM, &sa, &old));
        for (unsigned i = 0; i < 20; i++) {
                const struct itimerval once = { .it_value.tv_usec = 20 * (i + 1) };
                int r;

                ASSERT_OK(setitimer(ITIMER_REAL, &once, NULL));
                r = device_filter_attach(container_cgroup(run.container)->fd, insns, n, fd, &message);
                if (r < 0)
                        TEST_FAIL("filter %u, after %d signals: %s", i, (int) n_alarms, strempty(message));
                safe_close(fd);
                fd = r;
                /* The next one would take the place of a timer that has not fired yet. */
                while (n_alarms <= (int) i)
                        (void) usleep(100);
        }
        ASSERT_OK(sigaction(SIGALRM, &old, NULL));
        run_done(&run);
}

TEST(update)
{
        static char *mknod_cap[] = { S("CAP_MKNOD") };
        static Run run;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxDeviceCgroup rule = GRPC__LINUX_DEVICE_CGROUP__INIT, *rules[] = { &rule };
        Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
        Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
        _cleanup_free_ char *message = NULL;
        int p[2];

        /* A device that does not exist: opening it is EPERM where no rule allows it, else ENXIO. */
        ASSERT_OK(pipe2(p, O_CLOEXEC));
        run_init(&run, "mknod /dev/x c 511 9; for i in 1 2 3 4; do (: </dev/x) 2>&1; echo tried $i; read x; "
                       "done");
        run.stdin_fd = p[0];
        run.caps.bounding = run.caps.permitted = run.caps.effective = mknod_cap;
        run.caps.n_bounding = run.caps.n_permitted = run.caps.n_effective = 1;
        ASSERT_OK(run_create(&run));
        safe_close(p[0]);
        run_until(&run, &run.started);
        wait_for_output(&run, "tried 1\n");
        ASSERT_CONTAINS(run.output, "Operation not permitted\ntried 1\n");

        rule.allow = true;
        rule.type = S("c");
        rule.major = 511;
        rule.minor = 9;
        rule.access = S("r");
        resources.devices = rules;
        resources.n_devices = 1;
        ASSERT_OK(update(&run, &resources, &message));
        ASSERT_EQ(write(p[1], "\n", 1), 1);
        wait_for_output(&run, "tried 2\n");
        ASSERT_CONTAINS(run.output, "No such device or address\ntried 2\n");

        /* Together with a limit that cannot be: the old rules are in force again. */
        rule.minor = 8;
        memory.limit = 1 << 30;
        memory.swap = 1;
        resources.memory = &memory;
        ASSERT_ERROR(update(&run, &resources, &message), EINVAL);
        ASSERT_CONTAINS(message, "below the memory limit");
        resources.memory = NULL;
        pids.limit = 77;
        resources.pids = &pids;
        if (faccessat(container_cgroup(run.container)->fd, "pids.max", F_OK, 0) < 0) {
                ASSERT_ERROR(update(&run, &resources, &message), EOPNOTSUPP);
                ASSERT_CONTAINS(message, "'pids.max'");
        } else {
                _cleanup_free_ char *text = NULL;

                rule.minor = 9;
                ASSERT_OK(update(&run, &resources, &message));
                ASSERT_OK(read_file_at(container_cgroup(run.container)->fd, "pids.max", 64, &text, NULL));
                ASSERT_STREQ(text, "77\n");
        }
        ASSERT_EQ(write(p[1], "\n", 1), 1);
        wait_for_output(&run, "tried 3\n");
        ASSERT_CONTAINS(run.output, "No such device or address\ntried 3\n");

        /* Nothing but the defaults. */
        resources.pids = NULL;
        rule.allow = false;
        rule.minor = -1;
        ASSERT_OK(update(&run, &resources, &message));
        ASSERT_EQ(write(p[1], "\n", 1), 1);
        wait_for_output(&run, "tried 4\n");
        ASSERT_CONTAINS(run.output, "Operation not permitted\ntried 4\n");
        safe_close(p[1]);
        run_until(&run, &run.exited);
        run_done(&run);
}

TEST(stats)
{
        _cleanup_(container_stats_freep) ContainerStats *stats = NULL;
        const Grpc__StatsContainerResponse *m;
        static Run run;

        run_init(&run, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000");
        ASSERT_OK(run_create(&run));
        wait_for_output(&run, "done\n");
        ASSERT_OK(container_stats_new(&stats));
        ASSERT_OK(container_stats_read_cgroup(stats, container_cgroup(run.container)->fd));
        ASSERT_OK(container_stats_read_network(stats, container_init_pid(run.container)));
        m = container_stats_response(stats);
        ASSERT_TRUE(m->cgroup_stats->cpu_stats->cpu_usage->total_usage > 1000 * 1000);
        ASSERT_TRUE(m->n_network_stats > 0);
        run_done(&run);
}

TEST(memory_events)
{
        static Run run;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
        _cleanup_free_ char *available = NULL, *message = NULL;
        unsigned changes = 0;
        CgroupEvents *events;
        CgroupWatch *watch;
        char path[256];
        uint64_t kills;
        usec_t end;
        int p[2];

        snprintf(path, sizeof(path), "%s/cgroup.controllers", cgroup_root);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &available, NULL));
        if (!strstr(available, "memory")) {
                fprintf(stderr, "skipped: no memory controller in cgroup v2\n");
                return;
        }

        ASSERT_OK(pipe2(p, O_CLOEXEC));
        run_init(&run, "read x; tail -c 64m /dev/zero | wc -c; sleep 1000");
        run.stdin_fd = p[0];
        ASSERT_OK(run_create(&run));
        safe_close(p[0]);
        run_until(&run, &run.started);
        ASSERT_OK(cgroup_events_new(&events, run.loop));
        ASSERT_OK(cgroup_events_watch(events, &watch, container_cgroup(run.container), "memory.events",
                                      on_changed, &changes));
        memory.limit = memory.swap = 16 << 20;
        resources.memory = &memory;
        ASSERT_OK(update(&run, &resources, &message));
        ASSERT_EQ(write(p[1], "\n", 1), 1);
        safe_close(p[1]);
        end = now_usec() + 20 * USEC_PER_SEC;
        do {
                ASSERT_OK(loop_run_once(run.loop, 100));
                ASSERT_OK(cgroup_read_key(container_cgroup(run.container), "memory.events", "oom_kill", &kills));
        } while ((kills == 0 || changes == 0) && now_usec() < end);
        ASSERT_TRUE(kills > 0 && changes > 0);

        /* A swap limit alone counts from the memory limit in force. */
        memory.limit = 0;
        memory.swap = 20 << 20;
        ASSERT_OK(update(&run, &resources, &message));
        cgroup_watch_free(watch);
        cgroup_events_free(events);
        run_done(&run);
}
