/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a running sandbox takes of the host: the counters of the cgroup that its VMM is in, which is the scope
 * with VMM and virtiofsd in it. Read from cgroupfs (cgroup-v2.rst of Linux); a controller that the host does not
 * have leaves its fields out.
 */

#include "basic/parse.h"

typedef struct SandboxUsage {
        char *id, *scope;
        pid_t pid;              /* of the VMM */
        bool has_memory, has_io, has_tasks;
        usec_t cpu_usec;        /* since the start */
        uint64_t memory, read_bytes, write_bytes, tasks;
} SandboxUsage;

typedef struct UsageList {
        SandboxUsage *v;        /* by id */
        size_t n;
        usec_t when;            /* CLOCK_MONOTONIC */
} UsageList;

/*
 * All sandboxes that run, or those of ids (n_ids > 0; others are not looked at). Those that end meanwhile are left
 * out. run_dir, cgroup_root and proc: NULL on a real host. -EACCES: only root may look.
 */
int usage_list_read(const char *run_dir, const char *cgroup_root, const char *proc, char *const *ids,
                    size_t n_ids, UsageList *ret);
void usage_list_done(UsageList *list);
const SandboxUsage *usage_list_find(const UsageList *list, const char *id);

/* Readers of one file each, for tests: the value of KEY in lines "KEY VALUE"; sums over "8:0 rbytes=1 wbytes=2 ...". */
bool usage_parse_flat(const char *text, const char *key, uint64_t *ret);
void usage_parse_io(const char *text, uint64_t *ret_read, uint64_t *ret_write);
