/* SPDX-License-Identifier: Apache-2.0 */
/* Methods about the sandbox and its containers: see services.h. */

#include <signal.h>

#include "agent/services.h"
#include "basic/limits.h"
#include "basic/log.h"

GuestContainer *service_lookup(Sandbox *sandbox, Request *request, const char *id)
{
        GuestContainer *gc;

        if (!id_is_valid(id, CONTAINER_ID_MAX)) {
                request_fail(request, TTRPC_INVALID_ARGUMENT, "invalid container id");
                return NULL;
        }

        gc = sandbox_find(sandbox, id);
        if (!gc) {
                request_fail(request, TTRPC_NOT_FOUND, "container %s does not exist", id);
                return NULL;
        }

        return gc;
}

bool service_lookup_process(Sandbox *sandbox, Request *request, const char *id, const char *exec_id, bool gone,
                            ProcessRef *ret)
{
        GuestContainer *gc = service_lookup(sandbox, request, id);
        GuestExec *e;

        if (!gc)
                return false;
        if (isempty(exec_id) || streq(exec_id, id)) {
                *ret = (ProcessRef) { .gc = gc, .process = guest_container_process(gc) };
                return true;
        }

        e = id_is_valid(exec_id, CONTAINER_ID_MAX) ? guest_exec_find(gc, exec_id) : NULL;
        if (!e || (guest_exec_is_gone(e) && !gone)) {
                request_fail(request, TTRPC_NOT_FOUND, "container %s has no process '%.200s'", id, exec_id);
                return false;
        }

        *ret = (ProcessRef) { .gc = gc, .exec = e, .process = guest_exec_process(e) };
        return true;
}

void service_create_sandbox(void *userdata, Request *request, const void *input)
{
        sandbox_create(userdata, request, input);
}

void service_destroy_sandbox(void *userdata, Request *request, const void *input)
{
        sandbox_destroy(userdata, request);
}

void service_create_container(void *userdata, Request *request, const void *input)
{
        guest_container_create(userdata, request, input, NULL);
}

void service_create_container_extended(void *userdata, Request *request, const void *input)
{
        const Kata__Systemd__V1__CreateContainerRequest *q = input;

        if (!q->request)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "the request has no container");
        guest_container_create(userdata, request, q->request, q->extension);
}

void service_start_container(void *userdata, Request *request, const void *input)
{
        const Grpc__StartContainerRequest *q = input;
        GuestContainer *gc = service_lookup(userdata, request, q->container_id);

        if (gc)
                guest_container_start(gc, request);
}

void service_remove_container(void *userdata, Request *request, const void *input)
{
        const Grpc__RemoveContainerRequest *q = input;
        GuestContainer *gc = service_lookup(userdata, request, q->container_id);

        if (gc)
                guest_container_remove(gc, request, q->timeout);
}

static void exec_process(Sandbox *sandbox, Request *request, const Grpc__ExecProcessRequest *q,
                         const Kata__Systemd__V1__SpecExtension *extension)
{
        GuestContainer *gc = service_lookup(sandbox, request, q->container_id);

        if (gc)
                guest_exec_create(gc, request, q, extension);
}

void service_exec_process(void *userdata, Request *request, const void *input)
{
        exec_process(userdata, request, input, NULL);
}

void service_exec_process_extended(void *userdata, Request *request, const void *input)
{
        const Kata__Systemd__V1__ExecProcessRequest *q = input;

        if (!q->request)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "the request has no process");
        exec_process(userdata, request, q->request, q->extension);
}

void service_signal_process(void *userdata, Request *request, const void *input)
{
        const Grpc__SignalProcessRequest *q = input;
        _cleanup_free_ char *message = NULL;
        Container *engine;
        ProcessRef ref;
        int r;

        if (!service_lookup_process(userdata, request, q->container_id, q->exec_id, false, &ref))
                return;
        if (q->signal == 0 || q->signal >= _NSIG)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "no such signal: %u", q->signal);

        engine = guest_container_engine(ref.gc);
        if (!engine)
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is not created",
                                    q->container_id);

        if (ref.exec)
                r = guest_exec_signal(ref.exec, (int) q->signal);
        else
                r = container_signal(engine, (int) q->signal, !*q->exec_id, &message);
        /* As Kata's agent: a process that is gone already is no error. */
        if (r < 0 && r != -ESRCH)
                return request_fail_errno(request, r, message);
        request_reply(request, NULL);
}

void service_wait_process(void *userdata, Request *request, const void *input)
{
        const Grpc__WaitProcessRequest *q = input;
        ProcessRef ref;

        if (!service_lookup_process(userdata, request, q->container_id, q->exec_id, false, &ref))
                return;
        if (ref.exec)
                guest_exec_wait(ref.exec, request);
        else
                guest_process_wait(ref.process, request);
}

void service_list_containers(void *userdata, Request *request, const void *input)
{
        Kata__Systemd__V1__ListContainersResponse response =
                KATA__SYSTEMD__V1__LIST_CONTAINERS_RESPONSE__INIT;
        Kata__Systemd__V1__ContainerInfo infos[CONTAINERS_MAX], *pointers[CONTAINERS_MAX];
        Sandbox *sandbox = userdata;
        size_t n = 0;

        for (GuestContainer *gc = sandbox_containers(sandbox); gc && n < CONTAINERS_MAX;
             gc = guest_container_next(gc)) {
                Kata__Systemd__V1__ContainerInfo *info = &infos[n];
                Container *engine = guest_container_engine(gc);
                int status = 0;

                *info = (Kata__Systemd__V1__ContainerInfo) KATA__SYSTEMD__V1__CONTAINER_INFO__INIT;
                info->container_id = (char *) (uintptr_t) guest_container_id(gc);
                info->state = (char *) (uintptr_t) (!engine ? "changing"
                                                    : guest_resources_paused(guest_container_resources(gc))
                                                            ? "paused"
                                                            : container_state_to_string(
                                                                      container_state(engine)));
                info->exited = guest_process_exited(guest_container_process(gc), &status);
                info->exit_status = status;
                info->pid = engine && !info->exited ? (uint32_t) container_init_pid(engine) : 0;
                pointers[n++] = info;
        }

        response.n_containers = n;
        response.containers = pointers;
        request_reply(request, &response.base);
}
