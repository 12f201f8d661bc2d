/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes one JSON object into a buffer of fixed size: for log records, where the values are foreign
 * bytes and an allocation per record is too much. No parsing. Runs in the guest; what it writes is read by
 * the host, which must be able to rely on well-formed JSON whatever a workload or the kernel printed.
 */

#include "basic/cleanup.h"

typedef struct JsonText {
        char *data;
        size_t size, used;
        bool full;              /* something did not fit; json_end() will say so */
} JsonText;

void json_begin(JsonText *json, char *data, size_t size);

/*
 * Adds "key":"value" with the n bytes at s. Bytes that are not valid UTF-8, and NUL, become the four
 * characters \xHH. A value that is longer than max once encoded is cut and ends in "...".
 */
void json_add_text(JsonText *json, const char *key, const char *s, size_t n, size_t max);
/* The same for a trusted NUL-terminated string without a limit of its own. */
void json_add_string(JsonText *json, const char *key, const char *s);
void json_add_u64(JsonText *json, const char *key, uint64_t value);

/* An object inside, whose keys are foreign text as well. */
void json_begin_object(JsonText *json, const char *key);
void json_add_entry(JsonText *json, const char *key, const char *value);
void json_end_object(JsonText *json);

/* Closes the object with "}\n"; -ENOBUFS if it did not fit as a whole. */
int json_end(JsonText *json, size_t *ret_n);
