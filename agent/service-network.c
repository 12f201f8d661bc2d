/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods about the guest's network: see services.h. The work_* functions run in workers. All of them are
 * serial: two of them at once would see each other's half.
 */

#include "agent/calls.h"
#include "agent/iptables.h"
#include "agent/network.h"
#include "agent/pci-path.h"
#include "agent/services.h"
#include "basic/error.h"
#include "basic/parse.h"

#define NETWORK_USEC (30 * USEC_PER_SEC)
/* As long as the programs wait for their lock, and some more. */
#define IPTABLES_USEC (15 * USEC_PER_SEC)
/* Kata's default of agent.hotplug_timeout. */
#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)

static int open_netlink(Netlink *ret, char **reterr_message)
{
        int r = netlink_open(ret);

        return r < 0 ? error_setf(reterr_message, r, "netlink socket: %s", strerror(-r)) : 0;
}

static int wait_device(const InterfacePlan *plan, char **reterr_message)
{
        _cleanup_free_ char *name = NULL;
        PciPath path;
        int r;

        if (isempty(plan->device_path))
                return 0;
        r = pci_path_parse(plan->device_path, &path);
        if (r < 0)
                return error_setf(reterr_message, r, r == -EOPNOTSUPP ?
                                  "interface %s: device path '%s': expander bridges are not supported" :
                                  "interface %s: device path '%s' is not a PCI path like 02/03",
                                  plan->name, plan->device_path);
        r = pci_path_wait("/sys", &path, "net", DEVICE_WAIT_USEC, &name, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "interface %s", plan->name) : 0;
}

static int work_update_interface(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__UpdateInterfaceRequest *q = input;
        _cleanup_(interface_plan_done) InterfacePlan plan = {};
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        Grpc__Interfaces list = GRPC__INTERFACES__INIT;
        _cleanup_pb_arena_ PbArena arena;
        Types__Interface *reply;
        RtnlLink link;
        int r;

        pb_arena_init(&arena, 0);
        if (!q->interface)
                return error_setf(reterr_message, EINVAL, "no interface in the request");
        r = interface_plan(q->interface, &plan, reterr_message);
        if (r >= 0)
                r = wait_device(&plan, reterr_message);
        if (r >= 0)
                r = open_netlink(&netlink, reterr_message);
        if (r >= 0)
                r = network_update_interface(&netlink, &plan, &link, reterr_message);
        if (r >= 0)
                r = network_list_interfaces(&netlink, link.index, &arena, &list, reterr_message);
        if (r < 0)
                return r;
        if (list.n_interfaces == 0)
                return error_setf(reterr_message, ENODEV, "interface %s has gone meanwhile", plan.name);

        /* What the kernel does not know is the host's to remember. */
        reply = list.interfaces[0];
        reply->device = q->interface->device;
        reply->devicepath = q->interface->devicepath;
        reply->type = q->interface->type;
        return call_answer(answer, &reply->base);
}

void service_update_interface(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_update_interface, &types__interface__descriptor, NETWORK_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int answer_routes(Netlink *netlink, CallAnswer *answer, char **reterr_message)
{
        Grpc__Routes list = GRPC__ROUTES__INIT;
        _cleanup_pb_arena_ PbArena arena;
        int r;

        pb_arena_init(&arena, 0);
        r = network_list_routes(netlink, &arena, &list, reterr_message);
        return r < 0 ? r : call_answer(answer, &list.base);
}

static int work_update_routes(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__UpdateRoutesRequest *q = input;
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_free_ RoutePlan *plans = NULL;
        size_t n = q->routes ? q->routes->n_routes : 0;
        int r;

        /* An empty list removes all; a missing one is a mistake. */
        if (!q->routes)
                return error_setf(reterr_message, EINVAL, "no routes in the request");
        r = routes_plan(q->routes->routes, n, &plans, reterr_message);
        if (r >= 0)
                r = open_netlink(&netlink, reterr_message);
        if (r >= 0)
                r = network_update_routes(&netlink, plans, n, reterr_message);
        return r < 0 ? r : answer_routes(&netlink, answer, reterr_message);
}

void service_update_routes(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_update_routes, &grpc__routes__descriptor, NETWORK_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_list_interfaces(const void *input, CallAnswer *answer, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        Grpc__Interfaces list = GRPC__INTERFACES__INIT;
        _cleanup_pb_arena_ PbArena arena;
        int r;

        pb_arena_init(&arena, 0);
        r = open_netlink(&netlink, reterr_message);
        if (r >= 0)
                r = network_list_interfaces(&netlink, 0, &arena, &list, reterr_message);
        return r < 0 ? r : call_answer(answer, &list.base);
}

void service_list_interfaces(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_list_interfaces, &grpc__interfaces__descriptor, NETWORK_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_list_routes(const void *input, CallAnswer *answer, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        int r = open_netlink(&netlink, reterr_message);

        return r < 0 ? r : answer_routes(&netlink, answer, reterr_message);
}

void service_list_routes(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_list_routes, &grpc__routes__descriptor, NETWORK_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_add_arp_neighbors(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__AddARPNeighborsRequest *q = input;
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_free_ NeighborPlan *plans = NULL;
        size_t n = q->neighbors ? q->neighbors->n_arpneighbors : 0;
        int r;

        if (n == 0)
                return 0;
        r = neighbors_plan(q->neighbors->arpneighbors, n, &plans, reterr_message);
        if (r >= 0)
                r = open_netlink(&netlink, reterr_message);
        return r < 0 ? r : network_add_neighbors(&netlink, plans, n, reterr_message);
}

void service_add_arp_neighbors(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_add_arp_neighbors, NULL, NETWORK_USEC, true };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int parse_mac(const char *field, const char *value, uint8_t ret[static 6], char **reterr_message)
{
        if (rtnl_mac_parse(value, ret) < 0 || (ret[0] & 1)) {
                _cleanup_free_ char *shown = text_escape(value, strlen(value), 64);

                return error_setf(reterr_message, EINVAL, "%s '%s' is not the MAC address of an interface", field,
                                  strempty(shown));
        }
        return 0;
}

static int work_set_interface_address(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Kata__Systemd__V1__SetInterfaceAddressRequest *q = input;
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        uint8_t from[6], to[6];
        int r;

        r = parse_mac("hw_address", q->hw_address, from, reterr_message);
        if (r >= 0)
                r = parse_mac("new_hw_address", q->new_hw_address, to, reterr_message);
        if (r >= 0)
                r = open_netlink(&netlink, reterr_message);
        return r < 0 ? r : network_set_address(&netlink, from, to, reterr_message);
}

void service_set_interface_address(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_set_interface_address, NULL, NETWORK_USEC, true };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_get_iptables(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__GetIPTablesRequest *q = input;
        Grpc__GetIPTablesResponse response = GRPC__GET_IPTABLES_RESPONSE__INIT;
        _cleanup_free_ uint8_t *data = NULL;
        int r;

        r = iptables_run(iptables_command(q->is_ipv6, false), NULL, 0, &data, &response.data.len,
                         reterr_message);
        response.data.data = data;
        return r < 0 ? r : call_answer(answer, &response.base);
}

void service_get_iptables(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_get_iptables, &grpc__get_iptables_response__descriptor, IPTABLES_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_set_iptables(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__SetIPTablesRequest *q = input;
        Grpc__SetIPTablesResponse response = GRPC__SET_IPTABLES_RESPONSE__INIT;
        _cleanup_free_ uint8_t *data = NULL;
        int r;

        r = iptables_run(iptables_command(q->is_ipv6, true), q->data.data, q->data.len, &data,
                         &response.data.len, reterr_message);
        response.data.data = data;
        return r < 0 ? r : call_answer(answer, &response.base);
}

void service_set_iptables(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_set_iptables, &grpc__set_iptables_response__descriptor, IPTABLES_USEC, true,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}
