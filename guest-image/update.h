/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Builds a pair on this host: the kernel with the scripts of KERNEL_DIR from the source package, the image
 * from the agent and the libraries that are installed. As root everything that compiles or packs runs as
 * the user BUILD_USER.
 */

#include "basic/cleanup.h"
#include "guest-image/kernel-status.h"

#define KERNEL_DIR LIBDIR "/kernel"
#define BUILD_USER "kata-build"

typedef struct UpdateOptions {
        const char *kernel_dir;         /* fragments, patches and the build script */
        const char *guest_dir;          /* the pair in use: its kernel is kept if it is current */
        const char *cache;
        const char *output_dir;         /* new or empty; written by the user that builds */
        const char *agent, *root;       /* as for 'kata-image build' */
} UpdateOptions;

/* An empty directory for a build in the cache; those of killed builds are removed. A new string. */
int update_work_dir(const char *cache, char **ret, char **reterr_message);

int update_build(const UpdateOptions *options, const KernelStatus *status, char **reterr_message);
