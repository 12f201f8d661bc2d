/* SPDX-License-Identifier: Apache-2.0 */
/* Methods about limits and numbers, of containers and of the machine: see services.h. */

#include "agent/guest-resources.h"
#include "agent/metrics.h"
#include "agent/services.h"
#include "basic/limits.h"

/* Answers the request and returns NULL if there is no such container, or not one that is complete. */
static GuestResources *lookup(Sandbox *sandbox, Request *request, const char *id)
{
        GuestContainer *gc = service_lookup(sandbox, request, id);
        GuestResources *resources;

        if (!gc)
                return NULL;

        resources = guest_container_resources(gc);
        if (!resources)
                request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is not created", id);
        return resources;
}

static void update(Sandbox *sandbox, Request *request, const Grpc__UpdateContainerRequest *q,
                   const Kata__Systemd__V1__SpecExtension *extension)
{
        const Grpc__LinuxResources nothing = GRPC__LINUX_RESOURCES__INIT;
        GuestResources *resources = lookup(sandbox, request, q->container_id);

        if (!resources)
                return;
        /* Nothing to change, as upstream takes it. */
        if (!q->resources && !extension)
                return request_reply(request, NULL);

        guest_resources_update(resources, request, q->resources ?: &nothing, extension);
}

void service_update_container(void *userdata, Request *request, const void *input)
{
        update(userdata, request, input, NULL);
}

void service_update_container_extended(void *userdata, Request *request, const void *input)
{
        const Kata__Systemd__V1__UpdateContainerRequest *q = input;

        if (!q->request)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "the request has no container");
        update(userdata, request, q->request, q->extension);
}

void service_pause_container(void *userdata, Request *request, const void *input)
{
        const Grpc__PauseContainerRequest *q = input;
        GuestResources *resources = lookup(userdata, request, q->container_id);

        if (resources)
                guest_resources_pause(resources, request, true);
}

void service_resume_container(void *userdata, Request *request, const void *input)
{
        const Grpc__ResumeContainerRequest *q = input;
        GuestResources *resources = lookup(userdata, request, q->container_id);

        if (resources)
                guest_resources_pause(resources, request, false);
}

void service_stats_container(void *userdata, Request *request, const void *input)
{
        const Grpc__StatsContainerRequest *q = input;
        GuestResources *resources = lookup(userdata, request, q->container_id);

        if (resources)
                guest_resources_stats(resources, request);
}

void service_get_oom_event(void *userdata, Request *request, const void *input)
{
        oom_events_wait(sandbox_oom_events(userdata), request);
}

void service_online_cpu_mem(void *userdata, Request *request, const void *input)
{
        const Grpc__OnlineCPUMemRequest *q = input;

        /* q->wait means nothing, as upstream: the answer comes when it is done. */
        online_request(sandbox_online(userdata), request, q->nb_cpus, q->cpu_only);
}

void service_get_metrics(void *userdata, Request *request, const void *input)
{
        Grpc__Metrics response = GRPC__METRICS__INIT;
        _cleanup_free_ char *text = NULL;
        int r;

        r = metrics_text("/proc", sandbox_count_scrape(userdata), &text);
        if (r < 0)
                return request_fail_errno(request, r, NULL);

        response.metrics = text;
        request_reply(request, &response.base);
}

/* The memory agent of upstream is an option that is off there as well; the words are its. */
static void no_mem_agent(Request *request)
{
        request_fail(request, TTRPC_INTERNAL, "mem-agent is disabled");
}

void service_mem_agent_memcg_set(void *userdata, Request *request, const void *input)
{
        no_mem_agent(request);
}

void service_mem_agent_compact_set(void *userdata, Request *request, const void *input)
{
        no_mem_agent(request);
}
