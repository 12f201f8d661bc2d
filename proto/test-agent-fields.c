/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the Kata agent protocol against its published field numbers (Kata 3.32 to 4.1, which are
 * alike); see test-fields.h.
 */

#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/csi.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/memagent.pb-c.h"
#include "proto/oci.pb-c.h"
#include "proto/test-fields.h"
#include "proto/types.pb-c.h"

static const MessageFields messages[] = {
        { &grpc__create_container_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=string_user:StringUser 4=devices:Device[] "
          "5=storages:Storage[] 6=OCI:Spec 7=sandbox_pidns:bool 8=shared_mounts:SharedMount[] "
          "9=stdin_port:uint32 10=stdout_port:uint32 11=stderr_port:uint32" },
        { &grpc__start_container_request__descriptor,
          "1=container_id:string" },
        { &grpc__remove_container_request__descriptor,
          "1=container_id:string 2=timeout:uint32" },
        { &grpc__exec_process_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=string_user:StringUser 4=process:Process "
          "5=stdin_port:uint32 6=stdout_port:uint32 7=stderr_port:uint32" },
        { &grpc__signal_process_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=signal:uint32" },
        { &grpc__wait_process_request__descriptor,
          "1=container_id:string 2=exec_id:string" },
        { &grpc__wait_process_response__descriptor,
          "1=status:int32" },
        { &grpc__update_container_request__descriptor,
          "1=container_id:string 2=resources:LinuxResources" },
        { &grpc__stats_container_request__descriptor,
          "1=container_id:string" },
        { &grpc__pause_container_request__descriptor,
          "1=container_id:string" },
        { &grpc__resume_container_request__descriptor,
          "1=container_id:string" },
        { &grpc__cpu_usage__descriptor,
          "1=total_usage:uint64 2=percpu_usage:uint64[] 3=usage_in_kernelmode:uint64 "
          "4=usage_in_usermode:uint64" },
        { &grpc__throttling_data__descriptor,
          "1=periods:uint64 2=throttled_periods:uint64 3=throttled_time:uint64" },
        { &grpc__cpu_stats__descriptor,
          "1=cpu_usage:CpuUsage 2=throttling_data:ThrottlingData" },
        { &grpc__pids_stats__descriptor,
          "1=current:uint64 2=limit:uint64" },
        { &grpc__memory_data__descriptor,
          "1=usage:uint64 2=max_usage:uint64 3=failcnt:uint64 4=limit:uint64" },
        { &grpc__memory_stats__descriptor,
          "1=cache:uint64 2=usage:MemoryData 3=swap_usage:MemoryData 4=kernel_usage:MemoryData "
          "5=use_hierarchy:bool 6=stats:map<string,uint64>" },
        { &grpc__blkio_stats_entry__descriptor,
          "1=major:uint64 2=minor:uint64 3=op:string 4=value:uint64" },
        { &grpc__blkio_stats__descriptor,
          "1=io_service_bytes_recursive:BlkioStatsEntry[] 2=io_serviced_recursive:BlkioStatsEntry[] "
          "3=io_queued_recursive:BlkioStatsEntry[] 4=io_service_time_recursive:BlkioStatsEntry[] "
          "5=io_wait_time_recursive:BlkioStatsEntry[] 6=io_merged_recursive:BlkioStatsEntry[] "
          "7=io_time_recursive:BlkioStatsEntry[] 8=sectors_recursive:BlkioStatsEntry[]" },
        { &grpc__hugetlb_stats__descriptor,
          "1=usage:uint64 2=max_usage:uint64 3=failcnt:uint64" },
        { &grpc__cgroup_stats__descriptor,
          "1=cpu_stats:CpuStats 2=memory_stats:MemoryStats 3=pids_stats:PidsStats "
          "4=blkio_stats:BlkioStats 5=hugetlb_stats:map<string,HugetlbStats>" },
        { &grpc__network_stats__descriptor,
          "1=name:string 2=rx_bytes:uint64 3=rx_packets:uint64 4=rx_errors:uint64 5=rx_dropped:uint64 "
          "6=tx_bytes:uint64 7=tx_packets:uint64 8=tx_errors:uint64 9=tx_dropped:uint64" },
        { &grpc__stats_container_response__descriptor,
          "1=cgroup_stats:CgroupStats 2=network_stats:NetworkStats[]" },
        { &grpc__write_stream_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=data:bytes" },
        { &grpc__write_stream_response__descriptor,
          "1=len:uint32" },
        { &grpc__read_stream_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=len:uint32" },
        { &grpc__read_stream_response__descriptor,
          "1=data:bytes" },
        { &grpc__close_stdin_request__descriptor,
          "1=container_id:string 2=exec_id:string" },
        { &grpc__tty_win_resize_request__descriptor,
          "1=container_id:string 2=exec_id:string 3=row:uint32 4=column:uint32" },
        { &grpc__kernel_module__descriptor,
          "1=name:string 2=parameters:string[]" },
        { &grpc__create_sandbox_request__descriptor,
          "1=hostname:string 2=dns:string[] 3=storages:Storage[] 4=sandbox_pidns:bool "
          "5=sandbox_id:string 6=guest_hook_path:string 7=kernel_modules:KernelModule[]" },
        { &grpc__destroy_sandbox_request__descriptor,
          "" },
        { &grpc__remove_stale_virtiofs_share_mounts_request__descriptor,
          "" },
        { &grpc__interfaces__descriptor,
          "1=Interfaces:types.Interface[]" },
        { &grpc__routes__descriptor,
          "1=Routes:types.Route[]" },
        { &grpc__update_interface_request__descriptor,
          "1=interface:types.Interface" },
        { &grpc__update_routes_request__descriptor,
          "1=routes:Routes" },
        { &grpc__update_ephemeral_mounts_request__descriptor,
          "1=storages:Storage[]" },
        { &grpc__list_interfaces_request__descriptor,
          "" },
        { &grpc__list_routes_request__descriptor,
          "" },
        { &grpc__arpneighbors__descriptor,
          "1=ARPNeighbors:types.ARPNeighbor[]" },
        { &grpc__add_arpneighbors_request__descriptor,
          "1=neighbors:ARPNeighbors" },
        { &grpc__get_iptables_request__descriptor,
          "1=is_ipv6:bool" },
        { &grpc__get_iptables_response__descriptor,
          "1=data:bytes" },
        { &grpc__set_iptables_request__descriptor,
          "1=is_ipv6:bool 2=data:bytes" },
        { &grpc__set_iptables_response__descriptor,
          "1=data:bytes" },
        { &grpc__online_cpumem_request__descriptor,
          "1=wait:bool 2=nb_cpus:uint32 3=cpu_only:bool" },
        { &grpc__reseed_random_dev_request__descriptor,
          "2=data:bytes" },
        { &grpc__agent_details__descriptor,
          "1=version:string 2=init_daemon:bool 3=device_handlers:string[] 4=storage_handlers:string[] "
          "5=supports_seccomp:bool 6=extra_features:string[]" },
        { &grpc__guest_details_request__descriptor,
          "1=mem_block_size:bool 2=mem_hotplug_probe:bool" },
        { &grpc__guest_details_response__descriptor,
          "1=mem_block_size_bytes:uint64 2=agent_details:AgentDetails "
          "3=support_mem_hotplug_probe:bool" },
        { &grpc__mem_hotplug_by_probe_request__descriptor,
          "1=memHotplugProbeAddr:uint64[]" },
        { &grpc__set_guest_date_time_request__descriptor,
          "1=Sec:int64 2=Usec:int64" },
        { &grpc__fsgroup__descriptor,
          "2=group_id:uint32 3=group_change_policy:types.FSGroupChangePolicy" },
        { &grpc__shared_mount__descriptor,
          "1=name:string 2=src_ctr:string 3=src_path:string 4=dst_ctr:string 5=dst_path:string" },
        { &grpc__storage__descriptor,
          "1=driver:string 2=driver_options:string[] 3=source:string 4=fstype:string "
          "5=options:string[] 6=mount_point:string 7=fs_group:FSGroup 8=shared:bool" },
        { &grpc__device__descriptor,
          "1=id:string 2=type:string 3=vm_path:string 4=container_path:string 5=options:string[]" },
        { &grpc__string_user__descriptor,
          "1=uid:string 2=gid:string 3=additionalGids:string[]" },
        { &grpc__copy_file_request__descriptor,
          "1=path:string 2=file_size:int64 3=file_mode:uint32 4=dir_mode:uint32 5=uid:int32 "
          "6=gid:int32 7=offset:int64 8=data:bytes" },
        { &grpc__get_oomevent_request__descriptor,
          "" },
        { &grpc__oomevent__descriptor,
          "1=container_id:string" },
        { &grpc__add_swap_request__descriptor,
          "1=PCIPath:uint32[]" },
        { &grpc__add_swap_path_request__descriptor,
          "1=path:string" },
        { &grpc__get_metrics_request__descriptor,
          "" },
        { &grpc__metrics__descriptor,
          "1=metrics:string" },
        { &grpc__volume_stats_request__descriptor,
          "1=volume_guest_path:string" },
        { &grpc__resize_volume_request__descriptor,
          "1=volume_guest_path:string 2=size:uint64" },
        { &grpc__set_policy_request__descriptor,
          "1=policy:string" },
        { &grpc__get_diagnostic_data_request__descriptor,
          "1=log_type:string 2=container_id:string" },
        { &grpc__get_diagnostic_data_response__descriptor,
          "1=data:string" },
        { &grpc__mem_agent_memcg_config__descriptor,
          "1=disabled:bool? 2=swap:bool? 3=swappiness_max:uint32? 4=period_secs:uint64? "
          "5=period_psi_percent_limit:uint32? 6=eviction_psi_percent_limit:uint32? "
          "7=eviction_run_aging_count_min:uint64?" },
        { &grpc__mem_agent_compact_config__descriptor,
          "1=disabled:bool? 2=period_secs:uint64? 3=period_psi_percent_limit:uint32? "
          "4=compact_psi_percent_limit:uint32? 5=compact_sec_max:int64? 6=compact_order:uint32? "
          "7=compact_threshold:uint64? 8=compact_force_times:uint64?" },
        { &grpc__check_request__descriptor,
          "1=service:string" },
        { &grpc__health_check_response__descriptor,
          "1=status:ServingStatus" },
        { &grpc__version_check_response__descriptor,
          "1=grpc_version:string 2=agent_version:string" },
        { &types__ipaddress__descriptor,
          "1=family:IPFamily 2=address:string 3=mask:string" },
        { &types__interface__descriptor,
          "1=device:string 2=name:string 3=IPAddresses:IPAddress[] 4=mtu:uint64 5=hwAddr:string "
          "6=devicePath:string 7=type:string 8=raw_flags:uint32" },
        { &types__route__descriptor,
          "1=dest:string 2=gateway:string 3=device:string 4=source:string 5=scope:uint32 "
          "6=family:IPFamily 7=flags:uint32 8=mtu:uint32" },
        { &types__arpneighbor__descriptor,
          "1=toIPAddress:IPAddress 2=device:string 3=lladdr:string 4=state:int32 5=flags:int32" },
        { &grpc__volume_stats_response__descriptor,
          "1=usage:VolumeUsage[] 2=volume_condition:VolumeCondition" },
        { &grpc__volume_usage__descriptor,
          "1=available:uint64 2=total:uint64 3=used:uint64 4=unit:Unit" },
        { &grpc__volume_condition__descriptor,
          "1=abnormal:bool 2=message:string" },
        { &grpc__spec__descriptor,
          "1=Version:string 2=Process:Process 3=Root:Root 4=Hostname:string 5=Mounts:Mount[] "
          "6=Hooks:Hooks 7=Annotations:map<string,string> 8=Linux:Linux 9=Solaris:Solaris "
          "10=Windows:Windows" },
        { &grpc__process__descriptor,
          "1=Terminal:bool 2=ConsoleSize:Box 3=User:User 4=Args:string[] 5=Env:string[] 6=Cwd:string "
          "7=Capabilities:LinuxCapabilities 8=Rlimits:POSIXRlimit[] 9=NoNewPrivileges:bool "
          "10=ApparmorProfile:string 11=OOMScoreAdj:int64 12=SelinuxLabel:string" },
        { &grpc__box__descriptor,
          "1=Height:uint32 2=Width:uint32" },
        { &grpc__user__descriptor,
          "1=UID:uint32 2=GID:uint32 3=AdditionalGids:uint32[] 4=Username:string" },
        { &grpc__linux_capabilities__descriptor,
          "1=Bounding:string[] 2=Effective:string[] 3=Inheritable:string[] 4=Permitted:string[] "
          "5=Ambient:string[]" },
        { &grpc__posixrlimit__descriptor,
          "1=Type:string 2=Hard:uint64 3=Soft:uint64" },
        { &grpc__mount__descriptor,
          "1=destination:string 2=source:string 3=type:string 4=options:string[]" },
        { &grpc__root__descriptor,
          "1=Path:string 2=Readonly:bool" },
        { &grpc__hooks__descriptor,
          "1=Prestart:Hook[] 2=Poststart:Hook[] 3=Poststop:Hook[] 4=CreateRuntime:Hook[] "
          "5=CreateContainer:Hook[] 6=StartContainer:Hook[]" },
        { &grpc__hook__descriptor,
          "1=Path:string 2=Args:string[] 3=Env:string[] 4=Timeout:int64" },
        { &grpc__linux__descriptor,
          "1=UIDMappings:LinuxIDMapping[] 2=GIDMappings:LinuxIDMapping[] 3=Sysctl:map<string,string> "
          "4=Resources:LinuxResources 5=CgroupsPath:string 6=Namespaces:LinuxNamespace[] "
          "7=Devices:LinuxDevice[] 8=Seccomp:LinuxSeccomp 9=RootfsPropagation:string "
          "10=MaskedPaths:string[] 11=ReadonlyPaths:string[] 12=MountLabel:string "
          "13=IntelRdt:LinuxIntelRdt" },
        { &grpc__windows__descriptor,
          "1=dummy:string" },
        { &grpc__solaris__descriptor,
          "1=dummy:string" },
        { &grpc__linux_idmapping__descriptor,
          "1=HostID:uint32 2=ContainerID:uint32 3=Size:uint32" },
        { &grpc__linux_namespace__descriptor,
          "1=Type:string 2=Path:string" },
        { &grpc__linux_device__descriptor,
          "1=Path:string 2=Type:string 3=Major:int64 4=Minor:int64 5=FileMode:uint32 6=UID:uint32 "
          "7=GID:uint32" },
        { &grpc__linux_resources__descriptor,
          "1=Devices:LinuxDeviceCgroup[] 2=Memory:LinuxMemory 3=CPU:LinuxCPU 4=Pids:LinuxPids "
          "5=BlockIO:LinuxBlockIO 6=HugepageLimits:LinuxHugepageLimit[] 7=Network:LinuxNetwork" },
        { &grpc__linux_memory__descriptor,
          "1=Limit:int64 2=Reservation:int64 3=Swap:int64 4=Kernel:int64 5=KernelTCP:int64 "
          "6=Swappiness:uint64 7=DisableOOMKiller:bool" },
        { &grpc__linux_cpu__descriptor,
          "1=Shares:uint64 2=Quota:int64 3=Period:uint64 4=RealtimeRuntime:int64 "
          "5=RealtimePeriod:uint64 6=Cpus:string 7=Mems:string" },
        { &grpc__linux_weight_device__descriptor,
          "1=Major:int64 2=Minor:int64 3=Weight:uint32 4=LeafWeight:uint32" },
        { &grpc__linux_throttle_device__descriptor,
          "1=Major:int64 2=Minor:int64 3=Rate:uint64" },
        { &grpc__linux_block_io__descriptor,
          "1=Weight:uint32 2=LeafWeight:uint32 3=WeightDevice:LinuxWeightDevice[] "
          "4=ThrottleReadBpsDevice:LinuxThrottleDevice[] "
          "5=ThrottleWriteBpsDevice:LinuxThrottleDevice[] "
          "6=ThrottleReadIOPSDevice:LinuxThrottleDevice[] "
          "7=ThrottleWriteIOPSDevice:LinuxThrottleDevice[]" },
        { &grpc__linux_pids__descriptor,
          "1=Limit:int64" },
        { &grpc__linux_device_cgroup__descriptor,
          "1=Allow:bool 2=Type:string 3=Major:int64 4=Minor:int64 5=Access:string" },
        { &grpc__linux_network__descriptor,
          "1=ClassID:uint32 2=Priorities:LinuxInterfacePriority[]" },
        { &grpc__linux_hugepage_limit__descriptor,
          "1=Pagesize:string 2=Limit:uint64" },
        { &grpc__linux_interface_priority__descriptor,
          "1=Name:string 2=Priority:uint32" },
        { &grpc__linux_seccomp__descriptor,
          "1=DefaultAction:string 2=Architectures:string[] 3=Flags:string[] 4=Syscalls:LinuxSyscall[]" },
        { &grpc__linux_seccomp_arg__descriptor,
          "1=Index:uint64 2=Value:uint64 3=ValueTwo:uint64 4=Op:string" },
        { &grpc__linux_syscall__descriptor,
          "1=Names:string[] 2=Action:string 3=errnoret:uint32? 4=Args:LinuxSeccompArg[]" },
        { &grpc__linux_intel_rdt__descriptor,
          "1=L3CacheSchema:string" },
};

static const EnumValues enums[] = {
        { &grpc__health_check_response__serving_status__descriptor,
          "0=UNKNOWN 1=SERVING 2=NOT_SERVING" },
        { &types__ipfamily__descriptor,
          "0=v4 1=v6" },
        { &types__fsgroup_change_policy__descriptor,
          "0=Always 1=OnRootMismatch" },
        { &grpc__volume_usage__unit__descriptor,
          "0=UNKNOWN 1=BYTES 2=INODES" },
};

TEST(messages)
{
        check_message_fields(messages, ELEMENTSOF(messages));
}

TEST(enums)
{
        check_enum_values(enums, ELEMENTSOF(enums));
}

DEFINE_TEST_MAIN
