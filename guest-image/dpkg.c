/* SPDX-License-Identifier: Apache-2.0 */
/* dpkg's database: see dpkg.h. Runs as the user who builds the image. */

#include "guest-image/dpkg.h"

#include <dirent.h>
#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

static void package_done(DpkgPackage *p)
{
        free(p->name);
        free(p->architecture);
        free(p->version);
        free(p->source);
}

void dpkg_packages_done(DpkgPackages *packages)
{
        for (size_t i = 0; i < packages->n; i++)
                package_done(&packages->v[i]);
        free(packages->v);
        *packages = (DpkgPackages) {};
}

/* The package with that name ("libc6:amd64" or "dash"), added if it is new. */
static int packages_get(DpkgPackages *packages, const char *name, size_t *ret)
{
        const char *colon = strchrnul(name, ':');
        DpkgPackage *grown, p;

        for (size_t i = 0; i < packages->n; i++) {
                const DpkgPackage *q = &packages->v[i];

                if (strlen(q->name) == (size_t) (colon - name) &&
                    strncmp(q->name, name, (size_t) (colon - name)) == 0 &&
                    streq(strempty(q->architecture), *colon ? colon + 1 : "")) {
                        *ret = i;
                        return 0;
                }
        }

        grown = reallocarray(packages->v, packages->n + 1, sizeof(DpkgPackage));
        if (!grown)
                return -ENOMEM;
        packages->v = grown;

        p = (DpkgPackage) {
                .name = strndup(name, (size_t) (colon - name)),
                .architecture = *colon ? strdup(colon + 1) : NULL,
        };
        if (!p.name || (*colon && !p.architecture)) {
                package_done(&p);
                return -ENOMEM;
        }
        packages->v[packages->n] = p;
        *ret = packages->n++;
        return 0;
}

/* "/lib/x" of a package is "/usr/lib/x" of the image. */
static bool same_file(const char *path, const char *line, size_t n)
{
        const char *bare = startswith(path, "/usr");

        return (strlen(path) == n && strncmp(path, line, n) == 0) ||
               (bare && strlen(bare) == n && strncmp(bare, line, n) == 0);
}

static int read_list(int dir_fd, const char *file, const char *const *paths, size_t n, size_t *owners,
                     DpkgPackages *packages)
{
        _cleanup_free_ char *text = NULL, *name = strndup(file, strlen(file) - strlen(".list"));
        size_t size;
        int r;

        if (!name)
                return -ENOMEM;
        r = read_file_at(dir_fd, file, DPKG_LIST_MAX, &text, &size);
        if (r < 0)
                return r;

        for (const char *line = text, *end; line < text + size; line = end + 1) {
                end = strchrnul(line, '\n');
                for (size_t i = 0; i < n; i++) {
                        /* Some packages own a file together with another; the first name has it. */
                        if (owners[i] != SIZE_MAX || !same_file(paths[i], line, (size_t) (end - line)))
                                continue;
                        r = packages_get(packages, name, &owners[i]);
                        if (r < 0)
                                return r;
                }
                if (!*end)
                        break;
        }

        return 0;
}

static int is_list(const struct dirent *de)
{
        return endswith(de->d_name, ".list") != NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_lists(int db_fd, const char *const *paths, size_t n, size_t *owners,
                      DpkgPackages *packages, char **reterr_message)
{
        _cleanup_close_ int info = openat(db_fd, "info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **entries = NULL;
        int found, r = 0;

        if (info < 0)
                return error_setf(reterr_message, errno, "'info': %s", strerror(errno));
        found = scandirat(info, ".", &entries, is_list, by_name);
        if (found < 0)
                return error_setf(reterr_message, errno, "'info': %s", strerror(errno));

        for (int i = 0; i < found; i++) {
                if (r >= 0)
                        r = read_list(info, entries[i]->d_name, paths, n, owners, packages);
                if (r < 0)
                        r = error_setf(reterr_message, r, "'info/%s': %s", entries[i]->d_name,
                                       strerror(-r));
                free(entries[i]);
        }

        free(entries);
        return r;
}

/* Value of a field of a stanza, on its first line only. NULL if it is not there. */
static char *field(const char *stanza, size_t n, const char *name)
{
        for (const char *line = stanza, *end; line < stanza + n; line = end + 1) {
                const char *value;

                end = memchr(line, '\n', n - (size_t) (line - stanza)) ?: stanza + n;
                value = startswith(line, name);
                if (value && *value == ':') {
                        value++;
                        while (value < end && *value == ' ')
                                value++;
                        return strndup(value, (size_t) (end - value));
                }
        }

        return NULL;
}

/* Completes p if the stanza is that of p, installed. */
static int take_stanza(DpkgPackage *p, const char *stanza, size_t n)
{
        _cleanup_free_ char *name = field(stanza, n, "Package"), *status = field(stanza, n, "Status"),
                            *architecture = field(stanza, n, "Architecture"),
                            *version = field(stanza, n, "Version"), *source = field(stanza, n, "Source");
        char *open;

        if (p->version || !name || !status || !architecture || !version || !streq(name, p->name) ||
            !endswith(status, " installed") ||
            (p->architecture && !streq(p->architecture, architecture)))
                return 0;

        /* "Source: glibc (2.36-9)", or without version if it is that of the package. */
        open = source ? strstr(source, " (") : NULL;
        if (open) {
                open[strcspn(open, ")")] = '\0';
                *open = '\0';
        }
        if (asprintf(&p->source, "%s %s", source ?: name, open ? open + 2 : version) < 0) {
                p->source = NULL;
                return -ENOMEM;
        }
        p->version = TAKE_PTR(version);
        if (!p->architecture)
                p->architecture = TAKE_PTR(architecture);
        return 0;
}

static int read_status(int db_fd, DpkgPackages *packages, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_at(db_fd, "status", DPKG_STATUS_MAX, &text, &size);
        if (r < 0)
                return error_setf(reterr_message, r, "'status': %s", strerror(-r));

        for (const char *stanza = text, *end; stanza < text + size; stanza = end + 2) {
                end = strstr(stanza, "\n\n") ?: text + size;
                for (size_t i = 0; i < packages->n; i++) {
                        r = take_stanza(&packages->v[i], stanza, (size_t) (end - stanza));
                        if (r < 0)
                                return r;
                }
        }

        for (size_t i = 0; i < packages->n; i++)
                if (!packages->v[i].version)
                        return error_setf(reterr_message, ENOENT,
                                          "'status' has no installed package '%s'", packages->v[i].name);
        return 0;
}

int dpkg_find_owners(const char *root, const char *const *paths, size_t n, size_t *owners,
                     DpkgPackages *ret, char **reterr_message)
{
        _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int db = -EBADF;
        int r;

        for (size_t i = 0; i < n; i++)
                owners[i] = SIZE_MAX;

        if (asprintf(&path, "%s/var/lib/dpkg", streq(root, "/") ? "" : root) < 0)
                return -ENOMEM;
        db = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (db < 0 && errno == ENOENT) {
                *ret = (DpkgPackages) {};
                return 0;
        }
        if (db < 0)
                return error_setf(reterr_message, errno, "'%s': %s", path, strerror(errno));

        r = read_lists(db, paths, n, owners, &packages, reterr_message);
        if (r >= 0)
                r = read_status(db, &packages, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "package database '%s'", path);

        *ret = packages;
        packages = (DpkgPackages) {};
        return 0;
}
