/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Storages of the agent protocol: what is mounted below /run/kata-containers/ for the sandbox or for one
 * container. Planned and checked here, mounted in a worker (worker.h), because virtio-fs answers when its
 * daemon does. The request comes from the host; directories below a shared tree may be the tenant's, so
 * no symlink is followed on the way to a mount point, nor to what is mounted there (sources of bind mounts, layers).
 */

#include "agent/fs-group.h"
#include "agent/guest-devices.h"
#include "agent/loop.h"
#include "basic/strv.h"
#include "proto/agent.pb-c.h"

typedef struct StorageTable StorageTable;

typedef enum StorageKind {
        STORAGE_MOUNT,          /* a new file system */
        STORAGE_DIRECTORY,      /* nothing is mounted */
        STORAGE_BIND,           /* what is at source, once more */
        STORAGE_OVERLAY,
        STORAGE_WATCH,          /* a copy of source that follows it, see mirror.h; or STORAGE_BIND where it can not */
} StorageKind;

/* All paths are in normal form; those that are made or written are below STORAGE_ROOT. */
typedef struct StoragePlan {
        StorageKind kind;
        char *target;
        char *source, *fstype;  /* source NULL: it is device */
        GuestDevice device;     /* may come late */
        unsigned long flags;
        char *data;
        uint32_t mode;          /* of a directory */
        Strv lower;             /* of an overlay, the topmost first */
        char *upper, *work;     /* both or none */
        bool wants_scratch;     /* upper and work are the agent's to make: */
        char *scratch;          /* in here, and they go with it */
        Strv directories;       /* made before */
        bool has_fsgid;         /* an option: the group of the target alone */
        bool has_group;         /* fs_group: of all that is in it */
        gid_t fsgid;
        FsGroup group;
        uint64_t page_size, n_pages;    /* of hugetlbfs */
        bool shared;            /* stays until the sandbox ends */
} StoragePlan;

#define STORAGE_ROOT "/run/kata-containers"

/* -EOPNOTSUPP names what is asked for and not built; -EINVAL what makes no sense. scratch is left to the table. */
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
