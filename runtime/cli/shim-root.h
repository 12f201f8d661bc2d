/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The root directory of the process that stands for a container: the container's own on the host, with its bind
 * mounts and a procfs of the process namespace. Callers look at a container through that process (/proc/PID/root,
 * setns()); podman cp even writes. With the host's root that would be the host's files.
 *
 * The content is foreign: targets are resolved inside of the root. A bind mount that can not be made is left out, as
 * is what is covered by another mount; a tmpfs of the guest has no counterpart here.
 */

#include "runtime/cli/oci-bundle.h"

/* In a child in a mount and a process namespace of its own. dir: a directory to mount it at. Negative errno. */
int shim_root_make(const OciBundle *bundle, const char *dir);
