/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-terminals: see container-terminal.h. The file system around the child is the tenant's. */

#include "agent/container-terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "basic/root-path.h"
#include "agent/mounts.h"
#include "basic/error.h"

#define PTMX "/dev/pts/ptmx"
#define CONSOLE "/dev/console"

static int open_root(void)
{
        int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? negative_errno() : fd;
}

bool terminal_is_master(int fd)
{
        struct stat st;
        int number;

        return fstat(fd, &st) >= 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2) &&
               ioctl(fd, TIOCGPTN, &number) >= 0;
}

int terminal_open(int *ret_master, int *ret_slave, char **reterr_message)
{
        _cleanup_close_ int root_fd = open_root(), master = -EBADF, slave = -EBADF;
        struct statfs fs;
        int unlock = 0, r;

        if (root_fd < 0)
                return root_fd;

        r = master = root_open(root_fd, PTMX, O_RDWR | O_NOCTTY | O_NONBLOCK, RESOLVE_NO_SYMLINKS);
        if (r < 0)
                return error_setf(reterr_message, r, "terminal: " PTMX ": %s", strerror(-r));
        if (fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC || !terminal_is_master(master))
                return error_setf(reterr_message, -ENODEV, "terminal: " PTMX " is not on a devpts");

        if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return negative_errno();
        /* By descriptor: /dev/pts/N may be another terminal's (CVE-2025-52565). */
        slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "terminal: %s", strerror(-r));
        }

        *ret_master = TAKE_FD(master);
        *ret_slave = TAKE_FD(slave);
        return 0;
}

int terminal_bind_console(int slave, char **reterr_message)
{
        _cleanup_close_ int root_fd = open_root(), target_fd = -EBADF, tree_fd = -EBADF;
        int r;

        if (root_fd < 0)
                return root_fd;

        r = target_fd = root_make_file(root_fd, CONSOLE);
        if (r >= 0)
                r = tree_fd = mount_clone(slave, false);
        if (r >= 0)
                r = mount_attach(tree_fd, target_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "terminal: " CONSOLE ": %s", strerror(-r));
        return 0;
}

int terminal_adopt(int slave, const ProcessPlan *plan, char **reterr_message)
{
        const struct winsize size = { .ws_row = plan->rows, .ws_col = plan->columns };
        int r;

        if (size.ws_row != 0 && size.ws_col != 0 && ioctl(slave, TIOCSWINSZ, &size) < 0)
                return negative_errno();
        if (fchown(slave, plan->uid, (gid_t) -1) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "terminal: giving it to user %u: %s", plan->uid,
                                  strerror(-r));
        }
        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                return negative_errno();

        for (int fd = 0; fd <= STDERR_FILENO; fd++)
                if (dup2(slave, fd) < 0)
                        return negative_errno();
        return 0;
}
