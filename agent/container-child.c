/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up of a container's init process: see container-child.h. */

#include "agent/container-child.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container-process.h"
#include "agent/container-rootfs.h"
#include "agent/container-terminal.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/unix-socket.h"

#define SYNC_FD CHILD_SYNC_FD
/* Until they are joined. */
#define IPC_FD (SYNC_FD + 1)
#define UTS_FD (SYNC_FD + 2)
/* Until the root is entered. */
#define IDMAP_FD (SYNC_FD + 3)
/* Where descriptors wait while 0..3 are being filled. */
#define FD_PARKING 16

static void send_message(int fd, uint32_t kind, int error, const char *text)
{
        ChildMessage message = { .kind = kind, .error = error };
        size_t n = text ? MIN(strlen(text), sizeof(message.text) - 1) : 0;

        if (n > 0)
                memcpy(message.text, text, n);
        /* write(), not send(): system call filters know it. */
        (void) !write(fd, &message, offsetof(ChildMessage, text) + n + 1);
}

int child_send(int fd, ChildMessageKind kind, int passed_fd)
{
        ChildMessage message = { .kind = kind };
        const size_t n = offsetof(ChildMessage, text) + 1;
        ssize_t k;

        if (passed_fd >= 0)
                k = unix_send_fd(fd, &message, n, 0, passed_fd);
        else
                k = send(fd, &message, n, MSG_NOSIGNAL) < 0 ? negative_errno() : 0;
        return k < 0 ? (int) k : 0;
}

_noreturn_ void child_fail(int fd, int error, const char *text)
{
        send_message(fd, CHILD_ERROR, error, error_text(text, error));
        _exit(EXIT_FAILURE);
}

void child_reset_signals(void)
{
        struct sigaction sa = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int sig = 1; sig < NSIG; sig++)
                if (sig != SIGKILL && sig != SIGSTOP)
                        (void) sigaction(sig, &sa, NULL);

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static int park(int fd)
{
        if (fd < 0)
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();

        fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_PARKING);
        return fd < 0 ? negative_errno() : fd;
}

int child_arrange_fds(const ContainerIo *io, int sync_fd, const int *extra, size_t n_extra)
{
        int in[SYNC_FD + 1 + CHILD_EXTRA_FDS_MAX] = { io->stdin_fd, io->stdout_fd, io->stderr_fd, sync_fd };
        size_t n = SYNC_FD + 1 + n_extra;

        assert(n_extra <= CHILD_EXTRA_FDS_MAX);
        for (size_t i = 0; i < n_extra; i++)
                in[SYNC_FD + 1 + i] = extra[i];

        for (size_t i = 0; i < n; i++) {
                in[i] = park(in[i]);
                if (in[i] < 0)
                        return in[i];
        }

        for (size_t i = 0; i < n; i++)
                if (dup3(in[i], (int) i, i >= SYNC_FD ? O_CLOEXEC : 0) < 0)
                        return negative_errno();

        return close_range((unsigned) n, ~0U, 0) < 0 ? negative_errno() : 0;
}

/*
 * The user of the container may open /dev/stdout again, so pipes must be its own. A /dev/null is
 * exchanged for the container's, whose mode it may change without changing that of the guest.
 */
int child_adopt_stdio(const ContainerIo *io, const ProcessPlan *process, char **reterr_message)
{
        const int given[] = { io->stdin_fd, io->stdout_fd, io->stderr_fd };

        for (int fd = 0; fd < 3; fd++) {
                _cleanup_close_ int null_fd = -EBADF;
                struct stat st;

                if (given[fd] >= 0) {
                        if (fstat(fd, &st) >= 0 && S_ISFIFO(st.st_mode) &&
                            fchown(fd, process->uid, (gid_t) -1) < 0) {
                                int r = negative_errno();

                                return error_setf(reterr_message, r, "standard stream %d: %s", fd,
                                                  strerror(-r));
                        }
                        continue;
                }

                null_fd = open("/dev/null",
                                O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (null_fd < 0 || fstat(null_fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                        continue;
                /* Only the opening must not wait: programs do not expect it of their standard streams. */
                if (fcntl(null_fd, F_SETFL, O_RDWR) < 0 || dup2(null_fd, fd) < 0)
                        return negative_errno();
        }

        return 0;
}

int child_set_up_terminal(const ProcessPlan *process, bool console, char **reterr_message)
{
        _cleanup_close_ int master = -EBADF, slave = -EBADF;
        int r;

        r = terminal_open(&master, &slave, reterr_message);
        if (r >= 0 && console)
                r = terminal_bind_console(slave, reterr_message);
        if (r >= 0)
                r = child_send(SYNC_FD, CHILD_TERMINAL, master);
        return r < 0 ? r : terminal_adopt(slave, process, reterr_message);
}

static int bring_up_loopback(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq ifr = { .ifr_name = "lo" };

        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
                return negative_errno();

        ifr.ifr_flags |= IFF_UP;
        return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? negative_errno() : 0;
}

static int join_namespaces(const ContainerPlan *plan, char **reterr_message)
{
        if (((plan->joined & CLONE_NEWIPC) && setns(IPC_FD, CLONE_NEWIPC) < 0) ||
            ((plan->joined & CLONE_NEWUTS) && setns(UTS_FD, CLONE_NEWUTS) < 0)) {
                int r = negative_errno();

                return error_setf(reterr_message, r, "namespaces of the sandbox: %s", strerror(-r));
        }

        return close_range(IPC_FD, UTS_FD, 0) < 0 ? negative_errno() : 0;
}

static int set_up_namespaces(const ContainerPlan *plan, char **reterr_message)
{
        int r;

        r = join_namespaces(plan, reterr_message);
        if (r < 0)
                return r;

        /* By now this process is in its cgroup, which becomes the root of the new namespace. */
        if (plan->cgroup_namespace && unshare(CLONE_NEWCGROUP) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cgroup namespace: %s", strerror(-r));
        }

        if (plan->namespaces & CLONE_NEWNET) {
                r = bring_up_loopback();
                if (r < 0)
                        return error_setf(reterr_message, r, "loopback interface: %s",
                                          strerror(-r));
        }

        if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "hostname: %s", strerror(-r));
        }

        return extras_set_domainname(&plan->extras, reterr_message);
}

/*
 * Through a procfs that was never attached anywhere, so that nothing can be mounted over it
 * (CVE-2019-19921, CVE-2025-52881).
 */
static int write_attributes(const ContainerPlan *plan, char **reterr_message)
{
        _cleanup_close_ int proc_fd = mount_new_fs("proc", NULL, NULL, reterr_message);
        int r;

        if (proc_fd < 0)
                return error_prefixf(reterr_message, proc_fd, "procfs");

        for (size_t i = 0; i < plan->n_sysctls; i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "/sys/%s", plan->sysctls[i].path) < 0)
                        return -ENOMEM;
                r = process_set_attribute(proc_fd, path, plan->sysctls[i].value);
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot set sysctl '%s' to '%s': %s",
                                        plan->sysctls[i].path, plan->sysctls[i].value,
                                        strerror(-r));
        }

        r = extras_enter_time(&plan->extras, proc_fd, reterr_message);
        if (r < 0)
                return r;

        /* In a user namespace the agent has done it. */
        if (plan->namespaces & CLONE_NEWUSER)
                return 0;
        return process_set_oom_score(&plan->process, proc_fd, reterr_message);
}

/* In the order of the specification: those of the agent first. */
static int run_early_hooks(void *userdata, char **reterr_message)
{
        const HookSet *hooks = userdata;
        int r;

        if (hook_set_has(hooks, HOOK_PRESTART) || hook_set_has(hooks, HOOK_CREATE_RUNTIME)) {
                r = child_send(SYNC_FD, CHILD_PREPARED, -EBADF);
                if (r < 0)
                        return r;
                child_wait_go();
        }
        return hooks_run(hooks, HOOK_CREATE_CONTAINER, "creating", getpid(), reterr_message);
}

/* For processes that join: setns(2) leads to the root of the namespace, which an agent in a chroot is not in. */
static int send_root(void)
{
        _cleanup_close_ int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? negative_errno() : child_send(SYNC_FD, CHILD_ROOT, fd);
}

static int set_up(const ChildContext *c, Strv *ret_env, char **ret_program, char **reterr_message)
{
        const ContainerPlan *plan = c->plan;
        int r;

        /* Nobody in the container may look into this process before it executes another. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setsid() < 0)
                return negative_errno();
        umask(0);

        if (plan->namespaces & CLONE_NEWUSER) {
                r = userns_enter(SYNC_FD, reterr_message);
                if (r < 0)
                        return r;
                /* Not by clone(): its message queues would belong to a user that is not mapped. */
                if ((plan->namespaces & CLONE_NEWIPC) && unshare(CLONE_NEWIPC) < 0) {
                        r = negative_errno();
                        return error_setf(reterr_message, r, "ipc namespace: %s", strerror(-r));
                }
        }

        r = set_up_namespaces(plan, reterr_message);
        if (r >= 0)
                r = write_attributes(plan, reterr_message);
        if (r >= 0)
                r = rootfs_enter(plan, c->cgroup_path, IDMAP_FD, run_early_hooks, (void *) (uintptr_t) c->hooks,
                                 reterr_message);
        if (r >= 0 && close_range(SYNC_FD + 1, ~0U, 0) < 0)
                r = negative_errno();
        if (r >= 0)
                r = send_root();
        if (r >= 0)
                r = plan->process.terminal
                                    ? child_set_up_terminal(&plan->process, true, reterr_message)
                                    : child_adopt_stdio(&c->io, &plan->process, reterr_message);
        if (r >= 0)
                r = rootfs_finish(plan, reterr_message);
        if (r >= 0)
                r = process_make_env(&plan->process, ret_env, reterr_message);
        if (r >= 0)
                r = plan->namespaces & CLONE_NEWUSER ? 0 : extras_schedule(&plan->extras, 0, reterr_message);
        if (r >= 0)
                r = extras_set_personality(&plan->extras, reterr_message);
        if (r >= 0)
                r = process_become_user(&plan->process, reterr_message);
        if (r >= 0)
                r = process_find_program(&plan->process.args, ret_env, ret_program, reterr_message);
        if (r < 0)
                return r;

        extras_set_umask(&plan->extras);
        if (close_range(SYNC_FD + 1, ~0U, 0) < 0)
                return negative_errno();

        return process_confine(&plan->process, plan->seccomp, reterr_message);
}

void child_wait_go(void)
{
        ssize_t n;
        char go;

        do
                n = read(SYNC_FD, &go, 1);
        while (n < 0 && errno == EINTR);
        if (n != 1)
                _exit(EXIT_FAILURE);
}

_noreturn_ void child_execute(const ProcessPlan *process, const char *program, const Strv *env)
{
        char *message = NULL;
        int r;

        send_message(SYNC_FD, CHILD_EXEC, 0, NULL);
        execve(program, process->args.v, env->v ? env->v : (char *[]) { NULL });

        r = negative_errno();
        (void) process_exec_error(program, r, &message);
        child_fail(SYNC_FD, r, message);
}

void container_child_run(const ChildContext *context)
{
        const int extra[] = { context->ipc_fd, context->uts_fd, context->idmap_fd };
        char *message = NULL, *program = NULL;
        Strv env = {};
        int r;

        child_reset_signals();
        r = child_arrange_fds(&context->io, context->sync_fd, extra, ELEMENTSOF(extra));
        if (r < 0)
                child_fail(context->sync_fd, r, "cannot arrange the standard streams");

        r = set_up(context, &env, &program, &message);
        if (r < 0)
                child_fail(SYNC_FD, r, message);

        send_message(SYNC_FD, CHILD_READY, 0, NULL);
        child_wait_go();
        r = hooks_run(context->hooks, HOOK_START_CONTAINER, "created", getpid(), &message);
        if (r < 0)
                child_fail(SYNC_FD, r, message);
        child_execute(&context->plan->process, program, &env);
}
