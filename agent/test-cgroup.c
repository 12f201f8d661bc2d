/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of resource conversion and of the device filter, which is interpreted here. No root. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/devices.h"
#include "basic/fd.h"
#include "basic/test.h"

#define S(s) ((char *) (s))
#define ALL 7U
#define MKNOD BPF_DEVCG_ACC_MKNOD
#define READ BPF_DEVCG_ACC_READ
#define WRITE BPF_DEVCG_ACC_WRITE

static const char *setting(const CgroupSettings *s, const char *file)
{
        const char *found = NULL;

        for (size_t i = 0; i < s->n; i++)
                if (streq(s->items[i].file, file))
                        found = s->items[i].value;
        return found;
}

TEST(settings)
{
        Grpc__LinuxResources in = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
        Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
        Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
        Grpc__LinuxBlockIO io = GRPC__LINUX_BLOCK_IO__INIT;
        Grpc__LinuxThrottleDevice throttle = GRPC__LINUX_THROTTLE_DEVICE__INIT,
                                  *throttles[] = {&throttle};
        Grpc__LinuxHugepageLimit huge = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, *huges[] = { &huge };
        _cleanup_(cgroup_settings_done) CgroupSettings s = {};

        ASSERT_OK(cgroup_settings_from_spec(&s, NULL, NULL));
        ASSERT_EQ(s.n, 0);
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_EQ(s.n, 0);

        memory.limit = 1000;
        memory.swap = 1500;
        memory.reservation = 500;
        cpu.shares = 1024;
        cpu.quota = 50000;
        cpu.cpus = S("0-3,5");
        pids.limit = -1;
        io.weight = 500;
        throttle.major = 254;
        throttle.minor = 1;
        throttle.rate = 4096;
        io.throttlereadbpsdevice = throttles;
        io.n_throttlereadbpsdevice = 1;
        huge.pagesize = S("2MB");
        huge.limit = UINT64_MAX;
        in.memory = &memory;
        in.cpu = &cpu;
        in.pids = &pids;
        in.blockio = &io;
        in.hugepagelimits = huges;
        in.n_hugepagelimits = 1;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_STREQ(setting(&s, "memory.max"), "1000");
        ASSERT_STREQ(setting(&s, "memory.swap.max"), "500");
        ASSERT_STREQ(setting(&s, "memory.low"), "500");
        ASSERT_STREQ(setting(&s, "cpu.weight"), "100");
        ASSERT_STREQ(setting(&s, "cpu.max"), "50000 100000");
        ASSERT_STREQ(setting(&s, "cpuset.cpus"), "0-3,5");
        ASSERT_NULL(setting(&s, "cpuset.mems"));
        ASSERT_STREQ(setting(&s, "pids.max"), "max");
        ASSERT_STREQ(setting(&s, "io.weight"), "4950");
        ASSERT_STREQ(setting(&s, "io.max"), "254:1 rbps=4096");
        ASSERT_STREQ(setting(&s, "hugetlb.2MB.max"), "max");
        ASSERT_STREQ(setting(&s, "hugetlb.2MB.rsvd.max"), "max");
        cgroup_settings_done(&s);

        /* No swap at all; swap without a limit; a memory limit that says nothing of swap. */
        memory.swap = 1000;
        huge.limit = 4 << 20;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_STREQ(setting(&s, "memory.swap.max"), "0");
        ASSERT_STREQ(setting(&s, "hugetlb.2MB.rsvd.max"), "4194304");
        cgroup_settings_done(&s);
        memory.swap = -1;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_STREQ(setting(&s, "memory.max"), "1000");
        ASSERT_STREQ(setting(&s, "memory.swap.max"), "max");
        cgroup_settings_done(&s);
        memory.swap = 0;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_NULL(setting(&s, "memory.swap.max"));
        cgroup_settings_done(&s);

        memory = (Grpc__LinuxMemory) GRPC__LINUX_MEMORY__INIT;
        memory.limit = -1;
        cpu.quota = -1;
        cpu.period = 20000;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_STREQ(setting(&s, "memory.max"), "max");
        ASSERT_STREQ(setting(&s, "memory.swap.max"), "max");
        ASSERT_STREQ(setting(&s, "cpu.max"), "max 20000");
}

/* Every kind of limit for one device, and weights. */
TEST(io)
{
        Grpc__LinuxResources in = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxBlockIO io = GRPC__LINUX_BLOCK_IO__INIT;
        Grpc__LinuxThrottleDevice t = GRPC__LINUX_THROTTLE_DEVICE__INIT, *throttles[] = { &t };
        Grpc__LinuxWeightDevice w = GRPC__LINUX_WEIGHT_DEVICE__INIT, *weights[] = { &w };
        static const char *const expected[][2] = {
                { "io.weight", "4950" },
                { "io.weight", "254:0 1" },
                { "io.max", "254:0 rbps=5" },
                { "io.max", "254:0 wbps=5" },
                { "io.max", "254:0 riops=5" },
                { "io.max", "254:0 wiops=5" },
        };
        _cleanup_(cgroup_settings_done) CgroupSettings s = {};

        t.major = w.major = 254;
        t.rate = 5;
        w.weight = 10;
        io.weight = 500;
        io.weightdevice = weights;
        io.throttlereadbpsdevice = io.throttlewritebpsdevice = io.throttlereadiopsdevice =
                        io.throttlewriteiopsdevice = throttles;
        io.n_weightdevice = io.n_throttlereadbpsdevice = io.n_throttlewritebpsdevice =
                        io.n_throttlereadiopsdevice = io.n_throttlewriteiopsdevice = 1;
        in.blockio = &io;
        ASSERT_OK(cgroup_settings_from_spec(&s, &in, NULL));
        ASSERT_EQ(s.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < s.n; i++) {
                ASSERT_STREQ(s.items[i].file, expected[i][0]);
                ASSERT_STREQ(s.items[i].value, expected[i][1]);
        }
}

TEST(undo_values)
{
        static const struct {
                const char *file, *old, *value, *undo;
        } cases[] = {
                { "memory.max", "max\n", "4096", "max" },
                { "cpu.max", "max 100000\n", "5 10", "max 100000" },
                { "cpuset.cpus", "\n", "0-1", "\n" },
                { "cpuset.cpus", "", "0-1", "\n" },
                { "io.max", "8:0 rbps=1 wbps=max riops=max wiops=2\n254:1 rbps=7 wbps=max riops=max wiops=max\n",
                  "254:1 wbps=9", "254:1 rbps=7 wbps=max riops=max wiops=max" },
                { "io.max", "8:0 rbps=1 wbps=max riops=max wiops=2\n", "8:01 wbps=9",
                  "8:01 rbps=max wbps=max riops=max wiops=max" },
                { "io.max", "", "254:1 wbps=9", "254:1 rbps=max wbps=max riops=max wiops=max" },
                { "io.weight", "default 100\n254:0 300\n", "500", "default 100" },
                { "io.weight", "default 100\n254:0 300\n", "254:0 500", "254:0 300" },
                { "io.weight", "default 100\n", "254:0 500", "254:0 default" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *undo = NULL;

                ASSERT_OK(cgroup_undo_value(cases[i].file, cases[i].old, cases[i].value, &undo));
                ASSERT_STREQ(undo, cases[i].undo);
        }
}

static void put_file(int dir_fd, const char *name, const char *text)
{
        int fd = ASSERT_OK(openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

static void assert_file(int dir_fd, const char *name, const char *text)
{
        _cleanup_free_ char *content = NULL;

        ASSERT_OK(read_file_at(dir_fd, name, 100, &content, NULL));
        ASSERT_STREQ(content, text);
}

TEST(live_update)
{
        char dir[] = "/tmp/test-cgroup-XXXXXX";
        CgroupSetting items[] = {
                { .file = S("pids.max"), .value = S("20") },
                { .file = S("memory.swap.max"), .value = S("0"), .optional = true },
                { .file = S("memory.max"), .value = S("64") },
                { .file = S("broken"), .value = S("1") },
        };
        CgroupSettings settings = { items, 3 };
        _cleanup_free_ char *message = NULL;
        int dir_fd;

        ASSERT_NOT_NULL(mkdtemp(dir));
        dir_fd = ASSERT_OK(open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        put_file(dir_fd, "pids.max", "10");
        put_file(dir_fd, "memory.max", "32");
        ASSERT_OK(cgroup_update(dir_fd, &settings, NULL));
        assert_file(dir_fd, "pids.max", "20");
        assert_file(dir_fd, "memory.max", "64");

        /* A file that the kernel does not have: nothing is touched. */
        items[0].value = S("30");
        settings.n = 4;
        ASSERT_ERROR(cgroup_update(dir_fd, &settings, &message), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "no 'broken'");
        assert_file(dir_fd, "pids.max", "20");

        /* The last write fails: /proc/version can be read, and not be written even by root. */
        settings.n = 3;
        items[1] = (CgroupSetting) { .file = S("memory.max"), .value = S("99") };
        items[2] = (CgroupSetting) { .file = S("readonly"), .value = S("1") };
        ASSERT_OK(symlinkat("/proc/version", dir_fd, "readonly"));
        ASSERT_TRUE(cgroup_update(dir_fd, &settings, &message) < 0);
        ASSERT_CONTAINS(message, "cannot set readonly to '1'");
        assert_file(dir_fd, "pids.max", "20");
        assert_file(dir_fd, "memory.max", "64");
        safe_close(dir_fd);
        ASSERT_OK(rm_rf(dir));
}

static void refused(const Grpc__LinuxResources *in, int error, const char *text)
{
        _cleanup_free_ char *message = NULL;
        CgroupSettings s;

        ASSERT_EQ(cgroup_settings_from_spec(&s, in, &message), -error);
        ASSERT_CONTAINS(message, text);
}

TEST(settings_refused)
{
        Grpc__LinuxResources in = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
        Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
        Grpc__LinuxNetwork network = GRPC__LINUX_NETWORK__INIT;
        Grpc__LinuxHugepageLimit huge = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, *huges[] = { &huge };

        in.memory = &memory;
        memory.swap = 5;
        refused(&in, EINVAL, "without memory limit");
        memory.limit = 10;
        refused(&in, EINVAL, "below the memory limit");
        memory.swap = 0;
        memory.swappiness = 60;
        refused(&in, EOPNOTSUPP, "swappiness");
        memory.swappiness = 0;
        memory.kernel = 1;
        refused(&in, EOPNOTSUPP, "kernel memory");
        memory.kernel = -1;
        memory.disableoomkiller = true;
        refused(&in, EOPNOTSUPP, "OOM killer");
        in.memory = NULL;

        in.cpu = &cpu;
        cpu.realtimeruntime = 1;
        refused(&in, EOPNOTSUPP, "real-time");
        cpu.realtimeruntime = 0;
        cpu.cpus = S("0\n1");
        refused(&in, EINVAL, "CPU");
        in.cpu = NULL;

        in.network = &network;
        network.classid = 1;
        refused(&in, EOPNOTSUPP, "network class");
        in.network = NULL;

        in.hugepagelimits = huges;
        in.n_hugepagelimits = 1;
        huge.pagesize = S("../../x");
        refused(&in, EINVAL, "hugepage size");
        huge.pagesize = S("2MB/");
        refused(&in, EINVAL, "hugepage size");
}

TEST(names)
{
        static const struct {
                const char *path, *name;
        } cases[] = {
                { "", "id" }, { "/", "id" }, { "/kubepods/pod1/abc", "abc" }, { "/x/abc//", "abc" },
                { "machine.slice:libpod:123", "123" }, { "a b/c d", "c_d" }, { "/x/..", "_." },
                { "/x/.hidden", "_hidden" }, { "x:\n:", "_" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *name = NULL;

                ASSERT_OK(cgroup_name_from_path(cases[i].path, "id", &name));
                ASSERT_STREQ(name, cases[i].name);
        }

        _cleanup_free_ char *name = NULL;
        ASSERT_OK(cgroup_name_from_path(NULL, "id", &name));
        ASSERT_STREQ(name, "id");
}

/* The subset of eBPF that the builder uses, strict: anything else fails the test. */
static bool interpret(const struct bpf_insn *p, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
        uint64_t r[11] = { [BPF_REG_1] = (uint64_t) (uintptr_t) ctx };
        bool set[11] = { [BPF_REG_1] = true };

        for (size_t pc = 0; pc < n; pc++) {
                const struct bpf_insn *i = &p[pc];
                uint64_t imm = (uint64_t) (int64_t) i->imm;
                uint32_t word;
                bool jump;

                switch (i->code) {
                case BPF_LDX | BPF_MEM | BPF_W:
                        ASSERT_TRUE(set[i->src_reg] && i->off >= 0 &&
                                        (size_t) i->off + 4 <= sizeof(*ctx));
                        memcpy(&word, (const char *) ctx + i->off, sizeof(word));
                        r[i->dst_reg] = word;
                        set[i->dst_reg] = true;
                        continue;
                case BPF_ALU64 | BPF_MOV | BPF_X:
                        ASSERT_TRUE(set[i->src_reg]);
                        r[i->dst_reg] = r[i->src_reg];
                        set[i->dst_reg] = true;
                        continue;
                case BPF_ALU64 | BPF_MOV | BPF_K:
                        r[i->dst_reg] = imm;
                        set[i->dst_reg] = true;
                        continue;
                case BPF_ALU64 | BPF_AND | BPF_K:
                        r[i->dst_reg] &= imm;
                        continue;
                case BPF_ALU64 | BPF_RSH | BPF_K:
                        r[i->dst_reg] >>= imm;
                        continue;
                case BPF_JMP | BPF_EXIT:
                        ASSERT_TRUE(set[BPF_REG_0]);
                        return r[BPF_REG_0];
                case BPF_JMP | BPF_JA:
                        jump = true;
                        break;
                case BPF_JMP | BPF_JNE | BPF_K:
                        jump = r[i->dst_reg] != imm;
                        break;
                case BPF_JMP | BPF_JSET | BPF_K:
                        jump = r[i->dst_reg] & imm;
                        break;
                default:
                        TEST_FAIL("unknown instruction %x", i->code);
                }
                if (jump) {
                        ASSERT_TRUE(i->off >= 0);
                        pc += (size_t) i->off;
                }
        }

        TEST_FAIL("fell off the end");
}

static bool allowed(const DeviceRule *rules, size_t n, char type, uint32_t major, uint32_t minor,
                    uint32_t access)
{
        struct bpf_cgroup_dev_ctx ctx = {
                        .access_type = access << 16 |
                                       (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
                        .major = major,
                        .minor = minor,
        };
        _cleanup_free_ struct bpf_insn *insns = NULL;
        size_t n_insns;

        ASSERT_OK(device_filter_build(rules, n, &insns, &n_insns));
        return interpret(insns, n_insns, &ctx);
}

TEST(device_filter)
{
        static const DeviceRule rules[] = {
                { false, 'a', -1, -1, ALL },
                { true, 'c', 10, 229, ALL },
                { true, 'b', 8, -1, READ },
                { true, 'b', 8, -1, MKNOD },
                { false, 'b', 8, 3, READ },
                { true, 'c', -1, -1, MKNOD },
        };
        size_t n = ELEMENTSOF(rules);

        ASSERT_TRUE(allowed(rules, n, 'c', 10, 229, READ | WRITE));
        ASSERT_FALSE(allowed(rules, n, 'b', 10, 229, READ));
        ASSERT_FALSE(allowed(rules, n, 'c', 10, 228, READ));
        ASSERT_TRUE(allowed(rules, n, 'c', 10, 228, MKNOD));
        ASSERT_FALSE(allowed(rules, n, 'c', 10, 228, MKNOD | READ));
        /* Two rules together grant what neither does alone. */
        ASSERT_TRUE(allowed(rules, n, 'b', 8, 0, READ | MKNOD));
        ASSERT_FALSE(allowed(rules, n, 'b', 8, 0, READ | WRITE));
        ASSERT_FALSE(allowed(rules, n, 'b', 8, 3, READ));
        ASSERT_TRUE(allowed(rules, n, 'b', 8, 3, MKNOD));

        /* No rules: nothing. */
        ASSERT_FALSE(allowed(NULL, 0, 'c', 1, 3, READ));

        /* The last word on everything ends the program. */
        static const DeviceRule open[] = { { false, 'c', 1, 3, ALL }, { true, 'a', -1, -1, ALL } };
        ASSERT_TRUE(allowed(open, 2, 'c', 1, 3, WRITE));
        static const DeviceRule hole[] = {{true, 'a', -1, -1, ALL}, {false, 'c', 1, 3, WRITE}};
        ASSERT_FALSE(allowed(hole, 2, 'c', 1, 3, WRITE));
        ASSERT_TRUE(allowed(hole, 2, 'c', 1, 3, READ));
        ASSERT_TRUE(allowed(hole, 2, 'b', 254, 0, ALL));
}

TEST(device_defaults)
{
        size_t n = device_default_rules_n;

        ASSERT_TRUE(allowed(device_default_rules, n, 'c', 1, 3, READ | WRITE));
        ASSERT_TRUE(allowed(device_default_rules, n, 'c', 136, 17, READ | WRITE));
        /* CVE-2020-2023: the guest's disk can be named, not read. */
        ASSERT_TRUE(allowed(device_default_rules, n, 'b', 254, 0, MKNOD));
        ASSERT_FALSE(allowed(device_default_rules, n, 'b', 254, 0, READ));
        ASSERT_FALSE(allowed(device_default_rules, n, 'c', 1, 1, READ));
        ASSERT_FALSE(allowed(device_default_rules, n, 'c', 10, 229, READ));
}

TEST(device_rules)
{
        DeviceRule rule;

        ASSERT_OK(device_rule_parse(&rule, true, "c", 5, -1, "rw", NULL));
        ASSERT_EQ(rule.access, READ | WRITE);
        ASSERT_EQ(rule.minor, DEVICE_ANY);
        ASSERT_OK(device_rule_parse(&rule, false, "", 5, 6, "r", NULL));
        ASSERT_EQ(rule.type, 'a');
        ASSERT_EQ(rule.major, DEVICE_ANY);
        ASSERT_EQ(rule.access, ALL);
        ASSERT_ERROR(device_rule_parse(&rule, true, "x", 1, 1, "r", NULL), EINVAL);
        ASSERT_ERROR(device_rule_parse(&rule, true, "c", 1, 1, "rx", NULL), EINVAL);
        ASSERT_ERROR(device_rule_parse(&rule, true, "c", -2, 1, "r", NULL), ERANGE);
        ASSERT_ERROR(device_rule_parse(&rule, true, "c", 1, 1 << 20, "r", NULL), ERANGE);
}

DEFINE_TEST_MAIN
