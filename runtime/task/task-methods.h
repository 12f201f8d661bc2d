/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of containerd's Task service: handlers of the table in method-table.c; userdata is the service. */

#include "runtime/task/task-internal.h"

void task_method_state(void *userdata, TtrpcCall *call, const void *input);
void task_method_create(void *userdata, TtrpcCall *call, const void *input);
void task_method_start(void *userdata, TtrpcCall *call, const void *input);
void task_method_delete(void *userdata, TtrpcCall *call, const void *input);
void task_method_pids(void *userdata, TtrpcCall *call, const void *input);
void task_method_pause(void *userdata, TtrpcCall *call, const void *input);
void task_method_resume(void *userdata, TtrpcCall *call, const void *input);
void task_method_checkpoint(void *userdata, TtrpcCall *call, const void *input);
void task_method_kill(void *userdata, TtrpcCall *call, const void *input);
void task_method_exec(void *userdata, TtrpcCall *call, const void *input);
void task_method_resize_pty(void *userdata, TtrpcCall *call, const void *input);
void task_method_close_io(void *userdata, TtrpcCall *call, const void *input);
void task_method_update(void *userdata, TtrpcCall *call, const void *input);
void task_method_wait(void *userdata, TtrpcCall *call, const void *input);
void task_method_stats(void *userdata, TtrpcCall *call, const void *input);
void task_method_connect(void *userdata, TtrpcCall *call, const void *input);
void task_method_shutdown(void *userdata, TtrpcCall *call, const void *input);
