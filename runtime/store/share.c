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
#include "runtime/store/mount-clone.h"

/* Whoever has a user namespace in the guest is nobody here, and passes on its way to its root; the supervisor's
 * umask would keep it out. On the host the directory is below one of 0700. */
#define PASSAGE_MODE 0711

int share_enter_namespace(void)
{
        if (unshare(CLONE_NEWNS) < 0)
                return negative_errno();
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return negative_errno();

        return 0;
}

int share_keep_namespace(int *ret_fd)
{
        int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return negative_errno();
        *ret_fd = fd;
        return 0;
}

int share_return_to_namespace(int fd)
{
        return setns(fd, CLONE_NEWNS) < 0 ? negative_errno() : 0;
}

int share_open(const char *dir, bool live, char **reterr_message)
{
        int r;

        /* In a namespace of an earlier supervisor: its mounts, with all below. */
        while (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) >= 0)
                ;
        r = rm_rf(dir);
        if (r >= 0)
                r = mkdir_p(dir, PASSAGE_MODE);
        if (r >= 0 && chmod(dir, PASSAGE_MODE) < 0)
                r = negative_errno();
        if (r >= 0 && mount(dir, dir, NULL, MS_BIND, NULL) < 0)
                r = negative_errno();
        if (r >= 0 && mount(NULL, dir, NULL, MS_PRIVATE, NULL) < 0)
                r = negative_errno();
        if (r >= 0 && live && mount(NULL, dir, NULL, MS_SHARED, NULL) < 0)
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

        parent = strndup(path, (size_t) (strrchr(path, '/') - path));
        if (!parent)
                return -ENOMEM;
        r = mkdir_p(parent, PASSAGE_MODE);
        if (r >= 0 && chmod(parent, PASSAGE_MODE) < 0)
                r = negative_errno();
        if (r < 0)
                return r;
        if (directory)
                return mkdir_p(path, 0755);

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? negative_errno() : 0;
}

static int set_flags(int fd, const char *path, uint64_t flags, bool recursive)
{
        struct mount_attr attr = { .attr_set = flags };
        unsigned at = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

        return mount_setattr(fd, path, at, &attr, sizeof(attr)) < 0 ? negative_errno() : 0;
}

/* A mount of source that is not in the tree yet. Never follows into device files and the like. */
static int clone_source(const char *source, ShareFlags flags, int namespace_fd, int *ret_fd, bool *ret_directory,
                        char **reterr_message)
{
        bool recursive = flags & SHARE_RECURSIVE;
        _cleanup_close_ int tree = -EBADF;
        struct stat st;
        int r;

        r = mount_clone(namespace_fd, source, recursive, &tree);
        if (r >= 0 && fstat(tree, &st) < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be shared: %s", source, strerror(-r));
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
                return error_setf(reterr_message, EINVAL,
                                  "'%s' can not be shared: neither a directory nor a regular file",
                                  source);

        r = set_flags(tree, "",
                      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                              (flags & SHARE_READ_ONLY ? MOUNT_ATTR_RDONLY : 0U),
                      recursive);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be shared: %s", source, strerror(-r));

        *ret_fd = TAKE_FD(tree);
        *ret_directory = S_ISDIR(st.st_mode);
        return 0;
}

int share_add(const char *dir, const char *name, const char *source, ShareFlags flags,
              char **reterr_message)
{
        _cleanup_close_ int tree = -EBADF;
        _cleanup_free_ char *target = NULL;
        bool directory;
        int r;

        if (!name_is_safe(name))
                return error_setf(reterr_message, EINVAL, "bad name '%s' in the shared directory", name);
        if (asprintf(&target, "%s/%s", dir, name) < 0)
                return -ENOMEM;

        r = clone_source(source, flags, -EBADF, &tree, &directory, reterr_message);
        if (r < 0)
                return r;
        r = make_target(target, directory);
        if (r >= 0 && move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be mounted at '%s': %s", source,
                                  target, strerror(-r));

        return 0;
}

/* --- live --- */

/* The directory below its read-only mount, through a mount that is not in any tree. */
static int open_writable(const char *dir)
{
        struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE };
        _cleanup_close_ int fd = -EBADF;
        struct statx st;

        /* The plain directory is there in every namespace. */
        if (statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW, 0, &st) < 0)
                return negative_errno();
        if (!(st.stx_attributes_mask & st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return -ENOTCONN;

        fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return negative_errno();
        return TAKE_FD(fd);
}

/* "CID.1/rootfs": one directory above at most, which belongs to this name alone. */
static char *parent_of(const char *name)
{
        const char *slash = strrchr(name, '/');

        return strndup(name, slash ? (size_t) (slash - name) : 0);
}

static int make_live_target(int dir_fd, const char *name, bool directory)
{
        _cleanup_free_ char *parent = parent_of(name);
        int fd;

        if (!parent)
                return -ENOMEM;
        if (*parent && (mkdirat(dir_fd, parent, PASSAGE_MODE) < 0 || fchmodat(dir_fd, parent, PASSAGE_MODE, 0) < 0))
                return negative_errno();
        if (directory)
                return mkdirat(dir_fd, name, 0755) < 0 ? negative_errno() : 0;

        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return negative_errno();
        safe_close(fd);
        return 0;
}

static void remove_live_target(int dir_fd, const char *name)
{
        _cleanup_free_ char *parent = parent_of(name);

        if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno == ENOTDIR)
                (void) unlinkat(dir_fd, name, 0);
        if (!isempty(parent))
                (void) unlinkat(dir_fd, parent, AT_REMOVEDIR);
}

int share_add_live(const char *dir, const char *name, const char *source, ShareFlags flags, int namespace_fd,
                   char **reterr_message)
{
        _cleanup_close_ int tree = -EBADF, dir_fd = -EBADF;
        _cleanup_free_ char *target = NULL;
        bool directory;
        int r;

        if (!name_is_safe(name))
                return error_setf(reterr_message, EINVAL, "bad name '%s' in the shared directory", name);
        if (asprintf(&target, "%s/%s", dir, name) < 0)
                return -ENOMEM;

        r = dir_fd = open_writable(dir);
        if (r == -ENOTCONN)
                return error_setf(reterr_message, r, "the shared directory of this sandbox belongs to a supervisor "
                                  "that is gone: no further container can be created");
        if (r < 0)
                return error_setf(reterr_message, r, "'%s': %s", dir, strerror(-r));
        r = clone_source(source, flags, namespace_fd, &tree, &directory, reterr_message);
        if (r < 0)
                return r;

        r = make_live_target(dir_fd, name, directory);
        if (r >= 0 && move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
                r = negative_errno();
                remove_live_target(dir_fd, name);
        }
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be mounted at '%s': %s", source,
                                  target, strerror(-r));

        return 0;
}

int share_remove(const char *dir, const char *name)
{
        _cleanup_close_ int dir_fd = -EBADF;
        _cleanup_free_ char *target = NULL;

        if (!name_is_safe(name))
                return -EINVAL;
        if (asprintf(&target, "%s/%s", dir, name) < 0)
                return -ENOMEM;

        dir_fd = open_writable(dir);
        if (dir_fd < 0)
                return dir_fd == -ENOTCONN || dir_fd == -ENOENT ? 0 : dir_fd;
        if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
                return negative_errno();
        remove_live_target(dir_fd, name);
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
