/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded line splitting: see line-stream.h. What comes in is written by a guest or by its VMM. */

#include "runtime/vmm/line-stream.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"

#define READ_SIZE KIB(8)

struct LineStream {
        LineBuffer buffer;
        int fd;
        sd_event_source *source;
        LineHandler on_line;
        LineStreamEnd on_end;
        void *userdata;
};

int line_buffer_init(LineBuffer *b, size_t max)
{
        /* One byte for the NUL behind a line, one for a '\r' that does not count. */
        *b = (LineBuffer) { .data = malloc(max + 2), .max = max };
        return b->data ? 0 : -ENOMEM;
}

void line_buffer_done(LineBuffer *b)
{
        free(b->data);
        *b = (LineBuffer) {};
}

static int deliver(LineBuffer *b, LineHandler handler, void *userdata)
{
        size_t n = b->n;

        if (n > 0 && b->data[n - 1] == '\r')
                n--;
        b->data[n] = '\0';
        b->n = 0;
        return handler(userdata, b->data, n);
}

int line_buffer_feed(LineBuffer *b, const char *data, size_t n, LineHandler handler, void *userdata)
{
        while (n > 0) {
                const char *end = memchr(data, '\n', n);
                size_t k = end ? (size_t) (end - data) : n;
                size_t take = MIN(k, b->max - b->n);
                int r;

                memcpy(b->data + b->n, data, take);
                b->n += take;
                data += take;
                n -= take;

                if (take == k && !end)
                        return 0;
                if (take == k) {
                        data++;
                        n--;
                }

                r = deliver(b, handler, userdata);
                if (r < 0)
                        return r;
        }

        return 0;
}

int line_buffer_flush(LineBuffer *b, LineHandler handler, void *userdata)
{
        return b->n > 0 ? deliver(b, handler, userdata) : 0;
}

/* 1: there may be more; 0: nothing now; -ENODATA: end of the stream. */
static int read_some(LineStream *s, size_t *total)
{
        char data[READ_SIZE];
        ssize_t k = read(s->fd, data, sizeof(data));

        if (k < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
        if (k == 0)
                return -ENODATA;

        *total += (size_t) k;
        (void) line_buffer_feed(&s->buffer, data, (size_t) k, s->on_line, s->userdata);
        return 1;
}

static void stop(LineStream *s)
{
        (void) line_buffer_flush(&s->buffer, s->on_line, s->userdata);
        s->source = sd_event_source_disable_unref(s->source);
        s->fd = safe_close(s->fd);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        LineStream *s = userdata;
        size_t total = 0;
        int r;

        /* One read a turn: a writer without pause does not starve the other sources. */
        r = read_some(s, &total);
        if (r >= 0)
                return 0;

        stop(s);
        if (s->on_end)
                s->on_end(s->userdata, r == -ENODATA ? 0 : r);
        return 0;
}

int line_stream_new(sd_event *event, int fd, size_t max, LineHandler on_line, LineStreamEnd on_end,
                    void *userdata, LineStream **ret)
{
        _cleanup_(line_stream_freep) LineStream *s = new0(LineStream, 1);
        int r;

        if (!s)
                return -ENOMEM;

        *s = (LineStream){.fd = -EBADF, .on_line = on_line, .on_end = on_end, .userdata = userdata};
        r = line_buffer_init(&s->buffer, max);
        if (r < 0)
                return r;
        r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &s->source, fd, EPOLLIN, on_readable, s);
        if (r < 0)
                return r;

        s->fd = fd;
        *ret = TAKE_PTR(s);
        return 0;
}

LineStream *line_stream_free(LineStream *s)
{
        if (!s)
                return NULL;

        sd_event_source_disable_unref(s->source);
        safe_close(s->fd);
        line_buffer_done(&s->buffer);
        free(s);
        return NULL;
}

void line_stream_drain(LineStream *s)
{
        size_t total = 0;

        if (!s || s->fd < 0)
                return;
        while (total < STREAM_DRAIN_MAX && read_some(s, &total) > 0)
                ;
        (void) line_buffer_flush(&s->buffer, s->on_line, s->userdata);
}

int line_stream_fd(const LineStream *s)
{
        return s ? s->fd : -EBADF;
}
