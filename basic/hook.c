/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: see hook.h. What one prints may come from the tenant's files: a bounded tail of it gets into an error. */

#include "basic/hook.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

void hook_done(Hook *hook)
{
        free(hook->path);
        strv_done(&hook->args);
        strv_done(&hook->env);
}

typedef struct HookRun {
        pid_t pid;
        int in, out;            /* our ends; -EBADF: closed */
        const char *state;
        size_t state_n, written;
        char tail[HOOK_TAIL_MAX];
        size_t tail_n;
        usec_t end;
} HookRun;

static _noreturn_ void execute(const Hook *hook, int in, int out)
{
        sigset_t none;

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        /*
         * A group of its own, to be killed with all that it starts; and none that outlives whoever watches
         * over its deadline.
         */
        if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(in, STDIN_FILENO) < 0 ||
            dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
                _exit(126);

        (void) execve(hook->path, hook->args.v, hook->env.v ? hook->env.v : (char *[]) { NULL });
        dprintf(STDERR_FILENO, "%s", strerror(errno));
        _exit(127);
}

static int start(HookRun *run, const Hook *hook)
{
        int in[2], out[2], r;

        if (pipe2(in, O_CLOEXEC) < 0)
                return negative_errno();
        if (pipe2(out, O_CLOEXEC) < 0) {
                r = negative_errno();
                safe_close(in[0]);
                safe_close(in[1]);
                return r;
        }

        run->pid = fork();
        if (run->pid == 0)
                execute(hook, in[0], out[1]);
        r = run->pid < 0 ? negative_errno() : 0;
        safe_close(in[0]);
        safe_close(out[1]);
        run->in = in[1];
        run->out = out[0];
        if (r >= 0)
                r = fd_set_nonblock(run->in, true);
        if (r >= 0)
                r = fd_set_nonblock(run->out, true);
        return r;
}

/* A hook need not read it. */
static void feed(HookRun *run)
{
        ssize_t k = write(run->in, run->state + run->written, run->state_n - run->written);

        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (k > 0)
                run->written += (size_t) k;
        if (k <= 0 || run->written == run->state_n)
                run->in = safe_close(run->in);
}

static void keep_tail(HookRun *run, const char *p, size_t n)
{
        size_t drop;

        if (n > sizeof(run->tail)) {
                p += n - sizeof(run->tail);
                n = sizeof(run->tail);
        }
        drop = run->tail_n + n > sizeof(run->tail) ? run->tail_n + n - sizeof(run->tail) : 0;
        memmove(run->tail, run->tail + drop, run->tail_n - drop);
        run->tail_n -= drop;
        memcpy(run->tail + run->tail_n, p, n);
        run->tail_n += n;
}

static void drain(HookRun *run)
{
        char buf[4096];
        ssize_t k = read(run->out, buf, sizeof(buf));

        if (k > 0)
                keep_tail(run, buf, (size_t) k);
        else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                run->out = safe_close(run->out);
}

/* 1: it has exited, *ret_status is as of waitpid(2); 0: not yet. */
static int try_reap(HookRun *run, int *ret_status)
{
        pid_t pid = waitpid(run->pid, ret_status, WNOHANG);

        if (pid < 0 && errno != EINTR)
                return negative_errno();
        return pid == run->pid;
}

/*
 * Until the hook itself exits, not until its output ends: what it leaves in the background is its own
 * business. Its exit is polled for: the child that this is has no loop.
 */
static int follow(HookRun *run, int *ret_status)
{
        for (;;) {
                struct pollfd fds[] = {
                        { .fd = run->in, .events = POLLOUT }, { .fd = run->out, .events = POLLIN },
                };
                int r = try_reap(run, ret_status);

                if (r != 0) {
                        while (run->out >= 0 && poll(&fds[1], 1, 0) > 0)
                                drain(run);
                        return r;
                }
                if (now_usec() >= run->end)
                        return -ETIMEDOUT;
                if (poll(fds, ELEMENTSOF(fds), 5) <= 0)
                        continue;
                if (fds[0].revents)
                        feed(run);
                if (fds[1].revents)
                        drain(run);
        }
}

static int explain(const HookRun *run, const Hook *hook, const char *kind, int r, int status,
                   char **reterr_message)
{
        _cleanup_free_ char *tail = text_escape(run->tail, run->tail_n, 4 * HOOK_TAIL_MAX);
        char what[64];

        if (r == -ETIMEDOUT)
                snprintf(what, sizeof(what), "not done within %u s", hook->timeout_sec);
        else if (r < 0)
                snprintf(what, sizeof(what), "%s", strerror(-r));
        else if (WIFEXITED(status))
                snprintf(what, sizeof(what), "exit status %d", WEXITSTATUS(status));
        else
                snprintf(what, sizeof(what), "signal %d", WTERMSIG(status));

        return error_setf(reterr_message, r < 0 ? r : -EIO, "%s hook '%s': %s%s%s", kind, hook->path, what,
                          isempty(tail) ? "" : ": ", strempty(tail));
}

int hook_run(const Hook *hook, const char *kind, const char *state, size_t n, char **reterr_message)
{
        HookRun run = {
                .in = -EBADF, .out = -EBADF, .state = state, .state_n = n,
                .end = now_usec() + hook->timeout_sec * USEC_PER_SEC,
        };
        int r, status = 0;

        r = start(&run, hook);
        if (r >= 0)
                r = follow(&run, &status);
        if (r < 0 && run.pid > 0) {
                (void) kill(-run.pid, SIGKILL);
                (void) kill(run.pid, SIGKILL);
                (void) waitpid(run.pid, NULL, 0);
        }
        safe_close(run.in);
        safe_close(run.out);
        if (r < 0 || status != 0)
                return explain(&run, hook, kind, r, status, reterr_message);
        return 0;
}
