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
        const char *namespace_path;     /* NULL: it has none */
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

/*
 * Late: the tap device of a spare interface, which stays down; later, when the machine runs, the one interface of a
 * plan that was made for the spare. What an attempt has left that nobody has finished is replaced. After a failure tap
 * and link are as they were.
 */
int net_attach_spare(const NetAttach *params, const NetSpare *spare, NetTap *ret, char **reterr_message);
int net_attach_late(const NetAttach *params, const NetPlan *plan, char **reterr_message);
/* The reverse, of which no failure is told: what is left goes with the machine. */
void net_detach_late(const NetAttach *params, const NetSpare *spare);

void net_taps_close(NetTap *taps, size_t n);
