/* SPDX-License-Identifier: Apache-2.0 */
/* Forked workers: see worker.h. */

#include "agent/worker.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/log.h"

#define WORKER_TEXT_MAX 500U

typedef struct WorkerResult {
        int error;
        char text[WORKER_TEXT_MAX + 1];
} WorkerResult;

struct Worker {
        LoopSource *child, *timer;
        pid_t pid;
        int pipe_fd;
        int kill_fd;            /* second pidfd: the loop owns the first */
        WorkerDone done;        /* NULL once it was called or is not wanted */
        void *userdata;
};

static Worker *worker_free(Worker *worker)
{
        if (!worker)
                return NULL;

        loop_source_free(worker->child);
        loop_source_free(worker->timer);
        safe_close(worker->pipe_fd);
        safe_close(worker->kill_fd);
        free(worker);
        return NULL;
}

static void finish(Worker *worker, int error, const char *message)
{
        WorkerDone done = worker->done;

        worker->done = NULL;
        if (done)
                done(error, message, worker->userdata);
}

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        Worker *worker = userdata;
        WorkerResult result = {};
        char text[64];

        if (code == CLD_EXITED && status == 0 &&
            read_full(worker->pipe_fd, &result, sizeof(result)) >= 0) {
                result.text[WORKER_TEXT_MAX] = '\0';
                finish(worker, result.error, result.text[0] ? result.text : NULL);
        } else {
                snprintf(text, sizeof(text), "worker process ended with %s %d",
                         code == CLD_EXITED ? "status" : "signal", status);
                finish(worker, -EIO, text);
        }

        worker_free(worker);
}

static void on_deadline(LoopSource *source, void *userdata)
{
        Worker *worker = userdata;

        worker->timer = loop_source_free(worker->timer);
        (void) syscall(SYS_pidfd_send_signal, worker->kill_fd, SIGKILL, NULL, 0);
        /* The answer does not wait for a child that is stuck in the kernel; on_child frees it. */
        finish(worker, -ETIMEDOUT, NULL);
}

/* Leaves the result pipe as 3, and what is to be kept from WORKER_KEPT_FD on. */
static int arrange_fds(int fd, const int *fds, size_t n_fds)
{
        const int end = WORKER_KEPT_FD + (int) n_fds;
        int parked[WORKER_KEPT_MAX];

        for (size_t i = 0; i < n_fds; i++) {
                parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, end);
                if (parked[i] < 0)
                        return negative_errno();
        }
        if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
                return negative_errno();
        for (size_t i = 0; i < n_fds; i++)
                if (dup3(parked[i], WORKER_KEPT_FD + (int) i, O_CLOEXEC) < 0)
                        return negative_errno();
        return syscall(SYS_close_range, (unsigned) end, ~0U, 0) < 0 ? negative_errno() : 0;
}

static void _noreturn_ run_child(int fd, const int *fds, size_t n_fds, WorkerFunc func, void *func_data)
{
        _cleanup_free_ char *message = NULL;
        WorkerResult result = {};
        struct sigaction sa = { .sa_handler = SIG_DFL };
        sigset_t none;

        log_set_target(NULL);
        for (int sig = 1; sig < NSIG; sig++)
                (void) sigaction(sig, &sa, NULL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);

        /* Copies of stdio pipes held here would delay a container's end of file. */
        if (arrange_fds(fd, fds, n_fds) < 0)
                _exit(EXIT_FAILURE);

        result.error = func(func_data, &message);
        if (message)
                snprintf(result.text, sizeof(result.text), "%s", message);
        /* Below PIPE_BUF: written as a whole. */
        _exit(write_full(3, &result, sizeof(result)) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

int worker_start_keeping(Worker **ret, Loop *loop, WorkerFunc func, void *func_data, const int *fds, size_t n_fds,
                         usec_t timeout, WorkerDone done, void *done_data)
{
        _cleanup_(pidref_done) PidRef child = PIDREF_NULL;
        Worker *worker;
        int p[2], r;
        pid_t pid;

        assert(n_fds <= WORKER_KEPT_MAX);
        worker = new0(Worker, 1);
        if (!worker)
                return -ENOMEM;
        *worker = (Worker) {
                .pipe_fd = -EBADF, .kill_fd = -EBADF, .done = done, .userdata = done_data,
        };

        if (pipe2(p, O_CLOEXEC) < 0) {
                r = negative_errno();
                goto fail;
        }
        worker->pipe_fd = p[0];

        pid = fork();
        if (pid < 0) {
                r = negative_errno();
                safe_close(p[1]);
                goto fail;
        }
        if (pid == 0)
                run_child(p[1], fds, n_fds, func, func_data);
        safe_close(p[1]);

        r = pidref_set(&child, pid);
        if (r >= 0) {
                worker->kill_fd = fcntl(child.fd, F_DUPFD_CLOEXEC, 3);
                if (worker->kill_fd < 0)
                        r = negative_errno();
        }
        if (r >= 0 && timeout != USEC_INFINITY)
                r = loop_add_time(loop, &worker->timer, now_usec() + timeout, on_deadline, worker);
        if (r >= 0)
                r = loop_add_child(loop, &worker->child, &child, on_child, worker);
        if (r < 0) {
                /* Not reaped yet, so the pid is still this child's. */
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                goto fail;
        }

        worker->pid = pid;
        if (ret)
                *ret = worker;
        return 0;

fail:
        worker_free(worker);
        return r;
}

int worker_start(Worker **ret, Loop *loop, WorkerFunc func, void *func_data, usec_t timeout,
                 WorkerDone done, void *done_data)
{
        return worker_start_keeping(ret, loop, func, func_data, NULL, 0, timeout, done, done_data);
}

Worker *worker_cancel(Worker *worker)
{
        if (!worker)
                return NULL;

        worker->done = NULL;
        worker->timer = loop_source_free(worker->timer);
        (void) syscall(SYS_pidfd_send_signal, worker->kill_fd, SIGKILL, NULL, 0);
        return NULL;
}
