/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent of one container as a process: in a session and, where there is cgroup v2, in a cgroup of its own
 * (/sys/fs/cgroup/bundle-runner/NAME), so that limits work as far as the machine has controllers.
 */

#include <sys/types.h>

#include "tests/bundle-runner/record.h"

#define AGENT_STREAMS_PORT 1027

/*
 * Makes record->run_dir and record->cgroup, starts program and waits until it listens; record->agent_pid and
 * agent_start are set. On failure nothing is left.
 */
int agent_launch(Record *record, const char *program, char **reterr_message);

/* Allocated, NULL without memory. The socket for streams is beside it, with ".1027" behind its name. */
char *agent_socket_path(const Record *record);

bool agent_is_alive(const Record *record);

/* Ends it with all that it has started, removes its cgroup and directory. -EBUSY if something does not die. */
int agent_end(const Record *record, char **reterr_message);
