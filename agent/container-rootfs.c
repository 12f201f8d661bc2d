/* SPDX-License-Identifier: Apache-2.0 */
/* Root file system of a container: see container-rootfs.h. */

#include "agent/container-rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/idmap-mounts.h"
#include "basic/root-path.h"
#include "basic/error.h"

static int open_guest_dir(const char *path)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_NO_MAGICLINKS,
        };
        int fd = (int) syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        return fd < 0 ? negative_errno() : fd;
}

int rootfs_separate(void)
{
        struct mount_attr attr = { .propagation = MS_SLAVE };

        return mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0
                               ? negative_errno()
                               : 0;
}

/* The root directory as a mount of its own, which pivot_root(2) asks for. Returns a descriptor. */
static int make_root(const ContainerPlan *plan, char **reterr_message)
{
        _cleanup_close_ int dir_fd = open_guest_dir(plan->root), tree_fd = -EBADF;
        int r;

        if (dir_fd < 0)
                return error_setf(reterr_message, dir_fd, "root '%s': %s", plan->root,
                                strerror(-dir_fd));

        r = tree_fd = mount_clone(dir_fd, true);
        if (r >= 0)
                r = mount_set_attr(tree_fd, true, 0, 0, MS_PRIVATE);
        if (r >= 0)
                r = mount_attach(tree_fd, dir_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "root '%s': cannot mount it: %s", plan->root,
                                  strerror(-r));

        return TAKE_FD(tree_fd);
}

/* A read-only /dev, which is filled first. */
static bool dev_is_readonly(const ContainerPlan *plan)
{
        bool readonly = false;

        for (size_t i = 0; plan->make_devices && i < plan->n_mounts; i++)
                if (streq(plan->mounts[i].destination, "/dev"))
                        readonly = plan->mounts[i].attr_set & MOUNT_ATTR_RDONLY;

        return readonly;
}

static int make_mounts(const ContainerPlan *plan, int root_fd, const char *cgroup_path, int idmap_fd,
                       char **reterr_message)
{
        _cleanup_close_ int cgroup_fd = -EBADF;

        /* Opened here: descriptors from before the new mount namespace cannot be cloned in it. */
        if (!plan->cgroup_namespace) {
                cgroup_fd = open_guest_dir(cgroup_path);
                if (cgroup_fd < 0)
                        return error_setf(reterr_message, cgroup_fd, "cgroup '%s': %s", cgroup_path,
                                          strerror(-cgroup_fd));
        }

        for (size_t i = 0; i < plan->n_mounts; i++) {
                _cleanup_close_ int tree_fd = -EBADF;
                MountEntry entry = plan->mounts[i];
                int r;

                if (entry.idmap) {
                        tree_fd = idmap_mounts_receive(idmap_fd, reterr_message);
                        if (tree_fd < 0)
                                return error_prefixf(reterr_message, tree_fd, "mount '%s'", entry.destination);
                }
                if (plan->make_devices && streq(entry.destination, "/dev"))
                        entry.attr_set &= ~(uint64_t) MOUNT_ATTR_RDONLY;
                r = mount_entry_apply(&entry, root_fd, cgroup_fd, tree_fd, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int make_devices(const ContainerPlan *plan, int root_fd, char **reterr_message)
{
        _cleanup_close_ int dev_fd = -EBADF;

        if (!plan->make_devices)
                return 0;

        dev_fd = root_open(root_fd, "/dev", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        if (dev_fd < 0)
                return error_setf(reterr_message, dev_fd, "/dev: %s", strerror(-dev_fd));

        return plan->namespaces & CLONE_NEWUSER
                       ? userns_bind_devices(dev_fd, plan->devices, plan->n_devices, reterr_message)
                       : devices_make(dev_fd, plan->devices, plan->n_devices, reterr_message);
}

static int protect_path(int root_fd, const char *path)
{
        _cleanup_close_ int fd = root_open(root_fd, path, O_PATH, 0), tree_fd = -EBADF;
        int r;

        if (fd < 0)
                return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;

        tree_fd = mount_clone(fd, true);
        if (tree_fd < 0)
                return tree_fd;

        r = mount_set_attr(tree_fd, true, MOUNT_ATTR_RDONLY, 0, 0);
        return r < 0 ? r : mount_attach(tree_fd, fd);
}

/* What covers masked paths. Both are looked up in the guest, not in the image (CVE-2025-31133). */
typedef struct Masks {
        int null_fd;
        int dir_fd;             /* an empty read-only tmpfs; attached once it was used */
        bool dir_used;
} Masks;

static void masks_done(Masks *masks)
{
        safe_close(masks->null_fd);
        safe_close(masks->dir_fd);
}

static int open_null(void)
{
        _cleanup_close_ int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return negative_errno();

        return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) ? TAKE_FD(fd) : -ENODEV;
}

static int mask_tree(Masks *masks, bool directory, char **reterr_message)
{
        uint64_t attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
        _cleanup_(strv_done) Strv options = {};
        int fd, r;

        if (!directory) {
                if (masks->null_fd < 0)
                        masks->null_fd = open_null();
                fd = masks->null_fd < 0 ? masks->null_fd : mount_clone(masks->null_fd, false);
        } else if (masks->dir_used)
                fd = mount_clone(masks->dir_fd, false);
        else {
                r = strv_add_many(&options, "nr_blocks=1", "nr_inodes=1", "mode=0755", NULL);
                if (r < 0)
                        return r;
                fd = mount_new_fs("tmpfs", "tmpfs", &options, reterr_message);
                attr |= MOUNT_ATTR_NODEV;
        }
        if (fd < 0)
                return fd;

        r = mount_set_attr(fd, false, attr, 0, MS_PRIVATE);
        if (r < 0) {
                safe_close(fd);
                return r;
        }

        return fd;
}

static int mask_path(Masks *masks, int root_fd, const char *path, char **reterr_message)
{
        _cleanup_close_ int fd = root_open(root_fd, path, O_PATH, 0), tree_fd = -EBADF;
        struct stat st;
        int r;

        if (fd < 0)
                return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();

        tree_fd = mask_tree(masks, S_ISDIR(st.st_mode), reterr_message);
        if (tree_fd < 0)
                return tree_fd;

        r = mount_attach(tree_fd, fd);
        if (r < 0)
                return r;

        /* Before Linux 6.15 only an attached mount can be cloned, so keep the first one. */
        if (S_ISDIR(st.st_mode) && !masks->dir_used) {
                masks->dir_fd = TAKE_FD(tree_fd);
                masks->dir_used = true;
        }
        return 0;
}

static int restrict_paths(const ContainerPlan *plan, int root_fd, char **reterr_message)
{
        _cleanup_(masks_done) Masks masks = { .null_fd = -EBADF, .dir_fd = -EBADF };
        const char *path;
        int r;

        STRV_FOREACH(path, &plan->readonly_paths) {
                r = protect_path(root_fd, path);
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot make '%s' read-only: %s", path,
                                          strerror(-r));
        }

        STRV_FOREACH(path, &plan->masked_paths) {
                r = mask_path(&masks, root_fd, path, reterr_message);
                if (r < 0)
                        return error_prefixf(reterr_message, r, "cannot mask '%s'", path);
        }

        return 0;
}

/* With "." for both there is no directory for the old root to be put in, and none to be removed. */
static int pivot(int root_fd)
{
        _cleanup_close_ int old_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (old_fd < 0 || fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return negative_errno();

        /* The old root now lies on top of the new one. Its unmounting must not propagate. */
        if (fchdir(old_fd) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
            umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return negative_errno();

        return 0;
}

static int make_cwd(const ContainerPlan *plan, int root_fd, char **reterr_message)
{
        _cleanup_close_ int fd = root_make_dir(root_fd, plan->process.cwd, 0755);

        if (fd < 0)
                return error_setf(reterr_message, fd, "cwd '%s': %s", plan->process.cwd,
                                strerror(-fd));

        return 0;
}

int rootfs_enter(const ContainerPlan *plan, const char *cgroup_path, int idmap_fd,
                 int (*before_pivot)(void *userdata, char **reterr_message), void *userdata,
                 char **reterr_message)
{
        _cleanup_close_ int root_fd = -EBADF;
        int r;

        r = rootfs_separate();
        if (r < 0)
                return error_setf(reterr_message, r, "cannot separate the mount namespace: %s",
                                  strerror(-r));

        root_fd = make_root(plan, reterr_message);
        if (root_fd < 0)
                return root_fd;

        r = make_mounts(plan, root_fd, cgroup_path, idmap_fd, reterr_message);
        if (r >= 0)
                r = make_devices(plan, root_fd, reterr_message);
        if (r >= 0)
                r = make_cwd(plan, root_fd, reterr_message);
        if (r >= 0)
                r = restrict_paths(plan, root_fd, reterr_message);
        if (r < 0)
                return r;

        if (plan->root_readonly) {
                r = mount_set_attr(root_fd, false, MOUNT_ATTR_RDONLY, 0, 0);
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot make the root read-only: %s",
                                          strerror(-r));
        }

        r = before_pivot(userdata, reterr_message);
        if (r < 0)
                return r;

        r = pivot(root_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "pivot_root: %s", strerror(-r));

        r = mount_set_attr(root_fd, plan->root_propagation & MS_REC, 0, 0,
                           plan->root_propagation & ~(uint64_t) MS_REC);
        if (r < 0)
                return error_setf(reterr_message, r, "rootfsPropagation: %s", strerror(-r));

        return 0;
}

int rootfs_finish(const ContainerPlan *plan, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!dev_is_readonly(plan))
                return 0;

        fd = open("/dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? negative_errno() : mount_set_attr(fd, false, MOUNT_ATTR_RDONLY, 0, 0);
        return r < 0 ? error_setf(reterr_message, r, "cannot make /dev read-only: %s", strerror(-r)) : 0;
}
