/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Task service of a sandbox, one call after the other: for commands that ask, get an answer and end. Errors
 * carry the service's text.
 */

#include "basic/parse.h"
#include "proto/pb-arena.h"
#include "proto/task.pb-c.h"

typedef struct TaskClient TaskClient;

/* A connection to the Task service for those who want more than one call at a time (task-calls.h); errors as below. */
int task_socket_connect(const char *sandbox, int *ret_fd, char **reterr_message);

/* -ENOENT: the sandbox is not there, or does not serve; -ECONNREFUSED: its supervisor is away at present. */
int task_client_connect(const char *sandbox, TaskClient **ret, char **reterr_message);
/* The same of the service kata.systemd.v1.Sandbox (proto/sandbox.proto), which every sandbox that runs has. */
int task_client_connect_sandbox(const char *sandbox, TaskClient **ret, char **reterr_message);
TaskClient *task_client_free(TaskClient *client);
DEFINE_CLEANUP_FUNC(TaskClient *, task_client_free)

/* Goes along with the next call; stays the caller's, who keeps it open until then. */
void task_client_pass_fd(TaskClient *client, int fd);

/*
 * arena and descriptor may be NULL: nobody wants the answer. ret is unpacked into arena. -ETIMEDOUT after timeout.
 */
int task_client_call(TaskClient *client, const char *method, const ProtobufCMessage *request, usec_t timeout,
                     PbArena *arena, const ProtobufCMessageDescriptor *descriptor, void *ret,
                     char **reterr_message);
