/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yamux over a virtio-serial port: see transport.h and proto/mux-pump.h. The host is at the other end; no
 * container has the device node. One session at a time, a new one starts with nothing of the old.
 *
 *      SEARCH --port there--> OPEN --hang-up or violation--> SEARCH
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/transport.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "proto/mux-pump.h"

#define PORTS_DIR "/sys/class/virtio-ports"
#define LISTEN_MAX 8U
/* The port's name comes over the control queue, after the device itself. */
#define SEARCH_INTERVAL_USEC (10 * USEC_PER_MSEC)
#define SEARCH_MAX_USEC (10 * USEC_PER_SEC)
#define REOPEN_USEC (20 * USEC_PER_MSEC)

typedef struct TransportSerial {
        Transport base;
        char port_name[SERIAL_NAME_MAX + 1];
        uint32_t notify_port;
        int (*open_port)(const char *port_name, void *userdata);
        void *open_data;

        uint32_t ports[LISTEN_MAX];
        size_t n_ports;

        MuxPump *pump;
        LoopSource *source, *timer;
        usec_t search_end;      /* USEC_INFINITY once the port was found */
} TransportSerial;

static int open_virtio_port(const char *port_name, void *userdata)
{
        DIR *dir = opendir(PORTS_DIR);
        struct dirent *de;
        int r = -ENOENT;

        if (!dir)
                return negative_errno();

        while ((de = readdir(dir))) {
                _cleanup_free_ char *name = NULL;
                char path[300];

                if (!startswith(de->d_name, "vport"))
                        continue;
                snprintf(path, sizeof(path), "%s/name", de->d_name);
                if (read_file_at(dirfd(dir), path, 256, &name, NULL) < 0)
                        continue;
                name[strcspn(name, "\n")] = '\0';
                if (!streq(name, port_name))
                        continue;

                snprintf(path, sizeof(path), "/dev/%s", de->d_name);
                r = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (r < 0)
                        r = negative_errno();
                break;
        }

        closedir(dir);
        return r;
}

static void session_end(TransportSerial *serial)
{
        serial->source = loop_source_free(serial->source);
        serial->pump = mux_pump_free(serial->pump);
}

static void on_notify_open(MuxPump *pump, int error, int fd, uint32_t stream_id, void *userdata)
{
        TransportSerial *serial = userdata;
        const char *text = serial->base.notify_text;

        if (error < 0) {
                /* The end of the session says itself why; the next session notifies again. */
                if (error != -ECONNRESET && error != -ECANCELED)
                        log_warning_errno(error, "The host does not take notifications");
                return;
        }

        /* A fresh socketpair takes NOTIFY_MESSAGE_MAX bytes as a whole. */
        if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                log_warning_errno(negative_errno(), "Sending a notification");
        (void) shutdown(fd, SHUT_WR);
        safe_close(fd);
}

static int send_notify(TransportSerial *serial)
{
        if (serial->notify_port == 0 || !serial->base.notify_text || !serial->pump ||
            !mux_pump_is_ready(serial->pump))
                return 0;

        return mux_pump_open(serial->pump, serial->notify_port, on_notify_open, serial);
}

static void on_ready(MuxPump *pump, void *userdata)
{
        TransportSerial *serial = userdata;
        int r;

        log_debug("The host has opened a session on %s", serial->port_name);
        r = send_notify(serial);
        if (r < 0)
                log_warning_errno(r, "Can not notify the host");
}

static int on_connect(MuxPump *pump, uint32_t port, uint32_t stream_id, int fd, void *userdata)
{
        TransportSerial *serial = userdata;

        for (size_t i = 0; i < serial->n_ports; i++)
                if (serial->ports[i] == port) {
                        serial->base.handlers.on_accept(port, stream_id, fd,
                                                        serial->base.handlers.userdata);
                        return 0;
                }

        return -ECONNREFUSED;
}

static void on_reset(MuxPump *pump, int error, const char *message, void *userdata)
{
        log_info("Session with the host ended: %s", error_text(message, error));
}

static void on_error(MuxPump *pump, int error, const char *message, void *userdata)
{
        TransportSerial *serial = userdata;

        log_info("Session with the host ended, opening %s again: %s", serial->port_name,
                 error_text(message, error));
        session_end(serial);
        (void) loop_source_set_time(serial->timer, now_usec() + REOPEN_USEC);
}

static const MuxPumpCallbacks pump_callbacks = {
        .on_ready = on_ready,
        .on_connect = on_connect,
        .on_reset = on_reset,
        .on_error = on_error,
};

static void on_pump(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        TransportSerial *serial = userdata;

        /* on_error has dealt with a failure. */
        (void) mux_pump_dispatch(serial->pump);
}

static int session_start(TransportSerial *serial)
{
        _cleanup_close_ int fd = serial->open_port(serial->port_name, serial->open_data);
        int r;

        if (fd < 0)
                return fd;

        serial->search_end = USEC_INFINITY;
        r = mux_pump_new(&serial->pump, MUX_SERVER, fd, &pump_callbacks, serial);
        if (r < 0)
                return r;
        TAKE_FD(fd);

        r = loop_add_fd(serial->base.loop, &serial->source, mux_pump_fd(serial->pump), EPOLLIN, on_pump,
                        serial);
        if (r < 0)
                session_end(serial);
        return r;
}

static void on_timer(LoopSource *source, void *userdata)
{
        TransportSerial *serial = userdata;
        TransportHandlers *handlers = &serial->base.handlers;
        _cleanup_free_ char *message = NULL;
        int r;

        if (serial->pump)
                return;
        r = session_start(serial);
        if (r >= 0)
                return;

        if (now_usec() < serial->search_end) {
                (void) loop_source_set_time(serial->timer, now_usec() + SEARCH_INTERVAL_USEC);
                return;
        }

        r = error_setf(&message, r, "no usable virtio-serial port named '%s': %s", serial->port_name,
                       strerror(-r));
        if (handlers->on_failed)
                handlers->on_failed(r, error_text(message, r), handlers->userdata);
}

static int serial_listen(Transport *t, uint32_t port, char **reterr_message)
{
        TransportSerial *serial = container_of(t, TransportSerial, base);

        if (serial->n_ports >= LISTEN_MAX)
                return error_setf(reterr_message, ENOSPC, "too many ports");

        serial->ports[serial->n_ports++] = port;
        return 0;
}

static int serial_notify(Transport *t)
{
        return send_notify(container_of(t, TransportSerial, base));
}

static void serial_destroy(Transport *t)
{
        TransportSerial *serial = container_of(t, TransportSerial, base);

        session_end(serial);
        loop_source_free(serial->timer);
        free(serial);
}

static const TransportOps serial_ops = {
        .name = "serial",
        .listen = serial_listen,
        .notify = serial_notify,
        .destroy = serial_destroy,
};

int transport_serial_new_with(Transport **ret, Loop *loop, const char *port_name, uint32_t notify_port,
                              int (*open_port)(const char *port_name, void *userdata),
                              void *open_data, const TransportHandlers *handlers)
{
        TransportSerial *serial;
        int r;

        if (strlen(port_name) > SERIAL_NAME_MAX)
                return -ENAMETOOLONG;

        serial = new0(TransportSerial, 1);
        if (!serial)
                return -ENOMEM;

        (void) transport_init(&serial->base, &serial_ops, loop, handlers);
        memcpy(serial->port_name, port_name, strlen(port_name) + 1);
        serial->notify_port = notify_port;
        serial->open_port = open_port;
        serial->open_data = open_data;
        serial->search_end = now_usec() + SEARCH_MAX_USEC;

        r = loop_add_time(loop, &serial->timer, 0, on_timer, serial);
        if (r < 0) {
                serial_destroy(&serial->base);
                return r;
        }

        *ret = &serial->base;
        return 0;
}

int transport_serial_new(Transport **ret, Loop *loop, const char *port_name, uint32_t notify_port,
                         const TransportHandlers *handlers)
{
        return transport_serial_new_with(ret, loop, port_name, notify_port, open_virtio_port, NULL,
                                         handlers);
}
