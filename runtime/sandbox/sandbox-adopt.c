/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking over: an earlier supervisor of this name died without taking its machine down. State files say
 * what to look for; what counts is whether the process of that pid and start time is still there and in
 * the scope. A machine that was not up to its containers yet is cleared away, and the sandbox starts anew.
 */

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/log.h"
#include "proto/extension.pb-c.h"
#include "runtime/sandbox/sandbox-internal.h"

static void forget_state(Sandbox *s)
{
        static const char *const files[] = { SANDBOX_STATE_FILE, MACHINE_STATE_FILE, TASK_STATE_FILE };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *path = sandbox_path(s, files[i]);

                if (path)
                        (void) unlink(path);
        }
}

/* --- clearing away what can not be used --- */

static void on_old_scope_stopped(ScopeOp *op, int error, const char *message, void *userdata)
{
        Sandbox *s = userdata;

        s->scope_op = scope_op_free(s->scope_op);
        if (s->phase != PHASE_ADOPTING) {
                sandbox_stop_continue(s);
                return;
        }
        if (error < 0) {
                sandbox_fail(s, EX_OSERR, "the scope '%s' of an earlier run can not be stopped: %s",
                             s->scope_name, error_text(message, error));
                return;
        }

        s->have_scope = false;
        forget_state(s);
        sandbox_set_phase(s, PHASE_PREPARING);
        sandbox_start_machine(s);
}

static void start_anew(Sandbox *s)
{
        _cleanup_free_ char *message = NULL;
        int r = scope_stop(s->bus, s->scope_name, 0, on_old_scope_stopped, s, &s->scope_op, &message);

        if (r < 0)
                sandbox_fail(s, EX_OSERR, "the scope '%s' of an earlier run can not be stopped: %s",
                             s->scope_name, error_text(message, r));
}

/* --- the running machine --- */

static void on_list_reply(TtrpcClient *client, int error, const char *text, const void *message,
                          void *userdata)
{
        const Kata__Systemd__V1__ListContainersResponse *a = message;
        Sandbox *s = userdata;

        if (s->phase != PHASE_ADOPTING)
                return;
        if (error < 0) {
                sandbox_fail(s, EX_SOFTWARE, "the containers of the running machine can not be listed: %s",
                             error_text(text, error));
                return;
        }

        sandbox_disarm_timer(s);
        s->started = true;
        sandbox_set_phase(s, PHASE_RUNNING);

        /* The state file says what there was, the agent what there is. */
        for (size_t i = 0; i < s->n_containers; i++) {
                SandboxContainer *c = &s->containers[i];
                bool found = false;

                for (size_t j = 0; j < a->n_containers; j++)
                        found = found || streq(a->containers[j]->container_id, c->name);
                if (c->phase == CONTAINER_EXITED && !found)
                        c->phase = CONTAINER_REMOVED;
                else if (found)
                        sandbox_attach_container(c);
                else {
                        sandbox_fail(s, EX_SOFTWARE, "container '%s' is unknown to the running machine",
                                     c->name);
                        return;
                }
        }

        sandbox_event(s->relay, EVENT_SANDBOX_ADOPTED, NULL, NULL,
                      "Supervisor took over the running machine of sandbox '%s', transport %s", s->id,
                      vm_transport_to_string(s->transport_kind));
        if (s->by_caller) {
                sandbox_offer_guest(s, true);
                return;
        }
        s->handlers.on_running(s, s->handlers.userdata);
        sandbox_start_health(s);
}

void sandbox_adopt_connected(Sandbox *s)
{
        int r = agent_list_containers(s->agent, s->node->request_timeout, on_list_reply, s);

        if (r < 0)
                sandbox_agent_lost(s, strerror(-r));
}

static int on_adopt_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        sandbox_fail(userdata, EX_SOFTWARE,
                     "the agent of the running machine can not be reached, giving the machine up");
        return 0;
}

static int take_over(Sandbox *s, const SandboxState *state, const VmmState *machine,
                     char **reterr_message)
{
        int r = 0;

        s->stop_timeout = state->stop_timeout;
        s->memory_max = state->memory_max;
        s->debug = state->debug;
        s->by_caller = state->tasks;
        s->accel = machine->accel;
        s->transport_kind = machine->transport;
        s->has_spare = state->has_spare;
        s->spare = state->spare;
        if (state->network && !(s->netns_path = strdup(state->network)))
                return -ENOMEM;
        (void) guest_dir_recall(s->run_dir, &s->guest);
        if (state->kernel_release)
                s->guest.kernel_release = strdup(state->kernel_release);
        for (size_t i = 0; r >= 0 && i < state->n_containers; i++) {
                const ContainerStateEntry *e = &state->containers[i];
                SandboxContainer *c;

                r = sandbox_add_container(s, e->name, e->stop_signal, &c);
                if (r >= 0 && e->exited) {
                        c->phase = CONTAINER_EXITED;
                        c->status = e->status;
                }
        }

        if (r >= 0)
                r = vmm_adopt(s->event, machine, s->kept_vmm_stderr, sandbox_vmm_handlers(), s, &s->vmm,
                              reterr_message);
        if (r >= 0)
                TAKE_FD(s->kept_vmm_stderr);
        if (r >= 0 && state->virtiofsd_pid > 0) {
                r = virtiofsd_adopt(s->event, state->virtiofsd_pid, state->virtiofsd_start_time,
                                    s->kept_virtiofsd_stderr, sandbox_virtiofsd_handlers(), s,
                                    &s->virtiofsd, reterr_message);
                if (r >= 0)
                        TAKE_FD(s->kept_virtiofsd_stderr);
        }
        if (r >= 0)
                r = sandbox_open_transport(s, machine->cid, reterr_message);
        return r;
}

static void on_scope_looked_at(ScopeOp *op, int error, const char *message, const ScopeInfo *info,
                               void *userdata)
{
        _cleanup_free_ char *text = NULL, *state_path = NULL, *machine_path = NULL;
        _cleanup_(sandbox_state_done) SandboxState state = {};
        _cleanup_(vmm_state_done) VmmState machine = {};
        bool exists, active;
        Sandbox *s = userdata;
        int r;

        exists = info && info->exists;
        active = info && info->active;
        if (error < 0)
                (void) error_setf(&text, error, "%s", error_text(message, error));
        s->scope_op = scope_op_free(s->scope_op);
        if (s->phase != PHASE_ADOPTING) {
                sandbox_stop_continue(s);
                return;
        }
        if (error < 0) {
                sandbox_fail(s, EX_OSERR, "the scope '%s' can not be looked up: %s", s->scope_name, text);
                return;
        }

        s->have_scope = exists;
        state_path = sandbox_path(s, SANDBOX_STATE_FILE);
        machine_path = sandbox_path(s, MACHINE_STATE_FILE);
        r = state_path && machine_path ? 0 : -ENOMEM;
        if (r >= 0)
                r = sandbox_state_load(&state, state_path, &text);
        if (r >= 0)
                r = vmm_state_load(machine_path, &machine, &text);
        if (r >= 0 && !state.running)
                r = error_setf(&text, ENOTCONN, "its containers had not been started");
        if (r < 0 || !active) {
                log_notice("Sandbox '%s': what an earlier supervisor left can not be taken over (%s), starting anew",
                           s->id, r < 0 ? error_text(text, r) : "the scope is not active");
                start_anew(s);
                return;
        }

        r = take_over(s, &state, &machine, &text);
        if (r < 0) {
                sandbox_fail(s, EX_SOFTWARE, "the running machine can not be taken over: %s",
                             error_text(text, r));
                return;
        }

        sandbox_status(s, "Taking over the running machine");
        sandbox_arm_timer(s, s->node->request_timeout, on_adopt_timeout);
        sandbox_connect_agent(s);
}

bool sandbox_adopt(Sandbox *s)
{
        _cleanup_free_ char *path = sandbox_path(s, SANDBOX_STATE_FILE), *message = NULL;
        int r;

        /* Without a state file there was no supervisor that got as far as making a scope. */
        if (!path || access(path, F_OK) < 0)
                return false;

        sandbox_set_phase(s, PHASE_ADOPTING);
        s->scope_name = mfree(s->scope_name);
        r = sandbox_state_find_scope(s->run_dir, s->id, &s->scope_name);
        if (r < 0) {
                sandbox_fail(s, EX_OSERR, "out of memory");
                return true;
        }
        r = scope_adopt(s->bus, s->scope_name, on_scope_looked_at, s, &s->scope_op, &message);
        if (r < 0)
                sandbox_fail(s, EX_OSERR, "the scope '%s' can not be looked up: %s", s->scope_name,
                             error_text(message, r));
        return true;
}
