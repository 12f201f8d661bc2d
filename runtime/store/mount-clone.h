/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A mount of a path that is not in any tree yet, from this mount namespace or another one. What is mounted below a
 * private mount after a supervisor has started is not in its namespace (storage of podman is such a mount), but in
 * that of whoever has mounted it. A detached mount may be attached in any namespace of the same user namespace (Linux
 * 5.2, move_mount(2)).
 */

#include "basic/cleanup.h"

/*
 * namespace_fd: where source is looked up; -EBADF: here. Another namespace is entered by a child, which needs
 * CAP_SYS_ADMIN and CAP_SYS_CHROOT. Waits for as long as looking the path up takes.
 */
int mount_clone(int namespace_fd, const char *source, bool recursive, int *ret_fd);
