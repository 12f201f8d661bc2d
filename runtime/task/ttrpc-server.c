/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc server: see ttrpc-server.h. Reads bytes of privileged processes of this host. */

#include "runtime/task/ttrpc-server.h"

#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/unix-socket.h"
#include "proto/byteq.h"

/* One answer of the largest size and many small ones. */
#define OUTPUT_MAX (TTRPC_PAYLOAD_MAX + MIB(1))
/* No new calls are read while this much waits to be sent. */
#define OUTPUT_HIGH KIB(256)

typedef struct Connection Connection;

struct TtrpcCall {
        Connection *connection;
        TtrpcCall *prev, *next;
        uint32_t stream_id;
        PbArena arena;
        const char *method;
        sd_event_source *deadline;
        void (*cancel)(TtrpcCall *call, void *userdata);
        void *cancel_data;
        bool dispatching;       /* the handler has not returned: it may still look at the input */
        bool answered;
};

struct Connection {
        TtrpcServer *server;
        Connection *prev, *next;
        int fd;
        sd_event_source *io;
        TtrpcReader reader;
        ByteQueue out;
        TtrpcCall *calls;
        size_t n_calls;
        int passed_fd;          /* -EBADF: none, or taken */
        bool broken;            /* shut down; the loop will say so */
};

struct TtrpcServer {
        sd_event *event;
        TtrpcService service;
        int fd;
        sd_event_source *io;
        Connection *connections;
        size_t n_connections;
};

int ttrpc_server_new(TtrpcServer **ret, sd_event *event, const TtrpcService *service)
{
        TtrpcServer *server = new0(TtrpcServer, 1);

        if (!server)
                return -ENOMEM;

        *server = (TtrpcServer) { .event = sd_event_ref(event), .service = *service, .fd = -EBADF };
        *ret = server;
        return 0;
}

static void report_connections(TtrpcServer *server)
{
        if (server->service.on_connections)
                server->service.on_connections(server->n_connections, server->service.userdata);
}

/* Out of the connection's list and freed; the handler must be back. */
static void call_free(TtrpcCall *call)
{
        Connection *c = call->connection;

        pb_arena_done(&call->arena);
        sd_event_source_disable_unref(call->deadline);
        if (call->prev)
                call->prev->next = call->next;
        else
                c->calls = call->next;
        if (call->next)
                call->next->prev = call->prev;
        c->n_calls--;
        free(call);
}

static void call_cancel(TtrpcCall *call)
{
        void (*cancel)(TtrpcCall *call, void *userdata) = call->cancel;

        call->cancel = NULL;
        if (cancel)
                cancel(call, call->cancel_data);
}

static void connection_free(Connection *c)
{
        TtrpcServer *server = c->server;

        while (c->calls) {
                TtrpcCall *call = c->calls;

                call_cancel(call);
                call_free(call);
        }

        if (c->prev)
                c->prev->next = c->next;
        else
                server->connections = c->next;
        if (c->next)
                c->next->prev = c->prev;
        server->n_connections--;

        sd_event_source_disable_unref(c->io);
        safe_close(c->fd);
        safe_close(c->passed_fd);
        ttrpc_reader_done(&c->reader);
        byteq_done(&c->out);
        free(c);
}

TtrpcServer *ttrpc_server_free(TtrpcServer *server)
{
        if (!server)
                return NULL;

        while (server->connections)
                connection_free(server->connections);
        sd_event_source_disable_unref(server->io);
        safe_close(server->fd);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

size_t ttrpc_server_n_connections(const TtrpcServer *server)
{
        return server->n_connections;
}

/* --- answers --- */

/*
 * Answers are sent from handlers, which must not lose the connection under their feet: it is only shut down
 * here, and freed when the loop reports that.
 */
static void connection_break(Connection *c)
{
        c->broken = true;
        byteq_clear(&c->out);
        (void) shutdown(c->fd, SHUT_RDWR);
}

static void connection_update(Connection *c)
{
        uint32_t events = (c->out.n < OUTPUT_HIGH ? (uint32_t) EPOLLIN : 0U) |
                          (c->out.n > 0 ? (uint32_t) EPOLLOUT : 0U);

        if (c->broken)
                events = EPOLLIN;
        if (sd_event_source_set_io_events(c->io, events) < 0)
                connection_break(c);
}

static int connection_flush(Connection *c)
{
        while (c->out.n > 0) {
                ssize_t k = send(c->fd, byteq_head(&c->out), c->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return errno == EAGAIN ? 0 : negative_errno();
                }
                byteq_consume(&c->out, (size_t) k);
        }

        /* Gives the memory of a large answer back. */
        byteq_clear(&c->out);
        return 0;
}

static void connection_send(Connection *c, const uint8_t *frame, size_t n)
{
        int r;

        if (c->broken)
                return;

        r = byteq_append(&c->out, frame, n, OUTPUT_MAX);
        if (r >= 0)
                r = connection_flush(c);
        if (r < 0) {
                if (r != -EPIPE && r != -ECONNRESET)
                        log_warning_errno(r, "Can not answer a client of the Task service, closing its connection");
                connection_break(c);
        }
        connection_update(c);
}

static void call_answer(TtrpcCall *call, int r, uint8_t *frame, size_t size)
{
        Connection *c = call->connection;

        assert(!call->answered);
        call->answered = true;
        call->cancel = NULL;

        if (r < 0) {
                (void) log_error_errno(r, "Can not build the answer to %s", call->method);
                connection_break(c);
        } else
                connection_send(c, frame, size);

        free(frame);
        if (!call->dispatching)
                call_free(call);
}

void ttrpc_call_reply(TtrpcCall *call, const ProtobufCMessage *message)
{
        uint8_t *frame = NULL;
        size_t size = 0;
        int r = ttrpc_build_response(call->stream_id, message, &frame, &size);

        call_answer(call, r, frame, size);
}

static void call_fail_text(TtrpcCall *call, TtrpcCode code, const char *text)
{
        uint8_t *frame = NULL;
        size_t size = 0;
        int r = ttrpc_build_error(call->stream_id, code, text, &frame, &size);

        log_debug("%s: %s: %s", call->method, ttrpc_code_to_string((int) code), text);
        call_answer(call, r, frame, size);
}

void ttrpc_call_fail(TtrpcCall *call, TtrpcCode code, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        call_fail_text(call, code, text ? text : "out of memory");
}

void ttrpc_call_fail_errno(TtrpcCall *call, int error, const char *text)
{
        call_fail_text(call, ttrpc_code_from_errno(error), error_text(text, error));
}

void ttrpc_call_on_cancel(TtrpcCall *call, void (*cancel)(TtrpcCall *call, void *userdata), void *userdata)
{
        call->cancel = cancel;
        call->cancel_data = userdata;
}

int ttrpc_call_take_fd(TtrpcCall *call)
{
        return TAKE_FD(call->connection->passed_fd);
}

static void clear_slot(TtrpcCall *call, void *userdata)
{
        TtrpcCall **slot = userdata;

        *slot = NULL;
}

void ttrpc_call_hold(TtrpcCall *call, TtrpcCall **slot)
{
        *slot = call;
        ttrpc_call_on_cancel(call, clear_slot, slot);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        TtrpcCall *call = userdata;

        call_cancel(call);
        ttrpc_call_fail(call, TTRPC_DEADLINE_EXCEEDED, "%s: not done within the caller's deadline", call->method);
        return 0;
}

/* --- calls --- */

static const TtrpcMethod *find_method(const TtrpcService *s, const char *service, const char *name)
{
        for (size_t i = 0; i < s->n_methods; i++)
                if (streq(s->methods[i].name, name) &&
                    (!s->methods[i].service || streq(s->methods[i].service, service)))
                        return &s->methods[i];

        return NULL;
}

static bool service_is_known(const TtrpcService *s, const char *name)
{
        for (const char *const *p = s->names; *p; p++)
                if (streq(*p, name))
                        return true;

        return false;
}

static void call_run(TtrpcCall *call, const Ttrpc__Request *envelope)
{
        const TtrpcService *service = &call->connection->server->service;
        const TtrpcMethod *method;
        void *input;
        int r;

        if (!service_is_known(service, envelope->service))
                return ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "unknown service '%s' (method '%s')",
                                       envelope->service, envelope->method);
        method = find_method(service, envelope->service, envelope->method);
        if (!method)
                return ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "unknown method '%s' of service '%s'",
                                       envelope->method, envelope->service);

        call->method = method->name;
        r = pb_unpack(method->input, &call->arena, envelope->payload.data, envelope->payload.len, &input);
        if (r == -ENOBUFS || r == -ENOMEM)
                return ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%s: request too complex", method->name);
        if (r < 0)
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "%s: not a valid %s", method->name,
                                       method->input->name);

        if (envelope->timeout_nano > 0) {
                r = sd_event_add_time_relative(call->connection->server->event, &call->deadline, CLOCK_MONOTONIC,
                                               (uint64_t) envelope->timeout_nano / 1000U, 0, on_deadline, call);
                if (r < 0)
                        return ttrpc_call_fail_errno(call, r, NULL);
        }

        method->handler(service->userdata, call, input);
}

/* Negative: the connection is unusable. */
static int connection_dispatch(Connection *c, const TtrpcFrame *frame, char **reterr_message)
{
        Ttrpc__Request *envelope;
        TtrpcCall *call;
        int r;

        call = new0(TtrpcCall, 1);
        if (!call)
                return -ENOMEM;

        *call = (TtrpcCall) {
                .connection = c, .next = c->calls, .stream_id = frame->stream_id, .dispatching = true,
                .method = "a call",
        };
        pb_arena_init(&call->arena, 0);
        if (c->calls)
                c->calls->prev = call;
        c->calls = call;
        c->n_calls++;

        r = ttrpc_parse_request(frame, &call->arena, &envelope, reterr_message);
        if (r < 0) {
                call_free(call);
                return r;
        }

        if (c->n_calls > TTRPC_PENDING_MAX)
                ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "more than %u calls are pending",
                                TTRPC_PENDING_MAX);
        else
                call_run(call, envelope);

        call->dispatching = false;
        if (call->answered)
                call_free(call);
        else
                pb_arena_done(&call->arena);
        return 0;
}

static int connection_read(Connection *c, char **reterr_message)
{
        uint8_t buf[KIB(16)];
        const uint8_t *p = buf;
        int passed;
        ssize_t k;
        size_t n;

        k = unix_recv_fd(c->fd, buf, sizeof(buf), MSG_DONTWAIT, &passed);
        if (k < 0)
                return k == -EAGAIN || k == -EINTR ? 0 : (int) k;
        if (passed >= 0) {
                safe_close(c->passed_fd);
                c->passed_fd = passed;
        }
        if (k == 0)
                return ttrpc_reader_is_idle(&c->reader) ? -ENOTCONN : -ECONNRESET;

        for (n = (size_t) k;;) {
                TtrpcFrame frame;
                int r = ttrpc_reader_push(&c->reader, &p, &n, &frame, reterr_message);

                if (r <= 0)
                        return r;
                r = connection_dispatch(c, &frame, reterr_message);
                if (r < 0)
                        return r;
                if (c->broken)
                        return -ENOTCONN;
        }
}

static int on_connection_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        Connection *c = userdata;
        TtrpcServer *server = c->server;
        int r = c->broken ? -ENOTCONN : 0;

        if (r >= 0 && (events & EPOLLOUT))
                r = connection_flush(c);
        if (r >= 0 && (events & EPOLLIN))
                r = connection_read(c, &message);
        if (r >= 0 && !(events & EPOLLIN) && (events & (EPOLLHUP | EPOLLERR)))
                r = -ENOTCONN;

        if (r < 0) {
                if (r != -ENOTCONN && r != -ECONNRESET && r != -EPIPE)
                        log_warning("Closing a connection to the Task service: %s", error_text(message, r));
                connection_free(c);
                report_connections(server);
                return 0;
        }

        connection_update(c);
        return 0;
}

/* --- connections --- */

static int check_peer(int fd)
{
        struct ucred peer;
        socklen_t n = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
                return negative_errno();
        return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EACCES;
}

int ttrpc_server_add(TtrpcServer *server, int fd)
{
        Connection *c;
        int r;

        r = check_peer(fd);
        if (r < 0)
                return r;
        if (server->n_connections >= TASK_CONNECTIONS_MAX)
                return -EUSERS;

        c = new0(Connection, 1);
        if (!c)
                return -ENOMEM;

        *c = (Connection) { .server = server, .fd = -EBADF, .passed_fd = -EBADF };
        ttrpc_reader_init(&c->reader, TTRPC_REQUEST);
        r = sd_event_add_io(server->event, &c->io, fd, EPOLLIN, on_connection_io, c);
        if (r < 0) {
                ttrpc_reader_done(&c->reader);
                free(c);
                return r;
        }

        c->fd = fd;
        c->next = server->connections;
        if (c->next)
                c->next->prev = c;
        server->connections = c;
        server->n_connections++;
        report_connections(server);
        return 0;
}

static int on_listen_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        TtrpcServer *server = userdata;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

        if (client < 0)
                return 0;

        r = ttrpc_server_add(server, client);
        if (r < 0) {
                safe_close(client);
                log_warning_errno(r, "Turned a client of the Task service away");
        }
        return 0;
}

int ttrpc_server_listen(TtrpcServer *server, int fd)
{
        int r;

        /* Again, for a longer queue: clients come in crowds. */
        r = listen(fd, TASK_CONNECTIONS_MAX) < 0 ? negative_errno() : fd_set_nonblock(fd, true);
        if (r >= 0)
                r = sd_event_add_io(server->event, &server->io, fd, EPOLLIN, on_listen_io, server);
        if (r >= 0)
                server->fd = fd;
        return r;
}
