/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a container is doing, by its agent. */

#include <sys/types.h>

#include "tests/bundle-runner/record.h"
#include "tests/bundle-runner/session.h"

#define CALL_TIMEOUT (60 * USEC_PER_SEC)

typedef struct Status {
        const char *name;       /* static: "creating", "created", "running", "paused" or "stopped" */
        pid_t pid;              /* of its init process, 0 once that is gone */
} Status;

/* Connects to the agent. *ret is NULL if there is none any more: then the container is stopped. */
int status_connect(const Record *record, Session **ret, char **reterr_message);

/* session may be NULL. */
int status_get(Session *session, const char *id, Status *ret, char **reterr_message);

/* As "state" prints it, to be put. NULL without memory. */
json_object *status_to_json(const Record *record, const Status *status);
