/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container as the agent protocol sees it: the engine's Container (container.h) with its stdio, its
 * storages and the requests that wait for it.
 *
 *      CLAIMING → MOUNTING → ENGINE → LIVE → REMOVING → RELEASING → (gone)
 *          +---------+----------+--(failure: everything is undone)--+
 *
 * CLAIMING waits for the stdio streams that the request names, MOUNTING for its storages, ENGINE for
 * on_created. LIVE covers created, running and stopped. Each step is driven by the loop.
 */

#include "agent/container.h"
#include "agent/guest-resources.h"
#include "agent/sandbox.h"
#include "agent/server.h"
#include "agent/stdio-stream.h"
#include "agent/termination-log.h"

typedef struct GuestContainer GuestContainer;

/* Answers the request in any case, now or later. */
void guest_container_create(Sandbox *sandbox, Request *request, const Grpc__CreateContainerRequest *input);
void guest_container_start(GuestContainer *gc, Request *request);
/* Long poll: any number of waiters. */
void guest_container_wait(GuestContainer *gc, Request *request);
/* request may be NULL. timeout in seconds, 0 for none. */
void guest_container_remove(GuestContainer *gc, Request *request, uint32_t timeout);

const char *guest_container_id(const GuestContainer *gc);
GuestContainer *guest_container_next(const GuestContainer *gc);
/* NULL while it is not yet made or being removed. */
Container *guest_container_engine(const GuestContainer *gc);
/* The same, its cgroup. */
GuestResources *guest_container_resources(const GuestContainer *gc);
bool guest_container_exited(const GuestContainer *gc, int *ret_status);

/* NULL if the container has no such stream. */
StdioOut *guest_container_stdout(const GuestContainer *gc);
StdioOut *guest_container_stderr(const GuestContainer *gc);
StdioIn *guest_container_stdin(const GuestContainer *gc);

/* Where it leaves its last words; path is NULL if it names no place. */
const TerminationLog *guest_container_termination_log(const GuestContainer *gc);

/* For the end of the sandbox object itself. */
GuestContainer *guest_container_free(GuestContainer *gc);
