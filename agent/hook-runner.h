/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Hooks in the agent's own namespaces, one run at a time, each in a worker, so that the loop does not wait for
 * a program. Embedded in a container.
 */

#include "agent/container-hooks.h"
#include "agent/worker.h"

typedef struct HookRunner HookRunner;

struct HookRunner {
        HookSet set;
        Worker *worker;         /* NULL: nothing runs */
        HookKind kinds[2];
        size_t n_kinds;
        const char *status;     /* static */
        pid_t pid;
        void (*done)(HookRunner *runner, int error, const char *message);
};

/* Cancels what runs: done is not called. */
void hook_runner_done(HookRunner *runner);

/*
 * 1: the hooks of these kinds run one after another, done() is called from the loop; 0: there are none.
 * kinds: up to two. pid 0: none.
 */
int hook_runner_start(HookRunner *runner, Loop *loop, const HookKind *kinds, size_t n, const char *status,
                      pid_t pid, void (*done)(HookRunner *runner, int error, const char *message));
