/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the vsock and unix transports: see socket-server.h. Accepts connections of the host. */

#include "agent/socket-server.h"

#include "basic/fd.h"
#include "basic/log.h"

/* Three streams of each container, of many that start at once; vsock resets what does not fit. */
#define LISTEN_BACKLOG 256
/* In one turn of the loop. */
#define ACCEPTS_MAX 64U
#define NOTIFY_TRIES_MAX 100U
#define NOTIFY_RETRY_USEC (100 * USEC_PER_MSEC)

void socket_server_init(SocketServer *server, Transport *transport)
{
        *server = (SocketServer) { .transport = transport, .notify_fd = -EBADF };
}

static void notify_end(SocketServer *server)
{
        server->notify_source = loop_source_free(server->notify_source);
        server->notify_timer = loop_source_free(server->notify_timer);
        server->notify_fd = safe_close(server->notify_fd);
}

void socket_server_done(SocketServer *server)
{
        notify_end(server);
        for (size_t i = 0; i < server->n_listeners; i++) {
                loop_source_free(server->listeners[i].source);
                safe_close(server->listeners[i].fd);
        }
        server->n_listeners = 0;
}

/* False: nobody else waits. */
static bool accept_one(SocketListener *listener, int fd)
{
        Transport *t = listener->server->transport;
        struct sockaddr_storage peer = {};
        socklen_t len = sizeof(peer);
        int64_t source_port;
        int c;

        c = accept4(fd, (struct sockaddr *) &peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c < 0) {
                int r = negative_errno();

                if (r != -EAGAIN && r != -EINTR && r != -ECONNABORTED)
                        log_warning_errno(r, "Accepting on port %u", listener->port);
                return r == -ECONNABORTED;
        }

        source_port = listener->server->judge_peer(listener->server, c, &peer);
        if (source_port < 0) {
                log_warning("Refused a connection to port %u that does not come from the host",
                            listener->port);
                safe_close(c);
                return true;
        }

        t->handlers.on_accept(listener->port, (uint32_t) source_port, c, t->handlers.userdata);
        return true;
}

/*
 * All that wait, up to a bound: requests that name their streams may be ahead of them, and a turn of the loop takes
 * its time while twenty containers start on one slow processor.
 */
static void on_connection(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        for (unsigned i = 0; i < ACCEPTS_MAX && accept_one(userdata, fd); i++)
                ;
}

int socket_server_listen(SocketServer *server, uint32_t port, const struct sockaddr *address,
                         socklen_t address_len)
{
        _cleanup_close_ int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        SocketListener *listener;
        int r;

        if (fd < 0)
                return negative_errno();
        if (server->n_listeners >= TRANSPORT_LISTENERS_MAX)
                return -ENOSPC;
        if (bind(fd, address, address_len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return negative_errno();

        listener = &server->listeners[server->n_listeners];
        *listener = (SocketListener) { .server = server, .fd = -EBADF, .port = port };
        r = loop_add_fd(server->transport->loop, &listener->source, fd, EPOLLIN, on_connection, listener);
        if (r < 0)
                return r;

        listener->fd = TAKE_FD(fd);
        server->n_listeners++;
        return 0;
}

static void notify_retry(SocketServer *server, int error)
{
        server->notify_source = loop_source_free(server->notify_source);
        server->notify_fd = safe_close(server->notify_fd);

        if (++server->notify_tries >= NOTIFY_TRIES_MAX) {
                log_warning_errno(error, "The host does not take notifications, giving up");
                notify_end(server);
                return;
        }
        (void) loop_source_set_time(server->notify_timer, now_usec() + NOTIFY_RETRY_USEC);
}

static void on_notify_writable(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        SocketServer *server = userdata;
        const char *text = server->transport->notify_text;
        int error = 0;
        socklen_t len = sizeof(error);
        ssize_t k;

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        if (error != 0)
                return notify_retry(server, -error);

        /* At most NOTIFY_MESSAGE_MAX: a fresh connection takes it as a whole. */
        k = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0)
                return notify_retry(server, negative_errno());
        if ((size_t) k < strlen(text))
                return notify_retry(server, -EAGAIN);

        (void) shutdown(fd, SHUT_WR);
        notify_end(server);
}

static void on_notify_time(LoopSource *source, void *userdata)
{
        SocketServer *server = userdata;
        int r;

        server->notify_fd = socket(server->notify_address.ss_family,
                                   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (server->notify_fd < 0)
                return notify_retry(server, negative_errno());

        if (connect(server->notify_fd, (struct sockaddr *) &server->notify_address,
                    server->notify_address_len) < 0 && errno != EINPROGRESS)
                return notify_retry(server, negative_errno());

        r = loop_add_fd(server->transport->loop, &server->notify_source, server->notify_fd, EPOLLOUT,
                        on_notify_writable, server);
        if (r < 0)
                notify_retry(server, r);
}

int socket_server_notify(SocketServer *server)
{
        if (server->notify_address_len == 0)
                return 0;

        notify_end(server);
        server->notify_tries = 0;
        return loop_add_time(server->transport->loop, &server->notify_timer, 0, on_notify_time, server);
}
