/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process of an OCI configuration, checked and in the kernel's terms. Pure. One parser for the
 * init process and for every later one, so that none of them gets looser rules (CVE-2022-27650).
 */

#include <sys/resource.h>
#include <sys/types.h>

#include "agent/caps.h"
#include "basic/strv.h"
#include "proto/oci.pb-c.h"

typedef struct RlimitEntry {
        int resource;
        const char *name;       /* static */
        struct rlimit limit;
} RlimitEntry;

typedef struct ProcessPlan {
        Strv args;              /* at least one */
        Strv env;               /* "NAME=value" */
        char *cwd;              /* normal form */
        bool terminal;
        uint16_t rows, columns; /* of the terminal; 0: not given */
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        size_t n_groups;
        CapSets caps;
        bool no_new_privileges;
        int oom_score_adj;
        RlimitEntry rlimits[RLIM_NLIMITS];
        size_t n_rlimits;
} ProcessPlan;

void process_plan_done(ProcessPlan *plan);

/* *ret is untouched on failure. -EOPNOTSUPP names what is not built. */
int process_plan_parse(ProcessPlan *ret, const Grpc__Process *process, char **reterr_message);

/* The value of NAME in env, the last one if there are several; NULL if there is none. */
const char *env_get(const Strv *env, const char *name);

/* "RLIMIT_NOFILE" → RLIMIT_NOFILE, or -EINVAL. */
int rlimit_from_name(const char *name);
