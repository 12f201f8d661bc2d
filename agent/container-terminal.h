/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The pseudo-terminal of a container process. The set-up child makes it from the devpts instance that the
 * container sees, once it is inside, and hands the master to the agent; so its name in the container is that
 * of a file there. Nothing is taken for what its path says: the container may have mounted anything on
 * /dev/pts by the time of a later process.
 */

#include "agent/container-process-plan.h"

/* In the child, with the container's root as its own. Both are close-on-exec; the master does not block. */
int terminal_open(int *ret_master, int *ret_slave, char **reterr_message);

/* Mounts the slave on /dev/console of an init process: one that /dev/pts/N will not be taken away from. */
int terminal_bind_console(int slave, char **reterr_message);

/* Size, owner, controlling terminal, standard streams. Leader of a session without a terminal only. */
int terminal_adopt(int slave, const ProcessPlan *plan, char **reterr_message);

/* In the agent: a descriptor that came from a child is a master of a pseudo-terminal. */
bool terminal_is_master(int fd);
