/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX sockets below a directory descriptor: see unix-socket.h. */

#include "basic/unix-socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"

/* One client at a time, plus one that waits while an end-of-file of the former is noticed. */
#define LISTEN_BACKLOG 4

static int make_address(int dir_fd, const char *name, struct sockaddr_un *ret)
{
        int n;

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if (dir_fd == AT_FDCWD)
                n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", name);
        else
                n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

int unix_listen_at(int dir_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;
        int r;

        r = make_address(dir_fd, name, &address);
        if (r < 0)
                return r;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return negative_errno();

        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return negative_errno();
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        if (fchmodat(dir_fd, name, 0600, 0) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
                r = negative_errno();
                (void) unlinkat(dir_fd, name, 0);
                return r;
        }

        *ret_fd = TAKE_FD(fd);
        return 0;
}

int unix_connect_at(int dir_fd, const char *name, int *ret_fd)
{
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;
        int r;

        r = make_address(dir_fd, name, &address);
        if (r < 0)
                return r;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();

        *ret_fd = TAKE_FD(fd);
        return 0;
}

typedef union Control {
        char data[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
} Control;

ssize_t unix_send_fd(int fd, const void *data, size_t n, int flags, int passed)
{
        struct iovec iov = { .iov_base = (void *) (uintptr_t) data, .iov_len = n };
        Control control = {};
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.data,
                                  .msg_controllen = sizeof(control.data) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        ssize_t k;

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed, sizeof(int));
        k = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
        return k < 0 ? negative_errno() : k;
}

/* There is room for one: not CMSG_SPACE(), whose padding would do for a second. The kernel closes the rest. */
ssize_t unix_recv_fd(int fd, void *data, size_t n, int flags, int *ret_passed)
{
        struct iovec iov = { .iov_base = data, .iov_len = n };
        Control control = {};
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.data,
                                  .msg_controllen = CMSG_LEN(sizeof(int)) };
        const struct cmsghdr *c;
        ssize_t k;

        *ret_passed = -EBADF;
        k = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
        if (k < 0)
                return negative_errno();
        c = CMSG_FIRSTHDR(&message);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(ret_passed, CMSG_DATA(c), sizeof(int));
        return k;
}
