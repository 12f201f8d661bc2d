/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup of a live container: see guest-resources.h. Requests are the host's. */

#include "agent/guest-resources.h"

#include "agent/cgroup-stats.h"
#include "agent/worker.h"
#include "basic/fd.h"
#include "basic/log.h"

struct GuestResources {
        Loop *loop;
        CgroupEvents *events;
        OomEvents *oom;
        const char *id;
        Container *engine;

        CgroupWatch *oom_watch;
        uint64_t oom_kills;             /* that the host has been told of */

        bool paused;
        bool freezing, thawing;
        CgroupWatch *freeze_watch;
        LoopSource *freeze_timer;
        Request *freeze_request;

        ContainerUpdate *update;        /* the worker has it */
        Worker *worker;
        Request *update_request;
};

/* Memory events. */

static void check_oom(GuestResources *g)
{
        uint64_t kills;

        if (!g->oom || cgroup_read_key(container_cgroup(g->engine), "memory.events", "oom_kill", &kills) < 0)
                return;

        if (kills > g->oom_kills) {
                log_warning("Container %s: the kernel killed for want of memory (%llu in all)", g->id,
                            (unsigned long long) kills);
                oom_events_add(g->oom, g->id);
        }
        g->oom_kills = kills;
}

static void on_memory_events(void *userdata)
{
        check_oom(userdata);
}

/* Pause and resume. */

static void freeze_done(GuestResources *g)
{
        g->freezing = g->thawing = false;
        g->freeze_watch = cgroup_watch_free(g->freeze_watch);
        g->freeze_timer = loop_source_free(g->freeze_timer);
}

static int write_freeze(GuestResources *g, bool freeze)
{
        return write_string_file_at(container_cgroup(g->engine)->fd, "cgroup.freeze", freeze ? "1" : "0");
}

/* Ends what is under way if the kernel is done with it. */
static void check_frozen(GuestResources *g)
{
        Request *request = g->freeze_request;
        uint64_t frozen;

        if (!g->freezing && !g->thawing)
                return;
        if (cgroup_read_key(container_cgroup(g->engine), "cgroup.events", "frozen", &frozen) < 0 ||
            (frozen != 0) != g->freezing)
                return;

        g->paused = g->freezing;
        freeze_done(g);
        log_info("Container %s %s", g->id, g->paused ? "paused" : "resumed");
        g->freeze_request = NULL;
        if (request)
                request_reply(request, NULL);
}

static void on_cgroup_events(void *userdata)
{
        check_frozen(userdata);
}

static void on_freeze_timeout(LoopSource *source, void *userdata)
{
        GuestResources *g = userdata;
        Request *request = TAKE_PTR(g->freeze_request);
        bool freezing = g->freezing;

        freeze_done(g);
        if (freezing)
                (void) write_freeze(g, false);
        else
                /* cgroup.freeze is 0; that is as much as can be done. */
                g->paused = false;
        log_warning("Container %s: not %s within %llu s", g->id, freezing ? "frozen" : "thawed",
                    (unsigned long long) (FREEZE_USEC / USEC_PER_SEC));
        if (request)
                request_fail(request, TTRPC_DEADLINE_EXCEEDED,
                             freezing ? "container %s: processes that are busy in the kernel do not stop "
                                        "within %llu s, running on"
                                      : "container %s: processes are not running again within %llu s",
                             g->id, (unsigned long long) (FREEZE_USEC / USEC_PER_SEC));
}

static void on_freeze_cancelled(Request *request, void *userdata)
{
        GuestResources *g = userdata;

        g->freeze_request = NULL;
        /* The caller takes it as failed. A resume goes on. */
        if (g->freezing) {
                freeze_done(g);
                (void) write_freeze(g, false);
        }
}

void guest_resources_pause(GuestResources *g, Request *request, bool pause)
{
        ContainerState state = container_state(g->engine);
        int r;

        if (g->freezing || g->thawing)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is being %s already",
                                    g->id, g->freezing ? "paused" : "resumed");
        if (pause && state != CONTAINER_CREATED && state != CONTAINER_RUNNING)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is %s", g->id,
                                    container_state_to_string(state));
        if (g->paused == pause)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is %s", g->id,
                                    pause ? "paused already" : "not paused");

        /* Watched before it is asked for, so that nothing is missed. */
        r = cgroup_events_watch(g->events, &g->freeze_watch, container_cgroup(g->engine), "cgroup.events",
                                on_cgroup_events, g);
        if (r >= 0)
                r = loop_add_time(g->loop, &g->freeze_timer, now_usec() + FREEZE_USEC, on_freeze_timeout, g);
        if (r >= 0)
                r = write_freeze(g, pause);
        if (r < 0) {
                freeze_done(g);
                return request_fail_errno(request, r, NULL);
        }

        g->freezing = pause;
        g->thawing = !pause;
        g->freeze_request = request;
        request_on_cancel(request, on_freeze_cancelled, g);
        check_frozen(g);
}

bool guest_resources_paused(const GuestResources *g)
{
        return g && (g->paused || g->freezing);
}

/* Limits. */

static int run_update(void *userdata, char **reterr_message)
{
        return container_update_files(userdata, reterr_message);
}

static void on_updated(int error, const char *message, void *userdata)
{
        GuestResources *g = userdata;
        Request *request = TAKE_PTR(g->update_request);
        int r;

        g->worker = NULL;
        if (error < 0) {
                r = container_update_undo(g->engine, g->update);
                if (r < 0)
                        log_error_errno(r, "Container %s: cannot put the device rules back", g->id);
        }
        g->update = container_update_free(g->update);

        if (error == -ETIMEDOUT)
                message = "the kernel has not taken the new limits in time, some of them may hold";
        if (request && error < 0)
                request_fail_errno(request, error, message);
        else if (request)
                request_reply(request, NULL);
        if (error >= 0)
                log_info("Container %s has new limits", g->id);
}

static void on_update_cancelled(Request *request, void *userdata)
{
        GuestResources *g = userdata;

        g->update_request = NULL;
}

void guest_resources_update(GuestResources *g, Request *request, const Grpc__LinuxResources *input,
                            const Kata__Systemd__V1__SpecExtension *extension)
{
        _cleanup_(container_update_freep) ContainerUpdate *update = NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        if (container_state(g->engine) == CONTAINER_STOPPED)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is stopped", g->id);
        if (g->update)
                return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                    "container %s is being updated already", g->id);

        r = container_update_plan(&update, g->engine, input, extension, &message);
        if (r >= 0)
                r = container_update_devices(g->engine, update, &message);
        if (r < 0)
                return request_fail_errno(request, r, message);

        r = worker_start(&g->worker, g->loop, run_update, update, UPDATE_USEC, on_updated, g);
        if (r < 0) {
                (void) container_update_undo(g->engine, update);
                return request_fail_errno(request, r, NULL);
        }

        g->update = TAKE_PTR(update);
        g->update_request = request;
        request_on_cancel(request, on_update_cancelled, g);
}

/* Numbers. */

void guest_resources_stats(GuestResources *g, Request *request)
{
        _cleanup_(container_stats_freep) ContainerStats *stats = NULL;
        int r;

        r = container_stats_new(&stats);
        if (r >= 0)
                r = container_stats_read_cgroup(stats, container_cgroup(g->engine)->fd);
        if (r >= 0)
                r = container_stats_read_network(stats, container_init_pid(g->engine));
        if (r < 0)
                return request_fail_errno(request, r, NULL);

        request_reply(request, container_stats_message(stats));
}

/* Life. */

int guest_resources_new(GuestResources **ret, Loop *loop, CgroupEvents *events, OomEvents *oom,
                        const char *id, Container *engine)
{
        GuestResources *g = new0(GuestResources, 1);
        int r;

        if (!g)
                return -ENOMEM;
        *g = (GuestResources) {
                .loop = loop, .events = events, .oom = oom, .id = id, .engine = engine,
        };

        if (oom) {
                r = cgroup_events_watch(events, &g->oom_watch, container_cgroup(engine), "memory.events",
                                        on_memory_events, g);
                /* No such file: a kernel without the controller kills for the machine as a whole only. */
                if (r < 0 && r != -ENOENT)
                        log_warning_errno(r, "Container %s: memory events are not watched", id);
                check_oom(g);
        }

        *ret = g;
        return 0;
}

static void cancel(Request *request, const char *id)
{
        if (request)
                request_fail(request, TTRPC_CANCELLED, "container %s is being removed", id);
}

GuestResources *guest_resources_free(GuestResources *g)
{
        if (!g)
                return NULL;

        check_oom(g);
        freeze_done(g);
        cgroup_watch_free(g->oom_watch);
        worker_cancel(g->worker);
        container_update_free(g->update);
        cancel(TAKE_PTR(g->freeze_request), g->id);
        cancel(TAKE_PTR(g->update_request), g->id);
        free(g);
        return NULL;
}

void guest_resources_exited(GuestResources *g)
{
        Request *request;

        if (!g)
                return;

        check_oom(g);
        request = TAKE_PTR(g->freeze_request);
        /* What is left of it may run on. */
        if (g->paused || g->freezing)
                (void) write_freeze(g, false);
        freeze_done(g);
        g->paused = false;
        if (request)
                request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s has exited", g->id);
}
