/* SPDX-License-Identifier: Apache-2.0 */
/* A kata-shim for a process of a container: see shim-process.h. */

#include "runtime/cli/shim-process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/pidref.h"
#include "basic/strv.h"
#include "basic/unix-socket.h"
#include "runtime/cli/shim-root.h"

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
        _cleanup_close_ int fd = -EBADF;
        int r = 0;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_setf(reterr_message, -ENAMETOOLONG, "console socket %s: the path is too long", path);
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                r = negative_errno();
        else
                r = (int) unix_send_fd(fd, name, strlen(name), 0, master);
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

static _noreturn_ void run_child(const ShimParams *p, char *const argv[], const char *root, int slave, int sync_fd)
{
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigset_t none;
        int r;

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) sigaction(SIGPIPE, &standard, NULL);
        (void) umask(0077);
        /* Callers look for the container's network there. */
        if (p->netns_fd >= 0 && setns(p->netns_fd, CLONE_NEWNET) < 0)
                _exit(EXIT_FAILURE);
        r = p->bundle ? shim_root_make(p->bundle, root) : 0;
        if (r < 0) {
                dprintf(sync_fd, "Eroot directory %s: %s", p->bundle->rootfs, strerror(-r));
                _exit(EXIT_FAILURE);
        }
        if (slave >= 0) {
                /* A session of its own, whose terminal this is: SIGWINCH comes to it. */
                if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0 || dup2(slave, STDIN_FILENO) < 0 ||
                    dup2(slave, STDOUT_FILENO) < 0 || dup2(slave, STDERR_FILENO) < 0)
                        _exit(EXIT_FAILURE);
        } else if (!p->terminal)
                /*
                 * Callers kill the group of the process when it takes too long. But a terminal that is ours is read by
                 * its foreground group only.
                 */
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

static int make_argv(const ShimParams *p, const char *root, Strv *ret)
{
        int r;

        r = strv_add_many(ret, SHIM_FILE, "--id", p->id, "--directory", p->directory, "--sync-fd", "3", "--sandbox",
                          NULL);
        if (r >= 0)
                r = strv_addf(ret, "%s/%s", RUNDIR, p->sandbox);
        if (r >= 0 && *p->exec_id)
                r = strv_add_many(ret, "--exec-id", p->exec_id, NULL);
        if (r >= 0 && p->bundle)
                r = strv_add_many(ret, "--root", root, NULL);
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
        char c, text[512];
        int events;
        ssize_t n;

        events = fd_wait(shim->sync_fd, POLLIN, READY_MSEC);
        if (events == 0)
                return error_setf(reterr_message, -ETIMEDOUT, "%s does not answer", SHIM_FILE);
        if (events < 0 || read_full(shim->sync_fd, &c, 1) < 0 || (c != 'R' && c != 'E'))
                return error_setf(reterr_message, -EIO, "%s has ended early", SHIM_FILE);
        if (c == 'E') {
                n = read(shim->sync_fd, text, sizeof(text) - 1);
                return error_setf(reterr_message, -EIO, "%.*s", (int) MAX(n, (ssize_t) 0), text);
        }
        return 0;
}

static int spawn(const ShimParams *p, ShimProcess *shim, int slave, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *root = NULL;
        PidRef ref = PIDREF_NULL;
        int pair[2], r;

        /* A mount point in the child's namespace alone; removed with the directory. */
        if (asprintf(&root, "%s/root", p->directory) < 0) {
                root = NULL;
                return -ENOMEM;
        }
        r = make_argv(p, root, &argv);
        if (r >= 0 && p->bundle && mkdir(root, 0700) < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", root, strerror(-r));
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        /*
         * In a process namespace of its own it is the first: what lists that one's processes sees nothing of the host.
         */
        shim->pid = (pid_t) syscall(SYS_clone, SIGCHLD | (p->bundle ? CLONE_NEWPID | CLONE_NEWNS : 0), NULL, NULL,
                                    NULL, NULL);
        if (shim->pid == 0)
                run_child(p, argv.v, root, slave, pair[1]);
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
