/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A plan put into effect on the host: a tap device beside each link of the namespace, and what comes in on one goes
 * out on the other, both ways ("tcfilter" of Kata). The link keeps its addresses and routes, which nobody uses: all
 * that arrives is the guest's.
 */

#include "runtime/net/plan.h"
#include "runtime/net/undo.h"

typedef struct NetAttach {
        int namespace_fd;
        const char *namespace_path;
        const char *undo_file;          /* see undo.h; there must be none */
        bool vhost;                     /* let the host's kernel move the packets, where it can */
} NetAttach;

/* Descriptors for the VMM. */
typedef struct NetTap {
        int tap_fd;                     /* one queue, with virtio-net headers; the device lives as long as it */
        int vhost_fd;                   /* of /dev/vhost-net, or -EBADF */
} NetTap;

/* taps: one for each interface of the plan. After a failure nothing is left. Blocks, for seconds at most. */
int net_attach(const NetAttach *params, const NetPlan *plan, NetTap *taps, char **reterr_message);
void net_taps_close(NetTap *taps, size_t n);
