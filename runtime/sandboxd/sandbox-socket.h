/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The service of a sandbox for root (runtime/task/sandbox-service.h) on RUN_DIR/sandbox.sock, while the sandbox runs:
 * joins it with runtime/sandbox.
 */

#include "runtime/sandbox/sandbox.h"

typedef struct SandboxSocket SandboxSocket;

/* From SandboxHandlers.on_running. Clients can connect when it returns. */
int sandbox_socket_new(SandboxSocket **ret, sd_event *event, Sandbox *sandbox);
/* From SandboxHandlers.on_agent_gone. */
void sandbox_socket_guest_gone(SandboxSocket *socket);
/* Accepts NULL, returns NULL. */
SandboxSocket *sandbox_socket_free(SandboxSocket *socket);
