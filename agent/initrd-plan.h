/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the initial agent is to do, out of the kernel command line and the list of modules in the initrd.
 * Pure. Guest side; both are the host's, and checked all the same.
 */

#include "agent/dm-table.h"

#define ROOT_INIT_DEFAULT "/usr/bin/kata-agent"

/* root=, rootfstype=, init= and dm-mod.create= of the kernel command line. */
typedef struct RootPlan {
        DmTables tables;
        unsigned minor;         /* root is /dev/dm-MINOR */
        char type[16];          /* its file system */
        char init[128];         /* program there that takes over */
} RootPlan;

int root_plan_parse(const char *cmdline, RootPlan *ret, char **reterr_message);

typedef struct InitrdModule {
        char file[MODULE_NAME_MAX + 16];        /* below /kata/modules */
        bool optional;                          /* may fail to load */
} InitrdModule;

typedef struct InitrdModules {
        InitrdModule v[MODULES_MAX];
        size_t n;
} InitrdModules;

/* Lines "required|optional FILE". */
int initrd_modules_parse(const char *text, InitrdModules *ret, char **reterr_message);
