/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A network in the kernel's terms (basic/rtnl.h) → the messages of the agent protocol: what an agent answers about
 * its guest, and what a host sends about the namespace that the guest stands for. Pure. Names come from whoever
 * made an interface: what is not printable UTF-8 is escaped.
 */

#include "basic/rtnl.h"
#include "proto/agent.pb-c.h"
#include "proto/pb-arena.h"

/*
 * The kernel's state in the protocol's terms, in memory of the arena. NULL and empty lists become lists
 * without elements; -ENOBUFS over the arena's budget.
 */
int interface_to_message(const RtnlLink *link, const RtnlAddress *addresses, size_t n, PbArena *arena,
                         Types__Interface **ret);
int route_to_message(const RtnlRoute *route, const char *device, PbArena *arena, Types__Route **ret);
/* state and flags are those of the kernel (NUD_*, NTF_*). */
int neighbor_to_message(const RtnlNeighbor *neighbor, const char *device, PbArena *arena,
                        Types__ARPNeighbor **ret);
