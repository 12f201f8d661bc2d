/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way down, in order: containers, agent, machine, scope, journal. One function takes the next step
 * from wherever things are, so that every event on the way (an exit, an answer, a deadline) does the same:
 * it calls sandbox_stop_continue(). After a failure the agent is not asked any more.
 */

#include <signal.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/sandbox/sandbox-internal.h"

#define MACHINE_QUIT_TIMEOUT (2 * USEC_PER_SEC)
#define VIRTIOFSD_TIMEOUT (2 * USEC_PER_SEC)
#define SCOPE_STOP_TIMEOUT (15 * USEC_PER_SEC)
#define FLUSH_TIMEOUT (5 * USEC_PER_SEC)

static bool agent_is_usable(const Sandbox *s)
{
        return s->agent && !s->forced;
}

static void stop_containers(Sandbox *s);
static void stop_agent(Sandbox *s);
static void stop_machine(Sandbox *s);
static void stop_scope(Sandbox *s);
static void flush(Sandbox *s);

/* --- containers --- */

static void on_signal_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        SandboxContainer *c = userdata;

        /* Exited in the meantime is what was wanted. */
        if (error < 0 && error != -ESRCH && error != -ENOENT && error != -ECONNRESET)
                log_warning("Container '%s' can not be signalled, ignoring: %s", c->name,
                            error_text(text, error));
}

static void signal_containers(Sandbox *s, bool kill)
{
        if (s->guest_offered)
                s->handlers.signal_containers(s, kill, s->handlers.userdata);
        for (size_t i = 0; i < s->n_containers; i++) {
                SandboxContainer *c = &s->containers[i];

                if (c->phase == CONTAINER_RUNNING)
                        (void) agent_signal_process(s->agent, c->name, kill ? "" : NULL,
                                                    kill ? SIGKILL : c->stop_signal,
                                                    s->node->request_timeout, on_signal_reply, c);
        }
}

static int on_kill_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        log_warning("Containers of sandbox '%s' survived SIGKILL, ending the virtual machine", s->id);
        s->forced = true;
        sandbox_stop_continue(s);
        return 0;
}

static int on_grace_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        sandbox_status(s, "Stopping: containers did not end in time, killing them");
        signal_containers(s, true);
        sandbox_arm_timer(s, s->node->request_timeout, on_kill_timeout);
        sandbox_stop_continue(s);
        return 0;
}

static void stop_containers(Sandbox *s)
{
        sandbox_set_phase(s, PHASE_STOPPING_CONTAINERS);
        sandbox_status(s, "Stopping containers");
        signal_containers(s, false);
        sandbox_arm_timer(s, s->stop_timeout, on_grace_timeout);
}

/* All exited and removed, with their output read to the end? Starts the removals that are due. */
static bool containers_are_down(Sandbox *s)
{
        bool down = true;

        if (s->guest_offered)
                return s->handlers.containers_are_down(s, s->handlers.userdata);

        for (size_t i = 0; i < s->n_containers; i++) {
                SandboxContainer *c = &s->containers[i];

                if (c->phase == CONTAINER_PLANNED || c->phase == CONTAINER_REMOVED)
                        continue;
                /* Created but never started: the agent's DestroySandbox takes care. */
                if (c->phase < CONTAINER_RUNNING)
                        continue;

                if (c->phase == CONTAINER_EXITED && !c->streams[STREAM_STDOUT].open &&
                    !c->streams[STREAM_STDERR].open)
                        sandbox_remove_container(c);
                if (c->phase != CONTAINER_REMOVED)
                        down = false;
        }

        return down;
}

/* --- agent and machine --- */

static void on_destroy_reply(TtrpcClient *client, int error, const char *text, const void *message,
                             void *userdata)
{
        Sandbox *s = userdata;

        if (error < 0 && error != -ECONNRESET && s->phase == PHASE_STOPPING_AGENT) {
                log_warning("Agent of sandbox '%s' did not end the guest: %s", s->id,
                            error_text(text, error));
                stop_machine(s);
        }
}

static int on_agent_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        log_warning("Guest of sandbox '%s' did not end in time, ending the virtual machine", s->id);
        stop_machine(s);
        return 0;
}

static void stop_agent(Sandbox *s)
{
        sandbox_set_phase(s, PHASE_STOPPING_AGENT);
        sandbox_stop_health(s);
        sandbox_status(s, "Stopping the guest");
        if (agent_destroy_sandbox(s->agent, s->node->request_timeout, on_destroy_reply, s) < 0)
                stop_machine(s);
        else
                sandbox_arm_timer(s, s->node->request_timeout, on_agent_timeout);
}

static bool machine_is_up(const Sandbox *s)
{
        return s->vmm && vmm_phase(s->vmm) != VMM_NEW && vmm_phase(s->vmm) != VMM_EXITED;
}

static void stop_machine(Sandbox *s)
{
        sandbox_disarm_timer(s);
        sandbox_stop_health(s);
        sandbox_set_phase(s, PHASE_STOPPING_VM);
        if (machine_is_up(s))
                (void) vmm_stop(s->vmm, now_usec() + MACHINE_QUIT_TIMEOUT);
        sandbox_stop_continue(s);
}

void sandbox_machine_gone(Sandbox *s)
{
        sandbox_stop_health(s);
        /* Its streams end by themselves: what is still in them is read first. */
        sandbox_stop_continue(s);
}

static int on_virtiofsd_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        s->timer = sd_event_source_disable_unref(s->timer);
        (void) virtiofsd_kill(s->virtiofsd, SIGKILL);
        return 0;
}

static bool virtiofsd_is_up(const Sandbox *s)
{
        return s->virtiofsd && !s->virtiofsd_gone;
}

/* --- scope and journal --- */

static void on_scope_stopped(ScopeOp *op, int error, const char *message, void *userdata)
{
        Sandbox *s = userdata;

        s->scope_op = scope_op_free(s->scope_op);
        s->have_scope = false;
        if (error < 0)
                log_warning("Scope '%s' was not stopped cleanly, ignoring: %s", s->scope_name,
                            error_text(message, error));
        flush(s);
}

static void stop_scope(Sandbox *s)
{
        _cleanup_free_ char *message = NULL;
        int r;

        sandbox_set_phase(s, PHASE_STOPPING_SCOPE);
        sandbox_disarm_timer(s);
        if (!s->have_scope || !s->bus) {
                flush(s);
                return;
        }

        r = scope_stop(s->bus, s->scope_name, SCOPE_STOP_TIMEOUT, on_scope_stopped, s, &s->scope_op, &message);
        if (r < 0) {
                log_warning("Scope '%s' can not be stopped, ignoring: %s", s->scope_name,
                            error_text(message, r));
                flush(s);
        }
}

static int on_flush_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        log_warning("The journal did not take the last messages of sandbox '%s' in time", s->id);
        sandbox_finish(s);
        return 0;
}

static void on_flushed(void *userdata)
{
        sandbox_finish(userdata);
}

static void flush(Sandbox *s)
{
        sandbox_set_phase(s, PHASE_FLUSHING);
        s->agent = ttrpc_client_free(s->agent);
        if (s->handlers.on_agent_gone)
                s->handlers.on_agent_gone(s, s->handlers.userdata);
        /* The VMM is gone, and with it the other ends. */
        sandbox_undo_network(s);
        sandbox_end_guest(s);
        sandbox_close_debug_socket(s);
        sandbox_event(s->relay, EVENT_SANDBOX_STOPPED, NULL, NULL, "Sandbox '%s' stopped", s->id);
        sandbox_arm_timer(s, FLUSH_TIMEOUT, on_flush_timeout);
        relay_flush(s->relay, on_flushed, s);
}

/* --- one step at a time --- */

void sandbox_stop_continue(Sandbox *s)
{
        switch (s->phase) {
        case PHASE_STOPPING_CONTAINERS:
                if (!machine_is_up(s) || !agent_is_usable(s))
                        stop_machine(s);
                else if (containers_are_down(s))
                        stop_agent(s);
                break;
        case PHASE_STOPPING_AGENT:
                if (!machine_is_up(s) || s->forced)
                        stop_machine(s);
                break;
        case PHASE_STOPPING_VM:
                /* A scope that is still being made must not appear after we have left. */
                if (machine_is_up(s) || s->scope_op)
                        break;
                if (virtiofsd_is_up(s)) {
                        if (!s->timer)
                                sandbox_arm_timer(s, VIRTIOFSD_TIMEOUT, on_virtiofsd_timeout);
                        break;
                }
                stop_scope(s);
                break;
        default:
                break;
        }
}

void sandbox_begin_stop(Sandbox *s)
{
        switch (s->phase) {
        case PHASE_RUNNING:
                if (!s->forced)
                        sandbox_event(s->relay, EVENT_SANDBOX_STOPPING, NULL, NULL, "Stopping sandbox '%s'",
                                      s->id);
                if (agent_is_usable(s))
                        stop_containers(s);
                else
                        stop_machine(s);
                sandbox_stop_continue(s);
                break;
        case PHASE_STOPPING_CONTAINERS:
        case PHASE_STOPPING_AGENT:
        case PHASE_STOPPING_VM:
                sandbox_stop_continue(s);
                break;
        case PHASE_STOPPING_SCOPE:
        case PHASE_FLUSHING:
        case PHASE_DEAD:
                break;
        default:
                /* While starting there is nothing worth saving. */
                s->forced = true;
                stop_machine(s);
                break;
        }
}
