/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a guest as containerd's clients read them: golden bytes for both kinds of hosts, hostile counts. */

#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/task/task-stats.h"

#define S(text) ((char *) (uintptr_t) (text))

typedef struct Numbers {
        Grpc__StatsContainerResponse response;
        Grpc__CgroupStats cgroup;
        Grpc__CpuStats cpu;
        Grpc__CpuUsage usage;
        Grpc__MemoryStats memory;
        Grpc__MemoryData data;
        Grpc__Uint64Entry entry, oom, *entries[2];
        Grpc__PidsStats pids;
        Grpc__BlkioStats blkio;
        Grpc__BlkioStatsEntry io[2], *io_list[2];
        Grpc__NetworkStats net, *nets[1];
} Numbers;

static void fill(Numbers *n)
{
        grpc__stats_container_response__init(&n->response);
        grpc__cgroup_stats__init(&n->cgroup);
        grpc__cpu_stats__init(&n->cpu);
        grpc__cpu_usage__init(&n->usage);
        grpc__memory_stats__init(&n->memory);
        grpc__memory_data__init(&n->data);
        grpc__uint64_entry__init(&n->entry);
        grpc__pids_stats__init(&n->pids);
        grpc__blkio_stats__init(&n->blkio);
        grpc__network_stats__init(&n->net);
        n->usage.total_usage = 5000;
        n->usage.usage_in_usermode = 2000;
        n->cpu.cpu_usage = &n->usage;
        n->entry.key = S("anon");
        n->entry.value = 9;
        n->entries[0] = &n->entry;
        n->data.usage = 7;
        n->data.limit = 8;
        n->memory.usage = &n->data;
        n->memory.stats = n->entries;
        n->memory.n_stats = 1;
        n->pids.current = 3;
        for (unsigned i = 0; i < 2; i++) {
                grpc__blkio_stats_entry__init(&n->io[i]);
                n->io[i].major = 253;
                n->io[i].op = i == 0 ? S("read") : S("write");
                n->io[i].value = 4 + i;
                n->io_list[i] = &n->io[i];
        }
        n->blkio.io_service_bytes_recursive = n->io_list;
        n->blkio.n_io_service_bytes_recursive = 2;
        n->net.name = S("eth0");
        n->net.rx_bytes = 1;
        n->nets[0] = &n->net;
        n->cgroup.cpu_stats = &n->cpu;
        n->cgroup.memory_stats = &n->memory;
        n->cgroup.pids_stats = &n->pids;
        n->cgroup.blkio_stats = &n->blkio;
        n->response.cgroup_stats = &n->cgroup;
        n->response.network_stats = n->nets;
        n->response.n_network_stats = 1;
}

static void check(const Numbers *n, bool unified, const char *type, const char *bytes, size_t size)
{
        _cleanup_free_ uint8_t *data = NULL;
        const char *got;
        size_t got_size;

        ASSERT_OK(task_stats_convert(&n->response, unified, &got, &data, &got_size));
        ASSERT_STREQ(got, type);
        ASSERT_EQ(got_size, size);
        ASSERT_EQ(memcmp(data, bytes, size), 0);
}

TEST(version_2)
{
        static const char bytes[] =
                "\x0a\x02" "\x08\x03"
                "\x12\x04" "\x08\x05" "\x10\x02"
                "\x22\x08" "\x08\x09" "\x80\x02\x07" "\x88\x02\x08"
                "\x32\x09" "\x0a\x07" "\x08\xfd\x01" "\x18\x04" "\x20\x05"
                "\x4a\x08" "\x0a\x04" "eth0" "\x10\x01";
        Numbers n;

        fill(&n);
        check(&n, true, "io.containerd.cgroups.v2.Metrics", bytes, sizeof(bytes) - 1);
}

/* An agent that tells of what the kernel has killed: the key is not one of memory.stat. */
TEST(memory_events)
{
        static const char bytes[] = "\x42\x02" "\x28\x04";
        _cleanup_free_ uint8_t *data = NULL;
        const char *type;
        size_t size;
        Numbers n;

        fill(&n);
        grpc__uint64_entry__init(&n.oom);
        n.oom.key = S("events_oom_kill");
        n.oom.value = 4;
        n.entries[n.memory.n_stats++] = &n.oom;
        ASSERT_OK(task_stats_convert(&n.response, true, &type, &data, &size));
        ASSERT_NOT_NULL(memmem(data, size, bytes, sizeof(bytes) - 1));
}

TEST(version_1)
{
        static const char bytes[] =
                "\x12\x02" "\x08\x03"
                "\x1a\x0a" "\x0a\x06" "\x08\x88\x27" "\x18\xd0\x0f" "\x12\x00"
                "\x22\x12" "\x10\x09" "\x98\x01\x09" "\x8a\x02\x04" "\x08\x08" "\x10\x07" "\x92\x02\x00" "\x9a\x02\x00"
                "\x2a\x1b" "\x0a\x0b" "\x0a\x04" "read" "\x18\xfd\x01" "\x28\x04"
                "\x0a\x0c" "\x0a\x05" "write" "\x18\xfd\x01" "\x28\x05"
                "\x3a\x08" "\x0a\x04" "eth0" "\x10\x01";
        Numbers n;

        fill(&n);
        check(&n, false, "io.containerd.cgroups.v1.Metrics", bytes, sizeof(bytes) - 1);
}

TEST(hostile)
{
        Grpc__StatsContainerResponse nothing = GRPC__STATS_CONTAINER_RESPONSE__INIT;
        static Grpc__BlkioStatsEntry io[10000], *list[10000];
        _cleanup_free_ uint8_t *a = NULL, *b = NULL, *c = NULL;
        const char *type;
        size_t size;
        Numbers n;

        ASSERT_OK(task_stats_convert(&nothing, true, &type, &a, &size));
        ASSERT_OK(task_stats_convert(&nothing, false, &type, &b, &size));

        fill(&n);
        for (size_t i = 0; i < ELEMENTSOF(io); i++) {
                grpc__blkio_stats_entry__init(&io[i]);
                io[i].minor = i;
                list[i] = &io[i];
        }
        n.blkio.io_service_bytes_recursive = list;
        n.blkio.n_io_service_bytes_recursive = ELEMENTSOF(list);
        ASSERT_OK(task_stats_convert(&n.response, true, &type, &c, &size));
        ASSERT_TRUE(size < STATS_DEVICES_MAX * 32);
}

DEFINE_TEST_MAIN
