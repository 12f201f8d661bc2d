/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kata-image params: the parameters of a disk that another builder made (mkosi, systemd-repart), from its
 * partition table and dm-verity superblock. The disk is foreign: all of it is checked, blocks included, before
 * a word is written.
 */

#include "basic/guest-params.h"

/* root_hash: 64 hexadecimal digits, or NULL: from the UUIDs of the two partitions. */
int image_derive(const char *image, const char *root_hash, GuestParams *ret, char **reterr_message);

/* The same into a file; path NULL: beside the image. */
int image_derive_params(const char *image, const char *root_hash, const char *path, char **reterr_message);
