/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the host reaches the agent: numbered ports that the agent listens on, connections as stream sockets,
 * and notifications the other way. One interface, one file a transport:
 *      transport-vsock.c       AF_VSOCK, only peers with the host's CID
 *      transport-serial.c      a virtio-serial port with proto/mux.h on it
 *      transport-unix.c        listening UNIX sockets: for tests and development
 *
 * The peer is the host and owns this machine; containers are not the host, so a transport delivers nothing
 * that a process inside the guest could have opened.
 */

#include "agent/cmdline.h"
#include "agent/loop.h"

typedef struct Transport Transport;

typedef struct TransportHandlers {
        /*
         * A connection to one of the listening ports. fd is a non-blocking stream socket and is the
         * handler's. source_port names it on the host's side: the peer's port, or the stream id.
         */
        void (*on_accept)(uint32_t port, uint32_t source_port, int fd, void *userdata);
        /* The transport will never work; message names the reason. */
        void (*on_failed)(int error, const char *message, void *userdata);
        void *userdata;
} TransportHandlers;

typedef struct TransportOps {
        const char *name;
        int (*listen)(Transport *t, uint32_t port, char **reterr_message);
        /* text: see transport_notify() */
        int (*notify)(Transport *t);
        void (*destroy)(Transport *t);
} TransportOps;

/* Embedded at the start of each transport. */
struct Transport {
        const TransportOps *ops;
        Loop *loop;
        TransportHandlers handlers;
        char *notify_text;              /* what transport_notify() was given last */
};

int transport_vsock_new(Transport **ret, Loop *loop, uint32_t notify_cid, uint32_t notify_port,
                        const TransportHandlers *handlers);
/*
 * The virtio-serial port with that name, found through sysfs; it may appear some time after PID 1. When the
 * host hangs up, the session ends and the port is opened anew, which also drops what was left in it.
 */
int transport_serial_new(Transport **ret, Loop *loop, const char *port_name, uint32_t notify_port,
                         const TransportHandlers *handlers);
/* The same over what open_port returns: a descriptor, or -errno (-ENOENT: not there yet). */
int transport_serial_new_with(Transport **ret, Loop *loop, const char *port_name, uint32_t notify_port,
                              int (*open_port)(const char *port_name, void *userdata),
                              void *open_data, const TransportHandlers *handlers);
/* Sockets DIR/PORT; notifications go to DIR/notify. */
int transport_unix_new(Transport **ret, Loop *loop, const char *dir, const TransportHandlers *handlers);

/*
 * The socket PATH for main_port and PATH.PORT for the others, without notifications. Mode 0600, and only for
 * peers of the same user or root. Sockets that nobody listens on any more are replaced, and removed at the end.
 */
int transport_unix_new_at(Transport **ret, Loop *loop, const char *path, uint32_t main_port,
                          const TransportHandlers *handlers);

/* The one that the command line asks for. */
int transport_new(Transport **ret, Loop *loop, const AgentCmdline *cmdline,
                  const TransportHandlers *handlers, char **reterr_message);
Transport *transport_free(Transport *t);
DEFINE_CLEANUP_FUNC(Transport *, transport_free)

int transport_listen(Transport *t, uint32_t port, char **reterr_message);

/*
 * Sends sd_notify(3) text in the background: one connection, the text, end of file. Repeated every 100 ms
 * for some seconds while the host does not listen yet. A transport with sessions sends the last text at the
 * start of each one. 0 without effect if the command line named no address.
 */
int transport_notify(Transport *t, const char *text);

/* For implementations. */
int transport_init(Transport *t, const TransportOps *ops, Loop *loop, const TransportHandlers *handlers);
