/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One planned storage → directories and a mount, and away again. Blocks: for workers. end: of CLOCK_MONOTONIC, for
 * what can give up by itself.
 */

#include "agent/storage.h"

/* All of it or nothing. */
int storage_mount(const StoragePlan *plan, usec_t end, char **reterr_message);
/* STORAGE_WATCH, while it is mounted: what has changed at its source. */
int storage_follow(const StoragePlan *plan, char **reterr_message);
/* -ENOENT, -EINVAL: it was not there. */
int storage_unmount(const StoragePlan *plan);
