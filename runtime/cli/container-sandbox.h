/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sandbox of containers of the command line: a unit that the first container starts and the last one that
 * is deleted stops. One lock for each, so that pods start side by side.
 */

#include <sys/types.h>

#include "basic/cleanup.h"

#define DEFAULT_ROOT "/run/kata-runtime"

/*
 * Name of the sandbox of a pod or a single container: its id, for another root than the default with the root's
 * last component as namespace, so that "--root /run/containerd/runc/moby" is "moby:ID". New string; -EINVAL.
 */
int sandbox_name_for(const char *root, const char *id, char **ret, char **reterr_message);

/* Holds the lock until it is closed. */
int sandbox_lock(const char *root, const char *sandbox, int *ret_fd, char **reterr_message);

/* 0 and NULL: what the node's configuration says. */
typedef struct SandboxParams {
        uint64_t memory;                /* bytes, whole MiB */
        unsigned vcpus;
        const char *slice, *scope;      /* of its machine */
        const char *netns;              /* path of the network namespace whose interfaces the guest gets */
} SandboxParams;

/* With the lock. 1: it was started, 0: it ran already. */
int sandbox_ensure(const char *sandbox, const SandboxParams *params, char **reterr_message);
/*
 * Puts a process of the host that stands for one of the sandbox into the scope of its machine. A failure is logged:
 * what callers read of its cgroup is then not the machine's, the container is none the worse.
 */
void sandbox_attach(const char *sandbox, pid_t pid);
/*
 * With the lock: stops it unless one of the containers in root is in it, and forgets the lock. id is not counted: it is
 * about to be removed, but not yet, so that whoever is killed meanwhile leaves it for the next delete.
 */
int sandbox_release(const char *root, const char *sandbox, const char *id, char **reterr_message);
