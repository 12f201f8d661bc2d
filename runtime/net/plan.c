/* SPDX-License-Identifier: Apache-2.0 */
/* From a scan to a plan: see plan.h. */

#include "runtime/net/plan.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if_arp.h>
#include <stdarg.h>

#include "basic/error.h"
#include "basic/parse.h"
#include "proto/net-message.h"

/* Notes are for people. */
#define NOTES_MAX 32U

static _printf_(2, 3) int add_note(NetPlan *plan, const char *format, ...)
{
        char *text;
        va_list ap;
        int r;

        if (plan->notes.n >= NOTES_MAX)
                return 0;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        return r < 0 ? -ENOMEM : strv_consume(&plan->notes, text);
}

static const NetInterface *find_interface(const NetPlan *plan, uint32_t index)
{
        for (size_t i = 0; i < plan->n_interfaces; i++)
                if (plan->interfaces[i].index == index)
                        return &plan->interfaces[i];

        return NULL;
}

/* --- interfaces --- */

static bool mac_is_usable(const RtnlLink *link)
{
        static const uint8_t none[6];

        return link->n_hw == sizeof(none) && memcmp(link->hw, none, sizeof(none)) != 0 && !(link->hw[0] & 1);
}

/* Why a link is not one of the guest's; NULL: it is. "": it never is, and nobody wonders. */
static const char *reason_against(const NetPlan *plan, const RtnlLink *link, const NetSpare *spare)
{
        if ((link->flags & IFF_LOOPBACK) || isempty(link->name) || (spare && streq(link->name, spare->tap)))
                return "";
        if (!(link->flags & IFF_UP))
                return "is down";
        if (link->type != ARPHRD_ETHER)
                return "is not Ethernet";
        if (streq(link->kind, "tun"))
                return "is a tap device";
        if (link->master != 0)
                return "is a port of another interface";
        if (!mac_is_usable(link))
                return "has no MAC address";
        return spare && plan->n_interfaces > 0 ?
               "came when the machine was running, which has a place for one; set all of them up before the sandbox "
               "starts" : NULL;
}

/* Its place has been made, with an address of its own. */
static int use_spare(NetPlan *plan, NetInterface *interface, const NetSpare *spare)
{
        char text[3 * RTNL_HW_MAX];
        size_t n;

        memcpy(interface->tap, spare->tap, sizeof(interface->tap));
        n = strlen(rtnl_mac_format(spare->mac, sizeof(spare->mac), text)) + 1;
        interface->guest_address = pb_arena_alloc(&plan->arena, n);
        if (!interface->guest_address)
                return -ENOMEM;
        memcpy(interface->guest_address, text, n);
        return 0;
}

static int take_interface(NetPlan *plan, const RtnlLink *link, const NetSpare *spare, const char *shown,
                          char **reterr_message)
{
        NetInterface *interface;

        if (plan->n_interfaces >= NET_PLAN_INTERFACES_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u interfaces for the guest",
                                  NET_PLAN_INTERFACES_MAX);
        if (link->mtu < VIRTIO_NET_MTU_MIN)
                return error_setf(reterr_message, -EINVAL, "interface %s has an MTU of %u: at least %u is needed",
                                  shown, link->mtu, VIRTIO_NET_MTU_MIN);
        for (size_t i = 0; i < plan->n_interfaces; i++)
                if (memcmp(plan->interfaces[i].mac, link->hw, sizeof(plan->interfaces[i].mac)) == 0)
                        return error_setf(reterr_message, -EINVAL, "interfaces %s and %s have the same MAC address, "
                                          "by which the guest tells them apart", plan->interfaces[i].name, shown);

        interface = &plan->interfaces[plan->n_interfaces];
        *interface = (NetInterface) { .index = link->index, .mtu = link->mtu };
        memcpy(interface->name, link->name, sizeof(interface->name));
        memcpy(interface->mac, link->hw, sizeof(interface->mac));
        snprintf(interface->tap, sizeof(interface->tap), "kata%u", (unsigned) plan->n_interfaces);
        plan->n_interfaces++;
        return spare ? use_spare(plan, interface, spare) : 0;
}

/* What somebody gave the link, not what IPv6 made of its MAC address or a router's word. */
static bool address_is_given(const RtnlAddress *address)
{
        if (address->ip.family == AF_INET)
                return true;
        return address->scope != RT_SCOPE_LINK && (address->flags & IFA_F_PERMANENT) &&
               !(address->flags & IFA_F_DADFAILED);
}

static int plan_interfaces(NetPlan *plan, const NetScan *scan, const NetSpare *spare, char **reterr_message)
{
        _cleanup_free_ RtnlAddress *addresses = new(RtnlAddress, scan->addresses.n);
        size_t n = 0;
        int r;

        if (!addresses)
                return -ENOMEM;

        for (size_t i = 0; i < scan->links.n; i++) {
                const RtnlLink *link = &scan->links.v[i];
                _cleanup_free_ char *shown = text_escape(link->name, strlen(link->name), 4 * IFNAMSIZ);
                const char *reason = reason_against(plan, link, spare);

                if (!shown)
                        return -ENOMEM;
                /* Twice in the dump, as something changed meanwhile: the first time counts. */
                if (link_list_by_index(&scan->links, link->index) != link)
                        continue;
                if (!reason)
                        r = take_interface(plan, link, spare, shown, reterr_message);
                else
                        r = *reason ? add_note(plan, "interface %s %s", shown, reason) : 0;
                if (r < 0)
                        return r;
        }

        for (size_t i = 0; i < scan->addresses.n; i++)
                if (address_is_given(&scan->addresses.v[i]) && find_interface(plan, scan->addresses.v[i].index))
                        addresses[n++] = scan->addresses.v[i];
        if (n > NET_PLAN_ADDRESSES_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u addresses for the guest",
                                  NET_PLAN_ADDRESSES_MAX);

        for (size_t i = 0; i < plan->n_interfaces; i++) {
                NetInterface *interface = &plan->interfaces[i];

                r = interface_to_message(link_list_by_index(&scan->links, interface->index), addresses, n,
                                         &plan->arena, &interface->message);
                if (r < 0)
                        return r;
                interface->message->device = interface->message->name;
        }
        return 0;
}

/* --- routes and neighbours --- */

static bool route_is_given(const RtnlRoute *route)
{
        return route->protocol != RTPROT_KERNEL && route->protocol != RTPROT_RA &&
               route->protocol != RTPROT_REDIRECT && !(route->flags & RTNH_F_DEAD);
}

static int plan_route(NetPlan *plan, const RtnlRoute *route, char **reterr_message)
{
        const NetInterface *interface = find_interface(plan, route->index);
        char ip[46];

        if (!route_is_given(route))
                return 0;
        if (route->type != RTN_UNICAST)
                return add_note(plan, "a route to %s/%u leads nowhere, which the agent can not be told",
                                rtnl_ip_format(&route->dest, ip), route->prefix);
        if (!interface)
                return 0;
        if (plan->routes.n_routes >= NET_PLAN_ROUTES_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u routes for the guest", NET_PLAN_ROUTES_MAX);

        if (route->multipath) {
                int r = add_note(plan, "of a route with several next hops the first one is taken: %s",
                                 rtnl_ip_format(&route->gateway, ip));

                if (r < 0)
                        return r;
        }
        return route_to_message(route, interface->name, &plan->arena, &plan->routes.routes[plan->routes.n_routes++]);
}

static int plan_neighbor(NetPlan *plan, const RtnlNeighbor *neighbor, char **reterr_message)
{
        const NetInterface *interface = find_interface(plan, neighbor->index);
        RtnlNeighbor wanted = *neighbor;

        if (!interface || !(neighbor->state & NUD_PERMANENT) || (neighbor->flags & NTF_PROXY) ||
            neighbor->n_hw != sizeof(interface->mac))
                return 0;
        if (plan->neighbors.n_arpneighbors >= NET_PLAN_NEIGHBORS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u neighbours for the guest",
                                  NET_PLAN_NEIGHBORS_MAX);

        wanted.state = NUD_PERMANENT;
        wanted.flags &= NTF_ROUTER;
        return neighbor_to_message(&wanted, interface->name, &plan->arena,
                                   &plan->neighbors.arpneighbors[plan->neighbors.n_arpneighbors++]);
}

int net_plan_new(const NetScan *scan, const NetSpare *spare, NetPlan **ret, char **reterr_message)
{
        _cleanup_(net_plan_freep) NetPlan *plan = new0(NetPlan, 1);
        int r;

        if (!plan)
                return -ENOMEM;
        pb_arena_init(&plan->arena, 0);
        plan->routes = (Grpc__Routes) GRPC__ROUTES__INIT;
        plan->neighbors = (Grpc__ARPNeighbors) GRPC__ARPNEIGHBORS__INIT;
        plan->routes.routes = pb_arena_alloc(&plan->arena, NET_PLAN_ROUTES_MAX * sizeof(Types__Route *));
        plan->neighbors.arpneighbors = pb_arena_alloc(&plan->arena,
                                                      NET_PLAN_NEIGHBORS_MAX * sizeof(Types__ARPNeighbor *));
        if (!plan->routes.routes || !plan->neighbors.arpneighbors)
                return -ENOMEM;

        r = plan_interfaces(plan, scan, spare, reterr_message);
        for (size_t i = 0; r >= 0 && i < scan->routes.n; i++)
                r = plan_route(plan, &scan->routes.v[i].route, reterr_message);
        for (size_t i = 0; r >= 0 && i < scan->neighbors.n; i++)
                r = plan_neighbor(plan, &scan->neighbors.v[i], reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(plan);
        return 0;
}

NetPlan *net_plan_free(NetPlan *plan)
{
        if (!plan)
                return NULL;
        pb_arena_done(&plan->arena);
        strv_done(&plan->notes);
        return mfree(plan);
}
