/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sandbox of containers of the command line: a unit that the first container starts and the last one that
 * is deleted stops. One lock for each, so that pods start side by side. Sandboxes of others are left alone.
 */

#include <sys/types.h>

#include "runtime/cli/task-client.h"
#include "runtime/unit/scope-limits.h"

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
        ScopeLimits limits;             /* of that scope; not owned */
        const char *netns;              /* path of the network namespace whose interfaces the guest gets; "new" */
} SandboxParams;

/* The definition of such a sandbox, see kata-sandbox.conf(5); new string, NULL when there is no memory. */
char *sandbox_params_to_text(const SandboxParams *params);

/* The network namespace of its machine. */
int sandbox_open_namespace(const char *sandbox, int *ret_fd, char **reterr_message);
/*
 * Before anything is made: -EEXIST with a text if the sandbox is the operator's or another root's (sandbox-owner.h).
 * One of another caller is found by sandbox_ensure().
 */
int sandbox_check(const char *root, const char *sandbox, char **reterr_message);
/* With the lock. 1: it was started, 0: it ran already. What a failure leaves is for sandbox_release(). */
int sandbox_ensure(const char *root, const char *sandbox, const SandboxParams *params, char **reterr_message);
/* task_client_connect() to a sandbox of ours; -ENOENT if it is none. */
int sandbox_connect(const char *root, const char *sandbox, TaskClient **ret, char **reterr_message);
/*
 * Puts a process of the host that stands for one of the sandbox into a scope, that of the machine if it is NULL. A
 * failure is logged: what callers read of its cgroup is then not what it should be, the container is none the worse.
 */
void sandbox_attach(const char *sandbox, const char *scope, pid_t pid);
/*
 * With the lock: stops it unless one of the containers in root is in it, and forgets the lock. id is not counted: it is
 * about to be removed, but not yet, so that whoever is killed meanwhile leaves it for the next delete.
 */
int sandbox_release(const char *root, const char *sandbox, const char *id, char **reterr_message);
