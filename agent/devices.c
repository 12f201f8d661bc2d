/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes and rules: see devices.h. Guest side. */

#include "agent/devices.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/fd.h"

/* Linux: 12 bits of major, 20 bits of minor number. */
#define MAJOR_MAX ((1 << 12) - 1)
#define MINOR_MAX ((1 << 20) - 1)

/* makedev() for numbers below 256, as a constant. */
#define CHAR_NODE(path_, major_, minor_)                                                           \
        { .path = (char *) path_, .mode = S_IFCHR | 0666, .rdev = (major_) << 8 | (minor_) }

const DeviceNode device_default_nodes[] = {
        CHAR_NODE("/dev/null", 1, 3),
        CHAR_NODE("/dev/zero", 1, 5),
        CHAR_NODE("/dev/full", 1, 7),
        CHAR_NODE("/dev/random", 1, 8),
        CHAR_NODE("/dev/urandom", 1, 9),
        CHAR_NODE("/dev/tty", 5, 0),
};
const size_t device_default_nodes_n = ELEMENTSOF(device_default_nodes);

#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define ALLOW_CHAR(major_, minor_)                                                                 \
        { .allow = true, .type = 'c', .major = major_, .minor = minor_, .access = ACCESS_ALL }

/* Making a node is free, as everywhere with CAP_MKNOD; opening it is what is guarded. */
const DeviceRule device_default_rules[] = {
        { .allow = true, .type = 'c', .major = -1, .minor = -1, .access = BPF_DEVCG_ACC_MKNOD },
        { .allow = true, .type = 'b', .major = -1, .minor = -1, .access = BPF_DEVCG_ACC_MKNOD },
        ALLOW_CHAR(1, 3),
        ALLOW_CHAR(1, 5),
        ALLOW_CHAR(1, 7),
        ALLOW_CHAR(1, 8),
        ALLOW_CHAR(1, 9),
        ALLOW_CHAR(5, 0),       /* tty */
        ALLOW_CHAR(5, 1),       /* console */
        ALLOW_CHAR(5, 2),       /* ptmx */
        ALLOW_CHAR(136, -1),    /* pts */
};
const size_t device_default_rules_n = ELEMENTSOF(device_default_rules);

static const struct {
        const char *name, *target;
} device_links[] = {
        { "fd", "/proc/self/fd" },
        { "stdin", "/proc/self/fd/0" },
        { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" },
        { "core", "/proc/kcore" },
        { "ptmx", "pts/ptmx" },
};

void device_node_done(DeviceNode *node)
{
        free(node->path);
        *node = (DeviceNode) {};
}

int device_node_parse(DeviceNode *ret, const char *path, const char *type, int64_t major,
                int64_t minor, uint32_t mode, uint32_t uid, uint32_t gid, char **reterr_message)
{
        _cleanup_free_ char *normal = NULL;
        mode_t format;
        int r;

        r = path_normalize(path, &normal);
        if (r < 0 || !startswith(normal, "/dev/"))
                return error_setf(reterr_message, r < 0 ? r : -EOPNOTSUPP,
                                  "device '%.200s' is not below /dev", path);

        if (streq(type, "c") || streq(type, "u"))
                format = S_IFCHR;
        else if (streq(type, "b"))
                format = S_IFBLK;
        else if (streq(type, "p"))
                format = S_IFIFO;
        else
                return error_setf(reterr_message, -EINVAL, "device '%s': unknown type '%.20s'",
                                normal, type);

        if (format != S_IFIFO &&
            (major < 0 || major > MAJOR_MAX || minor < 0 || minor > MINOR_MAX))
                return error_setf(reterr_message, -ERANGE,
                                  "device '%s': number %lld:%lld is out of range", normal,
                                  (long long) major, (long long) minor);

        /* Some callers send st_mode whole; the type says the same. */
        if ((mode & S_IFMT) != 0 && (mode & S_IFMT) != format)
                return error_setf(reterr_message, -EINVAL,
                                "device '%s': mode %o contradicts the type", normal, mode);
        mode &= ~(uint32_t) S_IFMT;
        if (mode > 07777)
                return error_setf(reterr_message, -ERANGE, "device '%s': bad mode %o", normal,
                                  mode);

        *ret = (DeviceNode) {
                .path = TAKE_PTR(normal),
                .mode = format | (mode > 0 ? mode : 0666),
                .rdev = format == S_IFIFO ? 0 : makedev((unsigned) major, (unsigned) minor),
                .uid = uid,
                .gid = gid,
        };
        return 0;
}

int device_rule_parse(DeviceRule *ret, bool allow, const char *type, int64_t major, int64_t minor,
                      const char *access, char **reterr_message)
{
        DeviceRule rule = { .allow = allow, .major = major, .minor = minor };

        if (isempty(type) || streq(type, "a")) {
                /* As in cgroup v1: "a" stands for all devices, its other fields do not count. */
                *ret = (DeviceRule) {
                        .allow = allow, .type = 'a', .major = DEVICE_ANY, .minor = DEVICE_ANY,
                        .access = ACCESS_ALL,
                };
                return 0;
        }

        if (!streq(type, "b") && !streq(type, "c"))
                return error_setf(reterr_message, -EINVAL, "device rule: unknown type '%.20s'",
                                  type);
        rule.type = type[0];

        if (major < DEVICE_ANY || major > MAJOR_MAX || minor < DEVICE_ANY || minor > MINOR_MAX)
                return error_setf(reterr_message, -ERANGE,
                                "device rule: number %lld:%lld is out of range", (long long) major,
                                (long long) minor);

        for (const char *p = access; *p; p++)
                switch (*p) {
                case 'r':
                        rule.access |= BPF_DEVCG_ACC_READ;
                        break;
                case 'w':
                        rule.access |= BPF_DEVCG_ACC_WRITE;
                        break;
                case 'm':
                        rule.access |= BPF_DEVCG_ACC_MKNOD;
                        break;
                default:
                        return error_setf(reterr_message, -EINVAL,
                                        "device rule: unknown access '%.20s'", access);
                }
        if (rule.access == 0)
                rule.access = ACCESS_ALL;

        *ret = rule;
        return 0;
}

static int make_node(int dev_fd, const DeviceNode *node)
{
        _cleanup_close_ int parent_fd = -EBADF;
        _cleanup_free_ char *parent = NULL;
        const char *name = strrchr(node->path, '/') + 1;
        struct stat st;

        /* "/dev/dri/card0" → "/dri" below dev_fd */
        parent = strndup(node->path + strlen("/dev"),
                         (size_t) (name - node->path) - strlen("/dev"));
        if (!parent)
                return -ENOMEM;

        parent_fd = root_make_dir(dev_fd, parent, 0755);
        if (parent_fd < 0)
                return parent_fd;

        if (mknodat(parent_fd, name, node->mode, node->rdev) < 0) {
                if (errno != EEXIST)
                        return negative_errno();

                /* An earlier mount brought it along: fine if it is what was asked for. */
                if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return negative_errno();
                if ((st.st_mode & S_IFMT) != (node->mode & S_IFMT) || st.st_rdev != node->rdev)
                        return -EEXIST;
                return 0;
        }

        if ((node->uid != 0 || node->gid != 0) &&
            fchownat(parent_fd, name, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return negative_errno();

        return 0;
}

int devices_make(int dev_fd, const DeviceNode *nodes, size_t n, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                int r = make_node(dev_fd, &nodes[i]);

                if (r < 0)
                        return error_setf(reterr_message, r, "cannot make device '%s': %s",
                                          nodes[i].path, strerror(-r));
        }

        for (size_t i = 0; i < ELEMENTSOF(device_links); i++) {
                if (streq(device_links[i].name, "core") && access("/proc/kcore", F_OK) < 0)
                        continue;
                if (symlinkat(device_links[i].target, dev_fd, device_links[i].name) < 0 &&
                    errno != EEXIST) {
                        int r = negative_errno();

                        return error_setf(reterr_message, r, "cannot make symlink '/dev/%s': %s",
                                          device_links[i].name, strerror(-r));
                }
        }

        return 0;
}
