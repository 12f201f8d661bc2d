/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A virtual machine monitor and the machine in it, from fork to exit. Host side, root; the VMM
 * itself is another user's process and counts as taken over by its guest.
 *
 *      new → spawned → launched → running → exited
 *              │          │         │
 *              +----------+---------+--→ exited        on_exit comes exactly once after spawn
 *
 * spawned      forked and paused, so that it can be put into its scope
 * launched     released: the program starts, builds the machine and stops before its first
 *              instruction (on_ready when that point is reached)
 * running      the guest runs
 * exited       reaped, or seen to be gone if it was not our child
 *
 * The owner drives: vmm_new, vmm_spawn, [scope], vmm_launch, on_ready, vmm_start, …, vmm_stop,
 * on_exit, vmm_free. A restarted supervisor: vmm_adopt, on_ready or on_running, ….
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "basic/parse.h"
#include "basic/pidref.h"
#include "runtime/vmm/vm-config.h"
#include "runtime/vmm/vmm-state.h"

typedef struct Vmm Vmm;

typedef enum VmmPhase {
        VMM_NEW,
        VMM_SPAWNED,
        VMM_LAUNCHED,
        VMM_RUNNING,
        VMM_EXITED,
        _VMM_PHASE_MAX,
} VmmPhase;

typedef struct VmmExit {
        int code, status;               /* waitid(2); code 0: not our child, not known */
        /* asked for with vmm_stop(), or the guest shut down or reset itself */
        bool orderly;
        bool guest_panic;               /* the console names a kernel panic or the agent's end */
        /* of the VMM ("guest-reset", "host-qmp-quit" …), NULL if it said none */
        const char *shutdown_reason;
        /* one line for people, never NULL; may hold escaped guest text */
        const char *reason;
} VmmExit;

/* Every handler but on_exit is optional. Only on_exit may free the Vmm. */
typedef struct VmmHandlers {
        /* The machine is built and waits for vmm_start(). */
        void (*on_ready)(Vmm *vmm, void *userdata);
        /* The guest runs: after vmm_start(), or found so by vmm_adopt(). */
        void (*on_running)(Vmm *vmm, void *userdata);
        /* The VMM announces its end, or the guest's. on_exit follows. */
        void (*on_shutdown)(Vmm *vmm, bool by_guest, const char *reason, void *userdata);
        /* Raw bytes; written by the guest. n < CONSOLE_LINE_MAX. */
        void (*on_console_line)(Vmm *vmm, const char *line, size_t n, void *userdata);
        /* source: "qemu". */
        void (*on_stderr_line)(
                        Vmm *vmm, const char *source, const char *line, size_t n, void *userdata);
        void (*on_exit)(Vmm *vmm, const VmmExit *end, void *userdata);
} VmmHandlers;

typedef struct VmmCommand VmmCommand;

/* A back end; one file each. All act on a Vmm in the phase the caller has checked. */
typedef struct VmmOps {
        const char *name;
        /* beyond vm_config_validate() */
        int (*check)(const VmConfig *config, char **reterr_message);
        /* Command line and descriptors; makes the control sockets. */
        int (*prepare)(Vmm *vmm, const VmConfig *config, VmmCommand *command,
                        char **reterr_message);
        /* control socket; at launch and at adoption */
        int (*connect)(Vmm *vmm, char **reterr_message);
        int (*start)(Vmm *vmm);
        /* ask for the end; a deadline follows */
        int (*quit)(Vmm *vmm);
        /* after the exit: last words on the control socket */
        void (*drain)(Vmm *vmm);
        void (*free)(Vmm *vmm);
} VmmOps;

extern const VmmOps vmm_ops_qemu;

/* "qemu", or NULL. */
const VmmOps *vmm_ops_by_name(const char *name);

/* handlers is copied. */
int vmm_new(sd_event *event, const VmmOps *ops, const VmmHandlers *handlers, void *userdata,
                Vmm **ret);

/*
 * Lets go of everything. A child that was not launched dies; a machine that runs goes on (that is
 * what a supervisor that is replaced wants): stop it before to end it.
 */
Vmm *vmm_free(Vmm *vmm);
DEFINE_CLEANUP_FUNC(Vmm *, vmm_free)

/*
 * Checks the description, makes the control sockets in its run_dir and forks. Closes config's
 * descriptors on success.
 */
int vmm_spawn(Vmm *vmm, VmConfig *config, char **reterr_message);

/* Releases the child; wait for on_ready. */
int vmm_launch(Vmm *vmm, char **reterr_message);

/* First instruction of the guest; wait for on_running. */
int vmm_start(Vmm *vmm);

/*
 * Asks the VMM to end, kills it at the deadline. Fine in every phase, may be called again (shorter
 * deadlines win).
 */
int vmm_stop(Vmm *vmm, usec_t deadline);

/* At once, without asking. -ESRCH if there is no process. */
int vmm_kill(Vmm *vmm);

/* What vmm_adopt() needs; *ret is done by the caller with vmm_state_done(). From VMM_SPAWNED on. */
int vmm_get_state(const Vmm *vmm, VmmState *ret);

/*
 * Takes over a VMM that another process started: the pid must still have the start time of the
 * state. stderr_fd: read end of its standard error if it was kept (fd store of the service), else
 * -EBADF; taken on success. -ESRCH: it is gone.
 */
int vmm_adopt(sd_event *event, const VmmState *state, int stderr_fd, const VmmHandlers *handlers,
              void *userdata, Vmm **ret, char **reterr_message);

VmmPhase vmm_phase(const Vmm *vmm);
const char *vmm_phase_to_string(VmmPhase phase);
const char *vmm_backend_name(const Vmm *vmm);
const PidRef *vmm_pid(const Vmm *vmm);

/*
 * To be kept in the fd store, so that nothing the VMM says is lost over a restart; -EBADF if there
 * is none.
 */
int vmm_stderr_fd(const Vmm *vmm);

/* Name of the agent's socket in run_dir (serial transport): connect with unix_connect_at(). */
#define VMM_AGENT_SOCKET "agent.sock"

/*
 * The last CONSOLE_TAIL_LINES lines of the console, escaped, one string with '\n' between them; ""
 * if it said nothing. For error texts.
 */
char *vmm_console_tail(const Vmm *vmm);

/* Why the guest ended itself, as its console has shown it, escaped; NULL if it did not. */
const char *vmm_last_words(const Vmm *vmm);

/* The VMM has announced its end or closed its control socket, or is being killed: on_exit follows. */
bool vmm_is_ending(const Vmm *vmm);
