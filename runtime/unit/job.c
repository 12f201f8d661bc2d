/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the service manager: see job.h. The peer is PID 1. */

#include "runtime/unit/job.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "runtime/unit/bus-error-map.h"

#define JOB_PATH_PREFIX "/org/freedesktop/systemd1/job/"

static const struct {
        const char *name;
        int error;
        const char *text;
} results[_UNIT_JOB_RESULT_MAX] = {
        [UNIT_JOB_DONE] = { "done", 0, "done" },
        [UNIT_JOB_SKIPPED] = { "skipped", 0, "skipped, as it does not apply" },
        [UNIT_JOB_CANCELED] = { "canceled", ECANCELED, "cancelled by another job" },
        [UNIT_JOB_TIMEOUT] = { "timeout", ETIME, "timed out in the service manager" },
        [UNIT_JOB_FAILED] = { "failed", EIO, "failed; see the unit's status" },
        [UNIT_JOB_DEPENDENCY] = { "dependency", EIO, "a unit it depends on failed" },
        [UNIT_JOB_INVALID] = { "invalid", ENOEXEC, "not possible for this unit" },
        [UNIT_JOB_ASSERT] = { "assert", EPROTO, "an Assert...= of the unit is not met" },
        [UNIT_JOB_UNSUPPORTED] = { "unsupported", EOPNOTSUPP, "unit type not supported here" },
        [UNIT_JOB_COLLECTED] = { "collected", ECANCELED, "the unit was collected first" },
        [UNIT_JOB_ONCE] = { "once", ESTALE, "the unit starts only once" },
        [UNIT_JOB_FROZEN] = { "frozen", EBUSY, "the unit is frozen; thaw it first" },
        [UNIT_JOB_LOST] = { NULL, 0, "finished while the bus was away" },
        [UNIT_JOB_UNKNOWN] = { NULL, EIO, "ended in a way this version does not know" },
};

UnitJobResult unit_job_result_from_string(const char *s)
{
        for (unsigned i = 0; i < _UNIT_JOB_RESULT_MAX; i++)
                if (results[i].name && streq_ptr(s, results[i].name))
                        return (UnitJobResult) i;

        return UNIT_JOB_UNKNOWN;
}

int unit_job_result_to_errno(UnitJobResult result)
{
        return -results[result].error;
}

const char *unit_job_result_text(UnitJobResult result)
{
        return results[result].text;
}

typedef enum JobState {
        JOB_HELD,               /* call waits for the connection */
        JOB_CALLING,            /* call sent, path unknown */
        JOB_QUEUED,             /* path known, waiting for JobRemoved */
        JOB_FINISHED,
} JobState;

struct UnitJob {
        UnitBus *bus;
        UnitJob *next;
        JobState state;
        bool is_start;
        char *unit;
        char *path;
        sd_bus_message *held;
        sd_bus_slot *call_slot, *look_slot;
        sd_event_source *timer;
        unit_job_done_t done;
        void *userdata;

        /* JobRemoved of this unit seen before our path was known. */
        struct {
                char *path;
                UnitJobResult result;
        } early[UNIT_EARLY_JOBS_MAX];
        size_t n_early;
};

UnitJob *unit_job_next(UnitJob *job)
{
        return job->next;
}

void unit_job_set_next(UnitJob *job, UnitJob *next)
{
        job->next = next;
}

bool unit_job_is_queued(const UnitJob *job)
{
        return job->state == JOB_QUEUED;
}

UnitJob *unit_job_free(UnitJob *job)
{
        if (!job)
                return NULL;

        if (job->bus)
                unit_bus_remove_job(job->bus, job);
        sd_bus_message_unref(job->held);
        sd_bus_slot_unref(job->call_slot);
        sd_bus_slot_unref(job->look_slot);
        sd_event_source_disable_unref(job->timer);
        for (size_t i = 0; i < job->n_early; i++)
                free(job->early[i].path);
        free(job->unit);
        free(job->path);
        unit_bus_unref(job->bus);
        free(job);
        return NULL;
}

/* The job may be gone when this returns. */
static void job_finish(UnitJob *job, const UnitJobOutcome *outcome)
{
        if (job->state == JOB_FINISHED)
                return;

        job->state = JOB_FINISHED;
        job->timer = sd_event_source_disable_unref(job->timer);
        unit_bus_remove_job(job->bus, job);
        job->done(job, outcome, job->userdata);
}

static void job_finish_error(UnitJob *job, int error, const char *what)
{
        _cleanup_free_ char *message = NULL;

        (void) error_setf(&message, error, "%s: %s", job->unit, what);
        job_finish(job, &(UnitJobOutcome) { .error = error, .message = error_text(message, error) });
}

static void job_finish_result(UnitJob *job, UnitJobResult result)
{
        _cleanup_free_ char *message = NULL;
        int r = unit_job_result_to_errno(result);

        if (r < 0)
                (void) error_setf(&message, r, "Job of %s: %s", job->unit,
                                  unit_job_result_text(result));
        job_finish(job, &(UnitJobOutcome) {
                .error = r,
                .result = result,
                .has_result = true,
                .message = r < 0 ? error_text(message, r) : NULL,
        });
}

bool unit_job_matches_removed(UnitJob *job, const char *path, const char *unit, const char *result)
{
        if (job->state == JOB_QUEUED)
                return streq(path, job->path);

        if (job->state != JOB_CALLING || !streq(unit, job->unit) ||
            job->n_early >= ELEMENTSOF(job->early))
                return false;

        job->early[job->n_early].path = strdup(path);
        job->early[job->n_early].result = unit_job_result_from_string(result);
        if (job->early[job->n_early].path)
                job->n_early++;
        return false;
}

void unit_job_complete(UnitJob *job, const char *result)
{
        job_finish_result(job, unit_job_result_from_string(result));
}

static int on_call_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        UnitJob *job = userdata;
        const char *path;
        int r;

        if (job->state != JOB_CALLING)
                return 0;

        if (error) {
                _cleanup_free_ char *message = NULL;

                r = bus_error_set(&message, error, job->unit);
                job_finish(job, &(UnitJobOutcome) {
                        .error = r,
                        .bus_error = error,
                        .message = error_text(message, r),
                });
                return 0;
        }

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0) {
                job_finish_error(job, r, "the service manager's answer is not a job");
                return 0;
        }

        job->path = strdup(path);
        if (!job->path) {
                job_finish_error(job, -ENOMEM, "out of memory");
                return 0;
        }

        job->state = JOB_QUEUED;
        for (size_t i = 0; i < job->n_early; i++)
                if (streq(job->early[i].path, path)) {
                        job_finish_result(job, job->early[i].result);
                        return 0;
                }

        return 0;
}

static int on_look_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        UnitJob *job = userdata;

        /* The answer to GetJob: an error means that the job has ended meanwhile, unless it is the
         * connection that broke again; then the next reconnect looks once more. */
        if (job->state != JOB_QUEUED || !error)
                return 0;
        if (bus_error_is_no_such_unit(error))
                job_finish_result(job, UNIT_JOB_LOST);
        else
                log_debug("Looking for job of %s after a reconnect failed, waiting", job->unit);

        return 0;
}

void unit_job_on_reconnect(UnitJob *job)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *subscribe = NULL, *look = NULL;
        const char *number;
        uint32_t id;
        int r;

        if (job->state != JOB_QUEUED)
                return;

        number = startswith(job->path, JOB_PATH_PREFIX);
        if (!number || parse_u32(number, &id) < 0)
                return;

        /* The new connection has queued nothing, so signals come to it only when it subscribes. First
         * that, then the look: no gap between the two. */
        r = unit_bus_new_call(job->bus, "Subscribe", &subscribe, NULL);
        if (r >= 0)
                r = unit_bus_send(job->bus, subscribe, NULL, NULL, NULL);
        if (r >= 0)
                r = unit_bus_new_call(job->bus, "GetJob", &look, NULL);
        if (r >= 0)
                r = sd_bus_message_append(look, "u", id);
        if (r >= 0) {
                job->look_slot = sd_bus_slot_unref(job->look_slot);
                r = unit_bus_send(job->bus, look, on_look_reply, job, &job->look_slot);
        }
        if (r < 0)
                log_debug_errno(r, "Job of %s can not be looked up after a reconnect", job->unit);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        UnitJob *job = userdata;
        const char *number;
        uint32_t id;

        /* Leave no job behind that starts something later; a stop job may be one of systemd's own. */
        number = job->path && job->is_start ? startswith(job->path, JOB_PATH_PREFIX) : NULL;
        if (number && parse_u32(number, &id) >= 0 &&
            unit_bus_new_call(job->bus, "CancelJob", &m, NULL) >= 0 &&
            sd_bus_message_append(m, "u", id) >= 0)
                (void) unit_bus_send(job->bus, m, NULL, NULL, NULL);

        job_finish_error(job, -ETIMEDOUT,
                         job->state != JOB_QUEUED ? "no answer from the service manager in time"
                                                   : "the job did not end in time");
        return 0;
}

static int job_send(UnitJob *job, sd_bus_message *call)
{
        int r = unit_bus_send(job->bus, call, on_call_reply, job, &job->call_slot);

        if (r >= 0)
                job->state = JOB_CALLING;
        return r;
}

bool unit_job_is_held(const UnitJob *job)
{
        return job->state == JOB_HELD;
}

void unit_job_release(UnitJob *job, int error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(job->held);

        if (error >= 0)
                error = job_send(job, call);
        if (error < 0)
                job_finish_error(job, error, "the connection to the service manager failed");
}

int unit_job_begin(UnitBus *bus,
                const char *unit,
                sd_bus_message *call,
                usec_t timeout,
                unit_job_done_t done,
                void *userdata,
                UnitJob **ret,
                char **reterr_message)
{
        _cleanup_(unit_job_freep) UnitJob *job = new0(UnitJob, 1);
        int r;

        if (!job)
                return -ENOMEM;

        job->bus = unit_bus_ref(bus);
        job->done = done;
        job->userdata = userdata;
        job->is_start = startswith(strempty(sd_bus_message_get_member(call)), "Start") != NULL;
        job->unit = strdup(unit);
        if (!job->unit)
                return -ENOMEM;

        if (timeout != USEC_INFINITY) {
                r = sd_event_add_time_relative(unit_bus_event(bus), &job->timer, CLOCK_MONOTONIC,
                                               timeout, 0, on_timer, job);
                if (r < 0)
                        return r;
        }

        if (unit_bus_is_ready(bus)) {
                r = job_send(job, call);
                if (r < 0)
                        return error_setf(reterr_message, r, "%s: call can not be sent: %s", unit,
                                          strerror(-r));
        } else
                job->held = sd_bus_message_ref(call);

        unit_bus_add_job(bus, job);
        *ret = TAKE_PTR(job);
        return 0;
}

int unit_job_begin_verb(UnitBus *bus,
                const char *verb,
                const char *unit,
                const char *mode,
                usec_t timeout,
                unit_job_done_t done,
                void *userdata,
                UnitJob **ret,
                char **reterr_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = unit_bus_new_call(bus, verb, &m, reterr_message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", unit, mode);
        if (r < 0)
                return r;

        return unit_job_begin(bus, unit, m, timeout, done, userdata, ret, reterr_message);
}
