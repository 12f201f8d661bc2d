/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Event loop of the agent: level-triggered epoll, timers, exits of children. One thread, no callbacks
 * from signal context. Handlers may free any source, their own included.
 */

#include <sys/epoll.h>
#include <sys/types.h>

#include "basic/parse.h"
#include "basic/pidref.h"

typedef struct Loop Loop;
typedef struct LoopSource LoopSource;

typedef void (*LoopFdHandler)(LoopSource *source, int fd, uint32_t events, void *userdata);
typedef void (*LoopTimeHandler)(LoopSource *source, void *userdata);
/* code, status: si_code and si_status of waitid(2); the child has been reaped. */
typedef void (*LoopChildHandler)(LoopSource *source, pid_t pid, int code, int status, void *userdata);

int loop_new(Loop **ret);
Loop *loop_free(Loop *loop);
DEFINE_CLEANUP_FUNC(Loop *, loop_free)

/* The descriptor stays the caller's: free the source before closing it. events may be 0 (only errors). */
int loop_add_fd(Loop *loop, LoopSource **ret, int fd, uint32_t events, LoopFdHandler handler,
                void *userdata);
int loop_source_set_events(LoopSource *source, uint32_t events);

/* Fires once at CLOCK_MONOTONIC time when; re-arm with loop_source_set_time(). */
int loop_add_time(Loop *loop, LoopSource **ret, usec_t when, LoopTimeHandler handler, void *userdata);
int loop_source_set_time(LoopSource *source, usec_t when);

/* Takes the pidfd on success. Fires once. */
int loop_add_child(Loop *loop, LoopSource **ret, PidRef *pidref, LoopChildHandler handler,
                   void *userdata);

/* True while the exit of this child is still to be delivered: nobody else may reap it. */
bool loop_watches_child(const Loop *loop, pid_t pid);

/* Accepts NULL, returns NULL. */
LoopSource *loop_source_free(LoopSource *source);
DEFINE_CLEANUP_FUNC(LoopSource *, loop_source_free)

/* Runs until loop_exit(); returns its code, or a negative errno. */
int loop_run(Loop *loop);
void loop_exit(Loop *loop, int code);
/* One iteration, at most timeout_ms (-1: for ever): for tests. */
int loop_run_once(Loop *loop, int timeout_ms);
