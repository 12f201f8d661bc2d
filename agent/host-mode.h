/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent on a machine that is not its own, for tests and development: the same server without the duties
 * of process 1. As root it goes into mount, uts, ipc and network namespaces of its own, so that what requests
 * change (mounts, host name, interfaces) stays there; containers find the machine's file systems as they are.
 * As another user it serves what needs no privilege.
 */

#include "agent/sandbox.h"

/*
 * Executes the agent again from a sealed copy in memory, unless this is one: a container that gets hold of
 * /proc/PID/exe of a process that joins it has nothing that it could write to (CVE-2019-5736). In a guest the
 * verified, read-only root is what keeps it from that. Returns 0 in the copy.
 */
int host_mode_seal(char *argv[], char **reterr_message);

/*
 * place: cgroup_root is the machine's own cgroup v2 directory of this process, allocated. A cgroup below the
 * root is left by the agent for "kata-agent" below it, so that controllers can be handed down.
 */
int host_mode_enter(SandboxPlace *ret, char **reterr_message);

/* "0::/PATH" of /proc/PID/cgroup → PATH, without a slash at its end. Modifies text. NULL if there is none. */
const char *host_mode_own_cgroup(char *text);
