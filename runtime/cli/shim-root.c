/* SPDX-License-Identifier: Apache-2.0 */
/* Root directories of kata-shim: see shim-root.h. Between fork and exec. */

#include "runtime/cli/shim-root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/root-path.h"
#include "runtime/cli/mount-points.h"

static int attach(int tree_fd, int target_fd)
{
        return move_mount(tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
               negative_errno() : 0;
}

static int bind_root(const char *source, const char *dir)
{
        _cleanup_close_ int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        if (tree < 0)
                return negative_errno();
        return move_mount(tree, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? negative_errno() : 0;
}

static int mount_procfs(int root_fd)
{
        _cleanup_close_ int target = root_open(root_fd, "/proc", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS),
                            fs = -EBADF, tree = -EBADF;

        if (target < 0)
                return target;
        fs = fsopen("proc", FSOPEN_CLOEXEC);
        if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return negative_errno();
        tree = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        return tree < 0 ? negative_errno() : attach(tree, target);
}

static int bind_one(const OciBundle *bundle, int root_fd, json_object *mounts, size_t i)
{
        json_object *mount = json_object_array_get_idx(mounts, i);
        const char *destination = mount_string(mount, "destination"), *source = mount_string(mount, "source");
        _cleanup_close_ int tree = -EBADF, target = -EBADF;
        _cleanup_free_ char *path = NULL, *full = NULL;
        struct stat st;

        if (!mount_is_bind(mount) || !destination || isempty(source) || path_normalize(destination, &path) < 0 ||
            streq(path, "/") || path_is_below(path, "/proc") || mount_is_covered(mounts, i, path))
                return 0;
        if (asprintf(&full, "%s%s%s", source[0] == '/' ? "" : bundle->path, source[0] == '/' ? "" : "/", source) < 0) {
                full = NULL;
                return -ENOMEM;
        }
        tree = open_tree(AT_FDCWD, full, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0 || fstat(tree, &st) < 0)
                return negative_errno();
        target = root_open(root_fd, path, O_PATH | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0), 0);
        return target < 0 ? target : attach(tree, target);
}

int shim_root_make(const OciBundle *bundle, const char *dir)
{
        json_object *mounts = bundle_mounts(bundle);
        size_t n = mounts ? json_object_array_length(mounts) : 0;
        _cleanup_close_ int root_fd = -EBADF;
        int r;

        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return negative_errno();
        r = bind_root(bundle->rootfs, dir);
        if (r < 0)
                return r;
        root_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return negative_errno();
        (void) mount_procfs(root_fd);
        for (size_t i = 0; i < n && i < MOUNTS_MAX; i++)
                (void) bind_one(bundle, root_fd, mounts, i);
        return 0;
}
