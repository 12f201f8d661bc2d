/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work that may block (a mount over virtio-fs, sync) in a forked child, so that the loop never waits. The
 * child has no descriptors but its result pipe, default signal handlers, and a copy of the agent's memory;
 * it leaves by _exit().
 */

#include "agent/loop.h"

typedef struct Worker Worker;

/* Runs in the child. Returns 0 or negative errno; *reterr_message is carried over (first 500 bytes). */
typedef int (*WorkerFunc)(void *userdata, char **reterr_message);
/*
 * error: what the function returned; -ETIMEDOUT at the deadline (the child got SIGKILL, but one stuck in
 * the kernel may still finish later); -EIO with a text if it died. message may be NULL. The worker is
 * freed afterwards.
 */
typedef void (*WorkerDone)(int error, const char *message, void *userdata);

/* timeout: microseconds from now, USEC_INFINITY for none. ret may be NULL. */
int worker_start(Worker **ret, Loop *loop, WorkerFunc func, void *func_data, usec_t timeout,
                 WorkerDone done, void *done_data);

/*
 * The same with further descriptors, at most WORKER_KEPT_MAX, which the child has from WORKER_KEPT_FD on, in their
 * order. fds stay the caller's.
 */
#define WORKER_KEPT_FD 4
#define WORKER_KEPT_MAX 64U
int worker_start_keeping(Worker **ret, Loop *loop, WorkerFunc func, void *func_data, const int *fds, size_t n_fds,
                         usec_t timeout, WorkerDone done, void *done_data);

/* Kills the child; done is not called. It is reaped later. */
Worker *worker_cancel(Worker *worker);
