/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Context ids of guests. The kernel keeps them unique: a CID belongs to the vhost-vsock descriptor
 * that set it first, for as long as any process holds that descriptor. So there is no registry of
 * our own to leak.
 */

#include "basic/cleanup.h"

typedef struct VsockOps {
        int (*open)(const char *path);                  /* descriptor or negative errno */
        /* VHOST_VSOCK_SET_GUEST_CID; 0 or negative errno */
        int (*set_guest_cid)(int fd, uint64_t cid);
} VsockOps;

extern const VsockOps vsock_ops_default;

/* Where the search for a free CID begins; the same for the same id, within 65536 … 2^31 - 1. */
uint32_t vsock_cid_first(const char *id);

/*
 * Opens the device and reserves a CID, walking on from vsock_cid_first() while the kernel says
 * EADDRINUSE. preferred != 0 is tried before (a CID from an earlier run).
 */
int vsock_cid_claim(const VsockOps *ops, const char *path, const char *id, uint32_t preferred,
                    int *ret_fd, uint32_t *ret_cid, char **reterr_message);
