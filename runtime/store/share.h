/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The directory of a sandbox that virtiofsd exports as "kataShared". Root file systems and bind mounts of
 * the containers are mounted below it, in the supervisor's own mount namespace: nothing of it is visible
 * on the host, and all of it disappears with the last process of the sandbox.
 *
 * Trust: once the guest runs it may write in every entry that is not read-only. Therefore all entries are
 * made before that, the directory itself becomes read-only (share_seal), and nothing is mounted,
 * unmounted or created below it afterwards.
 */

#include "basic/cleanup.h"

/*
 * Detaches the calling process from the host's mount namespace; later host mounts still arrive here, none
 * goes back. Needs CAP_SYS_ADMIN. Call once, before any other function.
 */
int share_enter_namespace(void);

/* Makes dir (0700) and a mount of its own; a left-over of an earlier run is removed first. */
int share_open(const char *dir, char **reterr_message);

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
