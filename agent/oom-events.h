/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers in which the kernel has killed for want of memory, until the host has asked (GetOOMEvent): one
 * answer each, in order, to whoever has waited longest. A container that waits in the queue already is
 * not entered again: the message has room for its name only, so a second one says nothing new. What nobody
 * fetches is bounded by OOM_EVENTS_MAX; then the oldest goes, with a line in the log.
 */

#include "agent/server.h"

typedef struct OomEvents OomEvents;

int oom_events_new(OomEvents **ret);
/* Requests that still wait are not answered; their server is gone or going. */
OomEvents *oom_events_free(OomEvents *events);
DEFINE_CLEANUP_FUNC(OomEvents *, oom_events_free)

void oom_events_add(OomEvents *events, const char *container_id);
/* Answers now or later. */
void oom_events_wait(OomEvents *events, Request *request);
