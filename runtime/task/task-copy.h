/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes between one stream of the guest (a socket) and one descriptor of the host (FIFO, file or device), in
 * one direction, through one buffer of TASK_BUFFER_SIZE: a side that does not go on stops the other one.
 *
 *      out     guest → host. What the host has taken is acknowledged (agent/ring-stream.h), so that a crash of
 *              the supervisor loses nothing. A host that can not be written any more (a full file system)
 *              must not stop the container: the rest is read and dropped.
 *      in      host → guest, up to the end of the file, which the guest sees behind the last byte. A FIFO has
 *              its end when nobody has it open for writing any more; guard, one such descriptor of ours, keeps
 *              it from ending between two writers and is closed by task_copy_close_input().
 *
 * Trust: the guest may stop, flood or vanish at any time; nothing of it is parsed.
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"

typedef struct TaskCopy TaskCopy;

/* The end, with both descriptors closed. May free the object. */
typedef void (*TaskCopyEnd)(TaskCopy *copy, void *userdata);

/* Take their descriptors on success; those of the host are non-blocking. name is for the journal. */
int task_copy_new_out(TaskCopy **ret, sd_event *event, int guest_fd, int host_fd, const char *name,
                      TaskCopyEnd on_end, void *userdata);
int task_copy_new_in(TaskCopy **ret, sd_event *event, int guest_fd, int host_fd, int guard_fd, const char *name,
                     TaskCopyEnd on_end, void *userdata);
/* Without on_end. Accepts NULL, returns NULL. */
TaskCopy *task_copy_free(TaskCopy *copy);
DEFINE_CLEANUP_FUNC(TaskCopy *, task_copy_free)

void task_copy_close_input(TaskCopy *copy);
