/* SPDX-License-Identifier: Apache-2.0 */
/* Input of a container: see stdio-stream.h. The bytes are the host's, the pipe's reader is the tenant. */

#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "agent/stdio-stream.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/ring.h"

struct StdioIn {
        Loop *loop;
        Ring ring;
        int pipe_fd;            /* -EBADF: closed for good */
        LoopSource *pipe_source;        /* only while there is something to write, or the reader is watched */
        int stream_fd;
        LoopSource *stream_source;      /* NULL while the ring is full */
        bool closing;           /* close the pipe once the ring is empty */
        bool terminal;          /* its end is a character */
        bool end_typed;
        uint8_t last_byte;      /* of what was written; 0, as for strchr(): nothing */

        const uint8_t *write_data;
        size_t write_left;
        StdioWriteHandler write_handler;
        void *write_userdata;

        LoopSource *timer;      /* the next step, from the loop */
};

static void stream_close(StdioIn *in)
{
        in->stream_source = loop_source_free(in->stream_source);
        in->stream_fd = safe_close(in->stream_fd);
}

static void answer_write(StdioIn *in, int error)
{
        StdioWriteHandler handler = in->write_handler;

        in->write_handler = NULL;
        in->write_data = NULL;
        in->write_left = 0;
        if (handler)
                handler(error, in->write_userdata);
}

/* The container has closed its end, or all input is written. */
static void pipe_close(StdioIn *in)
{
        in->pipe_source = loop_source_free(in->pipe_source);
        in->pipe_fd = safe_close(in->pipe_fd);
        stream_close(in);
        answer_write(in, -EPIPE);
}

static void on_pipe(LoopSource *source, int fd, uint32_t events, void *userdata);
static void on_stream(LoopSource *source, int fd, uint32_t events, void *userdata);

static int flush_ring(StdioIn *in)
{
        for (;;) {
                size_t n;
                const void *p = ring_peek(&in->ring, &n);
                ssize_t k;

                if (n == 0)
                        return 0;
                k = write(in->pipe_fd, p, n);
                if (k < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
                if (k == 0)
                        return 0;
                in->last_byte = ((const uint8_t *) p)[k - 1];
                ring_sent(&in->ring, (size_t) k);
        }
}

/* Once, when all input is written. A terminal without such a character has no end of input. */
static int type_end(StdioIn *in)
{
        struct termios settings;
        uint8_t end[2];
        size_t n = 1;

        in->end_typed = true;
        if (tcgetattr(in->pipe_fd, &settings) < 0)
                return negative_errno();
        if (settings.c_cc[VEOF] == _POSIX_VDISABLE)
                return 0;

        end[0] = end[1] = settings.c_cc[VEOF];
        if ((settings.c_lflag & ICANON) && in->last_byte != end[0] && !strchr("\r\n", in->last_byte))
                n = 2;
        return ring_write(&in->ring, end, n);
}

static int feed_write(StdioIn *in)
{
        size_t n = MIN(in->write_left, ring_space(&in->ring));
        int r = ring_write(&in->ring, in->write_data, n);

        if (r < 0)
                return r;
        in->write_data += n;
        in->write_left -= n;
        return 0;
}

/* Moves what can be moved and arms the sources for the rest. */
static void advance(StdioIn *in)
{
        size_t n;
        int r;

        if (in->pipe_fd < 0)
                return;

        r = flush_ring(in);
        while (r >= 0 && in->write_left > 0 && ring_space(&in->ring) > 0) {
                r = feed_write(in);
                if (r >= 0)
                        r = flush_ring(in);
        }
        if (r < 0)
                return pipe_close(in);

        if (in->write_handler && in->write_left == 0)
                answer_write(in, 0);
        /* That handler may have closed or written again. */
        if (in->pipe_fd < 0)
                return;

        (void) ring_peek(&in->ring, &n);
        if (n == 0 && in->closing && in->write_left == 0 && in->terminal && !in->end_typed) {
                r = type_end(in);
                if (r >= 0)
                        r = flush_ring(in);
                if (r < 0)
                        return pipe_close(in);
                (void) ring_peek(&in->ring, &n);
        }
        if (n == 0 && in->closing && in->write_left == 0)
                return pipe_close(in);

        if (n > 0 && !in->pipe_source)
                r = loop_add_fd(in->loop, &in->pipe_source, in->pipe_fd, EPOLLOUT, on_pipe, in);
        else if (in->pipe_source)
                /* EPOLLERR alone: the reader is gone. */
                r = loop_source_set_events(in->pipe_source, n > 0 ? (uint32_t) EPOLLOUT : 0U);

        if (r >= 0 && in->stream_fd >= 0 && !in->stream_source && ring_space(&in->ring) > 0)
                r = loop_add_fd(in->loop, &in->stream_source, in->stream_fd, EPOLLIN, on_stream, in);
        if (r < 0) {
                log_error_errno(r, "Can not watch the input of a container, closing it");
                pipe_close(in);
        }
}

static void on_pipe(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        StdioIn *in = userdata;

        /* A terminal that nobody has open hangs up. */
        if (events & (EPOLLERR | EPOLLHUP))
                return pipe_close(in);
        advance(in);
}

static void on_stream(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        StdioIn *in = userdata;
        uint8_t buf[KIB(4)];
        size_t space = MIN(ring_space(&in->ring), sizeof(buf));
        ssize_t k;

        if (space == 0) {
                in->stream_source = loop_source_free(in->stream_source);
                return;
        }

        k = recv(fd, buf, space, MSG_DONTWAIT);
        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (k > 0)
                (void) ring_write(&in->ring, buf, (size_t) k);
        else {
                /* A reset is a host that lost the stream; only an orderly end is the end of input. */
                if (k == 0)
                        in->closing = true;
                stream_close(in);
        }
        advance(in);
}

static void on_timer(LoopSource *source, void *userdata)
{
        advance(userdata);
}

int stdio_in_new(StdioIn **ret, Loop *loop, int *pipe_fd, bool terminal)
{
        StdioIn *in = new0(StdioIn, 1);
        int r;

        if (!in)
                return -ENOMEM;

        *in = (StdioIn) {
                .loop = loop, .pipe_fd = -EBADF, .stream_fd = -EBADF, .terminal = terminal,
        };
        r = ring_init(&in->ring, STDIN_RING_SIZE);
        if (r >= 0)
                r = fd_set_nonblock(*pipe_fd, true);
        if (r >= 0)
                r = loop_add_time(loop, &in->timer, USEC_INFINITY, on_timer, in);
        if (r >= 0)
                r = loop_add_fd(loop, &in->pipe_source, *pipe_fd, 0, on_pipe, in);
        if (r < 0) {
                stdio_in_free(in);
                return r;
        }

        in->pipe_fd = TAKE_FD(*pipe_fd);
        *ret = in;
        return 0;
}

StdioIn *stdio_in_free(StdioIn *in)
{
        if (!in)
                return NULL;

        answer_write(in, -EPIPE);
        stream_close(in);
        loop_source_free(in->pipe_source);
        loop_source_free(in->timer);
        safe_close(in->pipe_fd);
        ring_done(&in->ring);
        free(in);
        return NULL;
}

int stdio_in_attach(StdioIn *in, int *fd)
{
        int r;

        if (in->pipe_fd < 0 || in->closing)
                return -EPIPE;
        if (in->write_handler)
                return -EBUSY;
        r = fd_set_nonblock(*fd, true);
        if (r < 0)
                return r;

        stream_close(in);
        in->stream_fd = TAKE_FD(*fd);
        return loop_source_set_time(in->timer, 0);
}

int stdio_in_write(StdioIn *in, const void *data, size_t n, StdioWriteHandler handler, void *userdata)
{
        if (in->pipe_fd < 0 || in->closing)
                return -EPIPE;
        if (in->write_handler || in->stream_fd >= 0)
                return -EBUSY;

        in->write_data = data;
        in->write_left = n;
        in->write_handler = handler;
        in->write_userdata = userdata;
        return loop_source_set_time(in->timer, 0);
}

void stdio_in_cancel_write(StdioIn *in)
{
        in->write_handler = NULL;
        in->write_data = NULL;
        in->write_left = 0;
}

void stdio_in_close(StdioIn *in)
{
        in->closing = true;
        (void) loop_source_set_time(in->timer, 0);
}
