/* SPDX-License-Identifier: Apache-2.0 */
/* Log connection of the host: see log-port.h. */

#include "agent/log-port.h"

static void on_data(void *userdata)
{
        LogPort *port = userdata;

        ring_stream_kick(port->stream);
}

static void on_room(void *userdata)
{
        LogPort *port = userdata;

        log_ring_room(port->log);
        kmsg_resume(port->kmsg);
}

static void on_gone(int error, void *userdata)
{
        LogPort *port = userdata;

        port->stream = ring_stream_free(port->stream);
        if (error < 0)
                log_warning_errno(error, "Log connection closed, the peer broke the protocol");
}

void log_port_init(LogPort *port, Loop *loop, LogRing *log)
{
        *port = (LogPort) { .loop = loop, .log = log };
        log->on_data = on_data;
        log->userdata = port;
}

void log_port_done(LogPort *port)
{
        if (port->log)
                port->log->on_data = NULL;
        port->stream = ring_stream_free(port->stream);
        *port = (LogPort) {};
}

int log_port_attach(LogPort *port, int *fd)
{
        RingStreamHandlers handlers = {
                .on_room = on_room,
                .on_gone = on_gone,
                .userdata = port,
        };
        int r;

        /* The old connection goes first: its position must not move after the rewind. */
        port->stream = ring_stream_free(port->stream);
        r = ring_stream_new(&port->stream, port->loop, &port->log->ring, fd, &handlers);
        if (r < 0)
                return r;

        /* Not earlier: turning the messages of the boot into records is no part of getting ready. */
        kmsg_resume(port->kmsg);
        return 0;
}

bool log_port_is_idle(const LogPort *port)
{
        return !port->stream || ring_is_drained(&port->log->ring);
}
