/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace read again: some callers set it up when the container has been made (Docker, podman with a user
 * namespace), or in a hook. Before each start of a container, as long as the spare interface is free, what has come by
 * then is attached to it and told to the agent; only then the program runs.
 *
 * Whoever dies in between: the redirections are noted (undo.h) before they are made, and sandbox.state has the spare
 * until the guest has its interface. So a successor that is asked for the start again undoes what is noted and does all
 * of it once more; the requests to the agent may be repeated.
 */

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/net/attach.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/sandbox-internal.h"

struct StartWaiter {
        StartWaiter *next;
        TtrpcReplyHandler done;
        void *userdata;
};

void sandbox_forget_starts(Sandbox *s)
{
        while (s->start_waiters) {
                StartWaiter *w = s->start_waiters;

                s->start_waiters = w->next;
                free(w);
        }
}

static int add_waiter(Sandbox *s, TtrpcReplyHandler done, void *userdata)
{
        StartWaiter *w = new0(StartWaiter, 1);

        if (!w)
                return -ENOMEM;
        *w = (StartWaiter) { .next = s->start_waiters, .done = done, .userdata = userdata };
        s->start_waiters = w;
        return 1;
}

/* Handlers may ask for the next start. */
static void answer_waiters(Sandbox *s, int error, const char *text)
{
        StartWaiter *w = TAKE_PTR(s->start_waiters);

        while (w) {
                StartWaiter *next = w->next;

                w->done(s->agent, error, text, NULL, w->userdata);
                free(w);
                w = next;
        }
}

static NetAttach attach_params(const Sandbox *s, const char *undo_file)
{
        return (NetAttach) {
                .namespace_fd = s->netns_fd, .namespace_path = s->netns_path, .undo_file = undo_file,
        };
}

static void detach(Sandbox *s)
{
        _cleanup_free_ char *undo_file = net_undo_path(s->id);
        const NetAttach params = attach_params(s, undo_file);

        if (undo_file)
                net_detach_late(&params, &s->spare);
}

static void on_told(Sandbox *s, int error, const char *text)
{
        if (error < 0) {
                /* As before: the next start tries again. */
                detach(s);
                (void) sandbox_save_state(s);
                if (error == -ECONNRESET)
                        sandbox_agent_lost(s, text);
                answer_waiters(s, error, text);
                return;
        }

        s->has_spare = false;
        error = sandbox_save_state(s);
        if (error < 0)
                log_warning_errno(error, "Sandbox '%s': a supervisor that takes over will look for interfaces again, "
                                  "ignoring", s->id);
        answer_waiters(s, 0, NULL);
}

static void log_plan(Sandbox *s, const NetPlan *plan)
{
        const char *note;

        STRV_FOREACH(note, &plan->notes)
                log_warning("Sandbox '%s': left out of network namespace %s: %s", s->id, sandbox_network_name(s), note);
        log_info("Sandbox '%s' gets interface %s and %zu routes of network namespace %s, which were not there before",
                 s->id, plan->interfaces[0].message->name, plan->routes.n_routes, sandbox_network_name(s));
}

int sandbox_prepare_start(Sandbox *s, TtrpcReplyHandler done, void *userdata, char **reterr_message)
{
        _cleanup_free_ char *undo_file = NULL, *message = NULL;
        _cleanup_(net_plan_freep) NetPlan *plan = NULL;
        NetAttach params;
        int r;

        if (s->network)
                return add_waiter(s, done, userdata);
        if (!s->has_spare)
                return 0;
        if (s->netns_fd < 0) {
                log_warning("Sandbox '%s': an earlier supervisor has not handed over the network namespace, so that "
                            "what was set up there since the machine started does not reach the guest; restart the "
                            "sandbox if it needs a network", s->id);
                s->has_spare = false;
                return 0;
        }

        r = sandbox_read_network(s, &s->spare, &plan, NULL, reterr_message);
        if (r < 0 || plan->n_interfaces == 0)
                return r;
        log_plan(s, plan);

        undo_file = net_undo_path(s->id);
        r = undo_file ? add_waiter(s, done, userdata) : -ENOMEM;
        if (r < 0)
                return r;
        params = attach_params(s, undo_file);
        r = net_attach_late(&params, plan, &message);
        if (r < 0) {
                sandbox_forget_starts(s);
                return error_setf(reterr_message, r, "network namespace %s: %s", sandbox_network_name(s),
                                  error_text(message, r));
        }
        s->network = TAKE_PTR(plan);
        sandbox_tell_network(s, on_told);
        return 1;
}
