/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Links, addresses, routes and neighbours as rtnetlink has them: structures ↔ messages, no I/O. Facts:
 * rtnetlink(7), include/uapi/linux/{if_link,if_addr,rtnetlink,neighbour}.h.
 *
 * What is read comes from the kernel, but workloads may have chosen it: nothing is trusted but the bounds
 * that netlink.h has checked.
 */

#include <net/if.h>

#include "basic/netlink.h"

/* Room for any hardware address that the kernel knows; Ethernet has 6 bytes. */
#define RTNL_HW_MAX 32U
/* "veth", "tun": longer ones are cut. */
#define RTNL_KIND_MAX 16U

typedef struct RtnlLink {
        uint32_t index, flags, mtu;     /* flags: IFF_* */
        uint16_t type;                  /* ARPHRD_* */
        uint32_t master;                /* of the bridge or bond that it is a port of; 0: none */
        char name[IFNAMSIZ];
        char kind[RTNL_KIND_MAX];       /* "" for hardware */
        uint8_t hw[RTNL_HW_MAX];
        size_t n_hw;
} RtnlLink;

/* family: AF_INET with 4 bytes, AF_INET6 with 16; 0: no address. */
typedef struct RtnlIp {
        uint8_t family;
        uint8_t bytes[16];
} RtnlIp;

typedef struct RtnlAddress {
        uint32_t index;         /* of the link */
        RtnlIp ip;
        uint8_t prefix, scope;  /* scope: RT_SCOPE_* */
        uint32_t flags;         /* IFA_F_* */
} RtnlAddress;

typedef struct RtnlRoute {
        uint8_t family, prefix, scope, type, protocol;
        uint32_t table, flags, mtu;     /* flags: RTNH_F_*, RTM_F_*; mtu 0: that of the link */
        uint32_t priority;              /* read only: new ones get the kernel's default */
        RtnlIp dest;                    /* family 0: default */
        RtnlIp gateway, source;         /* family 0: none; the gateway's may differ from the route's */
        uint32_t index;                 /* outgoing link, 0: none */
        bool multipath;                 /* there are more hops than the one here */
} RtnlRoute;

typedef struct RtnlNeighbor {
        uint32_t index;
        RtnlIp ip;
        uint8_t hw[RTNL_HW_MAX];
        size_t n_hw;            /* 0: none */
        uint16_t state;         /* NUD_* */
        uint8_t flags;          /* NTF_* */
} RtnlNeighbor;

size_t rtnl_ip_size(uint8_t family);
bool rtnl_ip_equal(const RtnlIp *a, const RtnlIp *b);
/* Strict: "10.0.0.1" or "fe80::1", no zone. -EINVAL */
int rtnl_ip_parse(const char *s, RtnlIp *ret);
/* "" for family 0. */
const char *rtnl_ip_format(const RtnlIp *ip, char buf[static 46]);
/* Six pairs of hexadecimal digits with colons, any case. -EINVAL */
int rtnl_mac_parse(const char *s, uint8_t ret[static 6]);
/* Lower case; "" if there is none. */
const char *rtnl_mac_format(const uint8_t *hw, size_t n, char buf[static 3 * RTNL_HW_MAX]);

/* 0 for messages of another kind and for those without a name; 1 with a structure; -EBADMSG. */
int rtnl_parse_link(const NetlinkMessage *message, RtnlLink *ret);
int rtnl_parse_address(const NetlinkMessage *message, RtnlAddress *ret);
/* Of a route with several next hops ret has the first. */
int rtnl_parse_route(const NetlinkMessage *message, RtnlRoute *ret);
int rtnl_parse_neighbor(const NetlinkMessage *message, RtnlNeighbor *ret);

/* Dumps. index 0: of all links. */
void rtnl_build_list_links(NetlinkRequest *request);
void rtnl_build_list_addresses(NetlinkRequest *request, uint32_t index);
void rtnl_build_list_routes(NetlinkRequest *request, uint8_t family);
void rtnl_build_list_neighbors(NetlinkRequest *request);

/* Changes of one link; name NULL and mtu 0: as they are. Of the flags those in mask. */
void rtnl_build_set_link(NetlinkRequest *request, uint32_t index, const char *name, uint32_t mtu,
                         uint32_t flags, uint32_t mask);
void rtnl_build_set_mac(NetlinkRequest *request, uint32_t index, const uint8_t mac[static 6]);
void rtnl_build_add_address(NetlinkRequest *request, const RtnlAddress *address);
void rtnl_build_delete_address(NetlinkRequest *request, const RtnlAddress *address);
/* -EEXIST from the kernel if there is a route to the same destination. */
void rtnl_build_add_route(NetlinkRequest *request, const RtnlRoute *route);
void rtnl_build_delete_route(NetlinkRequest *request, const RtnlRoute *route);
/* The route as the kernel has told it, n bytes of payload, is deleted or made again. */
void rtnl_build_replay_route(NetlinkRequest *request, uint16_t type, uint16_t flags,
                             const uint8_t *payload, size_t n);
/* Also replaces one that is there. */
void rtnl_build_add_neighbor(NetlinkRequest *request, const RtnlNeighbor *neighbor);
