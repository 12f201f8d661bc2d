/* SPDX-License-Identifier: Apache-2.0 */
/* Owners of sandboxes: see sandbox-owner.h. The directories belong to root; others write there as well. */

#include "runtime/cli/sandbox-owner.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/strv.h"

#define OWNER_LINK "owner"

static _printf_(2, 3) int make_path(char **ret, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(ret, format, ap);
        va_end(ap);
        if (r < 0)
                *ret = NULL;
        return r < 0 ? -ENOMEM : 0;
}

static int owner_path(const char *host, const char *sandbox, char **ret)
{
        return make_path(ret, "%s" RUNDIR "/%s/" OWNER_LINK, strempty(host), sandbox);
}

int sandbox_definition(const char *host, const char *sandbox, char **ret)
{
        static const char *const places[] = { PKGSYSCONFDIR "/sandboxes", RUNDIR "/sandboxes" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;
                int r = make_path(&path, "%s%s/%s.conf", strempty(host), places[i], sandbox);

                if (r < 0)
                        return r;
                /* Whatever is there counts for the supervisor. */
                if (lstat(path, &st) >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
                if (errno != ENOENT && errno != ENOTDIR)
                        return negative_errno();
        }
        *ret = NULL;
        return 0;
}

static bool same_directory(const char *a, const char *b)
{
        struct stat x, y;

        return stat(a, &x) >= 0 && stat(b, &y) >= 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* 1: somebody has marked it, 0: nobody has. */
static int read_owner(const char *host, const char *sandbox, char ret[static PATH_MAX])
{
        _cleanup_free_ char *path = NULL;
        ssize_t n;
        int r = owner_path(host, sandbox, &path);

        if (r < 0)
                return r;
        n = readlink(path, ret, PATH_MAX - 1);
        if (n < 0)
                return errno == ENOENT ? 0 : negative_errno();
        ret[n] = '\0';
        return 1;
}

/* 1: there is something, 0: nothing or no directory. */
static int has_content(const char *host, const char *sandbox)
{
        _cleanup_free_ char *path = NULL;
        int r = make_path(&path, "%s" RUNDIR "/%s", strempty(host), sandbox);
        DIR *d;

        if (r < 0)
                return r;
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 0 : negative_errno();
        for (struct dirent *e = readdir(d); e && r == 0; e = readdir(d))
                r = !streq(e->d_name, ".") && !streq(e->d_name, "..");
        closedir(d);
        return r;
}

static int say(SandboxOwner owner, SandboxOwner *ret, char **ret_text, const char *sandbox, const char *what,
               const char *where)
{
        *ret = owner;
        if (ret_text)
                (void) error_setf(ret_text, -EEXIST, "a sandbox '%s' %s %s: this container needs another ID, or "
                                  "another --root", sandbox, what, where);
        return 0;
}

int sandbox_owner(const char *host, const char *root, const char *sandbox, SandboxOwner *ret, char **ret_text)
{
        _cleanup_free_ char *definition = NULL, *dir = NULL;
        char owner[PATH_MAX];
        int r = read_owner(host, sandbox, owner);

        if (r < 0)
                return r;
        if (r > 0 && same_directory(owner, root)) {
                *ret = SANDBOX_OURS;
                return 0;
        }
        if (r > 0)
                return say(SANDBOX_FOREIGN, ret, ret_text, sandbox, "belongs to containers of --root", owner);

        r = sandbox_definition(host, sandbox, &definition);
        if (r < 0)
                return r;
        if (definition)
                return say(SANDBOX_FOREIGN, ret, ret_text, sandbox, "is defined by this host's operator in",
                           definition);

        r = has_content(host, sandbox);
        if (r < 0)
                return r;
        if (r > 0) {
                r = make_path(&dir, "%s" RUNDIR "/%s", strempty(host), sandbox);
                return r < 0 ? r : say(SANDBOX_UNMARKED, ret, ret_text, sandbox, "is another caller's, who has made",
                                       dir);
        }
        *ret = SANDBOX_NOBODYS;
        return 0;
}

int sandbox_claim(const char *host, const char *root, const char *sandbox, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *target = realpath(root, NULL);
        SandboxOwner owner;
        int r;

        if (!target) {
                r = negative_errno();
                return error_setf(reterr_message, r, "%s: %s", root, strerror(-r));
        }
        r = owner_path(host, sandbox, &path);
        if (r < 0)
                return r;

        /* An empty directory is nobody's: of one who was killed here. */
        *strrchr(path, '/') = '\0';
        r = mkdir_p(path, 0700);
        path[strlen(path)] = '/';
        if (r >= 0 && symlink(target, path) >= 0)
                return 0;
        if (r >= 0)
                r = negative_errno();
        if (r == -EEXIST && sandbox_owner(host, root, sandbox, &owner, reterr_message) >= 0)
                return owner == SANDBOX_OURS ? 0 : r;
        return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
}

/* EBUSY, ENOTEMPTY: the service manager, or a mount point in the namespace of the unit, which goes with it. */
static bool is_left_to_others(int r)
{
        return r == -EBUSY || r == -ENOTEMPTY || r == -ENOENT;
}

int sandbox_clear(const char *host, const char *root, const char *sandbox, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        char *link;
        int r = owner_path(host, sandbox, &path), q;
        DIR *d;

        if (r < 0)
                return r;
        link = strrchr(path, '/');
        *link = '\0';
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 0 : negative_errno();
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                _cleanup_free_ char *entry = NULL;

                if (streq(e->d_name, ".") || streq(e->d_name, "..") || streq(e->d_name, OWNER_LINK))
                        continue;
                q = make_path(&entry, "%s/%s", path, e->d_name);
                if (q >= 0)
                        q = rm_rf(entry);
                if (q < 0 && !is_left_to_others(q))
                        r = q;
        }
        closedir(d);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        *link = '/';
        q = unlink(path) < 0 ? negative_errno() : 0;
        *link = '\0';
        if (q >= 0 || q == -ENOENT)
                q = rmdir(path) < 0 ? negative_errno() : 0;
        if (q < 0 && !is_left_to_others(q))
                return error_setf(reterr_message, q, "%s: %s", path, strerror(-q));
        return 0;
}
