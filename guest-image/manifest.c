/* SPDX-License-Identifier: Apache-2.0 */
/* Manifest of a tree: see manifest.h. Runs at build time on the operator's own files. */

#include "guest-image/manifest.h"

#include <ctype.h>
#include <fcntl.h>
#include <time.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "guest-image/dpkg.h"
#include "guest-image/linked.h"
#include "guest-image/spdx.h"

/* Packages of a document before those of the distribution. */
enum {
        PACKAGE_IMAGE,          /* what the build itself makes: links, empty files */
        PACKAGE_PROJECT,        /* what this project's own build made */
        PACKAGE_UNKNOWN,        /* files that no package of root owns */
        _PACKAGE_FIXED,
};

static bool is_listed(const TreeFile *f)
{
        return f->source || f->target || f->text;
}

/* ID= of os-release: the namespace of a package URL. */
static int os_id(const char *root, char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        char *line, *rest;
        int r;

        *ret = NULL;
        if (asprintf(&path, "%s/usr/lib/os-release", streq(root, "/") ? "" : root) < 0)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, path, CONFIG_FILE_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;

        for (rest = text; (line = strsep(&rest, "\n"));) {
                const char *id = startswith(line, "ID=");
                size_t n = id ? strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789._-") : 0;

                if (n > 0 && !id[n]) {
                        *ret = strdup(id);
                        return *ret ? 0 : -ENOMEM;
                }
        }

        return 0;
}

/* Percent-encoding as the package URL specification wants it for names and versions. */
static void put_encoded(FILE *f, const char *text)
{
        for (const char *c = text; *c; c++)
                if (isalnum((unsigned char) *c) || strchr("-._~:", *c))
                        fputc(*c, f);
                else
                        fprintf(f, "%%%02X", (unsigned char) *c);
}

static int make_purl(const char *os, const DpkgPackage *p, char **ret)
{
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(ret, &n);
        if (!f)
                return -ENOMEM;
        fprintf(f, "pkg:deb/%s/", os);
        put_encoded(f, p->name);
        fputc('@', f);
        put_encoded(f, p->version);
        fprintf(f, "?arch=%s", p->architecture);
        return fclose(TAKE_PTR(f)) == 0 ? 0 : -ENOMEM;
}

static int set_package(SpdxPackage *p, const char *name, const char *version)
{
        p->name = strdup(name);
        p->version = version ? strdup(version) : NULL;
        return p->name && (!version || p->version) ? 0 : -ENOMEM;
}

static int set_dpkg_package(SpdxPackage *p, const DpkgPackage *from, const char *os)
{
        int r = set_package(p, from->name, from->version);

        if (r < 0)
                return r;
        p->source = strdup(from->source);
        return !p->source ? -ENOMEM : os ? make_purl(os, from, &p->purl) : 0;
}

static int set_file(SpdxFile *to, const TreeFile *from)
{
        *to = (SpdxFile) {
                .path = strdup(from->path),
                .target = from->target ? strdup(from->target) : NULL,
                .package = from->project ? PACKAGE_PROJECT :
                           !from->source || streq(from->source, "/dev/null") ? PACKAGE_IMAGE :
                                                                              PACKAGE_UNKNOWN,
                .mode = from->mode,
                .size = from->size,
        };
        memcpy(to->sha256, from->digest, DIGEST_SIZE);
        memcpy(to->sha1, from->sha1, SHA1_SIZE);
        return to->path && (!from->target || to->target) ? 0 : -ENOMEM;
}

static int list_files(const Tree *tree, SpdxDocument *d)
{
        int r = 0;

        d->files = new0(SpdxFile, tree->n_files);
        if (!d->files)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < tree->n_files; i++)
                if (is_listed(&tree->files[i]))
                        r = set_file(&d->files[d->n_files++], &tree->files[i]);

        return r;
}

/* The libraries in programs of our own: packages without files. */
static int add_linked(SpdxDocument *d, const Tree *tree, const char *os, char **reterr_message)
{
        int r = 0;

        for (size_t t = 0; r >= 0 && t < tree->n_files; t++) {
                _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
                SpdxPackage *grown;

                if (!tree->files[t].project || !tree->files[t].source)
                        continue;
                r = linked_packages_load(tree->files[t].source, &packages, reterr_message);
                if (r < 0)
                        return r;

                grown = reallocarray(d->packages, d->n_packages + packages.n, sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                d->packages = grown;
                for (size_t i = 0; r >= 0 && i < packages.n; i++) {
                        SpdxPackage *p = &d->packages[d->n_packages++];

                        *p = (SpdxPackage) { .linked = true };
                        r = set_dpkg_package(p, &packages.v[i], os);
                }
        }

        return r;
}

/* Gives the files that came from root to the packages there. */
static int find_packages(SpdxDocument *d, const Tree *tree, const ManifestOptions *options,
                         char **reterr_message)
{
        _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
        _cleanup_free_ const char **paths = new0(const char *, d->n_files);
        _cleanup_free_ size_t *owners = new0(size_t, d->n_files), *files = new0(size_t, d->n_files);
        _cleanup_free_ char *os = NULL;
        size_t n = 0, i = 0;
        int r;

        if (!paths || !owners || !files)
                return -ENOMEM;
        for (size_t t = 0; t < tree->n_files; t++) {
                const TreeFile *f = &tree->files[t];

                if (!is_listed(f))
                        continue;
                if (d->files[i].package == PACKAGE_UNKNOWN) {
                        paths[n] = f->origin ? f->origin : f->path;
                        files[n++] = i;
                }
                i++;
        }

        r = dpkg_find_owners(options->root, paths, n, owners, &packages, reterr_message);
        if (r >= 0)
                r = os_id(options->root, &os);
        if (r < 0)
                return r;

        d->packages = new0(SpdxPackage, _PACKAGE_FIXED + packages.n);
        if (!d->packages)
                return -ENOMEM;
        d->n_packages = _PACKAGE_FIXED + packages.n;
        r = set_package(&d->packages[PACKAGE_IMAGE], options->name, PROJECT_VERSION);
        if (r >= 0)
                r = set_package(&d->packages[PACKAGE_PROJECT], "kata-systemd", PROJECT_VERSION);
        if (r >= 0)
                r = set_package(&d->packages[PACKAGE_UNKNOWN], "unpackaged", NULL);
        for (i = 0; r >= 0 && i < packages.n; i++)
                r = set_dpkg_package(&d->packages[_PACKAGE_FIXED + i], &packages.v[i], os);
        for (i = 0; i < n; i++)
                if (owners[i] != SIZE_MAX)
                        d->files[files[i]].package = _PACKAGE_FIXED + owners[i];

        return r < 0 ? r : add_linked(d, tree, os, reterr_message);
}

/* Takes packages out that own nothing; not the image. */
static void drop_empty_packages(SpdxDocument *d)
{
        for (size_t p = d->n_packages; p-- > 1;) {
                bool used = d->packages[p].linked;

                for (size_t i = 0; i < d->n_files; i++)
                        used = used || d->files[i].package == p;
                if (used)
                        continue;

                free(d->packages[p].name);
                free(d->packages[p].version);
                free(d->packages[p].purl);
                free(d->packages[p].source);
                memmove(&d->packages[p], &d->packages[p + 1],
                        (d->n_packages - p - 1) * sizeof(SpdxPackage));
                d->n_packages--;
                for (size_t i = 0; i < d->n_files; i++)
                        if (d->files[i].package > p)
                                d->files[i].package--;
        }
}

static int format_time(uint64_t seconds, char **ret)
{
        time_t t = (time_t) seconds;
        struct tm tm;
        char text[32];

        if (!gmtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                return -EINVAL;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int manifest_make(const Tree *tree, const ManifestOptions *options, char **ret, char **reterr_message)
{
        _cleanup_(spdx_document_done) SpdxDocument d = {
                .name = strdup(options->name),
                .tool = strdup("kata-image-" PROJECT_VERSION),
        };
        int r;

        if (!d.name || !d.tool)
                return -ENOMEM;

        r = format_time(options->created, &d.created);
        if (r >= 0)
                r = list_files(tree, &d);
        if (r >= 0)
                r = find_packages(&d, tree, options, reterr_message);
        if (r < 0)
                return r;

        drop_empty_packages(&d);
        return spdx_format(&d, ret);
}

int manifest_uuid(const char *manifest, size_t n, Guid *ret)
{
        return guid_derive("kata guest image file system 1", manifest, n, ret);
}
