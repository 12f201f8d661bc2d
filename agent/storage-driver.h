/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What distinguishes one driver of storages from another: between storage-plan.c, which has what all have in common,
 * and storage-drivers.c. Pure.
 */

#include "agent/storage.h"

typedef struct StorageDriver {
        const char *name;
        /* Kind and source. */
        int (*plan)(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message);
        /* An option that is not one of the file system's: 1 if it is this driver's. NULL: none is. */
        int (*option)(StoragePlan *plan, const char *option, char **reterr_message);
        /* The same of driver_options. */
        int (*driver_option)(StoragePlan *plan, const char *option, char **reterr_message);
        /* When all options are known. */
        int (*finish)(StoragePlan *plan, char **reterr_message);
} StorageDriver;

/* NULL: there is none of that name. */
const StorageDriver *storage_driver_find(const char *name);

/* -EINVAL with the option. */
int storage_invalid_option(const StoragePlan *plan, const char *option, char **reterr_message);
