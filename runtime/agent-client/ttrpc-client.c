/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc client: see ttrpc-client.h. Host side; reads what the guest sends. */

#include "runtime/agent-client/ttrpc-client.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "proto/ttrpc.h"

/* Requests are small; CopyFile chunks are the largest. A peer that reads nothing hits this soon. */
#define CLIENT_OUTPUT_MAX (2 * TTRPC_PAYLOAD_MAX)

typedef struct Call {
        struct Call *next;
        uint32_t stream_id;
        usec_t deadline;        /* 0: none */
        usec_t timeout;
        char *method;
        const ProtobufCMessageDescriptor *reply;
        TtrpcReplyHandler handler;
        void *userdata;
} Call;

struct TtrpcClient {
        sd_event_source *io, *timer;
        int fd;
        char *peer;
        TtrpcReader reader;
        uint8_t *output;
        size_t n_output;
        uint32_t next_stream_id;
        Call *calls;
        size_t n_calls;
        TtrpcLostHandler on_lost;
        void *userdata;
        bool *freed;            /* set when the client is freed inside one of its handlers */
};

static Call *call_free(Call *call)
{
        if (call) {
                free(call->method);
                free(call);
        }
        return NULL;
}
DEFINE_CLEANUP_FUNC(Call *, call_free)

static void client_disconnect(TtrpcClient *c)
{
        c->io = sd_event_source_disable_unref(c->io);
        c->fd = safe_close(c->fd);
}

TtrpcClient *ttrpc_client_free(TtrpcClient *c)
{
        if (!c)
                return NULL;

        if (c->freed)
                *c->freed = true;
        client_disconnect(c);
        sd_event_source_disable_unref(c->timer);
        while (c->calls) {
                Call *call = c->calls;

                c->calls = call->next;
                call_free(call);
        }
        ttrpc_reader_done(&c->reader);
        free(c->output);
        free(c->peer);
        free(c);
        return NULL;
}

static Call *client_take_call(TtrpcClient *c, Call **p)
{
        Call *call = *p;

        *p = call->next;
        c->n_calls--;
        return call;
}

/* Answers one call; false if the handler freed the client. */
static bool client_finish(TtrpcClient *c, Call *call, int error, const char *text, const void *message)
{
        bool freed = false, *outer = c->freed;

        c->freed = &freed;
        call->handler(c, error, text, message, call->userdata);
        call_free(call);

        if (freed) {
                if (outer)
                        *outer = true;
                return false;
        }
        c->freed = outer;
        return true;
}

static void client_lost(TtrpcClient *c, const char *text)
{
        _cleanup_free_ char *copy = strdup(text);

        client_disconnect(c);
        while (c->calls)
                if (!client_finish(c, client_take_call(c, &c->calls), -ECONNRESET,
                                   copy ? copy : "connection lost", NULL))
                        return;

        if (c->on_lost)
                c->on_lost(c, copy ? copy : "connection lost", c->userdata);
}

static int client_write(TtrpcClient *c)
{
        ssize_t k;

        while (c->n_output > 0) {
                k = send(c->fd, c->output, c->n_output, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno != EAGAIN)
                                return negative_errno();
                        break;
                }
                memmove(c->output, c->output + k, c->n_output - (size_t) k);
                c->n_output -= (size_t) k;
        }

        return sd_event_source_set_io_events(c->io, EPOLLIN | (c->n_output > 0 ? EPOLLOUT : 0U));
}

/* 1: handled, 0: the client is gone, negative: the connection has to end. */
static int client_frame(TtrpcClient *c, const TtrpcFrame *frame, char **reterr_message)
{
        _cleanup_pb_arena_ PbArena arena;
        _cleanup_free_ char *text = NULL;
        void *message = NULL;
        int code, r;

        pb_arena_init(&arena, 0);

        for (Call **p = &c->calls; *p; p = &(*p)->next) {
                Call *call = *p;

                if (call->stream_id != frame->stream_id)
                        continue;

                client_take_call(c, p);
                r = ttrpc_parse_response(frame, &arena, call->reply, &message, &code, &text);
                if (r == -EREMOTEIO)
                        r = ttrpc_code_to_errno(code);
                if (r < 0)
                        (void) error_prefixf(&text, r, "%s", call->method);
                return client_finish(c, call, MIN(r, 0), r < 0 ? text : NULL, r < 0 ? NULL : message);
        }

        /* The call may have met its deadline already; an id that was never used is a violation. */
        if (frame->stream_id < c->next_stream_id)
                return 1;

        return error_setf(reterr_message, EPROTO, "%s answered call %u, which was never made", c->peer,
                          frame->stream_id);
}

static int client_read(TtrpcClient *c, char **reterr_message)
{
        uint8_t buf[16384];

        /* A few rounds, so that one busy peer does not hold the loop. */
        for (unsigned i = 0; i < 16; i++) {
                ssize_t k = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
                const uint8_t *p = buf;
                size_t n;
                int r;

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return 1;
                        return error_setf(reterr_message, errno, "connection to %s failed: %s", c->peer,
                                          strerror(errno));
                }
                if (k == 0)
                        return error_setf(reterr_message, ECONNRESET, "%s closed its connection%s", c->peer,
                                          ttrpc_reader_is_idle(&c->reader) ? "" : " inside a message");

                n = (size_t) k;
                for (;;) {
                        TtrpcFrame frame;

                        r = ttrpc_reader_push(&c->reader, &p, &n, &frame, reterr_message);
                        if (r < 0)
                                return error_prefixf(reterr_message, r, "%s broke the protocol", c->peer);
                        if (r == 0)
                                break;
                        r = client_frame(c, &frame, reterr_message);
                        if (r <= 0)
                                return r;
                        /* A handler may have found the connection lost. */
                        if (c->fd < 0)
                                return 0;
                }
        }

        return 1;
}

static int client_on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        TtrpcClient *c = userdata;
        int r = 1;

        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = client_read(c, &text);
        if (r > 0 && events & EPOLLOUT) {
                r = client_write(c);
                if (r >= 0)
                        r = 1;
        }
        if (r < 0)
                client_lost(c, error_text(text, r));

        return 0;
}

static void client_arm_timer(TtrpcClient *c)
{
        usec_t next = 0;

        for (const Call *call = c->calls; call; call = call->next)
                if (call->deadline > 0 && (next == 0 || call->deadline < next))
                        next = call->deadline;

        (void) sd_event_source_set_time(c->timer, next);
        (void) sd_event_source_set_enabled(c->timer, next > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int client_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        TtrpcClient *c = userdata;
        usec_t now = now_usec();

        for (Call **p = &c->calls; *p;) {
                _cleanup_free_ char *text = NULL;
                Call *call = *p;

                if (call->deadline == 0 || call->deadline > now) {
                        p = &call->next;
                        continue;
                }

                (void) error_setf(&text, ETIMEDOUT, "%s: %s did not answer within %" PRIu64 "ms",
                                  call->method, c->peer, call->timeout / USEC_PER_MSEC);
                if (!client_finish(c, client_take_call(c, p), -ETIMEDOUT, text, NULL))
                        return 0;
                /* The handler may have changed the list. */
                p = &c->calls;
        }

        client_arm_timer(c);
        return 0;
}

int ttrpc_client_new(TtrpcClient **ret, sd_event *event, int fd, const char *peer,
                     TtrpcLostHandler on_lost, void *userdata)
{
        _cleanup_(ttrpc_client_freep) TtrpcClient *c = new0(TtrpcClient, 1);
        int r;

        if (!c)
                return -ENOMEM;

        c->fd = -EBADF;
        c->next_stream_id = 1;
        c->on_lost = on_lost;
        c->userdata = userdata;
        ttrpc_reader_init(&c->reader, TTRPC_RESPONSE);
        c->peer = strdup(peer);
        if (!c->peer)
                return -ENOMEM;

        r = fd_set_nonblock(fd, true);
        if (r >= 0)
                r = sd_event_add_io(event, &c->io, fd, EPOLLIN, client_on_io, c);
        if (r >= 0)
                r = sd_event_add_time(event, &c->timer, CLOCK_MONOTONIC, 0, 1, client_on_timer, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        c->fd = fd;
        *ret = TAKE_PTR(c);
        return 0;
}

int ttrpc_client_call(TtrpcClient *c, const char *service, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
                      usec_t timeout, TtrpcReplyHandler handler, void *userdata)
{
        _cleanup_(call_freep) Call *call = NULL;
        _cleanup_free_ uint8_t *frame = NULL;
        uint8_t *grown;
        size_t n;
        int r;

        if (c->fd < 0)
                return -ENOTCONN;
        if (c->n_calls >= TTRPC_PENDING_MAX || c->next_stream_id > UINT32_MAX - 2)
                return -ENOBUFS;

        call = new0(Call, 1);
        if (!call)
                return -ENOMEM;
        *call = (Call) {
                .stream_id = c->next_stream_id,
                .deadline = timeout > 0 ? now_usec() + timeout : 0,
                .timeout = timeout,
                .method = strdup(method),
                .reply = reply,
                .handler = handler,
                .userdata = userdata,
        };
        if (!call->method)
                return -ENOMEM;

        r = ttrpc_build_request(call->stream_id, service, method, request,
                                (int64_t) MIN(timeout, (usec_t) INT64_MAX / 1000) * 1000, &frame, &n);
        if (r < 0)
                return r;
        if (n > CLIENT_OUTPUT_MAX - c->n_output)
                return -ENOBUFS;

        grown = realloc(c->output, c->n_output + n);
        if (!grown)
                return -ENOMEM;
        c->output = grown;
        memcpy(c->output + c->n_output, frame, n);
        c->n_output += n;

        c->next_stream_id += 2;
        call->next = c->calls;
        c->calls = TAKE_PTR(call);
        c->n_calls++;

        /* A failing write shows as EPOLLERR or EPOLLHUP as well: the loss is reported from the loop. */
        (void) client_write(c);
        client_arm_timer(c);
        return 0;
}
