/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptor and small-file helpers: see fd.h. Callers decide whom to trust. */

#include "basic/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

int safe_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                /* EINTR included: Linux has released the descriptor in any case. */
                (void) close(fd);
                errno = saved;
        }

        return -EBADF;
}

static int fd_change_flag(int fd, int get, int set, int flag, bool on)
{
        int flags = fcntl(fd, get);

        if (flags < 0)
                return negative_errno();

        int wanted = on ? flags | flag : flags & ~flag;
        if (wanted != flags && fcntl(fd, set, wanted) < 0)
                return negative_errno();

        return 0;
}

int fd_set_nonblock(int fd, bool nonblock)
{
        return fd_change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblock);
}

int fd_set_cloexec(int fd, bool cloexec)
{
        return fd_change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, cloexec);
}

int read_full(int fd, void *buf, size_t n)
{
        uint8_t *p = buf;

        while (n > 0) {
                ssize_t k = read(fd, p, n);

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                if (k == 0)
                        return -ENODATA;
                p += k;
                n -= (size_t) k;
        }

        return 0;
}

int write_full(int fd, const void *buf, size_t n)
{
        const uint8_t *p = buf;

        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                p += k;
                n -= (size_t) k;
        }

        return 0;
}

int read_fd_max(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                if (allocated - size < 2) {
                        size_t want = MIN(allocated > 0 ? allocated * 2 : (size_t) 4096, max + 2);
                        char *grown = realloc(buf, want);

                        if (!grown)
                                return -ENOMEM;
                        buf = grown;
                        allocated = want;
                }

                ssize_t k = read(fd, buf + size, allocated - size - 1);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                if (k == 0)
                        break;
                size += (size_t) k;
                if (size > max)
                        return -EFBIG;
        }

        buf[size] = '\0';
        if (ret_size)
                *ret_size = size;
        else if (memchr(buf, '\0', size))
                return -EINVAL;

        *ret = TAKE_PTR(buf);
        return 0;
}

int read_file_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return negative_errno();

        return read_fd_max(fd, max, ret, ret_size);
}

int write_string_file_at(int dir_fd, const char *path, const char *text)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        size_t n = strlen(text);
        ssize_t k;

        if (fd < 0)
                return negative_errno();

        /* One call: the kernel's attribute files parse each write on its own. */
        k = write(fd, text, n);
        if (k < 0)
                return negative_errno();

        return (size_t) k == n ? 0 : -EIO;
}

int write_file_atomic(const char *path, const void *data, size_t n, mode_t mode)
{
        _cleanup_free_ char *tmp = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
                return -ENOMEM;

        fd = mkostemp(tmp, O_CLOEXEC);
        if (fd < 0)
                return negative_errno();

        r = write_full(fd, data, n);
        if (r >= 0 && fchmod(fd, mode) < 0)
                r = negative_errno();
        if (r >= 0 && rename(tmp, path) < 0)
                r = negative_errno();
        if (r < 0)
                (void) unlink(tmp);

        return r;
}

int symlink_atomic(const char *target, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *tmp = NULL;
        int r;

        if (asprintf(&tmp, "%.*s.%s.new", (int) (name - path), path, name) < 0)
                return -ENOMEM;

        /* Left by somebody who did not get as far as the rename. */
        if (unlink(tmp) < 0 && errno != ENOENT)
                return negative_errno();
        if (symlink(target, tmp) < 0)
                return negative_errno();
        if (rename(tmp, path) < 0) {
                r = negative_errno();
                (void) unlink(tmp);
                return r;
        }

        return 0;
}

int fsync_path(const char *path)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

        if (fd < 0)
                return negative_errno();

        return fsync(fd) < 0 ? negative_errno() : 0;
}

int fd_wait(int fd, short events, int timeout_ms)
{
        struct pollfd p = { .fd = fd, .events = events };
        int r;

        do
                r = poll(&p, 1, timeout_ms);
        while (r < 0 && errno == EINTR);

        return r < 0 ? negative_errno() : r == 0 ? 0 : p.revents;
}

int mkdir_p(const char *path, mode_t mode)
{
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;

        for (char *p = copy + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return negative_errno();
                *p = '/';
        }

        if (mkdir(copy, mode) < 0) {
                struct stat st;

                if (errno != EEXIST)
                        return negative_errno();
                if (stat(copy, &st) < 0)
                        return negative_errno();
                if (!S_ISDIR(st.st_mode))
                        return -ENOTDIR;
        }

        return 0;
}

static int rm_rf_children(int fd, dev_t dev)
{
        DIR *d = fdopendir(fd);
        int r = 0;

        if (!d) {
                r = negative_errno();
                safe_close(fd);
                return r;
        }

        for (;;) {
                struct dirent *de = readdir(d);
                struct stat st;
                int q = 0;

                if (!de)
                        break;
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;

                if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;

                if (S_ISDIR(st.st_mode)) {
                        int sub;

                        if (st.st_dev != dev) {
                                r = -EXDEV;
                                continue;
                        }
                        sub = openat(dirfd(d), de->d_name,
                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        q = sub < 0 ? negative_errno() : rm_rf_children(sub, dev);
                        if (q >= 0 && unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR) < 0)
                                q = negative_errno();
                } else if (unlinkat(dirfd(d), de->d_name, 0) < 0)
                        q = negative_errno();

                if (q < 0 && q != -ENOENT)
                        r = q;
        }

        closedir(d);
        return r;
}

int rm_rf(const char *path)
{
        struct stat st;
        int fd, r;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : negative_errno();

        if (!S_ISDIR(st.st_mode))
                return unlink(path) < 0 && errno != ENOENT ? negative_errno() : 0;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();

        r = rm_rf_children(fd, st.st_dev);
        if (rmdir(path) < 0 && errno != ENOENT && r >= 0)
                r = negative_errno();

        return r;
}
