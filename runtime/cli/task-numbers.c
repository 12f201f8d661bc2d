/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a container: see task-numbers.h. The peer is the supervisor, what it passes on comes from a guest. */

#include "runtime/cli/task-numbers.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "proto/cgroup1.pb-c.h"
#include "proto/cgroup2.pb-c.h"

#define NSEC_PER_USEC UINT64_C(1000)

typedef Io__Containerd__Cgroups__V1__Metrics Metrics1;
typedef Io__Containerd__Cgroups__V2__Metrics Metrics2;

/* Zeroed; NULL over the budget. */
static void *list_new(PbArena *arena, size_t n, size_t size)
{
        void *p = pb_arena_alloc(arena, MAX(n * size, (size_t) 1));

        return p ? memset(p, 0, n * size) : NULL;
}

#define LIST_NEW(arena, type, n) ((type *) list_new(arena, n, sizeof(type)))

#define COPY_NETWORK(to, from)                                                                     \
        (*(to) = (NetworkNumbers) {                                                                \
                .name = (from)->name,                                                              \
                .rx_bytes = (from)->rx_bytes, .rx_packets = (from)->rx_packets,                    \
                .rx_errors = (from)->rx_errors, .rx_dropped = (from)->rx_dropped,                  \
                .tx_bytes = (from)->tx_bytes, .tx_packets = (from)->tx_packets,                    \
                .tx_errors = (from)->tx_errors, .tx_dropped = (from)->tx_dropped,                  \
        })

/* --- cgroup v2 --- */

static uint64_t to_nsec(uint64_t usec)
{
        return usec > UINT64_MAX / NSEC_PER_USEC ? UINT64_MAX : usec * NSEC_PER_USEC;
}

static int take_disks2(const Io__Containerd__Cgroups__V2__IOStat *io, PbArena *arena, TaskNumbers *ret)
{
        size_t n = MIN(io->n_usage, (size_t) STATS_DEVICES_MAX);

        ret->disk_bytes = LIST_NEW(arena, DiskNumber, 2 * n);
        ret->disk_requests = LIST_NEW(arena, DiskNumber, 2 * n);
        if (!ret->disk_bytes || !ret->disk_requests)
                return -ENOBUFS;

        for (size_t i = 0; i < n; i++) {
                const Io__Containerd__Cgroups__V2__IOEntry *e = io->usage[i];

                ret->disk_bytes[2 * i] = (DiskNumber) { e->major, e->minor, e->rbytes, "Read" };
                ret->disk_bytes[2 * i + 1] = (DiskNumber) { e->major, e->minor, e->wbytes, "Write" };
                ret->disk_requests[2 * i] = (DiskNumber) { e->major, e->minor, e->rios, "Read" };
                ret->disk_requests[2 * i + 1] = (DiskNumber) { e->major, e->minor, e->wios, "Write" };
        }
        ret->n_disk_bytes = ret->n_disk_requests = 2 * n;
        return 0;
}

static void take_memory2(const Io__Containerd__Cgroups__V2__MemoryStat *m, TaskNumbers *ret)
{
        ret->memory_stat = &m->base;
        ret->cache = m->file;
        ret->memory = (MemoryNumbers) { .limit = m->usage_limit, .usage = m->usage, .max = m->max_usage };
        ret->swap = (MemoryNumbers) { .limit = m->swap_limit, .usage = m->swap_usage, .max = m->swap_max_usage };
}

static int take2(const Metrics2 *m, PbArena *arena, TaskNumbers *ret)
{
        if (m->pids) {
                ret->pids = m->pids->current;
                ret->pids_limit = m->pids->limit;
        }
        if (m->cpu) {
                ret->cpu_total = to_nsec(m->cpu->usage_usec);
                ret->cpu_user = to_nsec(m->cpu->user_usec);
                ret->cpu_kernel = to_nsec(m->cpu->system_usec);
                ret->periods = m->cpu->nr_periods;
                ret->throttled_periods = m->cpu->nr_throttled;
                ret->throttled_time = to_nsec(m->cpu->throttled_usec);
        }
        if (m->memory)
                take_memory2(m->memory, ret);
        if (m->memory_events) {
                ret->has_oom_kills = true;
                ret->oom_kills = m->memory_events->oom_kill;
                ret->memory.failures = m->memory_events->max;
        }
        if (m->io && take_disks2(m->io, arena, ret) < 0)
                return -ENOBUFS;

        ret->n_pages = MIN(m->n_hugetlb, (size_t) STATS_HUGEPAGES_MAX);
        ret->n_network = MIN(m->n_network, (size_t) STATS_INTERFACES_MAX);
        ret->pages = LIST_NEW(arena, PageNumbers, ret->n_pages);
        ret->network = LIST_NEW(arena, NetworkNumbers, ret->n_network);
        if (!ret->pages || !ret->network)
                return -ENOBUFS;
        for (size_t i = 0; i < ret->n_pages; i++)
                ret->pages[i] = (PageNumbers) {
                        .size = m->hugetlb[i]->pagesize, .usage = m->hugetlb[i]->current, .max = m->hugetlb[i]->max,
                        .failures = m->hugetlb[i]->failcnt,
                };
        for (size_t i = 0; i < ret->n_network; i++)
                COPY_NETWORK(&ret->network[i], m->network[i]);
        return 0;
}

/* --- cgroup v1 --- */

static MemoryNumbers take_entry1(const Io__Containerd__Cgroups__V1__MemoryEntry *e)
{
        return e ? (MemoryNumbers) { .limit = e->limit, .usage = e->usage, .max = e->max, .failures = e->failcnt }
                 : (MemoryNumbers) {};
}

static int take_disks1(Io__Containerd__Cgroups__V1__BlkIOEntry *const *from, size_t n, PbArena *arena,
                       DiskNumber **ret, size_t *ret_n)
{
        n = MIN(n, (size_t) STATS_DEVICES_MAX * 4);
        *ret = LIST_NEW(arena, DiskNumber, n);
        if (!*ret)
                return -ENOBUFS;
        for (size_t i = 0; i < n; i++)
                (*ret)[i] = (DiskNumber) { from[i]->major, from[i]->minor, from[i]->value, from[i]->op };
        *ret_n = n;
        return 0;
}

static void take_cpu1(const Io__Containerd__Cgroups__V1__CPUStat *cpu, TaskNumbers *ret)
{
        if (cpu->usage) {
                ret->cpu_total = cpu->usage->total;
                ret->cpu_user = cpu->usage->user;
                ret->cpu_kernel = cpu->usage->kernel;
                ret->per_cpu = cpu->usage->per_cpu;
                ret->n_per_cpu = MIN(cpu->usage->n_per_cpu, (size_t) CPUS_MAX);
        }
        if (cpu->throttling) {
                ret->periods = cpu->throttling->periods;
                ret->throttled_periods = cpu->throttling->throttled_periods;
                ret->throttled_time = cpu->throttling->throttled_time;
        }
}

static int take1(const Metrics1 *m, PbArena *arena, TaskNumbers *ret)
{
        if (m->pids) {
                ret->pids = m->pids->current;
                ret->pids_limit = m->pids->limit;
        }
        if (m->cpu)
                take_cpu1(m->cpu, ret);
        if (m->memory) {
                ret->memory_stat = &m->memory->base;
                ret->cache = m->memory->cache;
                ret->memory = take_entry1(m->memory->usage);
                ret->swap = take_entry1(m->memory->swap);
                ret->kernel = take_entry1(m->memory->kernel);
        }
        if (m->blkio &&
            (take_disks1(m->blkio->io_service_bytes_recursive, m->blkio->n_io_service_bytes_recursive, arena,
                         &ret->disk_bytes, &ret->n_disk_bytes) < 0 ||
             take_disks1(m->blkio->io_serviced_recursive, m->blkio->n_io_serviced_recursive, arena,
                         &ret->disk_requests, &ret->n_disk_requests) < 0))
                return -ENOBUFS;

        ret->n_pages = MIN(m->n_hugetlb, (size_t) STATS_HUGEPAGES_MAX);
        ret->n_network = MIN(m->n_network, (size_t) STATS_INTERFACES_MAX);
        ret->pages = LIST_NEW(arena, PageNumbers, ret->n_pages);
        ret->network = LIST_NEW(arena, NetworkNumbers, ret->n_network);
        if (!ret->pages || !ret->network)
                return -ENOBUFS;
        for (size_t i = 0; i < ret->n_pages; i++)
                ret->pages[i] = (PageNumbers) {
                        .size = m->hugetlb[i]->pagesize, .usage = m->hugetlb[i]->usage, .max = m->hugetlb[i]->max,
                        .failures = m->hugetlb[i]->failcnt,
                };
        for (size_t i = 0; i < ret->n_network; i++)
                COPY_NETWORK(&ret->network[i], m->network[i]);
        return 0;
}

/* --- both --- */

int task_numbers_parse(const Google__Protobuf__Any *stats, PbArena *arena, TaskNumbers *ret)
{
        const ProtobufCMessageDescriptor *v1 = &io__containerd__cgroups__v1__metrics__descriptor,
                                         *v2 = &io__containerd__cgroups__v2__metrics__descriptor;
        Metrics1 *m1;
        Metrics2 *m2;
        int r;

        *ret = (TaskNumbers) {};
        if (streq(stats->type_url, v2->name)) {
                r = pb_unpack(v2, arena, stats->value.data, stats->value.len, &m2);
                return r < 0 ? r : take2(m2, arena, ret);
        }
        if (streq(stats->type_url, v1->name)) {
                r = pb_unpack(v1, arena, stats->value.data, stats->value.len, &m1);
                return r < 0 ? r : take1(m1, arena, ret);
        }
        return -EOPNOTSUPP;
}

int task_numbers_get(TaskClient *client, const char *id, usec_t timeout, PbArena *arena, TaskNumbers *ret,
                     char **reterr_message)
{
        Containerd__Task__V2__StatsRequest q = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
        Containerd__Task__V2__StatsResponse *answer;
        int r;

        q.id = (char *) (uintptr_t) id;
        r = task_client_call(client, "Stats", &q.base, timeout, arena,
                             &containerd__task__v2__stats_response__descriptor, &answer, reterr_message);
        if (r < 0)
                return r;
        r = answer->stats ? task_numbers_parse(answer->stats, arena, ret) : -EBADMSG;
        return r < 0 ? error_setf(reterr_message, r, "the numbers of container '%s' can not be read: %s", id,
                                  strerror(-r)) : 0;
}
