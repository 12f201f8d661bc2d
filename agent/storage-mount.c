/* SPDX-License-Identifier: Apache-2.0 */
/* Storages are mounted here: see storage-mount.h. Every path is walked without symlinks and used by descriptor. */

#include "agent/storage-mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "agent/hugepages.h"
#include "agent/mirror.h"
#include "basic/error.h"
#include "basic/limits.h"

#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)
#define FD_PATH_MAX 32U

static const char *fd_path(int fd, char buf[static FD_PATH_MAX])
{
        snprintf(buf, FD_PATH_MAX, "/proc/self/fd/%d", fd);
        return buf;
}

static int make_directory(const char *path, mode_t mode, char **reterr_message)
{
        _cleanup_close_ int fd = confined_make_dirs(AT_FDCWD, path, mode, NULL);

        return fd < 0 ? error_setf(reterr_message, fd, "directory %s: %s", path, strerror(-fd)) : 0;
}

/* An empty file to be mounted over, O_PATH. */
static int make_file(const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, (size_t) (slash - path));
        _cleanup_close_ int dir = -EBADF, made = -EBADF;
        int fd;

        if (!parent)
                return -ENOMEM;
        dir = confined_make_dirs(AT_FDCWD, parent, 0755, NULL);
        if (dir < 0)
                return dir;
        made = openat(dir, slash + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (made < 0 && errno != EEXIST)
                return negative_errno();
        fd = openat(dir, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? negative_errno() : fd;
}

/* --- kinds --- */

static int do_mount(const char *source, int target, const char *fstype, unsigned long flags, const char *data)
{
        char path[FD_PATH_MAX];

        return mount(source, fd_path(target, path), fstype, flags, data) < 0 ? negative_errno() : 0;
}

/* The attributes of a bind mount are given to it afterwards: by its path, which has it on top now. */
static int bind_attributes(const StoragePlan *plan)
{
        _cleanup_close_ int fd = -EBADF;

        if (!(plan->flags & ~(unsigned long) MS_REC))
                return 0;
        fd = confined_open(plan->target, O_PATH);
        return fd < 0 ? fd : do_mount(NULL, fd, NULL, MS_REMOUNT | MS_BIND | (plan->flags & ~(unsigned long) MS_REC),
                                      NULL);
}

static int mount_bind(const StoragePlan *plan, char **reterr_message)
{
        _cleanup_close_ int source = confined_open(plan->source, O_PATH), target = -EBADF;
        char path[FD_PATH_MAX];
        struct stat st;
        int r;

        if (source < 0)
                return error_setf(reterr_message, source, "%s for %s: %s", plan->source, plan->target,
                                  strerror(-source));
        if (fstat(source, &st) < 0)
                return negative_errno();
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
                return error_setf(reterr_message, EINVAL, "%s for %s: neither a directory nor a file", plan->source,
                                  plan->target);
        target = S_ISDIR(st.st_mode) ? confined_make_dirs(AT_FDCWD, plan->target, 0755, NULL) :
                                       make_file(plan->target);
        if (target < 0)
                return error_setf(reterr_message, target, "mount point %s: %s", plan->target, strerror(-target));

        r = do_mount(fd_path(source, path), target, NULL, MS_BIND | (plan->flags & MS_REC), NULL);
        if (r >= 0) {
                r = bind_attributes(plan);
                if (r < 0)
                        (void) umount2(plan->target, MNT_DETACH | UMOUNT_NOFOLLOW);
        }
        return r < 0 ? error_setf(reterr_message, r, "mounting %s on %s: %s", plan->source, plan->target,
                                  strerror(-r)) : 0;
}

/* Twice what a mirror can have, for the time of an exchange. */
#define MIRROR_DATA "size=4m,nr_inodes=256,mode=0755"

static int mirror(const StoragePlan *plan, int source)
{
        _cleanup_close_ int target = confined_open(plan->target, O_PATH | O_DIRECTORY);

        return target < 0 ? target : mirror_directory(source, target);
}

static int mount_watch(const StoragePlan *plan, char **reterr_message)
{
        _cleanup_close_ int source = confined_open(plan->source, O_PATH | O_DIRECTORY), target = -EBADF;
        int r;

        /* A single file, or something that the other one finds words for. */
        if (source < 0)
                return mount_bind(plan, reterr_message);
        target = confined_make_dirs(AT_FDCWD, plan->target, 0755, NULL);
        if (target < 0)
                return error_setf(reterr_message, target, "mount point %s: %s", plan->target, strerror(-target));
        r = do_mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, MIRROR_DATA);
        if (r < 0)
                return error_setf(reterr_message, r, "mounting tmpfs on %s: %s", plan->target, strerror(-r));

        r = mirror(plan, source);
        if (r >= 0)
                return 0;
        (void) umount2(plan->target, MNT_DETACH | UMOUNT_NOFOLLOW);
        /* Too much to be copied every time: changes are seen, but not told. */
        if (r == -E2BIG)
                return mount_bind(plan, reterr_message);
        return error_setf(reterr_message, r, "copying %s to %s: %s", plan->source, plan->target, strerror(-r));
}

int storage_follow(const StoragePlan *plan, char **reterr_message)
{
        _cleanup_close_ int source = confined_open(plan->source, O_PATH | O_DIRECTORY),
                            target = confined_open(plan->target, O_PATH | O_DIRECTORY);
        struct statx stx;
        struct stat from, to;
        int r;

        if (source == -ENOTDIR || target == -ENOTDIR)
                return 0;
        r = source < 0 ? source : target < 0 ? target : 0;
        if (r >= 0 && (fstat(source, &from) < 0 || fstat(target, &to) < 0))
                r = negative_errno();
        if (r >= 0 && statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
                r = negative_errno();
        /* It has just been unmounted; or it is mounted as it is. */
        if (r >= 0 && (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
                       (from.st_dev == to.st_dev && from.st_ino == to.st_ino)))
                return 0;
        if (r >= 0)
                r = mirror_directory(source, target);
        return r < 0 ? error_setf(reterr_message, r, "%s does not follow %s any more: %s", plan->target, plan->source,
                                  r == -E2BIG ? "there is too much in it" : strerror(-r)) : 0;
}

/* Layers as descriptors: a name that is a tenant's is walked once, here, and without symlinks. */
typedef struct Layers {
        int fds[OVERLAY_LAYERS_MAX + 2];
        size_t n;
        char data[(OVERLAY_LAYERS_MAX + 2) * (FD_PATH_MAX + 12)];
} Layers;

static void layers_done(Layers *layers)
{
        for (size_t i = 0; i < layers->n; i++)
                safe_close(layers->fds[i]);
}

static int add_layer(Layers *layers, const char *before, const char *path, char **reterr_message)
{
        int fd = confined_open(path, O_PATH | O_DIRECTORY);
        size_t n = strlen(layers->data);
        char buf[FD_PATH_MAX];

        if (fd < 0)
                return error_setf(reterr_message, fd, "layer %s: %s", path, strerror(-fd));
        layers->fds[layers->n++] = fd;
        return snprintf(layers->data + n, sizeof(layers->data) - n, "%s%s", before, fd_path(fd, buf)) >=
                               (int) (sizeof(layers->data) - n) ? -E2BIG : 0;
}

static int mount_overlay(const StoragePlan *plan, int target, char **reterr_message)
{
        _cleanup_(layers_done) Layers layers = {};
        _cleanup_free_ char *data = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < plan->lower.n; i++)
                r = add_layer(&layers, i == 0 ? "lowerdir=" : ":", plan->lower.v[i], reterr_message);
        if (r >= 0 && plan->upper) {
                if (plan->wants_scratch) {
                        r = make_directory(plan->upper, 0755, reterr_message);
                        if (r >= 0)
                                r = make_directory(plan->work, 0700, reterr_message);
                }
                if (r >= 0)
                        r = add_layer(&layers, ",upperdir=", plan->upper, reterr_message);
                if (r >= 0)
                        r = add_layer(&layers, ",workdir=", plan->work, reterr_message);
        }
        if (r < 0)
                return r;
        if (asprintf(&data, "%s%s%s", layers.data, *plan->data ? "," : "", plan->data) < 0)
                return data = NULL, -ENOMEM;
        return do_mount("overlay", target, "overlay", plan->flags, data);
}

static int mount_device(const StoragePlan *plan, int target, char **reterr_message)
{
        _cleanup_free_ char *node = NULL;
        int r = guest_device_wait(&plan->device, "", DEVICE_WAIT_USEC, &node, reterr_message);

        if (r < 0)
                return error_prefixf(reterr_message, r, "%s", plan->target);
        return do_mount(node, target, plan->fstype, plan->flags, plan->data);
}

static int mount_huge_pages(const StoragePlan *plan, int target, char **reterr_message)
{
        int r = hugepages_reserve("/sys", plan->page_size, plan->n_pages, reterr_message);

        if (r < 0)
                return error_prefixf(reterr_message, r, "%s", plan->target);
        r = do_mount(plan->source, target, plan->fstype, plan->flags, plan->data);
        if (r < 0)
                hugepages_release("/sys", plan->page_size, plan->n_pages);
        return r;
}

static int mount_new(const StoragePlan *plan, char **reterr_message)
{
        _cleanup_close_ int target = confined_make_dirs(AT_FDCWD, plan->target, (mode_t) plan->mode, NULL);
        _cleanup_free_ char *message = NULL;
        int r;

        if (target < 0)
                return error_setf(reterr_message, target, "mount point %s: %s", plan->target, strerror(-target));
        if (plan->kind == STORAGE_DIRECTORY)
                return 0;

        if (plan->kind == STORAGE_OVERLAY)
                r = mount_overlay(plan, target, &message);
        else if (!plan->source)
                r = mount_device(plan, target, &message);
        else if (plan->n_pages > 0)
                r = mount_huge_pages(plan, target, &message);
        else
                r = do_mount(plan->source, target, plan->fstype, plan->flags, plan->data);
        if (r >= 0)
                return 0;
        if (plan->scratch)
                (void) rm_rf(plan->scratch);
        if (message)
                return error_setf(reterr_message, r, "%s", message);
        return error_setf(reterr_message, r, "mounting %s%s%s%s on %s: %s", plan->fstype, plan->source ? " '" : "",
                          strempty(plan->source), plan->source ? "'" : "", plan->target, strerror(-r));
}

/* --- groups --- */

static int set_groups(const StoragePlan *plan, usec_t end, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        int r = 0;

        if (!plan->has_fsgid && !plan->has_group)
                return 0;
        fd = confined_open(plan->target, O_PATH | O_DIRECTORY);
        if (fd < 0)
                r = fd;
        if (r >= 0 && plan->has_fsgid)
                r = fs_group_set_directory(fd, plan->fsgid);
        if (r >= 0 && plan->has_group)
                r = fs_group_apply(fd, &plan->group, end);
        return r < 0 ? error_setf(reterr_message, r, "group of %s: %s", plan->target, strerror(-r)) : 0;
}

int storage_mount(const StoragePlan *plan, usec_t end, char **reterr_message)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < plan->directories.n; i++)
                r = make_directory(plan->directories.v[i], 0755, reterr_message);
        if (r >= 0)
                r = plan->kind == STORAGE_BIND    ? mount_bind(plan, reterr_message)
                    : plan->kind == STORAGE_WATCH ? mount_watch(plan, reterr_message)
                                                  : mount_new(plan, reterr_message);
        if (r < 0)
                return r;

        r = set_groups(plan, end, reterr_message);
        if (r < 0)
                (void) storage_unmount(plan);
        return r;
}

int storage_unmount(const StoragePlan *plan)
{
        int r = 0;

        if (plan->kind == STORAGE_DIRECTORY)
                return rm_rf(plan->target);

        if (umount2(plan->target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
                r = negative_errno();
        else if (plan->n_pages > 0)
                hugepages_release("/sys", plan->page_size, plan->n_pages);
        if (plan->scratch)
                (void) rm_rf(plan->scratch);
        return r;
}
