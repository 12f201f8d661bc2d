/* SPDX-License-Identifier: Apache-2.0 */
/* Installed kernels of the distribution: see kernel-release.h. Host side, reads directories of root. */

#include "basic/kernel-release.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/limits.h"

static const char *const modules_places[] = { "usr/lib/modules", "lib/modules" };

void kernel_release_done(KernelRelease *kernel)
{
        free(kernel->release);
        free(kernel->image);
        free(kernel->modules);
        *kernel = (KernelRelease) {};
}

bool kernel_release_is_valid(const char *s)
{
        size_t n = strlen(s);

        if (n == 0 || n > KERNEL_RELEASE_MAX || !isalnum((unsigned char) s[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) s[i]) && !strchr("._+~-", s[i]))
                        return false;

        return true;
}

/* Length of the version: up to the first "-" before a letter that does not begin "rc" and a digit. */
static size_t version_length(const char *s)
{
        for (size_t i = 0; s[i]; i++)
                if (s[i] == '-' && isalpha((unsigned char) s[i + 1]) &&
                    !(s[i + 1] == 'r' && s[i + 2] == 'c' && isdigit((unsigned char) s[i + 3])))
                        return i;

        return strlen(s);
}

/* Order of one character outside of numbers: "~" and "-rc" before the end, letters before signs. */
static int weight(const char *s, const char *end)
{
        if (s >= end || isdigit((unsigned char) *s))
                return 0;
        if (*s == '~' || (*s == '-' && end - s > 1 && s[1] == 'r'))
                return -1;

        return isalpha((unsigned char) *s) ? (unsigned char) *s : (unsigned char) *s + 256;
}

static int compare_versions(const char *a, const char *a_end, const char *b, const char *b_end)
{
        while (a < a_end || b < b_end) {
                size_t n, k;
                int r;

                while ((a < a_end && !isdigit((unsigned char) *a)) ||
                       (b < b_end && !isdigit((unsigned char) *b))) {
                        r = weight(a, a_end) - weight(b, b_end);
                        if (r != 0)
                                return r;
                        a++, b++;
                }

                while (a < a_end && *a == '0')
                        a++;
                while (b < b_end && *b == '0')
                        b++;
                for (n = 0; a + n < a_end && isdigit((unsigned char) a[n]);)
                        n++;
                for (k = 0; b + k < b_end && isdigit((unsigned char) b[k]);)
                        k++;
                /* Without leading zeros the longer number is the greater one. */
                r = n != k ? (n < k ? -1 : 1) : strncmp(a, b, n);
                if (r != 0)
                        return r;
                a += n, b += k;
        }

        return 0;
}

static int flavour_rank(const char *flavour)
{
        if (startswith(flavour, "-cloud-") || streq(flavour, "-cloud"))
                return 2;

        return *flavour == '\0' || !strchr(flavour + 1, '-');
}

int kernel_release_compare(const char *a, const char *b)
{
        const char *a_flavour = a + version_length(a), *b_flavour = b + version_length(b);
        int r;

        r = compare_versions(a, a_flavour, b, b_flavour);
        if (r == 0)
                r = flavour_rank(a_flavour) - flavour_rank(b_flavour);
        return r != 0 ? r : strcmp(a, b);
}

static const char *prefix_of(const char *root)
{
        return !root || streq(root, "/") ? "" : root;
}

/* The path if something of that type is there, "" if not; NULL without memory. */
static _printf_(2, 3) char *path_if_there(mode_t type, const char *format, ...)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&path, format, ap);
        va_end(ap);
        if (r < 0) {
                path = NULL;
                return NULL;
        }

        return stat(path, &st) < 0 || (st.st_mode & S_IFMT) != type ? strdup("") : TAKE_PTR(path);
}

/* Keeps the first path that is there: 0 also if none is. */
static int keep_first(char **target, char *path)
{
        if (!path)
                return -ENOMEM;
        if (*target || *path == '\0')
                free(path);
        else
                *target = path;
        return 0;
}

/* Fills what there is of this release; image and modules stay NULL where they are missing. */
static int locate(const char *root, const char *release, KernelRelease *ret)
{
        const char *prefix = prefix_of(root);
        _cleanup_(kernel_release_done) KernelRelease k = {};
        int r;

        k.release = strdup(release);
        if (!k.release)
                return -ENOMEM;

        r = keep_first(&k.image, path_if_there(S_IFREG, "%s/boot/vmlinuz-%s", prefix, release));
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(modules_places); i++) {
                _cleanup_free_ char *dep = NULL;

                r = keep_first(&k.image, path_if_there(S_IFREG, "%s/%s/%s/vmlinuz", prefix,
                                                       modules_places[i], release));
                if (r < 0)
                        break;

                /* depmod has been there: a directory alone may be what a removed kernel left. */
                dep = path_if_there(S_IFREG, "%s/%s/%s/modules.dep.bin", prefix, modules_places[i],
                                    release);
                if (!dep)
                        return -ENOMEM;
                if (*dep)
                        r = keep_first(&k.modules, path_if_there(S_IFDIR, "%s/%s/%s", prefix,
                                                                 modules_places[i], release));
        }
        if (r < 0)
                return r;

        *ret = k;
        k = (KernelRelease) {};
        return 0;
}

static int find_wanted(const char *root, const char *wanted, KernelRelease *ret,
                       char **reterr_message)
{
        _cleanup_(kernel_release_done) KernelRelease k = {};
        int r;

        if (!kernel_release_is_valid(wanted))
                return error_setf(reterr_message, EINVAL, "'%s' is no kernel release", wanted);

        r = locate(root, wanted, &k);
        if (r < 0)
                return r;
        if (!k.image)
                return error_setf(reterr_message, ENOENT,
                                  "kernel %s has no image: neither %s/boot/vmlinuz-%s nor "
                                  "%s/usr/lib/modules/%s/vmlinuz is a file",
                                  wanted, prefix_of(root), wanted, prefix_of(root), wanted);
        if (!k.modules)
                return error_setf(reterr_message, ENOENT,
                                  "kernel %s has no modules: %s/usr/lib/modules/%s/modules.dep.bin "
                                  "is not a file", wanted, prefix_of(root), wanted);

        *ret = k;
        k = (KernelRelease) {};
        return 0;
}

/* Looks at every release in one directory of modules and keeps the greatest in best. */
static int scan(const char *root, const char *place, KernelRelease *best)
{
        _cleanup_free_ char *dir = NULL;
        struct dirent *de;
        DIR *d;
        int r = 0;

        if (asprintf(&dir, "%s/%s", prefix_of(root), place) < 0)
                return -ENOMEM;
        d = opendir(dir);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : negative_errno();

        while (r >= 0 && (de = readdir(d))) {
                _cleanup_(kernel_release_done) KernelRelease k = {};

                if (!kernel_release_is_valid(de->d_name) ||
                    (best->release && kernel_release_compare(de->d_name, best->release) <= 0))
                        continue;
                r = locate(root, de->d_name, &k);
                if (r < 0 || !k.image || !k.modules)
                        continue;
                kernel_release_done(best);
                *best = k;
                k = (KernelRelease) {};
        }

        closedir(d);
        return r;
}

int kernel_release_find(const char *root, const char *wanted, KernelRelease *ret,
                        char **reterr_message)
{
        _cleanup_(kernel_release_done) KernelRelease best = {};
        int r = 0;

        if (!isempty(wanted))
                return find_wanted(root, wanted, ret, reterr_message);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(modules_places); i++)
                r = scan(root, modules_places[i], &best);
        if (r < 0)
                return error_setf(reterr_message, r, "%s/usr/lib/modules can not be read: %s",
                                  prefix_of(root), strerror(-r));
        if (!best.release)
                return error_setf(reterr_message, ENOENT,
                                  "no kernel of the distribution has both its image (%s/boot) and its "
                                  "modules (%s/usr/lib/modules): install linux-image-cloud-amd64 or "
                                  "another kernel", prefix_of(root), prefix_of(root));

        *ret = best;
        best = (KernelRelease) {};
        return 0;
}
