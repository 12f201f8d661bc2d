/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkNamespace=: what a caller or the operator has set up on the host becomes the guest's network. The namespace is
 * read when the sandbox starts, and not again: the machines have no hotplug. Four steps, each at its time: read and
 * planned with everything else; attached just before the machine is made, which gets the other ends; told to the
 * agent before there are containers; undone when the machine is gone. Adoption finds all of it in place.
 */

#include <fcntl.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/net/attach.h"
#include "runtime/sandbox/sandbox-internal.h"

static int read_namespace(Sandbox *s, char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_(net_scan_done) NetScan scan = {};
        _cleanup_free_ char *message = NULL;
        const char *note;
        int r;

        r = namespace_sockets(s->netns_fd, &netlink, NULL, 0, &message);
        if (r >= 0)
                r = net_scan(&netlink, &scan, &message);
        if (r >= 0)
                r = net_plan_new(&scan, &s->network, &message);
        if (r < 0)
                return error_setf(reterr_message, r, "network namespace %s: %s", s->conf->network_namespace,
                                  error_text(message, r));

        STRV_FOREACH(note, &s->network->notes)
                log_notice("Sandbox '%s': left out of network namespace %s: %s", s->id, s->conf->network_namespace,
                           note);
        log_info("Sandbox '%s' has %zu interfaces and %zu routes of network namespace %s", s->id,
                 s->network->n_interfaces, s->network->routes.n_routes, s->conf->network_namespace);
        return 0;
}

int sandbox_plan_network(Sandbox *s, char **reterr_message)
{
        int r;

        /* Of a supervisor that was killed before it had a machine to take over. */
        sandbox_undo_network(s);
        if (!s->conf->network_namespace)
                return 0;

        r = namespace_open(s->conf->network_namespace, &s->netns_fd, reterr_message);
        if (r < 0)
                return EX_CONFIG;
        r = read_namespace(s, reterr_message);
        if (r < 0)
                return EX_CONFIG;

        s->config.netns_fd = fcntl(s->netns_fd, F_DUPFD_CLOEXEC, 3);
        return s->config.netns_fd < 0 ? EX_OSERR : 0;
}

int sandbox_attach_network(Sandbox *s, char **reterr_message)
{
        _cleanup_free_ char *undo_file = net_undo_path(s->id);
        NetTap taps[NET_PLAN_INTERFACES_MAX];
        int r;

        if (!s->network || s->network->n_interfaces == 0)
                return 0;
        if (!undo_file)
                return -ENOMEM;

        const NetAttach params = {
                .namespace_fd = s->netns_fd,
                .namespace_path = s->conf->network_namespace,
                .undo_file = undo_file,
                .vhost = s->accel == VM_ACCEL_KVM,
        };

        r = net_attach(&params, s->network, taps, reterr_message);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->network->n_interfaces; i++) {
                VmNic *nic = &s->config.nics[i];

                *nic = (VmNic) {
                        .tap_fd = taps[i].tap_fd,
                        .vhost_fd = taps[i].vhost_fd,
                        .mtu = s->network->interfaces[i].mtu,
                };
                memcpy(nic->mac, s->network->interfaces[i].mac, sizeof(nic->mac));
        }
        s->config.n_nics = s->network->n_interfaces;
        return 0;
}

/* --- in the guest --- */

static void next_request(Sandbox *s);

static void on_network_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        Sandbox *s = userdata;

        if (s->phase != PHASE_CREATING_SANDBOX || !s->network)
                return;
        if (error == -ECONNRESET)
                sandbox_agent_lost(s, text);
        else if (error < 0) {
                if (s->network_step < s->network->n_interfaces)
                        sandbox_fail(s, EX_SOFTWARE, "the agent can not set up network interface %s: %s",
                                     s->network->interfaces[s->network_step].message->name, text);
                else
                        sandbox_fail(s, EX_SOFTWARE, "the agent can not set up the %s: %s",
                                     s->network_step == s->network->n_interfaces ? "routes of the network" :
                                                                                   "neighbours in the network", text);
        } else {
                s->network_step++;
                next_request(s);
        }
}

/* One at a time: routes need their interfaces, and the first failure is the one to tell. */
static void next_request(Sandbox *s)
{
        NetPlan *plan = s->network;
        usec_t timeout = s->node->request_timeout;
        int r;

        if (plan && s->network_step == plan->n_interfaces && plan->routes.n_routes == 0)
                s->network_step++;
        if (!plan || s->network_step > plan->n_interfaces + 1 ||
            (s->network_step == plan->n_interfaces + 1 && plan->neighbors.n_arpneighbors == 0)) {
                s->network = net_plan_free(plan);
                sandbox_start_containers(s);
                return;
        }

        if (s->network_step < plan->n_interfaces)
                r = agent_update_interface(s->agent, plan->interfaces[s->network_step].message, timeout,
                                           on_network_reply, s);
        else if (s->network_step == plan->n_interfaces)
                r = agent_update_routes(s->agent, &plan->routes, timeout, on_network_reply, s);
        else
                r = agent_add_neighbors(s->agent, &plan->neighbors, timeout, on_network_reply, s);
        if (r < 0)
                sandbox_fail(s, EX_SOFTWARE, "the agent can not set up the network: %s", strerror(-r));
}

void sandbox_configure_network(Sandbox *s)
{
        next_request(s);
}

/* --- and back --- */

void sandbox_undo_network(Sandbox *s)
{
        _cleanup_free_ char *file = net_undo_path(s->id), *message = NULL;
        int r;

        r = file ? net_undo(file, s->netns_fd, &message) : -ENOMEM;
        /* What still can be done is that of --cleanup, by ExecStopPost=. */
        if (r < 0)
                log_warning("Sandbox '%s': %s", s->id, error_text(message, r));
        s->netns_fd = safe_close(s->netns_fd);
}
