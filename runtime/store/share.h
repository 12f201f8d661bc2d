/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The directory of a sandbox that virtiofsd exports as "kataShared". Root file systems and bind mounts of
 * the containers are mounted below it, in the supervisor's own mount namespace: nothing of it is visible
 * on the host, and all of it disappears with the last process of the sandbox.
 *
 * Trust: once the guest runs it may write in every entry that is not read-only. Therefore the directory itself
 * becomes read-only before that (share_seal), and nothing is mounted, unmounted or created inside of an entry
 * afterwards. Where all containers are known beforehand, no entry comes or goes either.
 *
 * A live directory is one that gets more entries while the guest runs. Its mount is shared with virtiofsd's
 * namespace (a slave of this one), so that they arrive there. New names are made through a second, writable mount
 * of the directory that nobody else sees; the guest can not make or rename any, so what is mounted over is ours.
 * The namespace has to be kept (share_keep_namespace) for a supervisor that goes on with it after a crash.
 */

#include "basic/cleanup.h"

/*
 * Detaches the calling process from the host's mount namespace; later host mounts still arrive here, none
 * goes back. Needs CAP_SYS_ADMIN. Call once, before any other function.
 */
int share_enter_namespace(void);

/* The namespace this process is in, and back into one; the descriptor stays the caller's. */
int share_keep_namespace(int *ret_fd);
int share_return_to_namespace(int fd);

/*
 * Makes dir (0711: every user of the guest may pass) and a mount of its own; a left-over of an earlier run is removed
 * first.
 */
int share_open(const char *dir, bool live, char **reterr_message);

typedef enum ShareFlags {
        SHARE_READ_ONLY = 1 << 0,
        SHARE_RECURSIVE = 1 << 1,       /* with what is mounted below source */
} ShareFlags;

/*
 * Mounts source (directory or file) at dir/name; name is relative, without "..", missing directories are
 * made. The mount is nosuid, nodev, noexec on the host: the guest has its own flags, the host opens no
 * device and runs no program through it.
 */
int share_add(const char *dir, const char *name, const char *source, ShareFlags flags,
              char **reterr_message);

/* The directory itself becomes read-only; the entries keep their flags. */
int share_seal(const char *dir, char **reterr_message);

/*
 * The same as share_add() for a live directory that is sealed; source is looked up in the mount namespace of
 * namespace_fd, or in this one (-EBADF). -EEXIST for a name that is there; -ENOTCONN in a
 * namespace that does not have the directory of this sandbox.
 */
int share_add_live(const char *dir, const char *name, const char *source, ShareFlags flags, int namespace_fd,
                   char **reterr_message);

/* Undoes share_add_live(); what is in use stays for who uses it. A name that is not there is fine. */
int share_remove(const char *dir, const char *name);
