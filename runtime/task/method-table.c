/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all methods: see task-methods.h. */

#include "runtime/task/task-methods.h"

/* containerd 2 speaks v3 with those that ask for it; the messages are the same. */
const char *const task_service_names[] = { "containerd.task.v2.Task", "containerd.task.v3.Task", NULL };

static const TtrpcMethod methods[] = {
        { "State", &containerd__task__v2__state_request__descriptor, task_method_state },
        { "Create", &containerd__task__v2__create_task_request__descriptor, task_method_create },
        { "Start", &containerd__task__v2__start_request__descriptor, task_method_start },
        { "Delete", &containerd__task__v2__delete_request__descriptor, task_method_delete },
        { "Pids", &containerd__task__v2__pids_request__descriptor, task_method_pids },
        { "Pause", &containerd__task__v2__pause_request__descriptor, task_method_pause },
        { "Resume", &containerd__task__v2__resume_request__descriptor, task_method_resume },
        { "Checkpoint", &containerd__task__v2__checkpoint_task_request__descriptor, task_method_checkpoint },
        { "Kill", &containerd__task__v2__kill_request__descriptor, task_method_kill },
        { "Exec", &containerd__task__v2__exec_process_request__descriptor, task_method_exec },
        { "ResizePty", &containerd__task__v2__resize_pty_request__descriptor, task_method_resize_pty },
        { "CloseIO", &containerd__task__v2__close_iorequest__descriptor, task_method_close_io },
        { "Update", &containerd__task__v2__update_task_request__descriptor, task_method_update },
        { "Wait", &containerd__task__v2__wait_request__descriptor, task_method_wait },
        { "Stats", &containerd__task__v2__stats_request__descriptor, task_method_stats },
        { "Connect", &containerd__task__v2__connect_request__descriptor, task_method_connect },
        { "Shutdown", &containerd__task__v2__shutdown_request__descriptor, task_method_shutdown },
};

const TtrpcMethod *task_methods(size_t *ret_n)
{
        *ret_n = ELEMENTSOF(methods);
        return methods;
}
