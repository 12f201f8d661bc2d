/* SPDX-License-Identifier: Apache-2.0 */
/* Tap devices and redirections: see attach.h. */

#include "runtime/net/attach.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "runtime/net/traffic.h"

#define VHOST_DEVICE "/dev/vhost-net"

void net_taps_close(NetTap *taps, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                taps[i].tap_fd = safe_close(taps[i].tap_fd);
                taps[i].vhost_fd = safe_close(taps[i].vhost_fd);
        }
}

/* --- tap devices --- */

static int make_tap(int fd, const char *name, const char *interface, char **reterr_message)
{
        struct ifreq request = { .ifr_flags = (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL) };
        int r;

        memcpy(request.ifr_name, name, IFNAMSIZ);
        if (ioctl(fd, TUNSETIFF, &request) >= 0)
                return 0;
        r = negative_errno();
        return error_setf(reterr_message, r, "tap device %s for %s: %s%s", name, interface, strerror(-r),
                          r == -EBUSY || r == -EEXIST ?
                          ": there is one of this name; does another sandbox use this network namespace?" : "");
}

/* Else the host would have an address of its own on that wire, and talk to the guest. */
static void disable_ipv6_address(Netlink *netlink, uint32_t index)
{
        struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int) index };
        uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
        NetlinkRequest request;
        size_t families, family;

        netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
        families = netlink_nest(&request, IFLA_AF_SPEC);
        family = netlink_nest(&request, AF_INET6);
        netlink_add(&request, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
        netlink_nest_end(&request, family);
        netlink_nest_end(&request, families);
        /* A kernel without IPv6 gives no address either. */
        (void) netlink_call(netlink, &request, NULL);
}

static int set_up_tap(Netlink *netlink, uint32_t index, const NetInterface *interface, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        NetlinkRequest request;
        int r;

        disable_ipv6_address(netlink, index);
        rtnl_build_set_link(&request, index, NULL, interface->mtu, IFF_UP, IFF_UP);
        r = netlink_call(netlink, &request, &message);
        if (r < 0)
                return error_setf(reterr_message, r, "tap device %s for interface %s, MTU %u: %s", interface->tap,
                                  interface->name, interface->mtu, error_text(message, r));
        return 0;
}

/* --- redirections --- */

static int call(Netlink *netlink, NetlinkRequest *request, const char *link, const char *what, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        int r = netlink_call(netlink, request, &message);

        return r < 0 ? error_setf(reterr_message, r, "interface %s: %s: %s", link, what, error_text(message, r)) : 0;
}

/* -EBUSY ends the dump: somebody else's filter, or one whose target lives. */
static int on_filter(const NetlinkMessage *message, void *userdata)
{
        bool *dead = userdata;
        uint32_t to;
        int r = traffic_parse_redirect(message, &to);

        if (r == 0)
                *dead = true;
        return r == 0 || r == -ENOMSG ? 0 : r > 0 ? -EBUSY : r;
}

/*
 * The redirection of a sandbox that could not take it back: its supervisor was killed, and its unit stopped before
 * there was another one. The target went with its VMM.
 */
static bool remove_dead_redirection(Netlink *netlink, uint32_t index)
{
        NetlinkRequest request;
        bool dead = false;

        traffic_build_list_filters(&request, index);
        if (netlink_dump(netlink, &request, on_filter, &dead, NULL) < 0 || !dead)
                return false;
        traffic_build_delete_ingress(&request, index);
        return netlink_call(netlink, &request, NULL) >= 0;
}

/* Noted first; of what was there already the note is taken back. */
static int add_ingress(Netlink *netlink, const NetInterface *interface, NetUndo *undo, const char *undo_file,
                       char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        NetlinkRequest request;
        int r;

        undo->links[undo->n_links].index = interface->index;
        memcpy(undo->links[undo->n_links].name, interface->name, sizeof(interface->name));
        undo->n_links++;
        r = net_undo_save(undo, undo_file);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", undo_file, strerror(-r));

        traffic_build_add_ingress(&request, interface->index);
        r = netlink_call(netlink, &request, &message);
        if (r == -EEXIST && remove_dead_redirection(netlink, interface->index))
                r = netlink_call(netlink, &request, &message);
        if (r >= 0)
                return 0;
        undo->n_links--;
        (void) net_undo_save(undo, undo_file);
        if (r == -EEXIST)
                return error_setf(reterr_message, r, "interface %s: something in this network namespace takes its "
                                  "packets already, another sandbox perhaps; 'tc qdisc show dev %s' in there tells, "
                                  "'tc qdisc del dev %s ingress' ends it", interface->name, interface->name,
                                  interface->name);
        return error_setf(reterr_message, r, "interface %s: its packets can not be redirected: %s%s", interface->name,
                          error_text(message, r), r == -ENOENT ? " (modprobe sch_ingress)" : "");
}

static int connect_tap(Netlink *netlink, const NetInterface *interface, uint32_t tap, NetUndo *undo,
                       const char *undo_file, char **reterr_message)
{
        NetlinkRequest request;
        int r;

        r = add_ingress(netlink, interface, undo, undo_file, reterr_message);
        if (r < 0)
                return r;
        traffic_build_add_ingress(&request, tap);
        r = call(netlink, &request, interface->tap, "ingress queueing discipline", reterr_message);
        if (r < 0)
                return r;
        traffic_build_redirect(&request, tap, interface->index);
        r = call(netlink, &request, interface->tap, "redirection of what the guest sends (cls_u32, act_mirred)",
                 reterr_message);
        if (r < 0)
                return r;
        traffic_build_redirect(&request, interface->index, tap);
        return call(netlink, &request, interface->name, "redirection of what comes in", reterr_message);
}

/* The taps are there. */
static int connect_all(Netlink *netlink, const NetPlan *plan, NetUndo *undo, const char *undo_file,
                       char **reterr_message)
{
        _cleanup_(link_list_done) LinkList links = {};
        int r = link_list_read(&links, netlink, reterr_message);

        for (size_t i = 0; r >= 0 && i < plan->n_interfaces; i++) {
                const NetInterface *interface = &plan->interfaces[i];
                const RtnlLink *tap = link_list_by_name(&links, interface->tap);

                if (!tap)
                        return error_setf(reterr_message, -ENODEV, "tap device %s is not to be found",
                                          interface->tap);
                r = set_up_tap(netlink, tap->index, interface, reterr_message);
                if (r >= 0)
                        r = connect_tap(netlink, interface, tap->index, undo, undo_file, reterr_message);
        }
        return r;
}

static int attach_all(Netlink *netlink, const NetAttach *params, const NetPlan *plan, const NetTap *taps,
                      NetUndo *undo, char **reterr_message)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < plan->n_interfaces; i++)
                r = make_tap(taps[i].tap_fd, plan->interfaces[i].tap, plan->interfaces[i].name, reterr_message);

        return r < 0 ? r : connect_all(netlink, plan, undo, params->undo_file, reterr_message);
}

static NetTap new_tap(const NetAttach *params, int fd)
{
        return (NetTap) {
                .tap_fd = fd,
                .vhost_fd = params->vhost ? open(VHOST_DEVICE, O_RDWR | O_CLOEXEC | O_NOCTTY) : -EBADF,
        };
}

static int begin_undo(const NetAttach *params, NetUndo *undo)
{
        undo->path = params->namespace_path ? strdup(params->namespace_path) : NULL;
        return params->namespace_path && !undo->path ? -ENOMEM : namespace_id(params->namespace_fd, &undo->id);
}

int net_attach(const NetAttach *params, const NetPlan *plan, NetTap *taps, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_(net_undo_done) NetUndo undo = {};
        int tuns[NET_PLAN_INTERFACES_MAX], r;

        r = begin_undo(params, &undo);
        if (r >= 0)
                r = namespace_sockets(params->namespace_fd, &netlink, tuns, plan->n_interfaces, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < plan->n_interfaces; i++)
                taps[i] = new_tap(params, tuns[i]);
        r = attach_all(&netlink, params, plan, taps, &undo, reterr_message);
        if (r < 0) {
                net_taps_close(taps, plan->n_interfaces);
                (void) net_undo(params->undo_file, params->namespace_fd, NULL);
        }
        return r;
}

/* --- spare interfaces --- */

int net_attach_spare(const NetAttach *params, const NetSpare *spare, NetTap *ret, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_close_ int tun = -EBADF;
        int r;

        r = namespace_sockets(params->namespace_fd, &netlink, &tun, 1, reterr_message);
        if (r >= 0)
                r = make_tap(tun, spare->tap, "a spare interface", reterr_message);
        if (r < 0)
                return r;
        *ret = new_tap(params, TAKE_FD(tun));
        return 0;
}

/* Also what is left of an attempt that nobody has finished. */
static void put_tap_down(Netlink *netlink, const char *name)
{
        _cleanup_(link_list_done) LinkList links = {};
        NetlinkRequest request;
        const RtnlLink *tap;

        if (link_list_read(&links, netlink, NULL) < 0)
                return;
        tap = link_list_by_name(&links, name);
        if (!tap)
                return;
        traffic_build_delete_ingress(&request, tap->index);
        (void) netlink_call(netlink, &request, NULL);
        rtnl_build_set_link(&request, tap->index, NULL, 0, 0, IFF_UP);
        (void) netlink_call(netlink, &request, NULL);
}

int net_attach_late(const NetAttach *params, const NetPlan *plan, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_(net_undo_done) NetUndo undo = {};
        int r;

        assert(plan->n_interfaces == 1);
        r = net_undo(params->undo_file, params->namespace_fd, reterr_message);
        if (r >= 0)
                r = begin_undo(params, &undo);
        if (r >= 0)
                r = namespace_sockets(params->namespace_fd, &netlink, NULL, 0, reterr_message);
        if (r < 0)
                return r;

        put_tap_down(&netlink, plan->interfaces[0].tap);
        r = connect_all(&netlink, plan, &undo, params->undo_file, reterr_message);
        if (r < 0) {
                put_tap_down(&netlink, plan->interfaces[0].tap);
                (void) net_undo(params->undo_file, params->namespace_fd, NULL);
        }
        return r;
}

void net_detach_late(const NetAttach *params, const NetSpare *spare)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;

        (void) net_undo(params->undo_file, params->namespace_fd, NULL);
        if (namespace_sockets(params->namespace_fd, &netlink, NULL, 0, NULL) >= 0)
                put_tap_down(&netlink, spare->tap);
}
