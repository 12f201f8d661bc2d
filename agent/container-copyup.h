/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Fills a new tmpfs with what the image has in the directory it is about to cover ("tmpcopyup").
 * Directories, regular files and symlinks with owner and mode; other file types are left out. Reads
 * the tenant's files in the set-up child; size is bounded by the tmpfs, depth by COPY_UP_DEPTH_MAX.
 */

#include "basic/cleanup.h"

/* Both descriptors may be O_PATH. */
int copy_up(int source_dir_fd, int target_dir_fd);
