/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to a connected agent: processes forked and paused, put into their scope, released; then
 * nothing is asked until the agent reports by itself.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "proto/health.pb-c.h"
#include "proto/notify.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "basic/unix-socket.h"

/* How long the machine's own end may take to become known after the agent's connection broke. */
#define LOST_GRACE (300 * USEC_PER_MSEC)
/* The same once the VMM is known to be on its way out. */
#define ENDING_GRACE (5 * USEC_PER_SEC)

/* --- what the machine reports --- */

static void on_vmm_ready(Vmm *vmm, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        Sandbox *s = userdata;
        int r;

        if (s->phase != PHASE_BOOTING)
                return;

        /* The guest gets its first instruction only if the daemon that serves it is confined. */
        if (s->virtiofsd) {
                r = virtiofsd_verify(s->virtiofsd, &message);
                if (r < 0) {
                        sandbox_fail(s, EX_OSERR, "virtiofsd is not confined: %s", error_text(message, r));
                        return;
                }
        }
        r = vmm_start(vmm);
        if (r < 0)
                sandbox_fail(s, EX_SOFTWARE, "the virtual machine can not be started: %s", strerror(-r));
}

static void on_vmm_running(Vmm *vmm, void *userdata)
{
        Sandbox *s = userdata;

        if (s->phase != PHASE_BOOTING)
                return;
        sandbox_event(s->relay, EVENT_VM_STARTED, NULL,
                      (const char *const[]) {
                              "KATA_VMM", vmm_backend_name(vmm),
                              "KATA_ACCELERATOR", vm_accel_to_string(s->accel),
                              "KATA_TRANSPORT", vm_transport_to_string(s->transport_kind),
                              "KATA_GUEST", s->guest.path,
                              "KATA_GUEST_KERNEL", s->guest.kernel_release,
                              NULL },
                      "Virtual machine of sandbox '%s' started: %s, accelerator %s, transport %s, "
                      "kernel %s of %s", s->id, vmm_backend_name(vmm), vm_accel_to_string(s->accel),
                      vm_transport_to_string(s->transport_kind),
                      s->guest.kernel_release ? s->guest.kernel_release : "(unknown release)",
                      s->guest.path ? s->guest.path : s->node->kernel);
}

static void on_vmm_console(Vmm *vmm, const char *line, size_t n, void *userdata)
{
        Sandbox *s = userdata;

        relay_console_line(s->relay, line, n);
}

static void on_vmm_stderr(Vmm *vmm, const char *source, const char *line, size_t n, void *userdata)
{
        Sandbox *s = userdata;

        relay_program_line(s->relay, source, line, n);
}

static void on_vmm_exit(Vmm *vmm, const VmmExit *end, void *userdata)
{
        Sandbox *s = userdata;

        s->lost_timer = sd_event_source_disable_unref(s->lost_timer);
        if (end->guest_panic)
                sandbox_event(s->relay, EVENT_GUEST_PANIC, NULL, NULL, "Guest of sandbox '%s': %s", s->id,
                              end->reason);

        if (s->phase < PHASE_STOPPING_AGENT || (end->guest_panic && !s->forced))
                sandbox_fail(s, EX_SOFTWARE, "%s", end->reason);
        sandbox_machine_gone(s);
}

const VmmHandlers *sandbox_vmm_handlers(void)
{
        static const VmmHandlers handlers = {
                .on_ready = on_vmm_ready,
                .on_running = on_vmm_running,
                .on_console_line = on_vmm_console,
                .on_stderr_line = on_vmm_stderr,
                .on_exit = on_vmm_exit,
        };

        return &handlers;
}

static void sandbox_lost(Sandbox *s, const char *what, const char *text);

static void on_virtiofsd_stderr(Virtiofsd *v, const char *line, size_t n, void *userdata)
{
        Sandbox *s = userdata;

        relay_program_line(s->relay, "virtiofsd", line, n);
}

static void on_virtiofsd_exit(Virtiofsd *v, const char *reason, void *userdata)
{
        Sandbox *s = userdata;

        s->virtiofsd_gone = true;
        /* It ends by itself once the VMM is gone; before that the guest has lost its root file systems. */
        if (s->vmm && vmm_phase(s->vmm) != VMM_EXITED)
                sandbox_lost(s, "virtiofsd of a running sandbox ended", reason);
        sandbox_stop_continue(s);
}

const VirtiofsdHandlers *sandbox_virtiofsd_handlers(void)
{
        static const VirtiofsdHandlers handlers = {
                .on_stderr_line = on_virtiofsd_stderr,
                .on_exit = on_virtiofsd_exit,
        };

        return &handlers;
}

/* --- agent --- */

static int arm_lost_timer(Sandbox *s, usec_t grace);

static int on_lost_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;
        bool ending = s->vmm && vmm_is_ending(s->vmm);

        s->lost_timer = sd_event_source_disable_unref(s->lost_timer);
        /* A VMM gives its memory back before it is seen to end, which takes a busy host longer than this. */
        if (ending && !s->lost_waited && arm_lost_timer(s, ENDING_GRACE) >= 0) {
                s->lost_waited = true;
                return 0;
        }
        if (s->vmm && vmm_last_words(s->vmm)) {
                sandbox_fail(s, EX_SOFTWARE, "%s", vmm_last_words(s->vmm));
                return 0;
        }
        if (!s->virtiofsd_gone)
                sandbox_event(s->relay, EVENT_AGENT_LOST, NULL, NULL, "Agent of sandbox '%s' is lost: %s",
                              s->id, error_text(s->lost_text, ENOMEM));
        sandbox_fail(s, EX_SOFTWARE, "%s", error_text(s->lost_text, ENOMEM));
        return 0;
}

static int arm_lost_timer(Sandbox *s, usec_t grace)
{
        return sd_event_add_time_relative(s->event, &s->lost_timer, CLOCK_MONOTONIC, grace, 0, on_lost_timer, s);
}

/* Something broke that also breaks when the machine ends: wait a moment for the better reason. */
static void sandbox_lost(Sandbox *s, const char *what, const char *text)
{
        if (s->phase >= PHASE_STOPPING_AGENT || s->lost_timer || s->failed)
                return;

        free(s->lost_text);
        if (asprintf(&s->lost_text, "%s: %s", what, text) < 0)
                s->lost_text = NULL;
        if (arm_lost_timer(s, LOST_GRACE) < 0)
                sandbox_fail(s, EX_SOFTWARE, "%s: %s", what, text);
}

void sandbox_agent_lost(Sandbox *s, const char *text)
{
        sandbox_lost(s, "the connection to the agent is lost", text);
}

static void on_client_lost(TtrpcClient *client, const char *text, void *userdata)
{
        sandbox_agent_lost(userdata, text);
}

static void on_log_end(void *userdata)
{
        Sandbox *s = userdata;

        s->log_connected = false;
        sandbox_stop_continue(s);
}

static void on_log_open(Transport *t, int error, const char *text, int fd, uint32_t source_port,
                        void *userdata)
{
        Sandbox *s = userdata;
        int r = error;

        if (r >= 0) {
                r = relay_add_records(s->relay, fd, on_log_end, s);
                if (r < 0)
                        safe_close(fd);
        }
        if (r < 0) {
                sandbox_agent_lost(s, error_text(text, r));
                return;
        }
        s->log_connected = true;
}

static void on_sandbox_reply(TtrpcClient *client, int error, const char *text, const void *message,
                             void *userdata)
{
        Sandbox *s = userdata;

        if (s->phase != PHASE_CREATING_SANDBOX)
                return;
        if (error == -ECONNRESET)
                sandbox_agent_lost(s, text);
        else if (error < 0)
                sandbox_fail(s, EX_SOFTWARE, "the agent can not set up the sandbox: %s", text);
        else
                sandbox_configure_network(s);
}

static void create_sandbox(Sandbox *s)
{
        int r;

        sandbox_set_phase(s, PHASE_CREATING_SANDBOX);
        r = agent_create_sandbox(s->agent, s->id, s->conf->hostname, s->virtiofsd != NULL,
                                 s->conf->kernel_modules, s->node->request_timeout, on_sandbox_reply, s);
        if (r < 0)
                sandbox_fail(s, EX_SOFTWARE, "the agent can not set up the sandbox: %s", strerror(-r));
}

static void on_policy_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        Sandbox *s = userdata;

        if (s->phase != PHASE_CREATING_SANDBOX)
                return;
        s->policy = mfree(s->policy);
        if (error == -ECONNRESET)
                sandbox_agent_lost(s, text);
        else if (error < 0)
                sandbox_fail(s, EX_SOFTWARE, "the agent does not take the policy: %s", text);
        else
                create_sandbox(s);
}

/* The first request of all, so that nothing comes before the policy is in force. */
static void set_policy(Sandbox *s)
{
        int r;

        sandbox_set_phase(s, PHASE_CREATING_SANDBOX);
        r = agent_set_policy(s->agent, s->policy, s->node->request_timeout, on_policy_reply, s);
        if (r < 0)
                sandbox_fail(s, EX_SOFTWARE, "the agent can not be given the policy: %s", strerror(-r));
}

static void on_agent_open(Transport *t, int error, const char *text, int fd, uint32_t source_port,
                          void *userdata)
{
        Sandbox *s = userdata;
        int r = error;

        if (sandbox_phase_is_stopping(s->phase)) {
                safe_close(fd);
                return;
        }
        if (r >= 0) {
                r = ttrpc_client_new(&s->agent, s->event, fd, "agent", on_client_lost, s);
                if (r < 0)
                        safe_close(fd);
        }
        if (r >= 0)
                r = transport_open(t, AGENT_LOG_PORT, on_log_open, s);
        if (r < 0) {
                sandbox_agent_lost(s, error_text(text, r));
                return;
        }

        sandbox_open_debug_socket(s);
        if (s->phase == PHASE_ADOPTING)
                sandbox_adopt_connected(s);
        else if (s->policy)
                set_policy(s);
        else
                create_sandbox(s);
}

void sandbox_connect_agent(Sandbox *s)
{
        int r = transport_open(s->transport, AGENT_PORT, on_agent_open, s);

        if (r < 0)
                sandbox_agent_lost(s, strerror(-r));
}

/* The guest reports; only READY=1 changes anything, the rest is for people. */
static void on_notify(Transport *t, const char *text, void *userdata)
{
        _cleanup_(guest_notify_done) GuestNotify n = {};
        Sandbox *s = userdata;

        if (guest_notify_parse(text, strlen(text), &n, NULL) < 0)
                return;
        if (n.status && s->phase == PHASE_BOOTING)
                sandbox_status(s, "Booting: %s", n.status);
        if (!n.ready || s->phase != PHASE_BOOTING)
                return;

        sandbox_set_phase(s, PHASE_CONNECTING);
        sandbox_connect_agent(s);
}

static void on_transport_lost(Transport *t, const char *text, void *userdata)
{
        sandbox_agent_lost(userdata, text);
}

int sandbox_open_transport(Sandbox *s, uint32_t cid, char **reterr_message)
{
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        int r;
        const TransportHandlers handlers = {
                .on_notify = on_notify,
                .on_lost = on_transport_lost,
                .userdata = s,
        };

        if (s->transport_kind == VM_TRANSPORT_VSOCK)
                return transport_new_vsock(&s->transport, s->event, cid, &handlers, reterr_message);

        dir_fd = open(s->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = dir_fd < 0 ? negative_errno() : unix_connect_at(dir_fd, VMM_AGENT_SOCKET, &fd);
        if (r >= 0)
                r = transport_new_serial(&s->transport, s->event, fd, &handlers);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s/%s': %s", s->run_dir, VMM_AGENT_SOCKET,
                                  strerror(-r));

        TAKE_FD(fd);
        return 0;
}

/* --- scope and launch --- */

static int on_boot_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_free_ char *tail = NULL;
        Sandbox *s = userdata;
        const char *last;

        tail = vmm_console_tail(s->vmm);
        last = tail ? strrchr(tail, '\n') : NULL;
        last = last ? last + 1 : tail;
        sandbox_fail(s, EX_SOFTWARE,
                     "the agent did not report within %" PRIu64 "s (phase %s, %s); last console line: %s",
                     s->node->boot_timeout / USEC_PER_SEC, sandbox_phase_to_string(s->phase),
                     vmm_phase_to_string(vmm_phase(s->vmm)), isempty(last) ? "none" : last);
        return 0;
}

static void launch(Sandbox *s)
{
        _cleanup_free_ char *message = NULL, *path = sandbox_path(s, MACHINE_STATE_FILE);
        _cleanup_(vmm_state_done) VmmState state = {};
        int r;

        r = path ? vmm_get_state(s->vmm, &state) : -ENOMEM;
        if (r >= 0)
                r = vmm_state_save(&state, path);
        if (r >= 0)
                r = sandbox_save_state(s);
        if (r < 0) {
                sandbox_fail(s, EX_OSERR, "state files in '%s' can not be written: %s", s->run_dir,
                             strerror(-r));
                return;
        }

        sandbox_set_phase(s, PHASE_BOOTING);
        sandbox_status(s, "Booting");
        sandbox_arm_timer(s, s->node->boot_timeout, on_boot_timeout);

        /* Listen before the guest can speak. */
        if (s->virtiofsd) {
                r = virtiofsd_launch(s->virtiofsd);
                if (r < 0) {
                        sandbox_fail(s, EX_OSERR, "virtiofsd can not be started: %s", strerror(-r));
                        return;
                }
                s->handlers.on_keep_fd(s, KEPT_VIRTIOFSD_STDERR, virtiofsd_stderr_fd(s->virtiofsd),
                                       s->handlers.userdata);
        }
        s->handlers.on_keep_fd(s, KEPT_VMM_STDERR, vmm_stderr_fd(s->vmm), s->handlers.userdata);
        r = vmm_launch(s->vmm, &message);
        if (r < 0) {
                sandbox_fail(s, EX_UNAVAILABLE, "%s", error_text(message, r));
                return;
        }
        r = sandbox_open_transport(s, state.cid, &message);
        if (r < 0)
                sandbox_fail(s, EX_OSERR, "no way to the guest: %s", error_text(message, r));
}

static void on_scope_started(ScopeOp *op, int error, const char *message, void *userdata)
{
        Sandbox *s = userdata;

        _cleanup_free_ char *text = strdup(error_text(message, error));

        s->scope_op = scope_op_free(s->scope_op);
        s->have_scope = error >= 0;

        /* Stopped in the meantime: the processes are dead, and so the scope may have failed. */
        if (s->phase != PHASE_SCOPE)
                sandbox_stop_continue(s);
        else if (error < 0)
                sandbox_fail(s, EX_OSERR, "the scope '%s' can not be started: %s", s->scope_name,
                             error_text(text, error));
        else
                launch(s);
}

static int enter_scope(Sandbox *s, char **reterr_message)
{
        static const UnitDevice devices[] = {
                { "/dev/kvm", "rw" },
                { "/dev/vhost-vsock", "rw" },
                { "/dev/vhost-net", "rw" },
                { "/dev/net/tun", "rw" },
        };
        _cleanup_(scope_limits_done) ScopeLimits limits = {};
        _cleanup_free_ char *description = NULL;
        PidRef pids[2];
        size_t n = 0;
        int r;

        if (asprintf(&description, "Virtual machine of sandbox %s", s->id) < 0)
                return -ENOMEM;
        r = sandbox_first_limits(s, &limits);
        if (r < 0)
                return r;

        pids[n++] = *vmm_pid(s->vmm);
        if (s->virtiofsd)
                pids[n++] = *virtiofsd_pid(s->virtiofsd);

        const ScopeParams params = {
                .name = s->scope_name,
                .description = description,
                .slice = s->conf->slice,
                .service = s->service_name,
                .pids = pids,
                .n_pids = n,
                .devices = devices,
                .n_devices = ELEMENTSOF(devices),
                .oom_policy = "continue",
                .limits = &limits,
                .timeout_stop = 10 * USEC_PER_SEC,
        };

        return scope_start(s->bus, &params, on_scope_started, s, &s->scope_op, reterr_message);
}

void sandbox_start_machine(Sandbox *s)
{
        _cleanup_free_ char *message = NULL;
        int r;

        sandbox_event(s->relay, EVENT_SANDBOX_STARTING, NULL, NULL, "Starting sandbox '%s'", s->id);
        sandbox_status(s, "Preparing");

        r = sandbox_plan(s, &message);
        if (r != 0) {
                sandbox_fail(s, r, "%s", error_text(message, ENOMEM));
                return;
        }

        sandbox_set_phase(s, PHASE_SCOPE);
        if (s->config.share_tag) {
                const VirtiofsdConfig share = {
                        .program = s->virtiofsd_path,
                        .source = s->share_dir,
                        .run_dir = s->run_dir,
                        .keep_cache = s->accel == VM_ACCEL_TCG,
                };

                r = virtiofsd_spawn(s->event, &share, sandbox_virtiofsd_handlers(), s, &s->virtiofsd,
                                    &s->config.share_fd, &message);
                if (r < 0) {
                        sandbox_fail(s, EX_UNAVAILABLE, "virtiofsd can not be started: %s",
                                     error_text(message, r));
                        return;
                }
        }

        r = sandbox_attach_network(s, &message);
        if (r < 0) {
                sandbox_fail(s, EX_UNAVAILABLE, "the network of the virtual machine can not be set up: %s",
                             error_text(message, r));
                return;
        }

        r = vmm_new(s->event, vmm_ops_by_name(conf_vmm_to_string(s->node->vmm)), sandbox_vmm_handlers(), s,
                    &s->vmm);
        if (r >= 0)
                r = vmm_spawn(s->vmm, &s->config, &message);
        if (r < 0) {
                sandbox_fail(s, EX_OSERR, "the virtual machine can not be prepared: %s",
                             error_text(message, r));
                return;
        }

        s->have_scope = true;
        r = enter_scope(s, &message);
        if (r < 0) {
                s->have_scope = false;
                sandbox_fail(s, EX_OSERR, "the scope '%s' can not be started: %s", s->scope_name,
                             error_text(message, r));
        }
}
