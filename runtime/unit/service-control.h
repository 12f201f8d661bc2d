/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Units of sandboxes for command line tools: each function makes a connection of its own, waits for the answer and
 * for the job, and says in one line what went wrong.
 */

#include <sys/types.h>

#include "basic/parse.h"

/*
 * Starts the service and waits until it is ready. On failure the text has what the service itself said last
 * (StatusText=), which is the reason.
 */
int service_start(const char *unit, usec_t timeout, char **reterr_message);
/* Stops it and waits for the end. One that is not loaded is success. */
int service_stop(const char *unit, usec_t timeout, char **reterr_message);
/* ActiveState=, "inactive" also for one that is not loaded; new string. Of any unit. */
int service_active_state(const char *unit, char **ret);
/* Waits, and does nothing else, until it has such an ActiveState=: 0, or -ETIMEDOUT. */
int service_await(const char *unit, bool (*reached)(const char *state), usec_t timeout);
/* So that a unit that failed does not stay in the way. */
void service_reset_failed(const char *unit);
/*
 * The scope that is PartOf= the service, as the manager knows it; new string. -ENOENT: there is none. It is still
 * known when the service has failed and its runtime directory is gone.
 */
int service_find_scope(const char *unit, char **ret);
/* Puts a process into the cgroup of a scope or service. */
int service_attach(const char *unit, pid_t pid, char **reterr_message);
