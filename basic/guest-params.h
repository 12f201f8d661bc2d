/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * guest.params: what kata-image says of a guest image, so that the guest kernel can check every
 * block. Text of key=value lines; '#' starts a comment line. One reader and one writer for builder
 * and runtime. The file is installed by root, yet it is parsed as foreign: unknown, repeated,
 * missing or inconsistent keys are errors.
 *
 *      version=2  image_size=BYTES  root_offset=BYTES  data_blocks=N  data_block_size=4096
 *      hash_block_size=4096  hash_offset=BYTES  hash_algorithm=sha256  root_hash=HEX  salt=HEX
 *      manifest_sha256=HEX
 *      kernel_verity_params=root_hash=..,salt=..,data_blocks=..,data_block_size=..,
 *                           hash_block_size=..
 *
 * The image is a disk with a GPT. root_offset is where its root partition begins. hash_offset counts
 * from there to the top block of the hash tree, which lies behind the dm-verity superblock in the
 * verity partition. Only the range from the root partition to the end of the tree is shown to the
 * guest, so that it needs no partition table. The tree is dm-verity version 1: top block first, then
 * level by level (Linux Documentation/admin-guide/device-mapper/verity.rst).
 */

#include "basic/cleanup.h"

#define VERITY_BLOCK_SIZE 4096U
#define VERITY_DIGEST_SIZE 32U
#define GUEST_PARAMS_VERSION 2U

typedef struct GuestParams {
        uint64_t image_size;            /* bytes of the whole file */
        uint64_t root_offset;           /* bytes, in the file */
        uint64_t data_blocks;
        uint64_t hash_offset;           /* bytes, from root_offset */
        uint8_t root_hash[VERITY_DIGEST_SIZE];
        uint8_t salt[VERITY_DIGEST_SIZE];
        char root_hash_hex[2 * VERITY_DIGEST_SIZE + 1];
        char salt_hex[2 * VERITY_DIGEST_SIZE + 1];
        uint8_t manifest_sha256[VERITY_DIGEST_SIZE];
        bool has_manifest;              /* optional: other builders may write none */
        /* upstream's form, checked against the rest; NULL if not given */
        char *kernel_verity_params;
} GuestParams;

void guest_params_done(GuestParams *params);

/* text need not end in NUL. Errors name the line: "line 3: ...". ret is written on success only. */
int guest_params_parse(const char *text, size_t n, GuestParams *ret, char **reterr_message);

/* As parse, from a file; errors begin with its path. */
int guest_params_load(const char *path, GuestParams *ret, char **reterr_message);

/* The whole file. The hex forms and kernel_verity_params of p are not read but made from the rest. */
int guest_params_format(const GuestParams *p, char **ret);

/* Bytes from root_offset to the end of the hash tree: the disk that the guest sees. */
uint64_t guest_params_range_size(const GuestParams *p);

/* Blocks of the hash tree over data_blocks blocks. */
uint64_t verity_hash_blocks(uint64_t data_blocks);

/*
 * A file beside the image: its path without ".img" or ".raw", and suffix. NULL without memory.
 * guest.img and ".params": guest.params.
 */
char *image_sibling(const char *image_path, const char *suffix);
