/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that join a container, as the agent sees them: see container-exec.h. */

#include "agent/container-exec.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/child-link.h"
#include "agent/container-exec-child.h"
#include "agent/container-terminal.h"
#include "agent/container-userns.h"
#include "basic/error.h"

typedef enum ExecState {
        EXEC_JOINING,           /* the joiner is at work */
        EXEC_SETTING_UP,        /* the process exists */
        EXEC_RUNNING,
        EXEC_EXITED,
} ExecState;

struct ContainerExec {
        Loop *loop;
        ExecState state;
        ContainerExecHandlers handlers;
        bool abandoned;         /* nobody wants to hear of it; it goes when its children are gone */
        bool reaping;           /* in a handler that looks at this again when it is done */
        ChildLink link;
        PidRef process;
        RlimitEntry *limits;    /* that the agent has to set: in a user namespace */
        size_t n_limits;
        ContainerExtras extras; /* the same: scheduler and I/O priority */
        LoopSource *joiner_source, *process_source;
};

pid_t container_exec_pid(const ContainerExec *e)
{
        return e->state == EXEC_RUNNING ? e->process.pid : 0;
}

static void destroy(ContainerExec *e)
{
        loop_source_free(e->joiner_source);
        loop_source_free(e->process_source);
        child_link_done(&e->link);
        pidref_done(&e->process);
        free(e->limits);
        free(e);
}

/* Once nothing is left to be reaped. */
static void try_destroy(ContainerExec *e)
{
        if (e->abandoned && !e->reaping && !e->joiner_source && !e->process_source)
                destroy(e);
}

static void report_started(ContainerExec *e, int error, const char *message)
{
        e->state = error < 0 ? EXEC_EXITED : EXEC_RUNNING;
        if (!e->abandoned && e->handlers.on_started)
                e->handlers.on_started(e, error, message, e->handlers.userdata);
}

static void on_link_end(ChildLink *link)
{
        ContainerExec *e = container_of(link, ContainerExec, link);

        if (e->state == EXEC_SETTING_UP && link->exec_seen && link->error == 0)
                report_started(e, 0, NULL);
}

/* A child that died without a word. */
static void explain_death(ContainerExec *e, int code, int status)
{
        if (e->link.error < 0)
                return;

        e->link.error = -EIO;
        (void) error_setf(&e->link.message, -EIO, "the process %s %d while it was set up",
                          code == CLD_EXITED ? "ended with status" : "was killed by signal", status);
}

static void on_process(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        ContainerExec *e = userdata;

        e->reaping = true;
        e->process_source = loop_source_free(e->process_source);
        /* Its last words are all there: exit closes descriptors before it announces itself. */
        child_link_read(&e->link);
        /* The joiner may still hold a copy of the other end, so that it has not come to a hang-up. */
        if (e->link.fd >= 0) {
                child_link_close(&e->link);
                on_link_end(&e->link);
        }
        pidref_done(&e->process);

        if (e->state == EXEC_SETTING_UP) {
                explain_death(e, code, status);
                report_started(e, e->link.error, e->link.message);
        } else if (e->state == EXEC_RUNNING) {
                e->state = EXEC_EXITED;
                if (!e->abandoned && e->handlers.on_exit)
                        e->handlers.on_exit(e, code == CLD_EXITED ? status : 128 + status,
                                            e->handlers.userdata);
        }
        e->reaping = false;
        try_destroy(e);
}

static int duplicate(const PidRef *ref, PidRef *ret)
{
        int fd = fcntl(ref->fd, F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
                return negative_errno();

        *ret = (PidRef) { .pid = ref->pid, .fd = fd };
        return 0;
}

static void let_go(ContainerExec *e)
{
        char *message = NULL;
        int r;

        r = e->abandoned ? -ECANCELED : userns_set_limits(e->limits, e->n_limits, e->process.pid, &message);
        if (r >= 0)
                r = extras_schedule(&e->extras, e->process.pid, &message);
        if (r >= 0)
                r = child_link_go(&e->link);
        if (r >= 0)
                return;

        /* on_process goes on with it. -ESRCH: killed already, and it says by what. */
        if (r != -ESRCH && e->link.error == 0) {
                e->link.error = r;
                e->link.message = TAKE_PTR(message);
        }
        free(message);
        (void) pidref_kill(&e->process, SIGKILL);
}

static int adopt_process(ContainerExec *e, int *fd)
{
        _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;
        siginfo_t si = {};
        int r;

        r = pidref_set_fd(&e->process, fd);
        if (r < 0)
                return r;
        /* Of all processes only a child of ours may be signalled and waited for by this descriptor. */
        if (waitid((idtype_t) P_PIDFD, (id_t) e->process.fd, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                return negative_errno();

        r = duplicate(&e->process, &ref);
        if (r >= 0)
                r = loop_add_child(e->loop, &e->process_source, &ref, on_process, e);
        if (r < 0) {
                (void) pidref_kill(&e->process, SIGKILL);
                return r;
        }

        e->state = EXEC_SETTING_UP;
        let_go(e);
        return 0;
}

static void on_link_message(ChildLink *link, ChildMessageKind kind, int fd)
{
        ContainerExec *e = container_of(link, ContainerExec, link);
        _cleanup_close_ int passed = fd;
        int r;

        if (passed < 0)
                return;
        if (kind == CHILD_JOINED && e->state == EXEC_JOINING) {
                r = adopt_process(e, &passed);
                if (r < 0 && e->link.error == 0)
                        e->link.error = r;
        } else if (kind == CHILD_TERMINAL && e->state == EXEC_SETTING_UP && terminal_is_master(passed)) {
                if (!e->abandoned && e->handlers.on_terminal)
                        e->handlers.on_terminal(e, TAKE_FD(passed), e->handlers.userdata);
        }
}

static void on_joiner(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        ContainerExec *e = userdata;

        e->reaping = true;
        e->joiner_source = loop_source_free(e->joiner_source);
        child_link_read(&e->link);
        if (e->state == EXEC_JOINING) {
                explain_death(e, code, status);
                child_link_close(&e->link);
                report_started(e, e->link.error, e->link.message);
        }
        e->reaping = false;
        try_destroy(e);
}

/* Returns the pid in the agent, 0 in the child. */
static pid_t clone_joiner(int *ret_pidfd)
{
        struct clone_args args = {
                .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t) (uintptr_t) ret_pidfd,
                .exit_signal = SIGCHLD,
        };
        pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        return pid < 0 ? negative_errno() : pid;
}

static int spawn(ContainerExec *e, const ContainerJoin *join, const ProcessPlan *plan,
                 const ContainerExtras *extras, const ContainerIo *io, char **reterr_message)
{
        _cleanup_(pidref_done) PidRef joiner = PIDREF_NULL;
        _cleanup_close_ int child_fd = -EBADF;
        int r, pidfd = -EBADF;
        pid_t pid;

        r = child_link_open(&e->link, &child_fd);
        if (r < 0)
                return r;

        pid = clone_joiner(&pidfd);
        if (pid == 0)
                container_exec_child_run(&(ExecChildContext) {
                        .join = join, .plan = plan, .extras = extras, .io = *io, .sync_fd = child_fd,
                });
        if (pid < 0)
                return error_setf(reterr_message, pid, "cannot start a process: %s", strerror(-pid));

        joiner = (PidRef) { .pid = pid, .fd = pidfd };
        r = child_link_watch(&e->link, e->loop);
        if (r >= 0)
                r = loop_add_child(e->loop, &e->joiner_source, &joiner, on_joiner, e);
        if (r < 0) {
                int code, status;

                /* It may have made the process by now, which ends when nobody answers it. */
                (void) pidref_kill(&joiner, SIGKILL);
                while (pidref_reap(&joiner, &code, &status) == -EAGAIN)
                        (void) fd_wait(joiner.fd, POLLIN, -1);
        }
        return r;
}

/* What takes a privilege of the guest's. */
static int prepare_user(ContainerExec *e, const ContainerJoin *join, const ProcessPlan *plan,
                        const ContainerExtras *extras, const ContainerIo *io, char **reterr_message)
{
        const int fds[] = { io->stdin_fd, io->stdout_fd, io->stderr_fd };

        /* No pointers are in those of a process. */
        e->extras = *extras;
        if (plan->n_rlimits > 0) {
                e->limits = new0(RlimitEntry, plan->n_rlimits);
                if (!e->limits)
                        return -ENOMEM;
                memcpy(e->limits, plan->rlimits, plan->n_rlimits * sizeof(RlimitEntry));
                e->n_limits = plan->n_rlimits;
        }

        return userns_hand_over_streams(join->uid_map, join->gid_map, plan, fds,
                                        plan->terminal ? 0 : ELEMENTSOF(fds), reterr_message);
}

int container_exec(ContainerExec **ret, const Container *c, const Grpc__Process *process,
                   const Kata__Systemd__V1__SpecExtension *extension, const ContainerIo *io,
                   const ContainerExecHandlers *handlers, char **reterr_message)
{
        _cleanup_(process_plan_done) ProcessPlan plan = {};
        ContainerExtras extras = {};
        ContainerJoin join;
        ContainerExec *e;
        int r;

        r = process_plan_parse(&plan, process, reterr_message);
        if (r >= 0)
                r = container_extras_parse_process(&extras, extension, reterr_message);
        if (r >= 0)
                r = container_get_join(c, &join, reterr_message);
        if (r >= 0 && (join.namespaces & CLONE_NEWUSER))
                r = userns_check_process(join.uid_map, join.gid_map, &plan, reterr_message);
        if (r < 0)
                return r;

        extras.has_personality = join.has_personality;
        extras.personality = join.personality;

        e = new0(ContainerExec, 1);
        if (!e)
                return -ENOMEM;
        *e = (ContainerExec) {
                .loop = join.loop, .handlers = *handlers, .process = PIDREF_NULL,
                .link = { .fd = -EBADF, .on_message = on_link_message, .on_end = on_link_end },
        };
        r = join.namespaces & CLONE_NEWUSER ? prepare_user(e, &join, &plan, &extras, io, reterr_message) : 0;
        if (r >= 0)
                r = spawn(e, &join, &plan, &extras, io, reterr_message);
        if (r < 0) {
                destroy(e);
                return r;
        }

        *ret = e;
        return 0;
}

int container_exec_signal(const ContainerExec *e, int sig)
{
        if (e->state == EXEC_EXITED)
                return -ESRCH;
        return e->state == EXEC_RUNNING ? pidref_kill(&e->process, sig) : -EBUSY;
}

ContainerExec *container_exec_free(ContainerExec *e)
{
        if (!e || e->abandoned)
                return NULL;

        e->abandoned = true;
        /* A joiner is let go on: it is done in no time and what it makes has to be known. */
        (void) pidref_kill(&e->process, SIGKILL);
        try_destroy(e);
        return NULL;
}
