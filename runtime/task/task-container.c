/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of callers: see task-internal.h. Host side; bundles are of privileged clients. */

#include <signal.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"
#include "proto/task-events.pb-c.h"
#include "proto/task-types.h"
#include "runtime/oci/spec-extension.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/task/task-internal.h"
#include "runtime/task/task-stats.h"

/* --- create --- */

/* NULL if the request may go on. */
static const char *refusal(const Containerd__Task__V2__CreateTaskRequest *q, TtrpcCode *ret_code)
{
        *ret_code = TTRPC_INVALID_ARGUMENT;
        if (!id_is_valid(q->id, CONTAINER_ID_MAX))
                return "invalid id";
        if (*q->bundle != '/' || strlen(q->bundle) >= TASK_PATH_MAX)
                return "bundle is not an absolute path";
        /* Those of runc come from clients that do not look at the runtime; they mean nothing here. */
        if (q->options && *q->options->type_url && !streq(q->options->type_url, TASK_TYPE_RUNC_OPTIONS))
                return "options of this type are not supported";
        *ret_code = TTRPC_UNIMPLEMENTED;
        if (q->n_rootfs > 0)
                return "rootfs mounts are not supported: mount the root file system at its place in the bundle";
        if (*q->checkpoint || *q->parent_checkpoint)
                return "checkpoints are not supported";
        return NULL;
}

/* The guest's view of the container, and what it has to see of the host. */
static int load_spec(Task *task, bool host_hooks, OciShares *ret_shares, char **reterr_message)
{
        _cleanup_free_ char *share_id = NULL;
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        int r;

        r = oci_spec_load(task->bundle, &spec, reterr_message);
        if (r >= 0 && spec->spec->process->terminal != task->init.terminal)
                r = error_setf(reterr_message, EINVAL,
                               "process.terminal of '%s/config.json' and the request say different things",
                               task->bundle);
        if (r < 0)
                return r;

        /* A name that has been there before, the guest may believe to know. */
        if (asprintf(&share_id, "%s.%u", task->id, ++task->service->serial) < 0) {
                share_id = NULL;
                return -ENOMEM;
        }
        spec->host_hooks = host_hooks;
        r = oci_spec_to_guest(spec, share_id, ret_shares, reterr_message);
        if (r < 0)
                return r;
        spec->spec->linux->cgroupspath = oci_spec_printf(spec, "/%s", task->id);
        if (!spec->spec->linux->cgroupspath)
                return -ENOMEM;

        for (size_t i = 0; i < spec->notes.n; i++)
                log_notice("Container '%s': %s", task->id, spec->notes.v[i]);
        task->init.spec = TAKE_PTR(spec);
        return 0;
}

static void remove_shares(Task *task)
{
        TaskHost *host = &task->service->host;

        for (size_t i = task->shares.n; i-- > 0;)
                host->share_remove(host->userdata, task->shares.v[i]);
        strv_done(&task->shares);
        task->shares = (Strv) {};
}

/* namespace_fd: the mount namespace that the caller has handed over; -EBADF: ours will do. */
static int add_shares(Task *task, const OciShares *shares, int namespace_fd, char **reterr_message)
{
        TaskHost *host = &task->service->host;

        for (size_t i = 0; i < shares->n; i++) {
                const ShareEntry *e = &shares->v[i];
                int r = strv_add(&task->shares, e->name);

                if (r < 0)
                        return r;
                r = host->share_add(host->userdata, e->name, e->source, e->read_only, e->recursive,
                                    namespace_fd, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static void create_failed(Task *task, int error, const char *text)
{
        TaskService *service = task->service;
        TtrpcCall *call = TAKE_PTR(task->init.call);

        if (call)
                ttrpc_call_fail(call, error == -ENOENT ? TTRPC_INVALID_ARGUMENT : ttrpc_code_from_errno(error),
                                "container %s can not be created: %s", task->id, error_text(text, error));
        task->init.io = task_io_free(task->init.io, service->host.transport);
        remove_shares(task);
        task_release(task);
        task_state_save(service);
}

static void on_created(TaskOp *op, int error, const char *text, const void *message)
{
        Containerd__Task__V2__CreateTaskResponse answer = CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
        Containerd__Events__TaskCreate e = CONTAINERD__EVENTS__TASK_CREATE__INIT;
        Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
        _cleanup_free_ char *explained = NULL;
        TaskProcess *p = op->process;
        Task *task = p->task;
        TaskService *service = task->service;
        TtrpcCall *call;

        error = agent_explain_extension(error, text, spec_extension_first(p->spec), &explained);
        p->spec = oci_spec_free(p->spec);
        if (error < 0 || p->phase != TASK_CREATING)
                return create_failed(task, error < 0 ? error : -ECONNRESET, explained ?: text);

        p->phase = TASK_CREATED;
        task_state_save(service);
        io.stdin = p->stdin_path;
        io.stdout = p->stdout_path;
        io.stderr = p->stderr_path;
        io.terminal = p->terminal;
        e.container_id = task->id;
        e.bundle = task->bundle;
        e.io = &io;
        answer.pid = e.pid = (uint32_t) service->host.vm_pid;
        task_service_add_event(service, &e.base);
        call = TAKE_PTR(p->call);
        if (call)
                ttrpc_call_reply(call, &answer.base);
        (void) task_process_watch(p);
}

static void on_connected(TaskIo *io, int error, const char *text, void *userdata)
{
        TaskProcess *p = userdata;
        Task *task = p->task;
        TaskService *service = task->service;
        const AgentStdio stdio = task_io_ports(io);
        TaskOp *op;

        if (error < 0 || p->phase != TASK_CREATING)
                return create_failed(task, error < 0 ? error : -ECONNRESET, text);
        op = task_op_new(p, NULL, on_created);
        if (!op)
                return create_failed(task, -ENOMEM, NULL);
        (void) TASK_OP_SEND(op, agent_create_container(task_agent(service), task->id, p->spec->spec,
                                                       p->spec->extension, &stdio, service->host.request_timeout,
                                                       task_op_reply, op));
}

void task_container_create(TaskService *service, TtrpcCall *call,
                           const Containerd__Task__V2__CreateTaskRequest *q)
{
        _cleanup_close_ int namespace_fd = ttrpc_call_take_fd(call);
        _cleanup_oci_shares_ OciShares shares = {};
        _cleanup_free_ char *message = NULL;
        TaskIoParams io;
        Task *task;
        TtrpcCode code;
        const char *why;
        int r;

        why = refusal(q, &code);
        if (why)
                return ttrpc_call_fail(call, code, "container %.200s: %s", q->id, why);
        if (task_find(service, q->id))
                return ttrpc_call_fail(call, TTRPC_ALREADY_EXISTS, "container %s exists already", q->id);
        if (!task_agent(service))
                return ttrpc_call_fail(call, TTRPC_UNAVAILABLE, "the sandbox is being stopped");
        if (task_service_n_processes(service) >= TASK_PROCESSES_MAX)
                return ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the sandbox has %u processes already",
                                       TASK_PROCESSES_MAX);

        r = task_new(service, q->id, q->bundle, &task);
        if (r < 0)
                return ttrpc_call_fail_errno(call, r, NULL);
        r = task_process_init(&task->init, task, NULL, q->terminal, q->stdin, q->stdout, q->stderr);
        ttrpc_call_hold(call, &task->init.call);
        if (r < 0)
                return create_failed(task, r, NULL);

        io = task_process_io_params(&task->init);
        r = load_spec(task, q->host_hooks, &shares, &message);
        if (r >= 0)
                r = task_io_new(&task->init.io, &io, &message);
        if (r >= 0)
                r = add_shares(task, &shares, namespace_fd, &message);
        if (r >= 0)
                r = task_io_connect(task->init.io, service->host.transport, on_connected, &task->init);
        if (r < 0)
                return create_failed(task, r, message);
        /* From here on a successor has something to clear away. */
        task_state_save(service);
}

/* --- delete --- */

static void on_removed(TaskOp *op, int error, const char *text, const void *message)
{
        Containerd__Events__TaskDelete e = CONTAINERD__EVENTS__TASK_DELETE__INIT;
        TaskProcess *p = op->process;
        Task *task = p->task;
        TaskService *service = task->service;
        Google__Protobuf__Timestamp at;
        bool told = p->phase != TASK_CREATING;
        TtrpcCall *call;

        if (error < 0 && error != -ENOENT && error != -ECONNRESET && !service->guest_gone) {
                p->deleting = false;
                call = TAKE_PTR(p->call);
                if (call)
                        ttrpc_call_fail_errno(call, error, text);
                return;
        }

        /* One that was never started is killed by that. */
        if (told && p->phase != TASK_STOPPED)
                task_process_exited(p, 128 + SIGKILL);
        p->io = task_io_free(p->io, service->host.transport);
        for (TaskProcess *exec = task->execs; exec; exec = exec->next)
                exec->io = task_io_free(exec->io, service->host.transport);
        remove_shares(task);

        at = task_timestamp(p->exited_at);
        e.container_id = e.id = task->id;
        e.pid = (uint32_t) service->host.vm_pid;
        e.exit_status = p->exit_status;
        e.exited_at = &at;
        if (told)
                task_service_add_event(service, &e.base);
        task_process_answer_delete(p);
        task_release(task);
        task_state_save(service);
}

void task_container_remove(Task *task)
{
        TaskService *service = task->service;
        TaskOp *op = task_op_new(&task->init, NULL, on_removed);

        if (!op) {
                task->init.deleting = false;
                if (task->init.call)
                        ttrpc_call_fail_errno(TAKE_PTR(task->init.call), -ENOMEM, NULL);
                return;
        }
        (void) TASK_OP_SEND(op, agent_remove_container(task_agent(service), task->id, service->host.request_timeout,
                                                       task_op_reply, op));
}

/* --- pause --- */

static void on_paused(TaskOp *op, int error, const char *text, const void *message)
{
        Containerd__Events__TaskPaused e = CONTAINERD__EVENTS__TASK_PAUSED__INIT;
        Task *task = op->process->task;

        task->pausing = false;
        if (error >= 0 && op->process->phase == TASK_RUNNING) {
                task->paused = true;
                e.container_id = task->id;
                task_service_add_event(task->service, &e.base);
                task_state_save(task->service);
        }
        task_op_answer(op, error, text, NULL);
}

static void on_resumed(TaskOp *op, int error, const char *text, const void *message)
{
        Containerd__Events__TaskResumed e = CONTAINERD__EVENTS__TASK_RESUMED__INIT;
        Task *task = op->process->task;

        if (error >= 0 && task->paused) {
                task->paused = false;
                e.container_id = task->id;
                task_service_add_event(task->service, &e.base);
                task_state_save(task->service);
        }
        task_op_answer(op, error, text, NULL);
}

void task_container_pause(Task *task, TtrpcCall *call, bool pause)
{
        TaskService *service = task->service;
        TaskOp *op;

        if (task->init.phase != TASK_RUNNING || task->pausing || task->paused == pause)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is not %s", task->id,
                                       pause ? "running" : "paused");
        op = task_op_new(&task->init, call, pause ? on_paused : on_resumed);
        if (!op)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        task->pausing = pause;
        if (pause)
                (void) TASK_OP_SEND(op, agent_pause_container(task_agent(service), task->id,
                                                              service->host.request_timeout, task_op_reply, op));
        else
                (void) TASK_OP_SEND(op, agent_resume_container(task_agent(service), task->id,
                                                               service->host.request_timeout, task_op_reply, op));
}

/* --- numbers --- */

static void on_stats(TaskOp *op, int error, const char *text, const void *message)
{
        Containerd__Task__V2__StatsResponse answer = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        _cleanup_free_ uint8_t *data = NULL;
        const char *type = NULL;
        size_t size = 0;

        if (error >= 0)
                error = task_stats_convert(message, task_stats_host_is_unified(), &type, &data, &size);
        if (error < 0 || !op->call)
                return task_op_answer(op, error, text, NULL);

        any.type_url = (char *) (uintptr_t) type;
        any.value = (ProtobufCBinaryData) { .len = size, .data = data };
        answer.stats = &any;
        ttrpc_call_reply(TAKE_PTR(op->call), &answer.base);
}

void task_container_stats(Task *task, TtrpcCall *call)
{
        TaskService *service = task->service;
        TaskOp *op = task_op_new(&task->init, call, on_stats);

        if (!op)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        (void) TASK_OP_SEND(op, agent_stats_container(task_agent(service), task->id, service->host.request_timeout,
                                                      task_op_reply, op));
}
