/* SPDX-License-Identifier: Apache-2.0 */
/* Guest lines on their way to the journal: see relay.h. On the trust boundary. */

#include "runtime/log/relay.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/log/events.h"
#include "runtime/log/line-splitter.h"
#include "runtime/log/record-parse.h"

#define READ_SIZE KIB(32)
#define DROP_REPORT_INTERVAL (5 * USEC_PER_SEC)

typedef enum StreamKind {
        STREAM_OUTPUT,
        STREAM_RECORDS,
} StreamKind;

typedef struct RelayStream {
        Relay *relay;
        struct RelayStream *next;
        StreamKind kind;
        int fd;
        sd_event_source *io;
        char *container;                /* of an output */
        const char *name;               /* "stdout", "stderr" */
        int priority;
        LineSplitter splitter;
        RateLimit limit;
        bool ended;                     /* nothing more to read */
        uint64_t read;                  /* bytes */
        uint64_t position;              /* of the sender behind the last line of what was read */
        uint64_t acked;
        RelayEndHandler on_end;
        void *userdata;
} RelayStream;

struct Relay {
        sd_event *event;
        char *sandbox_id;
        char *unit;
        JournalSender *sender;
        RateLimit limit;                /* of console and programs; streams have copies of their own */
        uint64_t lost;                  /* lines that the queue had no room for */
        sd_event_source *report_timer, *defer;
        RelayStream *streams;
        RelayEndHandler on_idle;
        void *idle_userdata;
};

static void relay_continue(Relay *relay);
static int on_stream_io(sd_event_source *source, int fd, uint32_t events, void *userdata);
static int on_report(sd_event_source *source, uint64_t usec, void *userdata);
static int on_defer(sd_event_source *source, void *userdata);

static void on_progress(JournalSender *sender, void *userdata)
{
        Relay *relay = userdata;

        /* From a turn of its own: handlers may free the relay, and the sender is in the middle of work. */
        (void) sd_event_source_set_enabled(relay->defer, SD_EVENT_ONESHOT);
}

int relay_new(Relay **ret, sd_event *event, const RelayParams *params)
{
        _cleanup_(relay_freep) Relay *relay = new0(Relay, 1);
        int r;

        if (!relay)
                return -ENOMEM;

        relay->event = sd_event_ref(event);
        relay->limit = (RateLimit) { .interval = params->rate_interval, .burst = params->rate_burst };
        relay->sandbox_id = strdup(params->sandbox_id);
        relay->unit = params->unit ? strdup(params->unit) : NULL;
        if (!relay->sandbox_id || (params->unit && !relay->unit))
                return -ENOMEM;

        r = journal_sender_new(&relay->sender, event, params->journal_path, on_progress, relay);
        if (r >= 0)
                r = sd_event_add_time(event, &relay->report_timer, CLOCK_MONOTONIC, 0, 0, on_report, relay);
        if (r >= 0)
                r = sd_event_source_set_enabled(relay->report_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &relay->defer, on_defer, relay);
        if (r >= 0)
                r = sd_event_source_set_enabled(relay->defer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(relay);
        return 0;
}

static void stream_free(RelayStream *s)
{
        for (RelayStream **p = &s->relay->streams; *p; p = &(*p)->next)
                if (*p == s) {
                        *p = s->next;
                        break;
                }
        sd_event_source_disable_unref(s->io);
        safe_close(s->fd);
        line_splitter_done(&s->splitter);
        free(s->container);
        free(s);
}

Relay *relay_free(Relay *relay)
{
        if (!relay)
                return NULL;

        while (relay->streams)
                stream_free(relay->streams);
        journal_sender_free(relay->sender);
        sd_event_source_disable_unref(relay->report_timer);
        sd_event_source_disable_unref(relay->defer);
        free(relay->sandbox_id);
        free(relay->unit);
        sd_event_unref(relay->event);
        free(relay);
        return NULL;
}

/* --- entries --- */

static void entry_begin(Relay *relay, JournalEntry *e, const char *identifier, const char *component,
                        int priority)
{
        journal_entry_addf(e, "PRIORITY", "%d", priority);
        journal_entry_add_string(e, "SYSLOG_IDENTIFIER", identifier);
        journal_entry_add_string(e, "KATA_SANDBOX_ID", relay->sandbox_id);
        journal_entry_add_string(e, "KATA_COMPONENT", component);
}

static void arm_report(Relay *relay)
{
        int enabled = SD_EVENT_OFF;

        if (sd_event_source_get_enabled(relay->report_timer, &enabled) >= 0 && enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time(relay->report_timer, now_usec() + DROP_REPORT_INTERVAL);
        (void) sd_event_source_set_enabled(relay->report_timer, SD_EVENT_ONESHOT);
}

static void entry_send(Relay *relay, JournalEntry *e)
{
        if (journal_sender_send(relay->sender, e) < 0) {
                relay->lost++;
                arm_report(relay);
        }
}

/* A line of the guest or of a program that the guest can make talk: false if it has to be dropped. */
static bool line_passes(Relay *relay, RateLimit *limit)
{
        if (ratelimit_pass(limit, now_usec()))
                return true;

        arm_report(relay);
        return false;
}

/* container: whose lines they were, NULL for the machine's. */
static void send_drop_notice(Relay *relay, uint64_t n, const char *container, const char *why)
{
        _cleanup_(journal_entry_done) JournalEntry e = {};

        if (n == 0)
                return;

        entry_begin(relay, &e, "kata-sandboxd", "supervisor", LOG_WARNING);
        journal_entry_addf(&e, "MESSAGE", "%" PRIu64 " messages of %s '%s' were dropped: %s", n,
                           container ? "container" : "sandbox", container ? container : relay->sandbox_id,
                           why);
        journal_entry_add_string(&e, "KATA_CONTAINER_ID", container);
        journal_entry_addf(&e, "KATA_DROPPED", "%" PRIu64, n);
        journal_entry_add_string(&e, "MESSAGE_ID", event_message_id(EVENT_MESSAGES_DROPPED));
        if (journal_sender_send(relay->sender, &e) < 0)
                relay->lost += n;
}

static void report_limited(Relay *relay, RateLimit *limit, const char *container)
{
        send_drop_notice(relay, ratelimit_take_dropped(limit), container,
                         "over the rate limit of kata.conf");
}

static void report_drops(Relay *relay)
{
        uint64_t lost = relay->lost;

        relay->lost = 0;
        report_limited(relay, &relay->limit, NULL);
        for (RelayStream *s = relay->streams; s; s = s->next)
                report_limited(relay, &s->limit, s->container);
        send_drop_notice(relay, lost, NULL, "the journal was too slow");
}

static int on_report(sd_event_source *source, uint64_t usec, void *userdata)
{
        report_drops(userdata);
        return 0;
}

static void on_output_line(const void *line, size_t n, bool partial, void *userdata)
{
        _cleanup_(journal_entry_done) JournalEntry e = {};
        RelayStream *s = userdata;
        Relay *relay = s->relay;

        if (!line_passes(relay, &s->limit))
                return;

        entry_begin(relay, &e, s->container, "container", s->priority);
        journal_entry_add_string(&e, "KATA_CONTAINER_ID", s->container);
        journal_entry_add_string(&e, "CONTAINER_NAME", s->container);
        journal_entry_addf(&e, "CONTAINER_ID_FULL", "%s/%s", relay->sandbox_id, s->container);
        journal_entry_add_string(&e, "KATA_STREAM", s->name);
        /* As conmon and Docker: on every piece but the last. */
        if (partial)
                journal_entry_add_string(&e, "CONTAINER_PARTIAL_MESSAGE", "true");
        /* An empty line is an entry as well; journald wants a MESSAGE that is not empty. */
        journal_entry_add(&e, "MESSAGE", n > 0 ? line : " ", n > 0 ? n : 1);
        entry_send(relay, &e);
}

static void on_record_line(const void *line, size_t n, bool partial, void *userdata)
{
        _cleanup_(journal_entry_done) JournalEntry e = {};
        LogRecordView record;
        RelayStream *s = userdata;
        Relay *relay = s->relay;
        bool kernel;

        if (n == 0 || !line_passes(relay, &s->limit))
                return;
        if (log_record_parse(line, n, &record) < 0) {
                relay->lost++;
                arm_report(relay);
                return;
        }

        kernel = record.source == RECORD_KERNEL;
        entry_begin(relay, &e, kernel ? "kata-kernel" : "kata-agent", kernel ? "kernel" : "agent",
                    record.priority);
        journal_entry_add_string(&e, "KATA_CONTAINER_ID", record.container);
        journal_entry_add_string(&e, "KATA_SUBSYSTEM", record.subsystem);
        if (record.guest_usec != USEC_INFINITY)
                journal_entry_addf(&e, "KATA_GUEST_USEC", "%" PRIu64, record.guest_usec);
        if (record.dropped > 0)
                journal_entry_addf(&e, "KATA_DROPPED", "%" PRIu64, record.dropped);
        journal_entry_add(&e, "MESSAGE", record.n_message > 0 ? record.message : " ",
                          MAX(record.n_message, (size_t) 1));
        entry_send(relay, &e);
        log_record_done(&record);
}

static void send_line(Relay *relay, const char *identifier, const char *component, const void *line,
                      size_t n)
{
        _cleanup_(journal_entry_done) JournalEntry e = {};

        /* Nobody can be made to wait here, so the journal's queue keeps a half for the streams. */
        if (n == 0 || !line_passes(relay, &relay->limit))
                return;
        if (journal_sender_is_full(relay->sender)) {
                relay->lost++;
                arm_report(relay);
                return;
        }

        entry_begin(relay, &e, identifier, component, LOG_INFO);
        journal_entry_add(&e, "MESSAGE", line, MIN(n, LOG_RECORD_MAX));
        entry_send(relay, &e);
}

void relay_console_line(Relay *relay, const void *line, size_t n)
{
        send_line(relay, "kata-console", "console", line, n);
}

void relay_program_line(Relay *relay, const char *source, const void *line, size_t n)
{
        send_line(relay, source, streq(source, "virtiofsd") ? "virtiofsd" : "vmm", line, n);
}

void relay_begin_event(Relay *relay, JournalEntry *entry, int priority)
{
        entry_begin(relay, entry, "kata-sandboxd", "supervisor", priority);
        journal_entry_add_string(entry, "OBJECT_SYSTEMD_UNIT", relay->unit);
}

void relay_send_event(Relay *relay, JournalEntry *entry)
{
        if (journal_sender_send(relay->sender, entry) < 0) {
                relay->lost++;
                arm_report(relay);
        }
}

/* --- streams --- */

/*
 * Acknowledges what is in whole lines that the journal has. A line that is still open is acknowledged
 * with the rest of it, so a successor reads it from its beginning.
 */
static void stream_ack(RelayStream *s, bool initial)
{
        uint64_t total = s->read - line_splitter_pending(&s->splitter);
        char text[32];
        int n;

        if (s->fd < 0 || (!initial && (total <= s->acked ||
                                       journal_sender_delivered(s->relay->sender) < s->position)))
                return;

        n = snprintf(text, sizeof(text), "ACK %" PRIu64 "\n", total);
        /* Twenty bytes fit or the peer reads nothing, then a later one tells the same and more. */
        if (send(s->fd, text, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT) == n)
                s->acked = total;
}

static void stream_push(RelayStream *s, const void *data, size_t n)
{
        LineHandler handler = s->kind == STREAM_OUTPUT ? on_output_line : on_record_line;

        s->read += n;
        line_splitter_push(&s->splitter, data, n, handler, s);
        s->position = journal_sender_accepted(s->relay->sender);
}

static void stream_end(RelayStream *s)
{
        line_splitter_end(&s->splitter, s->kind == STREAM_OUTPUT ? on_output_line : on_record_line, s);
        report_limited(s->relay, &s->limit, s->container);
        s->position = journal_sender_accepted(s->relay->sender);
        s->ended = true;
        s->io = sd_event_source_disable_unref(s->io);
}

static int on_stream_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        uint8_t buf[READ_SIZE];
        RelayStream *s = userdata;
        Relay *relay = s->relay;
        ssize_t k = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (k > 0)
                stream_push(s, buf, (size_t) k);
        else
                stream_end(s);

        relay_continue(relay);
        return 0;
}

static int stream_new(Relay *relay, StreamKind kind, int fd, RelayEndHandler on_end, void *userdata,
                      RelayStream **ret)
{
        RelayStream *s = new0(RelayStream, 1);
        int r;

        if (!s)
                return -ENOMEM;

        *s = (RelayStream) {
                .relay = relay,
                .kind = kind,
                .fd = -EBADF,
                .limit = { .interval = relay->limit.interval, .burst = relay->limit.burst },
                .on_end = on_end,
                .userdata = userdata,
        };
        r = line_splitter_init(&s->splitter, kind == STREAM_OUTPUT ? LOG_RECORD_MAX : LOG_LINE_MAX);
        if (r >= 0)
                r = fd_set_nonblock(fd, true);
        if (r >= 0)
                r = sd_event_add_io(relay->event, &s->io, fd, EPOLLIN, on_stream_io, s);
        if (r < 0) {
                line_splitter_done(&s->splitter);
                free(s);
                return r;
        }

        s->next = relay->streams;
        relay->streams = s;
        *ret = s;
        return 0;
}

int relay_add_output(Relay *relay, int fd, const char *container, const char *stream,
                     RelayEndHandler on_end, void *userdata)
{
        _cleanup_free_ char *copy = strdup(container);
        RelayStream *s;
        int r;

        if (!copy)
                return -ENOMEM;
        r = stream_new(relay, STREAM_OUTPUT, fd, on_end, userdata, &s);
        if (r < 0)
                return r;

        s->container = TAKE_PTR(copy);
        s->name = streq(stream, "stderr") ? "stderr" : "stdout";
        s->priority = streq(s->name, "stderr") ? LOG_ERR : LOG_INFO;
        s->fd = fd;
        stream_ack(s, true);
        return 0;
}

int relay_add_records(Relay *relay, int fd, RelayEndHandler on_end, void *userdata)
{
        RelayStream *s;
        int r;

        r = stream_new(relay, STREAM_RECORDS, fd, on_end, userdata, &s);
        if (r < 0)
                return r;

        s->fd = fd;
        stream_ack(s, true);
        return 0;
}

void relay_forget(Relay *relay, void *userdata)
{
        for (RelayStream *s = relay->streams; s; s = s->next)
                if (s->userdata == userdata)
                        s->on_end = NULL;
}

/* After anything moved: acknowledge, pause or resume reading, end what has ended. */
static void relay_continue(Relay *relay)
{
        bool full = journal_sender_is_full(relay->sender);
        RelayStream *next;

        for (RelayStream *s = relay->streams; s; s = next) {
                next = s->next;
                stream_ack(s, false);

                if (!s->ended) {
                        (void) sd_event_source_set_enabled(s->io, full ? SD_EVENT_OFF : SD_EVENT_ON);
                        continue;
                }
                if (journal_sender_delivered(relay->sender) >= s->position) {
                        RelayEndHandler on_end = s->on_end;
                        void *userdata = s->userdata;

                        stream_free(s);
                        if (on_end) {
                                /* The rest comes in the next turn: the handler may do anything. */
                                (void) sd_event_source_set_enabled(relay->defer, SD_EVENT_ONESHOT);
                                on_end(userdata);
                                return;
                        }
                }
        }

        if (relay->on_idle && !relay->streams) {
                report_drops(relay);
                if (journal_sender_is_idle(relay->sender)) {
                        RelayEndHandler on_idle = relay->on_idle;

                        relay->on_idle = NULL;
                        on_idle(relay->idle_userdata);
                }
        }
}

static int on_defer(sd_event_source *source, void *userdata)
{
        relay_continue(userdata);
        return 0;
}

void relay_flush(Relay *relay, RelayEndHandler on_idle, void *userdata)
{
        relay->on_idle = on_idle;
        relay->idle_userdata = userdata;
        (void) sd_event_source_set_enabled(relay->defer, SD_EVENT_ONESHOT);
}
