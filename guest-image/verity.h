/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * dm-verity trees (Documentation/admin-guide/device-mapper/verity.rst): made by libcryptsetup, checked
 * here in user space, because the library reports a mismatch only as log text and not which block.
 *
 * Layout behind the data: the levels top down, each level's digests 128 to a block, the last block of a
 * level filled up with zeros. Digest = SHA-256(salt, block).
 */

#include "guest-image/params.h"

/* Appends a hash tree to the data in path (a multiple of the block size) and fills p. */
int verity_append(const char *path, ImageParams *p, char **reterr_message);

typedef enum VerityPlace {
        VERITY_OK,
        VERITY_BAD_ROOT,        /* the top block does not have the root hash */
        VERITY_BAD_HASH_BLOCK,
        VERITY_BAD_DATA_BLOCK,
} VerityPlace;

typedef struct VerityResult {
        VerityPlace place;
        uint64_t block;         /* from the start of the data, or of the hash area */
        unsigned level;         /* of a hash block; 0 is next to the data */
        uint64_t offset;        /* in the file, bytes */
} VerityResult;

/* Blocks of the whole tree for that many data blocks; levels stored if wanted (at most 16). */
uint64_t verity_hash_blocks(uint64_t data_blocks, unsigned *ret_levels);

/*
 * Checks everything, top down, and stops at the first mismatch. 0 with *ret filled, or a negative
 * errno when the file can not be read or its size is wrong.
 */
int verity_check(const char *path, const ImageParams *p, VerityResult *ret, char **reterr_message);
