/* SPDX-License-Identifier: Apache-2.0 */
/* The shared directory of a sandbox: see share.h. Host side, CAP_SYS_ADMIN. */

#include "runtime/store/share.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

int share_enter_namespace(void)
{
        if (unshare(CLONE_NEWNS) < 0)
                return negative_errno();
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return negative_errno();

        return 0;
}

int share_open(const char *dir, char **reterr_message)
{
        int r;

        /* A name that is still a mount point here would be another run's, which this namespace has not. */
        r = rm_rf(dir);
        if (r >= 0)
                r = mkdir_p(dir, 0700);
        if (r >= 0 && mount(dir, dir, NULL, MS_BIND, NULL) < 0)
                r = negative_errno();
        if (r >= 0 && mount(NULL, dir, NULL, MS_PRIVATE, NULL) < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "shared directory '%s' can not be made: %s", dir,
                                  strerror(-r));

        return 0;
}

static bool name_is_safe(const char *name)
{
        for (const char *p = name; *p;) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                p += n + (p[n] == '/' ? 1 : 0);
        }

        return *name != '\0';
}

/* The mount point: a directory, or for anything else an empty file. */
static int make_target(const char *path, bool directory)
{
        _cleanup_free_ char *parent = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (directory)
                return mkdir_p(path, 0755);

        parent = strndup(path, (size_t) (strrchr(path, '/') - path));
        if (!parent)
                return -ENOMEM;
        r = mkdir_p(parent, 0755);
        if (r < 0)
                return r;

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? negative_errno() : 0;
}

static int set_flags(int fd, const char *path, uint64_t flags, bool recursive)
{
        struct mount_attr attr = { .attr_set = flags };
        unsigned at = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

        return mount_setattr(fd, path, at, &attr, sizeof(attr)) < 0 ? negative_errno() : 0;
}

int share_add(const char *dir, const char *name, const char *source, ShareFlags flags,
              char **reterr_message)
{
        bool recursive = flags & SHARE_RECURSIVE;
        _cleanup_close_ int tree = -EBADF;
        _cleanup_free_ char *target = NULL;
        struct stat st;
        int r;

        if (!name_is_safe(name))
                return error_setf(reterr_message, EINVAL, "bad name '%s' in the shared directory", name);
        if (asprintf(&target, "%s/%s", dir, name) < 0)
                return -ENOMEM;

        tree = open_tree(AT_FDCWD, source,
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0U));
        if (tree < 0 || fstat(tree, &st) < 0)
                return error_setf(reterr_message, errno, "'%s' can not be shared: %s", source,
                                  strerror(errno));
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
                return error_setf(reterr_message, EINVAL,
                                  "'%s' can not be shared: neither a directory nor a regular file",
                                  source);

        r = set_flags(tree, "",
                      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                              (flags & SHARE_READ_ONLY ? MOUNT_ATTR_RDONLY : 0U),
                      recursive);
        if (r >= 0)
                r = make_target(target, S_ISDIR(st.st_mode));
        if (r >= 0 && move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be mounted at '%s': %s", source,
                                  target, strerror(-r));

        return 0;
}

int share_seal(const char *dir, char **reterr_message)
{
        int r = set_flags(AT_FDCWD, dir,
                          MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                          false);

        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be made read-only: %s", dir,
                                  strerror(-r));
        return 0;
}
