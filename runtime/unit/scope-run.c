/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking operations on scopes: see scope-run.h. The peer is the service manager. */

#include "runtime/unit/scope-run.h"

#include <unistd.h>

#include "basic/error.h"
#include "runtime/unit/service-control.h"

#define STEP_USEC 10000U

typedef struct Wait {
        sd_event *event;
        int error;
        char *message;
} Wait;

static void on_started(ScopeOp *op, int error, const char *message, void *userdata)
{
        Wait *w = userdata;

        w->error = error;
        if (error < 0 && message)
                w->message = strdup(message);
        (void) sd_event_exit(w->event, 0);
}

int scope_run_start(const ScopeParams *params, char **reterr_message)
{
        _cleanup_(unit_bus_unrefp) UnitBus *bus = NULL;
        Wait w = { .error = -EIO };
        ScopeOp *op = NULL;
        int r;

        r = sd_event_new(&w.event);
        if (r >= 0)
                r = unit_bus_open_system(w.event, &bus, reterr_message);
        if (r >= 0)
                r = scope_start(bus, params, on_started, &w, &op, reterr_message);
        if (r >= 0)
                r = sd_event_loop(w.event);
        if (r >= 0) {
                r = w.error;
                if (r < 0)
                        (void) error_setf(reterr_message, r, "%s", error_text(w.message, r));
        }
        scope_op_free(op);
        bus = unit_bus_unref(bus);
        sd_event_unref(w.event);
        free(w.message);
        return r;
}

int scope_run_await_end(const char *name, usec_t timeout)
{
        usec_t end = now_usec() + timeout;

        for (;;) {
                _cleanup_free_ char *state = NULL;
                int r = service_active_state(name, &state);

                if (r < 0 || streq(state, "inactive") || streq(state, "failed"))
                        return r;
                if (now_usec() >= end)
                        return -ETIMEDOUT;
                (void) usleep(STEP_USEC);
        }
}
