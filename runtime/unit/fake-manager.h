/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests: a service manager at the other end of a socketpair, in the same event loop as the code under
 * test. It knows one unit, records every call with all properties and types, and misbehaves as told.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "basic/parse.h"

typedef struct FakeManager {
        sd_event *event;
        sd_bus *server;

        /* How it behaves. */
        const char *refuse[4];          /* properties answered with PropertyReadOnly */
        const char *error_name;         /* every job call fails with this */
        const char *error_text;
        const char *job_result;         /* NULL: "done" */
        usec_t job_delay;               /* from answer to JobRemoved; USEC_INFINITY: never */
        bool signal_first;              /* JobRemoved overtakes the answer */
        bool foreign_signals;           /* JobRemoved of other jobs of the same unit, too */
        bool mute;                      /* never answers */
        const char *active_state;       /* NULL: "active" once started */
        const char *control_group;
        pid_t pid;                      /* in GetUnitProcesses */
        bool refuse_connection;

        /* What it knows. */
        char *unit;                     /* loaded unit, or NULL */
        uint32_t job;                   /* queued job, or 0 */
        uint32_t next_job;
        sd_event_source *timer;

        /* What it saw: one line a call, property lines indented behind it. */
        char *record;
        unsigned n_connections, n_starts;
        unsigned n_refs;                /* held on the unit: AddRef and RefUnit, less UnrefUnit */
} FakeManager;

void fake_manager_init(FakeManager *f, sd_event *event);
void fake_manager_done(FakeManager *f);

/* For unit_bus_open(): userdata is the FakeManager. */
int fake_manager_connect(void *userdata, sd_bus *client);

/* Breaks the connection as a dying bus does. */
void fake_manager_disconnect(FakeManager *f);

/* The queued job ends now (with JobRemoved if there is a connection). */
void fake_manager_end_job(FakeManager *f, const char *result);
