/* SPDX-License-Identifier: Apache-2.0 */
/* Queue of memory events: see oom-events.h. */

#include "agent/oom-events.h"

#include "basic/limits.h"
#include "basic/log.h"
#include "proto/agent.pb-c.h"

typedef struct OomWaiter {
        struct OomWaiter *next;
        OomEvents *events;
        Request *request;
} OomWaiter;

struct OomEvents {
        char *ids[OOM_EVENTS_MAX];      /* the oldest first */
        size_t n;
        OomWaiter *waiters;             /* the oldest first */
};

int oom_events_new(OomEvents **ret)
{
        OomEvents *events = new0(OomEvents, 1);

        if (!events)
                return -ENOMEM;

        *ret = events;
        return 0;
}

OomEvents *oom_events_free(OomEvents *events)
{
        if (!events)
                return NULL;

        while (events->waiters) {
                OomWaiter *waiter = events->waiters;

                events->waiters = waiter->next;
                request_on_cancel(waiter->request, NULL, NULL);
                free(waiter);
        }
        for (size_t i = 0; i < events->n; i++)
                free(events->ids[i]);
        free(events);
        return NULL;
}

static char *take_oldest(OomEvents *events)
{
        char *id = events->ids[0];

        events->n--;
        memmove(events->ids, events->ids + 1, events->n * sizeof(events->ids[0]));
        return id;
}

static void serve(OomEvents *events)
{
        while (events->n > 0 && events->waiters) {
                Grpc__OOMEvent response = GRPC__OOMEVENT__INIT;
                OomWaiter *waiter = events->waiters;
                _cleanup_free_ char *id = take_oldest(events);

                events->waiters = waiter->next;
                response.container_id = id;
                request_reply(waiter->request, &response.base);
                free(waiter);
        }
}

void oom_events_add(OomEvents *events, const char *container_id)
{
        char *id;

        for (size_t i = 0; i < events->n; i++)
                if (streq(events->ids[i], container_id))
                        return;

        id = strdup(container_id);
        if (!id) {
                log_oom();
                return;
        }
        if (events->n == OOM_EVENTS_MAX) {
                _cleanup_free_ char *oldest = take_oldest(events);

                log_warning("Nobody fetches memory events, dropping that of container %s", oldest);
        }
        events->ids[events->n++] = id;
        serve(events);
}

static void on_cancelled(Request *request, void *userdata)
{
        OomWaiter *waiter = userdata, **at = &waiter->events->waiters;

        while (*at != waiter)
                at = &(*at)->next;
        *at = waiter->next;
        free(waiter);
}

void oom_events_wait(OomEvents *events, Request *request)
{
        OomWaiter *waiter = new0(OomWaiter, 1), **at = &events->waiters;

        if (!waiter)
                return request_fail_errno(request, -ENOMEM, NULL);

        *waiter = (OomWaiter) { .events = events, .request = request };
        request_on_cancel(request, on_cancelled, waiter);
        while (*at)
                at = &(*at)->next;
        *at = waiter;
        serve(events);
}
