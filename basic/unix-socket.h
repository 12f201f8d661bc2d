/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * UNIX sockets by directory descriptor and name: sun_path has 108 bytes, a sandbox id alone may
 * have 128. Host side; the directories belong to root.
 */

#include "basic/cleanup.h"

/* Removes what is at name, binds and listens there with mode 0600; the socket blocks. */
int unix_listen_at(int dir_fd, const char *name, int *ret_fd);

/* Connects without blocking (-EAGAIN when the backlog is full); the socket is non-blocking. */
int unix_connect_at(int dir_fd, const char *name, int *ret_fd);
