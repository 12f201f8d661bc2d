/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ttrpc server on an sd-event loop: one listening UNIX socket, several connections, calls as objects that are
 * answered at once or later, in any order. Knows nothing of the methods but their table.
 *
 * Trust: the peer is a process of this host, of root or of the user that this process runs as; the kernel
 * vouches for that (SO_PEERCRED), everybody else is turned away. What it sends is bounded all the same: number
 * of connections, calls in flight of each, size of frames and messages. A connection that leaves the protocol is
 * closed with a log line.
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "proto/ttrpc.h"

typedef struct TtrpcServer TtrpcServer;
typedef struct TtrpcCall TtrpcCall;

/* input is of the method's input type and valid until the handler returns. */
typedef void (*TtrpcMethodHandler)(void *userdata, TtrpcCall *call, const void *input);

typedef struct TtrpcMethod {
        const char *name;
        const ProtobufCMessageDescriptor *input;
        TtrpcMethodHandler handler;
        const char *service;            /* under this name alone; NULL: under each */
} TtrpcMethod;

/* All pointers must outlive the server. */
typedef struct TtrpcService {
        const char *const *names;       /* the same methods under each of them; NULL at the end */
        const TtrpcMethod *methods;
        size_t n_methods;
        /* How many connections there are has changed; may be NULL. Must not free the server. */
        void (*on_connections)(size_t n, void *userdata);
        void *userdata;
} TtrpcService;

int ttrpc_server_new(TtrpcServer **ret, sd_event *event, const TtrpcService *service);
/* What is pending is cancelled. Not to be called from a handler. Accepts NULL, returns NULL. */
TtrpcServer *ttrpc_server_free(TtrpcServer *server);
DEFINE_CLEANUP_FUNC(TtrpcServer *, ttrpc_server_free)

/* Takes the listening socket on success. */
int ttrpc_server_listen(TtrpcServer *server, int fd);
/* Takes a connected stream socket on success. -EACCES for a peer that has no business here, -EUSERS. */
int ttrpc_server_add(TtrpcServer *server, int fd);

size_t ttrpc_server_n_connections(const TtrpcServer *server);

/*
 * Each call is answered exactly once, by one of these; the object is gone afterwards. NULL is
 * google.protobuf.Empty.
 */
void ttrpc_call_reply(TtrpcCall *call, const ProtobufCMessage *message);
void ttrpc_call_fail(TtrpcCall *call, TtrpcCode code, const char *format, ...) _printf_(3, 4);
/* A negative errno with the text that goes with it, NULL for strerror(). */
void ttrpc_call_fail_errno(TtrpcCall *call, int error, const char *text);

/* The descriptor that came last with bytes of this client, which is the caller's then; -EBADF: none. For handlers. */
int ttrpc_call_take_fd(TtrpcCall *call);

/*
 * For calls that are answered later: cancel is called when nobody wants the answer any more (deadline of the
 * caller, connection lost). The object is gone when it returns; it must not answer. NULL: none.
 */
void ttrpc_call_on_cancel(TtrpcCall *call, void (*cancel)(TtrpcCall *call, void *userdata), void *userdata);

/* Sets *slot to NULL instead: for operations that go on without their caller. */
void ttrpc_call_hold(TtrpcCall *call, TtrpcCall **slot);
