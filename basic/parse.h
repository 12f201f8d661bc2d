/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strict text → value conversions: the whole string must be the value, no leading blanks, no overflow.
 * All return 0 or -EINVAL / -ERANGE.
 */

#include "basic/cleanup.h"

typedef uint64_t usec_t;

#define USEC_PER_SEC ((usec_t) 1000000U)
#define USEC_PER_MSEC ((usec_t) 1000U)
#define USEC_INFINITY UINT64_MAX

int parse_u64(const char *s, uint64_t *ret);
int parse_u32(const char *s, uint32_t *ret);
int parse_i64(const char *s, int64_t *ret);

/* yes/no, true/false, on/off, 1/0; any case. */
int parse_bool(const char *s, bool *ret);

/* Bytes with an optional suffix K, M, G, T (base 1024), as in systemd unit files. */
int parse_size(const char *s, uint64_t *ret);

/* Seconds, or with a suffix us, ms, s, min, h, d; "infinity". Compound spans ("1min 30s") are accepted. */
int parse_usec(const char *s, usec_t *ret);

/*
 * Lines KEY=VALUE as we write them to state files; empty ones are passed over, and text is taken apart. Ends with the
 * first error of func, or -EINVAL for a line without '='; ret_line is the number of the last line looked at.
 */
int parse_assignments(char *text, int (*func)(const char *key, char *value, void *userdata), void *userdata,
                      unsigned *ret_line);

/* Lower-case hexadecimal. hex_encode returns a new string; decode wants exactly 2*n digits. */
char *hex_encode(const void *data, size_t n);
int hex_decode(const char *s, void *ret, size_t n);

/* First character alphanumeric, then alphanumeric, '.', '_' or '-'; 2..max characters (Kata's rule). */
bool id_is_valid(const char *s, size_t max);
/* Of a sandbox: "ID" or "NAMESPACE:ID". */
bool sandbox_name_is_valid(const char *name);

/* Characters and length that systemd accepts for a unit of that suffix (".scope", ".slice" ...). */
bool unit_name_is_valid(const char *unit, const char *suffix);

/* True for well-formed UTF-8 without NUL (RFC 3629: no overlong forms, no surrogates). */
bool utf8_is_valid(const char *s, size_t n);

/*
 * Makes foreign text fit for one line of a log or an error: control characters and invalid UTF-8 become
 * \xHH, a result over max bytes is cut and ends in "...". Returns a new string.
 */
char *text_escape(const char *s, size_t n, size_t max);

usec_t now_usec(void);           /* CLOCK_MONOTONIC */
usec_t now_realtime_usec(void);  /* CLOCK_REALTIME */
