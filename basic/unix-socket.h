/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * UNIX sockets by directory descriptor and name: sun_path has 108 bytes, a sandbox id alone may
 * have 128. Host side; the directories belong to root.
 */

#include <sys/types.h>

#include "basic/cleanup.h"

/* Removes what is at name, binds and listens there with mode 0600; the socket blocks. */
int unix_listen_at(int dir_fd, const char *name, int *ret_fd);

/*
 * dir_fd may be AT_FDCWD: name is then below the working directory, which needs no /proc. Connects without blocking
 * (-EAGAIN when the backlog is full); the socket is non-blocking.
 */
int unix_connect_at(int dir_fd, const char *name, int *ret_fd);

/*
 * As send() and recv() with the flags (MSG_NOSIGNAL is added), and a descriptor that goes along with the first of the
 * bytes. What arrives is close-on-exec; without one *ret_passed is -EBADF. They return a number of bytes or a
 * negative errno.
 */
ssize_t unix_send_fd(int fd, const void *data, size_t n, int flags, int passed);
ssize_t unix_recv_fd(int fd, void *data, size_t n, int flags, int *ret_passed);
