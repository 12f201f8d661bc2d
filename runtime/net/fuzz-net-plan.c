/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel tells about a network namespace, whose links and filters workloads have made, and the plan that comes
 * of it.
 */

#include "basic/parse.h"
#include "runtime/net/plan.h"
#include "runtime/net/traffic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEMS 600U

static RtnlLink links[ITEMS];
static RtnlAddress addresses[ITEMS];
static RouteEntry routes[ITEMS];
static RtnlNeighbor neighbors[ITEMS];

static void check_plan(const NetPlan *plan)
{
        assert(plan->n_interfaces <= NET_PLAN_INTERFACES_MAX);
        assert(plan->routes.n_routes <= NET_PLAN_ROUTES_MAX);
        assert(plan->neighbors.n_arpneighbors <= NET_PLAN_NEIGHBORS_MAX);
        for (size_t i = 0; i < plan->n_interfaces; i++) {
                const NetInterface *interface = &plan->interfaces[i];

                assert(interface->message->mtu == interface->mtu && !(interface->mac[0] & 1));
                assert(utf8_is_valid(interface->message->name, strlen(interface->message->name)));
                assert(memchr(interface->name, '\0', sizeof(interface->name)));
        }
        for (size_t i = 0; i < plan->routes.n_routes; i++)
                assert(*plan->routes.routes[i]->device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        NetScan scan = {
                .links.v = links, .addresses.v = addresses, .routes.v = routes, .neighbors.v = neighbors,
        };
        static const NetSpare spare = { .tap = "kata0", .mac = { 2, 0, 0, 0, 0, 1 } };
        _cleanup_(net_plan_freep) NetPlan *plan = NULL, *late = NULL;
        _cleanup_free_ char *message = NULL;
        NetlinkMessage m;
        uint32_t to = 1;
        int r;

        if (size > KIB(64))
                return 0;
        while (netlink_next(&data, &size, &m) > 0) {
                if (scan.links.n < ITEMS && rtnl_parse_link(&m, &links[scan.links.n]) > 0)
                        scan.links.n++;
                if (scan.addresses.n < ITEMS && rtnl_parse_address(&m, &addresses[scan.addresses.n]) > 0)
                        scan.addresses.n++;
                if (scan.routes.n < ITEMS && rtnl_parse_route(&m, &routes[scan.routes.n].route) > 0)
                        scan.routes.n++;
                if (scan.neighbors.n < ITEMS && rtnl_parse_neighbor(&m, &neighbors[scan.neighbors.n]) > 0)
                        scan.neighbors.n++;
                r = traffic_parse_redirect(&m, &to);
                assert(r <= 1 && (r < 0 || (r > 0) == (to > 0)));
        }

        if (net_plan_new(&scan, NULL, &plan, &message) >= 0)
                check_plan(plan);
        else
                assert(message);
        message = mfree(message);
        if (net_plan_new(&scan, &spare, &late, &message) >= 0) {
                check_plan(late);
                assert(late->n_interfaces <= 1);
                for (size_t i = 0; i < late->n_interfaces; i++)
                        assert(!streq(late->interfaces[i].name, spare.tap) && late->interfaces[i].guest_address);
        } else
                assert(message);
        return 0;
}
