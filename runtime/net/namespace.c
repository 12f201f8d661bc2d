/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces: see namespace.h. */

#include "runtime/net/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

#define OWN_NAMESPACE "/proc/self/ns/net"
#define TUN_DEVICE "/dev/net/tun"

int namespace_id(int fd, NamespaceId *ret)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        *ret = (NamespaceId) { .device = st.st_dev, .inode = st.st_ino };
        return 0;
}

static bool is_network_namespace(int fd)
{
        struct statfs fs;

        return fstatfs(fd, &fs) >= 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

static int check_not_own(const char *path, int fd, char **reterr_message)
{
        _cleanup_close_ int own = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
        NamespaceId a, b;
        int r;

        r = own < 0 ? negative_errno() : namespace_id(own, &a);
        if (r >= 0)
                r = namespace_id(fd, &b);
        if (r < 0)
                return error_setf(reterr_message, r, OWN_NAMESPACE ": %s", strerror(-r));
        if (a.device == b.device && a.inode == b.inode)
                return error_setf(reterr_message, -EPERM, "%s is the network namespace of the host, which is not "
                                  "given to a guest; make another one, like 'ip netns add NAME'", path);
        return 0;
}

int namespace_open_any(const char *path, int *ret_fd, char **reterr_message)
{
        /* O_NONBLOCK: a FIFO in its place must not hang us. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        int r;

        if (fd < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "network namespace %s can not be opened: %s%s", path,
                                  strerror(-r), r == -EACCES ?
                                  " (that of a process with more capabilities than kata-sandboxd: name it with "
                                  "'ip netns attach' and give that path)" : "");
        }
        if (!is_network_namespace(fd))
                return error_setf(reterr_message, -EINVAL, "%s is not a network namespace", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int namespace_open(const char *path, int *ret_fd, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        int r = namespace_open_any(path, &fd, reterr_message);

        if (r >= 0)
                r = check_not_own(path, fd, reterr_message);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int leave(int own, char **reterr_message)
{
        int r;

        if (setns(own, CLONE_NEWNET) >= 0)
                return 0;
        r = negative_errno();
        return error_setf(reterr_message, r, "no way back into the network namespace of the host: %s", strerror(-r));
}

int namespace_new(int *ret_fd, char **reterr_message)
{
        _cleanup_close_ int own = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC), fd = -EBADF;
        int r, q;

        if (own < 0 || unshare(CLONE_NEWNET) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "a network namespace can not be made: %s", strerror(-r));
        }
        fd = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? negative_errno() : 0;
        q = leave(own, reterr_message);
        if (q < 0)
                return q;
        if (r < 0)
                return error_setf(reterr_message, r, OWN_NAMESPACE ": %s", strerror(-r));
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* In the namespace. */
static int open_all(Netlink *netlink, int *tuns, size_t n_tuns, char **reterr_message)
{
        int r = netlink_open(netlink);

        if (r < 0)
                return error_setf(reterr_message, r, "netlink socket: %s", strerror(-r));
        for (size_t i = 0; i < n_tuns; i++) {
                tuns[i] = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                if (tuns[i] < 0) {
                        r = negative_errno();
                        return error_setf(reterr_message, r, TUN_DEVICE ": %s%s", strerror(-r),
                                          r == -ENOENT || r == -ENODEV ? " (modprobe tun)" : "");
                }
        }
        return 0;
}

int namespace_sockets(int namespace_fd, Netlink *ret_netlink, int *ret_tuns, size_t n_tuns, char **reterr_message)
{
        _cleanup_close_ int own = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
        Netlink netlink = NETLINK_NULL;
        int r, q;

        if (own < 0)
                return error_setf(reterr_message, errno, OWN_NAMESPACE ": %s", strerror(errno));
        for (size_t i = 0; i < n_tuns; i++)
                ret_tuns[i] = -EBADF;

        if (setns(namespace_fd, CLONE_NEWNET) < 0)
                return error_setf(reterr_message, errno, "the network namespace can not be entered: %s",
                                  strerror(errno));
        r = open_all(&netlink, ret_tuns, n_tuns, reterr_message);
        q = leave(own, reterr_message);
        if (q < 0)
                r = q;
        if (r < 0) {
                netlink_done(&netlink);
                for (size_t i = 0; i < n_tuns; i++)
                        ret_tuns[i] = safe_close(ret_tuns[i]);
                return r;
        }

        *ret_netlink = netlink;
        return 0;
}
