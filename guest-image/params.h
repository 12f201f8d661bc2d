/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * guest.params: what a reader needs to know of an image file, as key=value lines. One verity format
 * only: type 1, SHA-256, 4096 byte blocks, no superblock, hash tree right behind the data.
 */

#include "guest-image/digest.h"

#define VERITY_BLOCK_SIZE 4096U
#define VERITY_SALT_SIZE 32U
#define IMAGE_PARAMS_VERSION 1U

typedef struct ImageParams {
        uint64_t data_blocks;
        uint64_t image_size;                    /* bytes, data and hash tree */
        uint8_t root_hash[DIGEST_SIZE];
        uint8_t salt[VERITY_SALT_SIZE];
} ImageParams;

int image_params_write(const ImageParams *p, const char *path);

/* Strict: unknown, repeated and missing keys are errors that name file, line and key. */
int image_params_read(ImageParams *ret, const char *path, char **reterr_message);
