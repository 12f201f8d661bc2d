/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a container for containerd: see task-stats.h. Reads numbers of the guest. */

#include "runtime/task/task-stats.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "basic/limits.h"
#include "proto/cgroup1.pb-c.h"
#include "proto/cgroup2.pb-c.h"

#define NSEC_PER_USEC UINT64_C(1000)

bool task_stats_host_is_unified(void)
{
        struct statfs st;

        return statfs("/sys/fs/cgroup", &st) >= 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

/* Keys of memory.stat, which agents pass on, and the fields that they are. */
typedef struct KeyField {
        const char *key;
        size_t offset;
} KeyField;

#define V2(name) { #name, offsetof(Io__Containerd__Cgroups__V2__MemoryStat, name) }
static const KeyField memory2[] = {
        V2(anon), V2(file), V2(kernel_stack), V2(slab), V2(sock), V2(shmem), V2(file_mapped), V2(file_dirty),
        V2(file_writeback), V2(anon_thp), V2(inactive_anon), V2(active_anon), V2(inactive_file), V2(active_file),
        V2(unevictable), V2(slab_reclaimable), V2(slab_unreclaimable), V2(pgfault), V2(pgmajfault),
        { "workingset_refault_file", offsetof(Io__Containerd__Cgroups__V2__MemoryStat, workingset_refault) },
        { "workingset_activate_file", offsetof(Io__Containerd__Cgroups__V2__MemoryStat, workingset_activate) },
        V2(workingset_nodereclaim), V2(pgrefill), V2(pgscan), V2(pgsteal), V2(pgactivate), V2(pgdeactivate),
        V2(pglazyfree), V2(pglazyfreed), V2(thp_fault_alloc), V2(thp_collapse_alloc),
};

#define EVENT(name) { "events_" #name, offsetof(Io__Containerd__Cgroups__V2__MemoryEvents, name) }
static const KeyField events2[] = { EVENT(low), EVENT(high), EVENT(max), EVENT(oom), EVENT(oom_kill) };

#define V1(key, name)                                                                              \
        { key, offsetof(Io__Containerd__Cgroups__V1__MemoryStat, name) },                          \
        { key, offsetof(Io__Containerd__Cgroups__V1__MemoryStat, total_##name) }
static const KeyField memory1[] = {
        V1("file", cache), V1("anon", rss), V1("anon_thp", rss_huge), V1("file_mapped", mapped_file),
        V1("file_dirty", dirty), V1("file_writeback", writeback), V1("pgfault", pg_fault),
        V1("pgmajfault", pg_maj_fault), V1("inactive_anon", inactive_anon), V1("active_anon", active_anon),
        V1("inactive_file", inactive_file), V1("active_file", active_file), V1("unevictable", unevictable),
};

static void fill_memory(const Grpc__MemoryStats *m, const KeyField *fields, size_t n, void *ret)
{
        for (size_t i = 0; m && i < MIN(m->n_stats, (size_t) STATS_KEYS_MAX * 4); i++)
                for (size_t k = 0; k < n; k++)
                        if (streq(m->stats[i]->key, fields[k].key))
                                memcpy((char *) ret + fields[k].offset, &m->stats[i]->value, sizeof(uint64_t));
}

static bool has_key(const Grpc__MemoryStats *m, const char *key)
{
        for (size_t i = 0; m && i < MIN(m->n_stats, (size_t) STATS_KEYS_MAX * 4); i++)
                if (streq(m->stats[i]->key, key))
                        return true;

        return false;
}

static int pack(const ProtobufCMessage *m, const char **ret_type, uint8_t **ret_data, size_t *ret_size)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t *data = new(uint8_t, n);

        if (!data)
                return -ENOMEM;
        protobuf_c_message_pack(m, data);
        *ret_type = m->descriptor->name;
        *ret_data = data;
        *ret_size = n;
        return 0;
}

/* Zeroed memory for n messages and the pointers to them. */
#define ALLOCATE(arena, type, n, ret_list)                                                         \
        ({                                                                                         \
                size_t _n_ = (n);                                                                  \
                type *_v_ = pb_arena_alloc(arena, _n_ * sizeof(type) + 1);                         \
                *(ret_list) = pb_arena_alloc(arena, _n_ * sizeof(type *) + 1);                     \
                for (size_t _k_ = 0; _v_ && *(ret_list) && _k_ < _n_; _k_++)                       \
                        (*(ret_list))[_k_] = &_v_[_k_];                                            \
                _v_ && *(ret_list) ? _v_ : NULL;                                                   \
        })

#define COPY_NETWORK(to, from)                                                                     \
        ({                                                                                         \
                (to)->name = (from)->name;                                                         \
                (to)->rx_bytes = (from)->rx_bytes;                                                 \
                (to)->rx_packets = (from)->rx_packets;                                             \
                (to)->rx_errors = (from)->rx_errors;                                               \
                (to)->rx_dropped = (from)->rx_dropped;                                             \
                (to)->tx_bytes = (from)->tx_bytes;                                                 \
                (to)->tx_packets = (from)->tx_packets;                                             \
                (to)->tx_errors = (from)->tx_errors;                                               \
                (to)->tx_dropped = (from)->tx_dropped;                                             \
        })

/* --- cgroup v2 --- */

static int fill_io2(PbArena *arena, const Grpc__BlkioStats *b, Io__Containerd__Cgroups__V2__IOStat *ret)
{
        size_t n = b ? b->n_io_service_bytes_recursive : 0;
        Io__Containerd__Cgroups__V2__IOEntry *v = ALLOCATE(arena, Io__Containerd__Cgroups__V2__IOEntry, n, &ret->usage);

        if (!v)
                return -ENOMEM;

        /* One entry a device and operation → one a device. */
        for (size_t i = 0; i < n; i++) {
                const Grpc__BlkioStatsEntry *e = b->io_service_bytes_recursive[i];
                Io__Containerd__Cgroups__V2__IOEntry *to = NULL;

                for (size_t k = 0; k < ret->n_usage && !to; k++)
                        if (v[k].major == e->major && v[k].minor == e->minor)
                                to = &v[k];
                if (!to && ret->n_usage >= STATS_DEVICES_MAX)
                        break;
                if (!to) {
                        to = &v[ret->n_usage++];
                        io__containerd__cgroups__v2__ioentry__init(to);
                        to->major = e->major;
                        to->minor = e->minor;
                }
                if (streq(e->op, "read"))
                        to->rbytes = e->value;
                else if (streq(e->op, "write"))
                        to->wbytes = e->value;
                else if (streq(e->op, "rios"))
                        to->rios = e->value;
                else if (streq(e->op, "wios"))
                        to->wios = e->value;
        }
        return 0;
}

static int convert2(PbArena *arena, const Grpc__StatsContainerResponse *s, const char **ret_type, uint8_t **ret_data,
                    size_t *ret_size)
{
        const Grpc__CgroupStats *c = s->cgroup_stats;
        const Grpc__CpuStats *cpu_in = c ? c->cpu_stats : NULL;
        const Grpc__MemoryStats *memory_in = c ? c->memory_stats : NULL;
        Io__Containerd__Cgroups__V2__Metrics m = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT;
        Io__Containerd__Cgroups__V2__PidsStat pids = IO__CONTAINERD__CGROUPS__V2__PIDS_STAT__INIT;
        Io__Containerd__Cgroups__V2__CPUStat cpu = IO__CONTAINERD__CGROUPS__V2__CPUSTAT__INIT;
        Io__Containerd__Cgroups__V2__MemoryStat memory = IO__CONTAINERD__CGROUPS__V2__MEMORY_STAT__INIT;
        Io__Containerd__Cgroups__V2__MemoryEvents events = IO__CONTAINERD__CGROUPS__V2__MEMORY_EVENTS__INIT;
        Io__Containerd__Cgroups__V2__IOStat io = IO__CONTAINERD__CGROUPS__V2__IOSTAT__INIT;
        Io__Containerd__Cgroups__V2__HugeTlbStat *pages;
        Io__Containerd__Cgroups__V2__NetworkStat *network;
        size_t n_pages = c ? MIN(c->n_hugetlb_stats, (size_t) STATS_HUGEPAGES_MAX) : 0;
        size_t n_network = MIN(s->n_network_stats, (size_t) STATS_INTERFACES_MAX);

        if (c && c->pids_stats) {
                pids.current = c->pids_stats->current;
                pids.limit = c->pids_stats->limit;
        }
        if (cpu_in && cpu_in->cpu_usage) {
                cpu.usage_usec = cpu_in->cpu_usage->total_usage / NSEC_PER_USEC;
                cpu.user_usec = cpu_in->cpu_usage->usage_in_usermode / NSEC_PER_USEC;
                cpu.system_usec = cpu_in->cpu_usage->usage_in_kernelmode / NSEC_PER_USEC;
        }
        if (cpu_in && cpu_in->throttling_data) {
                cpu.nr_periods = cpu_in->throttling_data->periods;
                cpu.nr_throttled = cpu_in->throttling_data->throttled_periods;
                cpu.throttled_usec = cpu_in->throttling_data->throttled_time / NSEC_PER_USEC;
        }
        fill_memory(memory_in, memory2, ELEMENTSOF(memory2), &memory);
        if (memory_in && memory_in->usage) {
                memory.usage = memory_in->usage->usage;
                memory.usage_limit = memory_in->usage->limit;
                memory.max_usage = memory_in->usage->max_usage;
        }
        if (memory_in && memory_in->swap_usage) {
                memory.swap_usage = memory_in->swap_usage->usage;
                memory.swap_limit = memory_in->swap_usage->limit;
                memory.swap_max_usage = memory_in->swap_usage->max_usage;
        }
        /* Agents that do not tell of them are not taken for such with none. */
        if (has_key(memory_in, "events_oom_kill")) {
                fill_memory(memory_in, events2, ELEMENTSOF(events2), &events);
                m.memory_events = &events;
        }
        if (fill_io2(arena, c ? c->blkio_stats : NULL, &io) < 0)
                return -ENOMEM;

        pages = ALLOCATE(arena, Io__Containerd__Cgroups__V2__HugeTlbStat, n_pages, &m.hugetlb);
        network = ALLOCATE(arena, Io__Containerd__Cgroups__V2__NetworkStat, n_network, &m.network);
        if (!pages || !network)
                return -ENOMEM;
        for (size_t i = 0; i < n_pages; i++) {
                const Grpc__HugetlbStatsEntry *e = c->hugetlb_stats[i];

                io__containerd__cgroups__v2__huge_tlb_stat__init(&pages[i]);
                pages[i].pagesize = e->key;
                if (e->value) {
                        pages[i].current = e->value->usage;
                        pages[i].max = e->value->max_usage;
                        pages[i].failcnt = e->value->failcnt;
                }
        }
        for (size_t i = 0; i < n_network; i++) {
                io__containerd__cgroups__v2__network_stat__init(&network[i]);
                COPY_NETWORK(&network[i], s->network_stats[i]);
        }

        m.pids = &pids;
        m.cpu = &cpu;
        m.memory = &memory;
        m.io = &io;
        m.n_hugetlb = n_pages;
        m.n_network = n_network;
        return pack(&m.base, ret_type, ret_data, ret_size);
}

/* --- cgroup v1 --- */

static void fill_entry1(const Grpc__MemoryData *from, Io__Containerd__Cgroups__V1__MemoryEntry *to)
{
        if (!from)
                return;
        to->limit = from->limit;
        to->usage = from->usage;
        to->max = from->max_usage;
        to->failcnt = from->failcnt;
}

static int fill_blkio1(PbArena *arena, Grpc__BlkioStatsEntry **from, size_t n,
                       Io__Containerd__Cgroups__V1__BlkIOEntry ***ret)
{
        Io__Containerd__Cgroups__V1__BlkIOEntry *v = ALLOCATE(arena, Io__Containerd__Cgroups__V1__BlkIOEntry, n, ret);

        if (!v)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                io__containerd__cgroups__v1__blk_ioentry__init(&v[i]);
                v[i].op = from[i]->op;
                v[i].major = from[i]->major;
                v[i].minor = from[i]->minor;
                v[i].value = from[i]->value;
        }
        return 0;
}

static int convert1(PbArena *arena, const Grpc__StatsContainerResponse *s, const char **ret_type, uint8_t **ret_data,
                    size_t *ret_size)
{
        const Grpc__CgroupStats *c = s->cgroup_stats;
        const Grpc__CpuStats *cpu_in = c ? c->cpu_stats : NULL;
        const Grpc__MemoryStats *memory_in = c ? c->memory_stats : NULL;
        const Grpc__BlkioStats *blkio_in = c ? c->blkio_stats : NULL;
        Io__Containerd__Cgroups__V1__Metrics m = IO__CONTAINERD__CGROUPS__V1__METRICS__INIT;
        Io__Containerd__Cgroups__V1__PidsStat pids = IO__CONTAINERD__CGROUPS__V1__PIDS_STAT__INIT;
        Io__Containerd__Cgroups__V1__CPUUsage usage = IO__CONTAINERD__CGROUPS__V1__CPUUSAGE__INIT;
        Io__Containerd__Cgroups__V1__Throttle throttle = IO__CONTAINERD__CGROUPS__V1__THROTTLE__INIT;
        Io__Containerd__Cgroups__V1__CPUStat cpu = IO__CONTAINERD__CGROUPS__V1__CPUSTAT__INIT;
        Io__Containerd__Cgroups__V1__MemoryStat memory = IO__CONTAINERD__CGROUPS__V1__MEMORY_STAT__INIT;
        Io__Containerd__Cgroups__V1__MemoryEntry entries[3] = {
                IO__CONTAINERD__CGROUPS__V1__MEMORY_ENTRY__INIT, IO__CONTAINERD__CGROUPS__V1__MEMORY_ENTRY__INIT,
                IO__CONTAINERD__CGROUPS__V1__MEMORY_ENTRY__INIT,
        };
        Io__Containerd__Cgroups__V1__BlkIOStat blkio = IO__CONTAINERD__CGROUPS__V1__BLK_IOSTAT__INIT;
        Io__Containerd__Cgroups__V1__HugetlbStat *pages;
        Io__Containerd__Cgroups__V1__NetworkStat *network;
        size_t n_pages = c ? MIN(c->n_hugetlb_stats, (size_t) STATS_HUGEPAGES_MAX) : 0;
        size_t n_network = MIN(s->n_network_stats, (size_t) STATS_INTERFACES_MAX);

        if (c && c->pids_stats) {
                pids.current = c->pids_stats->current;
                pids.limit = c->pids_stats->limit;
        }
        if (cpu_in && cpu_in->cpu_usage) {
                usage.total = cpu_in->cpu_usage->total_usage;
                usage.user = cpu_in->cpu_usage->usage_in_usermode;
                usage.kernel = cpu_in->cpu_usage->usage_in_kernelmode;
                usage.per_cpu = cpu_in->cpu_usage->percpu_usage;
                usage.n_per_cpu = cpu_in->cpu_usage->n_percpu_usage;
        }
        if (cpu_in && cpu_in->throttling_data) {
                throttle.periods = cpu_in->throttling_data->periods;
                throttle.throttled_periods = cpu_in->throttling_data->throttled_periods;
                throttle.throttled_time = cpu_in->throttling_data->throttled_time;
        }
        fill_memory(memory_in, memory1, ELEMENTSOF(memory1), &memory);
        if (memory_in) {
                fill_entry1(memory_in->usage, &entries[0]);
                fill_entry1(memory_in->swap_usage, &entries[1]);
                fill_entry1(memory_in->kernel_usage, &entries[2]);
        }
        if (blkio_in) {
                blkio.n_io_service_bytes_recursive = blkio_in->n_io_service_bytes_recursive;
                blkio.n_io_serviced_recursive = blkio_in->n_io_serviced_recursive;
                if (fill_blkio1(arena, blkio_in->io_service_bytes_recursive, blkio.n_io_service_bytes_recursive,
                                &blkio.io_service_bytes_recursive) < 0 ||
                    fill_blkio1(arena, blkio_in->io_serviced_recursive, blkio.n_io_serviced_recursive,
                                &blkio.io_serviced_recursive) < 0)
                        return -ENOMEM;
        }

        pages = ALLOCATE(arena, Io__Containerd__Cgroups__V1__HugetlbStat, n_pages, &m.hugetlb);
        network = ALLOCATE(arena, Io__Containerd__Cgroups__V1__NetworkStat, n_network, &m.network);
        if (!pages || !network)
                return -ENOMEM;
        for (size_t i = 0; i < n_pages; i++) {
                const Grpc__HugetlbStatsEntry *e = c->hugetlb_stats[i];

                io__containerd__cgroups__v1__hugetlb_stat__init(&pages[i]);
                pages[i].pagesize = e->key;
                if (e->value) {
                        pages[i].usage = e->value->usage;
                        pages[i].max = e->value->max_usage;
                        pages[i].failcnt = e->value->failcnt;
                }
        }
        for (size_t i = 0; i < n_network; i++) {
                io__containerd__cgroups__v1__network_stat__init(&network[i]);
                COPY_NETWORK(&network[i], s->network_stats[i]);
        }

        cpu.usage = &usage;
        cpu.throttling = &throttle;
        memory.usage = &entries[0];
        memory.swap = &entries[1];
        memory.kernel = &entries[2];
        m.pids = &pids;
        m.cpu = &cpu;
        m.memory = &memory;
        m.blkio = &blkio;
        m.n_hugetlb = n_pages;
        m.n_network = n_network;
        return pack(&m.base, ret_type, ret_data, ret_size);
}

int task_stats_convert(const Grpc__StatsContainerResponse *stats, bool unified, const char **ret_type,
                       uint8_t **ret_data, size_t *ret_size)
{
        _cleanup_pb_arena_ PbArena arena;

        pb_arena_init(&arena, 0);
        return unified ? convert2(&arena, stats, ret_type, ret_data, ret_size) :
                         convert1(&arena, stats, ret_type, ret_data, ret_size);
}
