/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What there is in this network namespace, read as a whole: bounded lists. A dump that the kernel calls
 * inconsistent is repeated.
 */

#include "basic/rtnl.h"

typedef struct LinkList {
        RtnlLink *v;
        size_t n;
} LinkList;

typedef struct AddressList {
        RtnlAddress *v;
        size_t n;
} AddressList;

typedef struct RouteEntry {
        RtnlRoute route;
        uint8_t *raw;           /* as the kernel told it, for rtnl_build_replay_route() */
        size_t n_raw;
        bool done;              /* the caller's */
} RouteEntry;

typedef struct RouteList {
        RouteEntry *v;
        size_t n;
} RouteList;

typedef struct NeighborList {
        RtnlNeighbor *v;
        size_t n;
} NeighborList;

/* The lists are zero before. -E2BIG with a text over NET_*_MAX. */
int link_list_read(LinkList *list, Netlink *netlink, char **reterr_message);
void link_list_done(LinkList *list);
int address_list_read(AddressList *list, Netlink *netlink, uint32_t index, char **reterr_message);
void address_list_done(AddressList *list);
/* Main table, IPv4 first; no copies that the kernel keeps for itself. */
int route_list_read(RouteList *list, Netlink *netlink, char **reterr_message);
void route_list_done(RouteList *list);
/* Those that somebody has put there (NUD_PERMANENT), not what was learned. */
int neighbor_list_read(NeighborList *list, Netlink *netlink, char **reterr_message);
void neighbor_list_done(NeighborList *list);

/* NULL if there is none. */
const RtnlLink *link_list_by_name(const LinkList *list, const char *name);
const RtnlLink *link_list_by_index(const LinkList *list, uint32_t index);
/* "eth0 52:54:00:12:34:56, lo" cut to the buffer: for errors. */
const char *link_list_describe(const LinkList *list, char *buf, size_t n);
