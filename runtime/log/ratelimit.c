/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limit: see ratelimit.h. */

#include "runtime/log/ratelimit.h"

bool ratelimit_pass(RateLimit *limit, usec_t now)
{
        if (limit->interval == 0 || limit->burst == 0)
                return true;

        if (limit->begin == 0 || now - limit->begin >= limit->interval) {
                limit->begin = now;
                limit->used = 0;
        }
        if (limit->used < limit->burst) {
                limit->used++;
                return true;
        }

        limit->dropped++;
        return false;
}
