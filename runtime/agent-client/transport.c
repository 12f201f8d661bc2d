/* SPDX-License-Identifier: Apache-2.0 */
/* Common part of the carriers: see transport.h. Host side; notify text comes from the guest. */

#include "runtime/agent-client/transport-internal.h"

#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"

#define NOTIFY_STREAMS_MAX 4U

struct NotifyStream {
        Transport *transport;
        NotifyStream *next;
        sd_event_source *io;
        int fd;
        char text[NOTIFY_MESSAGE_MAX + 1];
        size_t n;
};

static void notify_stream_free(NotifyStream *s)
{
        Transport *t = s->transport;

        for (NotifyStream **p = &t->notify_streams; *p; p = &(*p)->next)
                if (*p == s) {
                        *p = s->next;
                        t->n_notify_streams--;
                        break;
                }
        sd_event_source_disable_unref(s->io);
        safe_close(s->fd);
        free(s);
}

int transport_init(Transport *t, const TransportOps *ops, sd_event *event,
                   const TransportHandlers *handlers)
{
        t->ops = ops;
        t->event = sd_event_ref(event);
        t->handlers = *handlers;
        return 0;
}

Transport *transport_free(Transport *t)
{
        if (!t)
                return NULL;

        while (t->notify_streams)
                notify_stream_free(t->notify_streams);
        if (t->ops)
                t->ops->done(t);
        sd_event_unref(t->event);
        free(t);
        return NULL;
}

int transport_open(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata)
{
        return t->ops->open(t, port, handler, userdata);
}

void transport_forget(Transport *t, void *userdata)
{
        t->ops->forget(t, userdata);
}

const char *transport_name(const Transport *t)
{
        return t->ops->name;
}

void transport_report_lost(Transport *t, const char *text)
{
        if (t->handlers.on_lost)
                t->handlers.on_lost(t, text, t->handlers.userdata);
}

static int on_notify_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        NotifyStream *s = userdata;
        Transport *t = s->transport;

        for (;;) {
                ssize_t k = read(fd, s->text + s->n, sizeof(s->text) - 1 - s->n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0 && errno == EAGAIN)
                        return 0;
                if (k <= 0)
                        break;

                s->n += (size_t) k;
                if (s->n == sizeof(s->text) - 1) {
                        /* Over the limit: not a message of ours. */
                        s->n = 0;
                        break;
                }
        }

        /* A reset connection carries no message; an orderly end does, and without NUL bytes. */
        if (s->n > 0 && !memchr(s->text, '\0', s->n)) {
                char text[sizeof(s->text)];

                memcpy(text, s->text, s->n);
                text[s->n] = '\0';
                notify_stream_free(s);
                t->handlers.on_notify(t, text, t->handlers.userdata);
                return 0;
        }

        notify_stream_free(s);
        return 0;
}

int transport_add_notify_stream(Transport *t, int fd)
{
        NotifyStream *s;
        int r;

        s = t->n_notify_streams < NOTIFY_STREAMS_MAX ? new0(NotifyStream, 1) : NULL;
        if (!s) {
                safe_close(fd);
                return -ENOBUFS;
        }

        *s = (NotifyStream) { .transport = t, .next = t->notify_streams, .fd = fd };
        t->notify_streams = s;
        t->n_notify_streams++;

        r = fd_set_nonblock(fd, true);
        if (r >= 0)
                r = sd_event_add_io(t->event, &s->io, fd, EPOLLIN, on_notify_io, s);
        if (r < 0)
                notify_stream_free(s);

        return r;
}
