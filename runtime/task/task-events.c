/* SPDX-License-Identifier: Apache-2.0 */
/* The list of events: see task-events.h. */

#include "runtime/task/task-events.h"

#include "basic/limits.h"
#include "basic/parse.h"
#include "proto/task-events.pb-c.h"

static const struct {
        const ProtobufCMessageDescriptor *message;
        const char *topic;
} topics[] = {
        { &containerd__events__task_create__descriptor, "/tasks/create" },
        { &containerd__events__task_start__descriptor, "/tasks/start" },
        { &containerd__events__task_delete__descriptor, "/tasks/delete" },
        { &containerd__events__task_exit__descriptor, "/tasks/exit" },
        { &containerd__events__task_oom__descriptor, "/tasks/oom" },
        { &containerd__events__task_exec_added__descriptor, "/tasks/exec-added" },
        { &containerd__events__task_exec_started__descriptor, "/tasks/exec-started" },
        { &containerd__events__task_paused__descriptor, "/tasks/paused" },
        { &containerd__events__task_resumed__descriptor, "/tasks/resumed" },
};

TaskEvent *task_event_free(TaskEvent *event)
{
        if (event) {
                free(event->data);
                free(event);
        }
        return NULL;
}

TaskEvent *task_events_take(TaskEvents *events)
{
        TaskEvent *event = events->first;

        if (!event)
                return NULL;

        events->first = event->next;
        if (!events->first)
                events->last = NULL;
        events->n--;
        event->next = NULL;
        return event;
}

void task_events_done(TaskEvents *events)
{
        while (events->first)
                task_event_free(task_events_take(events));
}

int task_events_add(TaskEvents *events, const ProtobufCMessage *message)
{
        size_t size = protobuf_c_message_get_packed_size(message);
        const char *topic = NULL;
        TaskEvent *event;

        for (size_t i = 0; i < ELEMENTSOF(topics); i++)
                if (topics[i].message == message->descriptor)
                        topic = topics[i].topic;
        assert(topic);

        event = new0(TaskEvent, 1);
        if (!event)
                return -ENOMEM;
        *event = (TaskEvent) {
                .realtime_usec = now_realtime_usec(), .topic = topic, .type = message->descriptor->name,
                .data = new(uint8_t, size), .size = size,
        };
        if (!event->data) {
                free(event);
                return -ENOMEM;
        }
        protobuf_c_message_pack(message, event->data);

        if (events->n >= TASK_EVENTS_MAX) {
                task_event_free(task_events_take(events));
                events->dropped++;
        }
        if (events->last)
                events->last->next = event;
        else
                events->first = event;
        events->last = event;
        events->n++;
        return 0;
}
