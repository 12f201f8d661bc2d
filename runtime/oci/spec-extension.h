/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Properties of config.json that Kata's messages have no field for and our agent's extension has
 * (proto/extension.proto). Pure; the text is hostile.
 */

#include <json-c/json.h>

#include "runtime/oci/json-pb.h"
#include "runtime/oci/spec-load.h"

/*
 * Fills spec->extension from the whole configuration, if there is anything for it. ctx: that of the
 * rest, for its arena, file, notes and message. Errors as of json_pb_object().
 */
int spec_extension_parse(OciSpec *spec, const JsonPb *ctx, json_object *config);

/* The first property that is set, as in "process.user.umask"; NULL if there is no spec or no extension of it. */
const char *spec_extension_first(const OciSpec *spec);
