/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Copies bytes between the terminal (or pipes) of this process and a socket, until the socket's side ends. One
 * buffer in each direction: who does not read stops the writer on the other side.
 */

#include "basic/cleanup.h"

/*
 * End of in_fd: the socket's sending direction is closed, and what still comes from it is copied. detach: a byte
 * that ends everything when it is typed three times within a second, -1 for none. Returns 0 at the end of the
 * socket, -ECANCELED after detach or a signal that sets *stop, or an error.
 */
int pump_run(int in_fd, int out_fd, int socket_fd, int detach, const volatile int *stop);
