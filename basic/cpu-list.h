/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sets of processors or memory nodes: "0-3,7" as cgroup v2 and OCI write them, and the bits that the service manager
 * takes (AllowedCPUs= over D-Bus): number N is bit N % 8 of byte N / 8.
 */

#include "basic/parse.h"

typedef struct CpuList {
        uint8_t *bits;
        size_t n;               /* bytes; 0: the empty set */
} CpuList;

/* Numbers below CPUS_MAX, at least one; no blanks. -EINVAL. */
int cpu_list_parse(const char *text, CpuList *ret);
/* A copy; frees what list had. -E2BIG for more than CPUS_MAX numbers. */
int cpu_list_set(CpuList *list, const void *bits, size_t n);
/* As text; NULL when there is no memory. New string, "" for the empty set. */
char *cpu_list_to_text(const CpuList *list);
void cpu_list_done(CpuList *list);
