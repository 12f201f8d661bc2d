/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.info: see kernel-info.h. */

#include "guest-image/kernel-info.h"

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define RELEASE_MAX 64U
#define VERSION_MAX 128U

void kernel_info_done(KernelInfo *info)
{
        free(info->release);
        free(info->package);
        free(info->version);
        *info = (KernelInfo) {};
}

bool version_is_valid(const char *s, size_t max)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.+~:_-";

        return s && *s && *s != '.' && *s != '-' && strlen(s) <= max && !s[strspn(s, allowed)];
}

static int parse_release(KernelInfo *info, const char *value)
{
        if (!version_is_valid(value, RELEASE_MAX) || strchr(value, ':'))
                return -EINVAL;

        info->release = strdup(value);
        return info->release ? 0 : -ENOMEM;
}

static int parse_source(KernelInfo *info, const char *value)
{
        const char *space = strchr(value, ' ');

        if (streq(value, "unpackaged"))
                return 0;
        if (!space || !version_is_valid(space + 1, VERSION_MAX))
                return -EINVAL;

        info->package = strndup(value, (size_t) (space - value));
        info->version = strdup(space + 1);
        if (!info->package || !info->version)
                return -ENOMEM;
        return version_is_valid(info->package, VERSION_MAX) ? 0 : -EINVAL;
}

static int parse_sha256(KernelInfo *info, const char *value)
{
        return hex_decode(value, info->vmlinux_sha256, DIGEST_SIZE);
}

static const struct {
        const char *name;
        int (*parse)(KernelInfo *info, const char *value);
} info_keys[] = {
        { "kernel_release", parse_release },
        { "source_package", parse_source },
        { "vmlinux_sha256", parse_sha256 },
};

static int parse_line(const char *name, unsigned n, char *line, bool *seen, KernelInfo *info,
                      char **reterr_message)
{
        char *value = strchr(line, '=');

        if (!*line || *line == '#')
                return 0;
        if (!value)
                return error_setf(reterr_message, EBADMSG, "%s:%u: not a key=value line", name, n);
        *value++ = '\0';

        for (size_t i = 0; i < ELEMENTSOF(info_keys); i++) {
                int r;

                if (!streq(line, info_keys[i].name))
                        continue;
                if (seen[i])
                        return error_setf(reterr_message, EBADMSG, "%s:%u: repeated key '%s'", name,
                                          n, info_keys[i].name);
                seen[i] = true;
                r = info_keys[i].parse(info, value);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return error_setf(reterr_message, EBADMSG, "%s:%u: value of '%s' is malformed",
                                          name, n, info_keys[i].name);
        }

        return 0;
}

int kernel_info_parse(const char *name, const char *text, size_t n, KernelInfo *ret,
                      char **reterr_message)
{
        _cleanup_(kernel_info_done) KernelInfo info = {};
        _cleanup_free_ char *copy = NULL;
        bool seen[ELEMENTSOF(info_keys)] = {};
        char *line, *rest;
        unsigned number = 0;
        int r;

        if (n > KERNEL_INFO_MAX || memchr(text, '\0', n))
                return error_setf(reterr_message, EBADMSG, "%s: too large, or not a text", name);
        copy = strndup(text, n);
        if (!copy)
                return -ENOMEM;

        for (rest = copy; (line = strsep(&rest, "\n"));) {
                r = parse_line(name, ++number, line, seen, &info, reterr_message);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(info_keys); i++)
                if (!seen[i])
                        return error_setf(reterr_message, EBADMSG, "%s: key '%s' is missing", name,
                                          info_keys[i].name);

        *ret = info;
        info = (KernelInfo) {};
        return 0;
}

static int read_text(const char *dir, char **ret_path, char **ret, size_t *ret_size,
                     char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (asprintf(&path, "%s/vmlinux.info", dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        /* Another user may write to that directory. */
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        r = fd < 0 ? negative_errno() : read_fd_max(fd, KERNEL_INFO_MAX, ret, ret_size);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be read: %s", path, strerror(-r));

        *ret_path = TAKE_PTR(path);
        return 0;
}

int kernel_info_read(const char *dir, KernelInfo *ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t n;
        int r;

        r = read_text(dir, &path, &text, &n, reterr_message);
        return r < 0 ? r : kernel_info_parse(path, text, n, ret, reterr_message);
}

int kernel_info_set_source(const char *dir, const char *package, const char *version,
                           char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL, *out = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        char *line, *rest;
        size_t n, size;
        int r;

        r = read_text(dir, &path, &text, &n, reterr_message);
        if (r < 0)
                return r;
        f = open_memstream(&out, &size);
        if (!f)
                return -ENOMEM;

        for (rest = text; (line = strsep(&rest, "\n"));) {
                if (startswith(line, "source_package="))
                        fprintf(f, "source_package=%s %s\n", package, version);
                else if (*line)
                        fprintf(f, "%s\n", line);
        }
        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;

        r = write_file_atomic(path, out, size, 0644);
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be written: %s", path, strerror(-r))
                     : 0;
}
