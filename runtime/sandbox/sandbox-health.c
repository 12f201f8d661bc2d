/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks: the agent is asked at an interval, and only its answer feeds the watchdog of the unit. A
 * guest that hangs thus becomes a failure of the sandbox; a supervisor that hangs, one of the service.
 */

#include <inttypes.h>
#include <sysexits.h>

#include "basic/error.h"
#include "runtime/sandbox/sandbox-internal.h"

static int on_health_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void rearm(Sandbox *s)
{
        (void) sd_event_source_set_time(s->health_timer, now_usec() + s->node->health_interval);
        (void) sd_event_source_set_enabled(s->health_timer, SD_EVENT_ONESHOT);
}

static void on_health_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        Sandbox *s = userdata;

        s->health_pending = false;
        if (!s->health_timer)
                return;

        if (error == -ETIMEDOUT) {
                sandbox_fail(s, EX_SOFTWARE,
                             "the agent has not answered a health check for %" PRIu64
                             "s: the guest hangs or is starved of CPU",
                             (now_usec() - s->last_alive) / USEC_PER_SEC);
                return;
        }
        if (error < 0)
                return;         /* a lost connection is dealt with where it is noticed */

        s->last_alive = now_usec();
        s->handlers.on_alive(s, s->handlers.userdata);
}

static int on_health_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *s = userdata;

        if (!s->health_pending && s->agent &&
            agent_check(s->agent, s->node->health_timeout, on_health_reply, s) >= 0)
                s->health_pending = true;

        rearm(s);
        return 0;
}

usec_t sandbox_health_window(const Sandbox *s)
{
        return s->node->health_interval + s->node->health_timeout;
}

void sandbox_start_health(Sandbox *s)
{
        s->last_alive = now_usec();
        if (s->health_timer)
                return;
        if (sd_event_add_time_relative(s->event, &s->health_timer, CLOCK_MONOTONIC,
                                       s->node->health_interval, 0, on_health_timer, s) < 0)
                sandbox_fail(s, EX_OSERR, "out of memory");
}

void sandbox_stop_health(Sandbox *s)
{
        s->health_timer = sd_event_source_disable_unref(s->health_timer);
}
