/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GUIDs in the order of their text; gpt.c swaps the first three fields on the way to the disk. */

#include "basic/cleanup.h"

#define GUID_TEXT_SIZE 37U

typedef struct Guid {
        uint8_t bytes[16];
} Guid;

/* Lower case. */
void guid_text(const Guid *guid, char ret[GUID_TEXT_SIZE]);

static inline bool guid_equal(const Guid *a, const Guid *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

/* RFC 9562 version 8: from SHA-256 of label (with its NUL) and data. */
int guid_derive(const char *label, const void *data, size_t n, Guid *ret);
