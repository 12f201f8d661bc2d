/* SPDX-License-Identifier: Apache-2.0 */
/* Clearing up after a supervisor: see cleanup.h. Host side, root. */

#include "runtime/sandboxd/cleanup.h"

#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/net/undo.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/unit/scope.h"
#include "runtime/unit/service-control.h"
#include "runtime/unit/unit-name.h"

/* Results of the service that Restart=on-abnormal answers with a restart, see systemd.service(5). */
static bool restart_follows(void)
{
        static const char *const results[] = { "signal", "core-dump", "timeout", "watchdog" };
        const char *result = getenv("SERVICE_RESULT");

        for (size_t i = 0; result && i < ELEMENTSOF(results); i++)
                if (streq(result, results[i]))
                        return true;

        return false;
}

typedef struct Cleanup {
        sd_event *event;
        int error;
        char *message;
} Cleanup;

static void on_stopped(ScopeOp *op, int error, const char *message, void *userdata)
{
        Cleanup *c = userdata;

        c->error = error;
        if (error < 0)
                c->message = strdup(error_text(message, error));
        (void) sd_event_exit(c->event, 0);
}

/* The VMM is gone, and with it the other ends. What can not be undone is no reason to leave the rest. */
static void undo_network(const char *id)
{
        _cleanup_free_ char *file = net_undo_path(id), *message = NULL;
        int r = file ? net_undo(file, -EBADF, &message) : -ENOMEM;

        if (r < 0)
                log_warning("%s", error_text(message, r));
}

/* After a final failure the directory, and with it the state, is gone; the manager still knows. */
static int find_scope(const char *id, const char *run_dir, char **ret)
{
        _cleanup_free_ char *service = NULL;
        int r = unit_name_service(id, &service);

        if (r < 0)
                return r;
        return service_find_scope(service, ret) >= 0 ? 0 : sandbox_state_find_scope(run_dir, id, ret);
}

int sandbox_cleanup(const char *id)
{
        _cleanup_free_ char *scope = NULL, *run_dir = NULL, *message = NULL;
        _cleanup_(unit_bus_unrefp) UnitBus *bus = NULL;
        _cleanup_(scope_op_freep) ScopeOp *op = NULL;
        Cleanup c = {};
        int r;

        if (restart_follows())
                return 0;

        if (asprintf(&run_dir, "%s/%s", RUNDIR, id) < 0) {
                run_dir = NULL;
                r = -ENOMEM;
        } else
                r = find_scope(id, run_dir, &scope);
        if (r >= 0)
                r = sd_event_new(&c.event);
        if (r >= 0)
                r = unit_bus_open_system(c.event, &bus, &message);
        if (r >= 0)
                r = scope_stop(bus, scope, 0, on_stopped, &c, &op, &message);
        if (r >= 0)
                r = sd_event_loop(c.event);
        if (r >= 0)
                r = c.error;

        if (r < 0)
                log_error("Scope '%s' can not be stopped: %s", strempty(scope),
                          error_text(c.message ? c.message : message, r));
        else {
                undo_network(id);
                r = rm_rf(run_dir);
                /* A mount point in the mount namespace of the unit; the manager removes it afterwards. */
                if (r == -EBUSY)
                        r = 0;
                if (r < 0)
                        (void) log_error_errno(r, "'%s' can not be removed", run_dir);
        }

        op = scope_op_free(op);
        bus = unit_bus_unref(bus);
        sd_event_unref(c.event);
        free(c.message);
        return r < 0 ? EX_OSERR : 0;
}
