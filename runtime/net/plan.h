/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a guest gets of a network namespace: an interface for each Ethernet link that is up, with the link's name,
 * MAC address, MTU and addresses, and the routes and permanent neighbours that lead over them. Made from a scan by a
 * pure function; put into effect by attach.h on the host and by the agent (messages of its protocol) in the guest.
 *
 * Left out, because the guest's kernel makes them itself: connected routes, link-local addresses, and what came by
 * router advertisement. Left out with a note: links that are down, no Ethernet, ports of a bridge or taps.
 */

#include "basic/strv.h"
#include "proto/agent.pb-c.h"
#include "proto/pb-arena.h"
#include "runtime/net/spare.h"

typedef struct NetInterface {
        uint32_t index;                 /* of the link in the namespace */
        char name[IFNAMSIZ];
        char tap[IFNAMSIZ];             /* of the tap device that is going to be made beside it */
        uint8_t mac[6];
        uint32_t mtu;                   /* bytes */
        Types__Interface *message;      /* for UpdateInterface */
        char *guest_address;            /* MAC address of the guest's interface, if it is another one; in the arena */
} NetInterface;

typedef struct NetPlan {
        NetInterface interfaces[NET_PLAN_INTERFACES_MAX];
        size_t n_interfaces;
        Grpc__Routes routes;            /* for UpdateRoutes */
        Grpc__ARPNeighbors neighbors;   /* for AddARPNeighbors */
        Strv notes;                     /* one line each: what the guest does not get, and why */
        PbArena arena;                  /* has all of the messages */
} NetPlan;

/*
 * spare: NULL, or the one interface that a machine which runs already has for what is in the namespace by now. Then
 * there is at most one, on the spare's tap; what there is no place for is in the notes.
 *
 * -E2BIG over NET_PLAN_*_MAX and -EINVAL for what can not be (an MTU below 68, two links with one MAC address), with
 * a text that names it.
 */
int net_plan_new(const NetScan *scan, const NetSpare *spare, NetPlan **ret, char **reterr_message);
NetPlan *net_plan_free(NetPlan *plan);
DEFINE_CLEANUP_FUNC(NetPlan *, net_plan_free)
