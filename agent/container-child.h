/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The child that becomes a container's init process, and what it tells the agent. It is a copy of
 * the agent with the agent's memory; it touches nothing of it but the plan and the descriptors
 * given here, closes all others first, and never returns.
 *
 * Messages go through a SOCK_SEQPACKET pair that is closed by exec: PREPARED where hooks of the agent
 * have to run before the root is changed (it answers with one byte), ROOT, TERMINAL if the process has one
 * (with the master's descriptor), READY (all is set up; the agent answers with one byte to go on),
 * EXEC (the next thing is execve), then end of file. ERROR at any point, followed by exit. A process
 * that joins a container (container-exec.h) is announced by JOINED instead of READY.
 */

#include "agent/container-hooks.h"
#include "agent/container-plan.h"
#include "agent/container.h"
#include "basic/limits.h"

typedef enum ChildMessageKind {
        CHILD_READY = 1,
        CHILD_EXEC,
        CHILD_ERROR,
        CHILD_TERMINAL,         /* comes with a descriptor: the master */
        CHILD_JOINED,           /* comes with a descriptor: the process */
        CHILD_PREPARED,         /* the agent's hooks, please */
        CHILD_ROOT,             /* comes with a descriptor: the root directory */
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
        int ipc_fd, uts_fd;     /* for plan->joined */
        int idmap_fd;           /* where id-mapped mounts come from; -EBADF: there are none */
        const HookSet *hooks;
} ChildContext;

_noreturn_ void container_child_run(const ChildContext *context);

/* Parts of it, for processes that join: each acts on the calling process. */

#define CHILD_SYNC_FD 3
/* Descriptors beside the standard streams and the socket pair. */
#define CHILD_EXTRA_FDS_MAX 4U

void child_reset_signals(void);

/*
 * Leaves 0..2, CHILD_SYNC_FD and behind it the extra ones open, in their order: of the agent's descriptors
 * none comes any further. Negative ones become /dev/null.
 */
int child_arrange_fds(const ContainerIo *io, int sync_fd, const int *extra, size_t n_extra);

/* Standard streams for a process without terminal: owned by its user, /dev/null the container's. */
int child_adopt_stdio(const ContainerIo *io, const ProcessPlan *process, char **reterr_message);

/* A terminal from the container's devpts, its master to the agent. console: with /dev/console. */
int child_set_up_terminal(const ProcessPlan *process, bool console, char **reterr_message);

/* passed_fd: -EBADF for none. */
int child_send(int fd, ChildMessageKind kind, int passed_fd);

/* Says why and exits. */
_noreturn_ void child_fail(int fd, int error, const char *text);

/* The byte that the agent answers with; does not return without. */
void child_wait_go(void);

_noreturn_ void child_execute(const ProcessPlan *process, const char *program, const Strv *env);
