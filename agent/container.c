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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/child-link.h"
#include "agent/container-child.h"
#include "agent/container-plan.h"
#include "agent/container-terminal.h"
#include "agent/container-update.h"
#include "agent/hook-runner.h"
#include "agent/idmap-mounts.h"
#include "agent/mount-refresh.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"

/* Those that every process of a container is put into; joining one's own is no error for the guest's root. */
#define JOIN_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)
#define REMOVE_DELAY_MIN (1 * USEC_PER_MSEC)
#define REMOVE_DELAY_MAX (100 * USEC_PER_MSEC)

struct Container {
        Loop *loop;
        char *id;
        ContainerState state;
        ContainerHandlers handlers;
        bool pid_namespace;
        uint64_t join_namespaces;
        IdMap uid_map, gid_map;
        SeccompPlan *seccomp;   /* for processes that join later */
        bool has_personality;   /* the same */
        unsigned long personality;
        int root_fd;            /* the same; closed with the init process, since it holds a mount */

        Cgroup cgroup;
        int device_fd;          /* the device filter, to be replaced */
        PidRef init;            /* for signals; the loop has a pidfd of its own for the exit */
        LoopSource *child_source;

        ChildLink link;
        HookRunner hooks;
        MountRefresh refresh;   /* between start and the program */
        Worker *idmap_worker;   /* makes id-mapped mounts */
        bool created;           /* got as far as CREATED: poststop hooks are due */
        bool exit_pending;      /* behind on_started, which waits for hooks */
        int exit_status;

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
        hook_runner_done(&c->hooks);
        mount_refresh_free(&c->refresh);
        worker_cancel(c->idmap_worker);
        child_link_done(&c->link);
        loop_source_free(c->child_source);
        pidref_done(&c->init);
        safe_close(c->device_fd);
        cgroup_done(&c->cgroup);
        seccomp_plan_free(c->seccomp);
        id_map_done(&c->uid_map);
        id_map_done(&c->gid_map);
        safe_close(c->root_fd);
        free(c->id);
        free(c);
        return NULL;
}

DEFINE_CLEANUP_FUNC(Container *, container_free)

static void notify(Container *c, void (*handler)(Container *, int, const char *, void *), int error,
                   const char *message)
{
        if (!c->removing && handler)
                handler(c, error, message, c->handlers.userdata);
}

/* prestart and createRuntime: the child waits. */

static void on_early_hooks(HookRunner *runner, int error, const char *message)
{
        Container *c = container_of(runner, Container, hooks);

        if (error >= 0) {
                /* One that was killed meanwhile is reported by its pidfd. */
                (void) child_link_go(&c->link);
                return;
        }

        if (c->link.error == 0) {
                c->link.error = error;
                c->link.message = message ? strdup(message) : NULL;
        }
        (void) pidref_kill(&c->init, SIGKILL);
}

static void run_early_hooks(Container *c)
{
        static const HookKind kinds[] = { HOOK_PRESTART, HOOK_CREATE_RUNTIME };
        int r = hook_runner_start(&c->hooks, c->loop, kinds, ELEMENTSOF(kinds), "creating", c->init.pid,
                                  on_early_hooks);

        if (r <= 0)
                on_early_hooks(&c->hooks, r, NULL);
}

static void on_link_message(ChildLink *link, ChildMessageKind kind, int fd)
{
        Container *c = container_of(link, Container, link);
        _cleanup_close_ int passed = fd;

        if (kind == CHILD_TERMINAL && passed >= 0 && terminal_is_master(passed)) {
                if (!c->removing && c->handlers.on_terminal)
                        c->handlers.on_terminal(c, TAKE_FD(passed), c->handlers.userdata);
        } else if (kind == CHILD_ROOT && c->root_fd < 0) {
                c->root_fd = TAKE_FD(passed);
        } else if (kind == CHILD_PREPARED && c->state == CONTAINER_CREATING && !c->hooks.worker) {
                run_early_hooks(c);
        } else if (kind == CHILD_READY && c->state == CONTAINER_CREATING) {
                c->state = CONTAINER_CREATED;
                c->created = true;
                notify(c, c->handlers.on_created, 0, NULL);
        }
}

static void notify_exit(Container *c, int status)
{
        if (!c->removing && c->handlers.on_exit)
                c->handlers.on_exit(c, status, c->handlers.userdata);
}

/* Start is done when these are, and it has succeeded whatever they say. */
static void on_poststart(HookRunner *runner, int error, const char *message)
{
        Container *c = container_of(runner, Container, hooks);

        if (error < 0)
                log_warning("Container %s: %s, ignoring", c->id, error_text(message, error));
        notify(c, c->handlers.on_started, 0, NULL);
        if (c->exit_pending) {
                c->state = CONTAINER_STOPPED;
                notify_exit(c, c->exit_status);
        }
}

static void on_link_end(ChildLink *link)
{
        static const HookKind kinds[] = { HOOK_POSTSTART };
        Container *c = container_of(link, Container, link);
        int r;

        if (c->state != CONTAINER_STARTING || !link->exec_seen || link->error < 0)
                return;

        c->state = CONTAINER_RUNNING;
        r = hook_runner_start(&c->hooks, c->loop, kinds, ELEMENTSOF(kinds), "running", c->init.pid,
                              on_poststart);
        if (r <= 0)
                on_poststart(&c->hooks, r, NULL);
}

/* A child that dies without a word was killed, most often for want of memory. */
static void explain_death(Container *c, int code, int status)
{
        _cleanup_free_ char *events = NULL;
        ChildLink *link = &c->link;
        const char *oom;

        if (link->error < 0)
                return;

        link->error = -EIO;
        if (code == CLD_EXITED) {
                (void) error_setf(&link->message, link->error, "the set-up process exited with status %d",
                                status);
                return;
        }

        if (read_file_at(c->cgroup.fd, "memory.events", KIB(4), &events, NULL) >= 0 &&
            (oom = strstr(events, "oom_kill ")) && oom[strlen("oom_kill ")] != '0')
                link->error = -ENOMEM;
        (void) error_setf(&link->message, link->error, "the set-up process was killed by signal %d%s",
                        status, link->error == -ENOMEM ? " (memory limit)" : "");
}

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        Container *c = userdata;
        ContainerState old;
        int exit_status = code == CLD_EXITED ? status : 128 + status;

        c->child_source = loop_source_free(c->child_source);

        /* Its last words are all there: exit closes descriptors before it announces itself. */
        child_link_read(&c->link);
        child_link_close(&c->link);

        c->root_fd = safe_close(c->root_fd);
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
                notify(c, c->handlers.on_created, c->link.error, c->link.message);
                break;
        case CONTAINER_STARTING:
                explain_death(c, code, status);
                notify(c, c->handlers.on_started, c->link.error, c->link.message);
                break;
        default:
                c->exit_pending = c->hooks.worker;
                c->exit_status = exit_status;
                if (c->exit_pending)
                        c->state = old;
                else
                        notify_exit(c, exit_status);
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

/*
 * The same for a child in a pid namespace that others are in already. Only children of the caller are affected,
 * which comes back before it does anything else. They see the child from its first moment, so it is born
 * without being dumpable (CVE-2016-9962); its first act is to close what the agent has open.
 */
static pid_t clone_child_in(int pid_fd, uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
        _cleanup_close_ int own_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        pid_t pid;

        if (own_fd < 0 || setns(pid_fd, CLONE_NEWPID) < 0)
                return negative_errno();

        (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        pid = clone_child(flags, cgroup_fd, ret_pidfd);
        if (pid == 0)
                return 0;
        (void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        /* Nothing that is started in the wrong namespace can be trusted to anybody. */
        if (setns(own_fd, CLONE_NEWPID) < 0)
                abort();
        return pid;
}

/* The child has the trees by then, or the reason, or is gone. */
static void on_idmaps_made(int error, const char *message, void *userdata)
{
        Container *c = userdata;

        c->idmap_worker = NULL;
}

static int spawn(Container *c, const ContainerPlan *plan, const ContainerPlace *place,
                const ContainerIo *io, char **reterr_message)
{
        const int fds[] = { io->stdin_fd, io->stdout_fd, io->stderr_fd };
        bool user = plan->namespaces & CLONE_NEWUSER;
        /* See container-child.c. */
        uint64_t flags = user ? plan->namespaces & ~(uint64_t) CLONE_NEWIPC : plan->namespaces;
        _cleanup_close_ int child_fd = -EBADF, idmap_fd = -EBADF;
        int pidfd = -EBADF, r;
        pid_t pid;

        if (user) {
                if (plan->joined)
                        return error_setf(reterr_message, -EOPNOTSUPP, "a user namespace together with "
                                          "namespaces of the sandbox is not supported");
                r = userns_hand_over(plan, fds, ELEMENTSOF(fds), c->cgroup.fd, reterr_message);
                if (r < 0)
                        return r;
        }
        r = child_link_open(&c->link, &child_fd);
        if (r >= 0 && container_plan_has_idmaps(plan))
                r = idmap_mounts_start(&c->idmap_worker, &idmap_fd, c->loop, plan, on_idmaps_made, c);
        if (r < 0)
                return r;

        if (plan->joined & CLONE_NEWPID)
                pid = clone_child_in(place->pid_fd, flags, c->cgroup.fd, &pidfd);
        else
                pid = clone_child(flags, c->cgroup.fd, &pidfd);
        if (pid == 0)
                container_child_run(&(ChildContext) {
                        .plan = plan,
                        .cgroup_path = c->cgroup.path,
                        .io = *io,
                        .sync_fd = child_fd,
                        .ipc_fd = place->ipc_fd,
                        .uts_fd = place->uts_fd,
                        .idmap_fd = idmap_fd,
                        .hooks = &c->hooks.set,
                });

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
                return child_link_go(&c->link);
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

        return child_link_watch(&c->link, c->loop);
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

static uint64_t offered(const ContainerPlace *place)
{
        return (place->pid_fd >= 0 ? CLONE_NEWPID : 0) | (place->ipc_fd >= 0 ? CLONE_NEWIPC : 0) |
               (place->uts_fd >= 0 ? CLONE_NEWUTS : 0);
}

int container_create(Container **ret, Loop *loop, const ContainerPlace *place, const char *id,
                     const Grpc__Spec *spec, const ContainerIo *io,
                     const ContainerHandlers *handlers, char **reterr_message)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_(container_freep) Container *c = NULL;
        int r;

        r = container_plan_new(&plan, id, spec, reterr_message);
        if (r >= 0)
                r = container_plan_extend(plan, place->extension, reterr_message);
        if (r < 0)
                return r;
        container_plan_share(plan, offered(place), place->hostname);

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
                .link = {
                        .fd = -EBADF, .on_message = on_link_message, .on_end = on_link_end,
                },
                .root_fd = -EBADF,
                .has_personality = plan->extras.has_personality,
                .personality = plan->extras.personality,
                .join_namespaces = JOIN_NAMESPACES | (plan->namespaces & (CLONE_NEWUSER | CLONE_NEWTIME)) |
                                   (plan->cgroup_namespace ? CLONE_NEWCGROUP : 0) |
                                   (plan->extras.time_offsets ? CLONE_NEWTIME : 0),
                .id = TAKE_PTR(plan->id),
        };

        r = hook_set_parse(&c->hooks.set, c->id, spec, place->guest_hooks, reterr_message);
        for (size_t i = 0; r >= 0 && i < plan->n_mounts; i++)
                if (plan->mounts[i].kind == MOUNT_KIND_BIND)
                        r = strv_add(&c->refresh.paths, plan->mounts[i].source);
        if (r < 0)
                return r;

        r = cgroup_create(&c->cgroup, place->cgroup_root, plan->cgroup_name, reterr_message);
        if (r < 0)
                return r;

        r = set_up_cgroup(c, plan, reterr_message);
        if (r >= 0)
                r = spawn(c, plan, place, io, reterr_message);
        if (r >= 0)
                r = watch(c);
        if (r < 0) {
                abandon(c);
                return r;
        }

        c->seccomp = TAKE_PTR(plan->seccomp);
        c->uid_map = plan->uid_map;
        c->gid_map = plan->gid_map;
        plan->uid_map = plan->gid_map = (IdMap) {};
        *ret = TAKE_PTR(c);
        return 0;
}

/* If it was killed meanwhile its exit follows. */
static void on_refreshed(MountRefresh *refresh)
{
        (void) child_link_go(&container_of(refresh, Container, refresh)->link);
}

int container_start(Container *c, char **reterr_message)
{
        int r;

        if (c->removing || c->state != CONTAINER_CREATED)
                return error_setf(reterr_message, -EBUSY, "container '%s' is %s", c->id,
                                  container_state_to_string(c->state));

        r = mount_refresh_start(&c->refresh, c->loop, on_refreshed);
        /* Old content is better than no container. */
        if (r < 0)
                log_warning("Container %s: files of the host are not looked at anew, ignoring: %s", c->id,
                            strerror(-r));
        if (r <= 0)
                r = child_link_go(&c->link);
        if (r < 0)
                /* Killed while it waited; on_exit follows. */
                return error_setf(reterr_message, r, "container '%s': %s", c->id, strerror(-r));

        c->state = CONTAINER_STARTING;
        return 0;
}

static bool is_frozen(const Container *c)
{
        _cleanup_free_ char *text = NULL;

        return read_file_at(c->cgroup.fd, "cgroup.freeze", 16, &text, NULL) >= 0 && text[0] == '1';
}

int container_get_join(const Container *c, ContainerJoin *ret, char **reterr_message)
{
        if (c->removing || c->state == CONTAINER_STOPPED)
                return error_setf(reterr_message, -EBUSY, "container '%s': cannot exec in a stopped "
                                  "container", c->id);
        if (c->state == CONTAINER_CREATING)
                return error_setf(reterr_message, -EBUSY, "container '%s': cannot exec before it is "
                                  "created", c->id);
        if (c->root_fd < 0)
                return error_setf(reterr_message, -EIO, "container '%s' has no root directory", c->id);
        /* The process would hang, and with it whoever waits for it to start. */
        if (is_frozen(c))
                return error_setf(reterr_message, -EBUSY, "container '%s': cannot exec in a paused "
                                  "container", c->id);

        *ret = (ContainerJoin) {
                .loop = c->loop,
                .id = c->id,
                .init_fd = c->init.fd,
                .init_pid = c->init.pid,
                .uid_map = c->join_namespaces & CLONE_NEWUSER ? &c->uid_map : NULL,
                .gid_map = c->join_namespaces & CLONE_NEWUSER ? &c->gid_map : NULL,
                .root_fd = c->root_fd,
                .namespaces = c->join_namespaces,
                .cgroup_fd = c->cgroup.fd,
                .seccomp = c->seccomp,
                .has_personality = c->has_personality,
                .personality = c->personality,
        };
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

/* The last of it. error: what could not be removed. */
static void removed(Container *c, int error, const char *message)
{
        if (c->handlers.on_removed)
                c->handlers.on_removed(c, error, message, c->handlers.userdata);
        container_free(c);
}

static void on_poststop(HookRunner *runner, int error, const char *message)
{
        Container *c = container_of(runner, Container, hooks);

        if (error < 0)
                log_warning("Container %s: %s, ignoring", c->id, error_text(message, error));
        removed(c, 0, NULL);
}

static void run_poststop(Container *c)
{
        static const HookKind kinds[] = { HOOK_POSTSTOP };
        int r = !c->created ? 0 : hook_runner_start(&c->hooks, c->loop, kinds, ELEMENTSOF(kinds), "stopped",
                                                    0, on_poststop);

        if (r <= 0)
                on_poststop(&c->hooks, r, NULL);
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
        if (r < 0)
                removed(c, r, message);
        else
                run_poststop(c);
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
        /* What has begun is not waited for. */
        c->hooks.worker = worker_cancel(c->hooks.worker);
        c->idmap_worker = worker_cancel(c->idmap_worker);
        c->remove_deadline = now_usec() + CONTAINER_REMOVE_TIMEOUT_SEC * USEC_PER_SEC;
        c->remove_delay = REMOVE_DELAY_MIN;
        child_link_close(&c->link);
        (void) cgroup_kill(&c->cgroup);
        (void) pidref_kill(&c->init, SIGKILL);
        return 0;
}
