/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Numbers of a container: the agent's answer to StatsContainer → what containerd's clients read, the metrics of
 * cgroup v1 or v2. Clients decode the type that goes with the mode of the host's cgroups and no other, so that
 * decides, not the guest (which has v2). Pure; the numbers are the guest's.
 */

#include "proto/agent.pb-c.h"
#include "proto/pb-arena.h"

/* By the file system at /sys/fs/cgroup. */
bool task_stats_host_is_unified(void);

/* Full name of the message (the type_url of containerd has no prefix) and its bytes, to be freed. */
int task_stats_convert(const Grpc__StatsContainerResponse *stats, bool unified, const char **ret_type,
                       uint8_t **ret_data, size_t *ret_size);
