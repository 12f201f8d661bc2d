/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* At most burst messages in an interval; the rest is counted. Interval or burst 0: no limit. */

#include "basic/parse.h"

typedef struct RateLimit {
        usec_t interval, begin;
        uint64_t burst, used;
        uint64_t dropped;       /* since ratelimit_take_dropped() */
} RateLimit;

/* May one more pass? Counts it in any case. */
bool ratelimit_pass(RateLimit *limit, usec_t now);

static inline uint64_t ratelimit_take_dropped(RateLimit *limit)
{
        uint64_t n = limit->dropped;

        limit->dropped = 0;
        return n;
}
