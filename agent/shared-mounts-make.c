/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of one container in another one, made: see shared-mounts.h. In a worker, with the agent's privileges. */

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/mounts.h"
#include "agent/shared-mounts.h"
#include "basic/error.h"
#include "basic/root-path.h"

#define RETRY_USEC (50 * USEC_PER_MSEC)

static int enter(int pidfd, const char *whose, char **reterr_message)
{
        int r;

        if (setns(pidfd, CLONE_NEWNS) >= 0)
                return 0;
        r = negative_errno();
        return r == -ESRCH ? error_setf(reterr_message, -EBUSY, "%s has stopped", whose)
                           : error_setf(reterr_message, r, "mount namespace of %s: %s", whose, strerror(-r));
}

/* -EAGAIN: not there yet. */
static int open_mount_point(int root_fd, const char *path)
{
        _cleanup_close_ int fd = root_open(root_fd, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        struct statx st;

        if (fd < 0)
                return fd == -ENOENT ? -EAGAIN : fd;
        if (statx(fd, "", AT_EMPTY_PATH, 0, &st) < 0)
                return negative_errno();
        if (!(st.stx_attributes_mask & st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return -EAGAIN;
        return TAKE_FD(fd);
}

static int clone_source(const SharedMount *m, int root_fd, usec_t deadline, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF, tree_fd = -EBADF;
        int r;

        /* A process of the other container may be about to make it. */
        while ((fd = open_mount_point(root_fd, m->source_path)) == -EAGAIN && now_usec() < deadline)
                (void) usleep(RETRY_USEC);
        if (fd == -EAGAIN)
                return error_setf(reterr_message, -ENOENT, "'%s' of container '%s' is no mount point", m->source_path,
                                  m->source);
        if (fd == -ELOOP)
                return error_setf(reterr_message, fd, "'%s' of container '%s': there is a symlink on the way",
                                  m->source_path, m->source);
        if (fd < 0)
                return error_setf(reterr_message, fd, "'%s' of container '%s': %s", m->source_path, m->source,
                                  strerror(-fd));

        r = tree_fd = mount_clone(fd, true);
        if (r >= 0)
                r = mount_set_attr(tree_fd, true, 0, 0, MS_PRIVATE);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' of container '%s': %s", m->source_path, m->source,
                                  strerror(-r));
        return TAKE_FD(tree_fd);
}

static int attach(const SharedMount *m, int root_fd, int tree_fd, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        struct statfs s;
        int r;

        fd = root_open(root_fd, m->target_path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        if (fd == -ENOENT) {
                fd = root_make_dir(root_fd, m->target_path, 0755);
                if (fd >= 0) {
                        safe_close(fd);
                        fd = root_open(root_fd, m->target_path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
                }
        }
        if (fd == -ELOOP)
                return error_setf(reterr_message, fd, "'%s': there is a symlink on the way", m->target_path);
        r = fd < 0 ? fd : fstatfs(fd, &s) < 0 ? negative_errno() : 0;
        if (r >= 0 && s.f_type == PROC_SUPER_MAGIC)
                return error_setf(reterr_message, -EPERM, "'%s' leads into procfs", m->target_path);
        if (r >= 0)
                r = mount_attach(tree_fd, fd);
        return r < 0 ? error_setf(reterr_message, r, "'%s': %s", m->target_path, strerror(-r)) : 0;
}

static int make(const SharedMount *m, const int *target, const int *source, usec_t deadline, char **reterr_message)
{
        _cleanup_close_ int tree_fd = -EBADF;
        int r;

        r = enter(source[0], "the source container", reterr_message);
        if (r < 0)
                return r;
        tree_fd = clone_source(m, source[1], deadline, reterr_message);
        if (tree_fd < 0)
                return tree_fd;
        r = enter(target[0], "the container", reterr_message);
        return r < 0 ? r : attach(m, target[1], tree_fd, reterr_message);
}

int shared_mounts_make(const SharedMounts *mounts, const int *fds, usec_t wait, char **reterr_message)
{
        usec_t deadline = now_usec() + wait;

        for (size_t i = 0; i < mounts->n; i++) {
                int r = make(&mounts->v[i], fds, fds + 2 + 2 * i, deadline, reterr_message);

                if (r < 0)
                        return error_prefixf(reterr_message, r, "shared mount '%s'", mounts->v[i].name);
        }

        return 0;
}
