/* SPDX-License-Identifier: Apache-2.0 */
/* Shared namespaces: see sandbox-ns.h. The holder is seen by the containers' processes, and root among them
 * may send it signals that it does not catch: process 1 does not die of those. */

#include "agent/sandbox-ns.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/log.h"

#define READY_FD 3

/* Nothing of the agent stays open; what is copied of its memory nobody else may look at. */
static _noreturn_ void run_holder(int ready_fd, const char *hostname)
{
        sigset_t all;
        int error = 0;

        sigfillset(&all);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
            sigprocmask(SIG_SETMASK, &all, NULL) < 0 ||
            (ready_fd != READY_FD && dup2(ready_fd, READY_FD) < 0) || close_range(0, READY_FD - 1, 0) < 0 ||
            close_range(READY_FD + 1, ~0U, 0) < 0 || chdir("/") < 0 || setsid() < 0 ||
            (hostname && sethostname(hostname, strlen(hostname)) < 0))
                error = errno;

        (void) prctl(PR_SET_NAME, "sandbox-ns", 0, 0, 0);
        if (write(READY_FD, &error, sizeof(error)) != sizeof(error) || error != 0)
                _exit(EXIT_FAILURE);
        safe_close(READY_FD);

        for (;;) {
                siginfo_t info;

                (void) sigwaitinfo(&all, &info);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
        }
}

static int open_ns(pid_t pid, const char *name)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? negative_errno() : fd;
}

static int open_all(SandboxNs *ns, bool with_pid)
{
        int r;

        r = ns->ipc_fd = open_ns(ns->holder.pid, "ipc");
        if (r >= 0)
                r = ns->uts_fd = open_ns(ns->holder.pid, "uts");
        if (r >= 0 && with_pid)
                r = ns->pid_fd = open_ns(ns->holder.pid, "pid");
        return r < 0 ? r : 0;
}

static void end_holder(PidRef *holder)
{
        int code, status;

        (void) pidref_kill(holder, SIGKILL);
        while (pidref_reap(holder, &code, &status) == -EAGAIN)
                (void) fd_wait(holder->fd, POLLIN, -1);
        pidref_done(holder);
}

static void on_holder(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        SandboxNs *ns = userdata;

        ns->source = loop_source_free(ns->source);
        pidref_done(&ns->holder);
        log_error("The pid namespace of the sandbox has ended (%s %d)",
                  code == CLD_EXITED ? "status" : "signal", status);
}

/* The loop reaps it from here on. */
static int watch(SandboxNs *ns, Loop *loop)
{
        _cleanup_(pidref_done) PidRef ref = { .pid = ns->holder.pid };

        ref.fd = fcntl(ns->holder.fd, F_DUPFD_CLOEXEC, 3);
        return ref.fd < 0 ? negative_errno() : loop_add_child(loop, &ns->source, &ref, on_holder, ns);
}

static int start_holder(PidRef *ret, const char *hostname, bool with_pid)
{
        int p[2], error = 0, pidfd = -EBADF, r;
        struct clone_args args = {
                .flags = CLONE_NEWIPC | CLONE_NEWUTS | (with_pid ? CLONE_NEWPID : 0) | CLONE_PIDFD |
                         CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t) (uintptr_t) &pidfd,
                .exit_signal = SIGCHLD,
        };
        pid_t pid;

        if (pipe2(p, O_CLOEXEC) < 0)
                return negative_errno();
        pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0)
                run_holder(p[1], hostname);
        r = pid < 0 ? negative_errno() : 0;
        safe_close(p[1]);
        if (r >= 0) {
                *ret = (PidRef) { .pid = pid, .fd = pidfd };
                /* A few system calls away. */
                r = read_full(p[0], &error, sizeof(error));
                if (r >= 0 && error != 0)
                        r = -error;
        }
        safe_close(p[0]);
        return r;
}

int sandbox_ns_make(SandboxNs *ret, Loop *loop, const char *hostname, bool with_pid, char **reterr_message)
{
        int r;

        *ret = SANDBOX_NS_NULL;
        r = start_holder(&ret->holder, hostname, with_pid);
        if (r >= 0)
                r = open_all(ret, with_pid);
        if (r >= 0 && with_pid)
                r = watch(ret, loop);
        if (pidref_is_set(&ret->holder) && !ret->source)
                /* Descriptors are enough for the others. */
                end_holder(&ret->holder);
        if (r < 0) {
                sandbox_ns_done(ret);
                return error_setf(reterr_message, r, "cannot make the namespaces of the sandbox: %s",
                                  strerror(-r));
        }
        return 0;
}

void sandbox_ns_done(SandboxNs *ns)
{
        /* Not to be waited for: it is gone only when all processes of its namespace have been reaped. */
        if (ns->source)
                (void) pidref_kill(&ns->holder, SIGKILL);
        ns->source = loop_source_free(ns->source);
        pidref_done(&ns->holder);
        ns->ipc_fd = safe_close(ns->ipc_fd);
        ns->uts_fd = safe_close(ns->uts_fd);
        ns->pid_fd = safe_close(ns->pid_fd);
}
