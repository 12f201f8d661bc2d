/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Layout of an image: a disk with a GPT whose partitions have the types and UUIDs of the discoverable
 * partitions specification (UAPI.2), so that systemd's tools find their way:
 *
 *      root-x86-64             erofs; UUID: first 128 bits of the root hash
 *      root-x86-64-verity      superblock, hash tree; UUID: last 128 bits of the root hash
 *      root-x86-64-verity-sig  only if signed: JSON, filled up with zeros
 *
 * Offsets and sizes are multiples of 4096. Every identifier comes from the content.
 */

#include "basic/guest-params.h"
#include "guest-image/gpt.h"

/*
 * Makes the image output from a file of data, superblock and hash tree, which range describes
 * (verity_append()). signature_json may be NULL. *ret describes the image; no manifest is in it.
 */
int layout_write(const char *range_path, const GuestParams *range, const char *signature_json,
                 const char *output, GuestParams *ret, char **reterr_message);

/* The partition table against the parameters: places, sizes and UUIDs. */
int layout_check(const Gpt *gpt, const GuestParams *params, char **reterr_message);

/* Content of the signature partition. fingerprint: SHA-256 of the signer's certificate, hexadecimal. */
int signature_json_format(const char *root_hash, const char *fingerprint, const uint8_t *signature,
                          size_t n, char **ret);

typedef struct SignatureJson {
        char *root_hash;
        char *fingerprint;
        uint8_t *signature;
        size_t signature_size;
} SignatureJson;

void signature_json_done(SignatureJson *s);

/* Foreign bytes of a whole partition. */
int signature_json_parse(const char *text, size_t n, SignatureJson *ret, char **reterr_message);

#define SIGNATURE_PARTITION_SIZE KIB(16)
#define SIGNATURE_PARTITION_MAX KIB(256)        /* what is read of one */
