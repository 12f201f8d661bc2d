/* SPDX-License-Identifier: Apache-2.0 */
/* Detached mounts: see mount-clone.h. Host side, CAP_SYS_ADMIN; the namespace is one of a privileged caller. */

#include "runtime/store/mount-clone.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/unix-socket.h"

static int clone_here(const char *source, bool recursive)
{
        int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0U));

        return fd < 0 ? negative_errno() : fd;
}

/* Sends 0 with the mount, or the errno. */
static _noreturn_ void run_child(int namespace_fd, const char *source, bool recursive, int sock)
{
        int fd = setns(namespace_fd, CLONE_NEWNS) < 0 ? negative_errno() : clone_here(source, recursive), error = 0;

        if (fd < 0) {
                error = -fd;
                (void) send(sock, &error, sizeof(error), MSG_NOSIGNAL);
        } else
                (void) unix_send_fd(sock, &error, sizeof(error), 0, fd);
        _exit(EXIT_SUCCESS);
}

static int receive(int sock, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        ssize_t k;
        int error;

        do
                k = unix_recv_fd(sock, &error, sizeof(error), 0, &fd);
        while (k == -EINTR);
        if (k < 0)
                return (int) k;
        if (k != sizeof(error) || (error == 0 && fd < 0))
                return -EIO;
        if (error != 0)
                return -error;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int mount_clone(int namespace_fd, const char *source, bool recursive, int *ret_fd)
{
        int pair[2], r;
        pid_t pid;

        if (namespace_fd < 0) {
                r = clone_here(source, recursive);
                if (r >= 0)
                        *ret_fd = r;
                return r < 0 ? r : 0;
        }

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                safe_close(pair[0]);
                run_child(namespace_fd, source, recursive, pair[1]);
        }
        r = pid < 0 ? negative_errno() : 0;
        safe_close(pair[1]);
        if (r >= 0)
                r = receive(pair[0], ret_fd);
        safe_close(pair[0]);
        if (pid > 0)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        return r;
}
