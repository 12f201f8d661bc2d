/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What there is in a network namespace, as the kernel tells it: the input of a plan (plan.h). Bounds are those of
 * basic/network-state.h.
 */

#include "basic/network-state.h"

typedef struct NetScan {
        LinkList links;
        AddressList addresses;
        RouteList routes;
        NeighborList neighbors;
} NetScan;

/* Blocks, for seconds at most. */
int net_scan(Netlink *netlink, NetScan *ret, char **reterr_message);
void net_scan_done(NetScan *scan);
