/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the agent into a container: see container-exec.h. Up to the setns() the guest's own world is around,
 * from then on the tenant's.
 */

#include "agent/container-exec-child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container-process.h"
#include "agent/container-userns.h"
#include "basic/error.h"
#include "basic/fd.h"

#define INIT_FD (CHILD_SYNC_FD + 1)
#define CGROUP_FD (CHILD_SYNC_FD + 2)
#define ROOT_FD (CHILD_SYNC_FD + 3)

/* Inherited by the process: it may be lowered here only, and this procfs is nobody else's. */
static int set_oom_score(const ProcessPlan *plan, char **reterr_message)
{
        _cleanup_close_ int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

        return proc_fd < 0 ? negative_errno() : process_set_oom_score(plan, proc_fd, reterr_message);
}

static int has_stopped(char **reterr_message)
{
        return error_setf(reterr_message, -EBUSY, "the container has stopped");
}

/*
 * The process enters it by its file, which is opened here: setns(2) with a pidfd would ask for the right to look
 * into the init process, and from inside of a user namespace nobody has that before it executes its program.
 */
static int open_cgroup_namespace(const ExecChildContext *c, int *ret, char **reterr_message)
{
        const PidRef init = { .pid = c->join->init_pid, .fd = INIT_FD };
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        int r = 0;

        snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", (int) init.pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                r = negative_errno();
        /* It is not reaped, so the number has been its own all the time. */
        if (pidref_kill(&init, 0) == -ESRCH || r == -ENOENT || r == -ESRCH)
                return has_stopped(reterr_message);
        if (r < 0)
                return error_setf(reterr_message, r, "cgroup namespace of the container: %s", strerror(-r));

        *ret = TAKE_FD(fd);
        return 0;
}

static int enter(uint64_t namespaces, char **reterr_message)
{
        int r;

        /*
         * All or none. Root and directory become those of the mount namespace: for an agent that was in a
         * chroot there is more in it than the container.
         */
        if (setns(INIT_FD, (int) namespaces) >= 0 && fchdir(ROOT_FD) >= 0 && chroot(".") >= 0)
                return 0;

        r = negative_errno();
        if (r == -ESRCH)
                return has_stopped(reterr_message);
        return error_setf(reterr_message, r, "cannot join the container's namespaces: %s", strerror(-r));
}

/* A child of the agent, in the container's pid namespace and cgroup. */
static pid_t clone_process(int *ret_pidfd)
{
        struct clone_args args = {
                .flags = CLONE_PARENT | CLONE_PIDFD | CLONE_INTO_CGROUP,
                .pidfd = (uint64_t) (uintptr_t) ret_pidfd,
                .cgroup = CGROUP_FD,
                /* CLONE_PARENT asks for none here: it is that of the joiner. */
                .exit_signal = 0,
        };
        pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        return pid < 0 ? negative_errno() : pid;
}

static int set_up(const ExecChildContext *c, int cgroup_ns_fd, Strv *ret_env, char **ret_program,
                  char **reterr_message)
{
        const ProcessPlan *plan = c->plan;
        int r;

        /* Only now: the guest's root alone may put a process into the cgroup, and from outside of its namespace. */
        if (c->join->namespaces & CLONE_NEWUSER) {
                r = userns_become_root(reterr_message);
                if (r < 0)
                        return r;
        }
        if (cgroup_ns_fd >= 0 && setns(cgroup_ns_fd, CLONE_NEWCGROUP) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cannot join the cgroup namespace: %s", strerror(-r));
        }
        if (close_range(CHILD_SYNC_FD + 1, ~0U, 0) < 0 || setsid() < 0)
                return negative_errno();

        r = plan->terminal ? child_set_up_terminal(plan, false, reterr_message)
                           : child_adopt_stdio(&c->io, plan, reterr_message);
        if (r >= 0)
                r = process_make_env(plan, ret_env, reterr_message);
        if (r >= 0)
                r = c->join->namespaces & CLONE_NEWUSER ? 0 : extras_schedule(c->extras, 0, reterr_message);
        if (r >= 0)
                r = extras_set_final_cpus(c->extras, reterr_message);
        if (r >= 0)
                r = extras_set_personality(c->extras, reterr_message);
        if (r >= 0)
                r = process_become_user(plan, reterr_message);
        if (r >= 0)
                r = process_find_program(&plan->args, ret_env, ret_program, reterr_message);
        if (r < 0)
                return r;

        extras_set_umask(c->extras);
        if (close_range(CHILD_SYNC_FD + 1, ~0U, 0) < 0)
                return negative_errno();

        return process_confine(plan, c->join->seccomp, reterr_message);
}

static _noreturn_ void run_process(const ExecChildContext *c, int cgroup_ns_fd)
{
        char *message = NULL, *program = NULL;
        Strv env = {};
        int r;

        child_wait_go();
        r = set_up(c, cgroup_ns_fd, &env, &program, &message);
        if (r < 0)
                child_fail(CHILD_SYNC_FD, r, message);
        child_execute(c->plan, program, &env);
}

static int join(const ExecChildContext *c, char **reterr_message)
{
        int r, pidfd = -EBADF, cgroup_ns_fd = -EBADF;
        pid_t pid;

        r = set_oom_score(c->plan, reterr_message);
        if (r >= 0)
                r = extras_set_initial_cpus(c->extras, reterr_message);
        /* For the process, too: nobody in the container may look into it before it executes another. */
        if (r >= 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                r = negative_errno();
        if (r >= 0 && (c->join->namespaces & CLONE_NEWCGROUP))
                r = open_cgroup_namespace(c, &cgroup_ns_fd, reterr_message);
        if (r >= 0)
                r = enter(c->join->namespaces & ~(uint64_t) CLONE_NEWCGROUP, reterr_message);
        if (r < 0)
                return r;

        pid = clone_process(&pidfd);
        if (pid == 0)
                run_process(c, cgroup_ns_fd);
        if (pid == -ENOMEM)
                /* What the kernel says of a pid namespace whose init process is gone. */
                return error_setf(reterr_message, -EBUSY, "no process can be made: the container has "
                                  "stopped, or there is no memory");
        if (pid < 0)
                return error_setf(reterr_message, pid, "cannot make a process in the container: %s",
                                  strerror(-pid));

        return child_send(CHILD_SYNC_FD, CHILD_JOINED, pidfd);
}

void container_exec_child_run(const ExecChildContext *context)
{
        const int extra[] = { context->join->init_fd, context->join->cgroup_fd, context->join->root_fd };
        char *message = NULL;
        int r;

        child_reset_signals();
        r = child_arrange_fds(&context->io, context->sync_fd, extra, ELEMENTSOF(extra));
        if (r < 0)
                child_fail(context->sync_fd, r, "cannot arrange the standard streams");

        r = join(context, &message);
        if (r < 0)
                child_fail(CHILD_SYNC_FD, r, message);
        _exit(EXIT_SUCCESS);
}
