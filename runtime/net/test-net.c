/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a sandbox without a kernel: bytes of the requests (as tc(8) sends them), plans of scans made by hand,
 * and the notes about what has to be undone.
 */

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if_arp.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/net/plan.h"
#include "runtime/net/traffic.h"
#include "runtime/net/undo.h"

static NetlinkRequest request;

static void check_request(unsigned type, unsigned flags, const uint8_t *wanted, size_t n)
{
        ASSERT_FALSE(request.full);
        ASSERT_EQ(request.data[4] | request.data[5] << 8, type);
        ASSERT_EQ(request.data[6] | request.data[7] << 8, flags | NLM_F_REQUEST);
        ASSERT_EQ(request.size - NLMSG_HDRLEN, n);
        for (size_t i = 0; i < n; i++)
                if (request.data[NLMSG_HDRLEN + i] != wanted[i])
                        TEST_FAIL("byte %zu is %#x, not %#x", i, request.data[NLMSG_HDRLEN + i], wanted[i]);
}

#define ASSERT_REQUEST(type, flags, ...)                                                           \
        check_request(type, flags, (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }))

TEST(golden_ingress)
{
        traffic_build_add_ingress(&request, 7);
        ASSERT_REQUEST(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0xff, 0xff,
                       0xf1, 0xff, 0xff, 0xff, 0, 0, 0, 0, 12, 0, 1, 0, 'i', 'n', 'g', 'r', 'e', 's', 's', 0);
        traffic_build_delete_ingress(&request, 7);
        ASSERT_REQUEST(RTM_DELQDISC, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0xff, 0xff,
                       0xf1, 0xff, 0xff, 0xff, 0, 0, 0, 0, 12, 0, 1, 0, 'i', 'n', 'g', 'r', 'e', 's', 's', 0);
}

TEST(golden_redirect)
{
        traffic_build_redirect(&request, 7, 0x0102);
        ASSERT_REQUEST(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                       /* parent ffff:, priority 1, all protocols */
                       0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 3, 1, 0,
                       8, 0, 1, 0, 'u', '3', '2', 0,
                       96, 0, 2, 0x80,
                       /* action 1: mirred; stolen, egress redirect */
                       56, 0, 7, 0x80, 52, 0, 1, 0x80,
                       11, 0, 1, 0, 'm', 'i', 'r', 'r', 'e', 'd', 0, 0,
                       36, 0, 2, 0x80, 32, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                       1, 0, 0, 0, 2, 1, 0, 0,
                       /* terminal, one key without a bit in its mask */
                       36, 0, 5, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

/* --- plans --- */

static RtnlLink ethernet(uint32_t index, const char *name, uint8_t last)
{
        RtnlLink link = {
                .index = index, .flags = IFF_UP, .mtu = 1500, .type = ARPHRD_ETHER, .kind = "veth",
                .hw = { 2, 0, 0, 0, 0, last }, .n_hw = 6,
        };

        snprintf(link.name, sizeof(link.name), "%s", name);
        return link;
}

static RtnlIp ip(const char *s)
{
        RtnlIp parsed;

        ASSERT_OK(rtnl_ip_parse(s, &parsed));
        return parsed;
}

static bool has_note(const NetPlan *plan, const char *text)
{
        return strv_contains(&plan->notes, text);
}

TEST(plan_of_a_pod)
{
        RtnlLink links[] = {
                { .index = 1, .flags = IFF_UP | IFF_LOOPBACK, .mtu = 65536, .name = "lo", .type = ARPHRD_LOOPBACK },
                ethernet(2, "eth0", 0x0a), ethernet(3, "down0", 0x0b), ethernet(4, "tap0", 0x0c),
                ethernet(5, "p0", 0x0d), ethernet(6, "eth1", 0x0e), ethernet(7, "tun0", 0x0f), ethernet(8, "nomac", 0),
        };
        RtnlAddress addresses[] = {
                { .index = 1, .ip = ip("127.0.0.1"), .prefix = 8, .flags = IFA_F_PERMANENT },
                { .index = 2, .ip = ip("10.1.0.5"), .prefix = 24, .flags = IFA_F_PERMANENT },
                { .index = 2, .ip = ip("fd00::5"), .prefix = 64, .flags = IFA_F_PERMANENT | IFA_F_TENTATIVE },
                { .index = 2, .ip = ip("fe80::5"), .prefix = 64, .scope = RT_SCOPE_LINK, .flags = IFA_F_PERMANENT },
                { .index = 2, .ip = ip("2001:db8::5"), .prefix = 64, .flags = IFA_F_MANAGETEMPADDR },
                { .index = 6, .ip = ip("10.2.0.5"), .prefix = 16 },
        };
        const RtnlRoute unicast = { .family = AF_INET, .type = RTN_UNICAST, .protocol = RTPROT_BOOT, .index = 2 };
        RouteEntry routes[8];
        RtnlNeighbor neighbors[] = {
                { .index = 2, .ip = ip("10.1.0.1"), .hw = { 2, 1 }, .n_hw = 6, .state = NUD_PERMANENT },
                { .index = 2, .ip = ip("10.1.0.2"), .hw = { 2, 2 }, .n_hw = 6, .state = NUD_REACHABLE },
                { .index = 2, .ip = ip("10.1.0.3"), .state = NUD_PERMANENT, .flags = NTF_PROXY },
                { .index = 3, .ip = ip("10.1.0.4"), .hw = { 2, 4 }, .n_hw = 6, .state = NUD_PERMANENT },
        };
        NetScan scan = {
                .links = { links, ELEMENTSOF(links) }, .addresses = { addresses, ELEMENTSOF(addresses) },
                .routes = { routes, ELEMENTSOF(routes) }, .neighbors = { neighbors, ELEMENTSOF(neighbors) },
        };
        _cleanup_(net_plan_freep) NetPlan *plan = NULL;
        const Types__Interface *eth0;

        links[2].flags = 0;
        snprintf(links[3].kind, sizeof(links[3].kind), "tun");
        links[4].master = 6;
        links[5].mtu = 9000;
        links[5].flags |= IFF_NOARP;
        links[6].type = ARPHRD_NONE;
        memset(links[7].hw, 0, sizeof(links[7].hw));
        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                routes[i] = (RouteEntry) { .route = unicast };
        routes[0].route.gateway = ip("10.1.0.1");
        routes[1].route.protocol = RTPROT_KERNEL;
        routes[2].route.dest = ip("169.254.1.1");
        routes[2].route.prefix = 32;
        routes[2].route.scope = RT_SCOPE_LINK;
        routes[3].route.index = 3;
        routes[4].route.type = RTN_UNREACHABLE;
        routes[4].route.dest = ip("10.66.0.0");
        routes[4].route.prefix = 16;
        routes[5].route.family = AF_INET6;
        routes[5].route.protocol = RTPROT_RA;
        routes[6].route = (RtnlRoute) {
                .family = AF_INET, .type = RTN_UNICAST, .protocol = RTPROT_STATIC, .index = 6, .prefix = 8,
                .dest = ip("10.0.0.0"), .gateway = ip("10.2.0.1"), .source = ip("10.2.0.5"), .mtu = 1400,
                .multipath = true,
        };
        routes[7].route.flags = RTNH_F_DEAD;

        ASSERT_OK(net_plan_new(&scan, NULL, &plan, NULL));
        ASSERT_EQ(plan->n_interfaces, 2);
        ASSERT_EQ(plan->interfaces[0].index, 2);
        ASSERT_STREQ(plan->interfaces[0].tap, "kata0");
        ASSERT_EQ(plan->interfaces[0].mac[5], 0x0a);
        eth0 = plan->interfaces[0].message;
        ASSERT_STREQ(eth0->name, "eth0");
        ASSERT_STREQ(eth0->device, "eth0");
        ASSERT_STREQ(eth0->hwaddr, "02:00:00:00:00:0a");
        ASSERT_EQ(eth0->mtu, 1500);
        ASSERT_EQ(eth0->n_ipaddresses, 2);
        ASSERT_STREQ(eth0->ipaddresses[0]->address, "10.1.0.5");
        ASSERT_STREQ(eth0->ipaddresses[0]->mask, "24");
        ASSERT_STREQ(eth0->ipaddresses[1]->address, "fd00::5");
        ASSERT_STREQ(plan->interfaces[1].name, "eth1");
        ASSERT_STREQ(plan->interfaces[1].tap, "kata1");
        ASSERT_EQ(plan->interfaces[1].mtu, 9000);
        ASSERT_EQ(plan->interfaces[1].message->raw_flags, IFF_NOARP);
        ASSERT_EQ(plan->interfaces[1].message->n_ipaddresses, 1);

        ASSERT_EQ(plan->routes.n_routes, 3);
        ASSERT_STREQ(plan->routes.routes[0]->dest, "");
        ASSERT_STREQ(plan->routes.routes[0]->gateway, "10.1.0.1");
        ASSERT_STREQ(plan->routes.routes[0]->device, "eth0");
        ASSERT_STREQ(plan->routes.routes[1]->dest, "169.254.1.1/32");
        ASSERT_EQ(plan->routes.routes[1]->scope, RT_SCOPE_LINK);
        ASSERT_STREQ(plan->routes.routes[2]->dest, "10.0.0.0/8");
        ASSERT_STREQ(plan->routes.routes[2]->source, "10.2.0.5");
        ASSERT_STREQ(plan->routes.routes[2]->device, "eth1");
        ASSERT_EQ(plan->routes.routes[2]->mtu, 1400);

        ASSERT_EQ(plan->neighbors.n_arpneighbors, 1);
        ASSERT_STREQ(plan->neighbors.arpneighbors[0]->toipaddress->address, "10.1.0.1");
        ASSERT_STREQ(plan->neighbors.arpneighbors[0]->lladdr, "02:01:00:00:00:00");
        ASSERT_STREQ(plan->neighbors.arpneighbors[0]->device, "eth0");
        ASSERT_EQ(plan->neighbors.arpneighbors[0]->state, NUD_PERMANENT);

        ASSERT_TRUE(has_note(plan, "interface down0 is down"));
        ASSERT_TRUE(has_note(plan, "interface tap0 is a tap device"));
        ASSERT_TRUE(has_note(plan, "interface p0 is a port of another interface"));
        ASSERT_TRUE(has_note(plan, "interface tun0 is not Ethernet"));
        ASSERT_TRUE(has_note(plan, "interface nomac has no MAC address"));
        ASSERT_TRUE(has_note(plan, "a route to 10.66.0.0/16 leads nowhere, which the agent can not be told"));
        ASSERT_TRUE(has_note(plan, "of a route with several next hops the first one is taken: 10.2.0.1"));
        ASSERT_EQ(plan->notes.n, 7);
}

static void plan_error(const NetScan *scan, int error, const char *text)
{
        _cleanup_(net_plan_freep) NetPlan *plan = NULL;
        _cleanup_free_ char *message = NULL;

        ASSERT_EQ(net_plan_new(scan, NULL, &plan, &message), -error);
        ASSERT_CONTAINS(message, text);
}

TEST(plans_have_bounds)
{
        static RtnlLink links[NET_PLAN_INTERFACES_MAX + 1];
        static RouteEntry routes[NET_PLAN_ROUTES_MAX + 1];
        static RtnlNeighbor neighbors[NET_PLAN_NEIGHBORS_MAX + 1];
        static RtnlAddress addresses[NET_PLAN_ADDRESSES_MAX + 1];
        NetScan scan = { .links.v = links, .addresses.v = addresses, .routes.v = routes, .neighbors.v = neighbors };
        NetPlan *plan;

        for (size_t i = 0; i < ELEMENTSOF(links); i++) {
                char name[16];

                snprintf(name, sizeof(name), "eth%zu", i);
                links[i] = ethernet((uint32_t) i + 1, name, (uint8_t) (i + 1));
        }
        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                routes[i].route = (RtnlRoute) { .family = AF_INET, .type = RTN_UNICAST, .index = 1 };
        for (size_t i = 0; i < ELEMENTSOF(neighbors); i++)
                neighbors[i] = (RtnlNeighbor) { .index = 1, .ip = ip("10.0.0.1"), .n_hw = 6, .state = NUD_PERMANENT };
        for (size_t i = 0; i < ELEMENTSOF(addresses); i++)
                addresses[i] = (RtnlAddress) { .index = 1, .ip = ip("10.0.0.2"), .prefix = 8 };

        scan.links.n = NET_PLAN_INTERFACES_MAX;
        scan.addresses.n = NET_PLAN_ADDRESSES_MAX;
        scan.routes.n = NET_PLAN_ROUTES_MAX;
        scan.neighbors.n = NET_PLAN_NEIGHBORS_MAX;
        ASSERT_OK(net_plan_new(&scan, NULL, &plan, NULL));
        net_plan_free(plan);

        scan.links.n++;
        plan_error(&scan, E2BIG, "more than 8 interfaces");
        scan.links.n--;
        scan.addresses.n++;
        plan_error(&scan, E2BIG, "more than 256 addresses");
        scan.addresses.n--;
        scan.routes.n++;
        plan_error(&scan, E2BIG, "more than 256 routes");
        scan.routes.n--;
        scan.neighbors.n++;
        plan_error(&scan, E2BIG, "more than 256 neighbours");
        scan.neighbors.n--;

        links[1].mtu = 60;
        plan_error(&scan, EINVAL, "interface eth1 has an MTU of 60");
        links[1] = ethernet(2, "eth1", 1);
        plan_error(&scan, EINVAL, "interfaces eth0 and eth1 have the same MAC address");

        /* A dump may have a link twice when something changed meanwhile. */
        links[1] = ethernet(1, "eth0", 1);
        links[1].mtu = 9000;
        ASSERT_OK(net_plan_new(&scan, NULL, &plan, NULL));
        ASSERT_EQ(plan->n_interfaces, scan.links.n - 1);
        ASSERT_EQ(plan->interfaces[0].message->mtu, plan->interfaces[0].mtu);
        net_plan_free(plan);
}

/* The machine runs already, and has one interface that nothing is attached to. */
TEST(plan_for_a_spare)
{
        RtnlLink links[] = {
                { .index = 1, .flags = IFF_UP | IFF_LOOPBACK, .mtu = 65536, .name = "lo", .type = ARPHRD_LOOPBACK },
                ethernet(2, "kata0", 0x0a), ethernet(3, "eth0", 0x0b), ethernet(4, "eth1", 0x0c),
                ethernet(5, "down0", 0x0d),
        };
        RtnlAddress addresses[] = {
                { .index = 3, .ip = ip("10.1.0.5"), .prefix = 24, .flags = IFA_F_PERMANENT },
                { .index = 4, .ip = ip("10.2.0.5"), .prefix = 24, .flags = IFA_F_PERMANENT },
        };
        RouteEntry routes[2];
        NetScan scan = {
                .links = { links, 2 }, .addresses = { addresses, ELEMENTSOF(addresses) },
                .routes = { routes, ELEMENTSOF(routes) },
        };
        NetSpare spare, other;
        NetPlan *plan;

        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                routes[i].route = (RtnlRoute) { .family = AF_INET, .type = RTN_UNICAST, .protocol = RTPROT_BOOT,
                                                .index = 3 + (uint32_t) i };
        snprintf(links[1].kind, sizeof(links[1].kind), "tun");
        links[4].flags = 0;

        /* A name that is free, and an address of its own each time: unicast, locally administered. */
        ASSERT_OK(net_spare_choose(&scan, &spare));
        ASSERT_STREQ(spare.tap, "kata1");
        ASSERT_EQ(spare.mac[0] & 3, 2);
        ASSERT_OK(net_spare_choose(&scan, &other));
        ASSERT_TRUE(memcmp(spare.mac, other.mac, sizeof(spare.mac)) != 0);

        /* Nothing has come; its own tap is not worth a word. */
        spare = (NetSpare) { .tap = "kata0", .mac = { 2, 0, 0, 0, 0xaa, 1 } };
        ASSERT_OK(net_plan_new(&scan, &spare, &plan, NULL));
        ASSERT_EQ(plan->n_interfaces, 0);
        ASSERT_EQ(plan->notes.n, 0);
        net_plan_free(plan);

        scan.links.n = ELEMENTSOF(links);
        ASSERT_OK(net_plan_new(&scan, &spare, &plan, NULL));
        ASSERT_EQ(plan->n_interfaces, 1);
        ASSERT_STREQ(plan->interfaces[0].name, "eth0");
        ASSERT_STREQ(plan->interfaces[0].tap, "kata0");
        ASSERT_STREQ(plan->interfaces[0].guest_address, "02:00:00:00:aa:01");
        ASSERT_STREQ(plan->interfaces[0].message->hwaddr, "02:00:00:00:00:0b");
        ASSERT_EQ(plan->interfaces[0].message->n_ipaddresses, 1);
        ASSERT_EQ(plan->routes.n_routes, 1);
        ASSERT_STREQ(plan->routes.routes[0]->device, "eth0");
        ASSERT_EQ(plan->notes.n, 2);
        ASSERT_CONTAINS(plan->notes.v[0], "interface eth1 came when the machine was running");
        ASSERT_STREQ(plan->notes.v[1], "interface down0 is down");
        net_plan_free(plan);

        /* All that comes at the right time has the address of the host. */
        ASSERT_OK(net_plan_new(&scan, NULL, &plan, NULL));
        ASSERT_EQ(plan->n_interfaces, 2);
        ASSERT_NULL(plan->interfaces[0].guest_address);
        net_plan_free(plan);
}

/* --- what is to be undone --- */

static char directory[] = "/tmp/test-net.XXXXXX";

static void undo_error(const char *file, const char *text, const char *wanted)
{
        _cleanup_free_ char *message = NULL;
        NetUndo undo;

        ASSERT_OK(write_file_atomic(file, text, strlen(text), 0600));
        ASSERT_ERROR(net_undo_load(&undo, file, &message), EINVAL);
        ASSERT_CONTAINS(message, wanted);
}

TEST(undo_file)
{
        _cleanup_(net_undo_done) NetUndo undo = { .id = { 4, 4026532000 }, .n_links = 2 }, read = {}, read_again = {};
        _cleanup_free_ char *file = NULL;

        ASSERT_NOT_NULL(mkdtemp(directory));
        ASSERT_TRUE(asprintf(&file, "%s/notes", directory) > 0);
        ASSERT_ERROR(net_undo_load(&read, file, NULL), ENOENT);
        ASSERT_OK(net_undo(file, -EBADF, NULL));

        undo.path = strdup("/run/netns/that is gone");
        undo.links[0].index = 2;
        strcpy(undo.links[0].name, "eth0");
        undo.links[1].index = 17;
        strcpy(undo.links[1].name, "a=b");
        ASSERT_OK(net_undo_save(&undo, file));
        ASSERT_OK(net_undo_load(&read, file, NULL));
        ASSERT_STREQ(read.path, undo.path);
        ASSERT_EQ(read.id.device, 4);
        ASSERT_EQ(read.id.inode, 4026532000);
        ASSERT_EQ(read.n_links, 2);
        ASSERT_EQ(read.links[0].index, 2);
        ASSERT_STREQ(read.links[0].name, "eth0");
        ASSERT_STREQ(read.links[1].name, "a=b");

        /* Nothing is left of a namespace that has gone, or is no namespace any more. */
        ASSERT_OK(net_undo(file, -EBADF, NULL));
        ASSERT_TRUE(access(file, F_OK) < 0);
        free(undo.path);
        undo.path = strdup("/dev/null");
        ASSERT_OK(net_undo_save(&undo, file));
        ASSERT_OK(net_undo(file, -EBADF, NULL));
        ASSERT_TRUE(access(file, F_OK) < 0);

        /* One that never had a name is not looked for. */
        undo.path = mfree(undo.path);
        ASSERT_OK(net_undo_save(&undo, file));
        ASSERT_OK(net_undo_load(&read_again, file, NULL));
        ASSERT_NULL(read_again.path);
        ASSERT_EQ(read_again.id.inode, 4026532000);
        ASSERT_OK(net_undo(file, -EBADF, NULL));
        ASSERT_TRUE(access(file, F_OK) < 0);

        undo_error(file, "", "version or namespace");
        undo_error(file, "version=2\n", ":1: not a line");
        undo_error(file, "version=1\nnamespace=x\n", ":2: not a line");
        undo_error(file, "version=1\nnamespace=/x\nlink=0 eth0\n", ":3: not a line");
        undo_error(file, "version=1\nnamespace=/x\nlink=1 abcdefghijklmnop\n", ":3: not a line");
        undo_error(file, "version=1\nnamespace=/x\nlink=1\n", ":3: not a line");
        undo_error(file, "version=1\nnamespace=/x\nother=1\n", ":3: not a line");
        ASSERT_OK(rm_rf(directory));
}

TEST(what_is_no_namespace)
{
        _cleanup_free_ char *message = NULL;
        int fd;

        ASSERT_ERROR(namespace_open("/run/netns/missing.test", &fd, &message), ENOENT);
        ASSERT_CONTAINS(message, "/run/netns/missing.test can not be opened");
        ASSERT_ERROR(namespace_open("/dev/null", &fd, &message), EINVAL);
        ASSERT_CONTAINS(message, "/dev/null is not a network namespace");
        ASSERT_ERROR(namespace_open("/proc/self/ns/mnt", &fd, &message), EINVAL);
        ASSERT_ERROR(namespace_open("/proc/self/ns/net", &fd, &message), EPERM);
        ASSERT_CONTAINS(message, "network namespace of the host");
}

DEFINE_TEST_MAIN
