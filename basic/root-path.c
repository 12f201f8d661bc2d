/* SPDX-License-Identifier: Apache-2.0 */
/* Confined path resolution: see root-path.h. Works on the tenant's files. */

#include "basic/root-path.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename during the walk is EAGAIN for openat2(); a tenant can keep that up for ever. */
#define OPEN_RETRIES_MAX 128U
/* As the kernel's limit on symlinks in one path. */
#define SYMLINKS_MAX 40U

int path_normalize(const char *path, char **ret)
{
        _cleanup_free_ char *out = NULL;
        size_t n = 0;

        if (isempty(path) || path[0] != '/')
                return -EINVAL;
        if (strlen(path) >= PATH_MAX)
                return -ENAMETOOLONG;

        out = malloc(strlen(path) + 2);
        if (!out)
                return -ENOMEM;

        for (const char *p = path; *p;) {
                size_t k;

                p += strspn(p, "/");
                k = strcspn(p, "/");
                if (k == 0)
                        break;
                if (k == 2 && p[0] == '.' && p[1] == '.') {
                        while (n > 0 && out[--n] != '/')
                                ;
                } else if (k != 1 || p[0] != '.') {
                        out[n++] = '/';
                        memcpy(out + n, p, k);
                        n += k;
                }
                p += k;
        }
        if (n == 0)
                out[n++] = '/';
        out[n] = '\0';

        *ret = TAKE_PTR(out);
        return 0;
}

bool path_is_below(const char *path, const char *prefix)
{
        const char *rest;

        if (streq(prefix, "/"))
                return path[0] == '/';

        rest = startswith(path, prefix);
        return rest && (*rest == '\0' || *rest == '/');
}

int root_open(int root_fd, const char *path, int flags, uint64_t resolve)
{
        struct open_how how = {
                .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
        };

        for (unsigned i = 0; i < OPEN_RETRIES_MAX; i++) {
                int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN && errno != EINTR)
                        return negative_errno();
        }

        return -EAGAIN;
}

/*
 * Creates the first missing component of *path below root_fd. If that component turns out to be a
 * dangling symlink, *path is rewritten to lead through its target instead; ".." in there is left
 * for the kernel to resolve.
 */
static int make_next(int root_fd, char **path, mode_t mode, bool directory)
{
        _cleanup_close_ int parent_fd = -EBADF;
        _cleanup_free_ char *prefix = strdup(*path);
        char target[PATH_MAX], *name, *end, *s;
        ssize_t n;
        bool last;
        int r;

        if (!prefix)
                return -ENOMEM;

        parent_fd = root_open(root_fd, "/", O_PATH | O_DIRECTORY, 0);
        if (parent_fd < 0)
                return parent_fd;

        for (name = prefix;; name = end + 1) {
                char saved;
                int fd;

                name += strspn(name, "/");
                if (*name == '\0')
                        return 0;   /* it all exists by now */
                end = name + strcspn(name, "/");
                saved = *end;
                *end = '\0';

                fd = root_open(root_fd, prefix, O_PATH, 0);
                if (fd == -ENOENT) {
                        last = saved == '\0';
                        break;
                }
                if (fd < 0)
                        return fd;
                safe_close(parent_fd);
                parent_fd = fd;
                if (saved == '\0')
                        return 0;
                *end = saved;
        }

        if (last && !directory)
                r = mknodat(parent_fd, name, S_IFREG | 0644, 0);
        else
                r = mkdirat(parent_fd, name, last ? mode : 0755);
        if (r >= 0)
                return 0;
        if (errno != EEXIST)
                return negative_errno();

        n = readlinkat(parent_fd, name, target, sizeof(target) - 1);
        if (n < 0)
                return errno == EINVAL || errno == ENOENT ? 0 : negative_errno();
        target[n] = '\0';

        /* The rest after the component, and what leads to it unless the target is absolute. */
        const char *rest = *path + (end - prefix);
        if (target[0] == '/')
                r = asprintf(&s, "%s%s", target, rest);
        else
                r = asprintf(&s, "%.*s%s%s", (int) (name - prefix), prefix, target, rest);
        if (r < 0)
                return -ENOMEM;

        free(*path);
        *path = s;
        return strlen(s) >= PATH_MAX ? -ENAMETOOLONG : 1;
}

static int root_make(int root_fd, const char *path, mode_t mode, bool directory)
{
        _cleanup_free_ char *copy = strdup(path);
        unsigned symlinks = 0;
        int r;

        if (!copy)
                return -ENOMEM;

        /* Each round creates one component or follows one link: PATH_MAX is enough. */
        for (unsigned round = 0; round < PATH_MAX; round++) {
                _cleanup_close_ int fd = root_open(root_fd, copy, O_PATH, 0);
                struct stat st;

                if (fd >= 0) {
                        if (fstat(fd, &st) < 0)
                                return negative_errno();
                        if (directory && !S_ISDIR(st.st_mode))
                                return -ENOTDIR;
                        if (!directory && S_ISDIR(st.st_mode))
                                return -EISDIR;
                        return TAKE_FD(fd);
                }
                if (fd != -ENOENT)
                        return fd;

                r = make_next(root_fd, &copy, mode, directory);
                if (r < 0)
                        return r;
                if (r > 0 && ++symlinks > SYMLINKS_MAX)
                        return -ELOOP;
        }

        return -ELOOP;
}

int root_make_dir(int root_fd, const char *path, mode_t mode)
{
        return root_make(root_fd, path, mode, true);
}

int root_make_file(int root_fd, const char *path)
{
        return root_make(root_fd, path, 0, false);
}
