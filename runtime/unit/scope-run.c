/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking operations on scopes: see scope-run.h. The peer is the service manager. */

#include "runtime/unit/scope-run.h"

#include "runtime/unit/service-control.h"
#include "runtime/unit/unit-wait.h"

typedef struct Start {
        const ScopeParams *params;
        ScopeOp *op;
} Start;

static void on_started(ScopeOp *op, int error, const char *message, void *userdata)
{
        unit_wait_done(userdata, error, message);
}

static int begin(UnitBus *bus, UnitWait *wait, void *data, char **reterr_message)
{
        Start *s = data;

        return scope_start(bus, s->params, on_started, wait, &s->op, reterr_message);
}

static void clean_up(void *data)
{
        Start *s = data;

        scope_op_free(s->op);
}

int scope_run_start(const ScopeParams *params, char **reterr_message)
{
        return unit_wait_run(begin, clean_up, &(Start) { .params = params }, reterr_message);
}

static bool has_ended(const char *state)
{
        return streq(state, "inactive") || streq(state, "failed");
}

int scope_run_await_end(const char *name, usec_t timeout)
{
        return service_await(name, has_ended, timeout);
}
