/* SPDX-License-Identifier: Apache-2.0 */
/* Mount entries, the pure half and the primitives: see mounts.h. */

#include "agent/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <unistd.h>

#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/limits.h"

#define FS_MESSAGE_MAX 256U

typedef enum OptionEffect {
        OPTION_ATTR,            /* top mount: set, clear */
        OPTION_TREE,            /* whole tree: set, clear */
        OPTION_PROPAGATION,     /* set = MS_* with MS_REC */
        OPTION_BIND,            /* set = 1: recursive */
        OPTION_REMOUNT,
        OPTION_COPY_UP,
        OPTION_SUPERBLOCK,      /* passed on to a new file system */
        OPTION_NOTHING,         /* what the kernel does anyway, or nothing to the kernel */
        OPTION_IDMAP,           /* set = 1: recursive */
} OptionEffect;

typedef struct MountOption {
        const char *name;
        OptionEffect effect;
        uint64_t set, clear;
} MountOption;

#define ATTR(name_, set_, clear_)                                                                  \
        { name_, OPTION_ATTR, set_, clear_ }, { "r" name_, OPTION_TREE, set_, clear_ }
#define ATIME(name_, set_) ATTR(name_, set_, MOUNT_ATTR__ATIME)

/* Names: config.md of the OCI runtime specification, "Linux mount options", and mount(8). */
static const MountOption mount_options[] = {
        ATTR("ro", MOUNT_ATTR_RDONLY, 0),
        ATTR("rw", 0, MOUNT_ATTR_RDONLY),
        ATTR("nosuid", MOUNT_ATTR_NOSUID, 0),
        ATTR("suid", 0, MOUNT_ATTR_NOSUID),
        ATTR("nodev", MOUNT_ATTR_NODEV, 0),
        ATTR("dev", 0, MOUNT_ATTR_NODEV),
        ATTR("noexec", MOUNT_ATTR_NOEXEC, 0),
        ATTR("exec", 0, MOUNT_ATTR_NOEXEC),
        ATTR("nodiratime", MOUNT_ATTR_NODIRATIME, 0),
        ATTR("diratime", 0, MOUNT_ATTR_NODIRATIME),
        ATTR("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0),
        ATTR("symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW),
        /* Relative is the kernel's default, so that the negations all end there. */
        ATIME("relatime", MOUNT_ATTR_RELATIME),
        ATIME("norelatime", MOUNT_ATTR_RELATIME),
        ATIME("noatime", MOUNT_ATTR_NOATIME),
        ATIME("atime", MOUNT_ATTR_RELATIME),
        ATIME("strictatime", MOUNT_ATTR_STRICTATIME),
        ATIME("nostrictatime", MOUNT_ATTR_RELATIME),

        { "private", OPTION_PROPAGATION, MS_PRIVATE, 0 },
        { "rprivate", OPTION_PROPAGATION, MS_PRIVATE | MS_REC, 0 },
        { "shared", OPTION_PROPAGATION, MS_SHARED, 0 },
        { "rshared", OPTION_PROPAGATION, MS_SHARED | MS_REC, 0 },
        { "slave", OPTION_PROPAGATION, MS_SLAVE, 0 },
        { "rslave", OPTION_PROPAGATION, MS_SLAVE | MS_REC, 0 },
        { "unbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0 },
        { "runbindable", OPTION_PROPAGATION, MS_UNBINDABLE | MS_REC, 0 },

        { "bind", OPTION_BIND, 0, 0 },
        { "rbind", OPTION_BIND, 1, 0 },
        { "remount", OPTION_REMOUNT, 0, 0 },
        { "tmpcopyup", OPTION_COPY_UP, 0, 0 },

        { "sync", OPTION_SUPERBLOCK, 0, 0 },
        { "dirsync", OPTION_SUPERBLOCK, 0, 0 },
        { "lazytime", OPTION_SUPERBLOCK, 0, 0 },
        { "mand", OPTION_SUPERBLOCK, 0, 0 },

        { "async", OPTION_NOTHING, 0, 0 },
        { "defaults", OPTION_NOTHING, 0, 0 },
        { "loud", OPTION_NOTHING, 0, 0 },
        { "silent", OPTION_NOTHING, 0, 0 },
        { "nolazytime", OPTION_NOTHING, 0, 0 },
        { "nomand", OPTION_NOTHING, 0, 0 },

        { "idmap", OPTION_IDMAP, 0, 0 },
        { "ridmap", OPTION_IDMAP, 1, 0 },
};

/*
 * Files of lxcfs and the like that may cover their procfs namesakes. Anything else on procfs could
 * make a later write to a procfs attribute go elsewhere (CVE-2019-16884, CVE-2025-52881).
 */
static const char *const proc_targets[] = {
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/slabinfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/sys/crypto/fips_enabled",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/uptime",
};

bool mount_target_is_proc_file(const char *destination)
{
        for (size_t i = 0; i < ELEMENTSOF(proc_targets); i++)
                if (streq(destination, proc_targets[i]))
                        return true;

        return false;
}

void mount_entry_done(MountEntry *entry)
{
        free(entry->destination);
        free(entry->source);
        free(entry->type);
        strv_done(&entry->options);
        id_map_done(&entry->uid_map);
        id_map_done(&entry->gid_map);
        *entry = (MountEntry) {};
}

static void attr_apply(uint64_t *set, uint64_t *clear, const MountOption *option)
{
        *set = (*set & ~option->clear) | option->set;
        *clear |= option->clear;
}

static int option_apply(MountEntry *entry, const MountOption *option, bool *bind, bool *remount)
{
        switch (option->effect) {
        case OPTION_ATTR:
                attr_apply(&entry->attr_set, &entry->attr_clear, option);
                return 0;
        case OPTION_TREE:
                attr_apply(&entry->tree_set, &entry->tree_clear, option);
                return 0;
        case OPTION_PROPAGATION:
                entry->propagation = option->set & ~(uint64_t) MS_REC;
                entry->propagation_recursive = option->set & MS_REC;
                return 0;
        case OPTION_BIND:
                *bind = true;
                entry->recursive = entry->recursive || option->set;
                return 0;
        case OPTION_REMOUNT:
                *remount = true;
                return 0;
        case OPTION_COPY_UP:
                entry->copy_up = true;
                return 0;
        case OPTION_SUPERBLOCK:
                return strv_add(&entry->options, option->name);
        case OPTION_NOTHING:
                return 0;
        case OPTION_IDMAP:
                entry->idmap = true;
                entry->idmap_recursive = option->set;
                return 0;
        }

        return -EINVAL;
}

static int parse_options(MountEntry *entry, char *const *options, size_t n, bool *bind,
                bool *remount, char **reterr_message)
{
        if (n > SPEC_OPTIONS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u mount options",
                                  SPEC_OPTIONS_MAX);

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *copy = strdup(options[i]);
                char *save = NULL;

                if (!copy)
                        return -ENOMEM;
                if (strlen(copy) >= SPEC_STRING_MAX)
                        return error_setf(reterr_message, -E2BIG, "mount option too long");

                /* Callers put several into one string now and then, as mount -o takes them. */
                for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
                        const MountOption *option = NULL;
                        int r;

                        /* crun has mappings there; the specification has them in fields. */
                        if (startswith(p, "idmap=") || startswith(p, "ridmap="))
                                return error_setf(reterr_message, -EOPNOTSUPP,
                                                  "mount option '%.*s' with a value is not supported",
                                                  (int) strcspn(p, "="), p);

                        for (size_t k = 0; k < ELEMENTSOF(mount_options) && !option; k++)
                                if (streq(mount_options[k].name, p))
                                        option = &mount_options[k];

                        r = option ? option_apply(entry, option, bind, remount)
                                   : strv_add(&entry->options, p);
                        if (r < 0)
                                return r;
                        if (entry->options.n > SPEC_OPTIONS_MAX)
                                return error_setf(reterr_message, -E2BIG,
                                                  "more than %u mount options", SPEC_OPTIONS_MAX);
                }
        }

        return 0;
}

static int check_destination(const MountEntry *entry, char **reterr_message)
{
        const char *d = entry->destination;

        if (streq(d, "/") && entry->kind != MOUNT_KIND_REMOUNT)
                return error_setf(reterr_message, -EINVAL, "mount over the container's root");
        if (entry->kind == MOUNT_KIND_PROC && !streq(d, "/proc"))
                return error_setf(reterr_message, -EPERM, "procfs can be mounted on /proc only");
        if (!path_is_below(d, "/proc"))
                return 0;

        switch (entry->kind) {
        case MOUNT_KIND_PROC:
                return 0;
        case MOUNT_KIND_BIND:
                /* On /proc itself the source must be a procfs, which is checked when it is made. */
                if (streq(d, "/proc") || mount_target_is_proc_file(d))
                        return 0;
                break;
        case MOUNT_KIND_REMOUNT:
                if (streq(d, "/proc"))
                        return 0;
                break;
        default:
                break;
        }

        return error_setf(reterr_message, -EPERM, "mount inside /proc is not allowed");
}

/* Options like "mode=755"; words are left. */
static void drop_values(Strv *options)
{
        size_t n = 0;

        for (size_t i = 0; i < options->n; i++)
                if (strchr(options->v[i], '='))
                        free(options->v[i]);
                else
                        options->v[n++] = options->v[i];
        if (options->v)
                options->v[n] = NULL;
        options->n = n;
}

static int find_kind(MountEntry *entry, bool bind, bool remount, char **reterr_message)
{
        if (remount)
                entry->kind = MOUNT_KIND_REMOUNT;
        else if (bind || streq(entry->type, "bind"))
                entry->kind = MOUNT_KIND_BIND;
        else if (streq(entry->type, "proc"))
                entry->kind = MOUNT_KIND_PROC;
        else if (streq(entry->type, "sysfs"))
                entry->kind = MOUNT_KIND_SYSFS;
        else if (streq(entry->type, "tmpfs"))
                entry->kind = MOUNT_KIND_TMPFS;
        else if (streq(entry->type, "cgroup") || streq(entry->type, "cgroup2"))
                entry->kind = MOUNT_KIND_CGROUP;
        else if (isempty(entry->type) || streq(entry->type, "none"))
                return error_setf(reterr_message, -EINVAL, "no file system type and no bind mount");
        else
                entry->kind = MOUNT_KIND_FS;

        if (entry->kind == MOUNT_KIND_BIND && entry->source[0] != '/')
                return error_setf(reterr_message, -EINVAL,
                                "source '%s' of a bind mount is not absolute", entry->source);
        /* No file system is made that could have them: the kernel looks at none, nor do other runtimes. */
        if (entry->kind == MOUNT_KIND_BIND)
                drop_values(&entry->options);
        if (entry->options.n > 0 &&
            (entry->kind == MOUNT_KIND_BIND || entry->kind == MOUNT_KIND_REMOUNT ||
             entry->kind == MOUNT_KIND_CGROUP))
                return error_setf(reterr_message, -EOPNOTSUPP,
                                "mount option '%s' is not supported here", entry->options.v[0]);
        if (entry->copy_up && entry->kind != MOUNT_KIND_TMPFS)
                return error_setf(reterr_message, -EINVAL, "tmpcopyup is for tmpfs only");
        if (entry->idmap && entry->kind != MOUNT_KIND_BIND)
                return error_setf(reterr_message, -EOPNOTSUPP, "id mappings are for bind mounts only");
        if ((entry->tree_set || entry->tree_clear) && entry->kind != MOUNT_KIND_BIND &&
            entry->kind != MOUNT_KIND_REMOUNT)
                return error_setf(reterr_message, -EINVAL,
                                "recursive attributes are for bind mounts only");

        return 0;
}

int mount_entry_parse(MountEntry *ret, const char *destination, const char *source,
                const char *type, char *const *options, size_t n_options, char **reterr_message)
{
        _cleanup_(mount_entry_done) MountEntry entry = {};
        bool bind = false, remount = false;
        int r;

        r = path_normalize(destination, &entry.destination);
        if (r < 0)
                return error_setf(reterr_message, r,
                                "mount destination '%.200s' is not a valid absolute path",
                                destination);

        entry.source = strdup(strempty(source));
        entry.type = strdup(strempty(type));
        if (!entry.source || !entry.type)
                return -ENOMEM;
        if (strlen(entry.source) >= SPEC_STRING_MAX || strlen(entry.type) > NAME_MAX)
                return error_setf(reterr_message, -ENAMETOOLONG,
                                "mount '%s': source or type too long", entry.destination);

        r = parse_options(&entry, options, n_options, &bind, &remount, reterr_message);
        if (r >= 0)
                r = find_kind(&entry, bind, remount, reterr_message);
        if (r >= 0)
                r = check_destination(&entry, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "mount '%s'", entry.destination);

        *ret = entry;
        entry = (MountEntry) {};
        return 0;
}

int mount_entry_set_maps(MountEntry *entry, Grpc__LinuxIDMapping *const *uid, size_t n_uid,
                         Grpc__LinuxIDMapping *const *gid, size_t n_gid, char **reterr_message)
{
        int r;

        if (entry->uid_map.n > 0)
                return error_setf(reterr_message, -EINVAL, "mount '%s': id mappings are given twice",
                                  entry->destination);
        if (n_uid == 0 || n_gid == 0)
                return error_setf(reterr_message, -EINVAL, "mount '%s': uidMappings and gidMappings go together",
                                  entry->destination);
        if (entry->kind != MOUNT_KIND_BIND)
                return error_setf(reterr_message, -EOPNOTSUPP, "mount '%s': id mappings are for bind mounts only",
                                  entry->destination);

        r = id_map_parse(&entry->uid_map, uid, n_uid, "uidMappings", reterr_message);
        if (r >= 0)
                r = id_map_parse(&entry->gid_map, gid, n_gid, "gidMappings", reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "mount '%s'", entry->destination);
        entry->idmap = true;
        return 0;
}

int propagation_parse(const char *s, uint64_t *ret)
{
        if (isempty(s)) {
                *ret = 0;
                return 0;
        }

        for (size_t i = 0; i < ELEMENTSOF(mount_options); i++)
                if (mount_options[i].effect == OPTION_PROPAGATION &&
                                streq(mount_options[i].name, s)) {
                        *ret = mount_options[i].set;
                        return 0;
                }

        return -EINVAL;
}

/* The kernel explains itself on the descriptor: "e tmpfs: Bad value for 'size'". */
static int fs_error(int fs_fd, const char *what, char **reterr_message)
{
        char text[FS_MESSAGE_MAX];
        int error = negative_errno();
        ssize_t n;

        do
                n = read(fs_fd, text, sizeof(text) - 1);
        while (n > 0 && text[0] != 'e');

        if (n > 2) {
                text[n] = '\0';
                text[strcspn(text, "\n")] = '\0';
                return error_setf(reterr_message, error, "%s: %s", what, text + 2);
        }

        return error_setf(reterr_message, error, "%s: %s", what, strerror(-error));
}

static int fs_set(int fs_fd, const char *option)
{
        const char *eq = strchr(option, '=');
        _cleanup_free_ char *key = NULL;

        if (!eq)
                return fsconfig(fs_fd, FSCONFIG_SET_FLAG, option, NULL, 0);

        key = strndup(option, (size_t) (eq - option));
        if (!key) {
                errno = ENOMEM;
                return -1;
        }
        return fsconfig(fs_fd, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

int mount_new_fs(const char *type, const char *source, const Strv *options, char **reterr_message)
{
        _cleanup_close_ int fs_fd = fsopen(type, FSOPEN_CLOEXEC);
        const char *option;
        int fd;

        if (fs_fd < 0) {
                int r = negative_errno();

                return error_setf(reterr_message, r,
                                  r == -ENODEV ? "the guest kernel has no file system '%s'"
                                               : "cannot open file system '%s'",
                                  type);
        }

        if (!isempty(source) && fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
                return fs_error(fs_fd, "source", reterr_message);

        if (options)
                STRV_FOREACH(option, options)
                        if (fs_set(fs_fd, option) < 0)
                                return fs_error(fs_fd, option, reterr_message);

        if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return fs_error(fs_fd, type, reterr_message);

        fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
        return fd < 0 ? fs_error(fs_fd, type, reterr_message) : fd;
}

int mount_clone(int fd, bool recursive)
{
        int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                             (recursive ? AT_RECURSIVE : 0));

        return tree < 0 ? negative_errno() : tree;
}

int mount_set_attr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation)
{
        struct mount_attr attr = {
                .attr_set = set,
                .attr_clr = clear,
                .propagation = propagation,
        };

        if (set == 0 && clear == 0 && propagation == 0)
                return 0;

        return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
                             sizeof(attr)) < 0
                       ? negative_errno()
                       : 0;
}

int mount_attach(int tree_fd, int target_fd)
{
        return move_mount(tree_fd, "", target_fd, "",
                               MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
                               ? negative_errno()
                               : 0;
}
