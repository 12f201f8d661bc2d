/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network for real, in a network namespace of its own: two pairs of virtual Ethernet devices.
 * What comes of each request is checked by asking the kernel.
 */

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <sched.h>
#include <unistd.h>

#include "basic/network-state.h"
#include "agent/network.h"
#include "basic/error.h"
#include "basic/test.h"

static Netlink netlink;
static char *message;
static PbArena arena;

#define MAC_A "02:00:00:00:00:0a"
#define MAC_B "02:00:00:00:00:0b"

static void make_pair(const char *name, const char *mac, const char *peer)
{
        struct ifinfomsg info = {};
        size_t link_info, data, other;
        NetlinkRequest request;
        uint8_t hw[6];

        ASSERT_OK(rtnl_mac_parse(mac, hw));
        netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
        netlink_add_string(&request, IFLA_IFNAME, name);
        netlink_add(&request, IFLA_ADDRESS, hw, sizeof(hw));
        link_info = netlink_nest(&request, IFLA_LINKINFO);
        netlink_add_string(&request, IFLA_INFO_KIND, "veth");
        data = netlink_nest(&request, IFLA_INFO_DATA);
        other = netlink_nest(&request, VETH_INFO_PEER);
        /* The peer's own header stands before its attributes. */
        ASSERT_TRUE(sizeof(request.data) - request.size > sizeof(info));
        memcpy(request.data + request.size, &info, sizeof(info));
        request.size += sizeof(info);
        netlink_add_string(&request, IFLA_IFNAME, peer);
        netlink_nest_end(&request, other);
        netlink_nest_end(&request, data);
        netlink_nest_end(&request, link_info);
        ASSERT_OK(netlink_call(&netlink, &request, NULL));
}

static void set_up(const char *name)
{
        _cleanup_(link_list_done) LinkList links = {};
        NetlinkRequest request;

        ASSERT_OK(link_list_read(&links, &netlink, NULL));
        rtnl_build_set_link(&request, ASSERT_NOT_NULL(link_list_by_name(&links, name))->index, NULL, 0,
                            IFF_UP, IFF_UP);
        ASSERT_OK(netlink_call(&netlink, &request, NULL));
}

static RtnlLink link_named(const char *name)
{
        _cleanup_(link_list_done) LinkList links = {};

        ASSERT_OK(link_list_read(&links, &netlink, NULL));
        return *ASSERT_NOT_NULL(link_list_by_name(&links, name));
}

typedef struct Wanted {
        const char *name, *mac;
        const char *addresses[4][2];
        uint64_t mtu;
        uint32_t flags;
} Wanted;

static int update(const Wanted *wanted)
{
        Types__Interface input = TYPES__INTERFACE__INIT;
        Types__IPAddress ips[4], *pointers[4];
        _cleanup_(interface_plan_done) InterfacePlan plan = {};
        RtnlLink link;
        int r;

        input.name = (char *) (uintptr_t) wanted->name;
        input.hwaddr = (char *) (uintptr_t) strempty(wanted->mac);
        input.mtu = wanted->mtu;
        input.raw_flags = wanted->flags;
        input.ipaddresses = pointers;
        while (input.n_ipaddresses < 4 && wanted->addresses[input.n_ipaddresses][0]) {
                size_t i = input.n_ipaddresses++;

                ips[i] = (Types__IPAddress) TYPES__IPADDRESS__INIT;
                ips[i].address = (char *) (uintptr_t) wanted->addresses[i][0];
                ips[i].mask = (char *) (uintptr_t) wanted->addresses[i][1];
                pointers[i] = &ips[i];
        }

        message = mfree(message);
        ASSERT_OK(interface_plan(&input, &plan, NULL));
        r = network_update_interface(&netlink, &plan, &link, &message);
        if (r >= 0)
                ASSERT_STREQ(link.name, wanted->name);
        return r;
}

/* "10.0.0.1/24 fd00::1/64", link-local ones left out. */
static const char *addresses_of(const char *name)
{
        static char text[512];
        Grpc__Interfaces list = GRPC__INTERFACES__INIT;

        pb_arena_done(&arena);
        pb_arena_init(&arena, 0);
        text[0] = '\0';
        ASSERT_OK(network_list_interfaces(&netlink, 0, &arena, &list, NULL));
        for (size_t i = 0; i < list.n_interfaces; i++) {
                const Types__Interface *interface = list.interfaces[i];

                if (!streq(interface->name, name))
                        continue;
                for (size_t k = 0; k < interface->n_ipaddresses; k++) {
                        const Types__IPAddress *ip = interface->ipaddresses[k];

                        if (startswith(ip->address, "fe80:"))
                                continue;
                        if (*text)
                                strcat(text, " ");
                        sprintf(text + strlen(text), "%s/%s", ip->address, ip->mask);
                }
                return text;
        }
        return "(no such interface)";
}

TEST(interfaces)
{
        RtnlLink before;

        make_pair("v0", MAC_A, "v1");
        make_pair("eth0", MAC_B, "v3");
        set_up("v1");
        set_up("v3");
        set_up("eth0");
        before = link_named("v0");

        /* A name that another one has: they swap. */
        ASSERT_OK(update(&(Wanted) {
                .name = "eth0", .mac = "02:00:00:00:00:0A", .mtu = 1400,
                .addresses = { { "10.0.0.5", "24" }, { "10.0.0.6", "24" }, { "fd00::5", "64" } },
        }));
        ASSERT_EQ(link_named("eth0").index, before.index);
        ASSERT_EQ(link_named("eth0").mtu, 1400);
        ASSERT_TRUE(link_named("eth0").flags & IFF_UP);
        ASSERT_TRUE(link_named("v0").flags & IFF_UP);
        ASSERT_STREQ(addresses_of("eth0"), "10.0.0.5/24 10.0.0.6/24 fd00::5/64");

        /* Again, and with others: what stays is not touched. */
        ASSERT_OK(update(&(Wanted) {
                .name = "eth0", .mac = MAC_A, .mtu = 1400, .flags = IFF_NOARP,
                .addresses = { { "10.0.0.6", "24" }, { "fd00::5", "64" }, { "fd00::6", "" } },
        }));
        ASSERT_CONTAINS(addresses_of("eth0"), "10.0.0.6/24 fd00::");
        ASSERT_CONTAINS(addresses_of("eth0"), "fd00::5/64");
        ASSERT_CONTAINS(addresses_of("eth0"), "fd00::6/128");
        ASSERT_TRUE(link_named("eth0").flags & IFF_NOARP);

        /* Found by its name; the MTU stays. */
        ASSERT_OK(update(&(Wanted) {
                .name = "eth0", .addresses = { { "10.0.0.6", "24" }, { "fd00::5", "64" } },
        }));
        ASSERT_STREQ(addresses_of("eth0"), "10.0.0.6/24 fd00::5/64");
        ASSERT_EQ(link_named("eth0").mtu, 1400);
        ASSERT_FALSE(link_named("eth0").flags & IFF_NOARP);

        ASSERT_OK(update(&(Wanted) { .name = "eth1", .mac = MAC_B, .addresses = { { "10.1.0.1", "16" } } }));
        ASSERT_STREQ(addresses_of("eth1"), "10.1.0.1/16");
        ASSERT_STREQ(addresses_of("v0"), "(no such interface)");
}

TEST(interfaces_that_fail)
{
        ASSERT_ERROR(update(&(Wanted) { .name = "eth7", .mac = "02:00:00:00:00:77" }), ENODEV);
        ASSERT_CONTAINS(message, "interface eth7: there is none with MAC address 02:00:00:00:00:77; attach");
        ASSERT_CONTAINS(message, "eth0 " MAC_A);
        ASSERT_ERROR(update(&(Wanted) { .name = "eth7" }), ENODEV);
        ASSERT_ERROR(update(&(Wanted) { .name = "lo" }), EINVAL);
        ASSERT_CONTAINS(message, "loopback");
        ASSERT_ERROR(update(&(Wanted) { .name = "lo", .mac = MAC_A }), EBUSY);
        ASSERT_EQ(link_named("lo").index, 1);
        ASSERT_ERROR(update(&(Wanted) { .name = "eth0", .mac = MAC_A, .mtu = 10,
                                        .addresses = { { "10.0.0.6", "24" }, { "fd00::5", "64" } } }), EINVAL);
        ASSERT_CONTAINS(message, "interface eth0: setting an MTU of 10: ");
        ASSERT_STREQ(addresses_of("eth0"), "10.0.0.6/24 fd00::5/64");
}

static int set_address(const char *from, const char *to)
{
        uint8_t a[6], b[6];

        message = mfree(message);
        ASSERT_OK(rtnl_mac_parse(from, a));
        ASSERT_OK(rtnl_mac_parse(to, b));
        return network_set_address(&netlink, a, b, &message);
}

/* eth1 is up, as an interface may be that a host tells of once more. */
TEST(addresses_of_hardware)
{
        ASSERT_OK(set_address(MAC_B, "02:00:00:00:00:0c"));
        ASSERT_EQ(link_named("eth1").hw[5], 0x0c);
        /* Said twice. */
        ASSERT_OK(set_address(MAC_B, "02:00:00:00:00:0c"));
        ASSERT_ERROR(set_address(MAC_A, "02:00:00:00:00:0c"), EEXIST);
        ASSERT_CONTAINS(message, "interface eth0: the MAC address 02:00:00:00:00:0c is that of eth1");
        ASSERT_ERROR(set_address("02:00:00:00:00:77", "02:00:00:00:00:78"), ENODEV);
        ASSERT_CONTAINS(message, "no interface with MAC address 02:00:00:00:00:77 (there are: ");
        ASSERT_OK(set_address("02:00:00:00:00:0c", MAC_B));
}

static int update_routes(Types__Route *routes, size_t n)
{
        Types__Route *pointers[8];
        _cleanup_free_ RoutePlan *plans = NULL;

        ASSERT_TRUE(n <= ELEMENTSOF(pointers));
        for (size_t i = 0; i < n; i++)
                pointers[i] = &routes[i];
        message = mfree(message);
        ASSERT_OK(routes_plan(pointers, n, &plans, NULL));
        return network_update_routes(&netlink, plans, n, &message);
}

static Types__Route route(const char *dest, const char *gateway, const char *device, const char *source)
{
        Types__Route r = TYPES__ROUTE__INIT;

        r.dest = (char *) (uintptr_t) dest;
        r.gateway = (char *) (uintptr_t) gateway;
        r.device = (char *) (uintptr_t) device;
        r.source = (char *) (uintptr_t) source;
        return r;
}

/* Whether the main table has it; extra is what else has to be so. */
static const Types__Route *find_route(const char *dest, const char *gateway, const char *device)
{
        static Grpc__Routes list;

        pb_arena_done(&arena);
        pb_arena_init(&arena, 0);
        list = (Grpc__Routes) GRPC__ROUTES__INIT;
        ASSERT_OK(network_list_routes(&netlink, &arena, &list, NULL));
        for (size_t i = 0; i < list.n_routes; i++)
                if (streq(list.routes[i]->dest, dest) && streq(list.routes[i]->gateway, gateway) &&
                    streq(list.routes[i]->device, device))
                        return list.routes[i];
        return NULL;
}

TEST(routes)
{
        Types__Route wanted[] = {
                route("", "10.0.0.1", "eth0", ""),
                route("172.16.0.0/12", "", "eth0", "10.0.0.6"),
                route("192.0.2.0/24", "198.51.100.1", "eth0", ""),
                route("::/0", "fd00::1", "eth0", ""),
                route("2001:db8::/32", "", "eth1", ""),
                /* Twice, and one that the kernel has made: the wire has no metrics. */
                route("", "10.1.0.254", "eth1", ""),
                route("10.0.0.0/24", "", "eth0", "10.0.0.6"),
        };
        Types__Route broken[] = {
                route("203.0.113.0/24", "", "eth1", ""),
                route("198.18.0.0/15", "203.0.114.1", "eth0", ""),
        };

        wanted[1].scope = RT_SCOPE_LINK;
        wanted[2].flags = RTNH_F_ONLINK;
        wanted[2].mtu = 1300;
        ASSERT_OK(update_routes(wanted, ELEMENTSOF(wanted)));
        ASSERT_NOT_NULL(find_route("", "10.0.0.1", "eth0"));
        ASSERT_STREQ(ASSERT_NOT_NULL(find_route("172.16.0.0/12", "", "eth0"))->source, "10.0.0.6");
        ASSERT_EQ(find_route("172.16.0.0/12", "", "eth0")->scope, RT_SCOPE_LINK);
        ASSERT_EQ(ASSERT_NOT_NULL(find_route("192.0.2.0/24", "198.51.100.1", "eth0"))->flags, RTNH_F_ONLINK);
        ASSERT_EQ(find_route("192.0.2.0/24", "198.51.100.1", "eth0")->mtu, 1300);
        ASSERT_EQ(ASSERT_NOT_NULL(find_route("", "fd00::1", "eth0"))->family, TYPES__IPFAMILY__v6);
        ASSERT_NOT_NULL(find_route("2001:db8::/32", "", "eth1"));
        ASSERT_NULL(find_route("", "10.1.0.254", "eth1"));
        ASSERT_NOT_NULL(find_route("10.0.0.0/24", "", "eth0"));

        /* The same again changes nothing and works. */
        ASSERT_OK(update_routes(wanted, ELEMENTSOF(wanted)));

        /* A list that fails half way leaves everything as it was. */
        ASSERT_TRUE(update_routes(broken, ELEMENTSOF(broken)) < 0);
        ASSERT_CONTAINS(message, "route 198.18.0.0/15 via 203.0.114.1 dev eth0: ");
        ASSERT_NULL(find_route("203.0.113.0/24", "", "eth1"));
        ASSERT_NOT_NULL(find_route("", "10.0.0.1", "eth0"));
        ASSERT_NOT_NULL(find_route("172.16.0.0/12", "", "eth0"));
        ASSERT_EQ(ASSERT_NOT_NULL(find_route("192.0.2.0/24", "198.51.100.1", "eth0"))->mtu, 1300);
        ASSERT_NOT_NULL(find_route("", "fd00::1", "eth0"));

        broken[0].device = (char *) (uintptr_t) "eth9";
        ASSERT_ERROR(update_routes(broken, 1), ENODEV);
        ASSERT_CONTAINS(message, "route 203.0.113.0/24 dev eth9: there is no such interface (there are: lo");

        /* Only what the kernel has made is left, the loopback's included. */
        ASSERT_OK(update_routes(wanted, 1));
        ASSERT_NOT_NULL(find_route("", "10.0.0.1", "eth0"));
        ASSERT_NULL(find_route("172.16.0.0/12", "", "eth0"));
        ASSERT_NULL(find_route("", "fd00::1", "eth0"));
        ASSERT_OK(update_routes(wanted, 0));
        ASSERT_NULL(find_route("", "10.0.0.1", "eth0"));
        ASSERT_NOT_NULL(find_route("10.0.0.0/24", "", "eth0"));
        ASSERT_NOT_NULL(find_route("fd00::/64", "", "eth0"));
}

TEST(routes_of_the_loopback_stay)
{
        RtnlRoute loopback = {
                .family = AF_INET, .prefix = 24, .type = RTN_UNICAST, .protocol = RTPROT_STATIC, .index = 1,
                .scope = RT_SCOPE_LINK,
        };
        NetlinkRequest request;

        set_up("lo");
        ASSERT_OK(rtnl_ip_parse("192.0.2.0", &loopback.dest));
        rtnl_build_add_route(&request, &loopback);
        ASSERT_OK(netlink_call(&netlink, &request, NULL));
        ASSERT_OK(update_routes(NULL, 0));
        ASSERT_NOT_NULL(find_route("192.0.2.0/24", "", "lo"));
}

/* State and hardware address of a neighbour. */
typedef struct Found {
        const char *ip;
        uint16_t state;
        uint8_t hw[6];
} Found;

static int on_neighbor(const NetlinkMessage *m, void *userdata)
{
        NetlinkAttr attrs[NDA_LLADDR + 1];
        Found *found = userdata;
        struct ndmsg info;
        RtnlIp ip;

        ASSERT_TRUE(m->size >= sizeof(info));
        memcpy(&info, m->payload, sizeof(info));
        ASSERT_OK(netlink_attrs(m->payload + sizeof(info), m->size - sizeof(info), attrs, ELEMENTSOF(attrs)));
        ASSERT_OK(rtnl_ip_parse(found->ip, &ip));
        if (info.ndm_family == ip.family && attrs[NDA_DST].data &&
            memcmp(attrs[NDA_DST].data, ip.bytes, rtnl_ip_size(ip.family)) == 0) {
                found->state = info.ndm_state;
                if (attrs[NDA_LLADDR].size == 6)
                        memcpy(found->hw, attrs[NDA_LLADDR].data, 6);
        }
        return 0;
}

TEST(neighbors)
{
        static const char *const ips[] = { "10.0.0.9", "fd00::9" };
        Types__ARPNeighbor input = TYPES__ARPNEIGHBOR__INIT, *list[] = { &input };
        Types__IPAddress ip = TYPES__IPADDRESS__INIT;
        char mac[] = "02:00:00:00:00:99", device[] = "eth0";

        for (unsigned i = 0; i < 2 * ELEMENTSOF(ips); i++) {
                _cleanup_free_ NeighborPlan *plans = NULL;
                Found found = { .ip = ips[i / 2] };
                struct ndmsg info = {};
                NetlinkRequest request;

                /* The second time with another hardware address: replaced. */
                mac[16] = (char) ('0' + i % 2);
                ip.address = (char *) (uintptr_t) ips[i / 2];
                input.toipaddress = &ip;
                input.device = device;
                input.lladdr = mac;
                ASSERT_OK(neighbors_plan(list, 1, &plans, NULL));
                ASSERT_OK(network_add_neighbors(&netlink, plans, 1, NULL));
                netlink_begin(&request, RTM_GETNEIGH, 0, &info, sizeof(info));
                ASSERT_OK(netlink_dump(&netlink, &request, on_neighbor, &found, NULL));
                ASSERT_EQ(found.state, NUD_PERMANENT);
                ASSERT_EQ(found.hw[5], 0x90 + i % 2);
        }

        {
                _cleanup_free_ NeighborPlan *plans = NULL;

                device[3] = '9';
                ASSERT_OK(neighbors_plan(list, 1, &plans, NULL));
                message = mfree(message);
                ASSERT_ERROR(network_add_neighbors(&netlink, plans, 1, &message), ENODEV);
                ASSERT_CONTAINS(message, "neighbour fd00::9: there is no interface eth9");
        }
}

TestCase *test_cases;

int main(void)
{
        int r;

        if (unshare(CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: no network namespace of our own: %s\n", strerror(errno));
                return 77;
        }
        pb_arena_init(&arena, 0);
        r = netlink_open(&netlink);
        if (r < 0) {
                fprintf(stderr, "skipped: no netlink socket: %s\n", strerror(-r));
                return 77;
        }
        /* A kernel without virtual Ethernet devices. */
        {
                struct ifinfomsg info = {};
                NetlinkRequest request;
                size_t place;

                netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
                netlink_add_string(&request, IFLA_IFNAME, "probe");
                place = netlink_nest(&request, IFLA_LINKINFO);
                netlink_add_string(&request, IFLA_INFO_KIND, "veth");
                netlink_nest_end(&request, place);
                r = netlink_call(&netlink, &request, NULL);
                if (r < 0) {
                        fprintf(stderr, "skipped: no veth devices: %s\n", strerror(-r));
                        return 77;
                }
        }

        for (TestCase *t = test_cases; t; t = t->next) {
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
        free(message);
        pb_arena_done(&arena);
        netlink_done(&netlink);
        return 0;
}
