/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkNamespace=: what a caller or the operator has set up on the host becomes the guest's network. Four steps, each
 * at its time: read and planned with everything else; attached just before the machine is made, which gets the other
 * ends; told to the agent before there are containers; undone when the machine is gone. Adoption finds all of it in
 * place. Where a caller's namespace is still empty, the machine gets a spare interface for what is to come
 * (sandbox-late.c).
 */

#include <fcntl.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/net/attach.h"
#include "runtime/sandbox/sandbox-internal.h"

const char *sandbox_network_name(const Sandbox *s)
{
        return s->netns_path ? s->netns_path : "of its own";
}

int sandbox_read_network(Sandbox *s, const NetSpare *spare, NetPlan **ret, NetSpare *ret_spare,
                         char **reterr_message)
{
        _cleanup_(netlink_done) Netlink netlink = NETLINK_NULL;
        _cleanup_(net_scan_done) NetScan scan = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = namespace_sockets(s->netns_fd, &netlink, NULL, 0, &message);
        if (r >= 0)
                r = net_scan(&netlink, &scan, &message);
        if (r >= 0 && ret_spare)
                r = net_spare_choose(&scan, ret_spare);
        if (r >= 0)
                r = net_plan_new(&scan, spare, ret, &message);
        if (r < 0)
                return error_setf(reterr_message, r, "network namespace %s: %s", sandbox_network_name(s),
                                  error_text(message, r));
        return 0;
}

static int open_namespace(Sandbox *s, char **reterr_message)
{
        const char *path = s->conf->network_namespace;

        if (streq(path, CONF_NETWORK_NEW))
                return namespace_new(&s->netns_fd, reterr_message);

        s->netns_path = strdup(path);
        return s->netns_path ? namespace_open(path, &s->netns_fd, reterr_message) : -ENOMEM;
}

int sandbox_plan_network(Sandbox *s, char **reterr_message)
{
        const char *note;
        int r;

        /* Of a supervisor that was killed before it had a machine to take over. */
        sandbox_undo_network(s);
        if (!s->conf->network_namespace)
                return 0;

        r = open_namespace(s, reterr_message);
        if (r >= 0)
                r = sandbox_read_network(s, NULL, &s->network, &s->spare, reterr_message);
        if (r < 0)
                return s->netns_path ? EX_CONFIG : EX_OSERR;
        s->has_spare = s->by_caller && s->network->n_interfaces == 0;

        STRV_FOREACH(note, &s->network->notes)
                log_notice("Sandbox '%s': left out of network namespace %s: %s", s->id, sandbox_network_name(s), note);
        log_info("Sandbox '%s' has %zu interfaces and %zu routes of network namespace %s%s", s->id,
                 s->network->n_interfaces, s->network->routes.n_routes, sandbox_network_name(s),
                 s->has_spare ? ", and a place for one that comes before its first container starts" : "");

        s->config.netns_fd = fcntl(s->netns_fd, F_DUPFD_CLOEXEC, 3);
        return s->config.netns_fd < 0 ? EX_OSERR : 0;
}

static void add_nic(Sandbox *s, const NetTap *tap, const uint8_t mac[static 6], uint32_t mtu)
{
        VmNic *nic = &s->config.nics[s->config.n_nics++];

        *nic = (VmNic) { .tap_fd = tap->tap_fd, .vhost_fd = tap->vhost_fd, .mtu = mtu };
        memcpy(nic->mac, mac, sizeof(nic->mac));
}

int sandbox_attach_network(Sandbox *s, char **reterr_message)
{
        _cleanup_free_ char *undo_file = net_undo_path(s->id);
        NetTap taps[NET_PLAN_INTERFACES_MAX];
        int r;

        if (!s->network || (s->network->n_interfaces == 0 && !s->has_spare))
                return 0;
        if (!undo_file)
                return -ENOMEM;

        const NetAttach params = {
                .namespace_fd = s->netns_fd,
                .namespace_path = s->netns_path,
                .undo_file = undo_file,
                .vhost = s->accel == VM_ACCEL_KVM,
        };

        if (s->has_spare) {
                r = net_attach_spare(&params, &s->spare, taps, reterr_message);
                if (r < 0)
                        return r;
                add_nic(s, taps, s->spare.mac, 0);
                s->handlers.on_keep_fd(s, KEPT_NETWORK_NAMESPACE, s->netns_fd, s->handlers.userdata);
                return 0;
        }

        r = net_attach(&params, s->network, taps, reterr_message);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->network->n_interfaces; i++)
                add_nic(s, &taps[i], s->network->interfaces[i].mac, s->network->interfaces[i].mtu);
        return 0;
}

/* --- in the guest --- */

/* One request at a time: routes need their interfaces, and the first failure is the one to tell. */
typedef enum NetworkStep {
        STEP_ADDRESS,           /* MAC address, of an interface that had another one */
        STEP_INTERFACES,        /* and so many more as there are */
        STEP_ROUTES,
        STEP_NEIGHBORS,
        STEP_DONE,
} NetworkStep;

static void next_request(Sandbox *s);

static NetworkStep step_of(const Sandbox *s)
{
        size_t n = s->network->n_interfaces;

        if (s->network_step == 0)
                return STEP_ADDRESS;
        if (s->network_step <= n)
                return STEP_INTERFACES;
        return s->network_step == n + 1 ? STEP_ROUTES : s->network_step == n + 2 ? STEP_NEIGHBORS : STEP_DONE;
}

static bool is_due(const Sandbox *s)
{
        const NetPlan *plan = s->network;

        switch (step_of(s)) {
        case STEP_ADDRESS:
                return plan->n_interfaces > 0 && plan->interfaces[0].guest_address;
        case STEP_ROUTES:
                return plan->routes.n_routes > 0;
        case STEP_NEIGHBORS:
                return plan->neighbors.n_arpneighbors > 0;
        default:
                return true;
        }
}

static void finish(Sandbox *s, int error, const char *text)
{
        void (*done)(Sandbox *s, int error, const char *text) = s->network_done;

        s->network = net_plan_free(s->network);
        s->network_done = NULL;
        done(s, error, text);
}

static void fail_request(Sandbox *s, int error, const char *text)
{
        _cleanup_free_ char *message = NULL;
        NetworkStep step = step_of(s);

        if (error == -ECONNRESET)
                return finish(s, error, text);
        if (step == STEP_ADDRESS || step == STEP_INTERFACES)
                (void) error_setf(&message, error, "the agent can not set up network interface %s: %s",
                                  s->network->interfaces[MAX(s->network_step, (size_t) 1) - 1].message->name, text);
        else
                (void) error_setf(&message, error, "the agent can not set up the %s: %s",
                                  step == STEP_ROUTES ? "routes of the network" : "neighbours in the network", text);
        finish(s, error, error_text(message, error));
}

/*
 * An agent that is not ours, or a policy from before: the guest keeps its own address. On a bridge that makes no
 * difference; it does behind what knows the other address by itself, like macvlan.
 */
static bool keep_guest_address(Sandbox *s, int error, const char *text)
{
        NetInterface *interface = &s->network->interfaces[0];

        if (step_of(s) != STEP_ADDRESS || (error != -EOPNOTSUPP && error != -EPERM))
                return false;
        log_notice("Sandbox '%s': interface %s has the MAC address %s in the guest and not that of the host, since the "
                   "agent does not change it: %s", s->id, interface->message->name, interface->guest_address, text);
        interface->message->hwaddr = interface->guest_address;
        return true;
}

static void on_network_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        Sandbox *s = userdata;

        if (!s->network)
                return;
        if (error < 0 && !keep_guest_address(s, error, text))
                return fail_request(s, error, text);
        /* Known by it from now on, also if one of the next requests fails and all is tried again. */
        if (error == 0 && step_of(s) == STEP_ADDRESS)
                memcpy(s->spare.mac, s->network->interfaces[0].mac, sizeof(s->spare.mac));
        s->network_step++;
        next_request(s);
}

static int send_request(Sandbox *s)
{
        NetPlan *plan = s->network;
        usec_t timeout = s->node->request_timeout;

        switch (step_of(s)) {
        case STEP_ADDRESS:
                return agent_set_interface_address(s->agent, plan->interfaces[0].guest_address,
                                                   plan->interfaces[0].message->hwaddr, timeout, on_network_reply, s);
        case STEP_INTERFACES:
                return agent_update_interface(s->agent, plan->interfaces[s->network_step - 1].message, timeout,
                                              on_network_reply, s);
        case STEP_ROUTES:
                return agent_update_routes(s->agent, &plan->routes, timeout, on_network_reply, s);
        default:
                return agent_add_neighbors(s->agent, &plan->neighbors, timeout, on_network_reply, s);
        }
}

static void next_request(Sandbox *s)
{
        int r;

        while (!is_due(s))
                s->network_step++;
        if (step_of(s) == STEP_DONE)
                return finish(s, 0, NULL);
        r = send_request(s);
        if (r < 0)
                fail_request(s, r, strerror(-r));
}

void sandbox_tell_network(Sandbox *s, void (*done)(Sandbox *s, int error, const char *text))
{
        s->network_step = 0;
        s->network_done = done;
        next_request(s);
}

static void on_told(Sandbox *s, int error, const char *text)
{
        if (s->phase != PHASE_CREATING_SANDBOX)
                return;
        if (error == -ECONNRESET)
                sandbox_agent_lost(s, text);
        else if (error < 0)
                sandbox_fail(s, EX_SOFTWARE, "%s", text);
        else
                sandbox_start_containers(s);
}

void sandbox_configure_network(Sandbox *s)
{
        if (s->network)
                sandbox_tell_network(s, on_told);
        else
                sandbox_start_containers(s);
}

/* --- and back --- */

void sandbox_undo_network(Sandbox *s)
{
        _cleanup_free_ char *file = net_undo_path(s->id), *message = NULL;
        int r;

        sandbox_forget_starts(s);
        s->network = net_plan_free(s->network);
        s->has_spare = false;
        r = file ? net_undo(file, s->netns_fd, &message) : -ENOMEM;
        /* What still can be done is that of --cleanup, by ExecStopPost=. */
        if (r < 0)
                log_warning("Sandbox '%s': %s", s->id, error_text(message, r));
        s->netns_fd = safe_close(s->netns_fd);
        s->netns_path = mfree(s->netns_path);
}
