/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Byte streams between host and guest, whatever carries them: AF_VSOCK through the host kernel, or yamux
 * over one virtio-serial port. One method table, one file a carrier. Everything above sees plain
 * non-blocking descriptors.
 *
 * Ports (as in Kata): 1024 agent, 1025 log, 1026 debug console, 1027 stdio. The guest reports readiness
 * by itself: sd_notify text on a stream of its own. Nothing is polled.
 *
 * Trust: the guest may open notify streams, say anything in them and vanish; number and size are bounded,
 * the peer's CID is checked.
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"

#define AGENT_PORT 1024U
#define AGENT_LOG_PORT 1025U
#define AGENT_DEBUG_PORT 1026U           /* only where the guest was told to open it */
#define AGENT_STDIO_PORT 1027U
#define HOST_NOTIFY_MUX_PORT 1029U      /* serial; over vsock the port number is the guest's CID */

typedef struct Transport Transport;

typedef struct TransportHandlers {
        /* One whole sd_notify message of the guest, NUL-terminated. */
        void (*on_notify)(Transport *t, const char *text, void *userdata);
        /* The carrier is gone for good (never for the end of a single stream). May free the transport. */
        void (*on_lost)(Transport *t, const char *text, void *userdata);
        void *userdata;
} TransportHandlers;

/*
 * The end of transport_open(). error 0: fd is the connected stream (the handler takes it) and
 * source_port what the guest sees as its origin. Otherwise a negative errno and one line of text.
 */
typedef void (*TransportOpenHandler)(Transport *t, int error, const char *text, int fd,
                                     uint32_t source_port, void *userdata);

int transport_new_vsock(Transport **ret, sd_event *event, uint32_t cid,
                        const TransportHandlers *handlers, char **reterr_message);
/* fd: the host's end of the agent's port, a stream socket; taken on success. */
int transport_new_serial(Transport **ret, sd_event *event, int fd, const TransportHandlers *handlers);

/* Opens that are under way end without their handler. Accepts NULL, returns NULL. */
Transport *transport_free(Transport *t);
DEFINE_CLEANUP_FUNC(Transport *, transport_free)

/* The handler is called later, from the loop, exactly once (unless the transport is freed first). */
int transport_open(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata);

/* Opens with this userdata end without their handler, for an object that goes away. */
void transport_forget(Transport *t, void *userdata);

/* "vsock" or "serial": for the journal. */
const char *transport_name(const Transport *t);
