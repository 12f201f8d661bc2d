/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one sandbox that this machine is: its identity, its containers and what they share. The host decides
 * when it begins (CreateSandbox) and ends (DestroySandbox, after which the machine goes).
 */

#include "agent/calls.h"
#include "agent/cgroup-events.h"
#include "agent/idle-memory.h"
#include "agent/online.h"
#include "agent/oom-events.h"
#include "agent/container.h"
#include "agent/server.h"
#include "agent/stdio-stream.h"
#include "agent/storage.h"
#include "agent/streams.h"
#include "basic/policy.h"
#include "proto/agent.pb-c.h"

typedef struct Sandbox Sandbox;
struct GuestContainer;

typedef enum SandboxState {
        SANDBOX_NONE,
        SANDBOX_CREATING,
        SANDBOX_READY,
        SANDBOX_DESTROYING,
} SandboxState;

/* Where the sandbox lives: in a machine of its own, or on the one of somebody else (host-mode.h). */
typedef struct SandboxPlace {
        const char *cgroup_root;        /* static, or outlives the sandbox */
        bool on_host;                   /* the machine is not the sandbox's to change, see host-guard.h */
        bool unprivileged;              /* there can be no containers; no namespaces of the agent's own */
} SandboxPlace;

/* destroyed: all containers and storages are gone, the answer was given; the machine may go. */
int sandbox_new(Sandbox **ret, Loop *loop, StreamTable *streams, void (*destroyed)(void *userdata),
                void *userdata);
Sandbox *sandbox_free(Sandbox *sandbox);
DEFINE_CLEANUP_FUNC(Sandbox *, sandbox_free)

/* A machine of its own unless this is called, before the first request. */
void sandbox_set_place(Sandbox *sandbox, const SandboxPlace *place);
const SandboxPlace *sandbox_place(const Sandbox *sandbox);

/*
 * For a new container; with_pid: in the pid namespace of the sandbox. -EINVAL if it was created without.
 * Valid until the sandbox goes.
 */
int sandbox_container_place(const Sandbox *sandbox, bool with_pid, ContainerPlace *ret, char **reterr_message);

/* Answer the request in any case; that of sandbox_destroy() may be NULL. */
void sandbox_create(Sandbox *sandbox, Request *request, const Grpc__CreateSandboxRequest *input);
void sandbox_destroy(Sandbox *sandbox, Request *request);

SandboxState sandbox_state(const Sandbox *sandbox);
Loop *sandbox_loop(const Sandbox *sandbox);
StreamTable *sandbox_streams(const Sandbox *sandbox);
StorageTable *sandbox_storages(const Sandbox *sandbox);
Calls *sandbox_calls(const Sandbox *sandbox);
IdleMemory *sandbox_idle_memory(const Sandbox *sandbox);

/* What the host has restricted itself to; NULL: nothing. */
const Policy *sandbox_policy(const Sandbox *sandbox);
/* Takes policy; the former one is gone. */
void sandbox_set_policy(Sandbox *sandbox, Policy *policy);

/* What service-resources.c needs. */
CgroupEvents *sandbox_cgroup_events(const Sandbox *sandbox);
OomEvents *sandbox_oom_events(const Sandbox *sandbox);
Online *sandbox_online(const Sandbox *sandbox);
/* Counts a call of GetMetrics; how many there were. */
uint64_t sandbox_count_scrape(Sandbox *sandbox);

/* "" before it is created. */
const char *sandbox_id(const Sandbox *sandbox);

/* Containers, in no order; NULL if there are none. */
struct GuestContainer *sandbox_containers(const Sandbox *sandbox);
size_t sandbox_n_containers(const Sandbox *sandbox);
struct GuestContainer *sandbox_find(const Sandbox *sandbox, const char *id);

/* For guest-container.c: its list. */
struct GuestContainer **sandbox_container_list(Sandbox *sandbox);
void sandbox_container_gone(Sandbox *sandbox);

/* Takes an output stream of a container that is gone, until its receiver has all of it (bounded). */
void sandbox_linger(Sandbox *sandbox, StdioOut *out);
bool sandbox_has_lingering(const Sandbox *sandbox);
