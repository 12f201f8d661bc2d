/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network namespace with a pair of virtual Ethernet devices, attached and given back: frames go from the peer to the
 * tap descriptor and the other way, and nothing stays. Needs root; says what is missing (exit 77).
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/net/attach.h"
#include "runtime/net/traffic.h"

/* For experiments; a protocol that nobody else here speaks. */
#define PROTOCOL 0x88b5

static int namespace_fd = -EBADF;
static char namespace_path[64], directory[] = "/tmp/test-net-live.XXXXXX", *undo_file;
static Netlink netlink = NETLINK_NULL;          /* in the namespace */

static int make_pair(const char *name, uint8_t last, const char *peer)
{
        uint8_t hw[6] = { 2, 0, 0, 0, 0, last };
        struct ifinfomsg info = {};
        size_t link_info, data, other;
        NetlinkRequest request;

        netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
        netlink_add_string(&request, IFLA_IFNAME, name);
        netlink_add(&request, IFLA_ADDRESS, hw, sizeof(hw));
        netlink_add_u32(&request, IFLA_MTU, 1400);
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
        return netlink_call(&netlink, &request, NULL);
}

static RtnlLink link_named(const char *name)
{
        _cleanup_(link_list_done) LinkList links = {};

        ASSERT_OK(link_list_read(&links, &netlink, NULL));
        return *ASSERT_NOT_NULL(link_list_by_name(&links, name));
}

static bool has_link(const char *name)
{
        _cleanup_(link_list_done) LinkList links = {};

        ASSERT_OK(link_list_read(&links, &netlink, NULL));
        return link_list_by_name(&links, name);
}

static void set_up(const char *name)
{
        NetlinkRequest request;

        rtnl_build_set_link(&request, link_named(name).index, NULL, 0, IFF_UP, IFF_UP);
        ASSERT_OK(netlink_call(&netlink, &request, NULL));
}

/* A port of a bridge is not the guest's. The bridge itself stays down. */
static int hide_behind_bridge(const char *name)
{
        struct ifinfomsg none = {}, info = { .ifi_index = (int) link_named(name).index };
        NetlinkRequest request;
        size_t place;
        int r;

        netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
        netlink_add_string(&request, IFLA_IFNAME, "br0");
        place = netlink_nest(&request, IFLA_LINKINFO);
        netlink_add_string(&request, IFLA_INFO_KIND, "bridge");
        netlink_nest_end(&request, place);
        r = netlink_call(&netlink, &request, NULL);
        if (r < 0)
                return r;

        netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
        netlink_add_u32(&request, IFLA_MASTER, link_named("br0").index);
        return netlink_call(&netlink, &request, NULL);
}

/* Whether traffic control of the link has an ingress discipline: adding one tells. */
static bool has_ingress(const char *name)
{
        NetlinkRequest request;
        int r;

        traffic_build_add_ingress(&request, link_named(name).index);
        r = netlink_call(&netlink, &request, NULL);
        if (r == -EEXIST)
                return true;
        ASSERT_OK(r);
        traffic_build_delete_ingress(&request, link_named(name).index);
        ASSERT_OK(netlink_call(&netlink, &request, NULL));
        return false;
}

static NetPlan *make_plan(void)
{
        _cleanup_(net_scan_done) NetScan scan = {};
        NetPlan *plan;

        ASSERT_OK(net_scan(&netlink, &scan, NULL));
        ASSERT_OK(net_plan_new(&scan, NULL, &plan, NULL));
        return plan;
}

static int attach(const NetPlan *plan, NetTap *taps, char **reterr_message)
{
        const NetAttach params = {
                .namespace_fd = namespace_fd, .namespace_path = namespace_path, .undo_file = undo_file,
        };

        return net_attach(&params, plan, taps, reterr_message);
}

static int packet_socket(const char *name)
{
        struct sockaddr_ll address = {
                /* All: a bridge takes the others before us. */
                .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                .sll_ifindex = (int) link_named(name).index,
        };
        _cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        int fd;

        ASSERT_OK(own);
        ASSERT_OK(setns(namespace_fd, CLONE_NEWNET));
        fd = ASSERT_OK(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        ASSERT_OK(setns(own, CLONE_NEWNET));
        ASSERT_OK(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        return fd;
}

/* The next frame of our protocol; text behind its header. */
static void read_frame(int fd, size_t skip, char *text, size_t size)
{
        uint8_t buf[2048];

        for (unsigned i = 0; i < 50; i++) {
                ssize_t n;

                ASSERT_TRUE(fd_wait(fd, POLLIN, 5000) > 0);
                n = read(fd, buf, sizeof(buf));
                if (n < (ssize_t) (skip + ETH_HLEN) || buf[skip + 12] != PROTOCOL >> 8 ||
                    buf[skip + 13] != (PROTOCOL & 0xff))
                        continue;
                snprintf(text, size, "%.*s", (int) (n - (ssize_t) skip - ETH_HLEN), buf + skip + ETH_HLEN);
                return;
        }
        TEST_FAIL("no frame of ours");
}

static void write_frame(int fd, size_t skip, const char *text)
{
        static const uint8_t header[ETH_HLEN] = {
                2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x77, PROTOCOL >> 8, PROTOCOL & 0xff,
        };
        uint8_t buf[128] = {}, *frame = buf + skip;

        memcpy(frame, header, sizeof(header));
        memcpy(frame + ETH_HLEN, text, strlen(text));
        ASSERT_EQ(write(fd, buf, skip + 60), skip + 60);
}

TEST(frames_go_both_ways)
{
        _cleanup_(net_plan_freep) NetPlan *plan = make_plan();
        _cleanup_free_ char *message = NULL;
        const size_t header = sizeof(struct virtio_net_hdr);
        NetTap taps[NET_PLAN_INTERFACES_MAX];
        _cleanup_close_ int peer = -EBADF;
        char text[64];

        ASSERT_EQ(plan->n_interfaces, 1);
        ASSERT_STREQ(plan->interfaces[0].name, "eth0");
        ASSERT_EQ(plan->interfaces[0].mtu, 1400);
        if (attach(plan, taps, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_EQ(link_named("kata0").mtu, 1400);
        ASSERT_TRUE(link_named("kata0").flags & IFF_UP);
        ASSERT_TRUE(has_ingress("eth0"));
        ASSERT_TRUE(has_ingress("kata0"));

        peer = packet_socket("peer0");
        write_frame(peer, 0, "to the guest");
        read_frame(taps[0].tap_fd, header, text, sizeof(text));
        ASSERT_STREQ(text, "to the guest");
        write_frame(taps[0].tap_fd, header, "from the guest");
        read_frame(peer, 0, text, sizeof(text));
        /* Its own frame, seen on the way out, comes first. */
        if (streq(text, "to the guest"))
                read_frame(peer, 0, text, sizeof(text));
        ASSERT_STREQ(text, "from the guest");

        /* A second one fails and leaves the first one alone. */
        {
                NetTap more[NET_PLAN_INTERFACES_MAX];
                _cleanup_free_ char *other_file = NULL;
                NetAttach params = { .namespace_fd = namespace_fd, .namespace_path = namespace_path };

                ASSERT_TRUE(asprintf(&other_file, "%s/other", directory) > 0);
                params.undo_file = other_file;
                ASSERT_TRUE(net_attach(&params, plan, more, &message) < 0);
                ASSERT_CONTAINS(message, "does another sandbox use this network namespace?");
                snprintf(plan->interfaces[0].tap, sizeof(plan->interfaces[0].tap), "other0");
                ASSERT_ERROR(net_attach(&params, plan, more, &message), EEXIST);
                ASSERT_CONTAINS(message, "'tc qdisc del dev eth0 ingress' ends it");
                ASSERT_TRUE(access(other_file, F_OK) < 0);
                ASSERT_FALSE(has_link("other0"));
        }
        ASSERT_TRUE(has_ingress("eth0"));

        net_taps_close(taps, 1);
        ASSERT_OK(net_undo(undo_file, namespace_fd, NULL));
        ASSERT_FALSE(has_link("kata0"));
        ASSERT_FALSE(has_ingress("eth0"));
        ASSERT_TRUE(access(undo_file, F_OK) < 0);
        ASSERT_OK(net_undo(undo_file, namespace_fd, NULL));
}

/* A supervisor was killed, and nobody took back what it did: the next one does. */
TEST(dead_redirections_are_replaced)
{
        _cleanup_(net_plan_freep) NetPlan *plan = make_plan();
        NetTap taps[NET_PLAN_INTERFACES_MAX];

        ASSERT_OK(attach(plan, taps, NULL));
        net_taps_close(taps, 1);
        ASSERT_OK(unlink(undo_file));
        ASSERT_TRUE(has_ingress("eth0"));
        ASSERT_OK(attach(plan, taps, NULL));
        net_taps_close(taps, 1);
        ASSERT_OK(net_undo(undo_file, namespace_fd, NULL));
        ASSERT_FALSE(has_ingress("eth0"));
}

static NetPlan *make_late_plan(const NetSpare *spare)
{
        _cleanup_(net_scan_done) NetScan scan = {};
        NetPlan *plan;

        ASSERT_OK(net_scan(&netlink, &scan, NULL));
        ASSERT_OK(net_plan_new(&scan, spare, &plan, NULL));
        return plan;
}

/* The machine runs before there is anything to attach to it. */
TEST(attached_late)
{
        const NetAttach params = {
                .namespace_fd = namespace_fd, .namespace_path = namespace_path, .undo_file = undo_file,
        };
        const size_t header = sizeof(struct virtio_net_hdr);
        _cleanup_(net_plan_freep) NetPlan *plan = NULL;
        _cleanup_(net_scan_done) NetScan scan = {};
        _cleanup_close_ int peer = -EBADF;
        NetSpare spare;
        char text[64];
        NetTap tap;

        ASSERT_OK(net_scan(&netlink, &scan, NULL));
        ASSERT_OK(net_spare_choose(&scan, &spare));
        ASSERT_STREQ(spare.tap, "kata0");
        ASSERT_OK(net_attach_spare(&params, &spare, &tap, NULL));
        ASSERT_FALSE(link_named("kata0").flags & IFF_UP);
        ASSERT_FALSE(has_ingress("eth0"));
        ASSERT_TRUE(access(undo_file, F_OK) < 0);

        plan = make_late_plan(&spare);
        ASSERT_EQ(plan->n_interfaces, 1);
        ASSERT_OK(net_attach_late(&params, plan, NULL));
        ASSERT_EQ(link_named("kata0").mtu, 1400);
        /* A supervisor that was killed behind this is not known to have come so far. */
        ASSERT_OK(net_attach_late(&params, plan, NULL));
        ASSERT_TRUE(link_named("kata0").flags & IFF_UP);
        ASSERT_TRUE(has_ingress("eth0"));

        peer = packet_socket("peer0");
        write_frame(peer, 0, "to the guest");
        read_frame(tap.tap_fd, header, text, sizeof(text));
        ASSERT_STREQ(text, "to the guest");
        write_frame(tap.tap_fd, header, "from the guest");
        read_frame(peer, 0, text, sizeof(text));
        if (streq(text, "to the guest"))
                read_frame(peer, 0, text, sizeof(text));
        ASSERT_STREQ(text, "from the guest");

        net_detach_late(&params, &spare);
        ASSERT_FALSE(has_ingress("eth0"));
        ASSERT_FALSE(has_ingress("kata0"));
        ASSERT_FALSE(link_named("kata0").flags & IFF_UP);
        ASSERT_TRUE(access(undo_file, F_OK) < 0);

        /* Somebody else has it: everything is as it was. */
        {
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;

                traffic_build_add_ingress(&request, link_named("eth0").index);
                ASSERT_OK(netlink_call(&netlink, &request, NULL));
                ASSERT_ERROR(net_attach_late(&params, plan, &message), EEXIST);
                ASSERT_CONTAINS(message, "'tc qdisc del dev eth0 ingress' ends it");
                ASSERT_TRUE(has_ingress("eth0"));
                ASSERT_FALSE(link_named("kata0").flags & IFF_UP);
                traffic_build_delete_ingress(&request, link_named("eth0").index);
                ASSERT_OK(netlink_call(&netlink, &request, NULL));
        }
        net_taps_close(&tap, 1);
        ASSERT_FALSE(has_link("kata0"));
}

TEST(new_namespace)
{
        _cleanup_close_ int fd = -EBADF, own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_(link_list_done) LinkList links = {};
        _cleanup_(netlink_done) Netlink in_there = NETLINK_NULL;
        NamespaceId a, b, c;

        ASSERT_OK(namespace_id(own, &a));
        ASSERT_OK(namespace_new(&fd, NULL));
        ASSERT_OK(namespace_id(fd, &b));
        ASSERT_TRUE(a.inode != b.inode);
        /* Back again. */
        own = safe_close(own);
        own = ASSERT_OK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        ASSERT_OK(namespace_id(own, &c));
        ASSERT_EQ(a.inode, c.inode);
        ASSERT_OK(namespace_sockets(fd, &in_there, NULL, 0, NULL));
        ASSERT_OK(link_list_read(&links, &in_there, NULL));
        ASSERT_EQ(links.n, 1);
}

/* As "kata-sandboxd --cleanup": only the file is known. */
TEST(undo_by_the_file)
{
        _cleanup_(net_plan_freep) NetPlan *plan = make_plan();
        _cleanup_(net_undo_done) NetUndo undo = {};
        NetTap taps[NET_PLAN_INTERFACES_MAX];

        ASSERT_OK(attach(plan, taps, NULL));
        net_taps_close(taps, 1);
        ASSERT_TRUE(has_ingress("eth0"));

        /* Another namespace at that path, another link of that number: hands off. */
        ASSERT_OK(net_undo_load(&undo, undo_file, NULL));
        undo.id.inode++;
        ASSERT_OK(net_undo_save(&undo, undo_file));
        ASSERT_OK(net_undo(undo_file, -EBADF, NULL));
        ASSERT_TRUE(has_ingress("eth0"));
        undo.id.inode--;
        undo.links[0].name[0] = 'x';
        ASSERT_OK(net_undo_save(&undo, undo_file));
        ASSERT_OK(net_undo(undo_file, -EBADF, NULL));
        ASSERT_TRUE(has_ingress("eth0"));

        undo.links[0].name[0] = 'e';
        ASSERT_OK(net_undo_save(&undo, undo_file));
        ASSERT_OK(net_undo(undo_file, -EBADF, NULL));
        ASSERT_FALSE(has_ingress("eth0"));
        ASSERT_TRUE(access(undo_file, F_OK) < 0);
}

TestCase *test_cases;

int main(void)
{
        _cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), tun = open("/dev/net/tun", O_RDWR);
        int r;

        if (tun < 0 || unshare(CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: no %s: %s\n", tun < 0 ? "/dev/net/tun" : "network namespace of our own",
                        strerror(errno));
                return 77;
        }
        namespace_fd = ASSERT_OK(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        ASSERT_OK(setns(own, CLONE_NEWNET));
        snprintf(namespace_path, sizeof(namespace_path), "/proc/self/fd/%d", namespace_fd);
        ASSERT_NOT_NULL(mkdtemp(directory));
        ASSERT_TRUE(asprintf(&undo_file, "%s/notes", directory) > 0);

        ASSERT_OK(namespace_sockets(namespace_fd, &netlink, NULL, 0, NULL));
        r = make_pair("eth0", 0x0a, "peer0");
        if (r < 0) {
                fprintf(stderr, "skipped: no veth devices: %s\n", strerror(-r));
                return 77;
        }
        set_up("eth0");
        set_up("peer0");
        r = hide_behind_bridge("peer0");
        if (r < 0) {
                fprintf(stderr, "skipped: no bridges: %s\n", strerror(-r));
                return 77;
        }

        for (TestCase *t = test_cases; t; t = t->next) {
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
        netlink_done(&netlink);
        ASSERT_OK(rm_rf(directory));
        free(undo_file);
        return 0;
}
