/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink messages: see rtnl.h. */

#include "basic/rtnl.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>

size_t rtnl_ip_size(uint8_t family)
{
        return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

bool rtnl_ip_equal(const RtnlIp *a, const RtnlIp *b)
{
        return a->family == b->family && memcmp(a->bytes, b->bytes, rtnl_ip_size(a->family)) == 0;
}

int rtnl_ip_parse(const char *s, RtnlIp *ret)
{
        RtnlIp ip = { .family = strchr(s, ':') ? AF_INET6 : AF_INET };

        if (inet_pton(ip.family, s, ip.bytes) != 1)
                return -EINVAL;
        *ret = ip;
        return 0;
}

const char *rtnl_ip_format(const RtnlIp *ip, char buf[static 46])
{
        if (rtnl_ip_size(ip->family) == 0 || !inet_ntop(ip->family, ip->bytes, buf, 46))
                buf[0] = '\0';
        return buf;
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
               c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int rtnl_mac_parse(const char *s, uint8_t ret[static 6])
{
        uint8_t mac[6];

        if (strlen(s) != 17)
                return -EINVAL;
        for (size_t i = 0; i < 6; i++) {
                int high = hex_digit(s[3 * i]), low = hex_digit(s[3 * i + 1]);

                if (high < 0 || low < 0 || (i < 5 && s[3 * i + 2] != ':'))
                        return -EINVAL;
                mac[i] = (uint8_t) (high << 4 | low);
        }

        memcpy(ret, mac, sizeof(mac));
        return 0;
}

const char *rtnl_mac_format(const uint8_t *hw, size_t n, char buf[static 3 * RTNL_HW_MAX])
{
        char *p = buf;

        *p = '\0';
        for (size_t i = 0; i < n && i < RTNL_HW_MAX; i++)
                p += sprintf(p, "%s%02x", i > 0 ? ":" : "", hw[i]);
        return buf;
}

/* Attribute → address; family 0 if it is not there, -EBADMSG for a length that does not go with family. */
static int take_ip(const NetlinkAttr *attr, uint8_t family, RtnlIp *ret)
{
        size_t n = rtnl_ip_size(family);

        *ret = (RtnlIp) {};
        if (!attr->data)
                return 0;
        if (n == 0 || attr->size != n)
                return -EBADMSG;
        ret->family = family;
        memcpy(ret->bytes, attr->data, n);
        return 0;
}

static void take_kind(const NetlinkAttr *link_info, char ret[static RTNL_KIND_MAX])
{
        NetlinkAttr attrs[IFLA_INFO_KIND + 1];
        const NetlinkAttr *kind = &attrs[IFLA_INFO_KIND];

        if (link_info->data && netlink_attrs(link_info->data, link_info->size, attrs, ELEMENTSOF(attrs)) >= 0 &&
            kind->data)
                memcpy(ret, kind->data, strnlen((const char *) kind->data, MIN(kind->size, RTNL_KIND_MAX - 1)));
}

int rtnl_parse_link(const NetlinkMessage *message, RtnlLink *ret)
{
        NetlinkAttr attrs[IFLA_LINKINFO + 1];
        const NetlinkAttr *name = &attrs[IFLA_IFNAME], *hw = &attrs[IFLA_ADDRESS];
        struct ifinfomsg info;
        RtnlLink link = {};
        int r;

        if (message->type != RTM_NEWLINK)
                return 0;
        if (message->size < sizeof(info))
                return -EBADMSG;
        memcpy(&info, message->payload, sizeof(info));
        r = netlink_attrs(message->payload + NLMSG_ALIGN(sizeof(info)),
                          message->size - NLMSG_ALIGN(sizeof(info)), attrs, ELEMENTSOF(attrs));
        if (r < 0)
                return r;
        if (info.ifi_index <= 0 || !name->data)
                return 0;
        if (name->size == 0 || name->size > sizeof(link.name) || name->data[name->size - 1] != 0)
                return -EBADMSG;

        link.index = (uint32_t) info.ifi_index;
        link.flags = info.ifi_flags;
        link.type = info.ifi_type;
        link.mtu = netlink_attr_u32(&attrs[IFLA_MTU], 0);
        link.master = netlink_attr_u32(&attrs[IFLA_MASTER], 0);
        take_kind(&attrs[IFLA_LINKINFO], link.kind);
        memcpy(link.name, name->data, name->size);
        if (hw->data && hw->size <= sizeof(link.hw)) {
                memcpy(link.hw, hw->data, hw->size);
                link.n_hw = hw->size;
        }
        *ret = link;
        return 1;
}

int rtnl_parse_address(const NetlinkMessage *message, RtnlAddress *ret)
{
        NetlinkAttr attrs[IFA_FLAGS + 1];
        struct ifaddrmsg info;
        RtnlAddress address;
        int r;

        if (message->type != RTM_NEWADDR)
                return 0;
        if (message->size < sizeof(info))
                return -EBADMSG;
        memcpy(&info, message->payload, sizeof(info));
        if (rtnl_ip_size(info.ifa_family) == 0)
                return 0;
        r = netlink_attrs(message->payload + NLMSG_ALIGN(sizeof(info)),
                          message->size - NLMSG_ALIGN(sizeof(info)), attrs, ELEMENTSOF(attrs));
        if (r < 0)
                return r;

        address = (RtnlAddress) {
                .index = info.ifa_index, .prefix = info.ifa_prefixlen, .scope = info.ifa_scope,
                .flags = netlink_attr_u32(&attrs[IFA_FLAGS], info.ifa_flags),
        };
        /* On a point-to-point link the other one is that of the peer. */
        r = take_ip(attrs[IFA_LOCAL].data ? &attrs[IFA_LOCAL] : &attrs[IFA_ADDRESS], info.ifa_family,
                    &address.ip);
        if (r < 0)
                return r;
        if (address.ip.family == 0)
                return 0;
        *ret = address;
        return 1;
}

static uint32_t take_mtu(const NetlinkAttr *metrics)
{
        NetlinkAttr attrs[RTAX_MTU + 1];

        if (!metrics->data || netlink_attrs(metrics->data, metrics->size, attrs, ELEMENTSOF(attrs)) < 0)
                return 0;
        return netlink_attr_u32(&attrs[RTAX_MTU], 0);
}

/* RTA_VIA: a gateway of any family. */
static int take_via(const NetlinkAttr *via, RtnlIp *ret)
{
        NetlinkAttr rest;
        uint16_t family;

        if (via->size < sizeof(family))
                return -EBADMSG;
        memcpy(&family, via->data, sizeof(family));
        rest = (NetlinkAttr) { .data = via->data + sizeof(family), .size = via->size - sizeof(family) };
        return family > UINT8_MAX ? -EBADMSG : take_ip(&rest, (uint8_t) family, ret);
}

static int take_hop(const NetlinkAttr *attrs, RtnlRoute *route)
{
        if (attrs[RTA_VIA].data)
                return take_via(&attrs[RTA_VIA], &route->gateway);
        return take_ip(&attrs[RTA_GATEWAY], route->family, &route->gateway);
}

static int take_first_hop(const NetlinkAttr *multipath, RtnlRoute *route)
{
        NetlinkAttr attrs[RTA_VIA + 1];
        struct rtnexthop hop;
        int r;

        if (multipath->size < sizeof(hop))
                return -EBADMSG;
        memcpy(&hop, multipath->data, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > multipath->size)
                return -EBADMSG;
        r = netlink_attrs(multipath->data + sizeof(hop), hop.rtnh_len - sizeof(hop), attrs,
                          ELEMENTSOF(attrs));
        if (r < 0)
                return r;
        route->multipath = true;
        route->index = (uint32_t) hop.rtnh_ifindex;
        route->flags |= hop.rtnh_flags;
        return take_hop(attrs, route);
}

int rtnl_parse_route(const NetlinkMessage *message, RtnlRoute *ret)
{
        NetlinkAttr attrs[RTA_VIA + 1];
        struct rtmsg info;
        RtnlRoute route;
        int r;

        if (message->type != RTM_NEWROUTE)
                return 0;
        if (message->size < sizeof(info))
                return -EBADMSG;
        memcpy(&info, message->payload, sizeof(info));
        if (rtnl_ip_size(info.rtm_family) == 0)
                return 0;
        r = netlink_attrs(message->payload + NLMSG_ALIGN(sizeof(info)),
                          message->size - NLMSG_ALIGN(sizeof(info)), attrs, ELEMENTSOF(attrs));
        if (r < 0)
                return r;

        route = (RtnlRoute) {
                .family = info.rtm_family, .prefix = info.rtm_dst_len, .scope = info.rtm_scope,
                .type = info.rtm_type, .protocol = info.rtm_protocol, .flags = info.rtm_flags,
                .table = netlink_attr_u32(&attrs[RTA_TABLE], info.rtm_table),
                .priority = netlink_attr_u32(&attrs[RTA_PRIORITY], 0),
                .mtu = take_mtu(&attrs[RTA_METRICS]), .index = netlink_attr_u32(&attrs[RTA_OIF], 0),
        };
        r = take_ip(&attrs[RTA_DST], route.family, &route.dest);
        if (r >= 0)
                r = take_ip(&attrs[RTA_PREFSRC], route.family, &route.source);
        if (r >= 0)
                r = attrs[RTA_MULTIPATH].data ? take_first_hop(&attrs[RTA_MULTIPATH], &route)
                                              : take_hop(attrs, &route);
        if (r < 0)
                return r;
        *ret = route;
        return 1;
}

int rtnl_parse_neighbor(const NetlinkMessage *message, RtnlNeighbor *ret)
{
        NetlinkAttr attrs[NDA_LLADDR + 1];
        const NetlinkAttr *hw = &attrs[NDA_LLADDR];
        RtnlNeighbor neighbor;
        struct ndmsg info;
        int r;

        if (message->type != RTM_NEWNEIGH)
                return 0;
        if (message->size < sizeof(info))
                return -EBADMSG;
        memcpy(&info, message->payload, sizeof(info));
        /* AF_BRIDGE: where a bridge has seen an address. */
        if (rtnl_ip_size(info.ndm_family) == 0 || info.ndm_ifindex <= 0)
                return 0;
        r = netlink_attrs(message->payload + NLMSG_ALIGN(sizeof(info)),
                          message->size - NLMSG_ALIGN(sizeof(info)), attrs, ELEMENTSOF(attrs));
        if (r < 0)
                return r;

        neighbor = (RtnlNeighbor) {
                .index = (uint32_t) info.ndm_ifindex, .state = info.ndm_state, .flags = info.ndm_flags,
        };
        r = take_ip(&attrs[NDA_DST], info.ndm_family, &neighbor.ip);
        if (r < 0)
                return r;
        if (neighbor.ip.family == 0)
                return 0;
        if (hw->data && hw->size <= sizeof(neighbor.hw)) {
                memcpy(neighbor.hw, hw->data, hw->size);
                neighbor.n_hw = hw->size;
        }
        *ret = neighbor;
        return 1;
}

void rtnl_build_list_links(NetlinkRequest *request)
{
        struct ifinfomsg info = { .ifi_family = AF_UNSPEC };

        netlink_begin(request, RTM_GETLINK, 0, &info, sizeof(info));
        /* Statistics make the answers several times as long. */
        netlink_add_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void rtnl_build_list_addresses(NetlinkRequest *request, uint32_t index)
{
        struct ifaddrmsg info = { .ifa_family = AF_UNSPEC, .ifa_index = index };

        netlink_begin(request, RTM_GETADDR, 0, &info, sizeof(info));
}

void rtnl_build_list_routes(NetlinkRequest *request, uint8_t family)
{
        struct rtmsg info = { .rtm_family = family };

        netlink_begin(request, RTM_GETROUTE, 0, &info, sizeof(info));
}

void rtnl_build_list_neighbors(NetlinkRequest *request)
{
        struct ndmsg info = { .ndm_family = AF_UNSPEC };

        netlink_begin(request, RTM_GETNEIGH, 0, &info, sizeof(info));
}

void rtnl_build_set_link(NetlinkRequest *request, uint32_t index, const char *name, uint32_t mtu,
                         uint32_t flags, uint32_t mask)
{
        struct ifinfomsg info = {
                .ifi_family = AF_UNSPEC, .ifi_index = (int) index, .ifi_flags = flags, .ifi_change = mask,
        };

        netlink_begin(request, RTM_NEWLINK, 0, &info, sizeof(info));
        if (name)
                netlink_add_string(request, IFLA_IFNAME, name);
        if (mtu > 0)
                netlink_add_u32(request, IFLA_MTU, mtu);
}

void rtnl_build_set_mac(NetlinkRequest *request, uint32_t index, const uint8_t mac[static 6])
{
        struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int) index };

        netlink_begin(request, RTM_NEWLINK, 0, &info, sizeof(info));
        netlink_add(request, IFLA_ADDRESS, mac, 6);
}

/* The kernel has a route for it anyway; programs ask the address for it. */
static void add_broadcast(NetlinkRequest *request, const RtnlAddress *address)
{
        uint8_t bytes[4];

        if (address->ip.family != AF_INET || address->prefix > 30)
                return;
        for (unsigned i = 0; i < sizeof(bytes); i++) {
                unsigned fixed = address->prefix > 8 * i ? address->prefix - 8 * i : 0;

                bytes[i] = (uint8_t) (address->ip.bytes[i] | (fixed >= 8 ? 0 : 0xff >> fixed));
        }
        netlink_add(request, IFA_BROADCAST, bytes, sizeof(bytes));
}

static void build_address(NetlinkRequest *request, uint16_t type, uint16_t flags,
                          const RtnlAddress *address)
{
        struct ifaddrmsg info = {
                .ifa_family = address->ip.family, .ifa_prefixlen = address->prefix,
                .ifa_scope = address->scope, .ifa_index = address->index,
        };
        size_t n = rtnl_ip_size(address->ip.family);

        netlink_begin(request, type, flags, &info, sizeof(info));
        netlink_add(request, IFA_LOCAL, address->ip.bytes, n);
        if (type == RTM_NEWADDR) {
                netlink_add(request, IFA_ADDRESS, address->ip.bytes, n);
                add_broadcast(request, address);
                if (address->flags != 0)
                        netlink_add_u32(request, IFA_FLAGS, address->flags);
        }
}

void rtnl_build_add_address(NetlinkRequest *request, const RtnlAddress *address)
{
        build_address(request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
}

void rtnl_build_delete_address(NetlinkRequest *request, const RtnlAddress *address)
{
        build_address(request, RTM_DELADDR, 0, address);
}

static void add_gateway(NetlinkRequest *request, const RtnlRoute *route)
{
        size_t n = rtnl_ip_size(route->gateway.family);

        if (route->gateway.family == route->family)
                netlink_add(request, RTA_GATEWAY, route->gateway.bytes, n);
        else if (n > 0) {
                uint8_t via[sizeof(uint16_t) + sizeof(route->gateway.bytes)];
                uint16_t family = route->gateway.family;

                memcpy(via, &family, sizeof(family));
                memcpy(via + sizeof(family), route->gateway.bytes, n);
                netlink_add(request, RTA_VIA, via, sizeof(family) + n);
        }
}

static void build_route(NetlinkRequest *request, uint16_t type, uint16_t flags, const RtnlRoute *route)
{
        struct rtmsg info = {
                .rtm_family = route->family, .rtm_dst_len = route->prefix, .rtm_table = RT_TABLE_MAIN,
                .rtm_protocol = route->protocol, .rtm_scope = route->scope, .rtm_type = route->type,
                .rtm_flags = route->flags,
        };

        netlink_begin(request, type, flags, &info, sizeof(info));
        if (route->dest.family != 0)
                netlink_add(request, RTA_DST, route->dest.bytes, rtnl_ip_size(route->family));
        add_gateway(request, route);
        if (route->source.family != 0)
                netlink_add(request, RTA_PREFSRC, route->source.bytes, rtnl_ip_size(route->family));
        if (route->index != 0)
                netlink_add_u32(request, RTA_OIF, route->index);
        if (route->mtu > 0) {
                size_t place = netlink_nest(request, RTA_METRICS);

                netlink_add_u32(request, RTAX_MTU, route->mtu);
                netlink_nest_end(request, place);
        }
}

void rtnl_build_add_route(NetlinkRequest *request, const RtnlRoute *route)
{
        build_route(request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
}

void rtnl_build_delete_route(NetlinkRequest *request, const RtnlRoute *route)
{
        build_route(request, RTM_DELROUTE, 0, route);
}

void rtnl_build_replay_route(NetlinkRequest *request, uint16_t type, uint16_t flags,
                             const uint8_t *payload, size_t n)
{
        struct rtmsg info;

        netlink_begin(request, type, flags, payload, n);
        if (request->full || n < sizeof(info))
                return;
        /* States of the link that the kernel tells and does not take. */
        memcpy(&info, request->data + NLMSG_HDRLEN, sizeof(info));
        info.rtm_flags &= RTNH_F_ONLINK;
        memcpy(request->data + NLMSG_HDRLEN, &info, sizeof(info));
}

void rtnl_build_add_neighbor(NetlinkRequest *request, const RtnlNeighbor *neighbor)
{
        struct ndmsg info = {
                .ndm_family = neighbor->ip.family, .ndm_ifindex = (int) neighbor->index,
                .ndm_state = neighbor->state, .ndm_flags = neighbor->flags,
        };

        netlink_begin(request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
        netlink_add(request, NDA_DST, neighbor->ip.bytes, rtnl_ip_size(neighbor->ip.family));
        if (neighbor->n_hw > 0)
                netlink_add(request, NDA_LLADDR, neighbor->hw, neighbor->n_hw);
}
