/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection to the service manager for the supervisor: asynchronous calls on an sd-event loop, job
 * signals, and a new connection when the old one breaks (dbus-broker restarts, systemd re-executes).
 *
 * After a break: calls without an answer fail with an error; jobs that were queued are looked at again
 * over the new connection (see job.h); features are probed anew. A broken bus never fails a sandbox that
 * runs, only an operation under way.
 *
 * The connection is the system bus, not /run/systemd/private: references to units (AddRef, RefUnit) are
 * held by a unique name, and only the bus gives one.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "basic/parse.h"
#include "runtime/unit/props.h"

/* A call gets its answer within this time, or fails. Jobs have deadlines of their own. */
#define UNIT_CALL_TIMEOUT_USEC (25 * USEC_PER_SEC)

typedef struct UnitBus UnitBus;
typedef struct UnitJob UnitJob;

/* Gives a new connection object its address or descriptor; starting it is ours. */
typedef int (*unit_bus_connect_t)(void *userdata, sd_bus *b);

/* -EHOSTDOWN with a text when the machine does not run systemd, else what connect() said. */
int unit_bus_open_system(sd_event *event, UnitBus **ret, char **reterr_message);

/* Over any connection; message_bus: it has a bus driver (sender names, references). Used by tests. */
int unit_bus_open(sd_event *event,
                unit_bus_connect_t connect,
                void *userdata,
                bool message_bus,
                UnitBus **ret,
                char **reterr_message);

UnitBus *unit_bus_ref(UnitBus *bus);
UnitBus *unit_bus_unref(UnitBus *bus);
DEFINE_CLEANUP_FUNC(UnitBus *, unit_bus_unref)

sd_event *unit_bus_event(UnitBus *bus);
bool unit_bus_is_message_bus(const UnitBus *bus);

/*
 * Authentication is over. Before that sd-bus queues messages, except those with file descriptors: there
 * it waits, blocking. job.c holds its calls back until then.
 */
bool unit_bus_is_ready(const UnitBus *bus);

/* Features in use on this connection; dropping lasts until the next reconnect. */
unsigned unit_bus_features(const UnitBus *bus);
void unit_bus_drop_features(UnitBus *bus, unsigned features);

/* Where /proc is; tests point it to a tree of theirs. Not copied. */
const char *unit_bus_proc_root(const UnitBus *bus);
void unit_bus_set_proc_root(UnitBus *bus, const char *path);

/*
 * Messages to the manager object, and Properties.Get of a unit (GetAll if property is NULL); connect again where
 * necessary.
 */
int unit_bus_new_call(UnitBus *bus, const char *member, sd_bus_message **ret, char **reterr_message);
int unit_bus_new_get(UnitBus *bus,
                const char *unit,
                const char *interface,
                const char *property,
                sd_bus_message **ret,
                char **reterr_message);

/* Sends; ret_slot cancels when unreferenced and may be NULL (then handler must be NULL, too). */
int unit_bus_send(UnitBus *bus,
                sd_bus_message *m,
                sd_bus_message_handler_t handler,
                void *userdata,
                sd_bus_slot **ret_slot);

/* For job.c: the jobs that want JobRemoved and a second look after a reconnect. */
void unit_bus_add_job(UnitBus *bus, UnitJob *job);
void unit_bus_remove_job(UnitBus *bus, UnitJob *job);
