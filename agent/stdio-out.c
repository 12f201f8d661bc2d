/* SPDX-License-Identifier: Apache-2.0 */
/* Output of a container: see stdio-stream.h. The pipe's other end is the tenant's. */

#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/ring-stream.h"
#include "agent/stdio-stream.h"
#include "basic/limits.h"
#include "basic/log.h"

/* As in Kata's agent. */
#define STDIO_DRAIN_USEC (500 * USEC_PER_MSEC)

struct StdioOut {
        Loop *loop;
        Ring ring;
        int pipe_fd;
        LoopSource *source;     /* NULL while the ring is full: a masked pipe still reports EPOLLHUP */
        bool pipe_eof, done;
        LoopSource *drain_timer;        /* NULL before the process has exited */
        bool draining;          /* only what was in the pipe when the timer fired still counts */
        size_t drain_left;
        RingStream *stream;

        StdioReadHandler read_handler;
        bool was_read;
        size_t read_max;
        void *read_data;
        LoopSource *read_timer; /* next step from the loop, so that handlers never nest */

        StdioDone on_done;
        void *userdata;
        void (*on_detach)(void *userdata);
        void *detach_data;
};

static void check_done(StdioOut *out)
{
        /* Without a receiver the end has not been delivered yet. */
        if (out->done || !out->pipe_eof || !out->stream)
                return;
        if (!ring_is_drained(&out->ring))
                return;

        out->stream = ring_stream_free(out->stream);
        out->done = true;
        if (out->on_done)
                out->on_done(out->userdata);
}

static void deliver_read(StdioOut *out)
{
        StdioReadHandler handler = out->read_handler;
        const void *p;
        size_t n;

        if (!handler)
                return;

        p = ring_peek(&out->ring, &n);
        n = MIN(n, out->read_max);
        if (n == 0 && !out->pipe_eof)
                return;

        out->read_handler = NULL;
        handler(p, n, out->read_data);
        ring_sent(&out->ring, n);
        if (n == 0 && !out->done) {
                out->done = true;
                if (out->on_done)
                        out->on_done(out->userdata);
        }
}

static void watch_pipe(StdioOut *out);

static void on_room(void *userdata)
{
        StdioOut *out = userdata;

        watch_pipe(out);
        check_done(out);
}

static void on_gone(int error, void *userdata)
{
        StdioOut *out = userdata;

        out->stream = ring_stream_free(out->stream);
        if (error < 0)
                log_warning_errno(error, "Output stream closed, the peer broke the protocol");
        if (out->on_detach)
                out->on_detach(out->detach_data);
}

static void pipe_end(StdioOut *out)
{
        out->pipe_eof = true;
        out->source = loop_source_free(out->source);
        out->pipe_fd = safe_close(out->pipe_fd);
        out->drain_timer = loop_source_free(out->drain_timer);
}

/* Hands on what was read, or the end. */
static void pass_on(StdioOut *out)
{
        deliver_read(out);
        if (out->stream && out->pipe_eof)
                ring_stream_end(out->stream);
        else
                ring_stream_kick(out->stream);
        check_done(out);
}

static void on_pipe(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        StdioOut *out = userdata;
        size_t space;
        void *p = ring_reserve(&out->ring, &space);
        ssize_t k;

        if (space == 0) {
                out->source = loop_source_free(out->source);
                return;
        }

        if (out->draining)
                space = MIN(space, out->drain_left);

        k = read(fd, p, space);
        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (k > 0) {
                ring_wrote(&out->ring, (size_t) k);
                if (out->draining)
                        out->drain_left -= (size_t) k;
        }
        /* EIO is the end of a terminal: nobody has it open. */
        if (k <= 0 || (out->draining && out->drain_left == 0))
                pipe_end(out);
        pass_on(out);
}

static void watch_pipe(StdioOut *out)
{
        int r;

        if (out->source || out->pipe_fd < 0 || ring_space(&out->ring) == 0)
                return;

        r = loop_add_fd(out->loop, &out->source, out->pipe_fd, EPOLLIN, on_pipe, out);
        if (r < 0)
                log_error_errno(r, "Can not watch the output of a container");
}

static void on_drain_timer(LoopSource *source, void *userdata)
{
        StdioOut *out = userdata;
        int n = 0;

        if (out->pipe_fd < 0)
                return;

        out->draining = true;
        out->drain_left = ioctl(out->pipe_fd, FIONREAD, &n) < 0 || n < 0 ? 0 : (size_t) n;
        if (out->drain_left > 0)
                return;
        pipe_end(out);
        pass_on(out);
}

void stdio_out_process_gone(StdioOut *out)
{
        if (!out || out->pipe_fd < 0 || out->drain_timer)
                return;
        if (loop_add_time(out->loop, &out->drain_timer, now_usec() + STDIO_DRAIN_USEC, on_drain_timer,
                          out) < 0)
                log_oom();
}

void stdio_out_hang_up(StdioOut *out)
{
        if (out->pipe_fd < 0)
                return;
        pipe_end(out);
        /* From the loop: this may be a handler of the stream. */
        (void) loop_source_set_time(out->read_timer, 0);
}

void stdio_out_on_detach(StdioOut *out, void (*detached)(void *userdata), void *userdata)
{
        out->on_detach = detached;
        out->detach_data = userdata;
}

static void on_read_timer(LoopSource *source, void *userdata)
{
        StdioOut *out = userdata;

        deliver_read(out);
        watch_pipe(out);
        if (out->stream && out->pipe_eof)
                ring_stream_end(out->stream);
        check_done(out);
}

int stdio_out_new(StdioOut **ret, Loop *loop, int *pipe_fd, StdioDone on_done, void *userdata)
{
        StdioOut *out = new0(StdioOut, 1);
        int r;

        if (!out)
                return -ENOMEM;

        *out = (StdioOut) { .loop = loop, .pipe_fd = -EBADF, .on_done = on_done, .userdata = userdata };
        r = ring_init(&out->ring, STDIO_RING_SIZE);
        if (r >= 0)
                r = fd_set_nonblock(*pipe_fd, true);
        if (r >= 0)
                r = loop_add_time(loop, &out->read_timer, USEC_INFINITY, on_read_timer, out);
        if (r >= 0)
                r = loop_add_fd(loop, &out->source, *pipe_fd, EPOLLIN, on_pipe, out);
        if (r < 0) {
                stdio_out_free(out);
                return r;
        }

        out->pipe_fd = TAKE_FD(*pipe_fd);
        *ret = out;
        return 0;
}

StdioOut *stdio_out_free(StdioOut *out)
{
        if (!out)
                return NULL;

        if (out->read_handler)
                out->read_handler(NULL, 0, out->read_data);
        ring_stream_free(out->stream);
        loop_source_free(out->source);
        loop_source_free(out->read_timer);
        loop_source_free(out->drain_timer);
        safe_close(out->pipe_fd);
        ring_done(&out->ring);
        free(out);
        return NULL;
}

int stdio_out_attach(StdioOut *out, int *fd)
{
        RingStreamHandlers handlers = { .on_room = on_room, .on_gone = on_gone, .userdata = out };
        int r;

        if (out->done)
                return -EPIPE;
        if (out->read_handler)
                return -EBUSY;

        out->stream = ring_stream_free(out->stream);
        r = ring_stream_new(&out->stream, out->loop, &out->ring, fd, &handlers);
        if (r < 0)
                return r;

        /* From the loop: the caller may not be ready for the end yet. */
        return out->pipe_eof ? loop_source_set_time(out->read_timer, 0) : 0;
}

bool stdio_out_is_attached(const StdioOut *out)
{
        return out->stream;
}

bool stdio_out_is_done(const StdioOut *out)
{
        return out->done;
}

bool stdio_out_is_unused(const StdioOut *out)
{
        return out->pipe_eof && !out->was_read && !out->stream && ring_is_drained(&out->ring);
}

int stdio_out_read(StdioOut *out, size_t max, StdioReadHandler handler, void *userdata)
{
        if (out->read_handler || out->stream)
                return -EBUSY;

        /* Whoever acknowledged before is gone: a read takes its bytes for good. */
        ring_rewind(&out->ring);
        out->ring.acking = false;

        out->was_read = true;
        out->read_handler = handler;
        out->read_max = max;
        out->read_data = userdata;
        return loop_source_set_time(out->read_timer, 0);
}

void stdio_out_cancel_read(StdioOut *out)
{
        out->read_handler = NULL;
}
