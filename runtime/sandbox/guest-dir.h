/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest directory of a sandbox: kernel, image and what describes them, as one pair. kata-image(1)
 * installs a new pair beside the old ones and points GUESTDIR/current at it at any time, also while a
 * sandbox is on its way up. So the directory is resolved once, and all files come from there:
 *
 *      supervisor                      kata-image gc
 *      resolve, open, lock shared      open, lock exclusively, or leave it alone
 *      still of that name? else again  a reference in RUN_DIR? then leave it alone
 *      RUN_DIR/guest → directory       rename it away, unlock, delete
 *      open the files, unlock
 *
 * The reference goes away with RUN_DIR, that is with the machine. Host side; the directory belongs to root.
 */

#include "runtime/conf/node-conf.h"

#define GUEST_REFERENCE "guest"

typedef struct GuestDir {
        int fd;                 /* holds the lock; -EBADF once the files are open */
        char *path;             /* without symlinks; NULL: no file is taken from a directory */
        char *kernel_release;   /* as vmlinux.info says; NULL if it does not */
} GuestDir;

#define GUEST_DIR_NULL ((GuestDir) { .fd = -EBADF })

typedef struct GuestDirPlaces {
        const char *updated;    /* symlink that may be missing; NULL: GUESTDIR/current */
        const char *shipped;    /* NULL: DATADIR */
} GuestDirPlaces;

/*
 * Resolves the directory (own: that of the sandbox, or NULL), locks it, leaves the reference in run_dir and
 * completes kernel, image and image_parameters of node. The directory of a sandbox overrides the node's
 * files; files that the node names override its directory. places may be NULL. run_dir NULL: no reference, for
 * those who only look while they hold the lock.
 */
int guest_dir_open(const GuestDirPlaces *places, NodeConf *node, const char *own, const char *run_dir,
                   GuestDir *ret, char **reterr_message);

/* After an adoption: the directory that the earlier supervisor noted. Nothing there is no error. */
int guest_dir_recall(const char *run_dir, GuestDir *ret);

/* The files are open: the lock is given back, the reference stays. */
void guest_dir_unlock(GuestDir *dir);
void guest_dir_done(GuestDir *dir);
