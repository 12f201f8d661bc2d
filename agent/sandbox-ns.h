/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Namespaces that the containers of a sandbox share: ipc and uts as descriptors, and on request a pid
 * namespace. That one needs a process for as long as it shall exist: a child of the agent, process 1 in there,
 * which does nothing but reap what loses its parent. There is no pause container.
 */

#include "agent/loop.h"

typedef struct SandboxNs {
        int ipc_fd, uts_fd;     /* -EBADF: none */
        int pid_fd;
        PidRef holder;
        LoopSource *source;
} SandboxNs;

#define SANDBOX_NS_NULL ((SandboxNs) { .ipc_fd = -EBADF, .uts_fd = -EBADF, .pid_fd = -EBADF, .holder = PIDREF_NULL })

/* hostname: of the uts namespace, NULL for the agent's. Needs CAP_SYS_ADMIN. */
int sandbox_ns_make(SandboxNs *ret, Loop *loop, const char *hostname, bool with_pid, char **reterr_message);

/* Ends the holder, and with it all processes in its namespace. */
void sandbox_ns_done(SandboxNs *ns);
