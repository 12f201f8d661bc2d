/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The container's view of the file system: private mount namespace, root, mounts, devices, masks,
 * and pivot_root. Runs in the set-up child, in the new namespaces, with the agent's privileges.
 *
 * Trust: the plan comes from the host. The root directory and all below it is the tenant's, and
 * another container may be writing to it at the same time. Nothing in it is reached by a path that
 * the kernel does not resolve inside that root; mounts are made detached and attached by
 * descriptor.
 */

#include "agent/container-plan.h"

/*
 * cgroup_path: this container's cgroup directory, as seen by the agent. idmap_fd: where id-mapped mounts come from, see
 * idmap-mounts.h. before_pivot is called when all is
 * mounted and the guest's root is still the root.
 */
int rootfs_enter(const ContainerPlan *plan, const char *cgroup_path, int idmap_fd,
                 int (*before_pivot)(void *userdata, char **reterr_message), void *userdata,
                 char **reterr_message);

/* Nothing that happens in the mount namespace of this process reaches the one that it was made of. */
int rootfs_separate(void);

/* Behind the last thing that is made in there, the terminal: a /dev that the configuration wants read-only. */
int rootfs_finish(const ContainerPlan *plan, char **reterr_message);
