/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox object: phases, failure and end; see sandbox.h. Host side, privileged. */

#include <stdarg.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "runtime/unit/unit-name.h"

int sandbox_new(Sandbox **ret, sd_event *event, const char *id, const char *run_dir,
                const SandboxHandlers *handlers, char **reterr_message)
{
        _cleanup_(sandbox_freep) Sandbox *s = new0(Sandbox, 1);
        int r;

        if (!s)
                return -ENOMEM;

        s->event = sd_event_ref(event);
        s->handlers = *handlers;
        s->guest = GUEST_DIR_NULL;
        s->config = VM_CONFIG_INIT;
        s->kept_vmm_stderr = s->kept_virtiofsd_stderr = s->netns_fd = -EBADF;
        s->id = strdup(id);
        s->run_dir = strdup(run_dir);
        if (!s->id || !s->run_dir)
                return -ENOMEM;
        s->share_dir = sandbox_path(s, "shared");
        if (!s->share_dir)
                return -ENOMEM;

        r = unit_name_service(id, &s->service_name);
        if (r >= 0)
                r = unit_name_scope(id, &s->scope_name);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' is not a sandbox name", id);

        r = sandbox_load_node_conf(s, reterr_message);
        if (r >= 0)
                r = sandbox_log_init(s, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

Sandbox *sandbox_free(Sandbox *s)
{
        if (!s)
                return NULL;

        sandbox_stop_health(s);
        sd_event_source_disable_unref(s->timer);
        sd_event_source_disable_unref(s->lost_timer);
        sd_event_source_disable_unref(s->defer);
        ttrpc_client_free(s->agent);
        transport_free(s->transport);
        debug_socket_free(s->debug_socket);
        scope_op_free(s->scope_op);
        scope_op_free(s->limits_op);
        vmm_free(s->vmm);
        virtiofsd_free(s->virtiofsd);
        for (size_t i = 0; i < s->n_containers; i++)
                sandbox_container_done(&s->containers[i]);
        free(s->containers);
        relay_free(s->relay);
        unit_bus_unref(s->bus);
        vm_config_done(&s->config);
        guest_dir_done(&s->guest);
        net_plan_free(s->network);
        sandbox_forget_starts(s);
        safe_close(s->netns_fd);
        free(s->netns_path);
        safe_close(s->kept_vmm_stderr);
        safe_close(s->kept_virtiofsd_stderr);
        sandbox_conf_free(s->conf);
        node_conf_free(s->node);
        free(s->id);
        free(s->run_dir);
        free(s->share_dir);
        free(s->virtiofsd_path);
        free(s->policy);
        free(s->service_name);
        free(s->scope_name);
        free(s->result);
        free(s->lost_text);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

SandboxPhase sandbox_phase(const Sandbox *s)
{
        return s->phase;
}

const char *sandbox_id(const Sandbox *s)
{
        return s->id;
}

char *sandbox_path(const Sandbox *s, const char *name)
{
        char *path;

        return asprintf(&path, "%s/%s", s->run_dir, name) < 0 ? NULL : path;
}

void sandbox_set_phase(Sandbox *s, SandboxPhase phase)
{
        assert(phase == s->phase || sandbox_phase_may_follow(s->phase, phase));

        s->phase = phase;
        if (s->times.entered[phase] == 0)
                s->times.entered[phase] = now_usec();
        log_debug("Sandbox '%s': %s", s->id, sandbox_phase_to_string(phase));
}

void sandbox_status(Sandbox *s, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);

        if (r >= 0)
                s->handlers.on_status(s, text, s->handlers.userdata);
        else
                text = NULL;
}

void sandbox_arm_timer(Sandbox *s, usec_t timeout, sd_event_time_handler_t fn)
{
        sandbox_disarm_timer(s);
        s->handlers.on_deadline(s, timeout, s->handlers.userdata);
        if (sd_event_add_time_relative(s->event, &s->timer, CLOCK_MONOTONIC, timeout, 0, fn, s) < 0)
                s->timer = NULL;
}

void sandbox_disarm_timer(Sandbox *s)
{
        s->timer = sd_event_source_disable_unref(s->timer);
}

/* The failure as an event, with the machine's last words where that helps. */
static void report_failure(Sandbox *s)
{
        _cleanup_free_ char *tail = s->vmm ? vmm_console_tail(s->vmm) : NULL;

        sandbox_event(s->relay, EVENT_SANDBOX_FAILED, NULL,
                      (const char *const[]) {
                              "KATA_PHASE", sandbox_phase_to_string(s->phase),
                              "KATA_GUEST", s->guest.path,
                              "KATA_GUEST_KERNEL", s->guest.kernel_release,
                              "KATA_CONSOLE_TAIL", isempty(tail) ? NULL : tail,
                              NULL },
                      "Sandbox '%s' failed (%s): %s", s->id, sandbox_phase_to_string(s->phase), s->result);
}

void sandbox_fail(Sandbox *s, int exit_status, const char *format, ...)
{
        va_list ap;

        if (s->failed || s->phase == PHASE_DEAD) {
                /* What follows from the first failure is noise; still let the way down go on. */
                s->forced = true;
                return;
        }

        va_start(ap, format);
        if (vasprintf(&s->result, format, ap) < 0)
                s->result = NULL;
        va_end(ap);

        s->failed = true;
        s->forced = true;
        s->exit_status = exit_status;
        report_failure(s);
        sandbox_status(s, "Failed: %s", error_text(s->result, ENOMEM));
        sandbox_begin_stop(s);
}

int sandbox_save_state(Sandbox *s)
{
        _cleanup_(sandbox_state_done) SandboxState state = {
                .running = s->started,
                .tasks = s->by_caller,
                .debug = s->debug,
                .stop_timeout = s->stop_timeout,
                .memory_max = s->memory_max,
        };
        _cleanup_free_ char *path = sandbox_path(s, SANDBOX_STATE_FILE);
        int r = 0;

        if (!path)
                return -ENOMEM;

        if (s->has_spare) {
                state.has_spare = true;
                state.spare = s->spare;
                state.network = s->netns_path ? strdup(s->netns_path) : NULL;
                if (s->netns_path && !state.network)
                        return -ENOMEM;
        }
        if (s->guest.kernel_release) {
                state.kernel_release = strdup(s->guest.kernel_release);
                if (!state.kernel_release)
                        return -ENOMEM;
        }
        state.scope = strdup(s->scope_name);
        if (!state.scope)
                return -ENOMEM;
        if (s->virtiofsd && !s->virtiofsd_gone) {
                state.virtiofsd_pid = virtiofsd_pid(s->virtiofsd)->pid;
                state.virtiofsd_start_time = virtiofsd_start_time(s->virtiofsd);
        }
        for (size_t i = 0; r >= 0 && i < s->n_containers; i++) {
                const SandboxContainer *c = &s->containers[i];

                r = sandbox_state_add_container(&state, c->name, c->stop_signal,
                                                c->phase >= CONTAINER_EXITED, c->status);
        }

        return r < 0 ? r : sandbox_state_save(&state, path);
}

static int on_start(sd_event_source *source, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        Sandbox *s = userdata;
        int r;

        s->defer = sd_event_source_disable_unref(s->defer);
        if (s->phase != PHASE_PREPARING)
                return 0;

        r = unit_bus_open_system(s->event, &s->bus, &message);
        if (r < 0) {
                sandbox_fail(s, EX_UNAVAILABLE, "%s", error_text(message, r));
                return 0;
        }

        if (!sandbox_adopt(s))
                sandbox_start_machine(s);
        return 0;
}

void sandbox_give_fd(Sandbox *s, const char *name, int fd)
{
        int *slot = streq(name, KEPT_VMM_STDERR) ? &s->kept_vmm_stderr :
                    streq(name, KEPT_VIRTIOFSD_STDERR) ? &s->kept_virtiofsd_stderr :
                    streq(name, KEPT_NETWORK_NAMESPACE) ? &s->netns_fd : NULL;

        if (!slot) {
                safe_close(fd);
                return;
        }
        safe_close(*slot);
        *slot = fd;
}

void sandbox_start(Sandbox *s)
{
        sandbox_set_phase(s, PHASE_PREPARING);
        if (sd_event_add_defer(s->event, &s->defer, on_start, s) < 0)
                sandbox_fail(s, EX_OSERR, "out of memory");
}

void sandbox_stop(Sandbox *s)
{
        if (s->stop_requested || s->phase == PHASE_DEAD)
                return;

        s->stop_requested = true;
        sandbox_begin_stop(s);
}

/* The last step: all is gone, the journal has what there was to say. */
void sandbox_finish(Sandbox *s)
{
        const char *text = s->failed ? error_text(s->result, ENOMEM) : s->result;

        sandbox_disarm_timer(s);
        sandbox_set_phase(s, PHASE_DEAD);
        s->handlers.on_finished(s, s->exit_status, text, s->handlers.userdata);
}
