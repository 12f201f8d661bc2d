/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* NULL-terminated arrays of owned strings, built by appending. Bounded by the caller. */

#include "basic/cleanup.h"

typedef struct Strv {
        char **v;    /* NULL-terminated once anything was added; NULL while empty */
        size_t n;
} Strv;

#define STRV_FOREACH(s, strv) for (size_t _i_ = 0; _i_ < (strv)->n && ((s) = (strv)->v[_i_]); _i_++)

void strv_done(Strv *strv);

/* Copies; on failure the array is unchanged. */
int strv_add(Strv *strv, const char *s);
int strv_addf(Strv *strv, const char *format, ...) _printf_(2, 3);
/* Adds each argument up to the NULL at the end. */
int strv_add_many(Strv *strv, ...) _sentinel_;
/* Takes the string, on failure frees it. */
int strv_consume(Strv *strv, char *s);

bool strv_contains(const Strv *strv, const char *s);

/* New string with sep between the items; "" when empty. */
char *strv_join(const Strv *strv, const char *sep);

/*
 * Splits a command line as a shell would without expansion: blanks separate, '…' and "…" quote,
 * backslash escapes. -EINVAL at an open quote, -E2BIG over max words.
 */
int strv_split_quoted(Strv *strv, const char *s, size_t max);
