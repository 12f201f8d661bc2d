/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container as the agent protocol sees it: the engine's Container (container.h) with its processes
 * (guest-process.h, guest-exec.h), its storages and the requests that wait for it.
 *
 *      CLAIMING → DEVICES → MOUNTING → ENGINE → SHARING → LIVE → REMOVING → RELEASING → (gone)
 *          +---------+----------+---------+--(failure: everything is undone)--+
 *
 * CLAIMING waits for the stdio streams that the request names, MOUNTING for its storages, ENGINE for
 * on_created, SHARING for mounts of other containers (shared-mounts.h). LIVE covers created, running and
 * stopped. Each step is driven by the loop.
 */

#include "agent/container.h"
#include "agent/guest-process.h"
#include "agent/guest-resources.h"
#include "agent/sandbox.h"
#include "agent/server.h"
#include "agent/termination-log.h"

typedef struct GuestContainer GuestContainer;
struct GuestExec;

/* Answers the request in any case, now or later. extension: part of the request's input, or NULL. */
void guest_container_create(Sandbox *sandbox, Request *request, const Grpc__CreateContainerRequest *input,
                            const Kata__Systemd__V1__SpecExtension *extension);
void guest_container_start(GuestContainer *gc, Request *request);
/* request may be NULL. timeout in seconds, 0 for none. */
void guest_container_remove(GuestContainer *gc, Request *request, uint32_t timeout);

const char *guest_container_id(const GuestContainer *gc);
GuestContainer *guest_container_next(const GuestContainer *gc);
/* NULL while it is not yet made or being removed. */
Container *guest_container_engine(const GuestContainer *gc);
/* The same, its cgroup. */
GuestResources *guest_container_resources(const GuestContainer *gc);
/* Its init process. */
GuestProcess *guest_container_process(const GuestContainer *gc);
Sandbox *guest_container_sandbox(const GuestContainer *gc);

/* For guest-exec.c: its list. */
struct GuestExec **guest_container_execs(const GuestContainer *gc);

/* Where it leaves its last words; path is NULL if it names no place. */
const TerminationLog *guest_container_termination_log(const GuestContainer *gc);

/* For the end of the sandbox object itself. */
GuestContainer *guest_container_free(GuestContainer *gc);
