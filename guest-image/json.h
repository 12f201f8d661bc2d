/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * json-c with negative errno results. Adders accept a NULL container, as a failed adder before them
 * returns, and answer -ENOMEM; so a chain needs one check at its end.
 */

#include <json-c/json.h>

#include "basic/cleanup.h"

static inline void json_object_putp(json_object **o)
{
        json_object_put(*o);
}

/* To an object under key, or to an array if key is NULL. Takes value, which may be NULL. */
int json_add(json_object *to, const char *key, json_object *value);
int json_add_string(json_object *to, const char *key, const char *value);
int json_add_stringf(json_object *to, const char *key, const char *format, ...) _printf_(3, 4);
int json_add_u64(json_object *to, const char *key, uint64_t value);
/* The new container, owned by to; NULL without memory. */
json_object *json_add_object(json_object *to, const char *key);
json_object *json_add_array(json_object *to, const char *key);

/* Indented, with a newline at the end. */
int json_text(json_object *o, char **ret);

/* One foreign JSON value of at most max bytes and 16 levels: strict, valid UTF-8, nothing behind it. */
int json_parse(const char *text, size_t n, size_t max, json_object **ret, char **reterr_message);

/* A member that has to be there and of that type; NULL if it is not. */
json_object *json_get(json_object *o, const char *key, enum json_type type);
/* Text without control characters; NULL if it is not there or not that. Owned by o. */
const char *json_get_text(json_object *o, const char *key);
