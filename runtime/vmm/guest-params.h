/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * guest.params: what kata-image says of a guest image, so that the guest kernel can check every
 * block. Text of key=value lines; '#' starts a comment line. The file is installed by root, yet it
 * is parsed as foreign: unknown, repeated, missing or inconsistent keys are errors.
 *
 *      version=1  image_size=BYTES  data_blocks=N  data_block_size=4096  hash_block_size=4096
 *      hash_offset=BYTES (= N * 4096)  hash_algorithm=sha256  root_hash=HEX  salt=HEX
 *      kernel_verity_params=root_hash=..,salt=..,data_blocks=..,data_block_size=..,
 *                           hash_block_size=..
 *
 * The hash tree is dm-verity version 1 without a superblock: root block first, then level by level
 * (Linux Documentation/admin-guide/device-mapper/verity.rst).
 */

#include "basic/cleanup.h"

#define VERITY_BLOCK_SIZE 4096U
#define VERITY_DIGEST_SIZE 32U

typedef struct GuestParams {
        uint64_t image_size;            /* bytes of the whole file */
        uint64_t data_blocks;
        uint64_t hash_offset;           /* bytes */
        uint8_t root_hash[VERITY_DIGEST_SIZE];
        uint8_t salt[VERITY_DIGEST_SIZE];
        char root_hash_hex[2 * VERITY_DIGEST_SIZE + 1];
        char salt_hex[2 * VERITY_DIGEST_SIZE + 1];
        /* upstream's form, checked against the rest; NULL if not given */
        char *kernel_verity_params;
} GuestParams;

void guest_params_done(GuestParams *params);

/* text need not end in NUL. Errors name the line: "line 3: ...". ret is written on success only. */
int guest_params_parse(const char *text, size_t n, GuestParams *ret, char **reterr_message);

int guest_params_load(const char *path, GuestParams *ret, char **reterr_message);

/* Blocks of the hash tree over data_blocks blocks. */
uint64_t verity_hash_blocks(uint64_t data_blocks);

/*
 * Size of the file and hash of the tree's root block: catches a wrong, torn or stale image at
 * once. The remaining blocks are checked by the guest kernel when it reads them. The paths are for
 * the text.
 */
int guest_params_verify_image(const GuestParams *params, int image_fd, const char *image_path,
                              const char *params_path, char **reterr_message);
