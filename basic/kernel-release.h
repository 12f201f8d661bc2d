/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernels that the distribution has installed on this host: which releases there are, where image and
 * modules of one are, which of them is the newest. Host side; the files belong to root. Used by the
 * builder of the initrd and by the supervisor, which have to mean the same kernel.
 */

#include "basic/cleanup.h"

typedef struct KernelRelease {
        char *release;          /* what uname -r says there */
        char *image;            /* ROOT/boot/vmlinuz-RELEASE or in the directory of the modules */
        char *modules;          /* ROOT/usr/lib/modules/RELEASE or ROOT/lib/modules/RELEASE */
} KernelRelease;

void kernel_release_done(KernelRelease *kernel);

/* Fit for a file name and a command line: alphanumeric, '.', '_', '+', '~', '-'; no leading sign. */
bool kernel_release_is_valid(const char *s);

/*
 * Like strcmp(): the version decides first, as dpkg orders versions ("6.9" < "6.10", "6.13-rc7" <
 * "6.13"). In one version a cloud flavour is above the plain one, and that above all others (rt).
 */
int kernel_release_compare(const char *a, const char *b);

/*
 * The kernel that is called wanted, or with NULL the greatest of those with image and modules. root is
 * a prefix for all places, NULL or "/" for this host. -ENOENT with a text that says what is missing.
 */
int kernel_release_find(const char *root, const char *wanted, KernelRelease *ret,
                        char **reterr_message);
