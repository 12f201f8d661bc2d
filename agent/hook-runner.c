/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks in workers: see hook-runner.h. */

#include "agent/hook-runner.h"

void hook_runner_done(HookRunner *runner)
{
        runner->worker = worker_cancel(runner->worker);
        hook_set_done(&runner->set);
}

/* In the worker, which has a copy of it all. */
static int run(void *userdata, char **reterr_message)
{
        const HookRunner *runner = userdata;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < runner->n_kinds; i++)
                r = hooks_run(&runner->set, runner->kinds[i], runner->status, runner->pid, reterr_message);
        return r;
}

static void on_done(int error, const char *message, void *userdata)
{
        HookRunner *runner = userdata;

        runner->worker = NULL;
        runner->done(runner, error, message);
}

int hook_runner_start(HookRunner *runner, Loop *loop, const HookKind *kinds, size_t n, const char *status,
                      pid_t pid, void (*done)(HookRunner *runner, int error, const char *message))
{
        bool any = false;
        int r;

        assert(n <= ELEMENTSOF(runner->kinds) && !runner->worker);
        for (size_t i = 0; i < n; i++) {
                any = any || hook_set_has(&runner->set, kinds[i]);
                runner->kinds[i] = kinds[i];
        }
        if (!any)
                return 0;

        runner->n_kinds = n;
        runner->status = status;
        runner->pid = pid;
        runner->done = done;
        /* Each hook has a deadline of its own. */
        r = worker_start(&runner->worker, loop, run, runner, USEC_INFINITY, on_done, runner);
        return r < 0 ? r : 1;
}
