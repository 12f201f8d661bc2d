/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes, part 3: limits of one that runs. See scope.h. The peer is PID 1. */

#include "runtime/unit/scope-internal.h"

#include "basic/error.h"
#include "runtime/unit/bus-error-map.h"

static int on_set(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        ScopeOp *op = userdata;

        if (error && bus_error_is_no_such_unit(error))
                scope_op_finish(op, -ESRCH, "The scope is gone");
        else if (error)
                scope_op_finish_bus_error(op, error, "limits can not be set");
        else
                scope_op_finish(op, 0, NULL);
        return 0;
}

/* All properties or none: the manager checks every one before it sets the first. */
static int send_properties(ScopeOp *op)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = unit_bus_new_call(op->bus, "SetUnitProperties", &m, NULL);
        if (r >= 0)
                r = sd_bus_message_append(m, "sb", op->name, true);
        if (r >= 0)
                r = unit_props_append(&op->props, m, unit_bus_features(op->bus));
        if (r < 0)
                return r;

        op->slot = sd_bus_slot_unref(op->slot);
        return unit_bus_send(op->bus, m, on_set, op, &op->slot);
}

static int on_before(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        ScopeOp *op = userdata;
        int r;

        if (error) {
                scope_op_finish_bus_error(op, error, "limits can not be read");
                return 0;
        }

        r = scope_limits_read(m, &op->before);
        if (r < 0) {
                scope_op_finish(op, r, "limits of the scope can not be read");
                return 0;
        }
        op->before.set &= op->changed;
        r = send_properties(op);
        if (r < 0)
                scope_op_finish(op, r, "limits of the scope can not be sent");
        return 0;
}

int scope_change_limits(UnitBus *bus, const char *name, const ScopeLimits *limits, scope_limits_done_t done,
                        void *userdata, ScopeOp **ret, char **reterr_message)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        int r;

        if (limits->set == 0)
                return error_setf(reterr_message, -EINVAL, "%s: no limits", name);
        r = scope_op_new(bus, name, userdata, &op, reterr_message);
        if (r < 0)
                return r;
        op->limits_done = done;
        op->changed = limits->set;
        r = scope_limits_add(limits, &op->props);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: properties can not be built: %s", name, strerror(-r));

        r = scope_op_get(op, SCOPE_INTERFACE, NULL, on_before, reterr_message);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: call can not be sent: %s", name, strerror(-r));

        *ret = TAKE_PTR(op);
        return 0;
}
