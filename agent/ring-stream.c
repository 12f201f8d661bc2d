/* SPDX-License-Identifier: Apache-2.0 */
/* Ring over a connection with acknowledgements: see ring-stream.h. The peer is the host. */

#include "agent/ring-stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"

/* "ACK " + 20 digits + newline */
#define ACK_LINE_MAX 25U

struct RingStream {
        Loop *loop;
        Ring *ring;
        int fd;
        LoopSource *source;
        RingStreamHandlers handlers;
        uint64_t base;          /* ring position of the connection's first byte */
        bool ending, write_eof;
        bool read_eof;          /* the peer will not acknowledge any more, but may still read */
        char line[ACK_LINE_MAX + 1];
        size_t line_used;
};

static int handle_line(RingStream *stream)
{
        uint64_t n, total;
        const char *p;

        stream->line[stream->line_used] = '\0';
        stream->line_used = 0;

        p = startswith(stream->line, "ACK ");
        if (!p || parse_u64(p, &n) < 0 || __builtin_add_overflow(stream->base, n, &total))
                return -EBADMSG;

        return ring_ack(stream->ring, total);
}

/* 1: something was acknowledged; 0: nothing; negative: the connection is unusable. */
static int read_acks(RingStream *stream)
{
        char buf[512];
        bool acked = false;

        for (;;) {
                ssize_t n = recv(stream->fd, buf, sizeof(buf), MSG_DONTWAIT);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return acked;
                        return negative_errno();
                }
                if (n == 0) {
                        stream->read_eof = true;
                        return acked;
                }

                for (ssize_t i = 0; i < n; i++) {
                        int r;

                        if (buf[i] != '\n') {
                                if (stream->line_used >= ACK_LINE_MAX)
                                        return -EBADMSG;
                                stream->line[stream->line_used++] = buf[i];
                                continue;
                        }
                        r = handle_line(stream);
                        if (r < 0)
                                return r;
                        acked = true;
                }
        }
}

/* 1: something was sent. At most one ring full, so that other sources get their turn. */
static int send_some(RingStream *stream)
{
        Ring *ring = stream->ring;
        size_t budget = ring->size;
        bool sent = false;

        while (budget > 0) {
                size_t n;
                const void *p = ring_peek(ring, &n);
                ssize_t k;

                n = MIN(n, budget);
                if (n == 0)
                        break;

                k = send(stream->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                break;
                        return negative_errno();
                }
                ring_sent(ring, (size_t) k);
                budget -= (size_t) k;
                sent = true;
        }

        return sent;
}

static int update_events(RingStream *stream)
{
        size_t n;

        (void) ring_peek(stream->ring, &n);
        if (n == 0 && stream->ending && !stream->write_eof) {
                stream->write_eof = true;
                if (shutdown(stream->fd, SHUT_WR) < 0)
                        return negative_errno();
        }
        return loop_source_set_events(stream->source, (stream->read_eof ? 0U : (uint32_t) EPOLLIN) |
                                                      (n > 0 ? (uint32_t) EPOLLOUT : 0U));
}

/* on_gone frees the stream: nothing may be touched afterwards. */
static void gone(RingStream *stream, int error)
{
        /* The usual ways in which a peer disappears are not errors. */
        if (error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN)
                error = 0;
        stream->handlers.on_gone(error, stream->handlers.userdata);
}

static void on_event(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        RingStream *stream = userdata;
        bool released = false;
        int r;

        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !stream->read_eof) {
                r = read_acks(stream);
                if (r < 0)
                        return gone(stream, r);
                released = r > 0;
                /* One that acknowledges and then stops can not take anything any more. */
                if (stream->read_eof && stream->ring->acking)
                        return gone(stream, 0);
        }
        if (events & (EPOLLHUP | EPOLLERR))
                return gone(stream, 0);

        r = send_some(stream);
        if (r >= 0) {
                released = released || r > 0;
                r = update_events(stream);
        }
        if (r < 0)
                return gone(stream, r);

        if (released && stream->handlers.on_room)
                stream->handlers.on_room(stream->handlers.userdata);
}

void ring_stream_kick(RingStream *stream)
{
        int sent, r;

        if (!stream)
                return;

        sent = r = send_some(stream);
        if (r >= 0)
                r = update_events(stream);
        if (r < 0)
                return gone(stream, r);

        if (sent > 0 && stream->handlers.on_room)
                stream->handlers.on_room(stream->handlers.userdata);
}

void ring_stream_end(RingStream *stream)
{
        stream->ending = true;
        ring_stream_kick(stream);
}

int ring_stream_new(RingStream **ret, Loop *loop, Ring *ring, int *fd,
                    const RingStreamHandlers *handlers)
{
        RingStream *stream = new0(RingStream, 1);
        int r;

        if (!stream)
                return -ENOMEM;

        ring_rewind(ring);
        *stream = (RingStream) {
                .loop = loop,
                .ring = ring,
                .fd = -EBADF,
                .handlers = *handlers,
                .base = ring->sent,
        };

        r = fd_set_nonblock(*fd, true);
        if (r >= 0)
                /* EPOLLOUT starts the first transfer from the loop, not from here. */
                r = loop_add_fd(loop, &stream->source, *fd, EPOLLIN | EPOLLOUT, on_event, stream);
        if (r < 0) {
                ring_stream_free(stream);
                return r;
        }

        stream->fd = TAKE_FD(*fd);
        *ret = stream;
        return 0;
}

RingStream *ring_stream_free(RingStream *stream)
{
        if (!stream)
                return NULL;

        loop_source_free(stream->source);
        safe_close(stream->fd);
        free(stream);
        return NULL;
}
