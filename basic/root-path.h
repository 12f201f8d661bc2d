/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Paths inside a container's root file system. Everything below that root is the tenant's: names
 * may be symlinks to anywhere and may change between two calls. Each path is therefore resolved by
 * the kernel with the root as its "/" (openat2, RESOLVE_IN_ROOT), and what comes back is an O_PATH
 * descriptor on which all further work is done; a path is never used twice. Runs in the container's
 * set-up child.
 */

#include <sys/types.h>

#include "basic/fd.h"

/*
 * Lexical normal form of an absolute path: no empty, "." or ".." components, no slash at the end
 * except for "/". -EINVAL for a relative path, -ENAMETOOLONG from PATH_MAX on.
 */
int path_normalize(const char *path, char **ret);

/* True if path is prefix or lies below it; both normal. */
bool path_is_below(const char *path, const char *prefix);

/* Opens path as seen from root_fd. flags: of open(2), with O_CLOEXEC; resolve: more RESOLVE_*. */
int root_open(int root_fd, const char *path, int flags, uint64_t resolve);

/*
 * O_PATH descriptor of a directory, or of anything but a directory, which is created with its
 * parents where it is missing. A dangling symlink on the way creates what it points to, inside the
 * root.
 */
int root_make_dir(int root_fd, const char *path, mode_t mode);
int root_make_file(int root_fd, const char *path);
