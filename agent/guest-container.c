/* SPDX-License-Identifier: Apache-2.0 */
/* Containers behind the agent protocol: see guest-container.h. Requests are the host's; the text of failures
 * may hold names from the tenant's image and was made printable by the engine. */

#include "agent/guest-container.h"

#include <signal.h>

#include "agent/guest-devices.h"
#include "agent/guest-exec.h"
#include "agent/shared-mounts.h"
#include "agent/worker.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"

/* Kata's agent.hotplug_timeout. */
#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)
/* Of upstream's agent, for mounts that a process of another container makes. */
#define SHARE_WAIT_USEC (10 * USEC_PER_SEC)

typedef enum GuestState {
        GUEST_CLAIMING,
        GUEST_DEVICES,          /* a worker waits for them */
        GUEST_MOUNTING,
        GUEST_ENGINE,
        GUEST_SHARING,          /* a worker makes mounts of other containers */
        GUEST_LIVE,
        GUEST_REMOVING,         /* the engine takes it apart */
        GUEST_RELEASING,        /* its storages go */
} GuestState;

struct GuestContainer {
        Sandbox *sandbox;
        GuestContainer *prev, *next;
        char *id, *name;        /* name: in the pod; NULL: none */
        GuestState state;
        Container *engine;
        GuestResources *resources;      /* while LIVE */

        GuestProcess *process;
        struct GuestExec *execs;

        const Grpc__CreateContainerRequest *input;      /* until the engine has taken it */
        const Kata__Systemd__V1__SpecExtension *extension;      /* the same */
        GuestDevices devices;
        SharedMounts shared_mounts;
        Worker *device_worker, *share_worker;
        Request *create_request, *start_request, *remove_request;
        LoopSource *remove_timer;
        int fail_error;         /* why the creation is undone */
        char *fail_message;
        TerminationLog termination_log;
};

const char *guest_container_id(const GuestContainer *gc)
{
        return gc->id;
}

GuestContainer *guest_container_next(const GuestContainer *gc)
{
        return gc->next;
}

Container *guest_container_engine(const GuestContainer *gc)
{
        return gc->state == GUEST_LIVE ? gc->engine : NULL;
}

GuestResources *guest_container_resources(const GuestContainer *gc)
{
        return gc->resources;
}

const TerminationLog *guest_container_termination_log(const GuestContainer *gc)
{
        return &gc->termination_log;
}

GuestProcess *guest_container_process(const GuestContainer *gc)
{
        return gc->process;
}

Sandbox *guest_container_sandbox(const GuestContainer *gc)
{
        return gc->sandbox;
}

struct GuestExec **guest_container_execs(const GuestContainer *gc)
{
        /* The list is no part of what const means here. */
        return &((GuestContainer *) (uintptr_t) gc)->execs;
}

GuestContainer *guest_container_free(GuestContainer *gc)
{
        GuestContainer **list;

        if (!gc)
                return NULL;

        list = sandbox_container_list(gc->sandbox);
        if (gc->prev)
                gc->prev->next = gc->next;
        else if (*list == gc)
                *list = gc->next;
        if (gc->next)
                gc->next->prev = gc->prev;

        gc->device_worker = worker_cancel(gc->device_worker);
        gc->share_worker = worker_cancel(gc->share_worker);
        guest_devices_done(&gc->devices);
        shared_mounts_done(&gc->shared_mounts);
        guest_execs_free(gc);
        guest_resources_free(gc->resources);
        guest_process_free(gc->process);
        termination_log_done(&gc->termination_log);
        loop_source_free(gc->remove_timer);
        free(gc->fail_message);
        free(gc->id);
        free(gc->name);
        free(gc);
        return NULL;
}

/* Last step of a removal and of a creation that failed. */
static void finish(GuestContainer *gc, int error, const char *message)
{
        Request *create = TAKE_PTR(gc->create_request), *start = TAKE_PTR(gc->start_request);
        Request *remove = TAKE_PTR(gc->remove_request);
        Sandbox *sandbox = gc->sandbox;

        /* Whoever still waits learns that it was killed. */
        guest_execs_end(gc);
        guest_process_set_exited(gc->process, 128 + SIGKILL);
        guest_process_linger(gc->process);

        if (create)
                request_fail_errno(create, gc->fail_error < 0 ? gc->fail_error : -ECANCELED,
                                   gc->fail_message ? gc->fail_message : "the container was removed");
        if (start)
                request_fail_errno(start, -ECANCELED, "the container was removed");
        if (remove && error < 0)
                request_fail_errno(remove, error, message);
        else if (remove)
                request_reply(remove, NULL);
        if (!remove && error < 0)
                log_warning("Container %s: %s", gc->id, error_text(message, error));

        log_debug("Container %s is gone", gc->id);
        guest_container_free(gc);
        sandbox_container_gone(sandbox);
}

static void on_released(int error, const char *message, void *userdata)
{
        finish(userdata, error, message);
}

static void release(GuestContainer *gc, int error, const char *message)
{
        StorageTable *storages = sandbox_storages(gc->sandbox);
        int r = 0;

        gc->state = GUEST_RELEASING;
        if (storage_table_holds(storages, gc->id))
                r = storage_table_release(storages, gc->id, on_released, gc);
        else
                return finish(gc, error, message);
        if (r < 0)
                finish(gc, r, NULL);
        else if (error < 0)
                log_warning("Container %s: %s", gc->id, error_text(message, error));
}

static void on_removed(Container *c, int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->engine = NULL;
        release(gc, error, message);
}

/* Takes apart what there is, from any state. Ends in finish(), perhaps at once. */
static void tear_down(GuestContainer *gc)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (gc->state >= GUEST_REMOVING)
                return;
        if (gc->state == GUEST_MOUNTING) {
                /* The worker's answer comes; on_mounted() goes on from there. */
                gc->state = GUEST_REMOVING;
                return;
        }

        gc->state = GUEST_REMOVING;
        gc->device_worker = worker_cancel(gc->device_worker);
        gc->share_worker = worker_cancel(gc->share_worker);
        guest_process_cancel_claims(gc->process);
        gc->resources = guest_resources_free(gc->resources);
        if (!gc->engine)
                return release(gc, 0, NULL);

        r = container_remove(gc->engine, &message);
        if (r < 0 && r != -EALREADY) {
                /* The engine keeps what it could not remove. */
                gc->engine = NULL;
                release(gc, r, message);
        }
}

static void fail(GuestContainer *gc, int error, const char *message)
{
        if (gc->fail_error == 0) {
                gc->fail_error = error;
                gc->fail_message = message ? strdup(message) : NULL;
        }
        tear_down(gc);
}

static void on_terminal(Container *c, int fd, void *userdata)
{
        GuestContainer *gc = userdata;

        guest_process_set_terminal(gc->process, fd);
}

static void step_live(GuestContainer *gc)
{
        Request *request;
        int r;

        r = guest_resources_new(&gc->resources, sandbox_loop(gc->sandbox), sandbox_cgroup_events(gc->sandbox),
                                sandbox_oom_events(gc->sandbox), gc->id, gc->engine);
        if (r < 0)
                return fail(gc, r, NULL);

        gc->state = GUEST_LIVE;
        request = TAKE_PTR(gc->create_request);
        if (request)
                request_reply(request, NULL);
        log_info("Container %s created", gc->id);
}

static int make_shared_mounts(void *userdata, char **reterr_message)
{
        const GuestContainer *gc = userdata;
        int fds[2 + 2 * SHARED_MOUNTS_MAX];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = WORKER_KEPT_FD + (int) i;
        return shared_mounts_make(&gc->shared_mounts, fds, SHARE_WAIT_USEC, reterr_message);
}

static void on_shared(int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->share_worker = NULL;
        if (error < 0)
                return fail(gc, error, message);
        step_live(gc);
}

static GuestContainer *find_by_name(const GuestContainer *gc, const char *name)
{
        GuestContainer *other = sandbox_containers(gc->sandbox);

        for (; other; other = other->next)
                if (other != gc && ((other->name && streq(other->name, name)) || streq(other->id, name)))
                        return other;

        return NULL;
}

/* Borrowed: the worker has copies. */
static int open_shared(const GuestContainer *gc, int *fds, char **reterr_message)
{
        ContainerJoin join;
        int r;

        r = container_get_join(gc->engine, &join, reterr_message);
        if (r < 0)
                return r;
        fds[0] = join.init_fd;
        fds[1] = join.root_fd;
        for (size_t i = 0; i < gc->shared_mounts.n; i++) {
                const SharedMount *m = &gc->shared_mounts.v[i];
                const GuestContainer *source = find_by_name(gc, m->source);

                if (!source)
                        return error_setf(reterr_message, -ENOENT, "shared mount '%s': there is no container '%s'",
                                          m->name, m->source);
                if (source->state != GUEST_LIVE)
                        return error_setf(reterr_message, -EBUSY, "shared mount '%s': container '%s' is not created",
                                          m->name, m->source);
                r = container_get_join(source->engine, &join, reterr_message);
                if (r < 0)
                        return error_prefixf(reterr_message, r, "shared mount '%s'", m->name);
                fds[2 + 2 * i] = join.init_fd;
                fds[3 + 2 * i] = join.root_fd;
        }

        return 0;
}

static void step_share(GuestContainer *gc)
{
        int fds[2 + 2 * SHARED_MOUNTS_MAX], r;
        _cleanup_free_ char *message = NULL;

        gc->state = GUEST_SHARING;
        r = open_shared(gc, fds, &message);
        if (r >= 0)
                r = worker_start_keeping(&gc->share_worker, sandbox_loop(gc->sandbox), make_shared_mounts, gc, fds,
                                         2 + 2 * gc->shared_mounts.n, 2 * SHARE_WAIT_USEC, on_shared, gc);
        if (r < 0)
                fail(gc, r, message);
}

static void on_created(Container *c, int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;

        if (error < 0)
                return fail(gc, error, message);
        if (gc->shared_mounts.n > 0)
                step_share(gc);
        else
                step_live(gc);
}

static void on_started(Container *c, int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;
        Request *request = TAKE_PTR(gc->start_request);

        if (error < 0) {
                log_error("Container %s: %s", gc->id, error_text(message, error));
                if (request)
                        request_fail_errno(request, error, message);
                /* As a shell reports it: on_exit does not come any more. */
                guest_process_set_exited(gc->process, error == -ENOENT ? 127 : 126);
                return;
        }

        if (request)
                request_reply(request, NULL);
        log_info("Container %s started, pid %d", gc->id, (int) container_init_pid(c));
}

static void on_exit_status(Container *c, int status, void *userdata)
{
        GuestContainer *gc = userdata;

        log_info("Container %s exited with status %d", gc->id, status);
        guest_resources_exited(gc->resources);
        guest_process_set_exited(gc->process, status);
}

static const ContainerHandlers engine_handlers = {
        .on_terminal = on_terminal,
        .on_created = on_created,
        .on_started = on_started,
        .on_exit = on_exit_status,
        .on_removed = on_removed,
};

static void step_engine(GuestContainer *gc)
{
        ContainerHandlers handlers = engine_handlers;
        _cleanup_free_ char *message = NULL;
        ContainerPlace place;
        ContainerIo io;
        int r;

        gc->state = GUEST_ENGINE;
        r = sandbox_container_place(gc->sandbox, gc->input->sandbox_pidns, &place, &message);
        if (r < 0)
                return fail(gc, r, message);
        r = guest_process_open(gc->process, gc->input->oci->process, &io, &message);
        if (r < 0)
                return fail(gc, r, message);

        place.extension = gc->extension;
        handlers.userdata = gc;
        r = container_create(&gc->engine, sandbox_loop(gc->sandbox), &place, gc->id, gc->input->oci, &io,
                             &handlers, &message);
        gc->input = NULL;
        gc->extension = NULL;
        guest_io_close(&io);
        if (r < 0) {
                gc->engine = NULL;
                fail(gc, r, message);
        }
}

static void on_mounted(int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;

        if (gc->state != GUEST_MOUNTING)
                /* Given up meanwhile. */
                return release(gc, 0, NULL);
        if (error < 0) {
                gc->state = GUEST_CLAIMING;
                return fail(gc, error, message);
        }

        step_engine(gc);
}

static void step_mount(GuestContainer *gc)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (gc->input->n_storages == 0)
                return step_engine(gc);

        r = storage_table_mount(sandbox_storages(gc->sandbox), gc->input->storages,
                                gc->input->n_storages, gc->id, on_mounted, gc, &message);
        if (r < 0)
                return fail(gc, r, message);
        gc->state = GUEST_MOUNTING;
}

static int wait_for_devices(void *userdata, char **reterr_message)
{
        return guest_devices_wait(userdata, "", DEVICE_WAIT_USEC, reterr_message);
}

static void on_devices(int error, const char *message, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        GuestContainer *gc = userdata;
        int r;

        gc->device_worker = NULL;
        if (error < 0)
                return fail(gc, error, message);

        /* The input is this request's own copy, which nobody else reads. */
        r = guest_devices_apply(&gc->devices, "", gc->input->oci, &text);
        if (r < 0)
                return fail(gc, r, text);
        step_mount(gc);
}

static void step_devices(GuestContainer *gc)
{
        int r;

        if (gc->devices.n == 0)
                return step_mount(gc);

        gc->state = GUEST_DEVICES;
        /* The worker ends by itself before its deadline. */
        r = worker_start(&gc->device_worker, sandbox_loop(gc->sandbox), wait_for_devices, &gc->devices,
                         2 * DEVICE_WAIT_USEC, on_devices, gc);
        if (r < 0)
                fail(gc, r, NULL);
}

static void on_streams(int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;

        if (error < 0)
                return fail(gc, error, message);
        step_devices(gc);
}

static void on_create_cancelled(Request *request, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->create_request = NULL;
        /* The input is gone with the request; what the engine has taken goes on without it. */
        if (gc->state < GUEST_ENGINE) {
                gc->input = NULL;
                gc->extension = NULL;
                tear_down(gc);
        }
}

void guest_container_create(Sandbox *sandbox, Request *request, const Grpc__CreateContainerRequest *input,
                            const Kata__Systemd__V1__SpecExtension *extension)
{
        const uint32_t ports[_GUEST_STREAM_MAX] = {
                input->stdin_port, input->stdout_port, input->stderr_port,
        };
        GuestContainer **list = sandbox_container_list(sandbox), *gc;
        _cleanup_(guest_devices_done) GuestDevices devices = {};
        _cleanup_(shared_mounts_done) SharedMounts shared = {};
        _cleanup_free_ char *message = NULL;
        const char *name;
        int r;

        if (sandbox_state(sandbox) != SANDBOX_READY)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "there is no sandbox yet");
        if (sandbox_place(sandbox)->unprivileged)
                return request_fail(request, TTRPC_PERMISSION_DENIED, "containers need an agent that runs as "
                                    "root");
        if (!id_is_valid(input->container_id, CONTAINER_ID_MAX))
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "invalid container id");
        if (*input->exec_id && !streq(input->exec_id, input->container_id))
                return request_fail(request, TTRPC_INVALID_ARGUMENT,
                                    "exec_id of a new container must be its own id");
        if (!input->oci)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "container %s has no OCI spec",
                                    input->container_id);
        if (sandbox_find(sandbox, input->container_id))
                return request_fail(request, TTRPC_ALREADY_EXISTS, "container %s exists already",
                                    input->container_id);
        if (sandbox_n_containers(sandbox) >= CONTAINERS_MAX)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "there are %u containers already",
                                    CONTAINERS_MAX);

        /* string_user is not looked at, as in upstream's agent. */
        name = shared_mounts_container_name(input->oci);
        r = guest_devices_plan(input->devices, input->n_devices, &devices, &message);
        if (r >= 0)
                r = shared_mounts_parse(&shared, input->container_id, name, input->shared_mounts,
                                        input->n_shared_mounts, &message);
        if (r < 0)
                return request_fail_errno(request, r, message);
        r = request_keep_input(request);
        if (r < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "too many requests at once");

        gc = new0(GuestContainer, 1);
        if (!gc)
                return request_fail_errno(request, -ENOMEM, NULL);
        *gc = (GuestContainer) {
                .sandbox = sandbox, .next = *list, .input = input, .extension = extension,
                .id = strdup(input->container_id), .name = name ? strdup(name) : NULL,
        };
        r = gc->id && (gc->name || !name) ? termination_log_plan(input->oci, &gc->termination_log) : -ENOMEM;
        if (r >= 0)
                r = guest_process_new(&gc->process, sandbox, ports);
        if (r < 0) {
                termination_log_done(&gc->termination_log);
                free(gc->id);
                free(gc->name);
                free(gc);
                return request_fail_errno(request, r, NULL);
        }
        gc->devices = devices;
        devices = (GuestDevices) {};
        gc->shared_mounts = shared;
        shared = (SharedMounts) {};
        if (*list)
                (*list)->prev = gc;
        *list = gc;
        gc->create_request = request;
        request_on_cancel(request, on_create_cancelled, gc);

        r = guest_process_claim(gc->process, on_streams, gc);
        if (r < 0)
                return fail(gc, r, NULL);
        if (r == 0)
                step_devices(gc);
}

static void on_start_cancelled(Request *request, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->start_request = NULL;
}

void guest_container_start(GuestContainer *gc, Request *request)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (gc->state != GUEST_LIVE)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is not created",
                                    gc->id);
        if (gc->start_request)
                return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                    "container %s is being started already", gc->id);
        if (guest_resources_paused(gc->resources))
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is paused", gc->id);

        gc->start_request = request;
        request_on_cancel(request, on_start_cancelled, gc);
        r = container_start(gc->engine, &message);
        if (r < 0 && gc->start_request) {
                gc->start_request = NULL;
                request_fail_errno(request, r, message);
        }
}

static void on_remove_cancelled(Request *request, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->remove_request = NULL;
}

static void on_remove_timeout(LoopSource *source, void *userdata)
{
        GuestContainer *gc = userdata;
        Request *request = TAKE_PTR(gc->remove_request);

        gc->remove_timer = loop_source_free(gc->remove_timer);
        if (request)
                request_fail_errno(request, -ETIME, "the container is not gone within the timeout; its "
                                   "removal goes on");
}

void guest_container_remove(GuestContainer *gc, Request *request, uint32_t timeout)
{
        int r;

        if (request && gc->remove_request)
                return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                    "container %s is being removed already", gc->id);
        if (request) {
                gc->remove_request = request;
                request_on_cancel(request, on_remove_cancelled, gc);
                if (timeout > 0 && !gc->remove_timer) {
                        r = loop_add_time(sandbox_loop(gc->sandbox), &gc->remove_timer,
                                          now_usec() + timeout * USEC_PER_SEC, on_remove_timeout, gc);
                        if (r < 0)
                                log_warning_errno(r, "Removal of container %s without a deadline",
                                                  gc->id);
                }
        }

        tear_down(gc);
}
