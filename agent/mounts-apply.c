/* SPDX-License-Identifier: Apache-2.0 */
/* Making the mounts of a container: see mounts.h. Set-up child, before pivot_root. */

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/container-copyup.h"
#include "basic/root-path.h"
#include "agent/mounts.h"
#include "basic/error.h"

/* include/linux/proc_fs.h: PROC_ROOT_INO */
#define PROC_ROOT_INODE 1U

static bool fd_is_procfs(int fd)
{
        struct statfs s;

        return fstatfs(fd, &s) >= 0 && s.f_type == PROC_SUPER_MAGIC;
}

/* Guest paths may go through symlinks of the guest ("/var/run"), never through /proc/PID/fd. */
static int open_source(const MountEntry *entry, struct stat *ret_st, char **reterr_message)
{
        struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
        _cleanup_close_ int fd =
                (int) syscall(SYS_openat2, AT_FDCWD, entry->source, &how, sizeof(how));

        if (fd < 0 || fstat(fd, ret_st) < 0) {
                int r = negative_errno();

                return error_setf(reterr_message, r, "source '%s': %s", entry->source,
                                  strerror(-r));
        }

        if (streq(entry->destination, "/proc") &&
            (!fd_is_procfs(fd) || ret_st->st_ino != PROC_ROOT_INODE))
                return error_setf(reterr_message, -EPERM, "source '%s' is not a procfs",
                                entry->source);

        return TAKE_FD(fd);
}

/*
 * Kernel interfaces and /dev are used by name later on, so they must be where they seem to be: an
 * image with a symlink there is refused (CVE-2026-41579).
 */
static bool wants_plain_path(const MountEntry *entry)
{
        return entry->kind == MOUNT_KIND_PROC || entry->kind == MOUNT_KIND_SYSFS ||
               streq(entry->destination, "/dev") || path_is_below(entry->destination, "/proc");
}

static int open_target(const MountEntry *entry, int root_fd, bool directory, char **reterr_message)
{
        uint64_t resolve = wants_plain_path(entry) ? RESOLVE_NO_SYMLINKS : 0;
        _cleanup_close_ int fd = -EBADF;

        fd = root_open(root_fd, entry->destination, O_PATH, resolve);
        if (fd == -ENOENT && entry->kind != MOUNT_KIND_REMOUNT &&
            !mount_target_is_proc_file(entry->destination)) {
                fd = directory ? root_make_dir(root_fd, entry->destination, 0755)
                               : root_make_file(root_fd, entry->destination);
                if (fd >= 0 && resolve) {
                        safe_close(fd);
                        fd = root_open(root_fd, entry->destination, O_PATH, resolve);
                }
        }
        if (fd == -ELOOP && resolve)
                return error_setf(reterr_message, -ELOOP, "there is a symlink on the way");
        if (fd < 0)
                return error_setf(reterr_message, fd, "cannot make the mount point: %s",
                                strerror(-fd));

        /* Did a symlink lead into procfs? */
        if (fd_is_procfs(fd) && !path_is_below(entry->destination, "/proc"))
                return error_setf(reterr_message, -EPERM, "leads into procfs");

        return TAKE_FD(fd);
}

/* target_fd: the directory that it covers; negative if that had to be made. */
static int new_tmpfs(const MountEntry *entry, int target_fd, char **reterr_message)
{
        _cleanup_(strv_done) Strv options = {};
        bool has_mode = false;
        const char *option;
        struct stat st;
        int r;

        STRV_FOREACH(option, &entry->options) {
                has_mode = has_mode || startswith(option, "mode=");
                r = strv_add(&options, option);
                if (r < 0)
                        return r;
        }

        /*
         * A tmpfs that covers a directory looks like that directory; without one it has the kernel's 1777, as with
         * runc.
         */
        if (!has_mode && target_fd >= 0) {
                if (fstat(target_fd, &st) < 0)
                        return negative_errno();
                r = strv_addf(&options, "mode=%04o", st.st_mode & 07777U);
                if (r < 0)
                        return r;
        }

        return mount_new_fs("tmpfs", isempty(entry->source) ? "tmpfs" : entry->source, &options,
                            reterr_message);
}

static int new_fs(const MountEntry *entry, char **reterr_message)
{
        _cleanup_(strv_done) Strv options = {};
        const char *option;
        int r;

        STRV_FOREACH(option, &entry->options) {
                r = strv_add(&options, option);
                if (r < 0)
                        return r;
        }

        /* A disk may itself be read-only; then the superblock has to be as well. */
        if (entry->kind == MOUNT_KIND_FS && entry->source[0] == '/' &&
            entry->attr_set & MOUNT_ATTR_RDONLY) {
                r = strv_add(&options, "ro");
                if (r < 0)
                        return r;
        }

        return mount_new_fs(entry->kind == MOUNT_KIND_CGROUP ? "cgroup2" : entry->type,
                        entry->source, &options, reterr_message);
}

/*
 * In a user namespace whose root does not own the network namespace a sysfs cannot be made. The guest's
 * shows the same; with all that is mounted below it, which the kernel does not let go, and read-only.
 */
static int new_sysfs(const MountEntry *entry, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF, sys_fd = -EBADF;
        int r;

        fd = new_fs(entry, &message);
        if (fd >= 0)
                return TAKE_FD(fd);
        if (fd != -EPERM)
                return error_setf(reterr_message, fd, "%s", error_text(message, fd));

        sys_fd = open("/sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sys_fd < 0)
                return negative_errno();
        r = fd = mount_clone(sys_fd, true);
        if (r >= 0)
                r = mount_set_attr(fd, true, MOUNT_ATTR_RDONLY, 0, 0);
        if (r < 0)
                return error_setf(reterr_message, r, "the guest's sysfs: %s", strerror(-r));

        return TAKE_FD(fd);
}

static int new_tree(const MountEntry *entry, int source_fd, int target_fd, int cgroup_fd,
                    char **reterr_message)
{
        switch (entry->kind) {
        case MOUNT_KIND_BIND:
                return mount_clone(source_fd, entry->recursive);
        case MOUNT_KIND_TMPFS:
                return new_tmpfs(entry, target_fd, reterr_message);
        case MOUNT_KIND_SYSFS:
                return new_sysfs(entry, reterr_message);
        case MOUNT_KIND_CGROUP:
                return cgroup_fd >= 0 ? mount_clone(cgroup_fd, false)
                                      : new_fs(entry, reterr_message);
        default:
                return new_fs(entry, reterr_message);
        }
}

static int set_attributes(const MountEntry *entry, int fd)
{
        int r;

        r = mount_set_attr(fd, true, entry->tree_set, entry->tree_clear, 0);
        if (r < 0)
                return r;

        r = mount_set_attr(fd, false, entry->attr_set, entry->attr_clear, 0);
        if (r < 0)
                return r;

        return mount_set_attr(fd, entry->propagation_recursive, 0, 0, entry->propagation);
}

/* What is mounted later where this comes from is no part of the container, unless it asks for that. */
static int finish_tree(const MountEntry *entry, int tree_fd, char **reterr_message)
{
        int r = entry->propagation == 0 ? mount_set_attr(tree_fd, true, 0, 0, MS_PRIVATE) : 0;

        if (r >= 0)
                r = set_attributes(entry, tree_fd);
        return r < 0 ? error_setf(reterr_message, r, "mount attributes: %s", strerror(-r)) : 0;
}

int mount_entry_make_bind(const MountEntry *entry, char **reterr_message)
{
        _cleanup_close_ int source_fd = -EBADF, tree_fd = -EBADF;
        struct stat st;
        int r;

        source_fd = open_source(entry, &st, reterr_message);
        if (source_fd < 0)
                return source_fd;
        tree_fd = mount_clone(source_fd, entry->recursive);
        if (tree_fd < 0)
                return error_setf(reterr_message, tree_fd, "source '%s': %s", entry->source, strerror(-tree_fd));
        r = finish_tree(entry, tree_fd, reterr_message);
        return r < 0 ? r : TAKE_FD(tree_fd);
}

static int attach_ready(const MountEntry *entry, int root_fd, int tree_fd, char **reterr_message)
{
        _cleanup_close_ int target_fd = -EBADF;
        struct stat st;

        if (fstat(tree_fd, &st) < 0)
                return negative_errno();
        target_fd = open_target(entry, root_fd, S_ISDIR(st.st_mode), reterr_message);
        return target_fd < 0 ? target_fd : mount_attach(tree_fd, target_fd);
}

static int apply(const MountEntry *entry, int root_fd, int cgroup_fd, char **reterr_message)
{
        _cleanup_close_ int source_fd = -EBADF, before_fd = -EBADF, target_fd = -EBADF, tree_fd = -EBADF;
        struct stat st = { .st_mode = S_IFDIR };
        int r;

        if (entry->kind == MOUNT_KIND_BIND) {
                source_fd = open_source(entry, &st, reterr_message);
                if (source_fd < 0)
                        return source_fd;
        }

        if (entry->kind == MOUNT_KIND_TMPFS)
                before_fd = root_open(root_fd, entry->destination, O_PATH | O_DIRECTORY, 0);
        target_fd = open_target(entry, root_fd, S_ISDIR(st.st_mode), reterr_message);
        if (target_fd < 0)
                return target_fd;

        if (entry->kind == MOUNT_KIND_REMOUNT)
                return set_attributes(entry, target_fd);

        tree_fd = new_tree(entry, source_fd, before_fd, cgroup_fd, reterr_message);
        if (tree_fd < 0)
                return tree_fd;

        if (entry->copy_up) {
                r = copy_up(target_fd, tree_fd);
                if (r < 0)
                        return error_setf(reterr_message, r, "tmpcopyup: %s", strerror(-r));
        }

        r = finish_tree(entry, tree_fd, reterr_message);
        return r < 0 ? r : mount_attach(tree_fd, target_fd);
}

int mount_entry_apply(const MountEntry *entry, int root_fd, int cgroup_fd, int tree_fd, char **reterr_message)
{
        int r = tree_fd >= 0 ? attach_ready(entry, root_fd, tree_fd, reterr_message)
                             : apply(entry, root_fd, cgroup_fd, reterr_message);

        if (r < 0)
                return error_prefixf(reterr_message, r, "mount '%s'", entry->destination);

        return 0;
}
