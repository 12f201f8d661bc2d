/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a container: see cgroup-stats.h. */

#include "agent/cgroup-stats.h"

#include "agent/stats-text.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define NSEC_PER_USEC 1000U
#define IO_OPS 6U               /* entries of one device in io_service_bytes_recursive */

typedef struct StatsKey {
        Grpc__Uint64Entry entry;
        char name[STATS_NAME_MAX];
} StatsKey;

typedef struct StatsInterface {
        Grpc__NetworkStats entry;
        char name[STATS_NAME_MAX];
} StatsInterface;

typedef struct StatsHugepages {
        Grpc__HugetlbStatsEntry entry;
        Grpc__HugetlbStats value;
        char name[STATS_NAME_MAX];
} StatsHugepages;

struct ContainerStats {
        Grpc__StatsContainerResponse response;
        Grpc__CgroupStats cgroup;
        Grpc__CpuStats cpu;
        Grpc__CpuUsage cpu_usage;
        Grpc__ThrottlingData throttling;
        Grpc__MemoryStats memory;
        Grpc__MemoryData memory_usage, swap_usage, kernel_usage;
        Grpc__PidsStats pids;
        Grpc__BlkioStats blkio;

        StatsKey keys[STATS_KEYS_MAX];
        Grpc__Uint64Entry *key_list[STATS_KEYS_MAX];
        Grpc__BlkioStatsEntry io[STATS_DEVICES_MAX * (IO_OPS + 2)];
        Grpc__BlkioStatsEntry *io_bytes_list[STATS_DEVICES_MAX * IO_OPS];
        Grpc__BlkioStatsEntry *io_requests_list[STATS_DEVICES_MAX * 2];
        size_t n_io;
        StatsInterface interfaces[STATS_INTERFACES_MAX];
        Grpc__NetworkStats *interface_list[STATS_INTERFACES_MAX];
        StatsHugepages hugepages[STATS_HUGEPAGES_MAX];
        Grpc__HugetlbStatsEntry *hugepage_list[STATS_HUGEPAGES_MAX];
};

int container_stats_new(ContainerStats **ret)
{
        ContainerStats *s = new0(ContainerStats, 1);

        if (!s)
                return -ENOMEM;

        s->response = (Grpc__StatsContainerResponse) GRPC__STATS_CONTAINER_RESPONSE__INIT;
        s->cgroup = (Grpc__CgroupStats) GRPC__CGROUP_STATS__INIT;
        s->cpu = (Grpc__CpuStats) GRPC__CPU_STATS__INIT;
        s->cpu_usage = (Grpc__CpuUsage) GRPC__CPU_USAGE__INIT;
        s->throttling = (Grpc__ThrottlingData) GRPC__THROTTLING_DATA__INIT;
        s->memory = (Grpc__MemoryStats) GRPC__MEMORY_STATS__INIT;
        s->memory_usage = s->swap_usage = s->kernel_usage = (Grpc__MemoryData) GRPC__MEMORY_DATA__INIT;
        s->pids = (Grpc__PidsStats) GRPC__PIDS_STATS__INIT;
        s->blkio = (Grpc__BlkioStats) GRPC__BLKIO_STATS__INIT;

        s->response.cgroup_stats = &s->cgroup;
        s->response.network_stats = s->interface_list;
        s->cgroup.cpu_stats = &s->cpu;
        s->cgroup.memory_stats = &s->memory;
        s->cgroup.pids_stats = &s->pids;
        s->cgroup.blkio_stats = &s->blkio;
        s->cgroup.hugetlb_stats = s->hugepage_list;
        s->cpu.cpu_usage = &s->cpu_usage;
        s->cpu.throttling_data = &s->throttling;
        s->memory.usage = &s->memory_usage;
        s->memory.swap_usage = &s->swap_usage;
        s->memory.kernel_usage = &s->kernel_usage;
        /* cgroup v2 knows nothing else. */
        s->memory.use_hierarchy = true;
        s->memory.stats = s->key_list;
        s->blkio.io_service_bytes_recursive = s->io_bytes_list;
        s->blkio.io_serviced_recursive = s->io_requests_list;
        *ret = s;
        return 0;
}

ContainerStats *container_stats_free(ContainerStats *stats)
{
        free(stats);
        return NULL;
}

const ProtobufCMessage *container_stats_message(const ContainerStats *stats)
{
        return &stats->response.base;
}

const Grpc__StatsContainerResponse *container_stats_response(const ContainerStats *stats)
{
        return &stats->response;
}

static uint64_t usec_to_nsec(uint64_t usec)
{
        return usec > UINT64_MAX / NSEC_PER_USEC ? UINT64_MAX : usec * NSEC_PER_USEC;
}

static void add_key(ContainerStats *s, const char *prefix, const char *name, size_t n_name, uint64_t value)
{
        StatsKey *key;

        /* The kernel's own names; anything else is not a name. */
        if (s->memory.n_stats == STATS_KEYS_MAX || n_name == 0 || !stats_name_is_plain(name, n_name) ||
            strlen(prefix) + n_name >= STATS_NAME_MAX)
                return;

        key = &s->keys[s->memory.n_stats];
        snprintf(key->name, sizeof(key->name), "%s%.*s", prefix, (int) n_name, name);
        key->entry = (Grpc__Uint64Entry) GRPC__UINT64_ENTRY__INIT;
        key->entry.key = key->name;
        key->entry.value = value;
        s->key_list[s->memory.n_stats++] = &key->entry;
}

void container_stats_add_cpu(ContainerStats *s, const char *text)
{
        StatsLine line;
        uint64_t value;

        while (stats_next_line(&text, &line)) {
                const char *name;
                size_t n;

                if (!stats_next_word(&line, &name, &n) || !stats_next_u64(&line, &value))
                        continue;
                if (stats_word_is(name, n, "usage_usec"))
                        s->cpu_usage.total_usage = usec_to_nsec(value);
                else if (stats_word_is(name, n, "user_usec"))
                        s->cpu_usage.usage_in_usermode = usec_to_nsec(value);
                else if (stats_word_is(name, n, "system_usec"))
                        s->cpu_usage.usage_in_kernelmode = usec_to_nsec(value);
                else if (stats_word_is(name, n, "nr_periods"))
                        s->throttling.periods = value;
                else if (stats_word_is(name, n, "nr_throttled"))
                        s->throttling.throttled_periods = value;
                else if (stats_word_is(name, n, "throttled_usec"))
                        s->throttling.throttled_time = usec_to_nsec(value);
        }
}

void container_stats_add_memory(ContainerStats *s, const char *text)
{
        StatsLine line;
        uint64_t value;

        while (stats_next_line(&text, &line)) {
                const char *name;
                size_t n;

                if (!stats_next_word(&line, &name, &n) || !stats_next_u64(&line, &value))
                        continue;
                if (stats_word_is(name, n, "file"))
                        s->memory.cache = value;
                else if (stats_word_is(name, n, "kernel"))
                        s->kernel_usage.usage = value;
                add_key(s, "", name, n, value);
        }
}

void container_stats_add_memory_events(ContainerStats *s, const char *text)
{
        StatsLine line;
        uint64_t value;

        while (stats_next_line(&text, &line)) {
                const char *name;
                size_t n;

                if (!stats_next_word(&line, &name, &n) || !stats_next_u64(&line, &value))
                        continue;
                if (stats_word_is(name, n, "max"))
                        s->memory_usage.failcnt = value;
                add_key(s, "events_", name, n, value);
        }
}

static void add_io_entry(ContainerStats *s, bool requests, uint64_t major, uint64_t minor, const char *op,
                         uint64_t value)
{
        Grpc__BlkioStatsEntry *e = &s->io[s->n_io++];

        *e = (Grpc__BlkioStatsEntry) GRPC__BLKIO_STATS_ENTRY__INIT;
        e->major = major;
        e->minor = minor;
        e->op = (char *) (uintptr_t) op;
        e->value = value;
        if (requests)
                s->io_requests_list[s->blkio.n_io_serviced_recursive++] = e;
        else
                s->io_bytes_list[s->blkio.n_io_service_bytes_recursive++] = e;
}

void container_stats_add_io(ContainerStats *s, const char *text)
{
        static const struct {
                const char *key, *op;
        } ops[IO_OPS] = {
                { "rbytes", "read" }, { "wbytes", "write" }, { "rios", "rios" },
                { "wios", "wios" },   { "dbytes", "dbytes" }, { "dios", "dios" },
        };
        StatsLine line;

        while (stats_next_line(&text, &line)) {
                uint64_t values[IO_OPS] = {}, major, minor, value;
                const char *name;
                size_t n;

                /* Room for all entries of a device, or none of them. */
                if (s->n_io + IO_OPS + 2 > ELEMENTSOF(s->io))
                        return;
                if (!stats_next_u64(&line, &major) || !stats_next_char(&line, ':') ||
                    !stats_next_u64(&line, &minor))
                        continue;
                while (stats_next_assignment(&line, &name, &n))
                        if (stats_next_u64(&line, &value))
                                for (size_t i = 0; i < IO_OPS; i++)
                                        if (stats_word_is(name, n, ops[i].key))
                                                values[i] = value;

                for (size_t i = 0; i < IO_OPS; i++)
                        add_io_entry(s, false, major, minor, ops[i].op, values[i]);
                add_io_entry(s, true, major, minor, "read", values[2]);
                add_io_entry(s, true, major, minor, "write", values[3]);
        }
}

void container_stats_add_pressure(ContainerStats *s, const char *resource, const char *text)
{
        StatsLine line;

        while (stats_next_line(&text, &line)) {
                const char *who, *name;
                size_t n_who, n;
                uint64_t value;

                if (!stats_next_word(&line, &who, &n_who) ||
                    (!stats_word_is(who, n_who, "some") && !stats_word_is(who, n_who, "full")))
                        continue;
                while (stats_next_assignment(&line, &name, &n)) {
                        char prefix[STATS_NAME_MAX];
                        bool average = n > 3 && strncmp(name, "avg", 3) == 0;

                        if (!(average ? stats_next_hundredths(&line, &value) : stats_next_u64(&line, &value)))
                                break;
                        snprintf(prefix, sizeof(prefix), "psi_%s_%.*s_", resource, (int) n_who, who);
                        add_key(s, prefix, name, n, value);
                }
        }
}

void container_stats_add_network(ContainerStats *s, const char *text)
{
        StatsLine line;

        while (s->response.n_network_stats < STATS_INTERFACES_MAX && stats_next_line(&text, &line)) {
                StatsInterface *interface = &s->interfaces[s->response.n_network_stats];
                Grpc__NetworkStats *e = &interface->entry;
                _cleanup_free_ char *escaped = NULL;
                uint64_t v[NET_DEV_COLUMNS];
                const char *name;
                size_t n;

                if (!stats_parse_net_dev(&line, &name, &n, v))
                        continue;
                escaped = text_escape(name, n, STATS_NAME_MAX - 1);
                if (!escaped)
                        return;
                snprintf(interface->name, sizeof(interface->name), "%s", escaped);

                *e = (Grpc__NetworkStats) GRPC__NETWORK_STATS__INIT;
                e->name = interface->name;
                e->rx_bytes = v[NET_DEV_RX_BYTES];
                e->rx_packets = v[NET_DEV_RX_PACKETS];
                e->rx_errors = v[NET_DEV_RX_ERRORS];
                e->rx_dropped = v[NET_DEV_RX_DROPPED];
                e->tx_bytes = v[NET_DEV_TX_BYTES];
                e->tx_packets = v[NET_DEV_TX_PACKETS];
                e->tx_errors = v[NET_DEV_TX_ERRORS];
                e->tx_dropped = v[NET_DEV_TX_DROPPED];
                s->interface_list[s->response.n_network_stats++] = e;
        }
}

/* *ret stays as it is if there is no such file or no number in it; "max" is max. */
static void read_number(int dir_fd, const char *file, uint64_t max, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *p;
        StatsLine line;

        if (stats_read_start(dir_fd, file, 64, &text) < 0)
                return;
        p = text;
        if (!stats_next_line(&p, &line))
                return;
        if (line.n == 3 && memcmp(line.p, "max", 3) == 0)
                *ret = max;
        else
                (void) stats_next_u64(&line, ret);
}

static void read_swap(ContainerStats *s, int fd)
{
        _cleanup_free_ char *text = NULL;
        const char *p, *name;
        StatsLine line;
        uint64_t value;
        size_t n;

        read_number(fd, "memory.swap.current", 0, &s->swap_usage.usage);
        read_number(fd, "memory.swap.peak", 0, &s->swap_usage.max_usage);
        read_number(fd, "memory.swap.max", UINT64_MAX, &s->swap_usage.limit);
        if (stats_read_start(fd, "memory.swap.events", STATS_FILE_MAX, &text) < 0)
                return;
        for (p = text; stats_next_line(&p, &line);)
                if (stats_next_word(&line, &name, &n) && stats_word_is(name, n, "max") &&
                    stats_next_u64(&line, &value))
                        s->swap_usage.failcnt = value;
}

static void read_hugepages(ContainerStats *s, int fd)
{
        char sizes[STATS_HUGEPAGES_MAX][STATS_NAME_MAX];
        size_t n = stats_hugepage_sizes("/sys/kernel/mm/hugepages", sizes);

        for (size_t i = 0; i < n; i++) {
                StatsHugepages *h = &s->hugepages[s->cgroup.n_hugetlb_stats];
                uint64_t usage = UINT64_MAX;
                char file[STATS_NAME_MAX + 32];

                snprintf(file, sizeof(file), "hugetlb.%s.current", sizes[i]);
                read_number(fd, file, 0, &usage);
                if (usage == UINT64_MAX)
                        continue;

                h->entry = (Grpc__HugetlbStatsEntry) GRPC__HUGETLB_STATS_ENTRY__INIT;
                h->value = (Grpc__HugetlbStats) GRPC__HUGETLB_STATS__INIT;
                h->value.usage = usage;
                snprintf(h->name, sizeof(h->name), "%s", sizes[i]);
                h->entry.key = h->name;
                h->entry.value = &h->value;
                s->hugepage_list[s->cgroup.n_hugetlb_stats++] = &h->entry;

                _cleanup_free_ char *text = NULL;
                StatsLine line;
                const char *p, *name;
                size_t n_name;

                snprintf(file, sizeof(file), "hugetlb.%s.events", sizes[i]);
                if (stats_read_start(fd, file, STATS_FILE_MAX, &text) < 0)
                        continue;
                for (p = text; stats_next_line(&p, &line);)
                        if (stats_next_word(&line, &name, &n_name) && stats_word_is(name, n_name, "max"))
                                (void) stats_next_u64(&line, &h->value.failcnt);
        }
}

static int read_text(ContainerStats *s, int fd, const char *file,
                     void (*add)(ContainerStats *stats, const char *text))
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = stats_read_start(fd, file, STATS_FILE_MAX, &text);
        if (r < 0)
                return r == -ENOMEM ? r : 0;

        add(s, text);
        return 0;
}

int container_stats_read_cgroup(ContainerStats *s, int fd)
{
        static const char *const resources[] = { "cpu", "memory", "io" };
        int r;

        r = read_text(s, fd, "cpu.stat", container_stats_add_cpu);
        if (r >= 0)
                r = read_text(s, fd, "memory.stat", container_stats_add_memory);
        if (r >= 0)
                r = read_text(s, fd, "memory.events", container_stats_add_memory_events);
        if (r >= 0)
                r = read_text(s, fd, "io.stat", container_stats_add_io);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(resources); i++) {
                _cleanup_free_ char *text = NULL;
                char file[32];

                snprintf(file, sizeof(file), "%s.pressure", resources[i]);
                /* EOPNOTSUPP where pressure is switched off on the command line. */
                if (stats_read_start(fd, file, STATS_FILE_MAX, &text) >= 0)
                        container_stats_add_pressure(s, resources[i], text);
        }

        read_number(fd, "memory.current", 0, &s->memory_usage.usage);
        read_number(fd, "memory.peak", 0, &s->memory_usage.max_usage);
        read_number(fd, "memory.max", UINT64_MAX, &s->memory_usage.limit);
        read_swap(s, fd);
        read_number(fd, "pids.current", 0, &s->pids.current);
        read_number(fd, "pids.max", 0, &s->pids.limit);
        read_hugepages(s, fd);
        return 0;
}

int container_stats_read_network(ContainerStats *s, int pid)
{
        char path[64];

        if (pid <= 0)
                return 0;

        snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
        return read_text(s, -1, path, container_stats_add_network);
}
