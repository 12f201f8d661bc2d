/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking operations on units: see service-control.h. The peer is the service manager. */

#include "runtime/unit/service-control.h"

#include <unistd.h>

#include "basic/error.h"
#include "runtime/unit/job.h"
#include "runtime/unit/unit-wait.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"

#define AWAIT_STEP_USEC 10000U

typedef struct Verb {
        const char *verb, *unit;
        usec_t timeout;
        UnitJob *job;
} Verb;

static void on_done(UnitJob *job, const UnitJobOutcome *outcome, void *userdata)
{
        unit_wait_done(userdata, outcome->error, outcome->message);
}

static int begin(UnitBus *bus, UnitWait *wait, void *data, char **reterr_message)
{
        Verb *v = data;

        return unit_job_begin_verb(bus, v->verb, v->unit, "replace", v->timeout, on_done, wait, &v->job,
                                   reterr_message);
}

static void clean_up(void *data)
{
        Verb *v = data;

        unit_job_free(v->job);
}

static int run_job(const char *verb, const char *unit, usec_t timeout, char **reterr_message)
{
        return unit_wait_run(begin, clean_up, &(Verb) { .verb = verb, .unit = unit, .timeout = timeout },
                             reterr_message);
}

static int open_unit(const char *unit, sd_bus **ret, char **ret_path)
{
        int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, ret_path);

        return r < 0 ? r : sd_bus_open_system(ret);
}

static char *status_text(const char *unit)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL;
        char *text = NULL;

        if (open_unit(unit, &bus, &path) >= 0)
                (void) sd_bus_get_property_string(bus, MANAGER, path, "org.freedesktop.systemd1.Service",
                                                  "StatusText", NULL, &text);
        return text;
}

int service_active_state(const char *unit, char **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL;
        int r = open_unit(unit, &bus, &path);

        if (r >= 0)
                r = sd_bus_get_property_string(bus, MANAGER, path, "org.freedesktop.systemd1.Unit", "ActiveState", NULL,
                                               ret);
        return r < 0 ? r : 0;
}

int service_await(const char *unit, bool (*reached)(const char *state), usec_t timeout)
{
        usec_t end = now_usec() + timeout;

        for (;;) {
                _cleanup_free_ char *state = NULL;
                int r = service_active_state(unit, &state);

                if (r < 0 || reached(state))
                        return r;
                if (now_usec() >= end)
                        return -ETIMEDOUT;
                (void) usleep(AWAIT_STEP_USEC);
        }
}

int service_find_scope(const char *unit, char **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL;
        char **units = NULL;
        int r = open_unit(unit, &bus, &path);

        if (r >= 0)
                r = sd_bus_get_property_strv(bus, MANAGER, path, "org.freedesktop.systemd1.Unit", "ConsistsOf", NULL,
                                             &units);
        if (r >= 0)
                r = -ENOENT;
        for (char **u = units; u && *u; u++) {
                if (r == -ENOENT && endswith(*u, ".scope")) {
                        *ret = *u;
                        r = 0;
                } else
                        free(*u);
        }
        free(units);
        return r;
}

int service_start(const char *unit, usec_t timeout, char **reterr_message)
{
        _cleanup_free_ char *message = NULL, *status = NULL;
        const char *reason;
        int r = run_job("StartUnit", unit, timeout, &message);

        if (r >= 0)
                return r;
        status = status_text(unit);
        reason = status ? startswith(status, "Failed: ") : NULL;
        if (!isempty(reason))
                return error_setf(reterr_message, r, "%s: %s", unit, reason);
        return error_setf(reterr_message, r, "%s can not be started: %s", unit, error_text(message, r));
}

int service_stop(const char *unit, usec_t timeout, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        int r = run_job("StopUnit", unit, timeout, &message);

        if (r >= 0 || r == -ENOENT)
                return 0;
        return error_setf(reterr_message, r, "%s can not be stopped: %s", unit, error_text(message, r));
}

static int call_manager(const char *member, char **reterr_message, const char *types, const char *unit,
                        const char *subcgroup, uint32_t pid)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r < 0)
                return error_setf(reterr_message, r, "the system bus can not be reached: %s", strerror(-r));
        if (subcgroup)
                r = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, member, &error, NULL, types,
                                       unit, subcgroup, 1, pid);
        else
                r = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, member, &error, NULL, types,
                                       unit);
        if (r < 0)
                (void) error_setf(reterr_message, r, "%s: %s: %s", unit, member,
                                  error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        sd_bus_flush_close_unref(bus);
        return r < 0 ? r : 0;
}

void service_reset_failed(const char *unit)
{
        (void) call_manager("ResetFailedUnit", NULL, "s", unit, NULL, 0);
}

int service_attach(const char *unit, pid_t pid, char **reterr_message)
{
        return call_manager("AttachProcessesToUnit", reterr_message, "ssau", unit, "", (uint32_t) pid);
}
