/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Id-mapped mounts of a container (mount_setattr(2), MOUNT_ATTR_IDMAP). The kernel asks for privileges over the file
 * system, which the set-up child does not have in a user namespace; so a worker of the agent makes the trees, detached
 * and complete, and hands them to the child, which attaches them in their order:
 *
 *      agent           worker                                          set-up child
 *      both ends  -->  per mount: user namespace for the mapping,
 *                      open_tree(), attributes, id map        --fd-->  move_mount()
 *                                                             --text-> fails
 *
 * Sources are paths of the guest, given by the host; the mappings are bounded by id_map_parse(). The end of the worker
 * is the end of the socket pair, and the other way round.
 */

#include "agent/container-plan.h"
#include "agent/worker.h"

/*
 * For a plan that container_plan_has_idmaps(). *ret_fd is the child's end and the caller's; done as of
 * worker_start().
 */
int idmap_mounts_start(Worker **ret, int *ret_fd, Loop *loop, const ContainerPlan *plan, WorkerDone done,
                       void *userdata);

/* In the child, at its end: the next tree, as a descriptor. */
int idmap_mounts_receive(int fd, char **reterr_message);
