/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The system call filter of an OCI configuration. Parsing resolves every name and refuses what
 * cannot be done; loading, in the set-up child, builds the program with libseccomp and gives it to
 * the kernel. System calls that libseccomp does not know are left out, as in runc: what has no
 * number on this machine cannot be called by name.
 */

#include "basic/cleanup.h"
#include "proto/oci.pb-c.h"

typedef struct SeccompPlan SeccompPlan;

int seccomp_plan_parse(SeccompPlan **ret, const Grpc__LinuxSeccomp *seccomp, char **reterr_message);
SeccompPlan *seccomp_plan_free(SeccompPlan *plan);
DEFINE_CLEANUP_FUNC(SeccompPlan *, seccomp_plan_free)

/* Needs CAP_SYS_ADMIN or no_new_privs. Confines the calling process for ever. */
int seccomp_plan_load(const SeccompPlan *plan, char **reterr_message);

/* For tests: number of rules after expansion, and the program as from seccomp_export_bpf(3). */
size_t seccomp_plan_rules(const SeccompPlan *plan);
int seccomp_plan_export(const SeccompPlan *plan, int fd);
