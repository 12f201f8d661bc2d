/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the network, checked: see net-plan.h. */

#include "agent/net-plan.h"

#include <ctype.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>

#include "basic/error.h"
#include "basic/parse.h"

/* The kernel's rule (dev_valid_name) and no characters that spoil a line of text. */
static bool name_is_valid(const char *name)
{
        if (isempty(name) || strlen(name) >= IFNAMSIZ || streq(name, ".") || streq(name, ".."))
                return false;
        for (const char *p = name; *p; p++)
                if (!isascii((unsigned char) *p) || !isgraph((unsigned char) *p) || strchr("/:%", *p))
                        return false;
        return true;
}

static const char *family_name(uint8_t family)
{
        return family == AF_INET6 ? "IPv6" : "IPv4";
}

static uint8_t family_of(Types__IPFamily family)
{
        return family == TYPES__IPFAMILY__v6 ? AF_INET6 : AF_INET;
}

/* The prefix of an address; an empty one means the whole. */
static int parse_prefix(const char *s, uint8_t family, uint8_t *ret)
{
        uint32_t max = (uint32_t) rtnl_ip_size(family) * 8, prefix;

        if (isempty(s)) {
                *ret = (uint8_t) max;
                return 0;
        }
        if (parse_u32(s, &prefix) < 0 || prefix > max)
                return -EINVAL;
        *ret = (uint8_t) prefix;
        return 0;
}

/* "ADDRESS/PREFIX" or "ADDRESS". */
static int parse_network(const char *s, RtnlIp *ret_ip, uint8_t *ret_prefix)
{
        const char *slash = strchr(s, '/');
        size_t n = slash ? (size_t) (slash - s) : strlen(s);
        char address[64];
        int r;

        if (n >= sizeof(address) || (slash && !slash[1]))
                return -EINVAL;
        memcpy(address, s, n);
        address[n] = '\0';
        r = rtnl_ip_parse(address, ret_ip);
        if (r < 0)
                return r;
        return parse_prefix(slash ? slash + 1 : "", ret_ip->family, ret_prefix);
}

static int plan_address(const Types__IPAddress *input, const char *name, RtnlAddress *ret,
                        char **reterr_message)
{
        RtnlAddress address = {};

        if (rtnl_ip_parse(input->address, &address.ip) < 0)
                return error_setf(reterr_message, EINVAL, "interface %s: '%s' is not an IP address", name,
                                  input->address);
        if (parse_prefix(input->mask, address.ip.family, &address.prefix) < 0)
                return error_setf(reterr_message, EINVAL, "interface %s: '%s' is not a prefix length of an "
                                  "%s address", name, input->mask, family_name(address.ip.family));
        /*
         * Whoever gave the address has made sure that nobody else has it. Duplicate detection would keep
         * it unusable for a second, and on the host the same address may be on the other end.
         */
        if (address.ip.family == AF_INET6)
                address.flags = IFA_F_NODAD;
        /* Scopes as ip(8) chooses them; the kernel has the same rule for IPv6. */
        if (address.ip.family == AF_INET && address.ip.bytes[0] == 127)
                address.scope = RT_SCOPE_HOST;
        *ret = address;
        return 0;
}

int interface_plan(const Types__Interface *input, InterfacePlan *ret, char **reterr_message)
{
        _cleanup_(interface_plan_done) InterfacePlan plan = {};
        int r;

        if (!name_is_valid(input->name))
                return error_setf(reterr_message, EINVAL, "'%s' is not a name for an interface",
                                  input->name);
        plan.name = input->name;
        plan.device_path = input->devicepath;

        if (*input->hwaddr && rtnl_mac_parse(input->hwaddr, plan.mac) < 0)
                return error_setf(reterr_message, EINVAL, "interface %s: '%s' is not a MAC address",
                                  input->name, input->hwaddr);
        plan.has_mac = *input->hwaddr;

        if (input->mtu > INT32_MAX)
                return error_setf(reterr_message, EINVAL, "interface %s: an MTU of %llu bytes is too large",
                                  input->name, (unsigned long long) input->mtu);
        plan.mtu = (uint32_t) input->mtu;
        /* The only one that hosts send on purpose; the rest is a copy of the state of the host's end. */
        plan.no_arp = input->raw_flags & IFF_NOARP;

        if (input->n_ipaddresses > NET_ADDRESSES_MAX)
                return error_setf(reterr_message, E2BIG, "interface %s: more than %u addresses",
                                  input->name, NET_ADDRESSES_MAX);
        plan.addresses = new0(RtnlAddress, input->n_ipaddresses);
        if (!plan.addresses)
                return -ENOMEM;
        for (size_t i = 0; i < input->n_ipaddresses; i++) {
                r = plan_address(input->ipaddresses[i], input->name, &plan.addresses[i], reterr_message);
                if (r < 0)
                        return r;
                plan.n_addresses++;
        }

        *ret = plan;
        plan = (InterfacePlan) {};
        return 0;
}

void interface_plan_done(InterfacePlan *plan)
{
        free(plan->addresses);
        *plan = (InterfacePlan) {};
}

static void describe_route(const Types__Route *input, RoutePlan *plan)
{
        snprintf(plan->text, sizeof(plan->text), "%.46s%s%.46s%s%.16s",
                 *input->dest ? input->dest : "default", *input->gateway ? " via " : "", input->gateway,
                 *input->device ? " dev " : "", input->device);
}

/* A default route is written as nothing, "0.0.0.0/0", "::/0" or, by hosts that copy lists, "0.0.0.0". */
static int plan_destination(const Types__Route *input, RtnlRoute *route)
{
        static const RtnlIp none4 = { .family = AF_INET }, none6 = { .family = AF_INET6 };
        int r;

        if (!*input->dest)
                return 0;
        r = parse_network(input->dest, &route->dest, &route->prefix);
        if (r < 0)
                return r;
        route->family = route->dest.family;
        if ((rtnl_ip_equal(&route->dest, &none4) || rtnl_ip_equal(&route->dest, &none6)) &&
            (route->prefix == 0 || !strchr(input->dest, '/'))) {
                route->dest = (RtnlIp) {};
                route->prefix = 0;
        }
        /* The kernel takes no bits behind the prefix. */
        for (unsigned bit = route->prefix; bit < rtnl_ip_size(route->dest.family) * 8; bit++)
                if (route->dest.bytes[bit / 8] & (0x80 >> bit % 8))
                        return -EINVAL;
        return 0;
}

static int plan_source(const Types__Route *input, RtnlRoute *route)
{
        uint8_t prefix;
        int r;

        if (!*input->source)
                return 0;
        r = parse_network(input->source, &route->source, &prefix);
        if (r < 0)
                return r;
        if (route->source.family != route->family)
                return -EINVAL;
        /* One address (some hosts write "/0" behind it) is the preferred source. A network would be a route
         * for some senders only, which IPv4 does not know at all. */
        return prefix == rtnl_ip_size(route->family) * 8 || prefix == 0 ? 0 : -EOPNOTSUPP;
}

static int plan_route(const Types__Route *input, RoutePlan *plan, char **reterr_message)
{
        RtnlRoute route = {
                .family = family_of(input->family), .protocol = RTPROT_BOOT, .type = RTN_UNICAST,
                .scope = (uint8_t) input->scope, .mtu = input->mtu,
                /* Hosts forward flags as the kernel told them; the others are states of a link. */
                .flags = input->flags & RTNH_F_ONLINK,
        };
        int r;

        describe_route(input, plan);
        plan->device = input->device;
        if (*input->device && !name_is_valid(input->device))
                return error_setf(reterr_message, EINVAL, "route %s: not a name of an interface",
                                  plan->text);
        if (*input->gateway && rtnl_ip_parse(input->gateway, &route.gateway) < 0)
                return error_setf(reterr_message, EINVAL, "route %s: '%s' is not an IP address", plan->text,
                                  input->gateway);
        /* Hosts before Kata 3.0 know no family, which reads as IPv4. */
        if (!*input->dest && route.gateway.family == AF_INET6)
                route.family = AF_INET6;
        if (plan_destination(input, &route) < 0)
                return error_setf(reterr_message, EINVAL, "route %s: '%s' is not a network", plan->text,
                                  input->dest);
        if (!*input->gateway && !*input->device)
                return error_setf(reterr_message, EINVAL, "route %s: neither a gateway nor a device",
                                  plan->text);
        if (route.gateway.family == AF_INET && route.family == AF_INET6)
                return error_setf(reterr_message, EINVAL, "route %s: IPv6 can not go through an IPv4 "
                                  "gateway", plan->text);
        r = plan_source(input, &route);
        if (r < 0)
                return error_setf(reterr_message, r, r == -EOPNOTSUPP ?
                                  "route %s: source '%s' is a network, which is not supported" :
                                  "route %s: source '%s' is not an address of its family",
                                  plan->text, input->source);
        if (input->scope > UINT8_MAX)
                return error_setf(reterr_message, EINVAL, "route %s: no such scope: %u", plan->text,
                                  input->scope);

        plan->route = route;
        return 0;
}

int routes_plan(Types__Route *const *routes, size_t n, RoutePlan **ret, char **reterr_message)
{
        _cleanup_free_ RoutePlan *plans = NULL;
        size_t k = 0;
        int r;

        if (n > NET_ROUTES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u routes", NET_ROUTES_MAX);
        plans = new0(RoutePlan, n);
        if (!plans)
                return -ENOMEM;

        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < n; i++) {
                        if (!*routes[i]->gateway != (pass == 0))
                                continue;
                        r = plan_route(routes[i], &plans[k++], reterr_message);
                        if (r < 0)
                                return r;
                }

        *ret = TAKE_PTR(plans);
        return 0;
}

static int plan_neighbor(const Types__ARPNeighbor *input, NeighborPlan *ret, char **reterr_message)
{
        const char *to = input->toipaddress ? input->toipaddress->address : "";
        RtnlNeighbor neighbor = {
                .state = input->state == 0 ? NUD_PERMANENT : (uint16_t) input->state,
                .flags = (uint8_t) input->flags,
        };
        uint8_t mac[6];

        if (rtnl_ip_parse(to, &neighbor.ip) < 0)
                return error_setf(reterr_message, EINVAL, "neighbour '%s' on %s: not an IP address", to,
                                  input->device);
        if (!name_is_valid(input->device))
                return error_setf(reterr_message, EINVAL, "neighbour %s: '%s' is not a name of an "
                                  "interface", to, input->device);
        if (*input->lladdr) {
                if (rtnl_mac_parse(input->lladdr, mac) < 0)
                        return error_setf(reterr_message, EINVAL, "neighbour %s on %s: '%s' is not a MAC "
                                          "address", to, input->device, input->lladdr);
                memcpy(neighbor.hw, mac, sizeof(mac));
                neighbor.n_hw = sizeof(mac);
        }
        if (input->state < 0 || input->state > UINT8_MAX || input->flags < 0 || input->flags > UINT8_MAX)
                return error_setf(reterr_message, EINVAL, "neighbour %s on %s: no such state or flags: "
                                  "%d, %d", to, input->device, input->state, input->flags);

        *ret = (NeighborPlan) { .neighbor = neighbor, .device = input->device };
        return 0;
}

int neighbors_plan(Types__ARPNeighbor *const *neighbors, size_t n, NeighborPlan **ret,
                   char **reterr_message)
{
        _cleanup_free_ NeighborPlan *plans = NULL;
        int r;

        if (n > NET_NEIGHBORS_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u neighbours", NET_NEIGHBORS_MAX);
        plans = new0(NeighborPlan, n);
        if (!plans)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = plan_neighbor(neighbors[i], &plans[i], reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(plans);
        return 0;
}
