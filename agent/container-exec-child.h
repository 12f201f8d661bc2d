/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two children of container-exec.h. Copies of the agent, which they leave by exec or exit only. */

#include "agent/container-child.h"

typedef struct ExecChildContext {
        const ContainerJoin *join;
        const ProcessPlan *plan;
        const ContainerExtras *extras;
        ContainerIo io;
        int sync_fd;
} ExecChildContext;

_noreturn_ void container_exec_child_run(const ExecChildContext *context);
