/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service: objects and the way down; see task.h. Host side, between privileged clients and the guest. */

#include "runtime/task/task.h"

#include <signal.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/agent.pb-c.h"
#include "proto/task-events.pb-c.h"
#include "runtime/log/events.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/task/task-internal.h"

/* A caller that was killed between the start of the sandbox and its first container leaves nothing for longer. */
#define IDLE_USEC (120 * USEC_PER_SEC)

/* --- events --- */

TaskEvents *task_service_events(TaskService *service)
{
        return &service->events;
}

void task_service_add_event(TaskService *service, const ProtobufCMessage *message)
{
        if (task_events_add(&service->events, message) < 0)
                (void) log_oom();
}

/* --- objects --- */

Task *task_find(const TaskService *service, const char *id)
{
        for (Task *t = service->tasks; t; t = t->next)
                if (!t->init.dead && streq(t->id, id))
                        return t;

        return NULL;
}

bool task_service_is_empty(const TaskService *service)
{
        for (const Task *t = service->tasks; t; t = t->next)
                if (!t->init.dead)
                        return false;

        return true;
}

size_t task_service_n_processes(const TaskService *service)
{
        size_t n = 0;

        for (const Task *t = service->tasks; t; t = t->next) {
                n++;
                for (const TaskProcess *p = t->execs; p; p = p->next)
                        n++;
        }

        return n;
}

int task_new(TaskService *service, const char *id, const char *bundle, Task **ret)
{
        Task *task = new0(Task, 1);

        if (!task)
                return -ENOMEM;

        *task = (Task) { .service = service, .id = strdup(id), .bundle = strdup(bundle) };
        if (!task->id || !task->bundle) {
                free(task->id);
                free(task->bundle);
                free(task);
                return -ENOMEM;
        }

        /* At the end: in the order of their creation. */
        for (Task **p = &service->tasks;; p = &(*p)->next)
                if (!*p) {
                        *p = task;
                        break;
                }
        *ret = task;
        return 0;
}

static void task_free(Task *task)
{
        while (task->execs) {
                TaskProcess *p = task->execs;

                task->execs = p->next;
                task_process_done(p);
                free(p);
        }
        task_process_done(&task->init);
        strv_done(&task->shares);
        free(task->id);
        free(task->bundle);
        free(task);
}

static int on_sweep(sd_event_source *source, void *userdata)
{
        TaskService *service = userdata;

        for (Task **p = &service->tasks; *p;) {
                Task *task = *p;

                for (TaskProcess **q = &task->execs; *q;) {
                        TaskProcess *exec = *q;

                        if (!exec->dead || exec->n_ops > 0) {
                                q = &exec->next;
                                continue;
                        }
                        *q = exec->next;
                        task_process_done(exec);
                        free(exec);
                }
                if (!task->init.dead || task->init.n_ops > 0 || task->execs) {
                        p = &task->next;
                        continue;
                }
                *p = task->next;
                task_free(task);
        }

        task_service_changed(service);
        return 0;
}

void task_service_sweep_later(TaskService *service)
{
        (void) sd_event_source_set_enabled(service->sweep, SD_EVENT_ONESHOT);
}

void task_process_release(TaskProcess *p)
{
        p->dead = true;
        task_service_sweep_later(p->task->service);
}

void task_release(Task *task)
{
        for (TaskProcess *p = task->execs; p; p = p->next) {
                /* What it was waiting for has come to an end with the container. */
                if (p->deleting)
                        task_process_answer_delete(p);
                task_process_release(p);
        }
        task_process_release(&task->init);
}

/* --- idle --- */

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        TaskService *service = userdata;

        service->host.on_shutdown(service->host.userdata, "nobody has created a container or kept a connection");
        return 0;
}

static void update_idle(TaskService *service)
{
        bool idle = task_service_is_empty(service) && ttrpc_server_n_connections(service->server) == 0;

        if (!idle) {
                service->idle_timer = sd_event_source_disable_unref(service->idle_timer);
                return;
        }
        if (!service->idle_timer &&
            sd_event_add_time_relative(service->host.event, &service->idle_timer, CLOCK_MONOTONIC, IDLE_USEC, 0,
                                       on_idle, service) < 0)
                (void) log_oom();
}

static void on_connections(size_t n, void *userdata)
{
        update_idle(userdata);
}

void task_service_changed(TaskService *service)
{
        update_idle(service);
        service->host.on_change(service->host.userdata);
}

/* --- operations --- */

TtrpcClient *task_agent(const TaskService *service)
{
        return service->host.agent;
}

TaskOp *task_op_new(TaskProcess *p, TtrpcCall *call, TaskOpDone done)
{
        TaskService *service = p->task->service;
        TaskOp *op = new0(TaskOp, 1);

        if (!op)
                return NULL;

        *op = (TaskOp) { .process = p, .next = service->ops, .done = done };
        if (call)
                ttrpc_call_hold(call, &op->call);
        if (op->next)
                op->next->prev = op;
        service->ops = op;
        p->n_ops++;
        return op;
}

static void op_finish(TaskOp *op, int error, const char *text, const void *message)
{
        TaskProcess *p = op->process;
        TaskService *service = p->task->service;

        if (op->prev)
                op->prev->next = op->next;
        else
                service->ops = op->next;
        if (op->next)
                op->next->prev = op->prev;

        /* The process is there at least until the sweep, which comes from the loop. */
        op->done(op, error, text, message);
        p->n_ops--;
        if (op->call)
                ttrpc_call_fail_errno(op->call, -EIO, NULL);
        if (p->dead)
                task_service_sweep_later(service);
        free(op);
}

void task_op_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        op_finish(userdata, error, text, message);
}

int task_op_started(TaskOp *op, int r)
{
        if (r < 0)
                op_finish(op, r, NULL, NULL);
        return r;
}

void task_op_answer(TaskOp *op, int error, const char *text, const void *message)
{
        TtrpcCall *call = TAKE_PTR(op->call);

        if (!call)
                return;
        if (error < 0)
                ttrpc_call_fail_errno(call, error, text);
        else
                ttrpc_call_reply(call, NULL);
}

/* --- memory --- */

static void watch_memory(TaskService *service);

/* A guest that tells of a thousand a second gets one line for them. */
static void log_oom_event(Task *task)
{
        usec_t now = now_usec();

        if (task->oom_logged > 0 && now - task->oom_logged < USEC_PER_SEC)
                return;
        task->oom_logged = now;
        sandbox_event(task->service->host.relay, EVENT_CONTAINER_OOM, task->id, NULL,
                      "Container '%s' ran out of memory, and a process of it was killed", task->id);
}

static void on_oom_event(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        Containerd__Events__TaskOOM e = CONTAINERD__EVENTS__TASK_OOM__INIT;
        const Grpc__OOMEvent *a = message;
        TaskService *service = userdata;
        Task *task;

        /* An agent that has no such events, or none any more. */
        if (error < 0) {
                if (error != -ECONNRESET)
                        log_warning("Containers that run out of memory are not reported: %s", error_text(text, error));
                return;
        }

        task = task_find(service, a->container_id);
        if (task) {
                e.container_id = task->id;
                task_service_add_event(service, &e.base);
                log_oom_event(task);
        }
        watch_memory(service);
}

static void watch_memory(TaskService *service)
{
        int r = agent_get_oom_event(service->host.agent, on_oom_event, service);

        if (r < 0)
                log_warning_errno(r, "Containers that run out of memory are not reported");
}

/* --- service --- */

int task_service_new(TaskService **ret, const TaskHost *host)
{
        _cleanup_(task_service_freep) TaskService *service = new0(TaskService, 1);
        TtrpcService methods = { .names = task_service_names, .on_connections = on_connections };
        int r;

        if (!service)
                return -ENOMEM;

        service->host = *host;
        methods.methods = task_methods(&methods.n_methods);
        methods.userdata = service;
        r = ttrpc_server_new(&service->server, host->event, &methods);
        if (r >= 0)
                r = sd_event_add_defer(host->event, &service->sweep, on_sweep, service);
        if (r >= 0)
                r = sd_event_source_set_enabled(service->sweep, SD_EVENT_OFF);
        if (r < 0)
                return r;

        update_idle(service);
        watch_memory(service);
        *ret = TAKE_PTR(service);
        return 0;
}

TaskService *task_service_free(TaskService *service)
{
        if (!service)
                return NULL;

        /* Clears the calls that are held. */
        ttrpc_server_free(service->server);
        while (service->ops) {
                TaskOp *op = service->ops;

                service->ops = op->next;
                free(op);
        }
        task_update_free(service->update);
        while (service->tasks) {
                Task *task = service->tasks;

                service->tasks = task->next;
                task_free(task);
        }
        task_events_done(&service->events);
        sd_event_source_disable_unref(service->sweep);
        sd_event_source_disable_unref(service->idle_timer);
        free(service);
        return NULL;
}

int task_service_listen(TaskService *service, int fd)
{
        return ttrpc_server_listen(service->server, fd);
}

int task_service_add_client(TaskService *service, int fd)
{
        return ttrpc_server_add(service->server, fd);
}

int task_service_resume(TaskService *service, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/" TASK_STATE_FILE, service->host.run_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = task_state_load(service, path, reterr_message);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                update_idle(service);
        return r;
}

/* --- the way down --- */

static void on_signalled(TaskOp *op, int error, const char *text, const void *message)
{
        /* Exited in the meantime is what was wanted. */
        if (error < 0 && error != -ESRCH && error != -ENOENT && error != -ECONNRESET)
                log_warning("Container '%s' can not be signalled, ignoring: %s", op->process->task->id,
                            error_text(text, error));
}

void task_service_signal_all(TaskService *service, bool kill)
{
        service->hurry = service->hurry || kill;
        for (Task *t = service->tasks; t; t = t->next) {
                TaskOp *op;

                if (t->init.dead || t->init.phase != TASK_RUNNING)
                        continue;
                op = task_op_new(&t->init, NULL, on_signalled);
                if (op)
                        (void) TASK_OP_SEND(op, agent_signal_process(task_agent(service), t->id, kill ? "" : NULL,
                                                                     kill ? SIGKILL : SIGTERM,
                                                                     service->host.request_timeout,
                                                                     task_op_reply, op));
        }
}

static bool process_is_down(const TaskProcess *p)
{
        if (p->phase == TASK_RUNNING || p->phase == TASK_STARTING)
                return false;
        return p->phase != TASK_STOPPED || p->task->service->hurry || !p->io || task_io_is_drained(p->io);
}

bool task_service_is_down(const TaskService *service)
{
        for (const Task *t = service->tasks; t; t = t->next) {
                if (!t->init.dead && !process_is_down(&t->init))
                        return false;
                /* Further processes end with their container; what they wrote counts as well. */
                for (const TaskProcess *p = t->execs; p; p = p->next)
                        if (!p->dead && !process_is_down(p))
                                return false;
        }

        return true;
}

void task_service_guest_gone(TaskService *service)
{
        if (service->guest_gone)
                return;

        service->guest_gone = true;
        service->host.agent = NULL;
        /* What the agent was asked has no answer any more. */
        while (service->ops)
                op_finish(service->ops, -ECONNRESET, "the virtual machine has ended", NULL);

        for (Task *t = service->tasks; t; t = t->next) {
                for (TaskProcess *p = t->execs; p; p = p->next)
                        if (!p->dead && p->phase == TASK_CREATED)
                                task_process_give_up(p);
                        else if (!p->dead)
                                task_process_exited(p, 128 + SIGKILL);
                if (!t->init.dead && t->init.phase != TASK_STOPPED && t->init.phase != TASK_CREATING)
                        task_process_exited(&t->init, 128 + SIGKILL);
        }
}
