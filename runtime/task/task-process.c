/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one process of a task: see task-internal.h. Answers of the guest are checked by the protocol code,
 * their order is checked here. */

#include <signal.h>
#include <stdlib.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/agent.pb-c.h"
#include "proto/task-events.pb-c.h"
#include "runtime/log/events.h"
#include "runtime/task/task-internal.h"

/* How long Delete waits for a reader to take the last output. */
#define DRAIN_USEC (10 * USEC_PER_SEC)

int task_process_init(TaskProcess *p, Task *task, const char *exec_id, bool terminal, const char *in,
                      const char *out, const char *err)
{
        *p = (TaskProcess) {
                .task = task, .phase = TASK_CREATING, .terminal = terminal,
                .exec_id = exec_id ? strdup(exec_id) : NULL,
                .stdin_path = strdup(in), .stdout_path = strdup(out), .stderr_path = strdup(err),
        };
        return (exec_id && !p->exec_id) || !p->stdin_path || !p->stdout_path || !p->stderr_path ? -ENOMEM : 0;
}

void task_process_done(TaskProcess *p)
{
        TaskService *service = p->task ? p->task->service : NULL;

        while (p->waiters) {
                TaskWaiter *w = p->waiters;

                p->waiters = w->next;
                ttrpc_call_on_cancel(w->call, NULL, NULL);
                ttrpc_call_fail(w->call, TTRPC_UNAVAILABLE, "the process is gone");
                free(w);
        }
        if (p->call)
                ttrpc_call_fail(TAKE_PTR(p->call), TTRPC_UNAVAILABLE, "the process is gone");
        sd_event_source_disable_unref(p->drain_timer);
        sd_event_source_disable_unref(p->orphan_timer);
        task_io_free(p->io, service ? service->host.transport : NULL);
        oci_spec_free(p->spec);
        free(p->spec_text);
        free(p->exec_id);
        free(p->stdin_path);
        free(p->stdout_path);
        free(p->stderr_path);
}

static void on_drained(TaskIo *io, void *userdata)
{
        TaskProcess *p = userdata;

        if (p->deleting && p->drain_timer) {
                p->drain_timer = sd_event_source_disable_unref(p->drain_timer);
                task_process_delete_continue(p);
        }
        task_service_changed(p->task->service);
}

TaskIoParams task_process_io_params(TaskProcess *p)
{
        const TaskHost *host = &p->task->service->host;

        return (TaskIoParams) {
                .event = host->event, .relay = host->relay, .name = p->task->id,
                .stdin_path = p->stdin_path, .stdin_closed = p->stdin_closed,
                .stdout_path = p->stdout_path, .stderr_path = p->stderr_path, .terminal = p->terminal,
                .on_drained = on_drained, .userdata = p,
        };
}

TaskProcess *task_find_process(Task *task, const char *exec_id)
{
        if (isempty(exec_id))
                return &task->init;

        for (TaskProcess *p = task->execs; p; p = p->next)
                if (!p->dead && streq(p->exec_id, exec_id))
                        return p;

        return NULL;
}

Containerd__Task__V2__Status task_process_status(const TaskProcess *p)
{
        switch (p->phase) {
        case TASK_CREATING:
        case TASK_CREATED:
        case TASK_STARTING:
                return CONTAINERD__TASK__V2__STATUS__CREATED;
        case TASK_RUNNING:
                return p->task->pausing ? CONTAINERD__TASK__V2__STATUS__PAUSING :
                       p->task->paused  ? CONTAINERD__TASK__V2__STATUS__PAUSED :
                                          CONTAINERD__TASK__V2__STATUS__RUNNING;
        case TASK_STOPPED:
                return CONTAINERD__TASK__V2__STATUS__STOPPED;
        }
        return CONTAINERD__TASK__V2__STATUS__UNKNOWN;
}

Google__Protobuf__Timestamp task_timestamp(usec_t usec)
{
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        t.seconds = (int64_t) (usec / USEC_PER_SEC);
        t.nanos = (int32_t) (usec % USEC_PER_SEC) * 1000;
        return t;
}

/* --- start --- */

static void on_init_started(TaskOp *op, int error, const char *text, const void *message)
{
        if (error < 0)
                task_process_start_failed(op->process, error, text);
        else
                task_process_started(op->process);
}

static void start_init(TaskProcess *p)
{
        TaskService *service = p->task->service;
        TaskOp *op = task_op_new(p, NULL, on_init_started);

        if (!op)
                return task_process_start_failed(p, -ENOMEM, NULL);
        (void) TASK_OP_SEND(op, agent_start_container(task_agent(service), p->task->id, service->host.request_timeout,
                                                      task_op_reply, op));
}

static void on_prepared(TaskOp *op, int error, const char *text, const void *message)
{
        TaskProcess *p = op->process;

        p->preparing = false;
        /* It may have been given up meanwhile. */
        if (error < 0 || p->phase != TASK_STARTING)
                task_process_start_failed(p, error < 0 ? error : -ECONNRESET, text);
        else
                start_init(p);
}

/* What it needs of the host comes before it. */
static void prepare_init(TaskProcess *p)
{
        const TaskHost *host = &p->task->service->host;
        _cleanup_free_ char *message = NULL;
        TaskOp *op;
        int r;

        if (!host->prepare_start)
                return start_init(p);
        op = task_op_new(p, NULL, on_prepared);
        if (!op)
                return task_process_start_failed(p, -ENOMEM, NULL);
        p->preparing = true;
        r = host->prepare_start(host->userdata, task_op_reply, op, &message);
        if (r <= 0)
                task_op_reply(host->agent, r, message, NULL, op);
}

void task_process_start(TaskProcess *p, TtrpcCall *call)
{
        Task *task = p->task;

        if (p->phase != TASK_CREATED || p->call)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process %s of container %s is not created, "
                                       "or has been started already", task_process_id(p), task->id);
        if (task->paused || task->pausing)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is paused", task->id);

        ttrpc_call_hold(call, &p->call);
        p->phase = TASK_STARTING;
        if (!task_process_is_init(p))
                return task_exec_start(p);
        prepare_init(p);
}

static void report_started(TaskProcess *p)
{
        TaskService *service = p->task->service;
        Containerd__Events__TaskStart start = CONTAINERD__EVENTS__TASK_START__INIT;
        Containerd__Events__TaskExecStarted exec = CONTAINERD__EVENTS__TASK_EXEC_STARTED__INIT;

        if (task_process_is_init(p)) {
                start.container_id = p->task->id;
                start.pid = (uint32_t) service->host.vm_pid;
                task_service_add_event(service, &start.base);
                sandbox_event(service->host.relay, EVENT_CONTAINER_STARTED, p->task->id, NULL,
                              "Container '%s' started", p->task->id);
        } else {
                exec.container_id = p->task->id;
                exec.exec_id = p->exec_id;
                exec.pid = (uint32_t) service->host.vm_pid;
                task_service_add_event(service, &exec.base);
        }
}

void task_process_started(TaskProcess *p)
{
        Containerd__Task__V2__StartResponse answer = CONTAINERD__TASK__V2__START_RESPONSE__INIT;
        TaskService *service = p->task->service;
        TtrpcCall *call = TAKE_PTR(p->call);

        /* The guest may have gone meanwhile. */
        if (p->phase == TASK_STARTING) {
                p->phase = TASK_RUNNING;
                report_started(p);
                task_state_save(service);
        }
        if (call) {
                answer.pid = (uint32_t) service->host.vm_pid;
                ttrpc_call_reply(call, &answer.base);
        }
        if (p->phase == TASK_RUNNING && p->exit_pending)
                task_process_exited(p, p->exit_status);
}

static void release_waiters(TaskProcess *p)
{
        Containerd__Task__V2__WaitResponse answer = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
        Google__Protobuf__Timestamp at = task_timestamp(p->exited_at);

        answer.exit_status = p->exit_status;
        answer.exited_at = &at;
        while (p->waiters) {
                TaskWaiter *w = p->waiters;

                p->waiters = w->next;
                p->n_waiters--;
                ttrpc_call_reply(w->call, &answer.base);
                free(w);
        }
}

/* It never ran: nothing is reported, but whoever waits is not left waiting. */
void task_process_start_failed(TaskProcess *p, int error, const char *text)
{
        TaskService *service = p->task->service;
        TtrpcCall *call = TAKE_PTR(p->call);

        if (p->phase == TASK_STARTING) {
                p->phase = TASK_STOPPED;
                p->exit_status = p->exit_pending ? p->exit_status : error == -ENOENT ? 127 : 126;
                p->exited_at = now_realtime_usec();
                p->io = task_io_free(p->io, service->host.transport);
                task_state_save(service);
                release_waiters(p);
        }
        /* NOT_FOUND would mean to clients that there is no such task. */
        if (call)
                ttrpc_call_fail(call, error == -ENOENT ? TTRPC_INTERNAL : ttrpc_code_from_errno(error),
                                "process %s of container %s can not be started: %s", task_process_id(p), p->task->id,
                                error_text(text, error));
        task_service_changed(service);
}

/* --- exit --- */

static void report_exit(TaskProcess *p)
{
        Containerd__Events__TaskExit e = CONTAINERD__EVENTS__TASK_EXIT__INIT;
        Google__Protobuf__Timestamp at = task_timestamp(p->exited_at);
        TaskService *service = p->task->service;
        char number[16];

        e.container_id = p->task->id;
        e.id = (char *) (uintptr_t) task_process_id(p);
        e.pid = (uint32_t) service->host.vm_pid;
        e.exit_status = p->exit_status;
        e.exited_at = &at;
        task_service_add_event(service, &e.base);

        if (!task_process_is_init(p))
                return;
        snprintf(number, sizeof(number), "%u", p->exit_status);
        sandbox_event(service->host.relay, EVENT_CONTAINER_EXITED, p->task->id,
                      (const char *const[]) { "KATA_EXIT_STATUS", number, NULL },
                      p->exit_status > 128 ? "Container '%s' was ended by signal %u" :
                                             "Container '%s' exited with status %u",
                      p->task->id, p->exit_status > 128 ? p->exit_status - 128 : p->exit_status);
}

void task_process_exited(TaskProcess *p, uint32_t status)
{
        TaskService *service = p->task->service;

        if (p->phase == TASK_STOPPED)
                return;
        /* Behind the answer to Start and its event. */
        if (p->phase == TASK_STARTING && !service->guest_gone) {
                p->exit_pending = true;
                p->exit_status = status;
                return;
        }

        /* Its further processes were killed with it, and their ends are told first. */
        if (task_process_is_init(p))
                for (TaskProcess *e = p->task->execs; e; e = e->next)
                        if (!e->dead && e->phase == TASK_RUNNING)
                                task_process_exited(e, 128 + SIGKILL);

        p->phase = TASK_STOPPED;
        p->exit_status = status;
        p->exited_at = now_realtime_usec();
        if (task_process_is_init(p))
                p->task->paused = p->task->pausing = false;
        report_exit(p);
        task_state_save(service);
        release_waiters(p);
        if (p->orphaned && !task_process_is_init(p) && !p->deleting && !p->call) {
                p->deleting = true;
                task_process_delete_continue(p);
        }
        task_service_changed(service);
}

void task_process_give_up(TaskProcess *p)
{
        p->phase = TASK_STOPPED;
        p->exit_status = 128 + SIGKILL;
        p->exited_at = now_realtime_usec();
        release_waiters(p);
}

static void on_waited(TaskOp *op, int error, const char *text, const void *message)
{
        const Grpc__WaitProcessResponse *a = message;
        TaskProcess *p = op->process;

        if (p->dead)
                return;
        /* The machine's end tells of itself. */
        if (error == -ECONNRESET)
                return;
        if (error < 0) {
                log_warning("Exit status of process %s of container '%s' is lost: %s", task_process_id(p),
                            p->task->id, error_text(text, error));
                task_process_exited(p, 255);
                return;
        }

        /* The guest may say any number; an exit status has eight bits. */
        task_process_exited(p, (uint32_t) a->status & 0xff);
}

int task_process_watch(TaskProcess *p)
{
        TaskOp *op = task_op_new(p, NULL, on_waited);

        if (!op)
                return -ENOMEM;
        return TASK_OP_SEND(op, agent_wait_process(task_agent(p->task->service), p->task->id, p->exec_id,
                                                   task_op_reply, op));
}

/* --- wait --- */

static int on_orphaned(sd_event_source *source, uint64_t usec, void *userdata)
{
        TaskProcess *p = userdata;
        TaskOp *op;

        p->orphan_timer = sd_event_source_disable_unref(p->orphan_timer);
        if (p->phase == TASK_STOPPED)
                return 0;
        p->orphaned = true;
        log_notice("Process %s of container '%s' is killed: the process of the host that stood for it is gone",
                   task_process_id(p), p->task->id);
        op = task_op_new(p, NULL, task_op_answer);
        if (op)
                (void) TASK_OP_SEND(op, agent_signal_process(task_agent(p->task->service), p->task->id, p->exec_id,
                                                             SIGKILL, p->task->service->host.request_timeout,
                                                             task_op_reply, op));
        return 0;
}

/* It may come back on another connection. */
static void watch_orphan(TaskProcess *p)
{
        if (p->phase == TASK_STOPPED || p->orphan_timer)
                return;
        if (sd_event_add_time_relative(p->task->service->host.event, &p->orphan_timer, CLOCK_MONOTONIC,
                                       p->task->service->host.orphan_grace, 0, on_orphaned, p) < 0)
                log_oom();
}

static void on_wait_cancelled(TtrpcCall *call, void *userdata)
{
        TaskWaiter *w = userdata;

        for (TaskWaiter **p = &w->process->waiters; *p; p = &(*p)->next)
                if (*p == w) {
                        *p = w->next;
                        w->process->n_waiters--;
                        break;
                }
        if (w->stands_for)
                watch_orphan(w->process);
        free(w);
}

void task_process_wait(TaskProcess *p, TtrpcCall *call, bool stands_for)
{
        TaskWaiter *w;

        if (p->n_waiters >= TASK_WAITERS_MAX)
                return ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%u calls wait for process %s already",
                                       TASK_WAITERS_MAX, task_process_id(p));
        w = new0(TaskWaiter, 1);
        if (!w)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);

        *w = (TaskWaiter) { .process = p, .call = call, .stands_for = stands_for, .next = p->waiters };
        if (stands_for)
                p->orphan_timer = sd_event_source_disable_unref(p->orphan_timer);
        p->waiters = w;
        p->n_waiters++;
        ttrpc_call_on_cancel(call, on_wait_cancelled, w);
        if (p->phase == TASK_STOPPED)
                release_waiters(p);
}

/* --- signals, terminal, input --- */

void task_process_kill(TaskProcess *p, TtrpcCall *call, uint32_t sig, bool all)
{
        TaskService *service = p->task->service;
        TaskOp *op;

        if (sig == 0 || sig > (uint32_t) SIGRTMAX)
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "no such signal: %u", sig);
        if (p->phase == TASK_STOPPED)
                return ttrpc_call_fail(call, TTRPC_NOT_FOUND, "process already finished");
        if (p->phase == TASK_CREATING || (p->phase != TASK_RUNNING && !task_process_is_init(p)))
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process not created");

        op = task_op_new(p, call, task_op_answer);
        if (!op)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        (void) TASK_OP_SEND(op, agent_signal_process(task_agent(service), p->task->id,
                                                     task_process_is_init(p) && all ? "" : p->exec_id, (int) sig,
                                                     service->host.request_timeout, task_op_reply, op));
}

/* A terminal that is gone, or not there yet, has no size: nothing that a client could do about. */
static void on_resized(TaskOp *op, int error, const char *text, const void *message)
{
        if (error < 0)
                log_debug("Container '%s': %s", op->process->task->id, error_text(text, error));
        task_op_answer(op, 0, NULL, NULL);
}

void task_process_resize(TaskProcess *p, TtrpcCall *call, uint32_t width, uint32_t height)
{
        TaskService *service = p->task->service;
        TaskOp *op;

        if (!p->terminal || p->phase == TASK_STOPPED)
                return ttrpc_call_reply(call, NULL);

        p->width = width;
        p->height = height;
        /* The terminal of an exec comes with its start. */
        if (p->phase == TASK_CREATING || (p->phase != TASK_RUNNING && !task_process_is_init(p)))
                return ttrpc_call_reply(call, NULL);

        op = task_op_new(p, call, on_resized);
        if (!op)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        (void) TASK_OP_SEND(op, agent_resize(task_agent(service), p->task->id, p->exec_id, height, width,
                                             service->host.request_timeout, task_op_reply, op));
}

void task_process_close_stdin(TaskProcess *p)
{
        p->stdin_closed = true;
        if (p->io)
                task_io_close_stdin(p->io);
        task_state_save(p->task->service);
}

/* --- delete --- */

static int on_drain_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        TaskProcess *p = userdata;

        p->drain_timer = sd_event_source_disable_unref(p->drain_timer);
        log_warning("The last output of process %s of container '%s' is dropped: nobody reads it",
                    task_process_id(p), p->task->id);
        task_process_delete_continue(p);
        return 0;
}

void task_process_delete(TaskProcess *p, TtrpcCall *call)
{
        const char *id = p->task->id;

        if (p->phase == TASK_RUNNING || p->phase == TASK_STARTING)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "cannot delete a running process: %s of "
                                       "container %s", task_process_id(p), id);
        if (p->phase == TASK_CREATING || p->deleting || p->call)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "process %s of container %s is being %s",
                                       task_process_id(p), id, p->deleting ? "deleted already" : "created");

        ttrpc_call_hold(call, &p->call);
        p->deleting = true;
        if (p->phase == TASK_STOPPED && p->io && !task_io_is_drained(p->io) &&
            sd_event_add_time_relative(p->task->service->host.event, &p->drain_timer, CLOCK_MONOTONIC, DRAIN_USEC, 0,
                                       on_drain_timeout, p) >= 0)
                return;
        task_process_delete_continue(p);
}

void task_process_delete_continue(TaskProcess *p)
{
        if (task_process_is_init(p)) {
                task_container_remove(p->task);
                return;
        }
        task_process_answer_delete(p);
        task_process_release(p);
        task_state_save(p->task->service);
}

void task_process_answer_delete(TaskProcess *p)
{
        Containerd__Task__V2__DeleteResponse answer = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
        Google__Protobuf__Timestamp at = task_timestamp(p->exited_at);
        TtrpcCall *call = TAKE_PTR(p->call);

        if (!call)
                return;
        answer.pid = (uint32_t) p->task->service->host.vm_pid;
        answer.exit_status = p->exit_status;
        if (p->exited_at > 0)
                answer.exited_at = &at;
        ttrpc_call_reply(call, &answer.base);
}
