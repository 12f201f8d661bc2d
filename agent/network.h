/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest's network, in the network namespace of the caller: plans (net-plan.h) put into effect by way
 * of rtnetlink. Blocks while somebody holds the kernel's network lock: for workers.
 *
 * Left alone are the loopback, what the kernel made itself (local and connected routes, link-local
 * addresses, router advertisements) and every routing table but main.
 */

#include "agent/net-plan.h"
#include "proto/pb-arena.h"

/*
 * Finds the link by its MAC address, or without one by its name; gives it name, MTU, addresses and nothing
 * else, and sets it up. A name that another link has is swapped. *ret_link is the link as it is then.
 * -ENODEV names what there is.
 */
int network_update_interface(Netlink *netlink, const InterfacePlan *plan, RtnlLink *ret_link,
                             char **reterr_message);

/*
 * The link with MAC address from gets address to; 0 also if one has that already and none has from. -ENODEV if none
 * has either, -EEXIST if both are there, each with a text.
 */
int network_set_address(Netlink *netlink, const uint8_t from[static 6], const uint8_t to[static 6],
                        char **reterr_message);

/*
 * Makes these the routes of the main table. On failure the old ones are put back. Of several routes to one
 * destination the first one stays: the protocol has no metrics.
 */
int network_update_routes(Netlink *netlink, RoutePlan *plans, size_t n, char **reterr_message);

int network_add_neighbors(Netlink *netlink, NeighborPlan *plans, size_t n, char **reterr_message);

/* The state as messages in the arena. link: of this one alone, 0 for all. */
int network_list_interfaces(Netlink *netlink, uint32_t link, PbArena *arena, Grpc__Interfaces *ret,
                            char **reterr_message);
int network_list_routes(Netlink *netlink, PbArena *arena, Grpc__Routes *ret, char **reterr_message);
