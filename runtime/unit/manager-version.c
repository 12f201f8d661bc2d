/* SPDX-License-Identifier: Apache-2.0 */
/* One property of the manager: see manager-version.h. */

#include "runtime/unit/manager-version.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "basic/error.h"

int manager_version(char **ret, unsigned *ret_number, char **reterr_message)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = NULL;
        char *version = NULL;
        int r;

        if (sd_booted() <= 0)
                return error_setf(reterr_message, -EHOSTDOWN, "systemd is not process 1 of this machine");

        r = sd_bus_open_system(&bus);
        if (r < 0)
                return error_setf(reterr_message, r, "the system bus can not be reached: %s", strerror(-r));
        r = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "Version", &error, &version);
        if (r < 0)
                (void) error_setf(reterr_message, r, "systemd does not answer: %s",
                                  error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        sd_bus_flush_close_unref(bus);
        if (r < 0)
                return r;

        *ret_number = (unsigned) strtoul(version, NULL, 10);
        *ret = version;
        return 0;
}
