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

/* SandboxHandlers.containers_are_down may have another answer. */
void sandbox_containers_changed(Sandbox *s);
