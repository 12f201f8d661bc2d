/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The few calls that a proxy makes to the supervisor's Task service (containerd.task.v2, proto/task.proto): one
 * connection, several calls in flight, nothing that blocks. A lost connection is made anew by the caller.
 */

#include "proto/ttrpc.h"

#define TASK_SERVICE "containerd.task.v2.Task"
#define TASK_CALLS_MAX 32U
#define TASK_OUTPUT_MAX KIB(64)

typedef struct TaskCalls TaskCalls;

/*
 * The answer of a call: error 0 and the payload's bytes (for those who want them), or an errno with a text;
 * -ECONNRESET for what was in flight when the connection broke.
 */
typedef void (*TaskReply)(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n,
                          void *userdata);

typedef struct TaskCall {
        uint32_t id;            /* 0: free */
        TaskReply reply;
} TaskCall;

struct TaskCalls {
        int fd;                 /* -EBADF: not connected */
        uint32_t next_id;
        TtrpcReader reader;
        TaskCall calls[TASK_CALLS_MAX];
        uint8_t *output;        /* not sent yet */
        size_t n_output, max_output;
        const char *service;
        int passed_fd;          /* goes along with what is sent next; the caller's; -EBADF: none */
        void *userdata;
};

void task_calls_init(TaskCalls *calls, void *userdata);
/* For another service than that: its name, and how much may wait to be sent. */
void task_calls_set_service(TaskCalls *calls, const char *service, size_t max_output);
/* Takes a connected, non-blocking socket. */
void task_calls_set_socket(TaskCalls *calls, int fd);
/* Closes; calls in flight end with -ECONNRESET. */
void task_calls_close(TaskCalls *calls);
void task_calls_done(TaskCalls *calls);

/* reply may be NULL. -ENOTCONN, -ENOBUFS when too much is in flight, -ENOMEM. */
int task_call(TaskCalls *calls, const char *method, const ProtobufCMessage *message, TaskReply reply);

/* For poll(). */
short task_calls_events(const TaskCalls *calls);
/* What is possible now. A negative errno: the connection is of no use any more (closed already). */
int task_calls_process(TaskCalls *calls);
