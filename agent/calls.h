/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests whose work may block (virtio-fs, the kernel's network lock, programs of the image): a worker
 * checks the request, does it, and builds the answer, which comes back through memory that both share.
 * Serial ones are done one after the other, in the order of their arrival.
 *
 * A request that nobody waits for any more is finished all the same, so that nothing stays half done; its
 * deadline here still counts.
 */

#include "agent/server.h"

typedef struct Calls Calls;
typedef struct CallAnswer CallAnswer;

/*
 * Runs in the worker: its memory is a copy. 0 after call_answer(), or without it for
 * google.protobuf.Empty; else negative errno, which becomes the status of the answer.
 */
typedef int (*CallWork)(const void *input, CallAnswer *answer, char **reterr_message);

typedef struct CallMethod {
        CallWork work;
        const ProtobufCMessageDescriptor *output;       /* NULL: google.protobuf.Empty */
        usec_t timeout;
        bool serial;
} CallMethod;

int calls_new(Calls **ret, Loop *loop);
/* Workers are killed; their requests are not answered. */
Calls *calls_free(Calls *calls);
DEFINE_CLEANUP_FUNC(Calls *, calls_free)

/*
 * Answers the request in any case, now or later; RESOURCE_EXHAUSTED when CALLS_MAX are at work. input is
 * what the request's handler was given, or for a method that is not serial anything that lasts until
 * this returns. method must outlive the call.
 */
void calls_run(Calls *calls, Request *request, const CallMethod *method, const void *input);

/* In the worker, once: -EMSGSIZE over CALL_ANSWER_MAX. */
int call_answer(CallAnswer *answer, const ProtobufCMessage *message);
