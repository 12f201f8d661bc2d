/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Life-cycle events: entries with a fixed MESSAGE_ID each, explained in units/kata.catalog
 * (journalctl -x). The ids never change; a new meaning gets a new id.
 */

#include "runtime/log/relay.h"

typedef enum SandboxEvent {
        EVENT_SANDBOX_STARTING,
        EVENT_SANDBOX_STARTED,
        EVENT_SANDBOX_STOPPING,
        EVENT_SANDBOX_STOPPED,
        EVENT_SANDBOX_FAILED,
        EVENT_SANDBOX_ADOPTED,
        EVENT_VM_STARTED,
        EVENT_GUEST_PANIC,
        EVENT_AGENT_LOST,
        EVENT_CONTAINER_STARTED,
        EVENT_CONTAINER_EXITED,
        EVENT_CONTAINER_OOM,
        EVENT_MESSAGES_DROPPED,
        EVENT_DEBUG_MODE,
        EVENT_DEBUG_SESSION_BEGAN,
        EVENT_DEBUG_SESSION_ENDED,
        _EVENT_MAX,
} SandboxEvent;

/* 32 hexadecimal digits. */
const char *event_message_id(SandboxEvent event);

/*
 * container: the container it is about, or NULL. fields: names and values in turn up to a NULL name, or
 * NULL; NULL values are left out. The text becomes MESSAGE.
 */
void sandbox_event(Relay *relay, SandboxEvent event, const char *container, const char *const *fields,
                   const char *format, ...) _printf_(5, 6);
