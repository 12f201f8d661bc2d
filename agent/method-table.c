/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all methods: see services.h. */

#include "agent/services.h"

#define HEALTH "grpc.Health"
#define AGENT "grpc.AgentService"
#define EXTENSION "kata.systemd.v1.AgentExtension"

static const Method methods[] = {
        { HEALTH, "Check", &grpc__check_request__descriptor, service_health_check },
        { HEALTH, "Version", &grpc__check_request__descriptor, service_health_version },

        { AGENT, "GetGuestDetails", &grpc__guest_details_request__descriptor, service_get_guest_details },
        { AGENT, "SetGuestDateTime", &grpc__set_guest_date_time_request__descriptor,
          service_set_guest_date_time },
        { AGENT, "ReseedRandomDev", &grpc__reseed_random_dev_request__descriptor,
          service_reseed_random_dev },
        { AGENT, "SetPolicy", &grpc__set_policy_request__descriptor, service_set_policy },

        { AGENT, "CreateSandbox", &grpc__create_sandbox_request__descriptor, service_create_sandbox },
        { AGENT, "DestroySandbox", &grpc__destroy_sandbox_request__descriptor, service_destroy_sandbox },

        { AGENT, "CreateContainer", &grpc__create_container_request__descriptor, service_create_container },
        { AGENT, "StartContainer", &grpc__start_container_request__descriptor, service_start_container },
        { AGENT, "RemoveContainer", &grpc__remove_container_request__descriptor, service_remove_container },
        { AGENT, "SignalProcess", &grpc__signal_process_request__descriptor, service_signal_process },
        { AGENT, "WaitProcess", &grpc__wait_process_request__descriptor, service_wait_process },

        { AGENT, "WriteStdin", &grpc__write_stream_request__descriptor, service_write_stdin },
        { AGENT, "ReadStdout", &grpc__read_stream_request__descriptor, service_read_stdout },
        { AGENT, "ReadStderr", &grpc__read_stream_request__descriptor, service_read_stderr },
        { AGENT, "CloseStdin", &grpc__close_stdin_request__descriptor, service_close_stdin },

        { EXTENSION, "AttachStdio", &kata__systemd__v1__attach_stdio_request__descriptor,
          service_attach_stdio },
        { EXTENSION, "ListContainers", &kata__systemd__v1__list_containers_request__descriptor,
          service_list_containers },
};

const Method *agent_methods(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(methods);
        return methods;
}
