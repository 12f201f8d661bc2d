/* SPDX-License-Identifier: Apache-2.0 */
/* Walks without symlinks: see confined-path.h. */

#include "agent/confined-path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int confined_normalize(const char *path, const char *below, char **ret)
{
        _cleanup_free_ char *copy = strdup(path);
        const char *rest;
        size_t n;

        if (!copy)
                return -ENOMEM;
        for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
                copy[n - 1] = '\0';
        if (n >= PATH_MAX || copy[0] != '/' || n == 1)
                return -EINVAL;

        rest = below ? startswith(copy, below) : copy;
        if (!rest || *rest != '/')
                return -EINVAL;
        for (const char *p = copy; *p;) {
                size_t k = strcspn(++p, "/");

                if (k == 0 || k > NAME_MAX || (k == 1 && *p == '.') ||
                    (k == 2 && p[0] == '.' && p[1] == '.'))
                        return -EINVAL;
                p += k;
        }

        *ret = TAKE_PTR(copy);
        return 0;
}

int confined_open(const char *path, int flags)
{
        struct open_how how = {
                .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        int fd = (int) syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        return fd < 0 ? negative_errno() : fd;
}

int confined_chmod(int fd, mode_t mode)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return chmod(path, mode) < 0 ? negative_errno() : 0;
}

int confined_make_dirs(int dir_fd, const char *path, mode_t mode, bool *ret_made)
{
        _cleanup_close_ int fd = openat(dir_fd, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *copy = strdup(path);
        char *name, *save = NULL;
        bool made = false;
        int r;

        if (fd < 0)
                return negative_errno();
        if (!copy)
                return -ENOMEM;

        for (name = strtok_r(copy, "/", &save); name;) {
                char *following = strtok_r(NULL, "/", &save);
                int sub;

                made = mkdirat(fd, name, 0755) >= 0;
                sub = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (sub < 0)
                        return negative_errno();
                safe_close(fd);
                fd = sub;
                name = following;
        }

        if (made) {
                r = confined_chmod(fd, mode);
                if (r < 0)
                        return r;
        }
        if (ret_made)
                *ret_made = made;
        return TAKE_FD(fd);
}
