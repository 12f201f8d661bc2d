/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container of the command line, found in the store and locked: what it is, what state it is in, and the calls
 * that every command needs.
 */

#include "runtime/cli/command.h"
#include "runtime/cli/container-store.h"
#include "runtime/cli/task-client.h"

/* For a call that the guest answers. */
#define CALL_USEC (90 * USEC_PER_SEC)

typedef enum ContainerStatus {
        STATUS_CREATING,
        STATUS_CREATED,
        STATUS_RUNNING,
        STATUS_PAUSED,
        STATUS_STOPPED,
        _STATUS_MAX,
} ContainerStatus;

typedef struct CliContainer {
        const char *root;
        StoreEntry entry;
        ContainerRecord record;         /* empty while it is being created; of a damaged one id and sandbox */
        bool has_record;
        TaskClient *client;             /* NULL: the sandbox is gone */
        ContainerStatus status;
} CliContainer;

const char *cli_root(const CliArgs *args);
/* The one line of what went wrong; an exit status. */
int cli_fail(int error, const char *message);
const char *container_status_to_string(ContainerStatus status);

/* Opens and looks. "container "ID" does not exist" otherwise. */
int container_open(const char *root, const char *id, CliContainer *ret, char **reterr_message);
void container_done(CliContainer *c);

/* The state of runtime-spec as an object, with runc's additions. */
json_object *container_state_json(const CliContainer *c);

/* A call about the container's task without an answer that matters. */
int container_call(CliContainer *c, const char *method, const ProtobufCMessage *request, char **reterr_message);
/* exec_id "": its first process. -ENOENT and "container not running" where there is nothing to be signalled. */
int container_kill(CliContainer *c, const char *exec_id, int sig, bool all, char **reterr_message);

/* TERM, SIGTERM, sigterm, 15. */
int signal_parse(const char *text, int *ret);
/* Writes the number, whole. */
int pid_file_write(const char *path, pid_t pid, char **reterr_message);
