/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The transient scope of one microVM: put paused processes into it, find it again after a restart, change
 * its limits, stop it, signal it. All asynchronous; each operation is a ScopeOp that ends with one call of its done
 * function from the event loop. The op belongs to the caller, who frees it (in the done function, too);
 * freeing it earlier forgets the operation.
 *
 * Dependencies of the scope: PartOf= the service (a crash of the supervisor leaves the VM running, an
 * explicit stop or restart takes it down) and Before= it (at stop the service goes first). Never After=:
 * the scope's start job would wait for the service that waits for the scope.
 *
 * The order that keeps every byte of the VM in its scope: fork the child paused, scope_start(), release
 * the child in the done function.
 */

#include "runtime/unit/job.h"
#include "runtime/unit/scope-limits.h"

typedef struct ScopeParams {
        const char *name;               /* "kata-vm-ID.scope" */
        const char *description;
        const char *slice;              /* NULL: kata.slice */
        const char *service;            /* PartOf=, Before=; NULL: none */
        const PidRef *pids;             /* at least one; duplicated */
        size_t n_pids;
        const UnitDevice *devices;      /* what DevicePolicy=closed does not allow by itself */
        size_t n_devices;
        const char *oom_policy;         /* "continue", "stop", "kill"; NULL: the manager's default */
        const ScopeLimits *limits;      /* NULL: none */
        usec_t timeout_stop;            /* SIGTERM to SIGKILL; 0: the manager's default */
        usec_t timeout;                 /* for the operation; 0: SCOPE_TIMEOUT_USEC */
} ScopeParams;

/* runc, too, fails after 30 s; a warning and going on races with the manager. */
#define SCOPE_TIMEOUT_USEC (30 * USEC_PER_SEC)

typedef struct ScopeOp ScopeOp;

/* error: 0 or negative errno, then message is one line. */
typedef void (*scope_done_t)(ScopeOp *op, int error, const char *message, void *userdata);

/*
 * -EEXIST: a unit of that name is loaded. -ESTALE: the job ended well but the scope is not active, or a
 * process is not in its cgroup (the processes died, or a race in the manager); nothing is left then but
 * the processes, which are the caller's.
 */
int scope_start(UnitBus *bus,
                const ScopeParams *params,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message);

typedef struct ScopeInfo {
        bool exists;                    /* the unit is loaded */
        bool active;                    /* ActiveState=active */
        char *active_state;             /* "active", "deactivating", "failed" ...; NULL if !exists */
        char *control_group;            /* "" while it has none */
        pid_t *pids;                    /* of all processes below the cgroup */
        size_t n_pids;
} ScopeInfo;

typedef void (*scope_adopt_done_t)(ScopeOp *op,
                int error,
                const char *message,
                const ScopeInfo *info,
                void *userdata);

/*
 * Looks at the scope; one that does not exist is no error (info->exists is false). An active scope is
 * referenced on the bus again, as scope_start() does. info is valid in the done function only.
 */
int scope_adopt(UnitBus *bus,
                const char *name,
                scope_adopt_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message);

/* Stops it (SIGTERM, SIGKILL after TimeoutStopSec=) and drops our reference. A missing scope is success. */
int scope_stop(UnitBus *bus,
                const char *name,
                usec_t timeout,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message);

/* Sends sig to all processes of the scope; -ESRCH when there is none. */
int scope_kill(UnitBus *bus,
                const char *name,
                int sig,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message);

typedef void (*scope_limits_done_t)(ScopeOp *op, int error, const char *message, const ScopeLimits *before,
                                    void *userdata);

/*
 * Sets the limits of a scope that runs, until it ends: all of them or none. before is what they were, for putting them
 * back with another such call, and valid in the done function only; NULL on failure. -ESRCH: the scope is gone.
 * limits has at least one in set; none is SCOPE_MEMORY_OF_MACHINE.
 */
int scope_change_limits(UnitBus *bus, const char *name, const ScopeLimits *limits, scope_limits_done_t done,
                        void *userdata, ScopeOp **ret, char **reterr_message);

ScopeOp *scope_op_free(ScopeOp *op);
DEFINE_CLEANUP_FUNC(ScopeOp *, scope_op_free)
