/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Paths on file systems whose directories may be a tenant's: walked one component at a time without ever
 * following a symlink, so that what a tenant puts on the way ends the walk (-ELOOP, -ENOTDIR) and leads
 * nowhere. For paths inside a container's root, where symlinks are followed, see root-path.h.
 */

#include <sys/types.h>

#include "basic/fd.h"

/*
 * Copy of an absolute path without slashes at its end. -EINVAL for anything that is not below the
 * directory below (NULL: anywhere), and for empty, "." and ".." components.
 */
int confined_normalize(const char *path, const char *below, char **ret);

/* Opens a path that confined_normalize() has made; flags of open(2). */
int confined_open(const char *path, int flags);

/*
 * O_PATH descriptor of the directory path, relative to dir_fd (or absolute); "" is dir_fd itself. What is
 * missing is made: parents with 0755, the last component with mode. ret_made (may be NULL): whether it was.
 */
int confined_make_dirs(int dir_fd, const char *path, mode_t mode, bool *ret_made);

/* chmod() of what an O_PATH descriptor stands for; needs /proc. */
int confined_chmod(int fd, mode_t mode);
