/* SPDX-License-Identifier: Apache-2.0 */
/* The guest directory of a sandbox: see guest-dir.h. Host side, privileged. */

#include "runtime/sandbox/guest-dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/kernel-release.h"
#include "basic/limits.h"

/* The lock of a collector is held for a few system calls; a switch is one. */
#define OPEN_TRIES 50U
#define OPEN_PAUSE (20 * USEC_PER_MSEC)

void guest_dir_unlock(GuestDir *dir)
{
        dir->fd = safe_close(dir->fd);
}

void guest_dir_done(GuestDir *dir)
{
        guest_dir_unlock(dir);
        free(dir->path);
        free(dir->kernel_release);
        *dir = GUEST_DIR_NULL;
}

static bool same_directory(const char *path, int fd)
{
        struct stat a, b;

        return stat(path, &a) >= 0 && fstat(fd, &b) >= 0 && a.st_dev == b.st_dev &&
               a.st_ino == b.st_ino;
}

/* -EAGAIN: it was switched or removed under our feet. */
static int try_open(const char *wanted, const char *run_dir, GuestDir *ret, char **reterr_message)
{
        _cleanup_free_ char *real = realpath(wanted, NULL), *reference = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!real)
                return errno == ENOENT ? -EAGAIN :
                       error_setf(reterr_message, errno, "guest directory %s: %s", wanted,
                                  strerror(errno));

        fd = open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -EAGAIN :
                       error_setf(reterr_message, errno, "guest directory %s: %s", real,
                                  strerror(errno));
        if (flock(fd, LOCK_SH | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EAGAIN :
                       error_setf(reterr_message, errno, "guest directory %s can not be locked: %s",
                                  real, strerror(errno));
        if (!same_directory(real, fd))
                return -EAGAIN;

        if (run_dir && asprintf(&reference, "%s/" GUEST_REFERENCE, run_dir) < 0) {
                reference = NULL;
                return -ENOMEM;
        }
        r = reference ? symlink_atomic(real, reference) : 0;
        if (r < 0)
                return error_setf(reterr_message, r, "%s can not be made: %s", reference,
                                  strerror(-r));

        ret->fd = TAKE_FD(fd);
        ret->path = TAKE_PTR(real);
        return 0;
}

static int open_directory(const char *wanted, const char *run_dir, GuestDir *ret,
                          char **reterr_message)
{
        struct stat st;

        for (unsigned i = 0; i < OPEN_TRIES; i++) {
                int r = try_open(wanted, run_dir, ret, reterr_message);

                if (r != -EAGAIN)
                        return r;
                /* Only what can be switched is worth waiting for. */
                if (lstat(wanted, &st) < 0)
                        return error_setf(reterr_message, errno, "guest directory %s: %s", wanted,
                                          strerror(errno));
                (void) usleep(OPEN_PAUSE);
        }

        return error_setf(reterr_message, ENOENT,
                          "guest directory %s leads nowhere: choose one with 'kata-image rollback'",
                          wanted);
}

static int complete(char **path, const char *dir, const char *name)
{
        if (*path)
                return 0;
        if (asprintf(path, "%s/%s", dir, name) < 0) {
                *path = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* For the journal only: a file that is missing or odd is not worth an error. */
static char *kernel_release(const char *kernel)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        char *line, *rest;

        if (asprintf(&path, "%s.info", kernel) < 0) {
                path = NULL;
                return NULL;
        }
        if (read_file_at(AT_FDCWD, path, GUEST_PARAMS_MAX, &text, NULL) < 0)
                return NULL;

        for (rest = text; (line = strsep(&rest, "\n"));) {
                const char *value = startswith(line, "kernel_release=");

                if (value && kernel_release_is_valid(value))
                        return strdup(value);
        }
        return NULL;
}

int guest_dir_open(const GuestDirPlaces *places, NodeConf *node, const char *own, const char *run_dir,
                   GuestDir *ret, char **reterr_message)
{
        const char *updated = places && places->updated ? places->updated : GUESTDIR "/current",
                   *shipped = places && places->shipped ? places->shipped : DATADIR,
                   *wanted = own ? own : node->guest_directory;
        _cleanup_(guest_dir_done) GuestDir dir = GUEST_DIR_NULL;
        struct stat st;
        int r;

        if (own) {
                /* Whose kernel it is stays the node's decision. */
                if (!streq_ptr(node->kernel, CONF_KERNEL_DISTRIBUTION))
                        node->kernel = mfree(node->kernel);
                node->image = mfree(node->image);
                node->image_parameters = mfree(node->image_parameters);
        }

        /* A link to nowhere is a mistake to tell of, not a reason to boot an older kernel. */
        if (!wanted)
                wanted = lstat(updated, &st) >= 0 ? updated : shipped;

        if (!node->kernel || !node->image || !node->image_parameters) {
                r = open_directory(wanted, run_dir, &dir, reterr_message);
                if (r < 0)
                        return r;

                r = complete(&node->kernel, dir.path, "vmlinux");
                if (r >= 0)
                        r = complete(&node->image, dir.path, "guest.img");
                if (r >= 0)
                        r = complete(&node->image_parameters, dir.path, "guest.params");
                if (r < 0)
                        return r;
        }

        if (!streq(node->kernel, CONF_KERNEL_DISTRIBUTION))
                dir.kernel_release = kernel_release(node->kernel);
        *ret = dir;
        dir = GUEST_DIR_NULL;
        return 0;
}

int guest_dir_recall(const char *run_dir, GuestDir *ret)
{
        _cleanup_free_ char *reference = NULL;
        char *path;

        if (asprintf(&reference, "%s/" GUEST_REFERENCE, run_dir) < 0) {
                reference = NULL;
                return -ENOMEM;
        }
        path = realpath(reference, NULL);
        if (!path)
                return errno == ENOENT ? 0 : negative_errno();

        guest_dir_done(ret);
        ret->path = path;
        return 0;
}
