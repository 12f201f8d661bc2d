/* SPDX-License-Identifier: Apache-2.0 */
/* Properties that Kata's messages have no field for: bytes of the request, checks, what they become. */

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>

#include "agent/container-extras.h"
#include "agent/container-plan.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "proto/pb-arena.h"

#define S(s) ((char *) (uintptr_t) (s))
#define ALL (CLONE_NEWUTS | CLONE_NEWTIME)

typedef struct Input {
        Kata__Systemd__V1__SpecExtension e;
        Kata__Systemd__V1__IOPriority io;
        Kata__Systemd__V1__Scheduler scheduler;
        Kata__Systemd__V1__Personality personality;
        Kata__Systemd__V1__TimeOffset offsets[3], *offset_list[3];
        Grpc__StringEntry entry, *entries[1];
        char *flags[1];
} Input;

static void input_init(Input *in)
{
        memset(in, 0, sizeof(*in));
        in->e = (Kata__Systemd__V1__SpecExtension) KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        in->io = (Kata__Systemd__V1__IOPriority) KATA__SYSTEMD__V1__IOPRIORITY__INIT;
        in->scheduler = (Kata__Systemd__V1__Scheduler) KATA__SYSTEMD__V1__SCHEDULER__INIT;
        in->personality = (Kata__Systemd__V1__Personality) KATA__SYSTEMD__V1__PERSONALITY__INIT;
        in->entry = (Grpc__StringEntry) GRPC__STRING_ENTRY__INIT;
        in->io.io_class = S("IOPRIO_CLASS_IDLE");
        in->scheduler.policy = S("SCHED_OTHER");
        in->personality.domain = S("LINUX");
        for (size_t i = 0; i < 3; i++) {
                in->offsets[i] = (Kata__Systemd__V1__TimeOffset) KATA__SYSTEMD__V1__TIME_OFFSET__INIT;
                in->offsets[i].clock = S("monotonic");
                in->offset_list[i] = &in->offsets[i];
        }
        in->e.time_offsets = in->offset_list;
        in->entries[0] = &in->entry;
        in->e.unified = in->entries;
        in->scheduler.flags = in->flags;
        in->personality.flags = in->flags;
        in->flags[0] = S("SCHED_FLAG_RESET_ON_FORK");
}

TEST(bytes)
{
        /*
         * request 1 { container_id 1 }, extension 2 { domainname 1, umask 2, io_priority 3 { io_class 1, priority 2 },
         * personality 5 { domain 1 }, has_umask 8 }
         */
        static const char text[] = "\x0a\x04\x0a\x02" "c1" "\x12\x27" "\x0a\x01" "d" "\x10\x3f"
                                   "\x1a\x13" "\x0a\x0f" "IOPRIO_CLASS_BE" "\x10\x06" "\x2a\x09" "\x0a\x07" "LINUX32"
                                   "\x40\x01";
        Kata__Systemd__V1__CreateContainerRequest *q;
        _cleanup_(container_extras_done) ContainerExtras x = {};
        PbArena arena;

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&kata__systemd__v1__create_container_request__descriptor, &arena, (const uint8_t *) text,
                            sizeof(text) - 1, &q));
        ASSERT_STREQ(q->request->container_id, "c1");
        ASSERT_OK(container_extras_parse(&x, q->extension, ALL, NULL));
        ASSERT_STREQ(x.domainname, "d");
        ASSERT_TRUE(x.has_umask);
        ASSERT_EQ(x.umask, 077);
        ASSERT_EQ(x.io_priority, 2 << 13 | 6);
        ASSERT_TRUE(x.has_personality);
        ASSERT_EQ(x.personality, PER_LINUX32);
        ASSERT_FALSE(x.has_scheduler);
        ASSERT_NULL(x.time_offsets);
        pb_arena_done(&arena);
}

TEST(nothing)
{
        _cleanup_(container_extras_done) ContainerExtras x = {};
        Input in;

        input_init(&in);
        ASSERT_OK(container_extras_parse(&x, &in.e, 0, NULL));
        ASSERT_NULL(x.domainname);
        ASSERT_FALSE(x.has_umask);
        ASSERT_EQ(x.io_priority, 0);
}

TEST(everything)
{
        _cleanup_(container_extras_done) ContainerExtras x = {};
        Input in;

        input_init(&in);
        in.e.io_priority = &in.io;
        in.e.scheduler = &in.scheduler;
        in.scheduler.policy = S("SCHED_RR");
        in.scheduler.priority = 9;
        in.scheduler.n_flags = 1;
        in.e.n_time_offsets = 2;
        in.offsets[0].secs = -5;
        in.offsets[1].clock = S("boottime");
        in.offsets[1].secs = 7;
        in.offsets[1].nanosecs = 999999999;
        ASSERT_OK(container_extras_parse(&x, &in.e, ALL, NULL));
        ASSERT_EQ(x.io_priority, IOPRIO_CLASS_IDLE << 13);
        ASSERT_EQ(x.scheduler.policy, SCHED_RR);
        ASSERT_EQ(x.scheduler.priority, 9);
        ASSERT_EQ(x.scheduler.flags, 1);
        ASSERT_STREQ(x.time_offsets, "monotonic -5 0\nboottime 7 999999999\n");
}

static void check_refused(const Input *in, uint64_t namespaces, int error, const char *text)
{
        _cleanup_free_ char *message = NULL;
        ContainerExtras x = {};
        int r = container_extras_parse(&x, &in->e, namespaces, &message);

        if (r != -error)
                TEST_FAIL("%s: %d", text, r);
        ASSERT_CONTAINS(message, text);
        ASSERT_NULL(x.domainname);
}

TEST(processors)
{
        Kata__Systemd__V1__ExecCPUAffinity affinity = KATA__SYSTEMD__V1__EXEC_CPUAFFINITY__INIT;
        Kata__Systemd__V1__SpecExtension e = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        _cleanup_free_ char *message = NULL;
        ContainerExtras x = {};
        cpu_set_t now;

        e.exec_cpu_affinity = &affinity;
        ASSERT_OK(container_extras_parse_process(&x, &e, NULL));
        ASSERT_FALSE(x.has_initial_cpus || x.has_final_cpus);
        affinity.initial = S("0,2-3");
        affinity.final = S("1023");
        ASSERT_OK(container_extras_parse_process(&x, &e, NULL));
        ASSERT_TRUE(x.has_initial_cpus && x.has_final_cpus);
        ASSERT_EQ(CPU_COUNT(&x.initial_cpus), 3);
        ASSERT_TRUE(CPU_ISSET(0, &x.initial_cpus) && CPU_ISSET(3, &x.initial_cpus));
        ASSERT_TRUE(CPU_ISSET(1023, &x.final_cpus));

        affinity.final = S("1024");
        ASSERT_ERROR(container_extras_parse_process(&x, &e, &message), ERANGE);
        ASSERT_CONTAINS(message, "execCPUAffinity: final '1024'");
        message = mfree(message);
        affinity.final = S("0-");
        ASSERT_ERROR(container_extras_parse_process(&x, &e, &message), EINVAL);
        message = mfree(message);

        /* Of neither a container nor an update. */
        affinity.final = S("0");
        ASSERT_ERROR(container_extras_parse(&x, &e, ALL, &message), EINVAL);
        ASSERT_CONTAINS(message, "execCPUAffinity");
        message = mfree(message);
        ASSERT_ERROR(container_extras_check_update(&e, &message), EINVAL);
        ASSERT_CONTAINS(message, "execCPUAffinity");

        /* What is there already is always allowed. */
        x = (ContainerExtras) { .has_final_cpus = true };
        ASSERT_OK(sched_getaffinity(0, sizeof(now), &now));
        x.final_cpus = now;
        ASSERT_OK(extras_set_initial_cpus(&x, NULL));
        ASSERT_OK(extras_set_final_cpus(&x, NULL));
        CPU_ZERO(&x.final_cpus);
        message = mfree(message);
        ASSERT_ERROR(extras_set_final_cpus(&x, &message), EINVAL);
        ASSERT_CONTAINS(message, "no processor of the list");
}

TEST(refused)
{
        char name[HOSTNAME_LEN_MAX + 2];
        Input in;

        input_init(&in);
        in.e.domainname = S("d");
        check_refused(&in, 0, EINVAL, "without a uts namespace");
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        in.e.domainname = name;
        check_refused(&in, ALL, ENAMETOOLONG, "domainname");

        input_init(&in);
        in.e.has_umask = true;
        in.e.umask = 01000;
        check_refused(&in, ALL, ERANGE, "umask");

        input_init(&in);
        in.e.io_priority = &in.io;
        in.io.priority = 8;
        check_refused(&in, ALL, ERANGE, "ioPriority");
        in.io.priority = 0;
        in.io.io_class = S("IOPRIO_CLASS_NONE");
        check_refused(&in, ALL, EINVAL, "ioPriority");

        input_init(&in);
        in.e.scheduler = &in.scheduler;
        in.scheduler.nice = -21;
        check_refused(&in, ALL, ERANGE, "nice");
        in.scheduler.nice = 0;
        in.scheduler.runtime = 1;
        check_refused(&in, ALL, EINVAL, "SCHED_DEADLINE only");
        in.scheduler.policy = S("SCHED_ISO");
        check_refused(&in, ALL, EINVAL, "SCHED_ISO");
        in.scheduler.policy = S("SCHED_OTHER");
        in.scheduler.runtime = 0;
        in.scheduler.n_flags = 1;
        in.flags[0] = S("SCHED_FLAG_NEW");
        check_refused(&in, ALL, EOPNOTSUPP, "SCHED_FLAG_NEW");

        input_init(&in);
        in.e.personality = &in.personality;
        in.personality.domain = S("BSD");
        check_refused(&in, ALL, EINVAL, "BSD");
        in.personality.domain = S("LINUX");
        in.personality.n_flags = 1;
        check_refused(&in, ALL, EOPNOTSUPP, "flags");

        input_init(&in);
        in.e.n_time_offsets = 1;
        check_refused(&in, CLONE_NEWUTS, EINVAL, "without a time namespace");
        in.offsets[0].nanosecs = 1000000000;
        check_refused(&in, ALL, ERANGE, "nanosecs");
        in.offsets[0].clock = S("realtime");
        check_refused(&in, ALL, EINVAL, "realtime");
        in.e.n_time_offsets = 3;
        check_refused(&in, ALL, E2BIG, "timeOffsets");
}

/* As part of a whole configuration: the time namespace is the child's, unified files come last. */
TEST(in_a_plan)
{
        static const char *const bad_names[] = { "cgroup.procs", "../memory.max", "memory/max", "max", ".x", "" };
        Grpc__LinuxNamespace mount_ns = GRPC__LINUX_NAMESPACE__INIT, time_ns = GRPC__LINUX_NAMESPACE__INIT;
        Grpc__LinuxNamespace *namespaces[] = { &mount_ns, &time_ns };
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__Process process = GRPC__PROCESS__INIT;
        Grpc__Root root = GRPC__ROOT__INIT;
        Grpc__Linux l = GRPC__LINUX__INIT;
        char *args[] = { S("run") };
        Input in;

        mount_ns.type = S("mount");
        time_ns.type = S("time");
        l.namespaces = namespaces;
        l.n_namespaces = 2;
        process.args = args;
        process.n_args = 1;
        process.cwd = S("/");
        root.path = S("/root");
        spec.process = &process;
        spec.root = &root;
        spec.linux = &l;

        for (size_t i = 0; i <= ELEMENTSOF(bad_names); i++) {
                _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
                _cleanup_free_ char *message = NULL;

                input_init(&in);
                in.e.n_time_offsets = 1;
                in.e.n_unified = 1;
                in.entry.key = S(i < ELEMENTSOF(bad_names) ? bad_names[i] : "memory.high");
                in.entry.value = S("4096");
                ASSERT_OK(container_plan_new(&plan, "c1", &spec, NULL));
                ASSERT_TRUE(plan->namespaces & CLONE_NEWTIME);
                if (i < ELEMENTSOF(bad_names)) {
                        ASSERT_ERROR(container_plan_extend(plan, &in.e, &message), EINVAL);
                        ASSERT_CONTAINS(message, "unified");
                        continue;
                }
                ASSERT_OK(container_plan_extend(plan, &in.e, NULL));
                ASSERT_FALSE(plan->namespaces & CLONE_NEWTIME);
                ASSERT_EQ(plan->cgroup.n, 1);
                ASSERT_STREQ(plan->cgroup.items[0].file, "memory.high");
                ASSERT_STREQ(plan->cgroup.items[0].value, "4096");
        }
}

/* A configuration with a bind mount, which is number 1; the plan has a /dev in front of them. */
typedef struct Mounts {
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux l;
        Grpc__LinuxNamespace ns[3], *namespaces[3];
        Grpc__Mount mount[2], *mounts[2];
        Grpc__LinuxIDMapping map, *maps[1];
        Kata__Systemd__V1__SpecExtension e;
        Kata__Systemd__V1__MountMappings of_mount, *of_mounts[2];
        char *args[1], *options[2];
} Mounts;

static void mounts_init(Mounts *m)
{
        static const char *const types[] = { "mount", "pid", "user" };

        memset(m, 0, sizeof(*m));
        m->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        m->process = (Grpc__Process) GRPC__PROCESS__INIT;
        m->root = (Grpc__Root) GRPC__ROOT__INIT;
        m->l = (Grpc__Linux) GRPC__LINUX__INIT;
        m->spec.process = &m->process;
        m->spec.root = &m->root;
        m->spec.linux = &m->l;
        m->process.args = m->args;
        m->process.n_args = 1;
        m->args[0] = S("run");
        m->process.cwd = S("/");
        m->root.path = S("/root");
        m->spec.mounts = m->mounts;
        m->spec.n_mounts = 2;
        for (size_t i = 0; i < 2; i++) {
                m->mount[i] = (Grpc__Mount) GRPC__MOUNT__INIT;
                m->mounts[i] = &m->mount[i];
                m->mount[i].destination = S(i == 0 ? "/t" : "/volume");
                m->mount[i].type = S(i == 0 ? "tmpfs" : "bind");
                m->mount[i].source = S("/srv");
        }
        m->l.namespaces = m->namespaces;
        m->l.n_namespaces = 2;
        for (size_t i = 0; i < 3; i++) {
                m->ns[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                m->ns[i].type = S(types[i]);
                m->namespaces[i] = &m->ns[i];
        }
        m->map = (Grpc__LinuxIDMapping) GRPC__LINUX_IDMAPPING__INIT;
        m->map.hostid = 1000;
        m->map.size = 10;
        m->maps[0] = &m->map;
        m->e = (Kata__Systemd__V1__SpecExtension) KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        m->e.mount_mappings = m->of_mounts;
        m->e.n_mount_mappings = 1;
        m->of_mount = (Kata__Systemd__V1__MountMappings) KATA__SYSTEMD__V1__MOUNT_MAPPINGS__INIT;
        m->of_mounts[0] = m->of_mounts[1] = &m->of_mount;
        m->of_mount.mount = 1;
        m->of_mount.uid_mappings = m->of_mount.gid_mappings = m->maps;
        m->of_mount.n_uid_mappings = m->of_mount.n_gid_mappings = 1;
        m->options[0] = S("idmap");
        m->options[1] = S("ridmap");
}

/* NULL: what was asked for is refused, with that text. */
static ContainerPlan *extend(const Mounts *m, bool extended, const char *refusal)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        ASSERT_OK(container_plan_new(&plan, "c1", &m->spec, NULL));
        r = container_plan_extend(plan, extended ? &m->e : NULL, &message);
        if (!refusal) {
                if (r < 0)
                        TEST_FAIL("%s", strempty(message));
                return TAKE_PTR(plan);
        }
        ASSERT_TRUE(r < 0);
        ASSERT_CONTAINS(message, refusal);
        return NULL;
}

TEST(mount_mappings)
{
        ContainerPlan *plan;
        Mounts m;

        /* By mappings of its own, with or without the option; the last option counts. */
        mounts_init(&m);
        plan = extend(&m, true, NULL);
        ASSERT_TRUE(container_plan_has_idmaps(plan));
        ASSERT_EQ(plan->first_mount, 1);
        ASSERT_FALSE(plan->mounts[1].idmap);
        ASSERT_TRUE(plan->mounts[2].idmap);
        ASSERT_FALSE(plan->mounts[2].idmap_recursive);
        ASSERT_EQ(plan->mounts[2].uid_map.ranges[0].outside, 1000);
        ASSERT_EQ(plan->mounts[2].gid_map.n, 1);
        container_plan_free(plan);
        m.mount[1].options = m.options;
        m.mount[1].n_options = 2;
        plan = extend(&m, true, NULL);
        ASSERT_TRUE(plan->mounts[2].idmap_recursive);
        container_plan_free(plan);
        /* With a /dev of the configuration's nothing is in front of the first. */
        m.mount[0].destination = S("/dev");
        plan = extend(&m, true, NULL);
        ASSERT_TRUE(plan->mounts[1].idmap);
        container_plan_free(plan);

        /* By those of the user namespace; without there is nothing to go by. */
        mounts_init(&m);
        m.mount[1].options = m.options;
        m.mount[1].n_options = 1;
        ASSERT_NULL(extend(&m, false, "mount '/volume': no id mappings"));
        m.l.n_namespaces = 3;
        m.l.uidmappings = m.l.gidmappings = m.maps;
        m.l.n_uidmappings = m.l.n_gidmappings = 1;
        plan = extend(&m, false, NULL);
        ASSERT_EQ(plan->mounts[2].uid_map.ranges[0].outside, 1000);
        container_plan_free(plan);

        mounts_init(&m);
        m.e.n_mount_mappings = 2;
        ASSERT_NULL(extend(&m, true, "given twice"));
        m.e.n_mount_mappings = 1;
        m.of_mount.mount = 2;
        ASSERT_NULL(extend(&m, true, "mappings of mount 2, and there are 2 mounts"));
        m.of_mount.mount = UINT32_MAX;
        ASSERT_NULL(extend(&m, true, "mappings of mount 4294967295"));
        m.of_mount.mount = 0;
        ASSERT_NULL(extend(&m, true, "mount '/t': id mappings are for bind mounts only"));
        m.of_mount.mount = 1;
        m.of_mount.n_gid_mappings = 0;
        ASSERT_NULL(extend(&m, true, "go together"));
        m.of_mount.n_gid_mappings = 1;
        m.map.size = 0;
        ASSERT_NULL(extend(&m, true, "mount '/volume': uidMappings: bad range"));
}

TEST(domainname_twice)
{
        Grpc__LinuxNamespace mount_ns = GRPC__LINUX_NAMESPACE__INIT, uts_ns = GRPC__LINUX_NAMESPACE__INIT;
        Grpc__LinuxNamespace *namespaces[] = { &mount_ns, &uts_ns };
        Grpc__StringEntry sysctl = GRPC__STRING_ENTRY__INIT, *sysctls[] = { &sysctl };
        _cleanup_free_ char *message = NULL;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__Process process = GRPC__PROCESS__INIT;
        Grpc__Root root = GRPC__ROOT__INIT;
        Grpc__Linux l = GRPC__LINUX__INIT;
        char *args[] = { S("run") };
        Input in;

        mount_ns.type = S("mount");
        uts_ns.type = S("uts");
        l.namespaces = namespaces;
        l.n_namespaces = 2;
        sysctl.key = S("kernel.domainname");
        sysctl.value = S("a");
        l.sysctl = sysctls;
        l.n_sysctl = 1;
        process.args = args;
        process.n_args = 1;
        process.cwd = S("/");
        root.path = S("/root");
        spec.process = &process;
        spec.root = &root;
        spec.linux = &l;
        input_init(&in);

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;

                ASSERT_OK(container_plan_new(&plan, "c1", &spec, NULL));
                in.e.domainname = S(i == 0 ? "a" : "b");
                ASSERT_EQ(container_plan_extend(plan, &in.e, &message), i == 0 ? 0 : -EINVAL);
        }
        ASSERT_CONTAINS(message, "kernel.domainname is 'a'");
}

DEFINE_TEST_MAIN
