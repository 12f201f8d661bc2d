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

        { AGENT, "UpdateInterface", &grpc__update_interface_request__descriptor, service_update_interface },
        { AGENT, "UpdateRoutes", &grpc__update_routes_request__descriptor, service_update_routes },
        { AGENT, "ListInterfaces", &grpc__list_interfaces_request__descriptor, service_list_interfaces },
        { AGENT, "ListRoutes", &grpc__list_routes_request__descriptor, service_list_routes },
        { AGENT, "AddARPNeighbors", &grpc__add_arpneighbors_request__descriptor,
          service_add_arp_neighbors },
        { AGENT, "GetIPTables", &grpc__get_iptables_request__descriptor, service_get_iptables },
        { AGENT, "SetIPTables", &grpc__set_iptables_request__descriptor, service_set_iptables },

        { AGENT, "CopyFile", &grpc__copy_file_request__descriptor, service_copy_file },
        { AGENT, "GetDiagnosticData", &grpc__get_diagnostic_data_request__descriptor,
          service_get_diagnostic_data },
        { AGENT, "GetVolumeStats", &grpc__volume_stats_request__descriptor, service_get_volume_stats },
        { AGENT, "ResizeVolume", &grpc__resize_volume_request__descriptor, service_resize_volume },
        { AGENT, "UpdateEphemeralMounts", &grpc__update_ephemeral_mounts_request__descriptor,
          service_update_ephemeral_mounts },
        { AGENT, "RemoveStaleVirtiofsShareMounts",
          &grpc__remove_stale_virtiofs_share_mounts_request__descriptor,
          service_remove_stale_virtiofs_share_mounts },
        { AGENT, "AddSwap", &grpc__add_swap_request__descriptor, service_add_swap },
        { AGENT, "AddSwapPath", &grpc__add_swap_path_request__descriptor, service_add_swap_path },
        { AGENT, "MemHotplugByProbe", &grpc__mem_hotplug_by_probe_request__descriptor,
          service_mem_hotplug_by_probe },

        { AGENT, "CreateSandbox", &grpc__create_sandbox_request__descriptor, service_create_sandbox },
        { AGENT, "DestroySandbox", &grpc__destroy_sandbox_request__descriptor, service_destroy_sandbox },

        { AGENT, "CreateContainer", &grpc__create_container_request__descriptor, service_create_container },
        { AGENT, "StartContainer", &grpc__start_container_request__descriptor, service_start_container },
        { AGENT, "RemoveContainer", &grpc__remove_container_request__descriptor, service_remove_container },
        { AGENT, "ExecProcess", &grpc__exec_process_request__descriptor, service_exec_process },
        { AGENT, "SignalProcess", &grpc__signal_process_request__descriptor, service_signal_process },
        { AGENT, "WaitProcess", &grpc__wait_process_request__descriptor, service_wait_process },

        { AGENT, "UpdateContainer", &grpc__update_container_request__descriptor, service_update_container },
        { AGENT, "PauseContainer", &grpc__pause_container_request__descriptor, service_pause_container },
        { AGENT, "ResumeContainer", &grpc__resume_container_request__descriptor, service_resume_container },
        { AGENT, "StatsContainer", &grpc__stats_container_request__descriptor, service_stats_container },
        { AGENT, "GetOOMEvent", &grpc__get_oomevent_request__descriptor, service_get_oom_event },
        { AGENT, "OnlineCPUMem", &grpc__online_cpumem_request__descriptor, service_online_cpu_mem },
        { AGENT, "GetMetrics", &grpc__get_metrics_request__descriptor, service_get_metrics },
        { AGENT, "MemAgentMemcgSet", &grpc__mem_agent_memcg_config__descriptor,
          service_mem_agent_memcg_set },
        { AGENT, "MemAgentCompactSet", &grpc__mem_agent_compact_config__descriptor,
          service_mem_agent_compact_set },

        { AGENT, "WriteStdin", &grpc__write_stream_request__descriptor, service_write_stdin },
        { AGENT, "ReadStdout", &grpc__read_stream_request__descriptor, service_read_stdout },
        { AGENT, "ReadStderr", &grpc__read_stream_request__descriptor, service_read_stderr },
        { AGENT, "CloseStdin", &grpc__close_stdin_request__descriptor, service_close_stdin },
        { AGENT, "TtyWinResize", &grpc__tty_win_resize_request__descriptor, service_tty_win_resize },

        { EXTENSION, "AttachStdio", &kata__systemd__v1__attach_stdio_request__descriptor,
          service_attach_stdio },
        { EXTENSION, "ListContainers", &kata__systemd__v1__list_containers_request__descriptor,
          service_list_containers },
        { EXTENSION, "CreateContainer", &kata__systemd__v1__create_container_request__descriptor,
          service_create_container_extended },
        { EXTENSION, "ExecProcess", &kata__systemd__v1__exec_process_request__descriptor,
          service_exec_process_extended },
        { EXTENSION, "UpdateContainer", &kata__systemd__v1__update_container_request__descriptor,
          service_update_container_extended },
        { EXTENSION, "SetInterfaceAddress", &kata__systemd__v1__set_interface_address_request__descriptor,
          service_set_interface_address },
};

const Method *agent_methods(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(methods);
        return methods;
}
