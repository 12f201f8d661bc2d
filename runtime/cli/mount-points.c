/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points: see mount-points.h. */

#include "runtime/cli/mount-points.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/root-path.h"

const char *mount_string(json_object *o, const char *name)
{
        json_object *value;

        return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, name, &value) &&
               json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

bool mount_is_bind(json_object *mount)
{
        json_object *options;

        if (streq_ptr(mount_string(mount, "type"), "bind"))
                return true;
        if (!json_object_object_get_ex(mount, "options", &options) ||
            !json_object_is_type(options, json_type_array))
                return false;
        for (size_t i = 0; i < json_object_array_length(options); i++) {
                const char *option = json_object_get_string(json_object_array_get_idx(options, i));

                if (streq_ptr(option, "bind") || streq_ptr(option, "rbind"))
                        return true;
        }
        return false;
}

/* Of a file that is bound, a file. A source that is not there is told of by whoever mounts it. */
static bool is_file(const OciBundle *bundle, json_object *mount)
{
        const char *source = mount_string(mount, "source");
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (!mount_is_bind(mount) || isempty(source))
                return false;
        if (source[0] == '/')
                path = strdup(source);
        else if (asprintf(&path, "%s/%s", bundle->path, source) < 0)
                path = NULL;
        return path && stat(path, &st) >= 0 && !S_ISDIR(st.st_mode);
}

/* It lies in what an earlier one has mounted, where the guest can make it, or does not exist on the host. */
bool mount_is_covered(json_object *mounts, size_t index, const char *path)
{
        for (size_t i = 0; i < index; i++) {
                const char *destination = mount_string(json_object_array_get_idx(mounts, i), "destination");
                _cleanup_free_ char *other = NULL;

                if (destination && path_normalize(destination, &other) >= 0 && !streq(other, "/") &&
                    !streq(other, path) && path_is_below(path, other))
                        return true;
        }
        return false;
}

static int make_one(const OciBundle *bundle, int root_fd, json_object *mounts, size_t i, char **reterr_message)
{
        json_object *mount = json_object_array_get_idx(mounts, i);
        const char *destination = mount_string(mount, "destination");
        _cleanup_free_ char *path = NULL;
        int fd;

        /* What else is wrong with it the supervisor says. */
        if (!destination || path_normalize(destination, &path) < 0 || streq(path, "/") ||
            mount_is_covered(mounts, i, path))
                return 0;
        if (!bundle_root_is_read_only(bundle) && !mount_is_bind(mount))
                return 0;
        /* An empty tmpfs in a place that was not there has the mode that the kernel gives it, as with runc. */
        fd = is_file(bundle, mount) ? root_make_file(root_fd, path) :
             root_make_dir(root_fd, path, streq_ptr(mount_string(mount, "type"), "tmpfs") ? 01777 : 0755);
        /* The root may be read-only for us as well: then it is there, or whoever mounts it fails. */
        if (fd < 0 && fd != -EROFS)
                return error_setf(reterr_message, fd, "mounts[%zu]: mount point %s can not be made in %s: %s", i, path,
                                  bundle->rootfs, strerror(-fd));
        safe_close(fd);
        return 0;
}

int mount_points_make(const OciBundle *bundle, char **reterr_message)
{
        json_object *mounts = bundle_mounts(bundle);
        _cleanup_close_ int root_fd = -EBADF;
        mode_t before;
        int r = 0;

        if (!mounts)
                return 0;
        if (json_object_array_length(mounts) > MOUNTS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u mounts", MOUNTS_MAX);
        root_fd = open(bundle->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "root.path %s: %s", bundle->rootfs, strerror(-r));
        }
        before = umask(0);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(mounts); i++)
                r = make_one(bundle, root_fd, mounts, i, reterr_message);
        (void) umask(before);
        return r;
}
