/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host wants of the guest's network, checked and in the kernel's terms, without side effects.
 * Strings of the protocol are taken strictly; what the wire cannot say (metrics) stays the kernel's default.
 */

#include "basic/rtnl.h"
#include "proto/agent.pb-c.h"

typedef struct InterfacePlan {
        const char *name;               /* wanted; strings are the message's */
        const char *device_path;        /* PCI path to wait for, "" for none */
        bool has_mac;
        uint8_t mac[6];
        uint32_t mtu;                   /* 0: as it is */
        bool no_arp;
        RtnlAddress *addresses;         /* index is not set */
        size_t n_addresses;
} InterfacePlan;

typedef struct RoutePlan {
        RtnlRoute route;                /* index is not set */
        const char *device;             /* "": whatever leads to the gateway */
        char text[160];                 /* for errors: "10.0.0.0/8 via 10.1.0.1 dev eth0" */
} RoutePlan;

typedef struct NeighborPlan {
        RtnlNeighbor neighbor;
        const char *device;
} NeighborPlan;

/* -EINVAL, -E2BIG, -EOPNOTSUPP, each with a text that names the item. The lists are the caller's. */
int interface_plan(const Types__Interface *input, InterfacePlan *ret, char **reterr_message);
void interface_plan_done(InterfacePlan *plan);
/* Routes without a gateway come first: the others may need them. */
int routes_plan(Types__Route *const *routes, size_t n, RoutePlan **ret, char **reterr_message);
int neighbors_plan(Types__ARPNeighbor *const *neighbors, size_t n, NeighborPlan **ret,
                   char **reterr_message);
