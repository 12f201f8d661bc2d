/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The asynchronous operations of this layer for those who have no event loop, like command line tools: a connection
 * to the system bus and a loop for one operation, and its answer is waited for.
 */

#include "runtime/unit/bus.h"

typedef struct UnitWait UnitWait;

/* Begins the operation; its callback, which comes from the loop only, calls unit_wait_done(). */
typedef int (*UnitWaitBegin)(UnitBus *bus, UnitWait *wait, void *data, char **reterr_message);

/* What begin says, or what unit_wait_done() is told. cleanup frees what begin made, while the bus is there. */
int unit_wait_run(UnitWaitBegin begin, void (*cleanup)(void *data), void *data, char **reterr_message);
/* error: 0 or a negative errno; message may be NULL, and is copied. */
void unit_wait_done(UnitWait *wait, int error, const char *message);
