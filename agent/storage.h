/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Storages of the agent protocol: what is mounted below /run/kata-containers/ for the sandbox or for one
 * container. Planned and checked here, mounted in a worker (worker.h), because virtio-fs answers when its
 * daemon does. The request comes from the host; directories below a shared tree may be the tenant's, so
 * no symlink is followed on the way to a mount point.
 */

#include "agent/loop.h"
#include "proto/agent.pb-c.h"

typedef struct StorageTable StorageTable;

typedef struct StoragePlan {
        char *target;           /* normal form, below STORAGE_ROOT */
        char *source, *fstype;  /* fstype NULL: a directory, nothing is mounted */
        unsigned long flags;
        char *data;
        uint32_t mode;          /* of a directory */
        bool wait_for_source;   /* a device node that may come late */
        bool shared;            /* stays until the sandbox ends */
} StoragePlan;

#define STORAGE_ROOT "/run/kata-containers"

/* -EOPNOTSUPP names what is asked for and not built; -EINVAL what makes no sense. */
int storage_plan(const Grpc__Storage *storage, StoragePlan *ret, char **reterr_message);
void storage_plan_done(StoragePlan *plan);

/* Names of the drivers, NULL at the end: for GetGuestDetails. */
const char *const *storage_drivers(void);

int storage_table_new(StorageTable **ret, Loop *loop);
StorageTable *storage_table_free(StorageTable *table);
DEFINE_CLEANUP_FUNC(StorageTable *, storage_table_free)

typedef void (*StorageDone)(int error, const char *message, void *userdata);

/*
 * Mounts all of them for holder ("" is the sandbox), or none. What is there already gets one more holder.
 * done is called from the loop if this returned 0; -EBUSY while another request mounts the same place.
 */
int storage_table_mount(StorageTable *table, Grpc__Storage *const *storages, size_t n, const char *holder,
                        StorageDone done, void *userdata, char **reterr_message);

/* Unmounts what nobody else holds; holder NULL: everything. done as above, errors are for the log. */
int storage_table_release(StorageTable *table, const char *holder, StorageDone done, void *userdata);

/* What is mounted at a target in normal form: -ENOENT, -EBUSY while a request is at it. */
int storage_table_lookup(const StorageTable *table, const char *target, const StoragePlan **ret);

/* Anything to release for this holder. */
bool storage_table_holds(const StorageTable *table, const char *holder);
