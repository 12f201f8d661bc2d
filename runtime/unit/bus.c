/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection to the service manager: see bus.h. The peer is PID 1 and the bus driver, both trusted with
 * the machine; their texts are still escaped before they are shown (bus-error-map.c).
 */

#include "runtime/unit/bus.h"

#include <systemd/sd-daemon.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/unit/job.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define LOCAL_INTERFACE "org.freedesktop.DBus.Local"
#define LOCAL_PATH "/org/freedesktop/DBus/Local"

#define BACKOFF_FIRST_USEC (100 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (5 * USEC_PER_SEC)

struct UnitBus {
        unsigned n_ref;
        sd_event *event;
        sd_bus *bus;            /* NULL while there is no connection */
        sd_bus_slot *removed_slot, *connected_slot, *disconnected_slot;
        sd_event_source *reconnect;
        usec_t backoff;
        unit_bus_connect_t connect;
        void *userdata;
        bool message_bus;
        unsigned features;
        const char *proc_root;
        UnitJob *jobs;
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitBus *bus = userdata;
        const char *path, *unit, *result;
        UnitJob *ended = NULL;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "uoss", &id, &path, &unit, &result);
        if (r < 0) {
                log_debug_errno(r, "JobRemoved signal can not be read, ignoring");
                return 0;
        }

        /* The done function may free any job, so it is called behind the walk. */
        for (UnitJob *job = bus->jobs; job; job = unit_job_next(job))
                if (unit_job_matches_removed(job, path, unit, result))
                        ended = job;
        if (ended)
                unit_job_complete(ended, result);

        return 0;
}

static void unit_bus_drop_matches(UnitBus *bus)
{
        bus->removed_slot = sd_bus_slot_unref(bus->removed_slot);
        bus->connected_slot = sd_bus_slot_unref(bus->connected_slot);
        bus->disconnected_slot = sd_bus_slot_unref(bus->disconnected_slot);
}

static void unit_bus_drop(UnitBus *bus)
{
        unit_bus_drop_matches(bus);
        /* Not detached: outstanding calls hold a reference and get their error from the loop. */
        bus->bus = sd_bus_unref(bus->bus);
}

static int on_reconnect_timer(sd_event_source *s, uint64_t usec, void *userdata);

static bool unit_bus_has_queued_jobs(UnitBus *bus)
{
        for (UnitJob *job = bus->jobs; job; job = unit_job_next(job))
                if (unit_job_is_queued(job))
                        return true;

        return false;
}

static void unit_bus_schedule_reconnect(UnitBus *bus)
{
        int r;

        bus->reconnect = sd_event_source_disable_unref(bus->reconnect);

        /* With nobody waiting, the next call connects. */
        if (!unit_bus_has_queued_jobs(bus))
                return;

        r = sd_event_add_time_relative(bus->event, &bus->reconnect, CLOCK_MONOTONIC, bus->backoff, 0,
                                       on_reconnect_timer, bus);
        if (r < 0)
                log_debug_errno(r, "No timer for the next connection to the bus");
        bus->backoff = MIN(bus->backoff * 2, BACKOFF_MAX_USEC);
}

/* Each release may call a done function that changes the list, so every walk starts anew. */
static void unit_bus_release_held(UnitBus *bus, int error)
{
        UnitJob *job;

        do {
                for (job = bus->jobs; job && !unit_job_is_held(job); job = unit_job_next(job))
                        ;
                if (job)
                        unit_job_release(job, error);
        } while (job);
}

static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitBus *bus = userdata;

        bus->backoff = BACKOFF_FIRST_USEC;
        unit_bus_ref(bus);
        unit_bus_release_held(bus, 0);
        unit_bus_unref(bus);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        UnitBus *bus = userdata;

        log_debug("Connection to the service manager was lost");
        unit_bus_drop(bus);
        unit_bus_schedule_reconnect(bus);
        unit_bus_ref(bus);
        unit_bus_release_held(bus, -ECONNRESET);
        unit_bus_unref(bus);
        return 0;
}

static int unit_bus_setup(UnitBus *bus, sd_bus *b)
{
        const char *sender = bus->message_bus ? SYSTEMD_NAME : NULL;
        int r;

        r = bus->connect(bus->userdata, b);
        if (r < 0)
                return r;

        r = sd_bus_negotiate_fds(b, true);
        if (r < 0)
                return r;

        /* Only before the start; sd_bus_open_system() would be too late for this. */
        r = sd_bus_set_connected_signal(b, true);
        if (r < 0)
                return r;

        r = sd_bus_start(b);
        if (r < 0)
                return r;

        r = sd_bus_set_method_call_timeout(b, UNIT_CALL_TIMEOUT_USEC);
        if (r < 0)
                return r;

        /* Asynchronous, yet in time: the match is in the stream to the bus before any call is. */
        r = sd_bus_match_signal_async(b, &bus->removed_slot, sender, SYSTEMD_PATH, MANAGER_INTERFACE,
                                      "JobRemoved", on_job_removed, NULL, bus);
        if (r < 0)
                return r;

        r = sd_bus_match_signal_async(b, &bus->connected_slot, NULL, LOCAL_PATH, LOCAL_INTERFACE,
                                      "Connected", on_connected, NULL, bus);
        if (r < 0)
                return r;

        r = sd_bus_match_signal_async(b, &bus->disconnected_slot, NULL, LOCAL_PATH, LOCAL_INTERFACE,
                                      "Disconnected", on_disconnected, NULL, bus);
        if (r < 0)
                return r;

        return sd_bus_attach_event(b, bus->event, SD_EVENT_PRIORITY_NORMAL);
}

/* Makes sure that there is a connection. */
static int unit_bus_ensure(UnitBus *bus)
{
        sd_bus *b = NULL;
        int r;

        if (bus->bus && sd_bus_is_open(bus->bus) > 0)
                return 0;

        unit_bus_drop(bus);

        r = sd_bus_new(&b);
        if (r < 0)
                return r;

        r = unit_bus_setup(bus, b);
        if (r < 0) {
                unit_bus_drop_matches(bus);
                sd_bus_close_unref(b);
                return r;
        }

        bus->bus = b;
        bus->features = UNIT_FEATURES_ALL;
        bus->reconnect = sd_event_source_disable_unref(bus->reconnect);

        for (UnitJob *job = bus->jobs; job; job = unit_job_next(job))
                unit_job_on_reconnect(job);

        return 0;
}

static int on_reconnect_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        UnitBus *bus = userdata;
        int r;

        r = unit_bus_ensure(bus);
        if (r < 0) {
                log_debug_errno(r, "Service manager can not be reached yet");
                unit_bus_schedule_reconnect(bus);
        }

        return 0;
}

int unit_bus_open(sd_event *event,
                unit_bus_connect_t connect,
                void *userdata,
                bool message_bus,
                UnitBus **ret,
                char **reterr_message)
{
        _cleanup_(unit_bus_unrefp) UnitBus *bus = new0(UnitBus, 1);
        int r;

        if (!bus)
                return -ENOMEM;

        bus->n_ref = 1;
        bus->event = sd_event_ref(event);
        bus->backoff = BACKOFF_FIRST_USEC;
        bus->connect = connect;
        bus->userdata = userdata;
        bus->message_bus = message_bus;
        bus->proc_root = "/proc";

        r = unit_bus_ensure(bus);
        if (r < 0)
                return error_setf(reterr_message, r, "Service manager can not be reached: %s",
                                  strerror(-r));

        *ret = TAKE_PTR(bus);
        return 0;
}

static const char *system_bus_address(void)
{
        const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");

        return address ? address : "unix:path=/run/dbus/system_bus_socket";
}

static int connect_system(void *userdata, sd_bus *b)
{
        int r;

        r = sd_bus_set_bus_client(b, true);
        return r < 0 ? r : sd_bus_set_address(b, system_bus_address());
}

int unit_bus_open_system(sd_event *event, UnitBus **ret, char **reterr_message)
{
        int r;

        if (sd_booted() <= 0)
                return error_setf(reterr_message, -EHOSTDOWN,
                                  "This machine does not run systemd (no /run/systemd/system); "
                                  "sandboxes are its units and need it as PID 1");

        r = unit_bus_open(event, connect_system, NULL, true, ret, NULL);
        if (r < 0)
                return error_setf(reterr_message, r,
                                  "System bus at %s can not be reached: %s; is dbus.socket active?",
                                  system_bus_address(), strerror(-r));

        return 0;
}

UnitBus *unit_bus_ref(UnitBus *bus)
{
        bus->n_ref++;
        return bus;
}

UnitBus *unit_bus_unref(UnitBus *bus)
{
        if (!bus || --bus->n_ref > 0)
                return NULL;

        sd_event_source_disable_unref(bus->reconnect);
        unit_bus_drop_matches(bus);
        sd_bus_flush_close_unref(bus->bus);
        sd_event_unref(bus->event);
        free(bus);
        return NULL;
}

sd_event *unit_bus_event(UnitBus *bus)
{
        return bus->event;
}

bool unit_bus_is_message_bus(const UnitBus *bus)
{
        return bus->message_bus;
}

bool unit_bus_is_ready(const UnitBus *bus)
{
        return bus->bus && sd_bus_is_ready(bus->bus) > 0;
}

unsigned unit_bus_features(const UnitBus *bus)
{
        return bus->features;
}

void unit_bus_drop_features(UnitBus *bus, unsigned features)
{
        bus->features &= ~features;
}

const char *unit_bus_proc_root(const UnitBus *bus)
{
        return bus->proc_root;
}

void unit_bus_set_proc_root(UnitBus *bus, const char *path)
{
        bus->proc_root = path;
}

static int unit_bus_ensure_for_call(UnitBus *bus, char **reterr_message)
{
        int r = unit_bus_ensure(bus);

        if (r < 0)
                return error_setf(reterr_message, r, "Service manager can not be reached: %s",
                                  strerror(-r));
        return 0;
}

int unit_bus_new_call(UnitBus *bus, const char *member, sd_bus_message **ret, char **reterr_message)
{
        int r;

        r = unit_bus_ensure_for_call(bus, reterr_message);
        if (r < 0)
                return r;

        return sd_bus_message_new_method_call(bus->bus, ret, SYSTEMD_NAME, SYSTEMD_PATH,
                                              MANAGER_INTERFACE, member);
}

int unit_bus_new_get(UnitBus *bus,
                const char *unit,
                const char *interface,
                const char *property,
                sd_bus_message **ret,
                char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = unit_bus_ensure_for_call(bus, reterr_message);
        if (r < 0)
                return r;

        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
        if (r < 0)
                return r;

        r = sd_bus_message_new_method_call(bus->bus, &m, SYSTEMD_NAME, path,
                                           "org.freedesktop.DBus.Properties", property ? "Get" : "GetAll");
        if (r < 0)
                return r;

        r = property ? sd_bus_message_append(m, "ss", interface, property) : sd_bus_message_append(m, "s", interface);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(m);
        return 0;
}

int unit_bus_send(UnitBus *bus,
                sd_bus_message *m,
                sd_bus_message_handler_t handler,
                void *userdata,
                sd_bus_slot **ret_slot)
{
        if (!bus->bus)
                return -ENOTCONN;
        if (!handler) {
                (void) sd_bus_message_set_expect_reply(m, false);
                return sd_bus_send(bus->bus, m, NULL);
        }

        return sd_bus_call_async(bus->bus, ret_slot, m, handler, userdata, 0);
}

void unit_bus_add_job(UnitBus *bus, UnitJob *job)
{
        unit_job_set_next(job, bus->jobs);
        bus->jobs = job;
}

void unit_bus_remove_job(UnitBus *bus, UnitJob *job)
{
        UnitJob *prev = NULL;

        for (UnitJob *j = bus->jobs; j; prev = j, j = unit_job_next(j)) {
                if (j != job)
                        continue;
                if (prev)
                        unit_job_set_next(prev, unit_job_next(j));
                else
                        bus->jobs = unit_job_next(j);
                return;
        }
}
