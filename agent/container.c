/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a container as the agent sees it: see container.h. Plans, starts the set-up child,
 * follows its messages and its exit, clears up. What the child does is in container-child.c.
 */

#include "agent/container.h"

#include <fcntl.h>
#include <poll.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container-child.h"
#include "agent/container-plan.h"
#include "agent/container-update.h"
#include "basic/error.h"
#include "basic/limits.h"

#define REMOVE_DELAY_MIN (1 * USEC_PER_MSEC)
#define REMOVE_DELAY_MAX (100 * USEC_PER_MSEC)

struct Container {
        Loop *loop;
        char *id;
        ContainerState state;
        ContainerHandlers handlers;
        bool pid_namespace;

        Cgroup cgroup;
        int device_fd;          /* the device filter, to be replaced */
        PidRef init;            /* for signals; the loop has a pidfd of its own for the exit */
        LoopSource *child_source;

        int sync_fd;
        LoopSource *sync_source;
        bool exec_seen;         /* the child said that execve() is next */
        int error;              /* what the child failed with */
        char *message;

        bool removing;
        LoopSource *remove_timer;
        usec_t remove_deadline, remove_delay;
};

static const char *const state_names[_CONTAINER_STATE_MAX] = {
        [CONTAINER_CREATING] = "creating",
        [CONTAINER_CREATED] = "created",
        [CONTAINER_STARTING] = "starting",
        [CONTAINER_RUNNING] = "running",
        [CONTAINER_STOPPED] = "stopped",
};

const char *container_state_to_string(ContainerState state)
{
        return (unsigned) state < ELEMENTSOF(state_names) ? state_names[state] : "invalid";
}

const char *container_id(const Container *c)
{
        return c->id;
}

ContainerState container_state(const Container *c)
{
        return c->state;
}

pid_t container_init_pid(const Container *c)
{
        return c->init.pid;
}

const Cgroup *container_cgroup(const Container *c)
{
        return &c->cgroup;
}

int *container_device_filter(Container *c)
{
        return &c->device_fd;
}

static Container *container_free(Container *c)
{
        if (!c)
                return NULL;

        loop_source_free(c->remove_timer);
        loop_source_free(c->sync_source);
        loop_source_free(c->child_source);
        safe_close(c->sync_fd);
        pidref_done(&c->init);
        safe_close(c->device_fd);
        cgroup_done(&c->cgroup);
        free(c->message);
        free(c->id);
        free(c);
        return NULL;
}

DEFINE_CLEANUP_FUNC(Container *, container_free)

static void close_sync(Container *c)
{
        c->sync_source = loop_source_free(c->sync_source);
        c->sync_fd = safe_close(c->sync_fd);
}

static void notify(Container *c, void (*handler)(Container *, int, const char *, void *), int error,
                   const char *message)
{
        if (!c->removing && handler)
                handler(c, error, message, c->handlers.userdata);
}

static void handle_message(Container *c, const ChildMessage *message, size_t n)
{
        size_t text_size = n - offsetof(ChildMessage, text);

        switch (message->kind) {
        case CHILD_READY:
                if (c->state == CONTAINER_CREATING) {
                        c->state = CONTAINER_CREATED;
                        notify(c, c->handlers.on_created, 0, NULL);
                }
                break;
        case CHILD_EXEC:
                c->exec_seen = true;
                break;
        case CHILD_ERROR:
                /* Reported once the child is gone. Names from the image may be in the text. */
                if (c->error == 0) {
                        c->error = message->error < 0 ? message->error : -EIO;
                        c->message = text_escape(message->text, strnlen(message->text, text_size),
                                                 CONTAINER_MESSAGE_MAX);
                }
                break;
        default:
                break;
        }
}

static void read_sync(Container *c)
{
        ChildMessage message;
        ssize_t n;

        while (c->sync_fd >= 0) {
                n = recv(c->sync_fd, &message, sizeof(message), MSG_DONTWAIT);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return;
                }
                if (n < (ssize_t) offsetof(ChildMessage, text)) {
                        /* It executed its program, or it died, which the pidfd tells. */
                        close_sync(c);
                        if (c->state == CONTAINER_STARTING && c->exec_seen && c->error == 0) {
                                c->state = CONTAINER_RUNNING;
                                notify(c, c->handlers.on_started, 0, NULL);
                        }
                        return;
                }
                handle_message(c, &message, (size_t) n);
        }
}

static void on_sync(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        read_sync(userdata);
}

/* A child that dies without a word was killed, most often for want of memory. */
static void explain_death(Container *c, int code, int status)
{
        _cleanup_free_ char *events = NULL;
        const char *oom;

        if (c->error < 0)
                return;

        c->error = -EIO;
        if (code == CLD_EXITED) {
                (void) error_setf(&c->message, c->error, "the set-up process exited with status %d",
                                status);
                return;
        }

        if (read_file_at(c->cgroup.fd, "memory.events", KIB(4), &events, NULL) >= 0 &&
            (oom = strstr(events, "oom_kill ")) && oom[strlen("oom_kill ")] != '0')
                c->error = -ENOMEM;
        (void) error_setf(&c->message, c->error, "the set-up process was killed by signal %d%s",
                        status, c->error == -ENOMEM ? " (memory limit)" : "");
}

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        Container *c = userdata;
        ContainerState old;
        int exit_status = code == CLD_EXITED ? status : 128 + status;

        c->child_source = loop_source_free(c->child_source);

        /* Its last words are all there: exit closes descriptors before it announces itself. */
        read_sync(c);
        close_sync(c);

        old = c->state;
        c->state = CONTAINER_STOPPED;
        pidref_done(&c->init);

        if (c->removing) {
                (void) loop_source_set_time(c->remove_timer, 0);
                return;
        }

        switch (old) {
        case CONTAINER_CREATING:
                explain_death(c, code, status);
                notify(c, c->handlers.on_created, c->error, c->message);
                break;
        case CONTAINER_STARTING:
                explain_death(c, code, status);
                notify(c, c->handlers.on_started, c->error, c->message);
                break;
        default:
                if (c->handlers.on_exit)
                        c->handlers.on_exit(c, exit_status, c->handlers.userdata);
                break;
        }
}

/* Returns the pid in the parent, 0 in the child. */
static pid_t clone_child(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
        struct clone_args args = {
                .flags = flags | CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t) (uintptr_t) ret_pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t) cgroup_fd,
        };
        pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        return pid < 0 ? negative_errno() : pid;
}

static int spawn(Container *c, const ContainerPlan *plan, const ContainerIo *io, char **reterr_message)
{
        const int fds[] = { io->stdin_fd, io->stdout_fd, io->stderr_fd };
        bool user = plan->namespaces & CLONE_NEWUSER;
        int pair[2], pidfd = -EBADF, r;
        pid_t pid;

        if (user) {
                r = userns_hand_over(plan, fds, ELEMENTSOF(fds), c->cgroup.fd, reterr_message);
                if (r < 0)
                        return r;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();

        pid = clone_child(plan->namespaces, c->cgroup.fd, &pidfd);
        if (pid == 0)
                container_child_run(&(ChildContext) {
                        .plan = plan,
                        .cgroup_path = c->cgroup.path,
                        .io = *io,
                        .sync_fd = pair[1],
                });

        safe_close(pair[1]);
        c->sync_fd = pair[0];
        if (pid < 0) {
                r = pid;
                return error_setf(reterr_message, r, "cannot make the namespaces: %s",
                                  strerror(-r));
        }

        c->init = (PidRef) { .pid = pid, .fd = pidfd };
        if (user) {
                r = userns_set_up(plan, pid, reterr_message);
                if (r < 0)
                        return r;
                if (send(c->sync_fd, "", 1, MSG_NOSIGNAL) < 0)
                        return negative_errno();
        }

        return 0;
}

static int watch(Container *c)
{
        _cleanup_(pidref_done) PidRef ref = { .pid = c->init.pid };
        int r;

        ref.fd = fcntl(c->init.fd, F_DUPFD_CLOEXEC, 3);
        if (ref.fd < 0)
                return negative_errno();

        r = loop_add_child(c->loop, &c->child_source, &ref, on_child, c);
        if (r < 0)
                return r;

        return loop_add_fd(c->loop, &c->sync_source, c->sync_fd, EPOLLIN, on_sync, c);
}

static int set_up_cgroup(Container *c, const ContainerPlan *plan, char **reterr_message)
{
        _cleanup_free_ struct bpf_insn *insns = NULL;
        size_t n;
        int r;

        r = cgroup_apply(&c->cgroup, &plan->cgroup, reterr_message);
        if (r < 0)
                return r;

        r = device_filter_build(plan->device_rules, plan->n_device_rules, &insns, &n);
        if (r < 0)
                return r;

        r = device_filter_attach(c->cgroup.fd, insns, n, -EBADF, reterr_message);
        if (r < 0)
                return r;

        c->device_fd = r;
        return 0;
}

static void abandon(Container *c)
{
        int code, status;

        c->child_source = loop_source_free(c->child_source);
        if (pidref_is_set(&c->init)) {
                /* Fresh and killed: it is gone in no time. */
                (void) pidref_kill(&c->init, SIGKILL);
                while (pidref_reap(&c->init, &code, &status) == -EAGAIN)
                        (void) fd_wait(c->init.fd, POLLIN, -1);
        }
        (void) cgroup_remove(&c->cgroup);
}

int container_create_at(Container **ret, Loop *loop, const char *cgroup_root, const char *id,
                        const Grpc__Spec *spec, const ContainerIo *io,
                        const ContainerHandlers *handlers, char **reterr_message)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_(container_freep) Container *c = NULL;
        int r;

        r = container_plan_new(&plan, id, spec, reterr_message);
        if (r < 0)
                return r;

        c = new0(Container, 1);
        if (!c)
                return -ENOMEM;
        *c = (Container) {
                .loop = loop,
                .state = CONTAINER_CREATING,
                .handlers = *handlers,
                .pid_namespace = plan->namespaces & CLONE_NEWPID,
                .cgroup = CGROUP_NULL,
                .device_fd = -EBADF,
                .init = PIDREF_NULL,
                .sync_fd = -EBADF,
                .id = TAKE_PTR(plan->id),
        };

        r = cgroup_create(&c->cgroup, cgroup_root, plan->cgroup_name, reterr_message);
        if (r < 0)
                return r;

        r = set_up_cgroup(c, plan, reterr_message);
        if (r >= 0)
                r = spawn(c, plan, io, reterr_message);
        if (r >= 0)
                r = watch(c);
        if (r < 0) {
                abandon(c);
                return r;
        }

        *ret = TAKE_PTR(c);
        return 0;
}

int container_create(Container **ret, Loop *loop, const char *id, const Grpc__Spec *spec,
                     const ContainerIo *io, const ContainerHandlers *handlers,
                     char **reterr_message)
{
        return container_create_at(ret, loop, CGROUP_ROOT, id, spec, io, handlers, reterr_message);
}

int container_start(Container *c, char **reterr_message)
{
        if (c->removing || c->state != CONTAINER_CREATED)
                return error_setf(reterr_message, -EBUSY, "container '%s' is %s", c->id,
                                  container_state_to_string(c->state));

        if (send(c->sync_fd, "", 1, MSG_NOSIGNAL) < 0) {
                int r = negative_errno();

                /* Killed while it waited; on_exit follows. */
                return error_setf(reterr_message, r == -EPIPE ? -ESRCH : r, "container '%s': %s",
                                c->id, strerror(-r));
        }

        c->state = CONTAINER_STARTING;
        return 0;
}

/* "SigCgt:\t0000000000004002" of proc_pid_status(5) */
static uint64_t status_mask(const char *text, const char *field)
{
        const char *p = strstr(text, field);

        return p ? strtoull(p + strlen(field), NULL, 16) : 0;
}

/*
 * The kernel drops a signal for pid 1 of a pid namespace unless it is caught, or blocked for
 * sigwait() or a signalfd as small inits do. One that is ignored is dropped because the program
 * said so.
 */
static bool init_would_drop(const Container *c, int sig)
{
        _cleanup_free_ char *text = NULL;
        uint64_t taken;
        char path[64];

        if (!c->pid_namespace || !pidref_is_set(&c->init))
                return false;

        snprintf(path, sizeof(path), "/proc/%d/status", (int) c->init.pid);
        if (read_file_at(AT_FDCWD, path, KIB(16), &text, NULL) < 0)
                return false;

        taken = status_mask(text, "\nSigCgt:") | status_mask(text, "\nSigIgn:") |
                status_mask(text, "\nSigBlk:");
        return !(taken & UINT64_C(1) << (sig - 1));
}

int container_signal(Container *c, int sig, bool all, char **reterr_message)
{
        int r;

        if (sig < 1 || sig >= NSIG)
                return error_setf(reterr_message, -EINVAL, "invalid signal %d", sig);

        if (sig == SIGTERM && init_would_drop(c, sig))
                sig = SIGKILL;

        if (!all)
                r = pidref_kill(&c->init, sig);
        else {
                r = cgroup_signal(&c->cgroup, sig == SIGKILL ? 0 : sig);
                if (r >= 0 && sig == SIGKILL)
                        r = cgroup_kill(&c->cgroup);
        }
        if (r < 0)
                return error_setf(reterr_message, r, "cannot signal container '%s': %s", c->id,
                                  strerror(-r));

        return 0;
}

static void on_remove_timer(LoopSource *source, void *userdata)
{
        _cleanup_free_ char *message = NULL;
        Container *c = userdata;
        usec_t now = now_usec();
        int r;

        r = c->child_source ? -EBUSY : cgroup_remove(&c->cgroup);
        if (r == -EBUSY && now < c->remove_deadline) {
                /* Again: a process may have been moved into the cgroup meanwhile. */
                (void) cgroup_kill(&c->cgroup);
                (void) loop_source_set_time(source, now + c->remove_delay);
                c->remove_delay = MIN(c->remove_delay * 2, REMOVE_DELAY_MAX);
                return;
        }

        if (r == -EBUSY)
                (void) error_setf(&message, r,
                                "container '%s': processes in cgroup '%s' cannot be killed", c->id,
                                c->cgroup.name);
        else if (r < 0)
                (void) error_setf(&message, r, "container '%s': cannot remove cgroup '%s': %s",
                                c->id, c->cgroup.name, strerror(-r));
        if (c->handlers.on_removed)
                c->handlers.on_removed(c, r, message, c->handlers.userdata);

        container_free(c);
}

int container_remove(Container *c, char **reterr_message)
{
        int r;

        if (c->removing)
                return error_setf(reterr_message, -EALREADY, "container '%s' is being removed",
                                c->id);

        r = loop_add_time(c->loop, &c->remove_timer, 0, on_remove_timer, c);
        if (r < 0)
                return r;

        c->removing = true;
        c->remove_deadline = now_usec() + CONTAINER_REMOVE_TIMEOUT_SEC * USEC_PER_SEC;
        c->remove_delay = REMOVE_DELAY_MIN;
        close_sync(c);
        (void) cgroup_kill(&c->cgroup);
        (void) pidref_kill(&c->init, SIGKILL);
        return 0;
}
