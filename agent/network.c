/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and neighbours put in place: see network.h. */

#include "agent/network.h"

#include <linux/if_addr.h>

#include "basic/error.h"
#include "basic/network-state.h"
#include "proto/net-message.h"

#define DESCRIBE_MAX 300U

static const RtnlLink *find_link(const LinkList *links, const InterfacePlan *plan)
{
        const RtnlLink *found = NULL;

        if (!plan->has_mac)
                return link_list_by_name(links, plan->name);

        /* A bridge or VLAN has the address of its port: then the name decides, else the oldest one. */
        for (size_t i = 0; i < links->n; i++) {
                const RtnlLink *link = &links->v[i];

                if (link->n_hw != sizeof(plan->mac) || memcmp(link->hw, plan->mac, sizeof(plan->mac)) != 0)
                        continue;
                if (streq(link->name, plan->name))
                        return link;
                if (!found || link->index < found->index)
                        found = link;
        }

        return found;
}

static int set_flags(Netlink *netlink, uint32_t index, uint32_t flags, uint32_t mask, char **reterr_message)
{
        NetlinkRequest request;

        rtnl_build_set_link(&request, index, NULL, 0, flags, mask);
        return netlink_call(netlink, &request, reterr_message);
}

static int set_name(Netlink *netlink, const RtnlLink *link, const char *name, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        NetlinkRequest request;
        int r, q;

        rtnl_build_set_link(&request, link->index, name, 0, 0, 0);
        r = netlink_call(netlink, &request, &message);
        if (r == -EBUSY && (link->flags & IFF_UP)) {
                /* Kernels before 6.2 rename only what is down. */
                message = mfree(message);
                r = set_flags(netlink, link->index, 0, IFF_UP, &message);
                if (r >= 0) {
                        r = netlink_call(netlink, &request, &message);
                        q = set_flags(netlink, link->index, IFF_UP, IFF_UP, r < 0 ? NULL : &message);
                        if (r >= 0)
                                r = q;
                }
        }
        if (r < 0)
                return error_setf(reterr_message, r, "interface %s: giving it the name %s: %s", link->name,
                                  name, error_text(message, r));
        return 0;
}

static int rename_link(Netlink *netlink, const LinkList *links, const RtnlLink *link, const char *name,
                       char **reterr_message)
{
        const RtnlLink *other = link_list_by_name(links, name);
        char spare[IFNAMSIZ];
        int r;

        if (streq(link->name, name))
                return 0;
        if (!other)
                return set_name(netlink, link, name, reterr_message);
        if (other->flags & IFF_LOOPBACK)
                return error_setf(reterr_message, EBUSY, "interface %s: the name %s is that of the loopback; "
                                  "choose another one", link->name, name);

        snprintf(spare, sizeof(spare), "swap%u", other->index);
        r = set_name(netlink, other, spare, reterr_message);
        if (r < 0)
                return r;
        r = set_name(netlink, link, name, reterr_message);
        /* Back to its own name, or on to the one that is free now. */
        if (r < 0)
                (void) set_name(netlink, other, name, NULL);
        else
                r = set_name(netlink, other, link->name, reterr_message);
        return r;
}

static int set_properties(Netlink *netlink, const RtnlLink *link, const InterfacePlan *plan,
                          char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        uint32_t flags = plan->no_arp ? IFF_NOARP : 0;
        NetlinkRequest request;
        int r;

        if ((plan->mtu == 0 || plan->mtu == link->mtu) && (link->flags & IFF_NOARP) == flags)
                return 0;

        rtnl_build_set_link(&request, link->index, NULL, plan->mtu, flags, IFF_NOARP);
        r = netlink_call(netlink, &request, &message);
        if (r < 0)
                return error_setf(reterr_message, r, "interface %s: setting an MTU of %u: %s", plan->name,
                                  plan->mtu > 0 ? plan->mtu : link->mtu, error_text(message, r));
        return 0;
}

static bool same_address(const RtnlAddress *a, const RtnlAddress *b)
{
        return a->prefix == b->prefix && rtnl_ip_equal(&a->ip, &b->ip);
}

static bool has_address(const RtnlAddress *list, size_t n, const RtnlAddress *address)
{
        for (size_t i = 0; i < n; i++)
                if (same_address(&list[i], address))
                        return true;

        return false;
}

static int address_error(const InterfacePlan *plan, const RtnlAddress *address, const char *what, int r,
                         const char *message, char **reterr_message)
{
        char ip[46];

        return error_setf(reterr_message, r, "interface %s: %s address %s/%u: %s%s", plan->name, what,
                          rtnl_ip_format(&address->ip, ip), address->prefix, error_text(message, r),
                          address->ip.family == AF_INET6 && r == -EACCES ?
                          " (IPv6 is off on this interface, see net.ipv6.conf.*.disable_ipv6)" : "");
}

static int delete_addresses(Netlink *netlink, uint32_t index, const InterfacePlan *plan,
                            char **reterr_message)
{
        _cleanup_(address_list_done) AddressList list = {};
        int r;

        r = address_list_read(&list, netlink, index, reterr_message);
        for (size_t i = 0; i < list.n && r >= 0; i++) {
                const RtnlAddress *address = &list.v[i];
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;

                /* The kernel makes a link-local one as soon as the interface is up. */
                if (address->ip.family == AF_INET6 && address->scope == RT_SCOPE_LINK)
                        continue;
                if (has_address(plan->addresses, plan->n_addresses, address))
                        continue;
                rtnl_build_delete_address(&request, address);
                r = netlink_call(netlink, &request, &message);
                /* Secondary addresses go with their primary one. */
                if (r == -EADDRNOTAVAIL)
                        r = 0;
                if (r < 0)
                        return address_error(plan, address, "removing", r, message, reterr_message);
        }

        return r;
}

static int add_addresses(Netlink *netlink, uint32_t index, const InterfacePlan *plan, char **reterr_message)
{
        _cleanup_(address_list_done) AddressList list = {};
        int r;

        r = address_list_read(&list, netlink, index, reterr_message);
        for (size_t i = 0; i < plan->n_addresses && r >= 0; i++) {
                RtnlAddress address = plan->addresses[i];
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;

                if (has_address(list.v, list.n, &address))
                        continue;
                address.index = index;
                rtnl_build_add_address(&request, &address);
                r = netlink_call(netlink, &request, &message);
                if (r < 0)
                        return address_error(plan, &address, "adding", r, message, reterr_message);
        }

        return r;
}

int network_update_interface(Netlink *netlink, const InterfacePlan *plan, RtnlLink *ret_link,
                             char **reterr_message)
{
        _cleanup_(link_list_done) LinkList links = {}, after = {};
        char text[DESCRIBE_MAX], mac[3 * RTNL_HW_MAX];
        const RtnlLink *link;
        int r;

        r = link_list_read(&links, netlink, reterr_message);
        if (r < 0)
                return r;
        link = find_link(&links, plan);
        if (!link)
                return error_setf(reterr_message, ENODEV, "interface %s: there is none with %s%s; attach "
                                  "the device first (there are: %s)", plan->name,
                                  plan->has_mac ? "MAC address " : "that name",
                                  plan->has_mac ? rtnl_mac_format(plan->mac, sizeof(plan->mac), mac) : "",
                                  link_list_describe(&links, text, sizeof(text)));
        if (link->flags & IFF_LOOPBACK)
                return error_setf(reterr_message, EINVAL, "interface %s: the loopback is the guest's own",
                                  link->name);

        r = rename_link(netlink, &links, link, plan->name, reterr_message);
        if (r >= 0)
                r = set_properties(netlink, link, plan, reterr_message);
        if (r >= 0)
                r = delete_addresses(netlink, link->index, plan, reterr_message);
        if (r >= 0)
                r = add_addresses(netlink, link->index, plan, reterr_message);
        if (r < 0)
                return r;
        r = set_flags(netlink, link->index, IFF_UP, IFF_UP, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "interface %s: setting it up", plan->name);

        r = link_list_read(&after, netlink, reterr_message);
        if (r < 0)
                return r;
        link = link_list_by_index(&after, link->index);
        if (!link)
                return error_setf(reterr_message, ENODEV, "interface %s has gone meanwhile", plan->name);
        *ret_link = *link;
        return 0;
}

static const RtnlLink *link_with_mac(const LinkList *links, const uint8_t mac[static 6])
{
        for (size_t i = 0; i < links->n; i++)
                if (links->v[i].n_hw == 6 && memcmp(links->v[i].hw, mac, 6) == 0 && !(links->v[i].flags & IFF_LOOPBACK))
                        return &links->v[i];

        return NULL;
}

int network_set_address(Netlink *netlink, const uint8_t from[static 6], const uint8_t to[static 6],
                        char **reterr_message)
{
        _cleanup_(link_list_done) LinkList links = {};
        _cleanup_free_ char *message = NULL;
        char text[DESCRIBE_MAX], a[3 * RTNL_HW_MAX], b[3 * RTNL_HW_MAX];
        const RtnlLink *link, *other;
        NetlinkRequest request;
        int r;

        (void) rtnl_mac_format(from, 6, a);
        (void) rtnl_mac_format(to, 6, b);
        r = link_list_read(&links, netlink, reterr_message);
        if (r < 0)
                return r;
        link = link_with_mac(&links, from);
        other = link_with_mac(&links, to);
        if (other && (!link || link == other))
                return 0;
        if (!link)
                return error_setf(reterr_message, -ENODEV, "there is no interface with MAC address %s (there are: %s)",
                                  a, link_list_describe(&links, text, sizeof(text)));
        if (other)
                return error_setf(reterr_message, -EEXIST, "interface %s: the MAC address %s is that of %s", link->name,
                                  b, other->name);

        rtnl_build_set_mac(&request, link->index, to);
        r = netlink_call(netlink, &request, &message);
        return r < 0 ? error_setf(reterr_message, r, "interface %s: setting the MAC address %s: %s", link->name, b,
                                  error_text(message, r)) : 0;
}

int network_add_neighbors(Netlink *netlink, NeighborPlan *plans, size_t n, char **reterr_message)
{
        _cleanup_(link_list_done) LinkList links = {};
        int r;

        r = link_list_read(&links, netlink, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < n; i++) {
                const RtnlLink *link = link_list_by_name(&links, plans[i].device);
                char ip[46], text[DESCRIBE_MAX];

                if (!link)
                        return error_setf(reterr_message, ENODEV, "neighbour %s: there is no interface %s "
                                          "(there are: %s)", rtnl_ip_format(&plans[i].neighbor.ip, ip),
                                          plans[i].device, link_list_describe(&links, text, sizeof(text)));
                plans[i].neighbor.index = link->index;
        }

        for (size_t i = 0; i < n; i++) {
                NetlinkRequest request;
                char ip[46];

                rtnl_build_add_neighbor(&request, &plans[i].neighbor);
                r = netlink_call(netlink, &request, reterr_message);
                if (r < 0)
                        return error_prefixf(reterr_message, r, "neighbour %s on %s",
                                             rtnl_ip_format(&plans[i].neighbor.ip, ip), plans[i].device);
        }

        return 0;
}

int network_list_interfaces(Netlink *netlink, uint32_t link, PbArena *arena, Grpc__Interfaces *ret,
                            char **reterr_message)
{
        _cleanup_(address_list_done) AddressList addresses = {};
        _cleanup_(link_list_done) LinkList links = {};
        int r;

        r = link_list_read(&links, netlink, reterr_message);
        if (r >= 0)
                r = address_list_read(&addresses, netlink, link, reterr_message);
        if (r < 0)
                return r;

        ret->interfaces = pb_arena_alloc(arena, MAX(links.n, (size_t) 1) * sizeof(*ret->interfaces));
        if (!ret->interfaces)
                return -ENOBUFS;
        for (size_t i = 0; i < links.n; i++) {
                if (link != 0 && links.v[i].index != link)
                        continue;
                r = interface_to_message(&links.v[i], addresses.v, addresses.n, arena,
                                         &ret->interfaces[ret->n_interfaces]);
                if (r < 0)
                        return r;
                ret->n_interfaces++;
        }

        return 0;
}
