/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime top: what sandboxes take, as the cgroups of their scopes have it. */

#include <inttypes.h>
#include <json-c/json.h>
#include <time.h>
#include <unistd.h>

#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/usage.h"

#define INTERVAL (2 * USEC_PER_SEC)
#define INTERVAL_MIN (100 * USEC_PER_MSEC)
#define INTERVAL_MAX (3600 * USEC_PER_SEC)

const CliOption top_options[] = {
        { "interval", 'd', "TIME", CLI_ARG(interval), "Time between two rounds; 2s without it" },
        { "json", 'j', NULL, CLI_ARG(json), "Print one JSON object a round" },
        { "rounds", 'n', "NUMBER", CLI_ARG(rounds), "Stop after NUMBER rounds; 1 if the output is no terminal" },
        {}
};

/* Of one sandbox between two readings. */
typedef struct Rates {
        double cpu;             /* percent of one processor */
        uint64_t read, write;   /* bytes a second */
} Rates;

static uint64_t per_second(uint64_t before, uint64_t after, usec_t span)
{
        return after > before && span > 0
                ? (uint64_t) ((double) (after - before) * (double) USEC_PER_SEC / (double) span) : 0;
}

static Rates rates(const UsageList *before, const UsageList *after, const SandboxUsage *u)
{
        const SandboxUsage *old = usage_list_find(before, u->id);
        usec_t span = after->when - before->when;

        /* A sandbox of the same name that has been started since begins at zero. */
        if (!old || old->pid != u->pid || span == 0)
                return (Rates) {};
        return (Rates) {
                .cpu = u->cpu_usec > old->cpu_usec
                        ? (double) (u->cpu_usec - old->cpu_usec) * 100.0 / (double) span : 0.0,
                .read = per_second(old->read_bytes, u->read_bytes, span),
                .write = per_second(old->write_bytes, u->write_bytes, span),
        };
}

static const char *format_size(bool known, uint64_t n, char ret[static 16])
{
        static const char units[] = "BKMGTP";
        double value = (double) n;
        size_t i = 0;

        for (; value >= 1024 && units[i + 1]; i++)
                value /= 1024;
        if (known)
                snprintf(ret, 16, i == 0 ? "%.0f%c" : "%.1f%c", value, units[i]);
        else
                snprintf(ret, 16, "-");
        return ret;
}

static void print_table(const UsageList *before, const UsageList *after)
{
        if (isatty(STDOUT_FILENO))
                printf("\033[H\033[2J");
        printf("%-32s %6s %7s %9s %9s %9s  %s\n", "SANDBOX", "TASKS", "CPU%", "MEMORY", "READ/S", "WRITE/S",
               "SCOPE");
        for (size_t i = 0; i < after->n; i++) {
                const SandboxUsage *u = &after->v[i];
                Rates x = rates(before, after, u);
                char tasks[24], memory[16], read[16], write[16];

                snprintf(tasks, sizeof(tasks), u->has_tasks ? "%" PRIu64 : "-", u->tasks);
                printf("%-32s %6s %7.1f %9s %9s %9s  %s\n", u->id, tasks, x.cpu,
                       format_size(u->has_memory, u->memory, memory), format_size(u->has_io, x.read, read),
                       format_size(u->has_io, x.write, write), u->scope);
        }
}

static void add_number(json_object *o, const char *name, bool known, uint64_t n)
{
        json_object_object_add(o, name, known ? json_object_new_int64((int64_t) MIN(n, (uint64_t) INT64_MAX))
                                              : NULL);
}

static void print_json(const UsageList *before, const UsageList *after)
{
        json_object *list = json_object_new_array();

        for (size_t i = 0; i < after->n; i++) {
                const SandboxUsage *u = &after->v[i];
                json_object *o = json_object_new_object();
                Rates x = rates(before, after, u);

                json_object_object_add(o, "id", json_object_new_string(u->id));
                json_object_object_add(o, "scope", json_object_new_string(u->scope));
                json_object_object_add(o, "pid", json_object_new_int((int) u->pid));
                json_object_object_add(o, "cpuPercent", json_object_new_double(x.cpu));
                add_number(o, "cpuUsec", true, u->cpu_usec);
                add_number(o, "memoryBytes", u->has_memory, u->memory);
                add_number(o, "tasks", u->has_tasks, u->tasks);
                add_number(o, "readBytes", u->has_io, u->read_bytes);
                add_number(o, "writeBytes", u->has_io, u->write_bytes);
                add_number(o, "readBytesPerSecond", u->has_io, x.read);
                add_number(o, "writeBytesPerSecond", u->has_io, x.write);
                json_object_array_add(list, o);
        }
        puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
        json_object_put(list);
}

static void sleep_usec(usec_t span)
{
        struct timespec ts = { .tv_sec = (time_t) (span / USEC_PER_SEC),
                               .tv_nsec = (long) (span % USEC_PER_SEC * 1000) };

        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}

static int read_numbers(const CliArgs *args, usec_t *ret_interval, uint64_t *ret_rounds)
{
        *ret_interval = INTERVAL;
        if (args->interval && (parse_usec(args->interval, ret_interval) < 0 || *ret_interval < INTERVAL_MIN ||
                               *ret_interval > INTERVAL_MAX)) {
                log_error("top: --interval '%s' is no time from 100ms to 1h", args->interval);
                return -EINVAL;
        }
        *ret_rounds = isatty(STDOUT_FILENO) ? UINT64_MAX : 1;
        if (args->rounds && (parse_u64(args->rounds, ret_rounds) < 0 || *ret_rounds == 0)) {
                log_error("top: --rounds '%s' is no number above 0", args->rounds);
                return -EINVAL;
        }
        return 0;
}

static int require(const CliArgs *args, const UsageList *list)
{
        for (size_t i = 0; i < args->n_words; i++)
                if (!usage_list_find(list, args->words[i])) {
                        log_error("sandbox '%s' does not run", args->words[i]);
                        return -ENOENT;
                }

        return 0;
}

int verb_top(const CliArgs *args)
{
        UsageList before = {}, after = {};
        uint64_t rounds;
        usec_t interval;
        int r;

        if (read_numbers(args, &interval, &rounds) < 0)
                return EXIT_FAILURE;
        r = usage_list_read(NULL, NULL, NULL, args->words, args->n_words, &before);
        if (r >= 0 && require(args, &before) < 0) {
                usage_list_done(&before);
                return EXIT_FAILURE;
        }
        while (r >= 0 && rounds-- > 0 && !ferror(stdout)) {
                sleep_usec(interval);
                r = usage_list_read(NULL, NULL, NULL, args->words, args->n_words, &after);
                if (r < 0)
                        break;
                if (args->json)
                        print_json(&before, &after);
                else
                        print_table(&before, &after);
                (void) fflush(stdout);
                usage_list_done(&before);
                before = after;
                after = (UsageList) {};
        }
        usage_list_done(&before);
        if (r < 0) {
                (void) log_error_errno(r, "%s can not be read", RUNDIR);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
