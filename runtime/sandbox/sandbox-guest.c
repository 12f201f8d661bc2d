/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox whose containers a caller has made: see sandbox-guest.h. Host side. */

#include <sysexits.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "runtime/store/share.h"

TtrpcClient *sandbox_agent(const Sandbox *s)
{
        return s->agent;
}

Transport *sandbox_transport(const Sandbox *s)
{
        return s->transport;
}

Relay *sandbox_relay(const Sandbox *s)
{
        return s->relay;
}

const char *sandbox_run_dir(const Sandbox *s)
{
        return s->run_dir;
}

pid_t sandbox_vm_pid(const Sandbox *s)
{
        return vmm_pid(s->vmm)->pid;
}

usec_t sandbox_request_timeout(const Sandbox *s)
{
        return s->node->request_timeout;
}

int sandbox_share_add(Sandbox *s, const char *name, const char *source, bool read_only, bool recursive,
                      int namespace_fd, char **reterr_message)
{
        return share_add_live(s->share_dir, name, source,
                              (read_only ? SHARE_READ_ONLY : 0) | (recursive ? SHARE_RECURSIVE : 0),
                              namespace_fd, reterr_message);
}

void sandbox_share_remove(Sandbox *s, const char *name)
{
        int r = share_remove(s->share_dir, name);

        if (r < 0)
                log_warning_errno(r, "'%s/%s' can not be removed, ignoring", s->share_dir, name);
}

void sandbox_containers_changed(Sandbox *s)
{
        sandbox_stop_continue(s);
}

void sandbox_offer_guest(Sandbox *s, bool resumed)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (!s->handlers.on_guest) {
                sandbox_fail(s, EX_SOFTWARE, "nobody serves containers of callers");
                return;
        }
        r = s->handlers.on_guest(s, resumed, s->handlers.userdata, &message);
        if (r < 0) {
                sandbox_fail(s, EX_OSERR, "the Task service can not be started: %s", error_text(message, r));
                return;
        }
        s->guest_offered = true;
        s->handlers.on_running(s, s->handlers.userdata);
        sandbox_start_health(s);
}

void sandbox_end_guest(Sandbox *s)
{
        if (!s->guest_offered)
                return;

        s->guest_offered = false;
        s->limits_op = scope_op_free(s->limits_op);
        s->handlers.on_guest_gone(s, s->handlers.userdata);
}
