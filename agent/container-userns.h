/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers in a user namespace of their own: root inside is an unprivileged user of the guest. The
 * namespace is made together with the others, which it then owns; what its root may not do is done for it
 * by the agent before it goes on:
 *
 *      agent                                   set-up child
 *      clone3(CLONE_NEWUSER | ...)
 *      uid_map, gid_map                        waits for a byte
 *      oom_score_adj, resource limits
 *      one byte ------------------------>      becomes root of the namespace
 *                                              mounts, ..., program
 *
 * A process that joins later (container-exec.h) gets the same in the same order: its child enters the namespace
 * as the guest's root, which may put it into the cgroup, and becomes root of the namespace when the agent has
 * set the limits.
 *
 * Device nodes cannot be made inside, so those of the guest are bound into /dev; only the six that every
 * container has are there for that. A sysfs cannot be mounted without a network namespace of the
 * container's own; then the guest's is bound, read-only.
 */

#include <sys/types.h>

#include "agent/devices.h"
#include "agent/id-map.h"
#include "basic/cleanup.h"

struct ContainerPlan;
struct ProcessPlan;
struct RlimitEntry;

/* Everything else of the plan fits a user namespace. */
int userns_check(const struct ContainerPlan *plan, char **reterr_message);

/* User and groups of a process exist inside: -EINVAL names the one that does not. */
int userns_check_process(const IdMap *uid_map, const IdMap *gid_map, const struct ProcessPlan *process,
                         char **reterr_message);

/* In the agent, before clone(): pipes among the standard streams become those of the process's user. */
int userns_hand_over_streams(const IdMap *uid_map, const IdMap *gid_map, const struct ProcessPlan *process,
                             const int *fds, size_t n_fds, char **reterr_message);
/* That, and the cgroup becomes the container's root's, if wanted. */
int userns_hand_over(const struct ContainerPlan *plan, const int *fds, size_t n_fds, int cgroup_fd,
                     char **reterr_message);
/* For a process that has just been made in a namespace of its own, by somebody with the guest's privileges. */
int userns_write_maps(const IdMap *uid_map, const IdMap *gid_map, pid_t pid, char **reterr_message);
/* In the agent, for the child that waits in userns_enter(). Afterwards it wants one byte. */
int userns_set_up(const struct ContainerPlan *plan, pid_t pid, char **reterr_message);

/* In the agent, for a child that waits: resource limits, which only the guest's root may raise. */
int userns_set_limits(const struct RlimitEntry *limits, size_t n, pid_t pid, char **reterr_message);

/* In the child, inside the namespace. */
int userns_become_root(char **reterr_message);
/* The same once the byte has come. */
int userns_enter(int sync_fd, char **reterr_message);
/* Instead of making nodes: binds those of the guest. */
int userns_bind_devices(int dev_fd, const DeviceNode *nodes, size_t n, char **reterr_message);
