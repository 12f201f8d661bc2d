/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * shared_mounts of CreateContainer: a mount that a process of one container has made, or that it was given, is seen in
 * another one as well. As in upstream's agent (src/agent/src/sandbox.rs) the source is found by its name in the pod, or
 * here by its id, and waited for; other than there, what can not be done is an error with the name of the mount, and
 * not left out.
 *
 * Trust: the request is the host's, names and paths in it are bounded. Both root directories are tenants', one of which
 * runs: paths are resolved by the kernel inside of each, without following any symlink, and what is found is
 * worked on by descriptor. What is mounted at the source may be anything that its container was able to mount; the
 * devices and capabilities are those of the container that looks at it.
 */

#include "agent/container.h"
#include "proto/agent.pb-c.h"

typedef struct SharedMount {
        char *name;                     /* for errors */
        char *source, *source_path;     /* a container by name or id, and a mount point in it */
        char *target_path;              /* normal form */
} SharedMount;

typedef struct SharedMounts {
        SharedMount *v;
        size_t n;
} SharedMounts;

void shared_mounts_done(SharedMounts *mounts);

/* The name that a container has in its pod, from the annotations of container engines; NULL: none. */
const char *shared_mounts_container_name(const Grpc__Spec *spec);

/* For the container id with that name (or NULL): every mount has to be meant for it. Looks at nothing else. */
int shared_mounts_parse(SharedMounts *ret, const char *id, const char *name, Grpc__SharedMount *const *mounts, size_t n,
                        char **reterr_message);

/*
 * One after another, in a worker, whose mount namespace changes with it. fds: pidfd and root directory of the target,
 * then of the source of each mount, see container_get_join(). wait: for sources that are no mount points yet, all
 * together.
 */
int shared_mounts_make(const SharedMounts *mounts, const int *fds, usec_t wait, char **reterr_message);
