/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes, part 1: start. See scope.h. The peer is PID 1; the processes are our own children. */

#include <fcntl.h>

#include "runtime/unit/scope-internal.h"

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/unit/bus-error-map.h"

static int scope_start_send(ScopeOp *op, char **reterr_message);

int scope_op_new(UnitBus *bus, const char *name, void *userdata, ScopeOp **ret, char **reterr_message)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;

        if (!unit_name_is_valid(name, ".scope"))
                return error_setf(reterr_message, -EINVAL, "Not a valid name of a scope: '%s'",
                                  strempty(name));

        op = new0(ScopeOp, 1);
        if (!op)
                return -ENOMEM;

        op->bus = unit_bus_ref(bus);
        op->userdata = userdata;
        op->name = strdup(name);
        if (!op->name)
                return -ENOMEM;

        *ret = TAKE_PTR(op);
        return 0;
}

ScopeOp *scope_op_free(ScopeOp *op)
{
        if (!op)
                return NULL;

        unit_job_free(op->job);
        sd_bus_slot_unref(op->slot);
        unit_props_done(&op->props);
        scope_limits_done(&op->before);
        free(op->pids);
        free(op->info.active_state);
        free(op->info.control_group);
        free(op->info.pids);
        free(op->name);
        unit_bus_unref(op->bus);
        free(op);
        return NULL;
}

void scope_op_finish(ScopeOp *op, int error, const char *message)
{
        if (op->finished)
                return;
        op->finished = true;

        message = error < 0 ? error_text(message, error) : NULL;
        if (op->adopt_done)
                op->adopt_done(op, error, message, error < 0 ? NULL : &op->info, op->userdata);
        else if (op->limits_done)
                op->limits_done(op, error, message, error < 0 ? NULL : &op->before, op->userdata);
        else
                op->done(op, error, message, op->userdata);
}

void scope_op_finish_bus_error(ScopeOp *op, const sd_bus_error *error, const char *what)
{
        _cleanup_free_ char *prefix = NULL, *message = NULL;
        int r;

        if (asprintf(&prefix, "%s: %s", op->name, what) < 0)
                prefix = NULL;
        r = bus_error_set(&message, error, prefix ? prefix : what);
        scope_op_finish(op, r, message);
}

int scope_op_get(ScopeOp *op,
                const char *interface,
                const char *property,
                sd_bus_message_handler_t handler,
                char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = unit_bus_new_get(op->bus, op->name, interface, property, &m, reterr_message);
        if (r < 0)
                return r;

        op->slot = sd_bus_slot_unref(op->slot);
        return unit_bus_send(op->bus, m, handler, op, &op->slot);
}

void scope_op_call_and_forget(ScopeOp *op, const char *member)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = unit_bus_new_call(op->bus, member, &m, NULL);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", op->name);
        if (r >= 0)
                r = unit_bus_send(op->bus, m, NULL, NULL, NULL);
        if (r < 0)
                log_debug_errno(r, "%s of %s could not be sent, ignoring", member, op->name);
}

/* Is one of the components of the process's cgroup path the scope? 0 yes, -ESTALE no, -ESRCH gone. */
static int scope_check_process(ScopeOp *op, pid_t pid, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *wanted = NULL;
        char *line, *save = NULL;
        int r;

        if (asprintf(&path, "%s/%d/cgroup", unit_bus_proc_root(op->bus), (int) pid) < 0 ||
            asprintf(&wanted, "/%s/", op->name) < 0)
                return -ENOMEM;

        r = read_file_at(AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_setf(reterr_message, r == -ENOENT ? -ESRCH : r,
                                  "%s: process %d is gone", op->name, (int) pid);

        /* The unified hierarchy, or systemd's own on hosts that mount version 1. */
        for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *cgroup = startswith(line, "0::"), *at;

                if (!cgroup) {
                        at = strstr(line, ":name=systemd:");
                        cgroup = at ? at + strlen(":name=systemd:") : NULL;
                }
                if (!cgroup)
                        continue;

                /* "/kata.slice/NAME" or, with a sub-cgroup, "/kata.slice/NAME/x". */
                at = strstr(cgroup, wanted);
                if (at)
                        return 0;
                wanted[strlen(wanted) - 1] = '\0';
                at = endswith(cgroup, wanted);
                wanted[strlen(wanted)] = '/';
                if (at)
                        return 0;
        }

        return error_setf(reterr_message, -ESTALE,
                          "%s: process %d is not in the scope's cgroup after the start job", op->name,
                          (int) pid);
}

static int on_active_state(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        const char *state;
        int r;

        if (error) {
                scope_op_finish_bus_error(op, error, "state after the start job can not be read");
                return 0;
        }

        r = sd_bus_message_read(m, "v", "s", &state);
        if (r < 0) {
                scope_op_finish(op, r, "ActiveState of the scope can not be read");
                return 0;
        }

        /* systemd 254 was seen to take the cgroup for empty right after it moved the processes. */
        if (!streq(state, "active")) {
                r = error_setf(&message, -ESTALE, "%s is '%.32s' right after its start", op->name, state);
                scope_op_finish(op, r, message);
                return 0;
        }

        r = 0;
        for (size_t i = 0; i < op->n_pids && r >= 0; i++)
                r = scope_check_process(op, op->pids[i], &message);
        scope_op_finish(op, r, message);
        return 0;
}

static void on_start_job(UnitJob *job, const UnitJobOutcome *outcome, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        ScopeOp *op = userdata;
        unsigned refused;
        int r;

        /* The outcome's texts live in the caller's frame, not in the job. */
        if (outcome->bus_error && bus_error_is_property_refused(outcome->bus_error)) {
                refused = unit_props_refused_feature(&op->props, unit_bus_features(op->bus),
                                                     outcome->bus_error->message);
                if (refused != 0) {
                        log_debug("Service manager refuses a property of %s, trying without: %s",
                                  op->name, outcome->message);
                        unit_bus_drop_features(op->bus, refused);
                        r = scope_start_send(op, &message);
                        if (r < 0)
                                scope_op_finish(op, r, message);
                        return;
                }
        }

        if (outcome->error < 0) {
                r = outcome->error;
                if (r == -EEXIST)
                        (void) error_setf(&message, r,
                                          "%s exists already: somebody else's, or left over; "
                                          "see systemctl status", op->name);
                else
                        (void) error_setf(&message, r, "Scope could not be started: %s",
                                          outcome->message);
                scope_op_finish(op, r, message);
                return;
        }

        r = scope_op_get(op, UNIT_INTERFACE, "ActiveState", on_active_state, &message);
        if (r < 0)
                scope_op_finish(op, r, message);
}

static int scope_start_send(ScopeOp *op, char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        usec_t now = now_usec();
        int r;

        r = unit_bus_new_call(op->bus, "StartTransientUnit", &m, reterr_message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", op->name, "fail");
        if (r < 0)
                return r;
        r = unit_props_append(&op->props, m, unit_bus_features(op->bus));
        if (r < 0)
                return r;
        /* No auxiliary units. */
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                return r;

        op->job = unit_job_free(op->job);
        return unit_job_begin(op->bus, op->name, m, op->deadline > now ? op->deadline - now : 0,
                              on_start_job, op, &op->job, reterr_message);
}

/* DeviceAllow= before DevicePolicy=, or the unit asks for a daemon-reload (seen by runc). */
static int scope_fill_props(UnitBus *bus, const ScopeParams *p, UnitProps *props)
{
        int r;

        r = unit_props_add_string(props, UNIT_PROP_DESCRIPTION, p->description ? p->description : p->name);
        if (r >= 0)
                r = unit_props_add_string(props, UNIT_PROP_SLICE, p->slice ? p->slice : "kata.slice");
        if (r >= 0 && p->service)
                r = unit_props_add_strings(props, UNIT_PROP_PART_OF, &p->service, 1);
        if (r >= 0 && p->service)
                r = unit_props_add_strings(props, UNIT_PROP_BEFORE, &p->service, 1);
        /* No failed scopes pile up; the supervisor has the VMM's exit status itself. */
        if (r >= 0)
                r = unit_props_add_string(props, UNIT_PROP_COLLECT_MODE, "inactive-or-failed");
        /* The reference keeps the unit loaded until we have seen its end. Needs a unique name. */
        if (r >= 0 && unit_bus_is_message_bus(bus))
                r = unit_props_add_bool(props, UNIT_PROP_ADD_REF, true);
        /* AttachProcessesToUnit, for the processes that stand for containers, wants it. Nobody makes cgroups below. */
        if (r >= 0)
                r = unit_props_add_bool(props, UNIT_PROP_DELEGATE, true);
        if (r >= 0)
                r = unit_props_add_bool(props, UNIT_PROP_SEND_SIGHUP, false);
        if (r >= 0 && p->oom_policy)
                r = unit_props_add_string(props, UNIT_PROP_OOM_POLICY, p->oom_policy);
        if (r >= 0 && p->limits)
                r = scope_limits_add(p->limits, props);
        if (r >= 0 && p->timeout_stop > 0)
                r = unit_props_add_u64(props, UNIT_PROP_TIMEOUT_STOP, p->timeout_stop);
        if (r >= 0 && p->n_devices > 0)
                r = unit_props_add_devices(props, UNIT_PROP_DEVICE_ALLOW, p->devices, p->n_devices);
        if (r >= 0)
                r = unit_props_add_string(props, UNIT_PROP_DEVICE_POLICY, "closed");
        if (r >= 0)
                r = unit_props_add_processes(props, p->pids, p->n_pids);
        return r;
}

int scope_start(UnitBus *bus,
                const ScopeParams *params,
                scope_done_t done,
                void *userdata,
                ScopeOp **ret,
                char **reterr_message)
{
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        int r;

        if (params->slice && !unit_name_is_valid(params->slice, ".slice"))
                return error_setf(reterr_message, -EINVAL, "Not a valid name of a slice: '%s'",
                                  params->slice);

        r = scope_op_new(bus, params->name, userdata, &op, reterr_message);
        if (r < 0)
                return r;
        op->done = done;
        op->deadline = now_usec() + (params->timeout > 0 ? params->timeout : SCOPE_TIMEOUT_USEC);

        r = scope_fill_props(bus, params, &op->props);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: properties can not be built: %s",
                                  params->name, strerror(-r));

        op->pids = new(pid_t, params->n_pids);
        if (!op->pids)
                return -ENOMEM;
        for (size_t i = 0; i < params->n_pids; i++)
                op->pids[op->n_pids++] = params->pids[i].pid;

        r = scope_start_send(op, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(op);
        return 0;
}
