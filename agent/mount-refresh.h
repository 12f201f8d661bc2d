/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host has written between the creation of a container and its start to files that are bound into it, like the
 * /etc/hosts of an engine: virtio-fs lets the guest believe in an old size and old content for a while (in an emulated
 * guest for ever). So the attributes are asked for anew before the program runs; the kernel drops what it has of a
 * file that has changed (statx(2), AT_STATX_FORCE_SYNC; fs/fuse/inode.c, fuse_change_attributes()). In a worker: a
 * file system may hang.
 */

#include "agent/worker.h"
#include "basic/strv.h"

typedef struct MountRefresh MountRefresh;

struct MountRefresh {
        Strv paths;             /* sources of bind mounts, as the agent sees them */
        Worker *worker;         /* NULL: nothing runs */
        void (*done)(MountRefresh *refresh);
};

/* Cancels what runs: done is not called. */
void mount_refresh_free(MountRefresh *refresh);
/* 1: done() is called from the loop, soon or after two seconds; 0: there is nothing to do. */
int mount_refresh_start(MountRefresh *refresh, Loop *loop, void (*done)(MountRefresh *refresh));
