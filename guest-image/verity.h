/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * dm-verity trees (Documentation/admin-guide/device-mapper/verity.rst): made by libcryptsetup, checked
 * here in user space, because the library reports a mismatch only as log text and not which block.
 *
 * Layout behind the data: superblock, then the levels top down, each level's digests 128 to a block,
 * the last block of a level filled up with zeros. Digest = SHA-256(salt, block).
 */

#include "basic/guest-params.h"
#include "guest-image/digest.h"
#include "guest-image/guid.h"

/*
 * Appends superblock and hash tree to the data in path (a multiple of the block size). Salt and UUID
 * come from the data. *ret describes that file: root_offset is 0, image_size its size.
 */
int verity_append(const char *path, GuestParams *ret, char **reterr_message);

/* The superblock against the parameters; its UUID as text. */
int verity_check_superblock(int fd, const GuestParams *p, char uuid[GUID_TEXT_SIZE],
                            char **reterr_message);

/*
 * The other way round: number of data blocks and salt from the superblock in front of p->hash_offset, which is
 * checked otherwise. The numbers are foreign until guest_params_parse() has seen them.
 */
int verity_read_superblock(int fd, GuestParams *p, char **reterr_message);

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

/*
 * Checks data and tree, top down, and stops at the first mismatch. 0 with *ret filled, or a negative
 * errno when the file can not be read or its size is wrong.
 */
int verity_check(const char *path, const GuestParams *p, VerityResult *ret, char **reterr_message);
