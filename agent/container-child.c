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
#include "basic/error.h"
#include "basic/fd.h"

#define SYNC_FD 3
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

static _noreturn_ void fail(int fd, int error, const char *text)
{
        send_message(fd, CHILD_ERROR, error, error_text(text, error));
        _exit(EXIT_FAILURE);
}

static void reset_signals(void)
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

/* Leaves 0..2 and SYNC_FD open: of the agent's descriptors none comes any further. */
static int arrange_fds(const ChildContext *c)
{
        int in[] = { c->io.stdin_fd, c->io.stdout_fd, c->io.stderr_fd, c->sync_fd };

        for (size_t i = 0; i < ELEMENTSOF(in); i++) {
                in[i] = park(in[i]);
                if (in[i] < 0)
                        return in[i];
        }

        for (size_t i = 0; i < ELEMENTSOF(in); i++)
                if (dup3(in[i], (int) i, i == SYNC_FD ? O_CLOEXEC : 0) < 0)
                        return negative_errno();

        return close_range(SYNC_FD + 1, ~0U, 0) < 0 ? negative_errno() : 0;
}

/*
 * The user of the container may open /dev/stdout again, so pipes must be its own. A /dev/null is
 * exchanged for the container's, whose mode it may change without changing that of the guest.
 */
static int adopt_stdio(const ChildContext *c, char **reterr_message)
{
        const int given[] = { c->io.stdin_fd, c->io.stdout_fd, c->io.stderr_fd };

        for (int fd = 0; fd < 3; fd++) {
                _cleanup_close_ int null_fd = -EBADF;
                struct stat st;

                if (given[fd] >= 0) {
                        if (fstat(fd, &st) >= 0 && S_ISFIFO(st.st_mode) &&
                            fchown(fd, c->plan->process.uid, (gid_t) -1) < 0) {
                                int r = negative_errno();

                                return error_setf(reterr_message, r, "standard stream %d: %s", fd,
                                                  strerror(-r));
                        }
                        continue;
                }

                null_fd = open("/dev/null",
                                O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (null_fd >= 0 && fstat(null_fd, &st) >= 0 && S_ISCHR(st.st_mode) &&
                    st.st_rdev == makedev(1, 3) && dup2(null_fd, fd) < 0)
                        return negative_errno();
        }

        return 0;
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

static int set_up_namespaces(const ContainerPlan *plan, char **reterr_message)
{
        int r;

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

        return 0;
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

        /* In a user namespace the agent has done it. */
        if (plan->namespaces & CLONE_NEWUSER)
                return 0;
        return process_set_oom_score(&plan->process, proc_fd, reterr_message);
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
        }

        r = set_up_namespaces(plan, reterr_message);
        if (r >= 0)
                r = write_attributes(plan, reterr_message);
        if (r >= 0)
                r = rootfs_enter(plan, c->cgroup_path, reterr_message);
        if (r >= 0)
                r = adopt_stdio(c, reterr_message);
        if (r >= 0)
                r = process_make_env(&plan->process, ret_env, reterr_message);
        if (r >= 0)
                r = process_become_user(&plan->process, reterr_message);
        if (r >= 0)
                r = process_find_program(&plan->process.args, ret_env, ret_program, reterr_message);
        if (r < 0)
                return r;

        umask(0022);
        if (close_range(SYNC_FD + 1, ~0U, 0) < 0)
                return negative_errno();

        return process_confine(&plan->process, plan->seccomp, reterr_message);
}

void container_child_run(const ChildContext *context)
{
        char *message = NULL, *program = NULL;
        Strv env = {};
        ssize_t n;
        char go;
        int r;

        reset_signals();
        r = arrange_fds(context);
        if (r < 0)
                fail(context->sync_fd, r, "cannot arrange the standard streams");

        r = set_up(context, &env, &program, &message);
        if (r < 0)
                fail(SYNC_FD, r, message);

        send_message(SYNC_FD, CHILD_READY, 0, NULL);
        do
                n = read(SYNC_FD, &go, 1);
        while (n < 0 && errno == EINTR);
        if (n != 1)
                _exit(EXIT_FAILURE);

        send_message(SYNC_FD, CHILD_EXEC, 0, NULL);
        execve(program, context->plan->process.args.v, env.v ? env.v : (char *[]) { NULL });

        r = negative_errno();
        (void) process_exec_error(program, r, &message);
        fail(SYNC_FD, r, message);
}
