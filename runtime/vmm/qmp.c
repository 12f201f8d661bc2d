/* SPDX-License-Identifier: Apache-2.0 */
/* QMP client: see qmp.h. The peer is QEMU, which may be in the hands of a guest. */

#include "runtime/vmm/qmp.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/vmm/line-stream.h"

#define READ_SIZE KIB(8)

typedef struct QmpCommand {
        uint64_t id;            /* 0: slot is free */
        QmpReply reply;
        void *userdata;
        usec_t deadline;
} QmpCommand;

struct QmpClient {
        QmpState state;
        int fd;
        sd_event_source *io_source, *time_source;
        LineBuffer input;
        char *output;           /* queued, beginning at output_sent */
        size_t output_n, output_sent;
        QmpCommand pending[QMP_PENDING_MAX];
        uint64_t last_id;
        uint64_t negotiation_id;
        usec_t handshake_deadline;
        QmpHandlers handlers;
        void *userdata;
};

static void json_object_putp(struct json_object **o)
{
        json_object_put(*o);
}

#define _cleanup_json_ _cleanup_(json_object_putp)

QmpState qmp_state(const QmpClient *q)
{
        return q->state;
}

/* Ends the connection: first every open command is answered, then the owner is told. */
static int close_with(QmpClient *q, int error, const char *text)
{
        if (q->state == QMP_CLOSED)
                return -ENOTCONN;

        q->state = QMP_CLOSED;
        q->io_source = sd_event_source_disable_unref(q->io_source);
        q->time_source = sd_event_source_disable_unref(q->time_source);
        q->fd = safe_close(q->fd);

        for (size_t i = 0; i < ELEMENTSOF(q->pending); i++) {
                QmpCommand c = q->pending[i];

                q->pending[i] = (QmpCommand) {};
                if (c.id != 0 && c.reply)
                        c.reply(q, -ECONNRESET, NULL, "connection to QEMU is closed", c.userdata);
        }

        if (q->handlers.on_closed)
                q->handlers.on_closed(q, error, text, q->userdata);
        return -ENOTCONN;
}

static int protocol_error(QmpClient *q, const char *text)
{
        return close_with(q, -EPROTO, text);
}

/* Output is written when the socket takes it; commands wait for the negotiation in front of it. */
static int update_events(QmpClient *q)
{
        bool pending = q->output_sent < q->output_n;

        return sd_event_source_set_io_events(q->io_source, EPOLLIN | (pending ? EPOLLOUT : 0));
}

static int flush_output(QmpClient *q)
{
        while (q->output_sent < q->output_n) {
                ssize_t k = send(q->fd, q->output + q->output_sent, q->output_n - q->output_sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0 && errno == EAGAIN)
                        return update_events(q);
                /*
                 * Whatever QEMU said before it went away is still to be read: the end is found
                 * there.
                 */
                if (k < 0) {
                        q->output_sent = q->output_n;
                        return update_events(q);
                }
                q->output_sent += (size_t) k;
        }

        q->output_n = q->output_sent = 0;
        return update_events(q);
}

static int queue_output(QmpClient *q, const char *text)
{
        size_t n = strlen(text);
        char *grown;

        if (q->output_n + n + 1 > QMP_OUTPUT_MAX)
                return -ENOBUFS;

        grown = realloc(q->output, q->output_n + n + 1);
        if (!grown)
                return -ENOMEM;
        q->output = grown;
        memcpy(q->output + q->output_n, text, n);
        q->output[q->output_n + n] = '\n';
        q->output_n += n + 1;
        return 0;
}

static QmpCommand *find_command(QmpClient *q, uint64_t id)
{
        for (size_t i = 0; i < ELEMENTSOF(q->pending); i++)
                if (q->pending[i].id == id)
                        return &q->pending[i];

        return NULL;
}

/* The next deadline of handshake and commands. */
static int arm_timer(QmpClient *q)
{
        usec_t next = q->state < QMP_READY ? q->handshake_deadline : USEC_INFINITY;

        for (size_t i = 0; i < ELEMENTSOF(q->pending); i++)
                if (q->pending[i].id != 0)
                        next = MIN(next, q->pending[i].deadline);

        if (next == USEC_INFINITY)
                return sd_event_source_set_enabled(q->time_source, SD_EVENT_OFF);

        int r = sd_event_source_set_time(q->time_source, next);
        return r < 0 ? r : sd_event_source_set_enabled(q->time_source, SD_EVENT_ONESHOT);
}

static int write_command(QmpClient *q, uint64_t id, const char *name, struct json_object *arguments)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        const char *text;

        if (!o ||
            json_object_object_add(o, "execute", json_object_new_string(name)) < 0 ||
            json_object_object_add(o, "id", json_object_new_int64((int64_t) id)) < 0 ||
            (arguments && json_object_object_add(o, "arguments", json_object_get(arguments)) < 0))
                return -ENOMEM;

        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        return text ? queue_output(q, text) : -ENOMEM;
}

int qmp_command(QmpClient *q, const char *name, struct json_object *arguments, usec_t timeout,
                QmpReply reply, void *userdata)
{
        _cleanup_json_ struct json_object *owned = arguments;
        QmpCommand *slot;
        int r;

        if (q->state == QMP_CLOSED)
                return -ENOTCONN;
        slot = find_command(q, 0);
        if (!slot)
                return -EBUSY;

        r = write_command(q, q->last_id + 1, name, owned);
        if (r < 0)
                return r;

        *slot = (QmpCommand) {
                .id = ++q->last_id,
                .reply = reply,
                .userdata = userdata,
                .deadline = now_usec() + timeout,
        };
        r = arm_timer(q);
        if (r < 0)
                return r;

        return q->state == QMP_READY ? flush_output(q) : 0;
}

static const char *get_string(struct json_object *o, const char *key)
{
        struct json_object *v;

        return o && json_object_object_get_ex(o, key, &v) &&
                                               json_object_is_type(v, json_type_string)
                               ? json_object_get_string(v)
                               : NULL;
}

static int handle_greeting(QmpClient *q, struct json_object *o)
{
        struct json_object *greeting;
        char text[64];
        int r;

        if (!json_object_object_get_ex(o, "QMP", &greeting) ||
            !json_object_is_type(greeting, json_type_object))
                return protocol_error(q, "QEMU did not greet");

        /* In front of the commands that wait in the queue. */
        q->state = QMP_NEGOTIATING;
        q->negotiation_id = ++q->last_id;
        snprintf(text, sizeof(text), "{\"execute\":\"qmp_capabilities\",\"id\":%llu}\n",
                 (unsigned long long) q->negotiation_id);

        do
                r = send(q->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0
                                    ? negative_errno()
                                    : 0;
        while (r == -EINTR);
        /*
         * QEMU greets before it has loaded the kernel, and may exit at once because of that: as in
         * flush_output(), the end is found by reading.
         */
        if (r == -EPIPE || r == -ECONNRESET)
                return 0;
        /* An empty socket buffer takes 60 bytes. */
        return r < 0 ? close_with(q, r, "QEMU does not take commands") : 0;
}

static int handle_reply(QmpClient *q, struct json_object *o, struct json_object *id_object,
                bool good, struct json_object *payload)
{
        _cleanup_free_ char *text = NULL;
        QmpCommand *slot, c;
        int64_t id;

        if (!json_object_is_type(id_object, json_type_int))
                return protocol_error(q, "reply of QEMU with an id that is no number");
        id = json_object_get_int64(id_object);

        if (!good) {
                const char *s = get_string(payload, "desc");

                text = s ? text_escape(s, strlen(s), 256) : NULL;
        }

        if (q->state == QMP_NEGOTIATING) {
                if (id <= 0 || (uint64_t) id != q->negotiation_id)
                        return protocol_error(q, "QEMU answered what was not asked");
                if (!good)
                        return protocol_error(q, strempty(text));

                q->state = QMP_READY;
                if (arm_timer(q) < 0 || flush_output(q) < 0)
                        return protocol_error(q, "event loop");
                if (q->handlers.on_ready)
                        q->handlers.on_ready(q, q->userdata);
                return q->state == QMP_CLOSED ? -ENOTCONN : 0;
        }

        slot = id > 0 ? find_command(q, (uint64_t) id) : NULL;
        if (!slot)
                return protocol_error(q, "QEMU answered what was not asked");

        c = *slot;
        *slot = (QmpCommand) {};
        (void) arm_timer(q);
        if (c.reply)
                c.reply(q, good ? 0 : -EREMOTEIO, good ? payload : NULL,
                        good ? NULL : text ? text : "unknown error", c.userdata);
        return q->state == QMP_CLOSED ? -ENOTCONN : 0;
}

static int handle_object(QmpClient *q, struct json_object *o)
{
        struct json_object *payload = NULL, *id = NULL;
        const char *event;
        bool good;

        if (!json_object_is_type(o, json_type_object))
                return protocol_error(q, "message of QEMU is no object");
        if (q->state == QMP_GREETING)
                return handle_greeting(q, o);

        event = get_string(o, "event");
        if (event) {
                (void) json_object_object_get_ex(o, "data", &payload);
                /*
                 * QEMU sends no events before the negotiation is done; the reply may be on its
                 * way.
                 */
                if (q->state == QMP_READY && q->handlers.on_event)
                        q->handlers.on_event(q, event,
                                        json_object_is_type(payload, json_type_object) ? payload
                                                                                       : NULL,
                                        q->userdata);
                return q->state == QMP_CLOSED ? -ENOTCONN : 0;
        }

        good = json_object_object_get_ex(o, "return", &payload);
        if (!good && !json_object_object_get_ex(o, "error", &payload))
                return protocol_error(q, "message of QEMU is neither reply nor event");
        if (!json_object_object_get_ex(o, "id", &id)) {
                const char *desc = get_string(payload, "desc");
                _cleanup_free_ char *text =
                                text_escape(strempty(desc), strlen(strempty(desc)), 256);

                /* Only an input that QEMU could not even parse is answered without id. */
                return protocol_error(q, strempty(text));
        }

        return handle_reply(q, o, id, good, payload);
}

static int on_line(void *userdata, const char *line, size_t n)
{
        _cleanup_json_ struct json_object *o = NULL;
        QmpClient *q = userdata;
        struct json_tokener *t;
        bool whole;

        if (q->state == QMP_CLOSED)
                return -ENOTCONN;
        if (n >= QMP_LINE_MAX)
                return protocol_error(q, "message of QEMU is too long");
        if (n == 0)
                return 0;

        t = json_tokener_new_ex(QMP_DEPTH_MAX);
        if (!t)
                return close_with(q, -ENOMEM, "out of memory");
        json_tokener_set_flags(t, JSON_TOKENER_STRICT);
        o = json_tokener_parse_ex(t, line, (int) n);
        whole = json_tokener_get_error(t) == json_tokener_success &&
                json_tokener_get_parse_end(t) == n;
        json_tokener_free(t);

        return whole && o ? handle_object(q, o) : protocol_error(q, "message of QEMU is not JSON");
}

/* 1: there may be more; 0: nothing now or closed. */
static int read_some(QmpClient *q)
{
        char data[READ_SIZE];
        ssize_t k;

        if (q->state == QMP_CLOSED)
                return 0;

        k = recv(q->fd, data, sizeof(data), MSG_DONTWAIT);
        if (k < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        return 0;
                if (errno != ECONNRESET) {
                        (void) close_with(q, negative_errno(), "connection to QEMU broke");
                        return 0;
                }
                /* It exited with a command unread: an end like any other. */
                k = 0;
        }
        if (k == 0) {
                (void) close_with(q, 0, "QEMU closed the connection");
                return 0;
        }

        return line_buffer_feed(&q->input, data, (size_t) k, on_line, q) < 0 ? 0 : 1;
}

void qmp_drain(QmpClient *q)
{
        if (!q)
                return;
        for (size_t n = 0; n < STREAM_DRAIN_MAX && read_some(q) > 0; n += READ_SIZE)
                ;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        QmpClient *q = userdata;

        if ((events & EPOLLOUT) && q->state == QMP_READY)
                (void) flush_output(q);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                (void) read_some(q);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t when, void *userdata)
{
        QmpClient *q = userdata;
        usec_t now = now_usec();

        if (q->state < QMP_READY && now >= q->handshake_deadline) {
                (void) close_with(q, -ETIME, "QEMU did not answer on its control socket");
                return 0;
        }

        for (size_t i = 0; i < ELEMENTSOF(q->pending); i++) {
                QmpCommand c = q->pending[i];

                if (c.id == 0 || now < c.deadline)
                        continue;
                q->pending[i] = (QmpCommand) {};
                if (c.reply)
                        c.reply(q, -ETIME, NULL, "QEMU did not answer in time", c.userdata);
                /* A late answer would look like one that was never asked for. */
                (void) close_with(q, -ETIME, "QEMU did not answer a command in time");
                return 0;
        }

        (void) arm_timer(q);
        return 0;
}

int qmp_new(sd_event *event, int fd, usec_t handshake, const QmpHandlers *handlers, void *userdata,
            QmpClient **ret)
{
        _cleanup_(qmp_freep) QmpClient *q = new0(QmpClient, 1);
        int r;

        if (!q)
                return -ENOMEM;

        *q = (QmpClient) {
                .state = QMP_GREETING,
                .fd = -EBADF,
                .handlers = *handlers,
                .userdata = userdata,
                .handshake_deadline = now_usec() + handshake,
        };
        r = line_buffer_init(&q->input, QMP_LINE_MAX);
        if (r < 0)
                return r;
        r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &q->io_source, fd, EPOLLIN, on_io, q);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &q->time_source, CLOCK_MONOTONIC, q->handshake_deadline,
                              USEC_PER_MSEC, on_time, q);
        if (r < 0)
                return r;

        q->fd = fd;
        *ret = TAKE_PTR(q);
        return 0;
}

QmpClient *qmp_free(QmpClient *q)
{
        if (!q)
                return NULL;

        sd_event_source_disable_unref(q->io_source);
        sd_event_source_disable_unref(q->time_source);
        safe_close(q->fd);
        line_buffer_done(&q->input);
        free(q->output);
        free(q);
        return NULL;
}
