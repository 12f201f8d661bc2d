/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the journal, with the limits of the node configuration. */

#include "basic/error.h"
#include "runtime/sandbox/sandbox-internal.h"

int sandbox_log_init(Sandbox *s, char **reterr_message)
{
        const RelayParams params = {
                .sandbox_id = s->id,
                .rate_interval = s->node->rate_limit_interval,
                .rate_burst = s->node->rate_limit_burst,
        };
        int r = relay_new(&s->relay, s->event, &params);

        if (r < 0)
                return error_setf(reterr_message, r, "no way to the journal: %s", strerror(-r));
        return 0;
}
