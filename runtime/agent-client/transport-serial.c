/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yamux over one virtio-serial port: see transport.h and proto/mux.h. The VMM holds back what we write
 * until the guest has opened the port, so the session starts by itself when the agent comes up.
 */

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "proto/mux-pump.h"
#include "runtime/agent-client/transport-internal.h"

typedef struct SerialOpen SerialOpen;

typedef struct SerialTransport {
        Transport transport;
        MuxPump *pump;
        sd_event_source *io;
        SerialOpen *opens;      /* all that have not ended */
        bool closing;
} SerialTransport;

struct SerialOpen {
        SerialTransport *serial;
        SerialOpen *next;
        uint32_t port;
        bool sent;              /* the pump knows of it */
        TransportOpenHandler handler;
        void *userdata;
};

static SerialTransport *serial_of(Transport *t)
{
        return container_of(t, SerialTransport, transport);
}

static void serial_open_free(SerialOpen *o)
{
        for (SerialOpen **p = &o->serial->opens; *p; p = &(*p)->next)
                if (*p == o) {
                        *p = o->next;
                        break;
                }
        free(o);
}

static void serial_done(Transport *t)
{
        SerialTransport *s = serial_of(t);

        s->closing = true;
        s->io = sd_event_source_disable_unref(s->io);
        s->pump = mux_pump_free(s->pump);
        while (s->opens)
                serial_open_free(s->opens);
}

static void serial_forget(Transport *t, void *userdata)
{
        for (SerialOpen *o = serial_of(t)->opens; o; o = o->next)
                if (o->userdata == userdata)
                        o->handler = NULL;
}

/* Ends one open with the handler's call; the handler may free the transport. */
static void serial_open_finish(SerialOpen *o, int error, int fd, uint32_t stream_id)
{
        TransportOpenHandler handler = o->handler;
        Transport *t = &o->serial->transport;
        _cleanup_free_ char *text = NULL;
        void *userdata = o->userdata;

        if (error < 0)
                (void) error_setf(&text, error, "stream to port %u of the guest failed: %s", o->port,
                                  strerror(-error));
        serial_open_free(o);
        if (handler)
                handler(t, error, error < 0 ? error_text(text, error) : NULL, fd, stream_id, userdata);
        else
                safe_close(fd);
}

static void on_stream_open(MuxPump *pump, int error, int fd, uint32_t stream_id, void *userdata)
{
        SerialOpen *o = userdata;

        /* The pump ends all opens when it is freed; ours end silently then. */
        if (o->serial->closing) {
                safe_close(fd);
                return;
        }
        serial_open_finish(o, error, fd, stream_id);
}

static int serial_send_open(SerialOpen *o)
{
        int r = mux_pump_open(o->serial->pump, o->port, on_stream_open, o);

        o->sent = r >= 0;
        return r;
}

static void on_ready(MuxPump *pump, void *userdata)
{
        SerialTransport *s = userdata;
        SerialOpen *next;

        for (SerialOpen *o = s->opens; o; o = next) {
                next = o->next;
                if (!o->sent && serial_send_open(o) < 0) {
                        /* Out of streams or memory at the very start: nothing will work. */
                        serial_open_finish(o, -ENOBUFS, -EBADF, 0);
                        return;
                }
        }
}

static int on_connect(MuxPump *pump, uint32_t port, uint32_t stream_id, int fd, void *userdata)
{
        SerialTransport *s = userdata;

        if (port != HOST_NOTIFY_MUX_PORT)
                return -ECONNREFUSED;

        /* Takes fd in any case, while the pump would close it after an error. */
        (void) transport_add_notify_stream(&s->transport, fd);
        return 0;
}

static void on_error(MuxPump *pump, int error, const char *message, void *userdata)
{
        SerialTransport *s = userdata;

        s->io = sd_event_source_disable_unref(s->io);
        transport_report_lost(&s->transport, error_text(message, error));
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        SerialTransport *s = userdata;

        /* Its end is reported by on_error. */
        (void) mux_pump_dispatch(s->pump);
        return 0;
}

static int serial_open(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata)
{
        SerialTransport *s = serial_of(t);
        SerialOpen *o;
        int r;

        if (!s->io)
                return -ENOTCONN;

        o = new0(SerialOpen, 1);
        if (!o)
                return -ENOMEM;
        *o = (SerialOpen) {
                .serial = s,
                .next = s->opens,
                .port = port,
                .handler = handler,
                .userdata = userdata,
        };
        s->opens = o;

        /* Before the session is there they wait for on_ready. */
        if (mux_pump_is_ready(s->pump)) {
                r = serial_send_open(o);
                if (r < 0) {
                        serial_open_free(o);
                        return r;
                }
        }

        return 0;
}

static const TransportOps serial_ops = {
        .name = "serial",
        .open = serial_open,
        .forget = serial_forget,
        .done = serial_done,
};

int transport_new_serial(Transport **ret, sd_event *event, int fd, const TransportHandlers *handlers)
{
        static const MuxPumpCallbacks callbacks = {
                .on_ready = on_ready,
                .on_connect = on_connect,
                .on_error = on_error,
        };
        SerialTransport *s = new0(SerialTransport, 1);
        _cleanup_(transport_freep) Transport *t = s ? &s->transport : NULL;
        _cleanup_close_ int copy = -EBADF;
        int r;

        if (!s)
                return -ENOMEM;

        r = transport_init(t, &serial_ops, event, handlers);
        if (r < 0)
                return r;

        /* The pump takes a descriptor at once; the caller's stays his until all has worked. */
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return negative_errno();
        r = mux_pump_new(&s->pump, MUX_CLIENT, copy, &callbacks, s);
        if (r < 0)
                return r;
        TAKE_FD(copy);
        r = sd_event_add_io(event, &s->io, mux_pump_fd(s->pump), EPOLLIN, on_io, s);
        if (r < 0)
                return r;

        safe_close(fd);
        *ret = TAKE_PTR(t);
        return 0;
}
