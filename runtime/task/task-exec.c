/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes of a container: see task-internal.h. Reads the JSON of privileged clients. */

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"
#include "proto/task-events.pb-c.h"
#include "proto/task-types.h"
#include "runtime/oci/spec-extension.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/task/task-internal.h"


static int parse_spec(TaskProcess *p, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        int r;

        r = oci_process_parse("exec", p->spec_text, strlen(p->spec_text), &spec, reterr_message);
        if (r >= 0 && spec->spec->process->terminal != p->terminal)
                r = error_setf(reterr_message, EINVAL, "process.terminal and the request say different things");
        if (r >= 0)
                r = oci_process_to_guest(spec, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < spec->notes.n; i++)
                log_notice("Container '%s': %s", p->task->id, spec->notes.v[i]);
        p->spec = TAKE_PTR(spec);
        return 0;
}

/* Nothing of it is left on failure. */
static int exec_new(Task *task, const Containerd__Task__V2__ExecProcessRequest *q, TaskProcess **ret,
                    char **reterr_message)
{
        TaskProcess *p = new0(TaskProcess, 1);
        TaskIoParams io;
        int r;

        if (!p)
                return -ENOMEM;

        r = task_process_init(p, task, q->exec_id, q->terminal, q->stdin, q->stdout, q->stderr);
        if (r >= 0) {
                p->spec_text = strndup((const char *) q->spec->value.data, q->spec->value.len);
                r = p->spec_text ? 0 : -ENOMEM;
        }
        if (r >= 0) {
                io = task_process_io_params(p);
                r = task_io_check(&io, reterr_message);
        }
        if (r >= 0)
                r = parse_spec(p, reterr_message);
        if (r < 0) {
                task_process_done(p);
                free(p);
                return r;
        }

        *ret = p;
        return 0;
}

void task_exec_create(Task *task, TtrpcCall *call, const Containerd__Task__V2__ExecProcessRequest *q)
{
        Containerd__Events__TaskExecAdded e = CONTAINERD__EVENTS__TASK_EXEC_ADDED__INIT;
        _cleanup_free_ char *message = NULL;
        TaskService *service = task->service;
        TaskProcess *p;
        int r;

        if (!id_is_valid(q->exec_id, CONTAINER_ID_MAX))
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "invalid exec id");
        if (task_find_process(task, q->exec_id) || streq(q->exec_id, task->id))
                return ttrpc_call_fail(call, TTRPC_ALREADY_EXISTS, "container %s has a process %s already", task->id,
                                       q->exec_id);
        if ((task->init.phase != TASK_CREATED && task->init.phase != TASK_RUNNING) || task->init.deleting)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is not running", task->id);
        if (task->paused || task->pausing)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "cannot exec in a paused container: %s",
                                       task->id);
        if (task_service_n_processes(service) >= TASK_PROCESSES_MAX)
                return ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the sandbox has %u processes already",
                                       TASK_PROCESSES_MAX);
        if (!q->spec || !streq(q->spec->type_url, TASK_TYPE_PROCESS))
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the process is not of type " TASK_TYPE_PROCESS);
        if (q->spec->value.len > OCI_CONFIG_MAX)
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the process is larger than %zu KiB",
                                       OCI_CONFIG_MAX / 1024);

        r = exec_new(task, q, &p, &message);
        if (r < 0)
                return ttrpc_call_fail_errno(call, r, message);

        p->phase = TASK_CREATED;
        p->next = task->execs;
        task->execs = p;
        e.container_id = task->id;
        e.exec_id = p->exec_id;
        task_service_add_event(service, &e.base);
        task_state_save(service);
        ttrpc_call_reply(call, NULL);
}

/* --- start --- */

static void on_exec_started(TaskOp *op, int error, const char *text, const void *message)
{
        _cleanup_free_ char *explained = NULL;
        TaskProcess *p = op->process;

        error = agent_explain_extension(error, text, spec_extension_first(p->spec), &explained);
        p->spec = oci_spec_free(p->spec);
        p->spec_text = mfree(p->spec_text);
        if (error < 0)
                return task_process_start_failed(p, error, explained ?: text);

        task_process_started(p);
        if (p->phase == TASK_RUNNING)
                (void) task_process_watch(p);
}

static void on_connected(TaskIo *io, int error, const char *text, void *userdata)
{
        TaskProcess *p = userdata;
        TaskService *service = p->task->service;
        const AgentStdio stdio = task_io_ports(io);
        Grpc__Process *process = p->spec->spec->process;
        Grpc__Box size = GRPC__BOX__INIT;
        TaskOp *op;

        if (error < 0 || p->phase != TASK_STARTING || !task_agent(service))
                return task_process_start_failed(p, error < 0 ? error : -ECONNRESET, text);
        /* The client may have closed it while it was being connected. */
        if (p->stdin_closed)
                task_io_close_stdin(io);

        if (p->terminal && p->width > 0 && p->height > 0) {
                size.width = p->width;
                size.height = p->height;
                process->consolesize = &size;
        }
        op = task_op_new(p, NULL, on_exec_started);
        if (!op)
                return task_process_start_failed(p, -ENOMEM, NULL);
        /* The request is built before this returns; an error may have freed the spec. */
        if (TASK_OP_SEND(op, agent_exec_process(task_agent(service), p->task->id, p->exec_id, process,
                                                p->spec->extension, &stdio, service->host.request_timeout,
                                                task_op_reply, op)) >= 0)
                process->consolesize = NULL;
}

void task_exec_start(TaskProcess *p)
{
        _cleanup_free_ char *message = NULL;
        TaskService *service = p->task->service;
        const TaskIoParams io = task_process_io_params(p);
        int r = 0;

        /* After a restart of the supervisor there is the text alone. */
        if (!p->spec)
                r = p->spec_text ? parse_spec(p, &message) : -EBUSY;
        if (r >= 0)
                r = task_agent(service) ? 0 : -ECONNRESET;
        if (r >= 0)
                r = task_io_new(&p->io, &io, &message);
        if (r >= 0)
                r = task_io_connect(p->io, service->host.transport, on_connected, p);
        if (r < 0)
                task_process_start_failed(p, r, message);
}
