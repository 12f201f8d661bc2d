/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Is the guest kernel the newest that the distribution's source makes possible, and if not, what to do? */

#include "basic/cleanup.h"

typedef enum KernelState {
        KERNEL_CURRENT,
        KERNEL_UPDATE,          /* a newer source, and the patches apply to it or could not be tried */
        KERNEL_CONFLICT,        /* a newer source that a patch does not apply to */
        _KERNEL_STATE_MAX,
} KernelState;

/* Exit statuses of 'kata-image kernel-status', for timers and scripts. */
#define KERNEL_STATUS_UPDATE 10
#define KERNEL_STATUS_CONFLICT 11

typedef struct KernelStatus {
        KernelState state;
        char *available;        /* version of the source package; NULL without one newer */
        char *tarball;          /* of that version; NULL if it could not be had */
        char *text;             /* one line for people */
} KernelStatus;

void kernel_status_done(KernelStatus *status);

/* guest_dir: where the kernel in use is; patches: the series that will be applied; cache: see source.h. */
int kernel_status_get(const char *guest_dir, const char *patches, const char *cache, KernelStatus *ret,
                      char **reterr_message);

/* Without a look at the kernel in use: what apt offers is to be built. Tries no patches; kernel/build does. */
int kernel_status_force(const char *cache, KernelStatus *ret, char **reterr_message);

int kernel_state_to_exit_status(KernelState state);
