/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The child that becomes a container's init process, and what it tells the agent. It is a copy of
 * the agent with the agent's memory; it touches nothing of it but the plan and the descriptors
 * given here, closes all others first, and never returns.
 *
 * Messages go through a SOCK_SEQPACKET pair that is closed by exec: READY (all is set up; the agent
 * answers with one byte to go on), EXEC (the next thing is execve), then end of file. ERROR at any
 * point, followed by exit.
 */

#include "agent/container-plan.h"
#include "agent/container.h"
#include "basic/limits.h"

typedef enum ChildMessageKind {
        CHILD_READY = 1,
        CHILD_EXEC,
        CHILD_ERROR,
} ChildMessageKind;

typedef struct ChildMessage {
        uint32_t kind;
        int32_t error;                          /* CHILD_ERROR: negative errno */
        char text[CONTAINER_MESSAGE_MAX];       /* CHILD_ERROR: NUL-terminated */
} ChildMessage;

typedef struct ChildContext {
        const ContainerPlan *plan;
        const char *cgroup_path;
        ContainerIo io;
        int sync_fd;
} ChildContext;

_noreturn_ void container_child_run(const ChildContext *context);
