/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Points in time as people write them: "10min" and "10min ago" (before now), "@1700000000", "now", "today",
 * "yesterday", "2026-01-31", "2026-01-31 08:15[:30]" and "08:15[:30]" in local time.
 */

#include "basic/parse.h"

/* now and the result: microseconds since 1970. -EINVAL. */
int time_parse(const char *text, usec_t now, usec_t *ret);
