/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's terms to the protocol's: see net-message.h. */

#include "proto/net-message.h"

#include "basic/parse.h"

static char *arena_strdup(PbArena *arena, const char *s)
{
        size_t n = strlen(s) + 1;
        char *copy = pb_arena_alloc(arena, n);

        return copy ? memcpy(copy, s, n) : NULL;
}

/* Names come from whoever made the interface and need not be UTF-8, which the wire asks for. */
static char *arena_name(PbArena *arena, const char *s)
{
        _cleanup_free_ char *escaped = text_escape(s, strlen(s), 4 * IFNAMSIZ);

        return escaped ? arena_strdup(arena, escaped) : NULL;
}

int interface_to_message(const RtnlLink *link, const RtnlAddress *addresses, size_t n, PbArena *arena,
                         Types__Interface **ret)
{
        Types__Interface *message = pb_arena_alloc(arena, sizeof(*message));
        char buf[3 * RTNL_HW_MAX], ip[46], prefix[8];

        if (!message)
                return -ENOBUFS;
        *message = (Types__Interface) TYPES__INTERFACE__INIT;
        message->name = arena_name(arena, link->name);
        message->hwaddr = arena_strdup(arena, rtnl_mac_format(link->hw, link->n_hw, buf));
        message->mtu = link->mtu;
        message->raw_flags = link->flags & IFF_NOARP;
        message->ipaddresses = pb_arena_alloc(arena, MAX(n, (size_t) 1) * sizeof(Types__IPAddress *));
        if (!message->name || !message->hwaddr || !message->ipaddresses)
                return -ENOBUFS;

        for (size_t i = 0; i < n; i++) {
                Types__IPAddress *a;

                if (addresses[i].index != link->index)
                        continue;
                a = pb_arena_alloc(arena, sizeof(*a));
                if (!a)
                        return -ENOBUFS;
                *a = (Types__IPAddress) TYPES__IPADDRESS__INIT;
                snprintf(prefix, sizeof(prefix), "%u", addresses[i].prefix);
                a->family = addresses[i].ip.family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
                a->address = arena_strdup(arena, rtnl_ip_format(&addresses[i].ip, ip));
                a->mask = arena_strdup(arena, prefix);
                if (!a->address || !a->mask)
                        return -ENOBUFS;
                message->ipaddresses[message->n_ipaddresses++] = a;
        }

        *ret = message;
        return 0;
}

int route_to_message(const RtnlRoute *route, const char *device, PbArena *arena, Types__Route **ret)
{
        Types__Route *message = pb_arena_alloc(arena, sizeof(*message));
        char ip[46], network[64] = "";

        if (!message)
                return -ENOBUFS;
        *message = (Types__Route) TYPES__ROUTE__INIT;
        if (route->prefix > 0)
                snprintf(network, sizeof(network), "%s/%u", rtnl_ip_format(&route->dest, ip),
                         route->prefix);
        message->dest = arena_strdup(arena, network);
        message->gateway = arena_strdup(arena, rtnl_ip_format(&route->gateway, ip));
        message->device = arena_name(arena, device);
        message->source = arena_strdup(arena, rtnl_ip_format(&route->source, ip));
        if (!message->dest || !message->gateway || !message->device || !message->source)
                return -ENOBUFS;
        message->scope = route->scope;
        message->family = route->family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
        message->flags = route->flags & RTNH_F_ONLINK;
        message->mtu = route->mtu;
        *ret = message;
        return 0;
}

int neighbor_to_message(const RtnlNeighbor *neighbor, const char *device, PbArena *arena,
                        Types__ARPNeighbor **ret)
{
        Types__ARPNeighbor *message = pb_arena_alloc(arena, sizeof(*message));
        Types__IPAddress *to = pb_arena_alloc(arena, sizeof(*to));
        char ip[46], buf[3 * RTNL_HW_MAX];

        if (!message || !to)
                return -ENOBUFS;
        *message = (Types__ARPNeighbor) TYPES__ARPNEIGHBOR__INIT;
        *to = (Types__IPAddress) TYPES__IPADDRESS__INIT;
        to->family = neighbor->ip.family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
        to->address = arena_strdup(arena, rtnl_ip_format(&neighbor->ip, ip));
        message->toipaddress = to;
        message->device = arena_name(arena, device);
        message->lladdr = arena_strdup(arena, rtnl_mac_format(neighbor->hw, neighbor->n_hw, buf));
        if (!to->address || !message->device || !message->lladdr)
                return -ENOBUFS;
        message->state = neighbor->state;
        message->flags = neighbor->flags;
        *ret = message;
        return 0;
}
