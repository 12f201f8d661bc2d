/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Modules of the kernel that a sandbox wants (kernel_modules of CreateSandbox): loaded from
 * /usr/lib/modules/RELEASE of the image, in the order of its modules.dep (modules.dep(5): a line a module, paths
 * relative to the directory, dependencies behind a colon so that the last one has to be loaded first). Nothing is
 * resolved but that: names are those of modules, without aliases and without a configuration.
 *
 * A module that the kernel has already, built in or loaded, is no error; its parameters are then written to
 * /sys/module/NAME/parameters, as far as the kernel lets them be.
 *
 * The request is the host's; the image is verified, and its index is parsed as a foreign text all the same.
 * Loading takes its time (a signature is checked for each module): for workers.
 */

#include "basic/strv.h"
#include "proto/agent.pb-c.h"

/* -EINVAL, -E2BIG with the module or the parameter; without side effects. */
int kernel_modules_check(Grpc__KernelModule *const *modules, size_t n, char **reterr_message);

/* Where to look, and how to load; the defaults, except in tests. */
typedef struct KernelModulesPlace {
        const char *root;               /* "": that of the guest */
        const char *release;            /* NULL: that of the kernel that runs */
        /* 0 or negative errno; flags and errors are those of finit_module(2). */
        int (*load)(int fd, const char *parameters, int flags);
} KernelModulesPlace;

/*
 * Loads all that kernel_modules_check() has passed, in their order; what was loaded before a failure stays.
 * -EBUSY: neither there nor to be had, with the name of the module and the reason.
 */
int kernel_modules_load(const KernelModulesPlace *place, Grpc__KernelModule *const *modules, size_t n,
                        char **reterr_message);

/*
 * The files of a module and its dependencies, in the order of loading, from a text like modules.dep or, without
 * dependencies, modules.builtin. -ENOENT; -E2BIG over MODULES_MAX; -EINVAL: a path that leads out of the directory.
 */
int kernel_modules_find(const char *index, const char *name, Strv *ret);
