/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc server: see server.h. Reads the host's bytes. */

#include "agent/server.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "proto/byteq.h"

/* One answer of the largest size and many small ones. */
#define OUTPUT_MAX (TTRPC_PAYLOAD_MAX + MIB(1))
/* No new requests are read while this much waits to be sent. */
#define OUTPUT_HIGH KIB(256)

typedef struct Connection Connection;

struct Request {
        Connection *connection;
        Request *prev, *next;
        uint32_t stream_id;
        PbArena arena;
        const Method *method;
        LoopSource *deadline;
        void (*cancel)(Request *request, void *userdata);
        void *cancel_data;
        bool dispatching;       /* the handler has not returned: it may still look at the input */
        bool answered;
        bool redacted;          /* see MethodGuard */
        size_t kept;            /* bytes of the arena counted in Server.kept */
};

struct Connection {
        Server *server;
        Connection *prev, *next;
        int fd;
        LoopSource *source;
        TtrpcReader reader;
        ByteQueue out;
        Request *requests;
        size_t n_requests;
        bool broken;            /* shut down; the loop will say so */
};

struct Server {
        Loop *loop;
        const Method *methods;
        size_t n_methods;
        MethodGuard guard;
        void *userdata;
        Connection *connections;
        size_t n_connections;
        size_t kept;
};

int server_new(Server **ret, Loop *loop, const Method *methods, size_t n_methods, void *userdata)
{
        Server *server = new0(Server, 1);

        if (!server)
                return -ENOMEM;

        *server = (Server) {
                .loop = loop, .methods = methods, .n_methods = n_methods, .userdata = userdata,
        };
        *ret = server;
        return 0;
}

void server_set_guard(Server *server, MethodGuard guard)
{
        server->guard = guard;
}

bool request_is_redacted(const Request *request)
{
        return request->redacted;
}

static void request_release_input(Request *request)
{
        pb_arena_done(&request->arena);
        if (request->connection)
                request->connection->server->kept -= request->kept;
        request->kept = 0;
}

/* Out of the connection's list and freed; the handler must be back. */
static void request_free(Request *request)
{
        Connection *c = request->connection;

        request_release_input(request);
        loop_source_free(request->deadline);
        if (request->prev)
                request->prev->next = request->next;
        else
                c->requests = request->next;
        if (request->next)
                request->next->prev = request->prev;
        c->n_requests--;
        free(request);
}

static Connection *connection_free(Connection *c)
{
        Server *server = c->server;

        while (c->requests) {
                Request *request = c->requests;

                if (request->cancel)
                        request->cancel(request, request->cancel_data);
                request_free(request);
        }

        if (c->prev)
                c->prev->next = c->next;
        else
                server->connections = c->next;
        if (c->next)
                c->next->prev = c->prev;
        server->n_connections--;

        loop_source_free(c->source);
        safe_close(c->fd);
        ttrpc_reader_done(&c->reader);
        byteq_done(&c->out);
        free(c);
        return NULL;
}

Server *server_free(Server *server)
{
        if (!server)
                return NULL;

        while (server->connections)
                connection_free(server->connections);
        free(server);
        return NULL;
}

/* Answers are sent from handlers, which must not lose the connection under their feet: it is only shut
 * down here, and freed when the loop reports that. */
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
        if (loop_source_set_events(c->source, events) < 0)
                connection_break(c);
}

static int connection_flush(Connection *c)
{
        while (c->out.n > 0) {
                ssize_t k = send(c->fd, byteq_head(&c->out), c->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return 0;
                        return negative_errno();
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
                        log_warning_errno(r, "Can not answer on a connection of the host, closing it");
                connection_break(c);
        }
        connection_update(c);
}

static void request_answer(Request *request, int r, uint8_t *frame, size_t size)
{
        Connection *c = request->connection;

        assert(!request->answered);
        request->answered = true;
        request->cancel = NULL;

        if (r < 0) {
                log_error_errno(r, "Can not build the answer to %s", request->method ?
                                request->method->name : "a request");
                connection_break(c);
        } else
                connection_send(c, frame, size);

        free(frame);
        if (!request->dispatching)
                request_free(request);
}

void request_reply(Request *request, const ProtobufCMessage *message)
{
        uint8_t *frame = NULL;
        size_t size = 0;
        int r = ttrpc_build_response(request->stream_id, message, &frame, &size);

        request_answer(request, r, frame, size);
}

static void request_fail_text(Request *request, TtrpcCode code, const char *text)
{
        uint8_t *frame = NULL;
        size_t size = 0;
        int r = ttrpc_build_error(request->stream_id, code, text, &frame, &size);

        log_debug("%s: %s: %s", request->method ? request->method->name : "request",
                  ttrpc_code_to_string((int) code), text);
        request_answer(request, r, frame, size);
}

void request_fail(Request *request, TtrpcCode code, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        request_fail_text(request, code, text ? text : "out of memory");
}

void request_fail_errno(Request *request, int error, const char *message)
{
        request_fail_text(request, ttrpc_code_from_errno(error), error_text(message, error));
}

void request_on_cancel(Request *request, void (*cancel)(Request *request, void *userdata), void *userdata)
{
        request->cancel = cancel;
        request->cancel_data = userdata;
}

int request_keep_input(Request *request)
{
        Server *server = request->connection->server;

        if (request->kept > 0)
                return 0;
        if (request->arena.used > SERVER_KEPT_MAX - MIN(server->kept, SERVER_KEPT_MAX))
                return -ENOBUFS;

        request->kept = request->arena.used;
        server->kept += request->kept;
        return 0;
}

static void on_deadline(LoopSource *source, void *userdata)
{
        Request *request = userdata;

        if (request->cancel)
                request->cancel(request, request->cancel_data);
        request_fail(request, TTRPC_DEADLINE_EXCEEDED, "%s: not done within the caller's deadline",
                     request->method->name);
}

static const Method *find_method(const Server *server, const char *service, const char *name,
                                 bool *ret_service_known)
{
        *ret_service_known = false;

        for (size_t i = 0; i < server->n_methods; i++) {
                const Method *m = &server->methods[i];

                if (!streq(m->service, service))
                        continue;
                *ret_service_known = true;
                if (streq(m->name, name))
                        return m;
        }

        return NULL;
}

static void request_run(Request *request, const Ttrpc__Request *envelope)
{
        Server *server = request->connection->server;
        bool service_known;
        void *input;
        int r;

        request->method = find_method(server, envelope->service, envelope->method, &service_known);
        if (!request->method && !service_known)
                return request_fail(request, TTRPC_UNIMPLEMENTED, "unknown service '%s' (method '%s')",
                                    envelope->service, envelope->method);
        if (!request->method)
                return request_fail(request, TTRPC_UNIMPLEMENTED,
                                    "method '%s' of service '%s' is not implemented by this agent",
                                    envelope->method, envelope->service);

        r = pb_unpack(request->method->input, &request->arena, envelope->payload.data,
                      envelope->payload.len, &input);
        if (r == -ENOBUFS || r == -ENOMEM)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "%s: request too complex",
                                    envelope->method);
        if (r < 0)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "%s: not a valid %s",
                                    envelope->method, request->method->input->name);

        if (server->guard) {
                _cleanup_free_ char *message = NULL;

                r = server->guard(server->userdata, request->method, input, &message);
                if (r < 0)
                        return request_fail(request, r == -EBUSY ? TTRPC_FAILED_PRECONDITION :
                                            TTRPC_PERMISSION_DENIED, "%s", error_text(message, r));
                request->redacted = r > 0;
        }

        if (envelope->timeout_nano > 0) {
                r = loop_add_time(server->loop, &request->deadline,
                                  now_usec() + (usec_t) envelope->timeout_nano / 1000U, on_deadline,
                                  request);
                if (r < 0)
                        return request_fail_errno(request, r, NULL);
        }

        request->method->handler(server->userdata, request, input);
}

/* Negative: the connection is unusable. */
static int connection_dispatch(Connection *c, const TtrpcFrame *frame, char **reterr_message)
{
        Ttrpc__Request *envelope;
        Request *request;
        int r;

        request = new0(Request, 1);
        if (!request)
                return -ENOMEM;

        *request = (Request) {
                .connection = c, .next = c->requests, .stream_id = frame->stream_id, .dispatching = true,
        };
        pb_arena_init(&request->arena, 0);
        if (c->requests)
                c->requests->prev = request;
        c->requests = request;
        c->n_requests++;

        r = ttrpc_parse_request(frame, &request->arena, &envelope, reterr_message);
        if (r < 0) {
                request_free(request);
                return r;
        }

        if (c->n_requests > TTRPC_PENDING_MAX)
                request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "more than %u requests are pending",
                             TTRPC_PENDING_MAX);
        else
                request_run(request, envelope);

        request->dispatching = false;
        if (request->answered)
                request_free(request);
        else if (request->kept == 0)
                request_release_input(request);
        return 0;
}

static int connection_read(Connection *c, char **reterr_message)
{
        uint8_t buf[KIB(16)];
        const uint8_t *p = buf;
        ssize_t k;
        size_t n;

        k = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (k < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
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

static void on_event(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        Connection *c = userdata;
        int r = 0;

        if (c->broken) {
                connection_free(c);
                return;
        }

        if (events & EPOLLOUT)
                r = connection_flush(c);
        if (r >= 0 && (events & EPOLLIN))
                r = connection_read(c, &message);
        if (r >= 0 && !(events & EPOLLIN) && (events & (EPOLLHUP | EPOLLERR)))
                r = -ENOTCONN;

        if (r < 0) {
                if (r != -ENOTCONN && r != -ECONNRESET && r != -EPIPE)
                        log_warning("Closing a connection of the host: %s", error_text(message, r));
                connection_free(c);
                return;
        }

        connection_update(c);
}

int server_add_connection(Server *server, int *fd)
{
        Connection *c;
        int r;

        if (server->n_connections >= SERVER_CONNECTIONS_MAX)
                return -EUSERS;

        c = new0(Connection, 1);
        if (!c)
                return -ENOMEM;

        *c = (Connection) { .server = server, .fd = -EBADF };
        ttrpc_reader_init(&c->reader, TTRPC_REQUEST);
        r = loop_add_fd(server->loop, &c->source, *fd, EPOLLIN, on_event, c);
        if (r < 0) {
                ttrpc_reader_done(&c->reader);
                free(c);
                return r;
        }

        c->fd = TAKE_FD(*fd);
        c->next = server->connections;
        if (c->next)
                c->next->prev = c;
        server->connections = c;
        server->n_connections++;
        return 0;
}

bool server_is_flushed(const Server *server)
{
        for (const Connection *c = server->connections; c; c = c->next)
                if (c->out.n > 0 && !c->broken)
                        return false;

        return true;
}
