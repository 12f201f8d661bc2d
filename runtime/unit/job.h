/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A unit job: send a call that queues one, wait for the JobRemoved signal of exactly that job, give its
 * result. The signal match is installed before any call is sent, and a signal that overtakes the
 * answer is kept until the answer names the job.
 *
 * The done function runs from the event loop, never from within a function of this file, and exactly
 * once; the job may be freed in it. Freeing a job earlier forgets it without telling systemd.
 */

#include "runtime/unit/bus.h"

typedef enum UnitJobResult {
        UNIT_JOB_DONE,
        UNIT_JOB_SKIPPED,
        UNIT_JOB_CANCELED,
        UNIT_JOB_TIMEOUT,
        UNIT_JOB_FAILED,
        UNIT_JOB_DEPENDENCY,
        UNIT_JOB_INVALID,
        UNIT_JOB_ASSERT,
        UNIT_JOB_UNSUPPORTED,
        UNIT_JOB_COLLECTED,
        UNIT_JOB_ONCE,
        UNIT_JOB_FROZEN,
        /* Not words of systemd: */
        UNIT_JOB_LOST,          /* finished while the bus was away; look at the unit */
        UNIT_JOB_UNKNOWN,       /* a word of a newer systemd */
        _UNIT_JOB_RESULT_MAX,
} UnitJobResult;

UnitJobResult unit_job_result_from_string(const char *s);

/* 0 for done, skipped and lost, else negative errno; the text says what happened in plain words. */
int unit_job_result_to_errno(UnitJobResult result);
const char *unit_job_result_text(UnitJobResult result);

typedef struct UnitJobOutcome {
        int error;                      /* 0, or negative errno */
        UnitJobResult result;           /* valid if the job ended: has_result */
        bool has_result;
        const sd_bus_error *bus_error;  /* the call itself was refused, else NULL */
        const char *message;            /* one line if error < 0 */
} UnitJobOutcome;

typedef void (*unit_job_done_t)(UnitJob *job, const UnitJobOutcome *outcome, void *userdata);

/*
 * Sends call, whose answer is a job path, for that unit. timeout: from now, for call and job together;
 * when it is over the outcome is -ETIMEDOUT. USEC_INFINITY: none. The job of a start is cancelled then, so
 * that nothing appears later; that of a stop goes on.
 */
int unit_job_begin(UnitBus *bus,
                const char *unit,
                sd_bus_message *call,
                usec_t timeout,
                unit_job_done_t done,
                void *userdata,
                UnitJob **ret,
                char **reterr_message);

/* StartUnit, StopUnit or RestartUnit; mode: "replace", "ignore-dependencies" … of systemctl(1). */
int unit_job_begin_verb(UnitBus *bus,
                const char *verb,
                const char *unit,
                const char *mode,
                usec_t timeout,
                unit_job_done_t done,
                void *userdata,
                UnitJob **ret,
                char **reterr_message);

UnitJob *unit_job_free(UnitJob *job);
DEFINE_CLEANUP_FUNC(UnitJob *, unit_job_free)

/* For bus.c. */
UnitJob *unit_job_next(UnitJob *job);
void unit_job_set_next(UnitJob *job, UnitJob *next);

/* True if this is the job that ended; then unit_job_complete() is to follow, outside of any list walk. */
bool unit_job_matches_removed(UnitJob *job, const char *path, const char *unit, const char *result);
void unit_job_complete(UnitJob *job, const char *result);
void unit_job_on_reconnect(UnitJob *job);

/* Calls that wait for the connection to be set up: send them (error 0), or fail them. */
bool unit_job_is_held(const UnitJob *job);
void unit_job_release(UnitJob *job, int error);
bool unit_job_is_queued(const UnitJob *job);
