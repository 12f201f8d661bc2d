/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes, part 2: adopt, stop, kill. See scope.h. The peer is PID 1. */

#include "runtime/unit/scope-internal.h"

#include <signal.h>

#include "basic/error.h"
#include "runtime/unit/bus-error-map.h"

/*
 * Adopting: GetUnitProcesses (also says whether the unit is loaded) → ActiveState → ControlGroup.
 */

static int on_adopt_control_group(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        ScopeOp *op = userdata;
        const char *path;
        int r;

        if (error) {
                scope_op_finish_bus_error(op, error, "cgroup can not be read");
                return 0;
        }

        r = sd_bus_message_read(m, "v", "s", &path);
        if (r >= 0) {
                op->info.control_group = strdup(path);
                if (!op->info.control_group)
                        r = -ENOMEM;
        }

        if (r >= 0 && op->info.active && unit_bus_is_message_bus(op->bus))
                scope_op_call_and_forget(op, "RefUnit");

        scope_op_finish(op, r < 0 ? r : 0, NULL);
        return 0;
}

static int on_adopt_active_state(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        const char *state;
        int r;

        if (error) {
                scope_op_finish_bus_error(op, error, "state can not be read");
                return 0;
        }

        r = sd_bus_message_read(m, "v", "s", &state);
        if (r >= 0) {
                op->info.active = streq(state, "active");
                op->info.active_state = strdup(state);
                r = op->info.active_state ? scope_op_get(op, SCOPE_INTERFACE, "ControlGroup",
                                                         on_adopt_control_group, &message)
                                          : -ENOMEM;
        }
        if (r < 0)
                scope_op_finish(op, r, message);
        return 0;
}

static int read_processes(sd_bus_message *m, ScopeInfo *info)
{
        const char *cgroup, *command;
        uint32_t pid;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sus)");
        if (r < 0)
                return r;

        while ((r = sd_bus_message_read(m, "(sus)", &cgroup, &pid, &command)) > 0) {
                pid_t *v;

                if (info->n_pids >= UNIT_PROCESSES_MAX)
                        return -E2BIG;
                if (pid == 0 || pid > INT32_MAX)
                        return -EBADMSG;

                v = reallocarray(info->pids, info->n_pids + 1, sizeof(*v));
                if (!v)
                        return -ENOMEM;
                info->pids = v;
                info->pids[info->n_pids++] = (pid_t) pid;
        }

        return r;
}

static int on_adopt_processes(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        int r;

        if (error) {
                if (bus_error_is_no_such_unit(error))
                        scope_op_finish(op, 0, NULL);
                else
                        scope_op_finish_bus_error(op, error, "processes can not be listed");
                return 0;
        }

        op->info.exists = true;
        r = read_processes(m, &op->info);
        if (r >= 0)
                r = scope_op_get(op, UNIT_INTERFACE, "ActiveState", on_adopt_active_state, &message);
        if (r < 0)
                scope_op_finish(op, r, message);
        return 0;
}

int scope_adopt(UnitBus *bus,
                const char *name,
                scope_adopt_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        int r;

        r = scope_op_new(bus, name, userdata, &op, reterr_message);
        if (r < 0)
                return r;
        op->adopt_done = done;

        r = unit_bus_new_call(bus, "GetUnitProcesses", &m, reterr_message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = unit_bus_send(bus, m, on_adopt_processes, op, &op->slot);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: call can not be sent: %s", name, strerror(-r));

        *ret = TAKE_PTR(op);
        return 0;
}

/*
 * Stopping. A job that was lost while the bus was away is followed by a look at the state.
 */

static int scope_unref(ScopeOp *op);

static int on_unref(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        ScopeOp *op = userdata;

        /* Counted: one of the start, one of each adoption. Refused once we have none, or the unit is gone. */
        if (sd_bus_message_get_error(m) || ++op->n_unrefs >= UNIT_REFS_MAX || scope_unref(op) < 0)
                scope_op_finish(op, 0, NULL);
        return 0;
}

static int scope_unref(ScopeOp *op)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = unit_bus_new_call(op->bus, "UnrefUnit", &m, NULL);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", op->name);
        if (r < 0)
                return r;

        op->slot = sd_bus_slot_unref(op->slot);
        return unit_bus_send(op->bus, m, on_unref, op, &op->slot);
}

/*
 * A stopped scope stays loaded, and its name taken, for as long as somebody refers to it. So the
 * operation ends when the manager has confirmed that we do not.
 */
static void scope_stop_finish(ScopeOp *op)
{
        if (!unit_bus_is_message_bus(op->bus) || scope_unref(op) < 0)
                scope_op_finish(op, 0, NULL);
}

static int on_stop_active_state(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        const char *state;
        int r;

        if (error) {
                if (bus_error_is_no_such_unit(error))
                        scope_stop_finish(op);
                else
                        scope_op_finish_bus_error(op, error, "state can not be read");
                return 0;
        }

        r = sd_bus_message_read(m, "v", "s", &state);
        if (r >= 0 && (streq(state, "inactive") || streq(state, "failed"))) {
                scope_stop_finish(op);
                return 0;
        }

        if (r >= 0)
                r = error_setf(&message, -EBUSY, "%s is still '%.32s' after its stop job", op->name, state);
        scope_op_finish(op, r, message);
        return 0;
}

static void on_stop_job(UnitJob *job, const UnitJobOutcome *outcome, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        int r;

        if (outcome->bus_error && bus_error_is_no_such_unit(outcome->bus_error)) {
                scope_op_finish(op, 0, NULL);
                return;
        }

        if (outcome->error < 0) {
                (void) error_setf(&message, outcome->error, "Scope could not be stopped: %s",
                                  outcome->message);
                scope_op_finish(op, outcome->error, message);
                return;
        }

        if (outcome->result != UNIT_JOB_LOST) {
                scope_stop_finish(op);
                return;
        }

        r = scope_op_get(op, UNIT_INTERFACE, "ActiveState", on_stop_active_state, &message);
        if (r < 0)
                scope_op_finish(op, r, message);
}

int scope_stop(UnitBus *bus,
                const char *name,
                usec_t timeout,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        int r;

        r = scope_op_new(bus, name, userdata, &op, reterr_message);
        if (r < 0)
                return r;
        op->done = done;

        r = unit_job_begin_verb(bus, "StopUnit", name, timeout > 0 ? timeout : SCOPE_TIMEOUT_USEC,
                                on_stop_job, op, &op->job, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(op);
        return 0;
}

static int on_kill(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        ScopeOp *op = userdata;

        if (error && bus_error_is_no_such_unit(error))
                scope_op_finish(op, -ESRCH, "The scope is gone");
        else if (error)
                scope_op_finish_bus_error(op, error, "signal can not be sent");
        else
                scope_op_finish(op, 0, NULL);
        return 0;
}

int scope_kill(UnitBus *bus,
                const char *name,
                int sig,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        int r;

        if (sig <= 0 || sig >= NSIG)
                return error_setf(reterr_message, -EINVAL, "Not a signal: %d", sig);

        r = scope_op_new(bus, name, userdata, &op, reterr_message);
        if (r < 0)
                return r;
        op->done = done;

        r = unit_bus_new_call(bus, "KillUnit", &m, reterr_message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssi", name, "all", (int32_t) sig);
        if (r >= 0)
                r = unit_bus_send(bus, m, on_kill, op, &op->slot);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: call can not be sent: %s", name, strerror(-r));

        *ret = TAKE_PTR(op);
        return 0;
}
