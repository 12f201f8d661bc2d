/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON object → protobuf message by the message's descriptor: a property goes to the field of the
 * same name, upper and lower case being equal (as in Go's encoding/json, which wrote most
 * config.json files: "uid" is the field UID). Types are strict. What has no field is looked up in a
 * table of rules, by path.
 *
 * No side effects; the JSON is hostile. Everything comes out of the arena.
 */

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

#include "basic/cleanup.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "proto/pb-arena.h"

typedef enum JsonRuleAction {
        JSON_RULE_ALIAS,  /* field: the name of the field */
        JSON_RULE_REFUSE, /* an error when set to something else than value */
        JSON_RULE_NOTE,   /* a note when set to something else than value */
        JSON_RULE_IGNORE, /* means nothing here */
} JsonRuleAction;

/*
 * "Set" is everything but null, false, 0, "", [] and {}; value is one more harmless number. Without
 * a rule a property that is set gives a note: OCI wants unknown properties ignored.
 */
typedef struct JsonRule {
        const char *path; /* as in "mounts[].uidMappings" */
        JsonRuleAction action;
        const char *field;
        int64_t value;
} JsonRule;

typedef struct JsonPb {
        PbArena *arena;
        const JsonRule *rules; /* the end has no path */
        const char *file;      /* begins every error */
        Strv *notes;           /* at most OCI_NOTES_MAX; one line each */
        char **reterr_message;

        /* Called for each new message after its fields have protobuf's defaults; may be NULL. */
        void (*init)(ProtobufCMessage *message);

        /* Used inside */
        char path[OCI_PATH_MAX], pattern[OCI_PATH_MAX];
        size_t path_len, pattern_len;
} JsonPb;

/* -EINVAL with a text that begins "FILE: PATH: ", -E2BIG, -ENOBUFS (arena full), -ENOMEM. */
int json_pb_object(JsonPb *ctx, json_object *object, const ProtobufCMessageDescriptor *desc,
                   void *ret);
