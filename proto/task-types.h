/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Type URLs of what an Any of the Task service holds: JSON of runtime-spec (containerd's typeurl), and options of runc.
 */

#define TASK_TYPE_PROCESS "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define TASK_TYPE_RESOURCES "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
#define TASK_TYPE_RUNC_OPTIONS "containerd.runc.v1.Options"
