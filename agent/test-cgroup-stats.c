/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the tables of the kernel, and of what the agent makes of them: stats and metrics. */

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "agent/cgroup-stats.h"
#include "agent/metrics.h"
#include "agent/stats-text.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"

static StatsLine line_of(const char *text)
{
        return (StatsLine) { .p = text, .n = strlen(text) };
}

TEST(words_and_numbers)
{
        StatsLine line = line_of("  abc 18446744073709551615\t18446744073709551616 x=1 y z=2.5 ");
        const char *word;
        uint64_t value;
        size_t n;

        ASSERT_FALSE(stats_next_u64(&line, &value));
        ASSERT_TRUE(stats_next_word(&line, &word, &n) && stats_word_is(word, n, "abc"));
        ASSERT_TRUE(stats_next_u64(&line, &value) && value == UINT64_MAX);
        ASSERT_FALSE(stats_next_u64(&line, &value));
        ASSERT_TRUE(stats_next_assignment(&line, &word, &n) && stats_word_is(word, n, "x"));
        ASSERT_TRUE(stats_next_u64(&line, &value) && value == 1);
        ASSERT_TRUE(stats_next_assignment(&line, &word, &n) && stats_word_is(word, n, "z"));
        ASSERT_TRUE(stats_next_hundredths(&line, &value) && value == 250);
        ASSERT_FALSE(stats_next_assignment(&line, &word, &n));
        ASSERT_FALSE(stats_next_word(&line, &word, &n));

        static const struct {
                const char *text;
                uint64_t value;
        } hundredths[] = { { "0.00", 0 }, { "12.34", 1234 }, { "100", 10000 }, { "3.", 300 }, { "1.239", 123 } };
        for (size_t i = 0; i < ELEMENTSOF(hundredths); i++) {
                line = line_of(hundredths[i].text);
                ASSERT_TRUE(stats_next_hundredths(&line, &value));
                ASSERT_EQ(value, hundredths[i].value);
        }
        line = line_of("18446744073709551615.00");
        ASSERT_FALSE(stats_next_hundredths(&line, &value));
}

TEST(lines)
{
        const char *text = "\n\na 1\n\nb";
        StatsLine line;

        ASSERT_TRUE(stats_next_line(&text, &line) && line.n == 3);
        ASSERT_TRUE(stats_next_line(&text, &line) && line.n == 1 && *line.p == 'b');
        ASSERT_FALSE(stats_next_line(&text, &line));
}

static uint64_t stat_value(const ContainerStats *s, const char *key)
{
        const Grpc__MemoryStats *m = container_stats_response(s)->cgroup_stats->memory_stats;

        for (size_t i = 0; i < m->n_stats; i++)
                if (streq(m->stats[i]->key, key))
                        return m->stats[i]->value;

        return UINT64_MAX - 1;
}

TEST(cpu)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        const Grpc__CpuStats *cpu;

        ASSERT_OK(container_stats_new(&s));
        container_stats_add_cpu(s, "usage_usec 447926\nuser_usec 300000\nsystem_usec 147926\n"
                                   "nice_usec 0\nnr_periods 10\nnr_throttled 3\nthrottled_usec 25\n"
                                   "nr_bursts x\n");
        cpu = container_stats_response(s)->cgroup_stats->cpu_stats;
        ASSERT_EQ(cpu->cpu_usage->total_usage, 447926000);
        ASSERT_EQ(cpu->cpu_usage->usage_in_usermode, 300000000);
        ASSERT_EQ(cpu->cpu_usage->usage_in_kernelmode, 147926000);
        ASSERT_EQ(cpu->throttling_data->periods, 10);
        ASSERT_EQ(cpu->throttling_data->throttled_periods, 3);
        ASSERT_EQ(cpu->throttling_data->throttled_time, 25000);

        container_stats_add_cpu(s, "usage_usec 18446744073709551615");
        ASSERT_TRUE(cpu->cpu_usage->total_usage == UINT64_MAX);
}

TEST(memory_and_pressure)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        const Grpc__MemoryStats *m;

        ASSERT_OK(container_stats_new(&s));
        container_stats_add_memory(s, "anon 4096\nfile 8192\nkernel 100\nslab 5\nBad Key 1\nworkingset_x\n"
                                      "../x 3\n");
        container_stats_add_memory_events(s, "low 0\nhigh 1\nmax 22\noom 3\noom_kill 4\n");
        container_stats_add_pressure(s, "memory",
                                     "some avg10=1.50 avg60=0.07 avg300=100.00 total=12345\n"
                                     "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\nother avg10=1.00\n");
        m = container_stats_response(s)->cgroup_stats->memory_stats;
        ASSERT_EQ(m->cache, 8192);
        ASSERT_EQ(m->kernel_usage->usage, 100);
        ASSERT_EQ(m->usage->failcnt, 22);
        ASSERT_TRUE(m->use_hierarchy);
        ASSERT_EQ(m->n_stats, 4 + 5 + 8);
        ASSERT_EQ(stat_value(s, "slab"), 5);
        ASSERT_EQ(stat_value(s, "events_oom_kill"), 4);
        ASSERT_EQ(stat_value(s, "psi_memory_some_avg10"), 150);
        ASSERT_EQ(stat_value(s, "psi_memory_some_avg60"), 7);
        ASSERT_EQ(stat_value(s, "psi_memory_some_avg300"), 10000);
        ASSERT_EQ(stat_value(s, "psi_memory_some_total"), 12345);
        ASSERT_EQ(stat_value(s, "psi_memory_full_total"), 99);
}

TEST(io)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        const Grpc__BlkioStats *io;

        ASSERT_OK(container_stats_new(&s));
        container_stats_add_io(s, "254:0 rbytes=1024 wbytes=2048 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n"
                                  "garbage\n8:16 \n");
        io = container_stats_response(s)->cgroup_stats->blkio_stats;
        ASSERT_EQ(io->n_io_service_bytes_recursive, 12);
        ASSERT_EQ(io->io_service_bytes_recursive[1]->major, 254);
        ASSERT_STREQ(io->io_service_bytes_recursive[1]->op, "write");
        ASSERT_EQ(io->io_service_bytes_recursive[1]->value, 2048);
        ASSERT_STREQ(io->io_service_bytes_recursive[5]->op, "dios");
        ASSERT_EQ(io->io_service_bytes_recursive[5]->value, 6);
        ASSERT_EQ(io->io_service_bytes_recursive[6]->minor, 16);
        ASSERT_EQ(io->n_io_serviced_recursive, 4);
        ASSERT_STREQ(io->io_serviced_recursive[0]->op, "read");
        ASSERT_EQ(io->io_serviced_recursive[0]->value, 3);
}

#define HEADINGS "Inter-|   Receive                                                |  Transmit\n" \
                 " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs " \
                 "drop fifo colls carrier compressed\n"

TEST(network)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        const Grpc__StatsContainerResponse *m;

        ASSERT_OK(container_stats_new(&s));
        container_stats_add_network(s, HEADINGS "    lo:    6386      58    1    2    3     4          5         6"
                                                "     7386       59    8    9   10    11      12         13\n"
                                                "e\xff\"0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                                                "short: 1 2 3\n");
        m = container_stats_response(s);
        ASSERT_EQ(m->n_network_stats, 2);
        ASSERT_STREQ(m->network_stats[0]->name, "lo");
        ASSERT_EQ(m->network_stats[0]->rx_bytes, 6386);
        ASSERT_EQ(m->network_stats[0]->rx_packets, 58);
        ASSERT_EQ(m->network_stats[0]->rx_errors, 1);
        ASSERT_EQ(m->network_stats[0]->rx_dropped, 2);
        ASSERT_EQ(m->network_stats[0]->tx_bytes, 7386);
        ASSERT_EQ(m->network_stats[0]->tx_packets, 59);
        ASSERT_EQ(m->network_stats[0]->tx_errors, 8);
        ASSERT_EQ(m->network_stats[0]->tx_dropped, 9);
        ASSERT_STREQ(m->network_stats[1]->name, "e\\xff\"0");
}

/* More of everything than there is room for. */
TEST(bounds)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        const Grpc__StatsContainerResponse *m;
        char text[200];

        ASSERT_OK(container_stats_new(&s));
        for (unsigned i = 0; i < 1000; i++) {
                snprintf(text, sizeof(text), "key_%u %u\n", i, i);
                container_stats_add_memory(s, text);
                snprintf(text, sizeof(text), "254:%u rbytes=%u\n", i, i);
                container_stats_add_io(s, text);
                snprintf(text, sizeof(text), "eth%u: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", i);
                container_stats_add_network(s, text);
        }
        memset(text, 'k', sizeof(text));
        memcpy(text + sizeof(text) - 4, " 1\n", 4);
        container_stats_add_memory(s, text);
        m = container_stats_response(s);
        ASSERT_EQ(m->cgroup_stats->memory_stats->n_stats, STATS_KEYS_MAX);
        ASSERT_EQ(m->cgroup_stats->blkio_stats->n_io_service_bytes_recursive, STATS_DEVICES_MAX * 6);
        ASSERT_EQ(m->n_network_stats, STATS_INTERFACES_MAX);
        ASSERT_TRUE(protobuf_c_message_get_packed_size(container_stats_message(s)) < KIB(64));
}

static char dir[] = "/tmp/test-cgroup-stats-XXXXXX";

static void put_file(const char *name, const char *text)
{
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

TEST(read_cgroup)
{
        _cleanup_(container_stats_freep) ContainerStats *s = NULL;
        _cleanup_free_ char *text = NULL;
        const Grpc__CgroupStats *m;
        char sub[128];
        int fd;

        strcpy(dir + sizeof(dir) - 7, "XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        fd = ASSERT_OK(open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));

        /* A kernel without controllers, and pid 0: all parts are there, and empty. */
        ASSERT_OK(container_stats_new(&s));
        ASSERT_OK(container_stats_read_cgroup(s, fd));
        ASSERT_OK(container_stats_read_network(s, 0));
        m = container_stats_response(s)->cgroup_stats;
        ASSERT_EQ(m->memory_stats->swap_usage->limit, 0);
        ASSERT_EQ(m->cpu_stats->cpu_usage->total_usage, 0);

        put_file("memory.current", "12288\n");
        put_file("memory.peak", "16384\n");
        put_file("memory.max", "max\n");
        put_file("memory.swap.current", "3\n");
        put_file("memory.swap.max", "5\n");
        put_file("memory.swap.events", "high 0\nmax 6\nfail 0\n");
        put_file("pids.current", "7\n");
        put_file("pids.max", "100\n");
        put_file("cpu.pressure", "some avg10=2.00 avg60=0.00 avg300=0.00 total=1\n");
        ASSERT_OK(container_stats_read_cgroup(s, fd));
        ASSERT_EQ(m->memory_stats->usage->usage, 12288);
        ASSERT_EQ(m->memory_stats->usage->max_usage, 16384);
        ASSERT_TRUE(m->memory_stats->usage->limit == UINT64_MAX);
        ASSERT_EQ(m->memory_stats->swap_usage->usage, 3);
        ASSERT_EQ(m->memory_stats->swap_usage->limit, 5);
        ASSERT_EQ(m->memory_stats->swap_usage->failcnt, 6);
        ASSERT_EQ(m->pids_stats->current, 7);
        ASSERT_EQ(m->pids_stats->limit, 100);
        ASSERT_EQ(stat_value(s, "psi_cpu_some_avg10"), 200);

        ASSERT_OK(container_stats_read_network(s, getpid()));
        ASSERT_TRUE(container_stats_response(s)->n_network_stats > 0);

        /* Long files end at a line. */
        put_file("long", "abc\ndef\n");
        ASSERT_OK(stats_read_start(fd, "long", 6, &text));
        ASSERT_STREQ(text, "abc\n");

        char sizes[STATS_HUGEPAGES_MAX][STATS_NAME_MAX];
        static const char *const names[] = { "hugepages-64kB", "hugepages-2048kB", "hugepages-1048576kB",
                                             "hugepages-kB", "other" };
        size_t n;
        unsigned found = 0;

        snprintf(sub, sizeof(sub), "%s/huge", dir);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[200];

                snprintf(path, sizeof(path), "%s/%s", sub, names[i]);
                ASSERT_OK(mkdir_p(path, 0755));
        }
        n = stats_hugepage_sizes(sub, sizes);
        ASSERT_EQ(n, 3);
        for (size_t i = 0; i < n; i++)
                found += streq(sizes[i], "64KB") + 2 * streq(sizes[i], "2MB") + 4 * streq(sizes[i], "1GB");
        ASSERT_EQ(found, 7);
        ASSERT_EQ(stats_hugepage_sizes("/nonexistent", sizes), 0);
        safe_close(fd);
        ASSERT_OK(rm_rf(dir));
}

TEST(metrics)
{
        _cleanup_free_ char *text = NULL;
        char path[128];

        strcpy(dir + sizeof(dir) - 7, "XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/self/fd", dir);
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(path, sizeof(path), "%s/net", dir);
        ASSERT_OK(mkdir_p(path, 0755));
        put_file("self/fd/0", "");
        put_file("self/fd/1", "");
        put_file("self/stat", "1 (a) b) S 0 1 1 0 -1 4194560 100 200 3 4 150 50 7 8 20 0 1 0 300 4096000 25 99\n");
        put_file("self/status", "Name:\tkata-agent\nVmRSS:\t    1234 kB\nvoluntary_ctxt_switches:\t9\n");
        put_file("self/io", "rchar: 11\nwrite_bytes: 12\n");
        put_file("stat", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5 0 0\nbtime 1000\n");
        put_file("loadavg", "0.15 1.20 0.05 2/314 4711\n");
        put_file("meminfo", "MemTotal:  1000 kB\nHugePages_Total:  3\nActive(anon): 2 kB\nNew: 5 kB\n");
        put_file("diskstats", " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n");
        put_file("vmstat", "nr_free_pages 12345\nBad 1\n");
        put_file("net/dev", HEADINGS "a\"b\\c: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        ASSERT_OK(metrics_text(dir, 42, &text));

        static const char *const lines[] = {
                "# TYPE kata_agent_scrape_count counter\nkata_agent_scrape_count 42\n",
                "kata_agent_proc_stat{item=\"cutime\"} 7\n",
                "kata_agent_proc_status{item=\"vmrss\"} 1234\n",
                "kata_agent_proc_status{item=\"voluntary_ctxt_switches\"} 9\n",
                "kata_agent_io_stat{item=\"write_bytes\"} 12\n",
                "# HELP kata_agent_threads Agent process threads\n",
                "# TYPE kata_agent_threads gauge\nkata_agent_threads 1\n",
                "kata_agent_total_vm 4096000\n",
                "kata_agent_process_open_fds 2\n",
                "kata_guest_cpu_time{cpu=\"total\",item=\"user\"} 10\n",
                "kata_guest_cpu_time{cpu=\"0\",item=\"guest_nice\"} 100\n",
                "kata_guest_load{item=\"load1\"} 0.15\n",
                "kata_guest_load{item=\"load15\"} 0.05\n",
                "kata_guest_tasks{item=\"cur\"} 2\nkata_guest_tasks{item=\"max\"} 314\n",
                "kata_guest_meminfo{item=\"mem_total\"} 1024000\n",
                "kata_guest_meminfo{item=\"hugepages_total\"} 3\n",
                "kata_guest_meminfo{item=\"active_anon\"} 2048\n",
                "kata_guest_diskstat{disk=\"vda\",item=\"reads\"} 1\n",
                "kata_guest_diskstat{disk=\"vda\",item=\"time_flushing\"} 17\n",
                "kata_guest_vm_stat{item=\"nr_free_pages\"} 12345\n",
                "kata_guest_netdev_stat{interface=\"a\\\"b\\\\c\",item=\"sent_bytes\"} 9\n",
        };
        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                ASSERT_CONTAINS(text, lines[i]);
        ASSERT_NULL(strstr(text, "Bad"));
        ASSERT_OK(rm_rf(dir));

        /* Nothing there. */
        free(text);
        text = NULL;
        ASSERT_ERROR(metrics_text(dir, 1, &text), ENOENT);
        /* The machine the test runs on: every line is one of the format. */
        ASSERT_OK(metrics_text("/proc", 1, &text));
        const char *p = text;
        StatsLine line;
        while (stats_next_line(&p, &line)) {
                const char *space = memrchr(line.p, ' ', line.n);

                ASSERT_NOT_NULL(space);
                if (*line.p != '#')
                        ASSERT_TRUE(startswith(line.p, "kata_agent_") || startswith(line.p, "kata_guest_"));
        }
        ASSERT_TRUE(utf8_is_valid(text, strlen(text)));
}

DEFINE_TEST_MAIN
