/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Listening sockets and outgoing notifications for the transports that the kernel's sockets carry: the part
 * that AF_VSOCK and AF_UNIX have in common. The transport says how to judge a peer.
 */

#include <sys/socket.h>

#include "agent/transport.h"

#define TRANSPORT_LISTENERS_MAX 8U

typedef struct SocketListener {
        struct SocketServer *server;
        int fd;
        uint32_t port;
        LoopSource *source;
} SocketListener;

typedef struct SocketServer {
        Transport *transport;
        /* The source port of an accepted peer (fd: its connection), or negative to refuse it. */
        int64_t (*judge_peer)(struct SocketServer *server, int fd, const struct sockaddr_storage *peer);
        SocketListener listeners[TRANSPORT_LISTENERS_MAX];
        size_t n_listeners;

        /* The notification under way. */
        struct sockaddr_storage notify_address;
        socklen_t notify_address_len;   /* 0: none */
        int notify_fd;
        LoopSource *notify_source, *notify_timer;
        unsigned notify_tries;
} SocketServer;

void socket_server_init(SocketServer *server, Transport *transport);
void socket_server_done(SocketServer *server);

/* Binds, listens and watches; takes nothing. */
int socket_server_listen(SocketServer *server, uint32_t port, const struct sockaddr *address,
                         socklen_t address_len);

/* Sends transport->notify_text to notify_address. */
int socket_server_notify(SocketServer *server);
