/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-runtime logs: the journal of one sandbox. journalctl -u kata-sandbox@ID can do the same; this knows the
 * components. Only entries of the sandbox's own unit are shown: anybody may write KATA_SANDBOX_ID= into one.
 */

#include <inttypes.h>
#include <json-c/json.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/since.h"
#include "runtime/unit/unit-name.h"

#define TEXT_MAX 65536U
#define WAIT_USEC (10 * USEC_PER_SEC)

static const char *const outputs[] = { "short", "cat", "json", NULL };
static const char *const components[] = { "agent", "console", "container", "kernel", "supervisor", "virtiofsd",
                                          "vmm", NULL };

const CliOption logs_options[] = {
        { "component", 'c', "NAME", CLI_ARG(components), "Only lines of this source; may be given again",
          components, true },
        { "container", 'C', "NAME", CLI_ARG(container), "Only lines of this container, or about it" },
        { "follow", 'f', NULL, CLI_ARG(follow), "Go on with what is to come" },
        { "lines", 'n', "NUMBER", CLI_ARG(lines), "Begin with the last NUMBER lines" },
        { "output", 'o', "FORM", CLI_ARG(output), "Form of a line: short, cat (the text alone) or json", outputs },
        { "since", 0, "TIME", CLI_ARG(since), "Begin at TIME: \"10min ago\", \"today\", \"2026-01-31 08:15\"" },
        { "until", 0, "TIME", CLI_ARG(until), "End at TIME" },
        {}
};

typedef struct Query {
        sd_journal *journal;
        usec_t since, until;    /* 0: none */
        uint64_t lines;         /* UINT64_MAX: all */
        const char *output;
} Query;

/* --- one entry --- */

/* Points into the entry, up to the next call. */
static bool get_field(sd_journal *j, const char *name, const char **ret, size_t *ret_size)
{
        const void *data;
        size_t n, k = strlen(name);

        if (sd_journal_get_data(j, name, &data, &n) < 0 || n < k + 1)
                return false;
        *ret = (const char *) data + k + 1;
        *ret_size = n - k - 1;
        return true;
}

static char *get_text(sd_journal *j, const char *name)
{
        const char *value;
        size_t n;

        return get_field(j, name, &value, &n) ? text_escape(value, n, TEXT_MAX) : strdup("");
}

static void format_local(uint64_t usec, char ret[static 32])
{
        time_t t = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(ret, 32, "%b %d %H:%M:%S", &tm) == 0)
                snprintf(ret, 32, "?");
}

static int print_short(const Query *q, uint64_t usec)
{
        _cleanup_free_ char *source = get_text(q->journal, "SYSLOG_IDENTIFIER"),
                            *text = get_text(q->journal, "MESSAGE");
        char stamp[32];

        if (!source || !text)
                return -ENOMEM;
        if (streq(q->output, "cat")) {
                puts(text);
                return 0;
        }
        format_local(usec, stamp);
        printf("%s.%06" PRIu64 " %s: %s\n", stamp, usec % USEC_PER_SEC, source, text);
        return 0;
}

/* Text as it is; what is no text as \xHH. */
static json_object *json_value(const char *data, size_t n)
{
        _cleanup_free_ char *clean = NULL;

        if (n <= TEXT_MAX && utf8_is_valid(data, n))
                return json_object_new_string_len(data, (int) n);
        clean = text_escape(data, n, TEXT_MAX);
        return clean ? json_object_new_string(clean) : NULL;
}

static int print_json(const Query *q, uint64_t usec)
{
        json_object *o = json_object_new_object();
        const void *data;
        char number[24];
        size_t n;

        if (!o)
                return -ENOMEM;
        snprintf(number, sizeof(number), "%" PRIu64, usec);
        json_object_object_add(o, "__REALTIME_TIMESTAMP", json_object_new_string(number));
        SD_JOURNAL_FOREACH_DATA(q->journal, data, n) {
                const char *equals = memchr(data, '=', n);
                _cleanup_free_ char *name = NULL;

                if (!equals)
                        continue;
                name = strndup(data, (size_t) (equals - (const char *) data));
                if (!name) {
                        json_object_put(o);
                        return -ENOMEM;
                }
                json_object_object_add(o, name, json_value(equals + 1, n - strlen(name) - 1));
        }
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        json_object_put(o);
        return 0;
}

/* 1: go on, 0: beyond --until. */
static int print_entry(const Query *q)
{
        uint64_t usec;
        int r = sd_journal_get_realtime_usec(q->journal, &usec);

        if (r < 0)
                return r;
        if (q->until > 0 && usec > q->until)
                return 0;
        r = streq(q->output, "json") ? print_json(q, usec) : print_short(q, usec);
        return r < 0 ? r : 1;
}

/* --- all of them --- */

static int add_matchf(sd_journal *j, const char *name, const char *value)
{
        _cleanup_free_ char *match = NULL;

        if (asprintf(&match, "%s=%s", name, value) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        return sd_journal_add_match(j, match, 0);
}

/* One way in which entries are known to be the supervisor's, with what was asked for. */
static int add_source(sd_journal *j, const CliArgs *args, const char *field, const char *unit)
{
        const char *component;
        int r;

        r = add_matchf(j, field, unit);
        if (r >= 0 && args->container)
                r = add_matchf(j, "KATA_CONTAINER_ID", args->container);
        STRV_FOREACH(component, &args->components)
                if (r >= 0)
                        r = add_matchf(j, "KATA_COMPONENT", component);
        return r;
}

/*
 * What `journalctl -u` shows: the supervisor's, also of one that had ended when journald looked for its unit
 * (runtime/log/relay.h), and what the service manager says of the unit.
 */
static int add_matches(sd_journal *j, const CliArgs *args, const char *unit)
{
        int r;

        r = add_source(j, args, "_SYSTEMD_UNIT", unit);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_source(j, args, "OBJECT_SYSTEMD_UNIT", unit);
        if (r >= 0)
                r = add_matchf(j, "_UID", "0");
        if (r < 0 || args->components.n > 0 || args->container)
                return r;

        r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_matchf(j, "UNIT", unit);
        return r < 0 ? r : add_matchf(j, "_PID", "1");
}

static int seek(const Query *q)
{
        int r;

        if (q->since > 0)
                return sd_journal_seek_realtime_usec(q->journal, q->since);
        if (q->lines == UINT64_MAX)
                return sd_journal_seek_head(q->journal);

        r = sd_journal_seek_tail(q->journal);
        if (r >= 0)
                r = sd_journal_previous_skip(q->journal, q->lines + 1);
        if (r < 0)
                return r;
        /* Fewer than that: the first is one of them. */
        return (uint64_t) r <= q->lines ? sd_journal_seek_head(q->journal) : 0;
}

static int show(const Query *q, bool follow)
{
        int r = seek(q);

        while (r >= 0) {
                r = sd_journal_next(q->journal);
                if (r > 0) {
                        r = print_entry(q);
                        if (r == 0)
                                return 0;
                } else if (r == 0) {
                        if (!follow)
                                return 0;
                        (void) fflush(stdout);
                        if (ferror(stdout))
                                return -EPIPE;
                        r = sd_journal_wait(q->journal, WAIT_USEC);
                }
        }
        return r;
}

static int parse_times(Query *q, const CliArgs *args)
{
        const struct {
                const char *option, *text;
                usec_t *field;
        } times[] = { { "since", args->since, &q->since }, { "until", args->until, &q->until } };

        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                if (times[i].text && time_parse(times[i].text, now_realtime_usec(), times[i].field) < 0) {
                        log_error("logs: --%s '%s' is no time; see kata-runtime(1)", times[i].option,
                                  times[i].text);
                        return -EINVAL;
                }

        q->lines = UINT64_MAX;
        if (args->lines && (parse_u64(args->lines, &q->lines) < 0 || q->lines >= UINT64_MAX / 2)) {
                log_error("logs: --lines '%s' is no number", args->lines);
                return -EINVAL;
        }
        if (args->lines && args->since) {
                log_error("logs: --lines and --since both say where to begin");
                return -EINVAL;
        }
        return 0;
}

int verb_logs(const CliArgs *args)
{
        _cleanup_free_ char *unit = NULL;
        Query q = { .output = args->output ? args->output : "short" };
        int r;

        if (unit_name_service(args->words[0], &unit) < 0) {
                log_error("'%s' is not a sandbox ID", args->words[0]);
                return EXIT_FAILURE;
        }
        if (parse_times(&q, args) < 0)
                return EXIT_FAILURE;

        r = sd_journal_open(&q.journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = add_matches(q.journal, args, unit);
        if (r >= 0)
                r = show(&q, args->follow);
        if (q.journal)
                sd_journal_close(q.journal);
        if (r < 0) {
                (void) log_error_errno(r, "the journal can not be read");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
