/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every named maximum in one place. A peer (guest, file, D-Bus, command line) never decides the size of
 * an allocation; it is measured against one of these first.
 */

#define KIB(n) ((size_t) (n) * 1024U)
#define MIB(n) (KIB(n) * 1024U)

/* Identifiers: Kata's rule (first alphanumeric, then alphanumeric, '.', '_', '-'); unit names allow 255. */
#define SANDBOX_ID_MAX 128U
#define CONTAINER_ID_MAX 128U

/* Files read whole. */
#define FILE_READ_MAX MIB(4)
#define CONFIG_FILE_MAX KIB(256)
#define OCI_CONFIG_MAX MIB(2)
#define GUEST_PARAMS_MAX KIB(16)
#define KERNEL_CMDLINE_MAX 2048U
#define KERNEL_RELEASE_MAX 64U     /* __NEW_UTS_LEN */

/* The initrd of a kernel of the distribution: modules, their files, and the list of them. */
#define MODULES_MAX 256U
#define MODULE_NAME_MAX 55U        /* MODULE_NAME_LEN of 64-bit kernels, less the NUL */
#define MODULE_FILE_MAX MIB(64)
/* Of a sandbox: modules that are asked for, parameters of one, and bytes of one parameter. */
#define KERNEL_MODULES_MAX 64U
#define MODULE_PARAMETERS_MAX 32U
#define MODULE_PARAMETER_MAX 256U
/* modules.dep and modules.builtin of an image. */
#define MODULE_INDEX_MAX MIB(4)
#define MODULE_LIST_MAX KIB(64)
#define INITRD_FILES_MAX 1024U
#define INITRD_INPUTS_MAX KIB(256)
/* dm-mod.create= in it: devices, and characters of one table line. */
#define DM_DEVICES_MAX 8U
#define DM_PARAMS_MAX 1024U

/* Guest image: what is beside the file system. */
#define ROOT_SIGNATURE_MAX KIB(64)
#define CERTIFICATE_FILE_MAX KIB(256)
#define IMAGE_MANIFEST_MAX MIB(8)
/* Packages that a static program says to have in it, and a name or version of one. */
#define LINKED_PACKAGES_MAX 64U
#define LINKED_FIELD_MAX 256U
#define LINKED_PROGRAM_MAX MIB(64)
#define IMAGE_MANIFEST_DEPTH 16
#define IMAGE_MANIFEST_ITEMS 16384U
#define GPT_PARTITIONS_MAX 128U
#define DPKG_STATUS_MAX MIB(64)
#define DPKG_LIST_MAX MIB(32)

/* Sandbox definition. */
#define CONTAINERS_MAX 64U
#define CONTAINER_ARGS_MAX 4096U
#define MOUNTS_MAX 256U
#define HOSTNAME_LEN_MAX 64U       /* __NEW_UTS_LEN */
#define OCI_DEPTH_MAX 16U          /* nesting of config.json */
#define OCI_LIST_MAX 16384U        /* elements of one list or map in it */
#define OCI_NOTES_MAX 64U
#define OCI_PATH_MAX 512U          /* "linux.seccomp.syscalls[3].args[0].op" in an error */
#define CONFIG_SECTIONS_MAX 128U
#define CONFIG_ENTRIES_MAX 8192U

/* ttrpc: 10 byte header, at most 4 MiB of payload (containerd/ttrpc, kata agent). */
#define TTRPC_PAYLOAD_MAX MIB(4)
#define TTRPC_PENDING_MAX 256U
#define TTRPC_NAME_MAX 128U
#define TTRPC_ERROR_TEXT_MAX KIB(4)
#define PB_ARENA_MAX MIB(16)
#define PB_DEPTH_MAX 16U

/* yamux over virtio-serial. */
#define MUX_WINDOW_INITIAL KIB(256)
#define MUX_STREAMS_MAX 256U
#define MUX_FRAME_MAX KIB(64)
#define MUX_SENDQ_MAX KIB(512)
#define MUX_STREAM_SENDQ_MAX KIB(64)
#define MUX_LINE_MAX 32U

/* Log records and container output. */
#define LOG_RECORD_MAX KIB(16)
#define LOG_LINE_MAX KIB(64)
#define LOG_RING_SIZE KIB(256)
#define STDIO_RING_SIZE KIB(64)
#define CONSOLE_LINE_MAX KIB(4)
#define CONSOLE_TAIL_LINES 20U
#define NOTIFY_MESSAGE_MAX KIB(4)

/* Agent: connections, stdio streams that wait for their request, input held for later answers. */
#define SERVER_CONNECTIONS_MAX 16U
#define SERVER_KEPT_MAX MIB(24)
#define STREAMS_UNCLAIMED_MAX 64U
#define STDIN_RING_SIZE KIB(16)
#define STORAGES_MAX 64U
#define OVERLAY_LAYERS_MAX 64U
/* Of SCSI on virtio (specification 1.2, 5.6.6.1): max_target and max_lun. */
#define SCSI_ID_MAX 255U
#define SCSI_LUN_MAX 16383U
/* A volume whose files change their group: levels of directories. */
#define FS_GROUP_DEPTH_MAX 64U
/* Policy: the text, and patterns of one key in it. */
#define POLICY_SIZE_MAX KIB(64)
#define POLICY_RULES_MAX 1024U
/* Numbers of one container: what is beyond is left out. Linux 6.18 has 80 keys in memory.stat. */
#define STATS_KEYS_MAX 256U
#define STATS_DEVICES_MAX 64U
#define STATS_INTERFACES_MAX 64U
#define STATS_HUGEPAGES_MAX 8U
#define STATS_NAME_MAX 64U
#define STATS_FILE_MAX KIB(32)
#define CPUS_MAX 8192U             /* NR_CPUS of the largest kernels */
#define OOM_EVENTS_MAX 256U        /* containers that nobody has asked about */
/* Processes beside the init process of one container, those included that ended and nobody waited for. */
#define EXECS_MAX 256U
#define DNS_LINES_MAX 64U
/* Requests at work in forked children, and what one of them may hand back. */
#define CALLS_MAX 32U
#define CALL_ANSWER_MAX (TTRPC_PAYLOAD_MAX - KIB(4))

/* Networks: one request to the kernel, and what there may be of each kind. */
#define NETLINK_REQUEST_MAX KIB(4)
#define NET_LINKS_MAX 512U
#define NET_ADDRESSES_MAX 1024U
#define NET_ROUTES_MAX 4096U
#define NET_NEIGHBORS_MAX 4096U
/* What a sandbox gets of a network namespace of its host; and what is noted of it to be undone. */
#define NET_PLAN_INTERFACES_MAX 8U
#define NET_PLAN_ADDRESSES_MAX 256U
#define NET_PLAN_ROUTES_MAX 256U
#define NET_PLAN_NEIGHBORS_MAX 256U
#define NET_UNDO_FILE_MAX KIB(16)
/* Rules in iptables-restore format, either way, and the end of what the program complains about. */
#define IPTABLES_RULES_MAX CALL_ANSWER_MAX
#define IPTABLES_ERROR_MAX 400U
#define PCI_PATH_HOPS_MAX 8U
#define MEMORY_PROBES_MAX 1024U
/* What kubelet keeps of a container's last message. */
#define TERMINATION_LOG_MAX KIB(4)
#define MOUNTINFO_MAX MIB(4)

/* Debug console: shells at a time on either side, bytes on the way in each direction. */
#define DEBUG_SESSIONS_MAX 8U
#define DEBUG_RING_SIZE KIB(16)
#define DEBUG_DEVICE_MAX 32U

/* Task service of a supervisor: clients, events that nobody has taken, the state of all tasks. */
#define TASK_CONNECTIONS_MAX 256U
#define TASK_EVENTS_MAX 2048U
/* Each has a call of its own pending at the agent, which takes TTRPC_PENDING_MAX. */
#define TASK_PROCESSES_MAX 192U
#define TASK_WAITERS_MAX 1024U
#define TASK_PATH_MAX 4096U
#define TASK_STATE_MAX MIB(16)
#define TASK_BUFFER_SIZE KIB(64)

/* Virtual machine. The kernel of the guest is built with NR_CPUS=32. */
#define VM_MEMORY_MIN MIB(64)
/* A kernel of a distribution has 40 MB of its own and unpacks an initrd. */
#define VM_MEMORY_MIN_INITRD MIB(128)
#define VM_MEMORY_MAX (UINT64_C(1) << 40)
#define VM_VCPUS_MAX 32U
/*
 * What VMM and virtiofsd may take beside the memory of the guest, see vm_config_memory_max(): programs with heaps and
 * buffers; for each virtual CPU; for files that the guest knows, which virtiofsd keeps open (the more memory a guest
 * has, the more it knows); and under emulation what the guest's code is translated into.
 */
#define VMM_OVERHEAD MIB(256)
#define VMM_OVERHEAD_VCPU MIB(16)
#define VMM_OVERHEAD_FILES_MAX MIB(1024)
#define VMM_TRANSLATION_BUFFER MIB(1024)
#define VMM_TRANSLATION_VCPU MIB(64)
/* Threads: those of virtual CPUs, of QEMU's file access and of virtiofsd. */
#define VMM_TASKS_MIN 256U
#define VM_GROUPS_MAX 8U
#define VM_KERNEL_PARAMETERS_MAX 1280U
#define VM_KERNEL_MODULES_MAX KIB(4)
#define VM_STATE_FILE_MAX KIB(16)
/* What QEMU microvm appends to the command line: eight virtio_mmio.device= entries of at most 40 bytes. */
#define VIRTIO_MMIO_CMDLINE_RESERVE 320U
/* virtio specification 1.2, 5.11.4: the tag of a file system device has 36 bytes. */
#define VIRTIOFS_TAG_MAX 36U
#define IMAGE_BLOCKS_MAX (UINT64_C(1) << 28)
#define VSOCK_CID_TRIES 64U

/* QMP: one line is one message. */
#define QMP_LINE_MAX KIB(64)
#define QMP_DEPTH_MAX 16
#define QMP_PENDING_MAX 16U
#define QMP_OUTPUT_MAX KIB(64)

/* Network interfaces of a machine. */
#define VM_NICS_MAX NET_PLAN_INTERFACES_MAX
/* Of the driver in Linux (ETH_MIN_MTU). */
#define VIRTIO_NET_MTU_MIN 68U

/* Spawned processes: nine descriptors of QEMU, two more for each network interface. */
#define SPAWN_FDS_MAX 32U
#define STREAM_DRAIN_MAX KIB(256)

/* Host side of the journal. */
#define JOURNAL_QUEUE_MAX MIB(2)

/* One container in the guest: counts and sizes of its OCI configuration. */
#define SPEC_STRING_MAX KIB(128)
#define SPEC_ENV_MAX 4096U
#define SPEC_GIDS_MAX 1024U
#define SPEC_PATHS_MAX 256U
#define SPEC_DEVICES_MAX 512U
#define SPEC_DEVICE_RULES_MAX 512U
#define SPEC_SYSCTLS_MAX 128U
#define SPEC_ID_MAPPINGS_MAX 340U  /* UID_GID_MAP_MAX_EXTENTS */
#define SPEC_OPTIONS_MAX 64U
#define SHARED_MOUNTS_MAX 16U
#define SPEC_THROTTLES_MAX 64U
#define SPEC_UNIFIED_MAX 64U
#define SPEC_SYSCALL_RULES_MAX 1024U
#define SPEC_SYSCALL_NAMES_MAX 4096U
#define CONTAINER_MESSAGE_MAX KIB(1)
/* Hooks of one kind, the state that each reads, and what an error keeps of its output. */
#define HOOKS_MAX 64U
#define HOOK_STATE_MAX KIB(64)
#define HOOK_TAIL_MAX 256U
#define HOOK_TIMEOUT_MAX_SEC 3600U
#define ANNOTATIONS_MAX 256U
#define CGROUP_PROCS_MAX MIB(1)
#define CGROUP_SETTING_MAX KIB(16)
#define CGROUP_DEPTH_MAX 32U
#define CGROUP_DESCENDANTS_MAX 4096U
#define CONTAINER_PASSWD_MAX KIB(256)
#define COPY_UP_DEPTH_MAX 64U
#define CONTAINER_REMOVE_TIMEOUT_SEC 10U
#define NOTIFY_STATUS_MAX 512U
#define NOTIFY_VERSION_MAX 64U
/* D-Bus to the service manager. */
#define UNIT_NAME_MAX 255U
#define UNIT_PROPS_MAX 64U
#define UNIT_PROP_BYTES_MAX KIB(4)
#define UNIT_PROCESSES_MAX 4096U
#define UNIT_EARLY_JOBS_MAX 4U
#define UNIT_REFS_MAX 16U
#define BUS_ERROR_TEXT_MAX KIB(1)
#define CGROUP_FILE_MAX KIB(16)

/* Journal: the queue of one sandbox, entries and the text a guest may put beside MESSAGE. */
#define JOURNAL_QUEUE_BYTES KIB(256)
#define JOURNAL_QUEUE_ENTRIES 1024U
#define JOURNAL_ENTRY_MAX KIB(256)
#define JOURNAL_FIELD_NAME_MAX 64U
#define LOG_JSON_DEPTH 4
#define GUEST_FIELD_MAX 256U
#define GUEST_EXTRA_MAX KIB(4)
#define RELAY_READ_MAX KIB(16)
#define RELAY_STREAMS_MAX 256U

/* Guest directories: files of a pair, versions beside each other, texts of kernel packages. */
#define KERNEL_INFO_MAX KIB(16)
#define KERNEL_PATCH_MAX MIB(4)
#define KERNEL_PATCHES_MAX 256U
#define KERNEL_PATCH_FILES_MAX 4096U
#define PAIR_FILES_MAX 64U
#define PAIR_FILE_MAX (UINT64_C(1) << 30)
#define GUEST_VERSIONS_MAX 1024U
#define GUEST_VERSION_NAME_MAX 96U
