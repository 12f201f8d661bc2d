/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small directory once more, for programs that wait with inotify for changes of it: a shared file system has none to
 * tell, so the agent copies what has changed into a tmpfs (driver watchable-bind).
 *
 * New files and directories come first, then symlinks, each in one step (rename), and what has gone goes last: that is
 * the order in which kubelet exchanges the content of a volume, and nobody sees a half of it. A copy of the
 * present file is known by owner, mode, size and time.
 *
 * The source is the host's; the copy may be written by tenants. Neither side's symlinks are followed. Blocks: for
 * workers.
 */

#include "basic/cleanup.h"

/* Files and their bytes are Kata's limits; a volume of kubelet has a symlink for each file besides. */
#define MIRROR_FILES_MAX 16U
#define MIRROR_BYTES_MAX (1024U * 1024U)
#define MIRROR_ENTRIES_MAX 64U
#define MIRROR_DEPTH_MAX 4U

/*
 * Makes to, a directory, equal to from; both are descriptors of directories, O_PATH will do. -E2BIG: more than the
 * limits, and nothing was done.
 */
int mirror_directory(int from, int to);
