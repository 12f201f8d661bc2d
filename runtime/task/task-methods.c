/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of containerd's Task service, one function each: a request's fields → task-internal.h. Reads messages of
 * privileged clients. */

#include <unistd.h>

#include "basic/limits.h"
#include "runtime/task/task-methods.h"

/* The task; answers the call and returns NULL if there is none. */
static Task *lookup(TaskService *service, TtrpcCall *call, const char *id)
{
        Task *task = task_find(service, id);

        if (!task)
                ttrpc_call_fail(call, TTRPC_NOT_FOUND, "container %.200s does not exist", id);
        return task;
}

static TaskProcess *lookup_process(TaskService *service, TtrpcCall *call, const char *id, const char *exec_id)
{
        Task *task = lookup(service, call, id);
        TaskProcess *p = task ? task_find_process(task, exec_id) : NULL;

        if (task && !p)
                ttrpc_call_fail(call, TTRPC_NOT_FOUND, "container %s has no process %.200s", id, exec_id);
        return p;
}

void task_method_state(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__StateRequest *q = input;
        Containerd__Task__V2__StateResponse a = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);
        Google__Protobuf__Timestamp at;

        if (!p)
                return;

        a.id = p->task->id;
        a.bundle = p->task->bundle;
        a.pid = (uint32_t) p->task->service->host.vm_pid;
        a.status = task_process_status(p);
        a.stdin = p->stdin_path;
        a.stdout = p->stdout_path;
        a.stderr = p->stderr_path;
        a.terminal = p->terminal;
        if (p->exec_id)
                a.exec_id = p->exec_id;
        if (p->phase == TASK_STOPPED) {
                at = task_timestamp(p->exited_at);
                a.exit_status = p->exit_status;
                a.exited_at = &at;
        }
        ttrpc_call_reply(call, &a.base);
}

void task_method_create(void *userdata, TtrpcCall *call, const void *input)
{
        task_container_create(userdata, call, input);
}

void task_method_start(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__StartRequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (p)
                task_process_start(p, call);
}

void task_method_delete(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__DeleteRequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (p)
                task_process_delete(p, call);
}

void task_method_pids(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__PidsRequest *q = input;
        Containerd__Task__V2__PidsResponse a = CONTAINERD__TASK__V2__PIDS_RESPONSE__INIT;
        Containerd__Task__V2__ProcessInfo info = CONTAINERD__TASK__V2__PROCESS_INFO__INIT, *list[] = { &info };
        Task *task = lookup(userdata, call, q->id);

        if (!task)
                return;

        /* Processes of the guest have no pid on this host; the one that they all are in has. */
        info.pid = (uint32_t) task->service->host.vm_pid;
        a.processes = list;
        a.n_processes = 1;
        ttrpc_call_reply(call, &a.base);
}

void task_method_pause(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__PauseRequest *q = input;
        Task *task = lookup(userdata, call, q->id);

        if (task)
                task_container_pause(task, call, true);
}

void task_method_resume(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ResumeRequest *q = input;
        Task *task = lookup(userdata, call, q->id);

        if (task)
                task_container_pause(task, call, false);
}

void task_method_checkpoint(void *userdata, TtrpcCall *call, const void *input)
{
        ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "checkpoints are not supported: the container is in a virtual "
                        "machine");
}

void task_method_kill(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__KillRequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (p)
                task_process_kill(p, call, q->signal, q->all);
}

void task_method_exec(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ExecProcessRequest *q = input;
        Task *task = lookup(userdata, call, q->id);

        if (task)
                task_exec_create(task, call, q);
}

void task_method_resize_pty(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ResizePtyRequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (p)
                task_process_resize(p, call, q->width, q->height);
}

void task_method_close_io(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__CloseIORequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (!p)
                return;
        if (q->stdin)
                task_process_close_stdin(p);
        ttrpc_call_reply(call, NULL);
}

void task_method_update(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__UpdateTaskRequest *q = input;
        Task *task = lookup(userdata, call, q->id);

        /* Annotations are notes for runtimes that know them; none of them is known here. */
        if (task)
                task_container_update(task, call, q);
}

void task_method_wait(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__WaitRequest *q = input;
        TaskProcess *p = lookup_process(userdata, call, q->id, q->exec_id);

        if (p)
                task_process_wait(p, call, q->stands_for);
}

void task_method_stats(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__StatsRequest *q = input;
        Task *task = lookup(userdata, call, q->id);

        if (task)
                task_container_stats(task, call);
}

void task_method_connect(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ConnectRequest *q = input;
        Containerd__Task__V2__ConnectResponse a = CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
        TaskService *service = userdata;

        a.shim_pid = (uint32_t) getpid();
        /* An error for an id that is not there would break the reload of a client. */
        a.task_pid = task_find(service, q->id) ? (uint32_t) service->host.vm_pid : 0;
        a.version = (char *) (uintptr_t) PROJECT_VERSION;
        ttrpc_call_reply(call, &a.base);
}

void task_method_shutdown(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ShutdownRequest *q = input;
        TaskService *service = userdata;
        bool end = q->now || task_service_is_empty(service);

        /* Clients ask for it with every container of a pod. */
        ttrpc_call_reply(call, NULL);
        if (end)
                service->host.on_shutdown(service->host.userdata, q->now ? "a client wants it at once" :
                                                                           "the last container is gone");
}
