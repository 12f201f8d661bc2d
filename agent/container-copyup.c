/* SPDX-License-Identifier: Apache-2.0 */
/* Copy of a directory tree into a tmpfs: see container-copyup.h. */

#include "agent/container-copyup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"

static int copy_file(int from_dir, int to_dir, const char *name)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        struct stat st;
        ssize_t n;

        /* The name may have become a fifo since it was looked at: do not hang on it. */
        from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode))
                return 0;

        to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (to < 0)
                return negative_errno();

        do
                n = sendfile(to, from, NULL, INT_MAX);
        while (n > 0 || (n < 0 && errno == EINTR));
        if (n < 0)
                return negative_errno();

        /* Owner first: chown() clears set-id bits. */
        if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
                return negative_errno();

        return 0;
}

static int copy_symlink(int from_dir, int to_dir, const char *name, const struct stat *st)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

        if (n < 0)
                return negative_errno();
        target[n] = '\0';

        if (symlinkat(target, to_dir, name) < 0 ||
            fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return negative_errno();

        return 0;
}

static int copy_tree(int from_fd, int to_fd, unsigned depth);

static int copy_dir(int from_dir, int to_dir, const char *name, const struct stat *st,
                    unsigned depth)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        int r;

        if (depth >= COPY_UP_DEPTH_MAX)
                return -ELOOP;

        from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
                return negative_errno();
        to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
                return negative_errno();

        r = copy_tree(from, to, depth + 1);
        if (r < 0)
                return r;

        if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
                return negative_errno();

        return 0;
}

static void closedirp(DIR **d)
{
        if (*d)
                closedir(*d);
}

static int copy_tree(int from_fd, int to_fd, unsigned depth)
{
        _cleanup_(closedirp) DIR *d = NULL;
        int fd = fcntl(from_fd, F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
                return negative_errno();
        d = fdopendir(fd);
        if (!d) {
                int r = negative_errno();

                safe_close(fd);
                return r;
        }

        for (;;) {
                struct dirent *de;
                struct stat st;
                int r = 0;

                errno = 0;
                de = readdir(d);
                if (!de)
                        return errno > 0 ? -errno : 0;
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;

                if (fstatat(from_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT)
                                continue;
                        return negative_errno();
                }

                if (S_ISDIR(st.st_mode))
                        r = copy_dir(from_fd, to_fd, de->d_name, &st, depth);
                else if (S_ISREG(st.st_mode))
                        r = copy_file(from_fd, to_fd, de->d_name);
                else if (S_ISLNK(st.st_mode))
                        r = copy_symlink(from_fd, to_fd, de->d_name, &st);
                if (r < 0)
                        return r;
        }
}

int copy_up(int source_dir_fd, int target_dir_fd)
{
        _cleanup_close_ int from = -EBADF, to = -EBADF;
        struct stat st;

        from = openat(source_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        to = openat(target_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from < 0 || to < 0 || fstat(from, &st) < 0)
                return negative_errno();

        if (fchown(to, st.st_uid, st.st_gid) < 0)
                return negative_errno();

        return copy_tree(from, to, 0);
}
