/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The standard streams of this process as those of a container: a stream to the agent each, and a process each
 * that copies, until the stream ends. Such a process holds nothing else, and outlives the command that made it.
 */

#include <sys/types.h>

#include "basic/fd.h"

typedef enum RelayStream {
        RELAY_STDIN,
        RELAY_STDOUT,
        RELAY_STDERR,
        _RELAY_MAX,
} RelayStream;

typedef struct Relay {
        int fds[_RELAY_MAX];            /* to the agent; -EBADF: none */
        uint32_t ports[_RELAY_MAX];     /* for CreateContainer; 0: none */
        pid_t pids[_RELAY_MAX];         /* 0: none */
} Relay;

#define RELAY_NULL ((Relay) { .fds = { -EBADF, -EBADF, -EBADF } })

/* Closes descriptors; processes go on. */
void relay_done(Relay *relay);

/*
 * Opens the streams to the agent at socket_path. A standard input that is closed or /dev/null needs none: the
 * container gets a /dev/null of its own.
 */
int relay_connect(Relay *relay, const char *socket_path, char **reterr_message);

/* Starts the processes; the descriptors are theirs. */
int relay_start(Relay *relay);

/* Until all output is written; then nobody reads input any more either. For children of this process. */
void relay_wait(Relay *relay);
