/* SPDX-License-Identifier: Apache-2.0 */
/* A kata-shim for a process of a container: see shim-process.h. */

#include "runtime/cli/shim-process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/pidref.h"
#include "basic/strv.h"

#define SYNC_FD 3
/* It makes three FIFOs. */
#define READY_MSEC 20000

void shim_process_done(ShimProcess *s)
{
        s->pidfd = safe_close(s->pidfd);
        s->sync_fd = safe_close(s->sync_fd);
        s->stdin_path = mfree(s->stdin_path);
        s->stdout_path = mfree(s->stdout_path);
        s->stderr_path = mfree(s->stderr_path);
}

int console_socket_send(const char *path, int master, const char *name, char **reterr_message)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char control[CMSG_SPACE(sizeof(int))] = {};
        struct iovec iov = { .iov_base = (void *) (uintptr_t) name, .iov_len = strlen(name) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        _cleanup_close_ int fd = -EBADF;
        struct cmsghdr *c;
        int r = 0;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_setf(reterr_message, -ENAMETOOLONG, "console socket %s: the path is too long", path);
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                r = negative_errno();
        if (r >= 0) {
                c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &master, sizeof(int));
                if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
                        r = negative_errno();
        }
        return r < 0 ? error_setf(reterr_message, r, "console socket %s: %s", path, strerror(-r)) : 0;
}

/* --- terminal --- */

static int make_terminal(const ShimParams *p, int *ret_slave, char **reterr_message)
{
        struct winsize size = { .ws_row = p->rows, .ws_col = p->columns };
        _cleanup_close_ int master = -EBADF, slave = -EBADF;
        char name[64];
        int r;

        if (openpty(&master, &slave, NULL, NULL, p->rows && p->columns ? &size : NULL) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "no terminal can be made: %s", strerror(-r));
        }
        if (ttyname_r(slave, name, sizeof(name)) != 0)
                snprintf(name, sizeof(name), "/dev/ptmx");
        r = console_socket_send(p->console_socket, master, name, reterr_message);
        if (r < 0)
                return r;
        *ret_slave = TAKE_FD(slave);
        return 0;
}

/* --- the child --- */

static _noreturn_ void run_child(char *const argv[], int slave, bool own_group, int sync_fd)
{
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigset_t none;

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) sigaction(SIGPIPE, &standard, NULL);
        (void) umask(0077);
        if (slave >= 0) {
                /* A session of its own, whose terminal this is: SIGWINCH comes to it. */
                if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0 || dup2(slave, STDIN_FILENO) < 0 ||
                    dup2(slave, STDOUT_FILENO) < 0 || dup2(slave, STDERR_FILENO) < 0)
                        _exit(EXIT_FAILURE);
        } else if (own_group)
                /* Callers kill the group of the process when it takes too long. */
                (void) setpgid(0, 0);

        if (sync_fd != SYNC_FD && dup2(sync_fd, SYNC_FD) < 0)
                _exit(EXIT_FAILURE);
        (void) fd_set_cloexec(SYNC_FD, false);
        (void) close_range(SYNC_FD + 1, ~0U, 0);
        if (chdir("/") < 0)
                _exit(EXIT_FAILURE);
        (void) execv(argv[0], argv);
        _exit(EXIT_FAILURE);
}

static int make_argv(const ShimParams *p, Strv *ret)
{
        int r;

        r = strv_add_many(ret, SHIM_FILE, "--id", p->id, "--directory", p->directory, "--sync-fd", "3", "--sandbox",
                          NULL);
        if (r >= 0)
                r = strv_addf(ret, "%s/%s", RUNDIR, p->sandbox);
        if (r >= 0 && *p->exec_id)
                r = strv_add_many(ret, "--exec-id", p->exec_id, NULL);
        if (r >= 0 && p->terminal)
                r = strv_add(ret, "--terminal");
        return r;
}

static int make_paths(const ShimParams *p, ShimProcess *shim)
{
        if (asprintf(&shim->stdin_path, "%s/stdin", p->directory) < 0)
                shim->stdin_path = NULL;
        if (asprintf(&shim->stdout_path, "%s/stdout", p->directory) < 0)
                shim->stdout_path = NULL;
        if (p->terminal)
                shim->stderr_path = strdup("");
        else if (asprintf(&shim->stderr_path, "%s/stderr", p->directory) < 0)
                shim->stderr_path = NULL;
        return shim->stdin_path && shim->stdout_path && shim->stderr_path ? 0 : -ENOMEM;
}

static int wait_ready(const ShimProcess *shim, char **reterr_message)
{
        int events;
        char c;

        events = fd_wait(shim->sync_fd, POLLIN, READY_MSEC);
        if (events == 0)
                return error_setf(reterr_message, -ETIMEDOUT, "%s does not answer", SHIM_FILE);
        if (events < 0 || read_full(shim->sync_fd, &c, 1) < 0 || c != 'R')
                return error_setf(reterr_message, -EIO, "%s has ended early", SHIM_FILE);
        return 0;
}

static int spawn(const ShimParams *p, ShimProcess *shim, int slave, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        PidRef ref = PIDREF_NULL;
        int pair[2], r;

        r = make_argv(p, &argv);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        shim->pid = fork();
        if (shim->pid == 0)
                /* A terminal that is ours is read by its foreground group only. */
                run_child(argv.v, slave, !p->terminal, pair[1]);
        r = shim->pid < 0 ? negative_errno() : 0;
        safe_close(pair[1]);
        shim->sync_fd = pair[0];
        if (r >= 0)
                r = pidref_set(&ref, shim->pid);
        if (r >= 0)
                r = pid_start_time(shim->pid, &shim->start_time);
        shim->pidfd = ref.fd;
        if (r < 0)
                return error_setf(reterr_message, r, "%s can not be started: %s", SHIM_FILE, strerror(-r));
        return wait_ready(shim, reterr_message);
}

int shim_start(const ShimParams *params, ShimProcess *ret, char **reterr_message)
{
        _cleanup_close_ int slave = -EBADF;
        ShimProcess shim = SHIM_PROCESS_NULL;
        int r;

        r = make_paths(params, &shim);
        if (r >= 0 && params->terminal && params->console_socket)
                r = make_terminal(params, &slave, reterr_message);
        if (r >= 0)
                r = spawn(params, &shim, slave, reterr_message);
        if (r < 0) {
                shim_kill(&shim);
                shim_process_done(&shim);
                return r;
        }
        *ret = shim;
        return 0;
}

int shim_go(ShimProcess *shim, char **reterr_message)
{
        int r = write_full(shim->sync_fd, "G", 1);

        shim->sync_fd = safe_close(shim->sync_fd);
        return r < 0 ? error_setf(reterr_message, r, "%s has ended early", SHIM_FILE) : 0;
}

void shim_kill(ShimProcess *shim)
{
        /* What it has made it removes when it is told so by the end of the descriptor. */
        shim->sync_fd = safe_close(shim->sync_fd);
        if (shim->pid <= 0)
                return;
        if (fd_wait(shim->pidfd, POLLIN, 1000) == 0)
                (void) kill(shim->pid, SIGKILL);
        (void) waitpid(shim->pid, NULL, 0);
        shim->pid = 0;
}

int shim_wait(ShimProcess *shim)
{
        int status = 0;

        for (;;) {
                struct signalfd_siginfo si;
                struct pollfd polls[2] = { { .fd = shim->pidfd, .events = POLLIN } };
                _cleanup_close_ int fd = -EBADF;
                sigset_t set;

                sigfillset(&set);
                sigdelset(&set, SIGCHLD);
                (void) sigprocmask(SIG_SETMASK, &set, NULL);
                fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
                polls[1] = (struct pollfd) { .fd = fd, .events = POLLIN };
                if (poll(polls, ELEMENTSOF(polls), -1) < 0 && errno != EINTR)
                        return EXIT_FAILURE;
                if (polls[1].revents && read(fd, &si, sizeof(si)) == (ssize_t) sizeof(si))
                        (void) kill(shim->pid, (int) si.ssi_signo);
                if (polls[0].revents)
                        break;
        }
        while (waitpid(shim->pid, &status, 0) < 0 && errno == EINTR)
                ;
        shim->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
