/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands of kata-image that look after the installed versions of the guest. */

#include "basic/cleanup.h"

typedef struct GuestOptions {
        const char *output_dir;         /* update: build only, into this directory */
        const char *agent, *root;       /* update: as for build */
        const char *kernel_dir;         /* update, kernel-status: build script and patches */
        bool force;                     /* update: build the kernel in any case */
} GuestOptions;

typedef struct GuestVerb {
        const char *name;
        unsigned min_args, max_args;
        const char *args;               /* for the error about their number */
        int (*run)(const GuestOptions *options, char **args);   /* returns the exit status */
} GuestVerb;

const GuestVerb *guest_verb_find(const char *name);
