/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A volume for processes of one group, as Kubernetes has it (fsGroup of a pod's securityContext): every
 * file and directory of the volume gets the group, the group may read and write it, and what is made later gets the
 * group as well (set-group-ID on directories). Files are the tenant's, perhaps from earlier: everything is done on
 * descriptors, symlinks are left alone, and so is what is mounted below. Blocks: for workers.
 */

#include <sys/types.h>

#include "basic/parse.h"

typedef struct FsGroup {
        gid_t gid;
        bool on_mismatch;       /* nothing is done if the root of the volume is as it should be */
} FsGroup;

/*
 * fd: the volume's root, an O_PATH descriptor. end: of CLOCK_MONOTONIC, after which it gives up with -ETIMEDOUT. -ELOOP
 * for more than FS_GROUP_DEPTH_MAX levels. What was changed stays changed.
 */
int fs_group_apply(int fd, const FsGroup *group, usec_t end);

/* The older form, of one directory: the group, and set-group-ID. */
int fs_group_set_directory(int fd, gid_t gid);
