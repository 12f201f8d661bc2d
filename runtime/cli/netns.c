/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces: see netns.h. */

#include "runtime/cli/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "basic/error.h"
#include "basic/fd.h"

int netns_open(const char *path, int *ret_fd, char **reterr_message)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        int r;

        if (fd < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "network namespace %s: %s", path, strerror(-r));
        }
        if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
                return error_setf(reterr_message, -EINVAL, "%s is not a network namespace", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int netns_open_pid(pid_t pid, int *ret_fd, char **reterr_message)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
        return netns_open(path, ret_fd, reterr_message);
}
