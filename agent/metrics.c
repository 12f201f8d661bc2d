/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text, and the agent's own metrics: see metrics.h. */

#include "agent/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/stats-text.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define AGENT "kata_agent_"
/* proc_pid_stat(5): the field that is behind the program's name in parentheses. */
#define STAT_FIRST 3U
#define STAT_LAST 24U

void metrics_family(FILE *f, const char *name, const char *type, const char *help)
{
        fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Prometheus exposition format 0.0.4: backslash, quote and line feed are escaped in the value of a label. */
static void write_label(FILE *f, const char *label, const char *value, size_t n, const char *separator)
{
        _cleanup_free_ char *text = text_escape(value, n, 256);

        fprintf(f, "%s%s=\"", separator, label);
        for (const char *p = strempty(text); *p; p++) {
                if (*p == '\\' || *p == '"')
                        fputc('\\', f);
                fputc(*p, f);
        }
        fputc('"', f);
}

void metrics_value(FILE *f, const char *name, const char *label, const char *value, size_t n_value,
                   const char *item, const char *format, ...)
{
        va_list ap;

        assert(format);
        fputs(name, f);
        if (label || item) {
                fputc('{', f);
                if (label)
                        write_label(f, label, value, n_value, "");
                if (item)
                        write_label(f, "item", item, strlen(item), label ? "," : "");
                fputc('}', f);
        }
        fputc(' ', f);
        va_start(ap, format);
        vfprintf(f, format, ap);
        va_end(ap);
        fputc('\n', f);
}

static void write_plain(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
        metrics_family(f, name, type, help);
        metrics_value(f, name, NULL, NULL, 0, NULL, "%" PRIu64, value);
}

static void write_seconds(FILE *f, const char *name, const char *type, const char *help, uint64_t ticks)
{
        long hz = sysconf(_SC_CLK_TCK);

        metrics_family(f, name, type, help);
        metrics_value(f, name, NULL, NULL, 0, NULL, "%.2f", (double) ticks / (double) MAX(hz, 1L));
}

/* The wanted line of a file of "Name:  number" lines, or of "name number" ones. */
static bool find_number(const char *text, const char *name, uint64_t *ret)
{
        StatsLine line;

        while (stats_next_line(&text, &line)) {
                const char *word;
                size_t n;

                if (!stats_next_word(&line, &word, &n))
                        continue;
                if (n > 0 && word[n - 1] == ':')
                        n--;
                if (stats_word_is(word, n, name))
                        return stats_next_u64(&line, ret);
        }

        return false;
}

static bool read_stat(int dir_fd, uint64_t fields[STAT_LAST + 1])
{
        _cleanup_free_ char *text = NULL;
        const char *end, *word;
        StatsLine line;
        size_t n;

        if (stats_read_start(dir_fd, "self/stat", STATS_FILE_MAX, &text) < 0)
                return false;
        end = strrchr(text, ')');
        if (!end)
                return false;

        line = (StatsLine) { .p = end + 1, .n = strcspn(end + 1, "\n") };
        for (unsigned i = STAT_FIRST; i <= STAT_LAST; i++) {
                fields[i] = 0;
                /* The state is a letter, and some fields may be negative: none of those wanted. */
                if (!stats_next_u64(&line, &fields[i]) && !stats_next_word(&line, &word, &n))
                        return false;
        }

        return true;
}

static void write_stat(FILE *f, int dir_fd)
{
        static const struct {
                const char *item;
                unsigned field;
        } items[] = { { "utime", 14 }, { "stime", 15 }, { "cutime", 16 }, { "cstime", 17 } };
        uint64_t v[STAT_LAST + 1], boot = 0, page = (uint64_t) sysconf(_SC_PAGESIZE);
        _cleanup_free_ char *text = NULL;
        long hz = MAX(sysconf(_SC_CLK_TCK), 1L);

        if (!read_stat(dir_fd, v))
                return;

        metrics_family(f, AGENT "proc_stat", "gauge", "Agent process statistics.");
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                metrics_value(f, AGENT "proc_stat", NULL, NULL, 0, items[i].item, "%" PRIu64,
                              v[items[i].field]);

        write_seconds(f, AGENT "process_cpu_seconds_total", "counter",
                      "Total user and system CPU time spent in seconds.", v[14] + v[15]);
        write_plain(f, AGENT "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                    v[24] * page);
        write_plain(f, AGENT "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
                    v[23]);
        if (stats_read_start(dir_fd, "stat", STATS_FILE_MAX * 4, &text) >= 0 &&
            find_number(text, "btime", &boot))
                write_plain(f, AGENT "process_start_time_seconds", "gauge",
                            "Start time of the process since unix epoch in seconds.",
                            boot + v[22] / (uint64_t) hz);
        write_plain(f, AGENT "threads", "gauge", "Agent process threads", v[20]);
        write_plain(f, AGENT "total_rss", "gauge", "Agent process total RSS size", v[24] * page);
        write_seconds(f, AGENT "total_time", "gauge", "Agent process total time", v[14] + v[15]);
        write_plain(f, AGENT "total_vm", "gauge", "Agent process total VM size", v[23]);
}

static void write_table(FILE *f, int dir_fd, const char *file, const char *name, const char *help,
                        const char *const (*items)[2], size_t n)
{
        _cleanup_free_ char *text = NULL;
        uint64_t value;

        if (stats_read_start(dir_fd, file, STATS_FILE_MAX, &text) < 0)
                return;

        metrics_family(f, name, "gauge", help);
        for (size_t i = 0; i < n; i++)
                if (find_number(text, items[i][0], &value))
                        metrics_value(f, name, NULL, NULL, 0, items[i][1], "%" PRIu64, value);
}

static void write_descriptors(FILE *f, int dir_fd)
{
        int fd = openat(dir_fd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct rlimit limit;
        struct dirent *de;
        uint64_t n = 0;
        DIR *d;

        d = fd >= 0 ? fdopendir(fd) : NULL;
        if (d) {
                while ((de = readdir(d)))
                        n += de->d_name[0] != '.';
                closedir(d);
                write_plain(f, AGENT "process_open_fds", "gauge", "Number of open file descriptors.", n);
        } else
                safe_close(fd);
        if (getrlimit(RLIMIT_NOFILE, &limit) >= 0)
                write_plain(f, AGENT "process_max_fds", "gauge",
                            "Maximum number of open file descriptors.", limit.rlim_cur);
}

void metrics_write_agent(FILE *f, int dir_fd, uint64_t scrapes)
{
        static const char *const io[][2] = {
                { "rchar", "rchar" },
                { "wchar", "wchar" },
                { "syscr", "syscr" },
                { "syscw", "syscw" },
                { "read_bytes", "read_bytes" },
                { "write_bytes", "write_bytes" },
                { "cancelled_write_bytes", "cancelled_write_bytes" },
        };
        static const char *const status[][2] = {
                { "VmPeak", "vmpeak" },         { "VmSize", "vmsize" },
                { "VmLck", "vmlck" },           { "VmPin", "vmpin" },
                { "VmHWM", "vmhwm" },           { "VmRSS", "vmrss" },
                { "RssAnon", "rssanon" },       { "RssFile", "rssfile" },
                { "RssShmem", "rssshmem" },     { "VmData", "vmdata" },
                { "VmStk", "vmstk" },           { "VmExe", "vmexe" },
                { "VmLib", "vmlib" },           { "VmPTE", "vmpte" },
                { "VmSwap", "vmswap" },         { "HugetlbPages", "hugetlbpages" },
                { "voluntary_ctxt_switches", "voluntary_ctxt_switches" },
                { "nonvoluntary_ctxt_switches", "nonvoluntary_ctxt_switches" },
        };

        write_plain(f, AGENT "scrape_count", "counter", "Metrics scrape count", scrapes);
        write_table(f, dir_fd, "self/io", AGENT "io_stat", "Agent process IO statistics.", io,
                    ELEMENTSOF(io));
        write_table(f, dir_fd, "self/status", AGENT "proc_status", "Agent process status.", status,
                    ELEMENTSOF(status));
        write_stat(f, dir_fd);
        write_descriptors(f, dir_fd);
}

int metrics_text(const char *proc, uint64_t scrapes, char **ret)
{
        _cleanup_close_ int dir_fd = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char *text = NULL;
        size_t size = 0;
        bool failed;
        FILE *f;

        if (dir_fd < 0)
                return negative_errno();

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        metrics_write_agent(f, dir_fd, scrapes);
        metrics_write_guest(f, dir_fd);
        failed = ferror(f);
        if (fclose(f) != 0 || failed) {
                free(text);
                return -ENOMEM;
        }

        *ret = text;
        return 0;
}
