/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernel=distribution: finds the kernel that the distribution has installed and the initrd that kata-image
 * has made for it, and refuses an initrd that is missing or older than what it was made from. Host side;
 * all these files are root's. Builder and runtime share no code by design: the form of RELEASE.img.inputs
 * is fixed here and in guest-image/initrd.c.
 */

#include "basic/cleanup.h"
#include "basic/kernel-release.h"

typedef struct DistributionKernel {
        KernelRelease kernel;
        char *initrd;           /* INITRDDIR/RELEASE.img */
} DistributionKernel;

void distribution_kernel_done(DistributionKernel *d);

/*
 * root: prefix of the places of kernels, NULL on a real host; initrd_dir: INITRDDIR there. release: NULL
 * for the newest. -ENOENT (missing) or -ESTALE (out of date) with a text that has the command to run.
 */
int distribution_kernel_find(const char *root, const char *initrd_dir, const char *release,
                             DistributionKernel *ret, char **reterr_message);
