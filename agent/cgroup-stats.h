/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The numbers of one container as the answer to StatsContainer. The parsers take the text of a kernel file
 * each and add to the message; they are pure, skip what they do not understand and stop at the bounds of
 * limits.h. Texts are the kernel's, but the names of network interfaces in them are the tenant's.
 *
 * Units are those of cgroup v1, which the message was made for: nanoseconds for processor time (cpu.stat has
 * microseconds), bytes for memory; no limit is UINT64_MAX for memory and 0 for pids, as upstream has it.
 * I/O is reported as upstream does for cgroup v2: io_service_bytes_recursive with one entry for each
 * device and op of "read", "write" (bytes), "rios", "wios" (requests), "dbytes", "dios" (discards); and
 * requests once more in io_serviced_recursive with the ops "read" and "write".
 *
 * For pressure (PSI) and memory events the message has no field. They are in the map memory_stats.stats,
 * beside the keys of memory.stat:
 *      psi_RESOURCE_WHO_avgN           RESOURCE cpu, memory, io; WHO some, full; N 10, 60, 300 (seconds):
 *                                      hundredths of a percent of the time
 *      psi_RESOURCE_WHO_total          microseconds
 *      events_NAME                     memory.events: low, high, max, oom, oom_kill, oom_group_kill
 */

#include "basic/cleanup.h"
#include "proto/agent.pb-c.h"

typedef struct ContainerStats ContainerStats;

int container_stats_new(ContainerStats **ret);
ContainerStats *container_stats_free(ContainerStats *stats);
DEFINE_CLEANUP_FUNC(ContainerStats *, container_stats_free)

/* Complete with all its parts, also those nothing was read for. Valid until the object is freed. */
const ProtobufCMessage *container_stats_message(const ContainerStats *stats);
const Grpc__StatsContainerResponse *container_stats_response(const ContainerStats *stats);

void container_stats_add_cpu(ContainerStats *stats, const char *text);          /* cpu.stat */
void container_stats_add_memory(ContainerStats *stats, const char *text);       /* memory.stat */
void container_stats_add_memory_events(ContainerStats *stats, const char *text);
void container_stats_add_io(ContainerStats *stats, const char *text);           /* io.stat */
void container_stats_add_pressure(ContainerStats *stats, const char *resource, const char *text);
void container_stats_add_network(ContainerStats *stats, const char *text);      /* /proc/net/dev */

/* All files of the cgroup; those that are missing are skipped. */
int container_stats_read_cgroup(ContainerStats *stats, int cgroup_fd);
/* The interfaces of this process's network namespace; none for pid 0 and for one that is gone. */
int container_stats_read_network(ContainerStats *stats, int pid);
