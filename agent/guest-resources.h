/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host may ask of the cgroup of one container that is there: other limits, a pause, numbers; and
 * what it is told of it: memory events. One object for each live container, from the moment the engine has
 * made it until its removal begins; what is pending then fails with ECANCELED.
 *
 *      running --pause--> freezing --(cgroup.events: frozen 1)--> paused --resume--> thawing --> running
 *
 * Freezing waits for every process to stop, at most FREEZE_USEC; processes that are stuck in the kernel
 * do not, then all of it is undone. A paused container can be killed and removed: signals that kill
 * reach frozen processes, others wait until it is resumed (cgroup v2).
 */

#include "agent/cgroup-events.h"
#include "agent/container.h"
#include "agent/oom-events.h"
#include "agent/server.h"
#include "proto/agent.pb-c.h"

typedef struct GuestResources GuestResources;

#define FREEZE_USEC (10 * USEC_PER_SEC)
#define UPDATE_USEC (20 * USEC_PER_SEC)

/* oom NULL: memory events of this container are not told. id must outlive the object. */
int guest_resources_new(GuestResources **ret, Loop *loop, CgroupEvents *events, OomEvents *oom,
                        const char *id, Container *engine);
GuestResources *guest_resources_free(GuestResources *resources);
DEFINE_CLEANUP_FUNC(GuestResources *, guest_resources_free)

/* Answer the request in any case, now or later. */
void guest_resources_update(GuestResources *resources, Request *request, const Grpc__LinuxResources *input,
                            const Kata__Systemd__V1__SpecExtension *extension);
void guest_resources_pause(GuestResources *resources, Request *request, bool pause);
void guest_resources_stats(GuestResources *resources, Request *request);

/* Paused, or on the way there or back. */
bool guest_resources_paused(const GuestResources *resources);

/* The init process has exited: memory events that led to it are told before the exit is. */
void guest_resources_exited(GuestResources *resources);
