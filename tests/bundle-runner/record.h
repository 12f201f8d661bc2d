/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the runner remembers of a container between its commands: ROOT/ID/state.json, and where its agent is.
 * Written by root for root; read strictly all the same.
 */

#include <json-c/json.h>
#include <sys/types.h>

#include "basic/cleanup.h"
#include "basic/strv.h"

typedef struct Record {
        char *id;
        char *version;          /* ociVersion */
        char *bundle, *rootfs;  /* absolute */
        char *created;          /* RFC 3339 */
        char *run_dir;          /* directory of the agent's sockets and log */
        char *cgroup;           /* directory of the agent's cgroup, or NULL */
        pid_t agent_pid;
        uint64_t agent_start;   /* pid_start_time(): a pid that comes again is not taken for it */
        json_object *annotations;       /* an object, or NULL */
} Record;

void record_done(Record *record);

/* Claims ROOT/ID. -EEXIST. */
int record_claim(const char *root, const char *id);
int record_save(const char *root, const Record *record, char **reterr_message);
/* -ENOENT for a container that does not exist. */
int record_load(const char *root, const char *id, Record *ret, char **reterr_message);
int record_remove(const char *root, const char *id);

/* A copy of the container's configuration, as it was when it was created. */
int record_save_config(const char *root, const char *id, const char *path, char **reterr_message);
/* Its path, allocated; NULL without memory. */
char *record_config_path(const char *root, const char *id);

/* Ids of those in ROOT, sorted. */
int record_list(const char *root, Strv *ret);
