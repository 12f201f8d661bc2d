/* SPDX-License-Identifier: Apache-2.0 */
/* Routes replaced as a whole: see network.h. */

#include "agent/network.h"
#include "basic/error.h"
#include "basic/network-state.h"
#include "proto/net-message.h"

/* What the kernel takes when a request has none (IP6_RT_PRIO_USER); it is 0 for IPv4. */
#define IPV6_PRIORITY 1024U

/* Not ours to replace: what the kernel made by itself, what leads nowhere, and the loopback. */
static bool is_fixed(const RtnlRoute *route, const LinkList *links)
{
        const RtnlLink *link = link_list_by_index(links, route->index);

        return route->protocol == RTPROT_KERNEL || route->protocol == RTPROT_RA ||
               route->protocol == RTPROT_REDIRECT || !link || (link->flags & IFF_LOOPBACK);
}

static bool is_wanted(const RtnlRoute *old, const RtnlRoute *wanted)
{
        return !old->multipath && old->family == wanted->family && old->prefix == wanted->prefix &&
               old->type == wanted->type && rtnl_ip_equal(&old->dest, &wanted->dest) &&
               rtnl_ip_equal(&old->gateway, &wanted->gateway) &&
               rtnl_ip_equal(&old->source, &wanted->source) && old->mtu == wanted->mtu &&
               old->priority == (old->family == AF_INET6 ? IPV6_PRIORITY : 0) &&
               (wanted->index == 0 || old->index == wanted->index) &&
               (old->flags & RTNH_F_ONLINK) == (wanted->flags & RTNH_F_ONLINK) &&
               /* IPv6 has no scopes. */
               (old->family == AF_INET6 || old->scope == wanted->scope);
}

static int resolve_devices(const LinkList *links, RoutePlan *plans, size_t n, char **reterr_message)
{
        char text[300];

        for (size_t i = 0; i < n; i++) {
                const RtnlLink *link;

                if (!*plans[i].device)
                        continue;
                link = link_list_by_name(links, plans[i].device);
                if (!link)
                        return error_setf(reterr_message, ENODEV, "route %s: there is no such interface "
                                          "(there are: %s)", plans[i].text,
                                          link_list_describe(links, text, sizeof(text)));
                plans[i].route.index = link->index;
        }

        return 0;
}

/* Routes without gateway first: those behind one are refused without them. */
static void put_back(Netlink *netlink, const RouteList *old)
{
        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < old->n; i++) {
                        const RouteEntry *entry = &old->v[i];
                        NetlinkRequest request;

                        if (!entry->done || (entry->route.gateway.family == 0) != (pass == 0))
                                continue;
                        rtnl_build_replay_route(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND,
                                                entry->raw, entry->n_raw);
                        (void) netlink_call(netlink, &request, NULL);
                }
}

static int delete_old(Netlink *netlink, RouteList *old, const LinkList *links, RoutePlan *plans, size_t n,
                      bool *present, char **reterr_message)
{
        for (size_t i = 0; i < old->n; i++) {
                RouteEntry *entry = &old->v[i];
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;
                bool keep = false;
                int r;

                for (size_t k = 0; k < n && !keep; k++)
                        if (is_wanted(&entry->route, &plans[k].route))
                                keep = present[k] = true;
                if (keep || is_fixed(&entry->route, links))
                        continue;

                rtnl_build_replay_route(&request, RTM_DELROUTE, 0, entry->raw, entry->n_raw);
                r = netlink_call(netlink, &request, &message);
                /* Gone with another one. */
                if (r == -ESRCH)
                        r = 0;
                if (r < 0)
                        return error_setf(reterr_message, r, "removing an old route: %s",
                                          error_text(message, r));
                entry->done = true;
        }

        return 0;
}

/* Until the first failure; *ret_n: how many of them were looked at. */
static int add_new(Netlink *netlink, const RoutePlan *plans, size_t n, bool *present, size_t *ret_n,
                   char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;
                int r;

                *ret_n = i;
                if (present[i])
                        continue;
                rtnl_build_add_route(&request, &plans[i].route);
                r = netlink_call(netlink, &request, &message);
                /* Of the kernel itself, or twice in the request: to be seen in the list that is answered. */
                if (r == -EEXIST)
                        present[i] = true;
                else if (r < 0)
                        return error_setf(reterr_message, r, "route %s: %s", plans[i].text,
                                          error_text(message, r));
        }

        *ret_n = n;
        return 0;
}

int network_update_routes(Netlink *netlink, RoutePlan *plans, size_t n, char **reterr_message)
{
        _cleanup_(route_list_done) RouteList old = {};
        _cleanup_(link_list_done) LinkList links = {};
        _cleanup_free_ bool *present = new0(bool, n);
        size_t added = 0;
        int r;

        if (!present)
                return -ENOMEM;
        r = link_list_read(&links, netlink, reterr_message);
        if (r >= 0)
                r = resolve_devices(&links, plans, n, reterr_message);
        if (r >= 0)
                r = route_list_read(&old, netlink, reterr_message);
        if (r < 0)
                return r;

        r = delete_old(netlink, &old, &links, plans, n, present, reterr_message);
        if (r >= 0)
                r = add_new(netlink, plans, n, present, &added, reterr_message);
        if (r < 0) {
                while (added > 0) {
                        NetlinkRequest request;

                        if (present[--added])
                                continue;
                        rtnl_build_delete_route(&request, &plans[added].route);
                        (void) netlink_call(netlink, &request, NULL);
                }
                put_back(netlink, &old);
        }
        return r;
}

int network_list_routes(Netlink *netlink, PbArena *arena, Grpc__Routes *ret, char **reterr_message)
{
        _cleanup_(route_list_done) RouteList routes = {};
        _cleanup_(link_list_done) LinkList links = {};
        int r;

        r = link_list_read(&links, netlink, reterr_message);
        if (r >= 0)
                r = route_list_read(&routes, netlink, reterr_message);
        if (r < 0)
                return r;

        ret->routes = pb_arena_alloc(arena, MAX(routes.n, (size_t) 1) * sizeof(*ret->routes));
        if (!ret->routes)
                return -ENOBUFS;
        for (size_t i = 0; i < routes.n; i++) {
                const RtnlLink *link = link_list_by_index(&links, routes.v[i].route.index);

                r = route_to_message(&routes.v[i].route, link ? link->name : "", arena,
                                     &ret->routes[ret->n_routes]);
                if (r < 0)
                        return r;
                ret->n_routes++;
        }

        return 0;
}
