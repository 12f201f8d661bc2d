/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A process by pidfd, so that a recycled pid is never signalled. pid 0 = empty. pidfd_open() is Linux
 * 5.3; the supported hosts all have it, so there is no fallback.
 */

#include <sys/types.h>

#include "basic/fd.h"

typedef struct PidRef {
        pid_t pid;
        int fd;         /* pidfd, readable once the process has exited */
} PidRef;

#define PIDREF_NULL ((PidRef) { .fd = -EBADF })

static inline bool pidref_is_set(const PidRef *ref)
{
        return ref->pid > 0;
}

int pidref_set(PidRef *ref, pid_t pid);
/* Takes a pidfd on success. -ESRCH if the process has been reaped, or is of another pid namespace. */
int pidref_set_fd(PidRef *ref, int *fd);
void pidref_done(PidRef *ref);

/* -ESRCH once it is gone. */
int pidref_kill(const PidRef *ref, int sig);

/* Reaps a child: waitid() status words as si_code and si_status. -ECHILD if it is not our child. */
int pidref_reap(const PidRef *ref, int *ret_code, int *ret_status);

/* Start time in clock ticks (field 22 of /proc/PID/stat): with the pid it names a process for ever. */
int pid_start_time(pid_t pid, uint64_t *ret);
