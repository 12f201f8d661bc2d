/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reaps what PID 1 inherits: processes whose parent died. Children that somebody watches through the loop
 * (loop_add_child) are left alone, their exit status belongs to the watcher.
 *
 * SIGCHLD is caught by a handler that writes to an eventfd, not blocked for a signalfd: a mask would be
 * inherited by everything the agent starts, a handler ends with exec.
 */

#include "agent/loop.h"

typedef struct Reaper Reaper;

/* One per process. */
int reaper_new(Reaper **ret, Loop *loop);
Reaper *reaper_free(Reaper *reaper);
DEFINE_CLEANUP_FUNC(Reaper *, reaper_free)
