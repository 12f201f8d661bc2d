/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the journal, with the limits of the node configuration. */

#include "basic/error.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "runtime/unit/unit-name.h"

int sandbox_log_init(Sandbox *s, char **reterr_message)
{
        _cleanup_free_ char *unit = NULL;
        RelayParams params = {
                .sandbox_id = s->id,
                .rate_interval = s->node->rate_limit_interval,
                .rate_burst = s->node->rate_limit_burst,
        };
        int r = unit_name_service(s->id, &unit);

        params.unit = unit;
        if (r >= 0)
                r = relay_new(&s->relay, s->event, &params);
        if (r < 0)
                return error_setf(reterr_message, r, "no way to the journal: %s", strerror(-r));
        return 0;
}
