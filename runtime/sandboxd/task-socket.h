/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Task service of a sandbox whose containers a caller makes, on RUN_DIR/task.sock: joins runtime/task with
 * runtime/sandbox, which know nothing of each other's work.
 */

#include "runtime/sandbox/sandbox.h"
#include "runtime/task/task.h"

typedef struct TaskSocket TaskSocket;

/* From SandboxHandlers.on_guest. Clients can connect when it returns. */
int task_socket_new(TaskSocket **ret, sd_event *event, Sandbox *sandbox, bool resumed, char **reterr_message);
/* Before sandbox_free(). Accepts NULL, returns NULL. */
TaskSocket *task_socket_free(TaskSocket *socket);

TaskService *task_socket_service(TaskSocket *socket);
