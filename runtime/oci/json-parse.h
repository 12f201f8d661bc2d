/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text → JSON object, bounded in size and depth and strict. Pure; the text is hostile. */

#include <json-c/json.h>

#include "basic/cleanup.h"

static inline void json_object_putp(json_object **o)
{
        if (*o)
                json_object_put(*o);
}

#define _cleanup_json_ _cleanup_(json_object_putp)

/*
 * At most OCI_CONFIG_MAX bytes, nested at most OCI_DEPTH_MAX deep. Errors (-EINVAL, -EFBIG) begin
 * "FILE:LINE: ". The result is an object, to be put.
 */
int json_parse_object(const char *file, const char *text, size_t size, json_object **ret,
                      char **reterr_message);
