/* SPDX-License-Identifier: Apache-2.0 */
/* A netlink dump: every message in it as a link, an address, a route, a neighbour and an error, and their answers. */

#include "basic/parse.h"
#include "proto/net-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_link(const NetlinkMessage *message, const RtnlAddress *addresses, size_t n)
{
        _cleanup_pb_arena_ PbArena arena;
        Types__Interface *out;
        RtnlLink link;

        pb_arena_init(&arena, 0);
        if (rtnl_parse_link(message, &link) <= 0)
                return;
        assert(memchr(link.name, '\0', sizeof(link.name)) && link.n_hw <= sizeof(link.hw));
        assert(memchr(link.kind, '\0', sizeof(link.kind)));
        assert(link.index > 0);
        if (interface_to_message(&link, addresses, n, &arena, &out) >= 0)
                assert(out->n_ipaddresses <= n && utf8_is_valid(out->name, strlen(out->name)));
}

static void try_route(const NetlinkMessage *message)
{
        _cleanup_pb_arena_ PbArena arena;
        static NetlinkRequest request;
        Types__Route *out;
        RtnlRoute route;

        pb_arena_init(&arena, 0);
        if (rtnl_parse_route(message, &route) <= 0)
                return;
        assert(route.dest.family == 0 || route.dest.family == route.family);
        assert(route_to_message(&route, "eth0", &arena, &out) >= 0);
        rtnl_build_replay_route(&request, RTM_DELROUTE, 0, message->payload, message->size);
        assert(request.size <= sizeof(request.data));
        rtnl_build_add_route(&request, &route);
        assert(!request.full);
}

static void try_neighbor(const NetlinkMessage *message)
{
        _cleanup_pb_arena_ PbArena arena;
        static NetlinkRequest request;
        Types__ARPNeighbor *out;
        RtnlNeighbor neighbor;

        pb_arena_init(&arena, 0);
        if (rtnl_parse_neighbor(message, &neighbor) <= 0)
                return;
        assert(neighbor.n_hw <= sizeof(neighbor.hw) && rtnl_ip_size(neighbor.ip.family) > 0);
        assert(neighbor_to_message(&neighbor, "eth0", &arena, &out) >= 0);
        rtnl_build_add_neighbor(&request, &neighbor);
        assert(!request.full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ uint8_t *copy = malloc(size > 0 ? size : 1);
        RtnlAddress addresses[8];
        NetlinkMessage message;
        const uint8_t *p = copy;
        size_t n = size, n_addresses = 0;

        if (!copy || size > KIB(64))
                return 0;
        if (size > 0)
                memcpy(copy, data, size);

        while (netlink_next(&p, &n, &message) > 0) {
                _cleanup_free_ char *text = NULL;

                assert(message.payload + message.size <= copy + size);
                if (netlink_error(&message, &text) >= 0)
                        assert(!text);
                if (n_addresses < ELEMENTSOF(addresses) &&
                    rtnl_parse_address(&message, &addresses[n_addresses]) > 0)
                        n_addresses++;
                try_link(&message, addresses, n_addresses);
                try_route(&message);
                try_neighbor(&message);
        }
        return 0;
}
