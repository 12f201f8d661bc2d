/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * linux.cgroupsPath in the form of systemd drivers, "SLICE:PREFIX:NAME": the scope PREFIX-NAME.scope (NAME.scope
 * without a prefix) in SLICE, system.slice without one. Facts: runc's systemd driver, which callers write for.
 */

#include "basic/cleanup.h"

typedef struct CgroupUnits {
        char *slice, *scope;    /* NULL: ours */
} CgroupUnits;

void cgroup_units_done(CgroupUnits *units);

/*
 * path: NULL for none. systemd: the caller has said that it is of that form (--systemd-cgroup); without, it is a
 * path below the mount point of cgroups, where nothing is made behind the service manager's back, and *ret is empty.
 * -EINVAL for another form or names that are none, -EOPNOTSUPP for a slice as the unit.
 */
int cgroups_path_parse(const char *path, bool systemd, CgroupUnits *ret, char **reterr_message);
