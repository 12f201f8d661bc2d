/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * CopyFile: one piece of a file, a directory or a symlink that a host without a shared file system sends.
 * A file grows under a temporary name beside its place and gets that place when it has its full size.
 *
 * The directories may be shared with a container already, so none of them is trusted (confined-path.h);
 * whoever can write to one can of course change what is copied there.
 */

#include "proto/agent.pb-c.h"

#define COPY_ROOT "/run/kata-containers/shared/containers"

typedef struct CopyPlan {
        char *parent;           /* below the root, "" for the root itself */
        char *name;
        char *temporary;        /* beside it */
        uint32_t type;          /* S_IFREG, S_IFDIR, S_IFLNK */
        uint32_t mode, parent_mode;
        uint32_t uid, gid;      /* UINT32_MAX: as they are */
        uint64_t offset, size;  /* of this piece, of the whole file */
        const void *data;       /* the message's; of a symlink its target */
        size_t n;
} CopyPlan;

/* root as in COPY_ROOT. -EINVAL, -EOPNOTSUPP with a text that names the path. */
int copy_plan(const Grpc__CopyFileRequest *input, const char *root, CopyPlan *ret, char **reterr_message);
void copy_plan_done(CopyPlan *plan);

/*
 * Does it; root is made if it is missing. -EINVAL for a piece that leaves a hole: pieces come in order,
 * the one at 0 begins anew.
 */
int copy_apply(const CopyPlan *plan, const char *root, char **reterr_message);
