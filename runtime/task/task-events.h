/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What has happened to tasks, in order, as containerd wants to be told it: a topic and a message of
 * proto/task-events.proto. Kept until somebody takes it, at most TASK_EVENTS_MAX; then the oldest goes. Pure.
 */

#include <protobuf-c/protobuf-c.h>

#include "basic/cleanup.h"

typedef struct TaskEvent {
        struct TaskEvent *next;
        uint64_t realtime_usec;
        const char *topic;              /* "/tasks/exit" */
        const char *type;               /* full name of the message */
        uint8_t *data;                  /* the message, packed */
        size_t size;
} TaskEvent;

typedef struct TaskEvents {
        TaskEvent *first, *last;
        size_t n;
        uint64_t dropped;               /* that nobody has taken in time */
} TaskEvents;

int task_events_add(TaskEvents *events, const ProtobufCMessage *message);
/* The oldest, to be freed; NULL if there is none. */
TaskEvent *task_events_take(TaskEvents *events);
TaskEvent *task_event_free(TaskEvent *event);
void task_events_done(TaskEvents *events);
