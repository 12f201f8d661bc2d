/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bundle of a container as the command line needs it: the few properties that decide what is started on the
 * host. The supervisor reads and checks the whole. Facts: runtime-spec 1.2, config.md; the annotations are those of
 * containerd's CRI plug-in and of CRI-O, which podman sets, too.
 */

#include <json-c/json.h>

#include "basic/cleanup.h"

typedef struct OciBundle {
        char *path;             /* absolute, without symlinks */
        char *rootfs;           /* absolute */
        json_object *config;
} OciBundle;

/* path: NULL for the current directory. Errors name file and property. */
int bundle_open(const char *path, OciBundle *ret, char **reterr_message);
void bundle_done(OciBundle *bundle);

const char *bundle_version(const OciBundle *bundle);
bool bundle_terminal(const OciBundle *bundle);
/* process.consoleSize; 0, 0 if there is none. */
void bundle_console_size(const OciBundle *bundle, uint16_t *ret_rows, uint16_t *ret_columns);
/* NULL if there is none. */
json_object *bundle_annotations(const OciBundle *bundle);
/* The container that this one shares a sandbox with; NULL: it has one of its own. */
const char *bundle_pod(const OciBundle *bundle, const char *id);
/* Other containers may come into its sandbox: it is of a pod, or a pod's first one. */
bool bundle_in_pod(const OciBundle *bundle);
/* The object linux.resources, or NULL. */
json_object *bundle_resources(const OciBundle *bundle);
/* linux.resources: memory.limit in bytes, processors of cpu.quota and cpu.period rounded up; 0: no limit. */
void bundle_limits(const OciBundle *bundle, uint64_t *ret_memory, unsigned *ret_cpus);
/* linux.cgroupsPath; NULL: none. */
const char *bundle_cgroups_path(const OciBundle *bundle);
/* The object "hooks", or NULL. */
json_object *bundle_hooks(const OciBundle *bundle);
/*
 * 1: the container has a network namespace: that of *ret_path, or a new one (NULL). 0: it has none of its own, and
 * would use the host's.
 */
int bundle_network_namespace(const OciBundle *bundle, const char **ret_path);
bool bundle_root_is_read_only(const OciBundle *bundle);
/* The array "mounts", or NULL. */
json_object *bundle_mounts(const OciBundle *bundle);
/* The object "process", or NULL. */
json_object *bundle_process(const OciBundle *bundle);
