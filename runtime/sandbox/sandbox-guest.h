/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest of a sandbox for those who have containers made in it (SandboxHandlers.on_guest), from on_guest to
 * on_guest_gone. What is returned belongs to the sandbox.
 */

#include "runtime/agent-client/agent.h"
#include "runtime/agent-client/transport.h"
#include "runtime/log/relay.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/unit/scope-limits.h"

TtrpcClient *sandbox_agent(const Sandbox *s);
Transport *sandbox_transport(const Sandbox *s);
Relay *sandbox_relay(const Sandbox *s);
const char *sandbox_run_dir(const Sandbox *s);
/* The VMM. */
pid_t sandbox_vm_pid(const Sandbox *s);
usec_t sandbox_request_timeout(const Sandbox *s);

/* As share_add_live() and share_remove(), in the directory of this sandbox. */
int sandbox_share_add(Sandbox *s, const char *name, const char *source, bool read_only, bool recursive,
                      int namespace_fd, char **reterr_message);
void sandbox_share_remove(Sandbox *s, const char *name);

/* message: one line if error < 0. before: what they were, if not; valid in the function only. */
typedef void (*SandboxLimitsDone)(int error, const char *message, const ScopeLimits *before, void *userdata);
/*
 * Limits of the machine's scope: all or none, from the loop. A memory limit may be SCOPE_MEMORY_OF_MACHINE. One change
 * at a time, else -EBUSY. on_guest_gone forgets it.
 */
int sandbox_set_limits(Sandbox *s, const ScopeLimits *limits, SandboxLimitsDone done, void *userdata,
                       char **reterr_message);

/*
 * Before the program of a container starts: what has come into the network namespace since the machine was made becomes
 * the guest's. 0: there is nothing to wait for. 1: done gets an error and a text, or 0, when the guest has it; if it is
 * gone before, done is not called. Else a negative errno with a text, and nothing has changed.
 */
int sandbox_prepare_start(Sandbox *s, TtrpcReplyHandler done, void *userdata, char **reterr_message);

/* SandboxHandlers.containers_are_down may have another answer. */
void sandbox_containers_changed(Sandbox *s);
