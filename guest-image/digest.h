/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256, and SHA-1 where a format demands it, through libcrypto, with negative errno results. */

#include "basic/cleanup.h"

#define DIGEST_SIZE 32U

typedef struct Digest Digest;

int digest_new(Digest **ret);
int digest_new_sha1(Digest **ret);      /* the result is in the first 20 bytes */
Digest *digest_free(Digest *d);
DEFINE_CLEANUP_FUNC(Digest *, digest_free)

int digest_update(Digest *d, const void *data, size_t n);
/* The object is empty again afterwards and can be used for the next message. */
int digest_final(Digest *d, uint8_t ret[DIGEST_SIZE]);

int digest_buffer(const void *data, size_t n, uint8_t ret[DIGEST_SIZE]);
