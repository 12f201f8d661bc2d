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

/* Sandbox definition. */
#define CONTAINERS_MAX 64U
#define CONTAINER_ARGS_MAX 4096U
#define MOUNTS_MAX 256U

/* ttrpc: 10 byte header, at most 4 MiB of payload (containerd/ttrpc, kata agent). */
#define TTRPC_PAYLOAD_MAX MIB(4)
#define TTRPC_PENDING_MAX 256U
#define PB_ARENA_MAX MIB(16)

/* yamux over virtio-serial. */
#define MUX_WINDOW_INITIAL KIB(256)
#define MUX_STREAMS_MAX 256U
#define MUX_FRAME_MAX KIB(64)
#define MUX_SENDQ_MAX KIB(512)

/* Log records and container output. */
#define LOG_RECORD_MAX KIB(16)
#define LOG_LINE_MAX KIB(64)
#define LOG_RING_SIZE KIB(256)
#define STDIO_RING_SIZE KIB(64)
#define CONSOLE_LINE_MAX KIB(4)
#define CONSOLE_TAIL_LINES 20U
#define NOTIFY_MESSAGE_MAX KIB(4)

/* D-Bus to the service manager. */
#define UNIT_NAME_MAX 255U
#define UNIT_PROPS_MAX 64U
#define UNIT_PROCESSES_MAX 4096U
#define UNIT_EARLY_JOBS_MAX 4U
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
