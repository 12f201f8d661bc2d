/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's source package: see source.h. */

#include "guest-image/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "guest-image/kernel-info.h"
#include "guest-image/run.h"

#define ROOT_CACHE "/var/cache/kata"

int cache_dir(char **ret, char **reterr_message)
{
        const char *chosen = getenv("KATA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
                   *home = getenv("HOME");
        _cleanup_free_ char *path = NULL;
        int r;

        if (!isempty(chosen))
                r = asprintf(&path, "%s", chosen);
        else if (geteuid() == 0)
                r = asprintf(&path, ROOT_CACHE);
        else if (!isempty(xdg))
                r = asprintf(&path, "%s/kata", xdg);
        else if (!isempty(home))
                r = asprintf(&path, "%s/.cache/kata", home);
        else
                return error_setf(reterr_message, ENOENT, "neither KATA_CACHE nor HOME is set");
        if (r < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (path[0] != '/')
                return error_setf(reterr_message, EINVAL, "cache directory '%s' is not absolute", path);

        r = mkdir_p(path, 0755);
        if (r < 0)
                return error_setf(reterr_message, r, "cache directory '%s' can not be made: %s", path,
                                  strerror(-r));
        *ret = TAKE_PTR(path);
        return 0;
}

int policy_candidate(const char *text, char **ret)
{
        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                const char *value = startswith(line + strspn(line, " "), "Candidate:");
                _cleanup_free_ char *version = NULL;

                if (!value)
                        continue;
                value += strspn(value, " ");
                version = strndup(value, strcspn(value, "\n"));
                if (!version)
                        return -ENOMEM;
                *ret = version_is_valid(version, 128) ? TAKE_PTR(version) : NULL;
                return 0;
        }

        *ret = NULL;
        return 0;
}

int apt_candidate(const char *package, char **ret, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = strv_add_many(&argv, "apt-cache", "policy", package, NULL);
        if (r >= 0)
                r = run_capture(&argv, MIB(1), &text, reterr_message);
        if (r >= 0)
                r = policy_candidate(text, ret);
        if (r < 0)
                return r;
        if (!*ret)
                return error_setf(reterr_message, ENODATA,
                                  "apt does not offer %s: run apt-get update, and add the archive that "
                                  "has it if it is still missing", package);
        return 0;
}

int version_is_newer(const char *a, const char *b, bool *ret, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .max = KIB(4) };
        int status, r;

        r = strv_add_many(&argv, "dpkg", "--compare-versions", a, "gt", b, NULL);
        if (r >= 0)
                r = run_program(&options, NULL, &status, NULL, reterr_message);
        if (r < 0)
                return r;
        if (status > 1)
                return error_setf(reterr_message, EINVAL, "dpkg can not compare '%s' and '%s'", a, b);

        *ret = status == 0;
        return 0;
}

/* --- tarball --- */

static int find_tarball(const char *package, const char *dir, char **ret)
{
        static const char *const suffixes[] = { "xz", "zst", "gz", "bz2" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;

                if (asprintf(&path, "%s/%s.tar.%s", dir, package, suffixes[i]) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                if (lstat(path, &st) >= 0 && S_ISREG(st.st_mode)) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

static bool is_installed(const char *package, const char *version)
{
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *text = NULL;

        return strv_add_many(&argv, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package,
                             NULL) >= 0 &&
               run_capture(&argv, KIB(4), &text, NULL) >= 0 && startswith(text, "installed ") &&
               streq(text + strlen("installed "), version);
}

/* Downloads and unpacks into an empty directory; the tarball ends up as dir/PACKAGE.tar.*. */
static int download(const char *dir, const char *package, const char *version, char **reterr_message)
{
        _cleanup_(strv_done) Strv get = {}, unpack = {};
        _cleanup_free_ char *deb = NULL, *tree = NULL, *src = NULL, *tarball = NULL, *to = NULL,
                            *package_path = NULL;
        RunOptions options = { .argv = &get, .dir = dir, .max = MIB(1), .forward = true };
        struct dirent *de;
        DIR *d;
        int r;

        log_info("Downloading %s %s", package, version);
        r = strv_add_many(&get, "apt-get", "download", "-q", NULL);
        if (r >= 0)
                r = strv_addf(&get, "%s=%s", package, version);
        if (r >= 0)
                r = run_program(&options, NULL, NULL, NULL, reterr_message);
        if (r < 0)
                return r;

        d = opendir(dir);
        if (!d)
                return negative_errno();
        while (!deb && (de = readdir(d)))
                if (startswith(de->d_name, package) && endswith(de->d_name, ".deb"))
                        deb = strdup(de->d_name);
        closedir(d);
        if (!deb)
                return error_setf(reterr_message, ENOENT, "apt-get download left no package in '%s'", dir);

        r = strv_add_many(&unpack, "dpkg-deb", "--extract", deb, "tree", NULL);
        options.argv = &unpack;
        if (r >= 0)
                r = run_program(&options, NULL, NULL, NULL, reterr_message);
        if (r < 0)
                return r;

        if (asprintf(&tree, "%s/tree", dir) < 0 || asprintf(&src, "%s/usr/src", tree) < 0)
                return -ENOMEM;
        r = find_tarball(package, src, &tarball);
        if (r < 0)
                return error_setf(reterr_message, r, "the package %s %s has no %s.tar in /usr/src",
                                  package, version, package);
        if (asprintf(&to, "%s/%s", dir, strrchr(tarball, '/') + 1) < 0 ||
            asprintf(&package_path, "%s/%s", dir, deb) < 0)
                return -ENOMEM;
        /* Readable for the user that builds. */
        if (rename(tarball, to) < 0 || chmod(to, 0644) < 0 || unlink(package_path) < 0)
                return negative_errno();
        return rm_rf(tree);
}

static int remove_others(const char *dir, const char *keep)
{
        DIR *d = opendir(dir);
        struct dirent *de;
        int r = 0;

        if (!d)
                return negative_errno();
        while (r >= 0 && (de = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                if (streq(de->d_name, ".") || streq(de->d_name, "..") || streq(de->d_name, keep))
                        continue;
                r = asprintf(&path, "%s/%s", dir, de->d_name) < 0 ? -ENOMEM : rm_rf(path);
        }
        closedir(d);
        return r;
}

int source_get(const char *cache, const char *package, const char *version, char **ret,
               char **reterr_message)
{
        _cleanup_free_ char *sources = NULL, *dir = NULL, *template = NULL;
        _cleanup_close_ int lock = -EBADF;
        int r;

        if (is_installed(package, version) && find_tarball(package, "/usr/src", ret) >= 0)
                return 0;

        if (asprintf(&sources, "%s/source", cache) < 0 || asprintf(&dir, "%s/%s", sources, version) < 0 ||
            asprintf(&template, "%s/.new-XXXXXX", sources) < 0)
                return -ENOMEM;
        if (find_tarball(package, dir, ret) >= 0)
                return 0;

        /* One download at a time: another one's unfinished directory must not go with the old versions. */
        r = mkdir_p(sources, 0755);
        if (r >= 0) {
                lock = open(sources, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (lock < 0 || flock(lock, LOCK_EX) < 0)
                        r = negative_errno();
        }
        if (r >= 0 && find_tarball(package, dir, ret) >= 0)
                return 0;
        if (r >= 0)
                r = remove_others(sources, version);
        if (r >= 0 && (!mkdtemp(template) || chmod(template, 0755) < 0))
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be written: %s", sources, strerror(-r));

        r = download(template, package, version, reterr_message);
        if (r >= 0 && rename(template, dir) < 0)
                r = error_setf(reterr_message, errno, "'%s' can not be written: %s", dir,
                               strerror(errno));
        if (r < 0) {
                (void) rm_rf(template);
                return error_prefixf(reterr_message, r, "the source of %s %s can not be had", package,
                                     version);
        }
        return find_tarball(package, dir, ret);
}

/* --- patches --- */

static int add_patch_file(const char *name, const char *line, Strv *ret, char **reterr_message)
{
        const char *slash;
        _cleanup_free_ char *path = strndup(line, strcspn(line, "\t\r\n"));

        if (!path)
                return -ENOMEM;
        if (streq(path, "/dev/null"))
                return 0;

        /* As patch -p1 does: without the first component. */
        slash = strchr(path, '/');
        if (!slash || path[0] == '/' || slash[1] == '/' || slash[1] == '\0' || strstr(slash, "/../") ||
            endswith(path, "/..") || startswith(path, "../"))
                return error_setf(reterr_message, EBADMSG, "%s: changes '%s', which is no path in a tree",
                                  name, path);
        if (strv_contains(ret, slash + 1))
                return 0;
        if (ret->n >= KERNEL_PATCH_FILES_MAX)
                return error_setf(reterr_message, E2BIG, "%s: more than %u files", name,
                                  KERNEL_PATCH_FILES_MAX);
        return strv_add(ret, slash + 1);
}

int patch_files(const char *name, const char *text, Strv *ret, char **reterr_message)
{
        const char *line = text, *next;
        bool after_old = false;
        int r;

        /* A "--- " line and a "+++ " line behind it; alone either may be part of a hunk or of the header. */
        for (; line; line = next) {
                const char *old = startswith(line, "--- "), *new = startswith(line, "+++ ");

                next = strchr(line, '\n');
                next = next ? next + 1 : NULL;
                if (new && after_old) {
                        r = add_patch_file(name, new, ret, reterr_message);
                        if (r < 0)
                                return r;
                }
                if (old && next && startswith(next, "+++ ")) {
                        r = add_patch_file(name, old, ret, reterr_message);
                        if (r < 0)
                                return r;
                }
                after_old = old != NULL;
        }
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Names of the series in order; a directory that is not there has no patches. */
static int list_patches(const char *dir, Strv *ret, char **reterr_message)
{
        DIR *d = opendir(dir);
        struct dirent *de;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 :
                       error_setf(reterr_message, errno, "'%s' can not be read: %s", dir,
                                  strerror(errno));
        while (r >= 0 && (de = readdir(d))) {
                if (!endswith(de->d_name, ".patch"))
                        continue;
                r = ret->n >= KERNEL_PATCHES_MAX ? -E2BIG : strv_add(ret, de->d_name);
        }
        closedir(d);
        if (r >= 0 && ret->n > 0)
                qsort(ret->v, ret->n, sizeof(char *), compare_names);
        return r;
}

/*
 * The touched files of the source into tree, and its Makefile, which shows that it is one. Files that are
 * missing there are the patch's to complain of.
 */
static int unpack(const char *package, const char *tarball, const Strv *files, const char *tree,
                  char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .dir = tree, .max = KIB(64) };
        _cleanup_free_ char *complaint = NULL, *makefile = NULL;
        int status, r;
        char *file;

        if (asprintf(&makefile, "%s/Makefile", tree) < 0) {
                makefile = NULL;
                return -ENOMEM;
        }
        r = strv_add_many(&argv, "tar", "--extract", "--file", tarball, "--strip-components=1",
                          "--no-same-owner", "--", NULL);
        if (r >= 0)
                r = strv_addf(&argv, "%s/Makefile", package);
        STRV_FOREACH(file, files)
                if (r >= 0)
                        r = strv_addf(&argv, "%s/%s", package, file);
        if (r >= 0)
                r = run_program(&options, NULL, &status, &complaint, reterr_message);
        if (r < 0)
                return r;
        return access(makefile, F_OK) >= 0 && !strstr(complaint, "not recoverable") ? 0 :
               error_setf(reterr_message, EIO, "'%s' can not be unpacked: %s", tarball, complaint);
}

static int apply(const char *patch, const char *tree, char **ret_reason, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .dir = tree, .max = MIB(1) };
        _cleanup_free_ char *text = NULL, *complaint = NULL;
        int status, r;

        r = strv_add_many(&argv, "patch", "-p1", "--forward", "--fuzz=0", "--batch", "--input", patch, NULL);
        if (r >= 0)
                r = run_program(&options, &text, &status, &complaint, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "the patches can not be tried (package patch)");
        if (status == 0)
                return 0;

        /* patch complains on standard output. */
        for (char *p = text; *p; p++)
                if (*p == '\n')
                        *p = ' ';
        *ret_reason = text_escape(text, strlen(text), 400);
        return *ret_reason ? 1 : -ENOMEM;
}

int patches_try(const char *patches, const char *package, const char *tarball, const char *scratch,
                char **ret_patch, char **ret_reason, char **reterr_message)
{
        _cleanup_(strv_done) Strv names = {}, files = {};
        char *name;
        int r;

        r = list_patches(patches, &names, reterr_message);
        STRV_FOREACH(name, &names) {
                _cleanup_free_ char *path = NULL, *text = NULL;

                if (r < 0)
                        break;
                if (asprintf(&path, "%s/%s", patches, name) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = read_file_at(AT_FDCWD, path, KERNEL_PATCH_MAX, &text, NULL);
                r = r < 0 ? error_setf(reterr_message, r, "'%s' can not be read: %s", path, strerror(-r))
                          : patch_files(path, text, &files, reterr_message);
        }
        if (r >= 0 && files.n > 0)
                r = unpack(package, tarball, &files, scratch, reterr_message);

        /* Not a dry run: a patch may build on the one before it. */
        STRV_FOREACH(name, &names) {
                _cleanup_free_ char *path = NULL;

                if (r < 0)
                        break;
                if (asprintf(&path, "%s/%s", patches, name) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = apply(path, scratch, ret_reason, reterr_message);
                if (r > 0) {
                        *ret_patch = strdup(name);
                        return *ret_patch ? 1 : -ENOMEM;
                }
        }
        return r;
}
