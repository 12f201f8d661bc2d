/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-runtime events: what a container takes, again and again, and when it runs out of memory, until it ends. The
 * numbers come from the Task service. Lack of memory is told by the journal, where the supervisor says so:
 * only entries of the sandbox's own unit count.
 */

#include <inttypes.h>
#include <poll.h>
#include <systemd/sd-journal.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/cli/container.h"
#include "runtime/cli/stats-event.h"
#include "runtime/log/events.h"
#include "runtime/proxy/task-calls.h"
#include "runtime/unit/unit-name.h"

#define INTERVAL (5 * USEC_PER_SEC)
#define INTERVAL_MIN (10 * USEC_PER_MSEC)
#define INTERVAL_MAX (24 * 3600 * USEC_PER_SEC)
/* A supervisor comes back within seconds or not at all. */
#define RECONNECT_USEC (60 * USEC_PER_SEC)
#define RECONNECT_STEP (100 * USEC_PER_MSEC)
/* What was said before the end gets this long to appear in the journal. */
#define LAST_USEC (500 * USEC_PER_MSEC)

const CliOption events_options[] = {
        { "interval", 0, "TIME", CLI_ARG(interval), "Time between two lines of numbers; 5s without it" },
        { "stats", 0, NULL, CLI_ARG(stats), "Print one line of numbers and end" },
        {}
};

typedef struct Watch {
        char *id, *sandbox;
        usec_t interval, next;
        sd_journal *journal;
        TaskCalls calls;
        usec_t lost;            /* since when there is no connection; 0: there is one */
        bool asking;            /* Stats is in flight */
        bool ended;
} Watch;

static void print_event(json_object *event)
{
        puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        (void) fflush(stdout);
        json_object_put(event);
}

/* --- numbers --- */

static void on_stats(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n, void *userdata)
{
        Containerd__Task__V2__StatsResponse *answer;
        _cleanup_pb_arena_ PbArena arena;
        Watch *w = userdata;
        TaskNumbers numbers;

        pb_arena_init(&arena, 0);
        w->asking = false;
        if (error == -ECONNRESET || w->ended)
                return;
        if (error >= 0)
                error = pb_unpack(&containerd__task__v2__stats_response__descriptor, &arena, payload, n, &answer);
        if (error >= 0)
                error = answer->stats ? task_numbers_parse(answer->stats, &arena, &numbers) : -EBADMSG;
        if (error < 0)
                log_warning("the numbers of container '%s' can not be read: %s", w->id, error_text(text, error));
        else
                print_event(stats_event_new(w->id, &numbers));
}

/* Whatever the answer is: there is nothing more to be watched. */
static void on_wait(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n, void *userdata)
{
        Watch *w = userdata;

        if (error != -ECONNRESET)
                w->ended = true;
}

static void ask_numbers(Watch *w)
{
        Containerd__Task__V2__StatsRequest q = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;

        q.id = w->id;
        w->asking = task_call(&w->calls, "Stats", &q.base, on_stats) >= 0;
}

static void keep_connected(Watch *w)
{
        Containerd__Task__V2__WaitRequest q = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        int fd, r;

        if (w->calls.fd >= 0)
                return;
        if (w->lost == 0)
                w->lost = now_usec();
        r = task_socket_connect(w->sandbox, &fd, NULL);
        if (r < 0) {
                /* Its directory goes away with the sandbox. */
                w->ended = r == -ENOENT || now_usec() - w->lost > RECONNECT_USEC;
                return;
        }
        w->lost = 0;
        w->asking = false;
        task_calls_set_socket(&w->calls, fd);
        q.id = w->id;
        (void) task_call(&w->calls, "Wait", &q.base, on_wait);
}

/* --- lack of memory --- */

static int add_match(sd_journal *j, const char *name, const char *value)
{
        _cleanup_free_ char *match = NULL;

        if (asprintf(&match, "%s=%s", name, value) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        return sd_journal_add_match(j, match, 0);
}

static int open_journal(Watch *w)
{
        _cleanup_free_ char *unit = NULL;
        int r;

        r = unit_name_service(w->sandbox, &unit);
        if (r >= 0)
                r = sd_journal_open(&w->journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = add_match(w->journal, "_SYSTEMD_UNIT", unit);
        if (r >= 0)
                r = add_match(w->journal, "MESSAGE_ID", event_message_id(EVENT_CONTAINER_OOM));
        if (r >= 0)
                r = add_match(w->journal, "KATA_CONTAINER_ID", w->id);
        if (r >= 0)
                r = sd_journal_seek_realtime_usec(w->journal, now_realtime_usec());
        if (r >= 0)
                r = sd_journal_get_fd(w->journal);
        return r < 0 ? r : 0;
}

static int read_journal(Watch *w)
{
        int r = sd_journal_process(w->journal);

        while (r >= 0) {
                r = sd_journal_next(w->journal);
                if (r <= 0)
                        break;
                print_event(oom_event_new(w->id));
        }
        return r;
}

/* --- the loop --- */

static int wait_msec(const Watch *w)
{
        usec_t now = now_usec(), span = w->next > now ? w->next - now : 0;
        uint64_t journal;

        if (w->calls.fd < 0)
                span = MIN(span, RECONNECT_STEP);
        if (sd_journal_get_timeout(w->journal, &journal) >= 0 && journal != UINT64_MAX)
                span = MIN(span, journal > now ? journal - now : 0);
        return (int) MIN(span / USEC_PER_MSEC + 1, (usec_t) INT32_MAX);
}

static int watch(Watch *w)
{
        int r = 0;

        while (r >= 0 && !w->ended && !ferror(stdout)) {
                struct pollfd polls[2];

                keep_connected(w);
                if (w->ended)
                        break;
                polls[0] = (struct pollfd) { .fd = w->calls.fd, .events = task_calls_events(&w->calls) };
                polls[1] = (struct pollfd) { .fd = sd_journal_get_fd(w->journal),
                                             .events = (short) sd_journal_get_events(w->journal) };
                if (poll(polls, ELEMENTSOF(polls), wait_msec(w)) < 0 && errno != EINTR)
                        return negative_errno();

                if (polls[0].revents && w->calls.fd >= 0)
                        (void) task_calls_process(&w->calls);
                r = read_journal(w);
                if (now_usec() < w->next)
                        continue;
                w->next = now_usec() + w->interval;
                /* A guest that does not answer is asked once. */
                if (!w->asking && w->calls.fd >= 0 && !w->ended)
                        ask_numbers(w);
        }
        if (r >= 0 && w->ended) {
                (void) sd_journal_wait(w->journal, LAST_USEC);
                r = read_journal(w);
        }
        return r;
}

static int read_interval(const CliArgs *args, usec_t *ret, char **reterr_message)
{
        *ret = INTERVAL;
        if (args->interval && (parse_usec(args->interval, ret) < 0 || *ret < INTERVAL_MIN || *ret > INTERVAL_MAX))
                return error_setf(reterr_message, -EINVAL, "events: --interval '%s' is no time from 10ms to 24h",
                                  args->interval);
        return 0;
}

static int print_once(CliContainer *c, char **reterr_message)
{
        _cleanup_pb_arena_ PbArena arena;
        TaskNumbers numbers;
        int r;

        pb_arena_init(&arena, 0);
        r = task_numbers_get(c->client, c->record.id, CALL_USEC, &arena, &numbers, reterr_message);
        if (r >= 0)
                print_event(stats_event_new(c->record.id, &numbers));
        return r;
}

static void watch_done(Watch *w)
{
        task_calls_done(&w->calls);
        if (w->journal)
                sd_journal_close(w->journal);
        free(w->id);
        free(w->sandbox);
}

int verb_events(const CliArgs *args)
{
        _cleanup_(watch_done) Watch w = {};
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        task_calls_init(&w.calls, &w);
        r = read_interval(args, &w.interval, &message);
        if (r >= 0)
                r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);

        if (!c.client || c.status == STATUS_STOPPED || c.status == STATUS_CREATING)
                r = error_setf(&message, -ENOENT, "container with id %s is not running", args->words[0]);
        else if (args->stats)
                r = print_once(&c, &message);
        else {
                w.id = strdup(c.record.id);
                w.sandbox = strdup(c.record.sandbox);
                w.next = now_usec() + w.interval;
                r = w.id && w.sandbox ? open_journal(&w) : -ENOMEM;
                if (r < 0)
                        (void) error_setf(&message, r, "the journal can not be read: %s", strerror(-r));
        }
        /* Others may work with the container while this one watches. */
        container_done(&c);
        if (r >= 0 && !args->stats)
                r = watch(&w);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}
