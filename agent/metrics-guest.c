/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the machine: see metrics.h. */

#include <inttypes.h>
#include <unistd.h>

#include "agent/metrics.h"
#include "agent/stats-text.h"
#include "basic/parse.h"

#define GUEST "kata_guest_"
#define CPU_ITEMS 10U
#define DISK_ITEMS 17U

static void write_load(FILE *f, int dir_fd)
{
        static const char *const names[] = { "load1", "load5", "load15" };
        _cleanup_free_ char *text = NULL;
        uint64_t current, all, value;
        const char *p;
        StatsLine line;

        if (stats_read_start(dir_fd, "loadavg", 256, &text) < 0)
                return;
        p = text;
        if (!stats_next_line(&p, &line))
                return;

        metrics_family(f, GUEST "load", "gauge", "Guest system load.");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (!stats_next_hundredths(&line, &value))
                        return;
                metrics_value(f, GUEST "load", NULL, NULL, 0, names[i], "%" PRIu64 ".%02u", value / 100,
                              (unsigned) (value % 100));
        }
        if (!stats_next_u64(&line, &current) || !stats_next_char(&line, '/') || !stats_next_u64(&line, &all))
                return;
        metrics_family(f, GUEST "tasks", "gauge", "Guest system load.");
        metrics_value(f, GUEST "tasks", NULL, NULL, 0, "cur", "%" PRIu64, current);
        metrics_value(f, GUEST "tasks", NULL, NULL, 0, "max", "%" PRIu64, all);
}

/* "name v0 v1 ...": as many of the items as there are. */
static void write_row(FILE *f, const char *metric, const char *label, const char *name, size_t n,
                      const char *const *items, size_t n_items, StatsLine *line, uint64_t scale)
{
        uint64_t value;

        for (size_t i = 0; i < n_items && stats_next_u64(line, &value); i++)
                metrics_value(f, metric, label, name, n, items[i], "%" PRIu64, value * scale);
}

static void write_cpus(FILE *f, int dir_fd)
{
        static const char *const items[CPU_ITEMS] = {
                "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest",
                "guest_nice",
        };
        uint64_t ms = 1000U / (uint64_t) MAX(sysconf(_SC_CLK_TCK), 1L);
        _cleanup_free_ char *text = NULL;
        const char *p, *word;
        StatsLine line;
        size_t n;

        /* The lines of the processors come first, that of the interrupts is the longest. */
        if (stats_read_start(dir_fd, "stat", STATS_FILE_MAX * 4, &text) < 0)
                return;

        metrics_family(f, GUEST "cpu_time", "gauge", "Guest CPU statistics.");
        for (p = text; stats_next_line(&p, &line);)
                if (stats_next_word(&line, &word, &n) && n >= 3 && strncmp(word, "cpu", 3) == 0)
                        write_row(f, GUEST "cpu_time", "cpu", n == 3 ? "total" : word + 3,
                                  n == 3 ? strlen("total") : n - 3, items, CPU_ITEMS, &line, ms);
}

static void write_disks(FILE *f, int dir_fd)
{
        static const char *const items[DISK_ITEMS] = {
                "reads", "merged", "sectors_read", "time_reading", "writes", "writes_merged",
                "sectors_written", "time_writing", "in_progress", "time_in_progress",
                "weighted_time_in_progress", "discards", "discards_merged", "sectors_discarded",
                "time_discarding", "flushes", "time_flushing",
        };
        _cleanup_free_ char *text = NULL;
        size_t n, n_disks = 0;
        const char *p, *word;
        StatsLine line;
        uint64_t number;

        if (stats_read_start(dir_fd, "diskstats", STATS_FILE_MAX, &text) < 0)
                return;

        metrics_family(f, GUEST "diskstat", "gauge", "Disks statistics in system.");
        for (p = text; n_disks < STATS_DEVICES_MAX && stats_next_line(&p, &line);)
                if (stats_next_u64(&line, &number) && stats_next_u64(&line, &number) &&
                    stats_next_word(&line, &word, &n)) {
                        write_row(f, GUEST "diskstat", "disk", word, n, items, DISK_ITEMS, &line, 1);
                        n_disks++;
                }
}

static void write_network(FILE *f, int dir_fd)
{
        /* In the order of NET_DEV_*. */
        static const char *const items[NET_DEV_COLUMNS] = {
                "recv_bytes", "recv_packets", "recv_errs", "recv_drop", "recv_fifo", "recv_frame",
                "recv_compressed", "recv_multicast", "sent_bytes", "sent_packets", "sent_errs",
                "sent_drop", "sent_fifo", "sent_colls", "sent_carrier", "sent_compressed",
        };
        _cleanup_free_ char *text = NULL;
        size_t n, n_interfaces = 0;
        const char *p, *name;
        StatsLine line;

        if (stats_read_start(dir_fd, "net/dev", STATS_FILE_MAX, &text) < 0)
                return;

        metrics_family(f, GUEST "netdev_stat", "gauge", "Guest net devices statistics.");
        for (p = text; n_interfaces < STATS_INTERFACES_MAX && stats_next_line(&p, &line);) {
                uint64_t v[NET_DEV_COLUMNS];

                if (!stats_parse_net_dev(&line, &name, &n, v))
                        continue;
                for (size_t i = 0; i < NET_DEV_COLUMNS; i++)
                        metrics_value(f, GUEST "netdev_stat", "interface", name, n, items[i], "%" PRIu64,
                                      v[i]);
                n_interfaces++;
        }
}

static void write_vmstat(FILE *f, int dir_fd)
{
        _cleanup_free_ char *text = NULL;
        size_t n, n_keys = 0;
        const char *p, *name;
        StatsLine line;
        uint64_t value;

        if (stats_read_start(dir_fd, "vmstat", STATS_FILE_MAX, &text) < 0)
                return;

        metrics_family(f, GUEST "vm_stat", "gauge", "Guest virtual memory statistics.");
        for (p = text; n_keys < STATS_KEYS_MAX && stats_next_line(&p, &line);)
                if (stats_next_word(&line, &name, &n) && stats_name_is_plain(name, n) &&
                    n < STATS_NAME_MAX && stats_next_u64(&line, &value)) {
                        char item[STATS_NAME_MAX];

                        snprintf(item, sizeof(item), "%.*s", (int) n, name);
                        metrics_value(f, GUEST "vm_stat", NULL, NULL, 0, item, "%" PRIu64, value);
                        n_keys++;
                }
}

/* proc_meminfo(5) → the names of upstream's metric. What is not in the table is left out, as there. */
static const char *const meminfo_items[][2] = {
        { "MemTotal", "mem_total" },
        { "MemFree", "mem_free" },
        { "MemAvailable", "mem_available" },
        { "Buffers", "buffers" },
        { "Cached", "cached" },
        { "SwapCached", "swap_cached" },
        { "Active", "active" },
        { "Inactive", "inactive" },
        { "Active(anon)", "active_anon" },
        { "Inactive(anon)", "inactive_anon" },
        { "Active(file)", "active_file" },
        { "Inactive(file)", "inactive_file" },
        { "Unevictable", "unevictable" },
        { "Mlocked", "mlocked" },
        { "SwapTotal", "swap_total" },
        { "SwapFree", "swap_free" },
        { "Dirty", "dirty" },
        { "Writeback", "writeback" },
        { "AnonPages", "anon_pages" },
        { "Mapped", "mapped" },
        { "Shmem", "shmem" },
        { "KReclaimable", "k_reclaimable" },
        { "Slab", "slab" },
        { "SReclaimable", "s_reclaimable" },
        { "SUnreclaim", "s_unreclaim" },
        { "KernelStack", "kernel_stack" },
        { "PageTables", "page_tables" },
        { "NFS_Unstable", "nfs_unstable" },
        { "Bounce", "bounce" },
        { "WritebackTmp", "writeback_tmp" },
        { "CommitLimit", "commit_limit" },
        { "Committed_AS", "committed_as" },
        { "VmallocTotal", "vmalloc_total" },
        { "VmallocUsed", "vmalloc_used" },
        { "VmallocChunk", "vmalloc_chunk" },
        { "Percpu", "per_cpu" },
        { "HardwareCorrupted", "hardware_corrupted" },
        { "AnonHugePages", "anon_hugepages" },
        { "ShmemHugePages", "shmem_hugepages" },
        { "ShmemPmdMapped", "shmem_pmd_mapped" },
        { "CmaTotal", "cma_total" },
        { "CmaFree", "cma_free" },
        { "HugePages_Total", "hugepages_total" },
        { "HugePages_Free", "hugepages_free" },
        { "HugePages_Rsvd", "hugepages_rsvd" },
        { "HugePages_Surp", "hugepages_surp" },
        { "Hugepagesize", "hugepagesize" },
        { "Hugetlb", "hugetlb" },
        { "DirectMap4k", "direct_map_4k" },
        { "DirectMap4M", "direct_map_4M" },
        { "DirectMap2M", "direct_map_2M" },
        { "DirectMap1G", "direct_map_1G" },
};

static void write_meminfo(FILE *f, int dir_fd)
{
        _cleanup_free_ char *text = NULL;
        const char *p, *name, *unit;
        size_t n, n_unit;
        StatsLine line;
        uint64_t value;

        if (stats_read_start(dir_fd, "meminfo", STATS_FILE_MAX, &text) < 0)
                return;

        metrics_family(f, GUEST "meminfo", "gauge", "Statistics about memory usage in the system.");
        for (p = text; stats_next_line(&p, &line);) {
                if (!stats_next_word(&line, &name, &n) || n == 0 || name[n - 1] != ':' ||
                    !stats_next_u64(&line, &value))
                        continue;
                if (stats_next_word(&line, &unit, &n_unit) && stats_word_is(unit, n_unit, "kB") &&
                    __builtin_mul_overflow(value, UINT64_C(1024), &value))
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(meminfo_items); i++)
                        if (stats_word_is(name, n - 1, meminfo_items[i][0]))
                                metrics_value(f, GUEST "meminfo", NULL, NULL, 0, meminfo_items[i][1],
                                              "%" PRIu64, value);
        }
}

void metrics_write_guest(FILE *f, int dir_fd)
{
        write_cpus(f, dir_fd);
        write_disks(f, dir_fd);
        write_load(f, dir_fd);
        write_meminfo(f, dir_fd);
        write_network(f, dir_fd);
        write_vmstat(f, dir_fd);
}
