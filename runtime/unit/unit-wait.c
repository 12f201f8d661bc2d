/* SPDX-License-Identifier: Apache-2.0 */
/* One operation on the bus, waited for: see unit-wait.h. The peer is the service manager. */

#include "runtime/unit/unit-wait.h"

#include "basic/error.h"

struct UnitWait {
        sd_event *event;
        int error;
        char *message;
};

void unit_wait_done(UnitWait *w, int error, const char *message)
{
        w->error = error;
        if (error < 0 && message && !w->message)
                w->message = strdup(message);
        (void) sd_event_exit(w->event, 0);
}

int unit_wait_run(UnitWaitBegin begin, void (*cleanup)(void *data), void *data, char **reterr_message)
{
        UnitWait w = { .error = -EIO };
        UnitBus *bus = NULL;
        int r;

        r = sd_event_new(&w.event);
        if (r >= 0)
                r = unit_bus_open_system(w.event, &bus, reterr_message);
        if (r >= 0)
                r = begin(bus, &w, data, reterr_message);
        if (r >= 0)
                r = sd_event_loop(w.event);
        if (r >= 0) {
                r = w.error;
                if (r < 0)
                        (void) error_setf(reterr_message, r, "%s", error_text(w.message, r));
        }
        cleanup(data);
        unit_bus_unref(bus);
        sd_event_unref(w.event);
        free(w.message);
        return r;
}
