/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New limits of a container that runs: see task-internal.h. Host side; the request is of a privileged client, the
 * guest's answer is hostile.
 *
 * A container that has its machine for itself gets them twice, as it got the first ones: the scope of the machine, then
 * the cgroup in the guest. The guest comes last, since what the scope had can be read and put back.
 */

#include "basic/error.h"
#include "basic/log.h"
#include "proto/agent.pb-c.h"
#include "proto/task-types.h"
#include "runtime/oci/spec-guest.h"
#include "runtime/task/task-internal.h"

struct TaskUpdate {
        TaskOp *op;             /* the client's */
        OciSpec *spec;
        ScopeLimits before;     /* of the scope */
        int error;              /* of the guest, while the scope is put back */
        char *text;
};

TaskUpdate *task_update_free(TaskUpdate *u)
{
        if (u) {
                oci_spec_free(u->spec);
                scope_limits_done(&u->before);
                free(u->text);
                free(u);
        }
        return NULL;
}

/* The end of all ways, also when the guest is gone. */
static void on_update_done(TaskOp *op, int error, const char *text, const void *message)
{
        TaskService *service = op->process->task->service;

        service->update = task_update_free(service->update);
        task_op_answer(op, error, text, message);
}

static void finish(TaskUpdate *u, int error, const char *text)
{
        task_op_reply(NULL, error, text, NULL, u->op);
}

static void on_put_back(int error, const char *message, const ScopeLimits *before, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        TaskService *service = userdata;
        TaskUpdate *u = service->update;

        if (!u)
                return;
        (void) error_setf(&text, u->error, "the guest does not take the limits: %s; those of the scope %s%s",
                          error_text(u->text, u->error), error < 0 ? "could not be put back: " : "are as before",
                          error < 0 ? message : "");
        finish(u, u->error, text);
}

static void guest_failed(TaskService *service, int error, const char *text)
{
        _cleanup_free_ char *message = NULL;
        TaskUpdate *u = service->update;
        int r;

        u->error = error;
        u->text = text ? strdup(text) : NULL;
        r = service->host.set_limits(service->host.userdata, &u->before, on_put_back, service, &message);
        if (r < 0)
                on_put_back(r, error_text(message, r), NULL, service);
}

/* Nothing but unified of an extension is about resources. */
#define EXTENDED "linux.resources.unified"

static void on_guest_updated(TaskOp *op, int error, const char *text, const void *message)
{
        _cleanup_free_ char *explained = NULL;
        TaskService *service = op->process->task->service;

        if (!service->update)
                return;
        error = agent_explain_extension(error, text, EXTENDED, &explained);
        if (error < 0)
                guest_failed(service, error, explained ?: text);
        else
                finish(service->update, 0, NULL);
}

static void update_guest(TaskService *service, TaskOp *op, const OciSpec *spec)
{
        Grpc__LinuxResources empty = GRPC__LINUX_RESOURCES__INIT,
                             *resources = spec->spec->linux->resources ? spec->spec->linux->resources : &empty;

        (void) TASK_OP_SEND(op, agent_update_container(task_agent(service), op->process->task->id, resources,
                                                       spec->extension, service->host.request_timeout, task_op_reply,
                                                       op));
}

/* Of the guest alone. */
static void on_updated(TaskOp *op, int error, const char *text, const void *message)
{
        _cleanup_free_ char *explained = NULL;

        error = agent_explain_extension(error, text, EXTENDED, &explained);
        task_op_answer(op, error, explained ?: text, message);
}

static void on_scope_changed(int error, const char *message, const ScopeLimits *before, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        TaskService *service = userdata;
        TaskUpdate *u = service->update;
        TaskOp *op;

        if (!u)
                return;
        if (error >= 0)
                error = scope_limits_copy(before, &u->before);
        if (error < 0) {
                (void) error_setf(&text, error, "the scope of the machine does not take the limits: %s",
                                  error_text(message, error));
                finish(u, error, text);
                return;
        }
        op = task_op_new(u->op->process, NULL, on_guest_updated);
        if (op)
                update_guest(service, op, u->spec);
        else
                guest_failed(service, -ENOMEM, NULL);
}

static bool is_alone(const Task *task)
{
        for (const Task *t = task->service->tasks; t; t = t->next)
                if (t != task && !t->init.dead)
                        return false;
        return true;
}

static void update_both(Task *task, TtrpcCall *call, OciSpec *spec, const ScopeLimits *limits)
{
        TaskService *service = task->service;
        _cleanup_free_ char *message = NULL;
        TaskUpdate *u = new0(TaskUpdate, 1);
        int r;

        if (u)
                u->op = task_op_new(&task->init, call, on_update_done);
        if (!u || !u->op) {
                free(u);
                oci_spec_free(spec);
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        }
        u->spec = spec;
        service->update = u;
        r = service->host.set_limits(service->host.userdata, limits, on_scope_changed, service, &message);
        if (r < 0)
                on_scope_changed(r, error_text(message, r), NULL, service);
}

void task_container_update(Task *task, TtrpcCall *call, const Containerd__Task__V2__UpdateTaskRequest *q)
{
        _cleanup_(scope_limits_done) ScopeLimits limits = {};
        TaskService *service = task->service;
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        _cleanup_free_ char *message = NULL;
        TaskOp *op;
        int r;

        if (task->init.phase != TASK_CREATED && task->init.phase != TASK_RUNNING)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is not running", task->id);
        if (!q->resources || !streq(q->resources->type_url, TASK_TYPE_RESOURCES))
                return ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT,
                                       "the resources are not of type " TASK_TYPE_RESOURCES);
        if (service->update)
                return ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "limits are being changed already");

        r = oci_resources_parse("update", (const char *) q->resources->value.data, q->resources->value.len, &spec,
                                &message);
        /* Whoever shares the machine is not limited by what another container gets. */
        if (r >= 0 && q->of_machine && is_alone(task))
                r = scope_limits_from_resources(spec->spec->linux->resources, &limits, &message);
        if (r >= 0)
                r = oci_resources_to_guest(spec, &message);
        if (r < 0)
                return ttrpc_call_fail_errno(call, r, message);
        for (size_t i = 0; i < spec->notes.n; i++)
                log_notice("Container '%s': %s", task->id, spec->notes.v[i]);

        if (limits.set != 0)
                return update_both(task, call, TAKE_PTR(spec), &limits);
        op = task_op_new(&task->init, call, on_updated);
        if (!op)
                return ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        update_guest(service, op, spec);
}
