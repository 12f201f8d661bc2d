/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ttrpc client over one connected stream socket, on an sd-event loop. Calls run concurrently; each ends
 * exactly once: with the answer, the peer's error, its deadline, or the loss of the connection.
 *
 * Trust: the peer is the guest. Sizes, stream ids and messages are bounded and checked; a peer that breaks
 * the protocol loses the connection.
 */

#include <systemd/sd-event.h>

#include "basic/parse.h"
#include "proto/pb-arena.h"

typedef struct TtrpcClient TtrpcClient;

/*
 * error 0: message is the unpacked answer, valid during the call. Otherwise a negative errno and one line
 * of text. The handler may free the client.
 */
typedef void (*TtrpcReplyHandler)(TtrpcClient *client, int error, const char *text,
                                  const void *message, void *userdata);

/* The connection is gone (after all pending calls were answered); text says why. May free the client. */
typedef void (*TtrpcLostHandler)(TtrpcClient *client, const char *text, void *userdata);

/* Takes fd on success. peer names it in texts ("agent"). */
int ttrpc_client_new(TtrpcClient **ret, sd_event *event, int fd, const char *peer,
                     TtrpcLostHandler on_lost, void *userdata);

/* Pending calls are dropped without an answer. Accepts NULL, returns NULL. */
TtrpcClient *ttrpc_client_free(TtrpcClient *client);
DEFINE_CLEANUP_FUNC(TtrpcClient *, ttrpc_client_free)

/*
 * Sends a request. request NULL is the empty message; reply is the descriptor of the answer. timeout 0:
 * none (long polls). Fails at once with -ENOBUFS over TTRPC_PENDING_MAX calls, -ENOTCONN after the loss of
 * the connection; then the handler is not called.
 */
int ttrpc_client_call(TtrpcClient *client, const char *service, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
                      usec_t timeout, TtrpcReplyHandler handler, void *userdata);
