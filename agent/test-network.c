/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink messages and network requests without a kernel: bytes written by hand from rtnetlink(7) and from
 * the protocol's field numbers, both ways.
 */

#include <linux/if_addr.h>
#include <linux/neighbour.h>

#include "agent/net-plan.h"
#include "basic/test.h"
#include "proto/net-message.h"

static NetlinkRequest request;

static void check_bytes(const uint8_t *data, size_t n, const uint8_t *wanted, size_t n_wanted)
{
        ASSERT_EQ(n, n_wanted);
        for (size_t i = 0; i < n; i++)
                if (data[i] != wanted[i])
                        TEST_FAIL("byte %zu is %#x, not %#x", i, data[i], wanted[i]);
}

#define ASSERT_BYTES(data, n, ...)                                                                 \
        check_bytes(data, n, (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }))

/* Behind the netlink header: its length and sequence number are the socket's affair. */
#define ASSERT_REQUEST(type, flags, ...)                                                           \
        ({                                                                                         \
                ASSERT_FALSE(request.full);                                                        \
                ASSERT_EQ(request.data[4] | request.data[5] << 8, type);                           \
                ASSERT_EQ(request.data[6] | request.data[7] << 8, (flags) | NLM_F_REQUEST);        \
                ASSERT_BYTES(request.data + 16, request.size - 16, __VA_ARGS__);                   \
        })

TEST(addresses)
{
        uint8_t mac[6];
        char buf[3 * RTNL_HW_MAX];
        RtnlIp ip;

        ASSERT_OK(rtnl_ip_parse("10.1.2.3", &ip));
        ASSERT_EQ(ip.family, AF_INET);
        ASSERT_STREQ(rtnl_ip_format(&ip, buf), "10.1.2.3");
        ASSERT_OK(rtnl_ip_parse("FE80::0:1", &ip));
        ASSERT_STREQ(rtnl_ip_format(&ip, buf), "fe80::1");
        ASSERT_ERROR(rtnl_ip_parse("10.1.2", &ip), EINVAL);
        ASSERT_ERROR(rtnl_ip_parse("010.1.2.3", &ip), EINVAL);
        ASSERT_ERROR(rtnl_ip_parse("fe80::1%eth0", &ip), EINVAL);
        ASSERT_ERROR(rtnl_ip_parse("", &ip), EINVAL);

        ASSERT_OK(rtnl_mac_parse("52:54:00:aB:Cd:ef", mac));
        ASSERT_STREQ(rtnl_mac_format(mac, 6, buf), "52:54:00:ab:cd:ef");
        ASSERT_ERROR(rtnl_mac_parse("52:54:00:ab:cd", mac), EINVAL);
        ASSERT_ERROR(rtnl_mac_parse("52-54-00-ab-cd-ef", mac), EINVAL);
        ASSERT_ERROR(rtnl_mac_parse("52:54:00:ab:cd:eg", mac), EINVAL);
        ASSERT_ERROR(rtnl_mac_parse("52:54:00:ab:cd:ef:00", mac), EINVAL);
}

TEST(requests)
{
        RtnlAddress address = { .index = 3, .prefix = 64, .flags = IFA_F_NODAD };
        RtnlRoute route = {
                .family = AF_INET, .prefix = 8, .type = RTN_UNICAST, .protocol = RTPROT_BOOT,
                .flags = RTNH_F_ONLINK, .mtu = 1400, .index = 2,
        };
        RtnlNeighbor neighbor = {
                .index = 2, .hw = { 2, 0, 0, 0, 0, 1 }, .n_hw = 6, .state = NUD_PERMANENT,
        };

        rtnl_build_set_link(&request, 2, "eth0", 1500, IFF_UP, IFF_UP | IFF_NOARP);
        ASSERT_REQUEST(RTM_NEWLINK, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0x81, 0, 0, 0,
                       9, 0, 3, 0, 'e', 't', 'h', '0', 0, 0, 0, 0, 8, 0, 4, 0, 0xdc, 5, 0, 0);

        ASSERT_OK(rtnl_ip_parse("fd00::1", &address.ip));
        rtnl_build_add_address(&request, &address);
        ASSERT_REQUEST(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, 10, 64, 0, 0, 3, 0, 0, 0,
                       20, 0, 2, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                       20, 0, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                       8, 0, 8, 0, 2, 0, 0, 0);
        rtnl_build_delete_address(&request, &address);
        ASSERT_REQUEST(RTM_DELADDR, 0, 10, 64, 0, 0, 3, 0, 0, 0,
                       20, 0, 2, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

        /* With the address for broadcasts: the last one of its network. */
        address = (RtnlAddress) { .index = 3, .prefix = 20 };
        ASSERT_OK(rtnl_ip_parse("10.1.34.5", &address.ip));
        rtnl_build_add_address(&request, &address);
        ASSERT_REQUEST(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, 2, 20, 0, 0, 3, 0, 0, 0,
                       8, 0, 2, 0, 10, 1, 34, 5, 8, 0, 1, 0, 10, 1, 34, 5, 8, 0, 4, 0, 10, 1, 47, 255);

        ASSERT_OK(rtnl_ip_parse("10.0.0.0", &route.dest));
        ASSERT_OK(rtnl_ip_parse("192.168.7.1", &route.gateway));
        ASSERT_OK(rtnl_ip_parse("192.168.7.2", &route.source));
        rtnl_build_add_route(&request, &route);
        ASSERT_REQUEST(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, 2, 8, 0, 0, 254, 3, 0, 1, 4, 0, 0, 0,
                       8, 0, 1, 0, 10, 0, 0, 0, 8, 0, 5, 0, 192, 168, 7, 1, 8, 0, 7, 0, 192, 168, 7, 2,
                       8, 0, 4, 0, 2, 0, 0, 0, 12, 0, 8, 0x80, 8, 0, 2, 0, 0x78, 5, 0, 0);

        /* An IPv4 network behind an IPv6 gateway. */
        route = (RtnlRoute) { .family = AF_INET, .type = RTN_UNICAST, .protocol = RTPROT_BOOT };
        ASSERT_OK(rtnl_ip_parse("fe80::1", &route.gateway));
        rtnl_build_add_route(&request, &route);
        ASSERT_REQUEST(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, 2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0,
                       22, 0, 18, 0, 10, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);

        ASSERT_OK(rtnl_ip_parse("10.0.0.9", &neighbor.ip));
        rtnl_build_add_neighbor(&request, &neighbor);
        ASSERT_REQUEST(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, 2, 0, 0, 0, 2, 0, 0, 0, 0x80, 0, 0, 0,
                       8, 0, 1, 0, 10, 0, 0, 9, 10, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0, 0);
}

TEST(requests_do_not_overflow)
{
        uint8_t big[NETLINK_REQUEST_MAX] = {};

        rtnl_build_replay_route(&request, RTM_NEWROUTE, 0, big, sizeof(big));
        ASSERT_TRUE(request.full);
        rtnl_build_replay_route(&request, RTM_NEWROUTE, 0, big, sizeof(big) - 16);
        ASSERT_FALSE(request.full);
        netlink_add_u32(&request, 1, 1);
        ASSERT_TRUE(request.full);
        ASSERT_EQ(request.size, sizeof(big));

        netlink_begin(&request, 1, 0, big, 0);
        netlink_add(&request, 1, big, UINT16_MAX);
        ASSERT_TRUE(request.full);
}

/* lo and eth0 as two messages of a dump, the second one without padding at its end. */
static const uint8_t links[] = {
        44, 0, 0, 0, RTM_NEWLINK, 0, 2, 0, 7, 0, 0, 0, 9, 0, 0, 0,
        0, 0, 4, 3, 1, 0, 0, 0, 0x49, 0, 1, 0, 0, 0, 0, 0, 7, 0, 3, 0, 'l', 'o', 0, 0, 4, 0, 99, 0,
        59, 0, 0, 0, RTM_NEWLINK, 0, 2, 0, 7, 0, 0, 0, 9, 0, 0, 0,
        0, 0, 1, 0, 2, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0,
        10, 0, 1, 0, 0x52, 0x54, 0, 0xab, 0xcd, 0xef, 0, 0, 8, 0, 4, 0, 0xdc, 5, 0, 0,
        7, 0, 3, 0, 'e', '0', 0,
};

TEST(dumps)
{
        static const uint8_t address[] = {
                44, 0, 0, 0, RTM_NEWADDR, 0, 2, 0, 7, 0, 0, 0, 9, 0, 0, 0, 2, 24, 0x80, 0, 2, 0, 0, 0,
                8, 0, 1, 0, 10, 0, 0, 9, 8, 0, 2, 0, 10, 0, 0, 5, 4, 0, 3, 0,
        };
        static const uint8_t route[] = {
                76, 0, 0, 0, RTM_NEWROUTE, 0, 2, 0, 7, 0, 0, 0, 9, 0, 0, 0,
                2, 16, 0, 0, 254, 3, 0, 1, 4, 0, 0, 0,
                8, 0, 15, 0, 254, 0, 0, 0, 8, 0, 1, 0, 10, 1, 0, 0, 12, 0, 8, 0, 8, 0, 2, 0, 0x78, 5, 0, 0,
                8, 0, 5, 0, 10, 0, 0, 1, 8, 0, 4, 0, 2, 0, 0, 0, 4, 0, 99, 0,
        };
        static const uint8_t multipath[] = {
                64, 0, 0, 0, RTM_NEWROUTE, 0, 2, 0, 7, 0, 0, 0, 9, 0, 0, 0,
                2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0,
                36, 0, 9, 0, 16, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 1,
                16, 0, 0, 0, 3, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 2,
        };
        const uint8_t *p = links;
        size_t n = sizeof(links);
        NetlinkMessage message;
        RtnlAddress a;
        RtnlLink link;
        RtnlRoute r;
        char buf[3 * RTNL_HW_MAX];

        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_EQ(message.seq, 7);
        ASSERT_EQ(rtnl_parse_link(&message, &link), 1);
        ASSERT_STREQ(link.name, "lo");
        ASSERT_TRUE(link.flags & IFF_LOOPBACK);
        ASSERT_EQ(link.n_hw, 0);
        ASSERT_EQ(rtnl_parse_address(&message, &a), 0);
        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_EQ(rtnl_parse_link(&message, &link), 1);
        ASSERT_STREQ(link.name, "e0");
        ASSERT_EQ(link.index, 2);
        ASSERT_EQ(link.mtu, 1500);
        ASSERT_STREQ(rtnl_mac_format(link.hw, link.n_hw, buf), "52:54:00:ab:cd:ef");
        ASSERT_EQ(netlink_next(&p, &n, &message), 0);

        p = address;
        n = sizeof(address);
        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_EQ(rtnl_parse_address(&message, &a), 1);
        /* Point to point: the local one. */
        ASSERT_STREQ(rtnl_ip_format(&a.ip, buf), "10.0.0.5");
        ASSERT_EQ(a.prefix, 24);
        ASSERT_EQ(a.flags, IFA_F_PERMANENT);

        p = route;
        n = sizeof(route);
        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_EQ(rtnl_parse_route(&message, &r), 1);
        ASSERT_EQ(r.prefix, 16);
        ASSERT_EQ(r.table, 254);
        ASSERT_EQ(r.mtu, 1400);
        ASSERT_EQ(r.index, 2);
        ASSERT_EQ(r.flags, RTNH_F_ONLINK);
        ASSERT_FALSE(r.multipath);
        ASSERT_STREQ(rtnl_ip_format(&r.gateway, buf), "10.0.0.1");

        p = multipath;
        n = sizeof(multipath);
        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_EQ(rtnl_parse_route(&message, &r), 1);
        ASSERT_TRUE(r.multipath);
        ASSERT_EQ(r.index, 2);
        ASSERT_STREQ(rtnl_ip_format(&r.gateway, buf), "10.0.0.1");
}

TEST(broken_dumps)
{
        static uint8_t bytes[sizeof(links)];
        NetlinkMessage message;
        RtnlLink link;

        /* Cut anywhere: what is whole is read, the rest is an error. */
        for (size_t cut = 1; cut < sizeof(links); cut++) {
                const uint8_t *p = links;
                size_t n = cut;
                int r;

                while ((r = netlink_next(&p, &n, &message)) > 0)
                        ASSERT_EQ(rtnl_parse_link(&message, &link), 1);
                ASSERT_EQ(r, cut == 44 ? 0 : -EBADMSG);
        }

        /* Each byte wrong in several ways: no more than an error. */
        for (size_t i = 0; i < sizeof(links); i++)
                for (unsigned v = 0; v < 256; v += 5) {
                        const uint8_t *p = bytes;
                        size_t n = sizeof(bytes);

                        memcpy(bytes, links, sizeof(links));
                        bytes[i] = (uint8_t) v;
                        while (netlink_next(&p, &n, &message) > 0)
                                (void) rtnl_parse_link(&message, &link);
                }
}

TEST(errors_have_the_kernels_text)
{
        /* -EINVAL, the failed request's header, then the text as attribute 1. */
        static const uint8_t bytes[] = {
                56, 0, 0, 0, NLMSG_ERROR, 0, 0, 3, 7, 0, 0, 0, 9, 0, 0, 0,
                0xea, 0xff, 0xff, 0xff, 40, 0, 0, 0, 24, 0, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0,
                18, 0, 1, 0, 'N', 'o', ' ', 's', 'u', 'c', 'h', ' ', 't', 'h', 'i', 'n', 'g', 0, 0, 0,
        };
        _cleanup_free_ char *text = NULL;
        const uint8_t *p = bytes;
        size_t n = sizeof(bytes);
        NetlinkMessage message;

        ASSERT_EQ(netlink_next(&p, &n, &message), 1);
        ASSERT_ERROR(netlink_error(&message, &text), EINVAL);
        ASSERT_STREQ(text, "Invalid argument: No such thing");
}

/* Unpacks as the server does. */
static PbArena arena;

static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n)
{
        void *message;

        pb_arena_done(&arena);
        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(type, &arena, data, n, &message));
        return message;
}

static void interface_error(const char *name, const char *mac, const char *address, const char *mask,
                            uint64_t mtu, const char *text)
{
        Types__Interface input = TYPES__INTERFACE__INIT;
        Types__IPAddress ip = TYPES__IPADDRESS__INIT, *ips[] = { &ip };
        _cleanup_free_ char *message = NULL;
        InterfacePlan plan;

        input.name = (char *) (uintptr_t) name;
        input.hwaddr = (char *) (uintptr_t) mac;
        ip.address = (char *) (uintptr_t) address;
        ip.mask = (char *) (uintptr_t) mask;
        input.ipaddresses = ips;
        input.n_ipaddresses = 1;
        input.mtu = mtu;
        ASSERT_ERROR(interface_plan(&input, &plan, &message), EINVAL);
        ASSERT_CONTAINS(message, text);
}

TEST(golden_update_interface)
{
        /* interface { device "e", name "eth0", IPAddresses { v4 10.0.0.5 24 } { v6 fd00::5 64 },
         * mtu 1400, hwAddr, raw_flags NOARP } */
        static const uint8_t bytes[] = {
                0x0a, 67, 0x0a, 1, 'e', 0x12, 4, 'e', 't', 'h', '0',
                0x1a, 14, 0x12, 8, '1', '0', '.', '0', '.', '0', '.', '5', 0x1a, 2, '2', '4',
                0x1a, 15, 0x08, 1, 0x12, 7, 'f', 'd', '0', '0', ':', ':', '5', 0x1a, 2, '6', '4',
                0x20, 0xf8, 0x0a,
                0x2a, 17, '5', '2', ':', '5', '4', ':', '0', '0', ':', 'A', 'B', ':', 'c', 'd', ':', 'e', 'f',
                0x40, 0x80, 0x01,
        };
        _cleanup_(interface_plan_done) InterfacePlan plan = {};
        Grpc__UpdateInterfaceRequest *q;
        uint8_t packed[128];
        Types__Interface *out;
        RtnlLink link = {
                .index = 2, .mtu = 1400, .flags = IFF_NOARP, .name = "eth0",
                .hw = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef }, .n_hw = 6,
        };
        size_t n;

        q = unpack(&grpc__update_interface_request__descriptor, bytes, sizeof(bytes));
        ASSERT_OK(interface_plan(q->interface, &plan, NULL));
        ASSERT_STREQ(plan.name, "eth0");
        ASSERT_TRUE(plan.has_mac);
        ASSERT_TRUE(plan.no_arp);
        ASSERT_EQ(plan.mtu, 1400);
        ASSERT_EQ(plan.mac[3], 0xab);
        ASSERT_EQ(plan.n_addresses, 2);
        ASSERT_EQ(plan.addresses[0].prefix, 24);
        ASSERT_EQ(plan.addresses[1].ip.family, AF_INET6);
        ASSERT_EQ(plan.addresses[1].flags, IFA_F_NODAD);

        plan.addresses[0].index = plan.addresses[1].index = 2;
        ASSERT_OK(interface_to_message(&link, plan.addresses, 2, &arena, &out));
        n = protobuf_c_message_pack(&out->base, packed);
        ASSERT_BYTES(packed, n, 0x12, 4, 'e', 't', 'h', '0',
                     0x1a, 14, 0x12, 8, '1', '0', '.', '0', '.', '0', '.', '5', 0x1a, 2, '2', '4',
                     0x1a, 15, 0x08, 1, 0x12, 7, 'f', 'd', '0', '0', ':', ':', '5', 0x1a, 2, '6', '4',
                     0x20, 0xf8, 0x0a, 0x2a, 17,
                     '5', '2', ':', '5', '4', ':', '0', '0', ':', 'a', 'b', ':', 'c', 'd', ':', 'e', 'f',
                     0x40, 0x80, 0x01);

        interface_error("", "", "10.0.0.1", "8", 0, "'' is not a name");
        interface_error("eth0/x", "", "10.0.0.1", "8", 0, "'eth0/x' is not a name");
        interface_error("abcdefghijklmnop", "", "10.0.0.1", "8", 0, "is not a name");
        interface_error("eth0", "52:54", "10.0.0.1", "8", 0, "interface eth0: '52:54' is not a MAC");
        interface_error("eth0", "", "10.0.0", "8", 0, "'10.0.0' is not an IP address");
        interface_error("eth0", "", "10.0.0.1", "33", 0, "'33' is not a prefix length of an IPv4");
        interface_error("eth0", "", "::1", "129", 0, "'129' is not a prefix length of an IPv6");
        interface_error("eth0", "", "10.0.0.1", "8", UINT64_C(1) << 40, "too large");
        pb_arena_done(&arena);
}

TEST(golden_update_routes)
{
        /* routes { Routes { dest 10.0.0.0/8, gateway 192.168.7.1, device eth0, flags 4, mtu 1400 }
         *          Routes { dest 192.168.7.1/32, device eth0, source 192.168.7.2, scope 253 }
         *          Routes { gateway fd00::1, device eth0, family v6 } } */
        static const uint8_t bytes[] = {
                0x0a, 97,
                0x0a, 36, 0x0a, 10, '1', '0', '.', '0', '.', '0', '.', '0', '/', '8',
                0x12, 11, '1', '9', '2', '.', '1', '6', '8', '.', '7', '.', '1',
                0x1a, 4, 'e', 't', 'h', '0', 0x38, 4, 0x40, 0xf8, 0x0a,
                0x0a, 38, 0x0a, 14, '1', '9', '2', '.', '1', '6', '8', '.', '7', '.', '1', '/', '3', '2',
                0x1a, 4, 'e', 't', 'h', '0', 0x22, 11, '1', '9', '2', '.', '1', '6', '8', '.', '7', '.', '2',
                0x28, 0xfd, 0x01,
                0x0a, 17, 0x12, 7, 'f', 'd', '0', '0', ':', ':', '1', 0x1a, 4, 'e', 't', 'h', '0', 0x30, 1,
        };
        _cleanup_free_ RoutePlan *plans = NULL;
        Grpc__UpdateRoutesRequest *q;
        Types__Route *out;
        uint8_t packed[128];
        char buf[46];
        size_t n;

        q = unpack(&grpc__update_routes_request__descriptor, bytes, sizeof(bytes));
        ASSERT_EQ(q->routes->n_routes, 3);
        ASSERT_OK(routes_plan(q->routes->routes, 3, &plans, NULL));

        /* The one without a gateway is first. */
        ASSERT_EQ(plans[0].route.prefix, 32);
        ASSERT_EQ(plans[0].route.scope, RT_SCOPE_LINK);
        ASSERT_STREQ(rtnl_ip_format(&plans[0].route.source, buf), "192.168.7.2");
        ASSERT_STREQ(plans[1].text, "10.0.0.0/8 via 192.168.7.1 dev eth0");
        ASSERT_EQ(plans[1].route.flags, RTNH_F_ONLINK);
        ASSERT_EQ(plans[1].route.mtu, 1400);
        ASSERT_STREQ(plans[2].text, "default via fd00::1 dev eth0");
        ASSERT_EQ(plans[2].route.family, AF_INET6);
        ASSERT_EQ(plans[2].route.prefix, 0);

        ASSERT_OK(route_to_message(&plans[1].route, "eth0", &arena, &out));
        n = protobuf_c_message_pack(&out->base, packed);
        ASSERT_BYTES(packed, n, 0x0a, 10, '1', '0', '.', '0', '.', '0', '.', '0', '/', '8',
                     0x12, 11, '1', '9', '2', '.', '1', '6', '8', '.', '7', '.', '1',
                     0x1a, 4, 'e', 't', 'h', '0', 0x38, 4, 0x40, 0xf8, 0x0a);
        pb_arena_done(&arena);
}

static int plan_route(const char *dest, const char *gateway, const char *device, const char *source,
                      RoutePlan *ret, char **reterr_message)
{
        Types__Route route = TYPES__ROUTE__INIT, *routes[] = { &route };
        _cleanup_free_ RoutePlan *plans = NULL;
        int r;

        route.dest = (char *) (uintptr_t) dest;
        route.gateway = (char *) (uintptr_t) gateway;
        route.device = (char *) (uintptr_t) device;
        route.source = (char *) (uintptr_t) source;
        r = routes_plan(routes, 1, &plans, reterr_message);
        if (r >= 0)
                *ret = plans[0];
        return r;
}

static void route_error(const char *dest, const char *gateway, const char *device, const char *source,
                        int error, const char *text)
{
        _cleanup_free_ char *message = NULL;
        RoutePlan plan;

        ASSERT_EQ(plan_route(dest, gateway, device, source, &plan, &message), -error);
        ASSERT_CONTAINS(message, text);
}

TEST(routes)
{
        static const char *const defaults[] = { "", "0.0.0.0/0", "0.0.0.0" };
        RoutePlan plan;

        for (size_t i = 0; i < ELEMENTSOF(defaults); i++) {
                ASSERT_OK(plan_route(defaults[i], "10.0.0.1", "eth0", "", &plan, NULL));
                ASSERT_EQ(plan.route.dest.family, 0);
                ASSERT_EQ(plan.route.prefix, 0);
        }
        ASSERT_OK(plan_route("::/0", "fe80::1", "eth0", "", &plan, NULL));
        ASSERT_EQ(plan.route.family, AF_INET6);
        ASSERT_EQ(plan.route.dest.family, 0);
        ASSERT_OK(plan_route("10.9.8.7", "", "eth0", "10.0.0.5/0", &plan, NULL));
        ASSERT_EQ(plan.route.prefix, 32);
        ASSERT_EQ(plan.route.source.family, AF_INET);
        /* The kernel finds the device. */
        ASSERT_OK(plan_route("", "10.0.0.1", "", "", &plan, NULL));
        ASSERT_OK(plan_route("10.0.0.0/8", "fe80::1", "eth0", "", &plan, NULL));
        ASSERT_EQ(plan.route.family, AF_INET);

        route_error("10.0.0.0/33", "", "eth0", "", EINVAL, "'10.0.0.0/33' is not a network");
        route_error("10.0.0.1/8", "", "eth0", "", EINVAL, "'10.0.0.1/8' is not a network");
        route_error("10.0.0.0/", "", "eth0", "", EINVAL, "is not a network");
        route_error("10.0.0.0/8", "gateway", "eth0", "", EINVAL, "'gateway' is not an IP address");
        route_error("10.0.0.0/8", "", "", "", EINVAL, "neither a gateway nor a device");
        route_error("10.0.0.0/8", "", "eth 0", "", EINVAL, "not a name of an interface");
        route_error("10.0.0.0/8", "", "eth0", "10.1.0.0/16", EOPNOTSUPP, "is a network");
        route_error("10.0.0.0/8", "", "eth0", "fd00::1", EINVAL, "is not an address of its family");
        route_error("fd00::/8", "10.0.0.1", "eth0", "", EINVAL, "can not go through an IPv4 gateway");
}

TEST(golden_add_arp_neighbors)
{
        /* neighbors { ARPNeighbors { toIPAddress { address 10.0.0.9 }, device eth0, lladdr, state 0x80 } } */
        static const uint8_t bytes[] = {
                0x0a, 42, 0x0a, 40, 0x0a, 10, 0x12, 8, '1', '0', '.', '0', '.', '0', '.', '9',
                0x12, 4, 'e', 't', 'h', '0',
                0x1a, 17, '0', '2', ':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '0', ':', '0', '1',
                0x20, 0x80, 0x01,
        };
        _cleanup_free_ NeighborPlan *plans = NULL;
        Grpc__AddARPNeighborsRequest *q;
        _cleanup_free_ char *message = NULL;

        q = unpack(&grpc__add_arpneighbors_request__descriptor, bytes, sizeof(bytes));
        ASSERT_OK(neighbors_plan(q->neighbors->arpneighbors, 1, &plans, NULL));
        ASSERT_STREQ(plans[0].device, "eth0");
        ASSERT_EQ(plans[0].neighbor.state, NUD_PERMANENT);
        ASSERT_EQ(plans[0].neighbor.n_hw, 6);
        ASSERT_EQ(plans[0].neighbor.hw[5], 1);

        q->neighbors->arpneighbors[0]->flags = 256;
        ASSERT_ERROR(neighbors_plan(q->neighbors->arpneighbors, 1, &plans, &message), EINVAL);
        ASSERT_CONTAINS(message, "10.0.0.9 on eth0: no such state or flags");
        pb_arena_done(&arena);
}

DEFINE_TEST_MAIN
