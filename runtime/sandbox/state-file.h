/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a restarted supervisor has to know of a sandbox besides its machine (vmm-state.h): RUN_DIR/sandbox.state,
 * key=value lines, written whole. The state of the units is the truth, this file is a help to find it.
 */

#include <sys/types.h>

#include "basic/parse.h"
#include "runtime/net/spare.h"

#define SANDBOX_STATE_VERSION 1U
#define SANDBOX_STATE_FILE "sandbox.state"
#define MACHINE_STATE_FILE "vmm.state"
/* Of the layer above: tasks of callers, and where they are asked for. */
#define TASK_STATE_FILE "task.state"
#define TASK_SOCKET_NAME "task.sock"
/* The same, of requests about the guest as a whole. */
#define SANDBOX_SOCKET_NAME "sandbox.sock"

typedef struct ContainerStateEntry {
        char *name;
        int stop_signal;
        bool exited;
        int status;             /* if exited */
} ContainerStateEntry;

typedef struct SandboxState {
        bool running;           /* all containers had been started */
        bool tasks;             /* its containers are those of a caller: TASK_STATE_FILE */
        bool debug;             /* the guest was booted with Debug=yes */
        usec_t stop_timeout;
        uint64_t memory_max;    /* bytes that guest and VMM may need; 0: not known */
        char *scope;            /* of the machine; NULL: unit_name_scope() */
        char *kernel_release;   /* of the guest; NULL: not known */
        bool has_spare;         /* a network interface of the guest that nothing has been attached to yet */
        NetSpare spare;
        char *network;          /* with has_spare: path of the network namespace; NULL: it has none */
        pid_t virtiofsd_pid;    /* 0: none */
        uint64_t virtiofsd_start_time;
        ContainerStateEntry *containers;
        size_t n_containers;
} SandboxState;

void sandbox_state_done(SandboxState *state);
int sandbox_state_add_container(SandboxState *state, const char *name, int stop_signal, bool exited,
                                int status);

int sandbox_state_save(const SandboxState *state, const char *path);
/*
 * The name of a sandbox's scope: what its state says, else unit_name_scope(id), which it has before there is a state.
 * New string; -EINVAL for an id that is none. A state that can not be read counts as none.
 */
int sandbox_state_find_scope(const char *run_dir, const char *id, char **ret);
/* -ENOENT: there is none; -EINVAL, -EOPNOTSUPP (newer version): with a text. */
int sandbox_state_load(SandboxState *ret, const char *path, char **reterr_message);
