/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by scope.c (start), scope-control.c (adopt, stop, kill) and scope-change.c (limits). */

#include "runtime/unit/scope.h"

#define SCOPE_INTERFACE "org.freedesktop.systemd1.Scope"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

struct ScopeOp {
        UnitBus *bus;
        char *name;
        bool finished;
        UnitJob *job;
        sd_bus_slot *slot;
        scope_done_t done;
        scope_adopt_done_t adopt_done;
        scope_limits_done_t limits_done;
        void *userdata;

        /* start, limits */
        UnitProps props;
        ScopeLimits before;
        unsigned changed;               /* of ScopeLimit */
        pid_t *pids;
        size_t n_pids;
        usec_t deadline;                /* CLOCK_MONOTONIC */

        /* adopt */
        ScopeInfo info;

        /* stop */
        unsigned n_unrefs;
};

/* Checks the name; on success the op holds the bus. */
int scope_op_new(UnitBus *bus, const char *name, void *userdata, ScopeOp **ret, char **reterr_message);

/* The op may be gone when these return. */
void scope_op_finish(ScopeOp *op, int error, const char *message);
void scope_op_finish_bus_error(ScopeOp *op, const sd_bus_error *error, const char *what);

/* Asks for a property of the scope, NULL for all of the interface; the slot replaces the op's. */
int scope_op_get(ScopeOp *op,
                const char *interface,
                const char *property,
                sd_bus_message_handler_t handler,
                char **reterr_message);

/* Calls a manager method whose answer does not matter. */
void scope_op_call_and_forget(ScopeOp *op, const char *member);
