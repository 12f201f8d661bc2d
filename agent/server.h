/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ttrpc server: several connections, requests as objects that are answered at once or later, in any order.
 * Knows nothing of the methods but their table. The peer is the host; what it sends is bounded and parsed
 * in proto/ttrpc.h, and a connection that leaves the protocol is closed with a log line.
 */

#include <protobuf-c/protobuf-c.h>

#include "agent/loop.h"
#include "proto/ttrpc.h"

typedef struct Server Server;
typedef struct Request Request;

/* input is of the method's input type and valid until the handler returns, see request_keep_input(). */
typedef void (*MethodHandler)(void *userdata, Request *request, const void *input);

typedef struct Method {
        const char *service, *name;
        const ProtobufCMessageDescriptor *input;
        MethodHandler handler;
} Method;

/*
 * Asked once the input is parsed and before the handler sees it. 0: go on. 1: go on, but what the answer would
 * tell of a workload is withheld (request_is_redacted()). Negative: refused with the text and PERMISSION_DENIED, or
 * with FAILED_PRECONDITION for -EBUSY.
 */
typedef int (*MethodGuard)(void *userdata, const Method *method, const void *input, char **reterr_message);

/* methods must outlive the server; userdata goes to the handlers. */
int server_new(Server **ret, Loop *loop, const Method *methods, size_t n_methods, void *userdata);
/* Cancels what is pending. */
Server *server_free(Server *server);
DEFINE_CLEANUP_FUNC(Server *, server_free)

/* NULL: none. userdata is that of the handlers. */
void server_set_guard(Server *server, MethodGuard guard);

/* Takes fd (a non-blocking stream socket) on success; -EUSERS over SERVER_CONNECTIONS_MAX. */
int server_add_connection(Server *server, int *fd);

/* No answer waits to be sent. */
bool server_is_flushed(const Server *server);

/*
 * Each request is answered exactly once, by one of these; the object is gone afterwards. NULL is
 * google.protobuf.Empty.
 */
void request_reply(Request *request, const ProtobufCMessage *message);
void request_fail(Request *request, TtrpcCode code, const char *format, ...) _printf_(3, 4);
/* A negative errno with the text that goes with it, NULL for strerror(). */
void request_fail_errno(Request *request, int error, const char *message);

/*
 * For requests that are answered later. cancel is called when nobody wants the answer any more (deadline,
 * connection lost): the object is gone when it returns.
 */
void request_on_cancel(Request *request, void (*cancel)(Request *request, void *userdata), void *userdata);

bool request_is_redacted(const Request *request);

/* Keeps the input until the answer. -ENOBUFS if the requests that do so hold too much already. */
int request_keep_input(Request *request);
