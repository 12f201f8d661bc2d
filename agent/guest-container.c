/* SPDX-License-Identifier: Apache-2.0 */
/* Containers behind the agent protocol: see guest-container.h. Requests are the host's; the text of failures
 * may hold names from the tenant's image and was made printable by the engine. */

#include "agent/guest-container.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

#define STREAM_WAIT_USEC (5 * USEC_PER_SEC)

typedef enum GuestState {
        GUEST_CLAIMING,
        GUEST_MOUNTING,
        GUEST_ENGINE,
        GUEST_LIVE,
        GUEST_REMOVING,         /* the engine takes it apart */
        GUEST_RELEASING,        /* its storages go */
} GuestState;

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, _STREAM_MAX };

typedef struct Waiter {
        struct Waiter *next;
        Request *request;
} Waiter;

typedef struct ClaimSlot {
        GuestContainer *gc;
        StreamClaim *claim;
        int fd;
} ClaimSlot;

struct GuestContainer {
        Sandbox *sandbox;
        GuestContainer *prev, *next;
        char *id;
        GuestState state;
        Container *engine;
        GuestResources *resources;      /* while LIVE */

        StdioOut *out[2];       /* stdout, stderr */
        StdioIn *in;

        const Grpc__CreateContainerRequest *input;      /* until the engine has taken it */
        Request *create_request, *start_request, *remove_request;
        ClaimSlot claims[_STREAM_MAX];
        LoopSource *remove_timer;
        int fail_error;         /* why the creation is undone */
        char *fail_message;

        bool exited;
        int status;
        Waiter *waiters;
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

bool guest_container_exited(const GuestContainer *gc, int *ret_status)
{
        if (gc->exited)
                *ret_status = gc->status;
        return gc->exited;
}

StdioOut *guest_container_stdout(const GuestContainer *gc)
{
        return gc->out[0];
}

StdioOut *guest_container_stderr(const GuestContainer *gc)
{
        return gc->out[1];
}

StdioIn *guest_container_stdin(const GuestContainer *gc)
{
        return gc->in;
}

const TerminationLog *guest_container_termination_log(const GuestContainer *gc)
{
        return &gc->termination_log;
}

static void answer_waiters(GuestContainer *gc)
{
        Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;

        response.status = gc->status;
        while (gc->waiters) {
                Waiter *waiter = gc->waiters;

                gc->waiters = waiter->next;
                request_reply(waiter->request, &response.base);
                free(waiter);
        }
}

static void set_exited(GuestContainer *gc, int status)
{
        if (gc->exited)
                return;

        gc->exited = true;
        gc->status = status;
        stdio_in_free(gc->in);
        gc->in = NULL;
        answer_waiters(gc);
}

static void close_claims(GuestContainer *gc)
{
        for (unsigned i = 0; i < _STREAM_MAX; i++) {
                gc->claims[i].claim = stream_claim_free(gc->claims[i].claim);
                gc->claims[i].fd = safe_close(gc->claims[i].fd);
        }
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

        while (gc->waiters) {
                Waiter *waiter = gc->waiters;

                gc->waiters = waiter->next;
                request_on_cancel(waiter->request, NULL, NULL);
                free(waiter);
        }
        close_claims(gc);
        guest_resources_free(gc->resources);
        loop_source_free(gc->remove_timer);
        for (unsigned i = 0; i < ELEMENTSOF(gc->out); i++)
                stdio_out_free(gc->out[i]);
        stdio_in_free(gc->in);
        termination_log_done(&gc->termination_log);
        free(gc->fail_message);
        free(gc->id);
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
        set_exited(gc, 128 + SIGKILL);

        for (unsigned i = 0; i < ELEMENTSOF(gc->out); i++)
                if (gc->out[i] && stdio_out_is_attached(gc->out[i]) && !stdio_out_is_done(gc->out[i]))
                        sandbox_linger(sandbox, TAKE_PTR(gc->out[i]));

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
        close_claims(gc);
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

static void on_created(Container *c, int error, const char *message, void *userdata)
{
        GuestContainer *gc = userdata;
        /* As upstream: the sandbox's own container is not watched. */
        bool own = streq(gc->id, sandbox_id(gc->sandbox));
        Request *request;

        if (error >= 0)
                error = guest_resources_new(&gc->resources, sandbox_loop(gc->sandbox),
                                            sandbox_cgroup_events(gc->sandbox),
                                            own ? NULL : sandbox_oom_events(gc->sandbox), gc->id, c);
        if (error < 0)
                return fail(gc, error, message);

        gc->state = GUEST_LIVE;
        request = TAKE_PTR(gc->create_request);
        if (request)
                request_reply(request, NULL);
        log_info("Container %s created", gc->id);
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
                set_exited(gc, error == -ENOENT ? 127 : 126);
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
        set_exited(gc, status);
}

static const ContainerHandlers engine_handlers = {
        .on_created = on_created,
        .on_started = on_started,
        .on_exit = on_exit_status,
        .on_removed = on_removed,
};

/* One pipe: *ret_theirs goes to the container, owned by its user so that it can open /dev/stdout. */
static int make_pipe(const Grpc__Spec *spec, bool container_reads, int *ret_ours, int *ret_theirs)
{
        int p[2], theirs;

        if (pipe2(p, O_CLOEXEC) < 0)
                return negative_errno();

        theirs = p[container_reads ? 0 : 1];
        if (spec->process && spec->process->user)
                /* A file system without such ids only costs the container /dev/stdout. */
                (void) !fchown(theirs, spec->process->user->uid, spec->process->user->gid);
        *ret_theirs = theirs;
        *ret_ours = p[container_reads ? 1 : 0];
        return 0;
}

static int make_output(GuestContainer *gc, unsigned i, int *ret_theirs)
{
        _cleanup_close_ int ours = -EBADF;
        int r;

        r = make_pipe(gc->input->oci, false, &ours, ret_theirs);
        if (r < 0)
                return r;
        r = stdio_out_new(&gc->out[i], sandbox_loop(gc->sandbox), &ours, NULL, NULL);
        if (r < 0)
                return r;
        if (gc->claims[STREAM_OUT + i].fd >= 0)
                r = stdio_out_attach(gc->out[i], &gc->claims[STREAM_OUT + i].fd);
        return r;
}

static int make_input(GuestContainer *gc, int *ret_theirs)
{
        _cleanup_close_ int ours = -EBADF;
        int r;

        r = make_pipe(gc->input->oci, true, &ours, ret_theirs);
        if (r < 0)
                return r;
        r = stdio_in_new(&gc->in, sandbox_loop(gc->sandbox), &ours);
        if (r < 0)
                return r;
        if (gc->claims[STREAM_IN].fd >= 0)
                r = stdio_in_attach(gc->in, &gc->claims[STREAM_IN].fd);
        return r;
}

/* Without any port the host uses the stdio calls, so all three streams exist. */
static bool wants_stream(const Grpc__CreateContainerRequest *input, unsigned i)
{
        const uint32_t ports[_STREAM_MAX] = { input->stdin_port, input->stdout_port, input->stderr_port };

        return ports[i] != 0 || (ports[0] == 0 && ports[1] == 0 && ports[2] == 0);
}

static void step_engine(GuestContainer *gc)
{
        _cleanup_close_ int in = -EBADF, out = -EBADF, err = -EBADF;
        ContainerHandlers handlers = engine_handlers;
        _cleanup_free_ char *message = NULL;
        ContainerIo io;
        int r = 0;

        gc->state = GUEST_ENGINE;
        if (wants_stream(gc->input, STREAM_IN))
                r = make_input(gc, &in);
        if (r >= 0 && wants_stream(gc->input, STREAM_OUT))
                r = make_output(gc, 0, &out);
        if (r >= 0 && wants_stream(gc->input, STREAM_ERR))
                r = make_output(gc, 1, &err);
        if (r < 0)
                return fail(gc, r, NULL);

        io = (ContainerIo) { .stdin_fd = in, .stdout_fd = out, .stderr_fd = err };
        handlers.userdata = gc;
        r = container_create(&gc->engine, sandbox_loop(gc->sandbox), gc->id, gc->input->oci, &io,
                             &handlers, &message);
        gc->input = NULL;
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

static bool claims_pending(const GuestContainer *gc)
{
        for (unsigned i = 0; i < _STREAM_MAX; i++)
                if (gc->claims[i].claim)
                        return true;

        return false;
}

static void on_stream(int fd, void *userdata)
{
        ClaimSlot *slot = userdata;
        GuestContainer *gc = slot->gc;

        slot->claim = NULL;
        if (fd < 0)
                return fail(gc, fd, "a stdio stream that the request names has not been opened");

        slot->fd = fd;
        if (!claims_pending(gc))
                step_mount(gc);
}

static int step_claim(GuestContainer *gc)
{
        const uint32_t ports[_STREAM_MAX] = {
                gc->input->stdin_port, gc->input->stdout_port, gc->input->stderr_port,
        };

        for (unsigned i = 0; i < _STREAM_MAX; i++) {
                int r;

                if (ports[i] == 0)
                        continue;
                r = stream_table_claim(sandbox_streams(gc->sandbox), &gc->claims[i].claim, ports[i],
                                       STREAM_WAIT_USEC, on_stream, &gc->claims[i]);
                if (r < 0)
                        return r;
        }

        return 0;
}

static void on_create_cancelled(Request *request, void *userdata)
{
        GuestContainer *gc = userdata;

        gc->create_request = NULL;
        /* The input is gone with the request; what the engine has taken goes on without it. */
        if (gc->state < GUEST_ENGINE) {
                gc->input = NULL;
                tear_down(gc);
        }
}

/* What the request asks for and this agent does not have. */
static const char *unsupported(const Grpc__CreateContainerRequest *input)
{
        const Grpc__StringUser *user = input->string_user;

        if (input->n_devices > 0)
                return "devices";
        if (input->n_shared_mounts > 0)
                return "shared_mounts";
        if (input->sandbox_pidns)
                return "sandbox_pidns (a pid namespace for the whole sandbox)";
        if (user && (*user->uid || *user->gid || user->n_additionalgids > 0))
                return "string_user";
        if (input->oci->process && input->oci->process->terminal)
                return "process.terminal (a pseudo-terminal)";
        return NULL;
}

void guest_container_create(Sandbox *sandbox, Request *request, const Grpc__CreateContainerRequest *input)
{
        GuestContainer **list = sandbox_container_list(sandbox), *gc;
        const char *what;
        int r;

        if (sandbox_state(sandbox) != SANDBOX_READY)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "there is no sandbox yet");
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
        what = unsupported(input);
        if (what)
                return request_fail(request, TTRPC_UNIMPLEMENTED,
                                    "container %s: %s is not implemented by this agent",
                                    input->container_id, what);

        r = request_keep_input(request);
        if (r < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "too many requests at once");

        gc = new0(GuestContainer, 1);
        if (!gc)
                return request_fail_errno(request, -ENOMEM, NULL);
        *gc = (GuestContainer) {
                .sandbox = sandbox, .next = *list, .input = input, .id = strdup(input->container_id),
        };
        if (!gc->id || termination_log_plan(input->oci, &gc->termination_log) < 0) {
                free(gc->id);
                free(gc);
                return request_fail_errno(request, -ENOMEM, NULL);
        }
        for (unsigned i = 0; i < _STREAM_MAX; i++)
                gc->claims[i] = (ClaimSlot) { .gc = gc, .fd = -EBADF };
        if (*list)
                (*list)->prev = gc;
        *list = gc;
        gc->create_request = request;
        request_on_cancel(request, on_create_cancelled, gc);

        r = step_claim(gc);
        if (r < 0)
                return fail(gc, r, NULL);
        if (!claims_pending(gc))
                step_mount(gc);
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

static void on_wait_cancelled(Request *request, void *userdata)
{
        GuestContainer *gc = userdata;

        for (Waiter **at = &gc->waiters; *at; at = &(*at)->next)
                if ((*at)->request == request) {
                        Waiter *waiter = *at;

                        *at = waiter->next;
                        free(waiter);
                        return;
                }
}

void guest_container_wait(GuestContainer *gc, Request *request)
{
        Waiter *waiter = new0(Waiter, 1);

        if (!waiter)
                return request_fail_errno(request, -ENOMEM, NULL);

        *waiter = (Waiter) { .next = gc->waiters, .request = request };
        gc->waiters = waiter;
        request_on_cancel(request, on_wait_cancelled, gc);
        if (gc->exited)
                answer_waiters(gc);
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
