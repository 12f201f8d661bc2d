/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * New options for memory file systems that are mounted already (UpdateEphemeralMounts: a volume in memory
 * gets another size). Options that are not named stay, and so do nosuid, nodev and the like.
 */

#include "agent/storage.h"

typedef struct RemountPlan {
        StoragePlan *plans;
        size_t n;
} RemountPlan;

/* -ENOENT names what is not mounted, -EOPNOTSUPP a driver other than ephemeral. */
int remount_plan(const StorageTable *table, Grpc__Storage *const *storages, size_t n, RemountPlan *ret,
                 char **reterr_message);
void remount_plan_done(RemountPlan *plan);

/* One after the other, up to the first that fails. Blocks: for workers. */
int remount_apply(const RemountPlan *plan, char **reterr_message);
