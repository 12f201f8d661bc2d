/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of containers: both kinds of metrics, lines of events, the text for Prometheus. */

#include "basic/limits.h"
#include "basic/test.h"
#include "proto/cgroup1.pb-c.h"
#include "proto/cgroup2.pb-c.h"
#include "runtime/cli/metrics-text.h"
#include "runtime/cli/stats-event.h"

#define S(text) ((char *) (uintptr_t) (text))

static uint8_t packed[KIB(64)];

static int parse(const ProtobufCMessage *m, PbArena *arena, TaskNumbers *ret)
{
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

        ASSERT_TRUE(protobuf_c_message_get_packed_size(m) <= sizeof(packed));
        any.type_url = S(m->descriptor->name);
        any.value.data = packed;
        any.value.len = protobuf_c_message_pack(m, packed);
        return task_numbers_parse(&any, arena, ret);
}

/* The value at a path of names "a.b.c", as text. */
static const char *at(json_object *o, const char *path)
{
        char name[64];

        while (*path) {
                size_t n = strcspn(path, ".");

                snprintf(name, sizeof(name), "%.*s", (int) n, path);
                if (json_object_is_type(o, json_type_array))
                        o = ASSERT_NOT_NULL(json_object_array_get_idx(o, strtoul(name, NULL, 10)));
                else
                        ASSERT_TRUE(json_object_object_get_ex(o, name, &o));
                path += n + (path[n] == '.');
        }
        return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
}

TEST(version_2)
{
        Io__Containerd__Cgroups__V2__Metrics m = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT;
        Io__Containerd__Cgroups__V2__PidsStat pids = IO__CONTAINERD__CGROUPS__V2__PIDS_STAT__INIT;
        Io__Containerd__Cgroups__V2__CPUStat cpu = IO__CONTAINERD__CGROUPS__V2__CPUSTAT__INIT;
        Io__Containerd__Cgroups__V2__MemoryStat memory = IO__CONTAINERD__CGROUPS__V2__MEMORY_STAT__INIT;
        Io__Containerd__Cgroups__V2__MemoryEvents events = IO__CONTAINERD__CGROUPS__V2__MEMORY_EVENTS__INIT;
        Io__Containerd__Cgroups__V2__IOEntry entry = IO__CONTAINERD__CGROUPS__V2__IOENTRY__INIT,
                                             *entries[] = { &entry };
        Io__Containerd__Cgroups__V2__IOStat io = IO__CONTAINERD__CGROUPS__V2__IOSTAT__INIT;
        Io__Containerd__Cgroups__V2__NetworkStat net = IO__CONTAINERD__CGROUPS__V2__NETWORK_STAT__INIT,
                                                 *nets[] = { &net };
        _cleanup_pb_arena_ PbArena arena;
        json_object *event;
        TaskNumbers n;

        pids.current = 3;
        cpu.usage_usec = 5;
        memory.usage = 7;
        memory.usage_limit = UINT64_MAX;
        memory.anon = 9;
        memory.file = 11;
        events.max = 2;
        events.oom_kill = 1;
        entry.major = 254;
        entry.rbytes = 100;
        entry.wios = 4;
        io.usage = entries;
        io.n_usage = 1;
        net.name = S("eth0");
        net.tx_bytes = 13;
        m.pids = &pids;
        m.cpu = &cpu;
        m.memory = &memory;
        m.memory_events = &events;
        m.io = &io;
        m.network = nets;
        m.n_network = 1;

        pb_arena_init(&arena, 0);
        ASSERT_OK(parse(&m.base, &arena, &n));
        ASSERT_EQ(n.pids, 3U);
        ASSERT_EQ(n.cpu_total, 5000U);
        ASSERT_TRUE(n.has_oom_kills);
        ASSERT_EQ(n.oom_kills, 1U);
        ASSERT_EQ(n.memory.failures, 2U);

        event = stats_event_new("web", &n);
        ASSERT_STREQ(at(event, "type"), "\"stats\"");
        ASSERT_STREQ(at(event, "id"), "\"web\"");
        ASSERT_STREQ(at(event, "data.cpu.usage.total"), "5000");
        ASSERT_STREQ(at(event, "data.cpu.throttling.throttledPeriods"), "0");
        ASSERT_STREQ(at(event, "data.memory.usage"),
                     "{\"limit\":18446744073709551615,\"usage\":7,\"max\":0,\"failcnt\":2}");
        ASSERT_STREQ(at(event, "data.memory.cache"), "11");
        ASSERT_STREQ(at(event, "data.memory.raw.anon"), "9");
        ASSERT_STREQ(at(event, "data.pids.current"), "3");
        ASSERT_STREQ(at(event, "data.blkio.ioServiceBytesRecursive.0"),
                     "{\"major\":254,\"minor\":0,\"op\":\"Read\",\"value\":100}");
        ASSERT_STREQ(at(event, "data.blkio.ioServicedRecursive.1.value"), "4");
        ASSERT_STREQ(at(event, "data.hugetlb"), "{}");
        ASSERT_STREQ(at(event, "data.network_interfaces.0.Name"), "\"eth0\"");
        ASSERT_STREQ(at(event, "data.network_interfaces.0.TxBytes"), "13");
        json_object_put(event);
}

TEST(version_1)
{
        Io__Containerd__Cgroups__V1__Metrics m = IO__CONTAINERD__CGROUPS__V1__METRICS__INIT;
        Io__Containerd__Cgroups__V1__CPUUsage usage = IO__CONTAINERD__CGROUPS__V1__CPUUSAGE__INIT;
        Io__Containerd__Cgroups__V1__CPUStat cpu = IO__CONTAINERD__CGROUPS__V1__CPUSTAT__INIT;
        Io__Containerd__Cgroups__V1__MemoryEntry entry = IO__CONTAINERD__CGROUPS__V1__MEMORY_ENTRY__INIT;
        Io__Containerd__Cgroups__V1__MemoryStat memory = IO__CONTAINERD__CGROUPS__V1__MEMORY_STAT__INIT;
        Io__Containerd__Cgroups__V1__BlkIOEntry disk = IO__CONTAINERD__CGROUPS__V1__BLK_IOENTRY__INIT,
                                                *disks[] = { &disk };
        Io__Containerd__Cgroups__V1__BlkIOStat blkio = IO__CONTAINERD__CGROUPS__V1__BLK_IOSTAT__INIT;
        Io__Containerd__Cgroups__V1__HugetlbStat pages = IO__CONTAINERD__CGROUPS__V1__HUGETLB_STAT__INIT,
                                                 *page_list[] = { &pages };
        uint64_t per_cpu[] = { 4, 5 };
        _cleanup_pb_arena_ PbArena arena;
        json_object *event;
        TaskNumbers n;

        usage.total = 9;
        usage.per_cpu = per_cpu;
        usage.n_per_cpu = 2;
        cpu.usage = &usage;
        entry.failcnt = 6;
        memory.usage = &entry;
        memory.rss = 8;
        disk.op = S("write");
        disk.value = 10;
        blkio.io_service_bytes_recursive = disks;
        blkio.n_io_service_bytes_recursive = 1;
        pages.pagesize = S("2MB");
        pages.usage = 12;
        m.cpu = &cpu;
        m.memory = &memory;
        m.blkio = &blkio;
        m.hugetlb = page_list;
        m.n_hugetlb = 1;

        pb_arena_init(&arena, 0);
        ASSERT_OK(parse(&m.base, &arena, &n));
        ASSERT_FALSE(n.has_oom_kills);
        event = stats_event_new("web", &n);
        ASSERT_STREQ(at(event, "data.cpu.usage.percpu"), "[4,5]");
        ASSERT_STREQ(at(event, "data.memory.usage.failcnt"), "6");
        ASSERT_STREQ(at(event, "data.memory.raw.rss"), "8");
        ASSERT_STREQ(at(event, "data.blkio.ioServiceBytesRecursive.0.op"), "\"Write\"");
        ASSERT_STREQ(at(event, "data.hugetlb.2MB.usage"), "12");
        json_object_put(event);
}

TEST(nothing_and_nonsense)
{
        Io__Containerd__Cgroups__V2__Metrics empty = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        _cleanup_pb_arena_ PbArena arena;
        json_object *event;
        TaskNumbers n;

        pb_arena_init(&arena, 0);
        ASSERT_OK(parse(&empty.base, &arena, &n));
        event = stats_event_new("web", &n);
        ASSERT_STREQ(at(event, "data.memory.raw"), "{}");
        json_object_put(event);

        any.type_url = S("io.containerd.cgroups.v3.Metrics");
        ASSERT_EQ(task_numbers_parse(&any, &arena, &n), -EOPNOTSUPP);
        any.type_url = S("io.containerd.cgroups.v2.Metrics");
        any.value.data = (uint8_t *) S("\x0a\xff");
        any.value.len = 2;
        ASSERT_EQ(task_numbers_parse(&any, &arena, &n), -EBADMSG);

        event = oom_event_new("web");
        ASSERT_STREQ(at(event, ""), "{\"type\":\"oom\",\"id\":\"web\"}");
        json_object_put(event);
}

TEST(prometheus)
{
        static const MetricsFamily families[] = {
                { "a_total", "counter", "First.", 0 },
                { "b_seconds_total", "counter", "Second.", 1, 6 },
                { "c_bytes", "gauge", "Nobody has it.", 2 },
        };
        _cleanup_free_ char *text = NULL;
        MetricsRow *rows = NULL, row;
        size_t n_rows = 0, n;
        FILE *f;

        row = (MetricsRow) { .sandbox = strdup("web") };
        metrics_row_set(&row, 0, UINT64_MAX);
        metrics_row_set(&row, 1, 1000001);
        ASSERT_OK(metrics_row_add(&rows, &n_rows, &row));
        row = (MetricsRow) { .sandbox = strdup("ns:web"), .container = strdup("c1") };
        metrics_row_set(&row, 1, 0);
        ASSERT_OK(metrics_row_add(&rows, &n_rows, &row));

        f = ASSERT_NOT_NULL(open_memstream(&text, &n));
        metrics_print(f, families, ELEMENTSOF(families), rows, n_rows);
        fclose(f);
        ASSERT_STREQ(text,
                     "# HELP a_total First.\n# TYPE a_total counter\n"
                     "a_total{sandbox_id=\"web\"} 18446744073709551615\n"
                     "# HELP b_seconds_total Second.\n# TYPE b_seconds_total counter\n"
                     "b_seconds_total{sandbox_id=\"web\"} 1.000001\n"
                     "b_seconds_total{sandbox_id=\"ns:web\",container_id=\"c1\"} 0.000000\n");
        metrics_rows_free(rows, n_rows);
}

DEFINE_TEST_MAIN
