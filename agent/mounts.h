/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One mount of an OCI configuration: parsed and checked without side effects, then made as a
 * detached tree (fsopen, open_tree), given its attributes, and only then moved onto its target,
 * which is a descriptor resolved inside the container's root. Sources are paths of the guest, given
 * by the host; targets are the tenant's names, see root-path.h. mount_entry_apply() runs in
 * the set-up child.
 */

#include <sys/stat.h>
#include <sys/types.h>

#include "agent/id-map.h"
#include "basic/strv.h"

typedef enum MountKind {
        MOUNT_KIND_FS,          /* a new file system of any other type */
        MOUNT_KIND_TMPFS,
        MOUNT_KIND_PROC,
        MOUNT_KIND_SYSFS,
        MOUNT_KIND_CGROUP,      /* cgroup v2, as the container's cgroup namespace shows it */
        MOUNT_KIND_BIND,
        MOUNT_KIND_REMOUNT,     /* changes the attributes of what is mounted there */
        _MOUNT_KIND_MAX,
} MountKind;

typedef struct MountEntry {
        MountKind kind;
        char *destination;              /* normal form, see path_normalize() */
        char *source;
        char *type;
        bool recursive;                 /* rbind */
        bool copy_up;                   /* tmpcopyup: start with what the image has there */
        uint64_t attr_set, attr_clear;          /* MOUNT_ATTR_*, the top mount */
        uint64_t tree_set, tree_clear;          /* the same for the whole tree ("rro") */
        uint64_t propagation;                   /* MS_SLAVE, ...; 0: all of it private */
        bool propagation_recursive;
        Strv options;                   /* for the file system: "key" or "key=value" */
        bool idmap, idmap_recursive;    /* idmap, ridmap: bind mounts only */
        IdMap uid_map, gid_map;         /* none with idmap: those of the container's user namespace */
} MountEntry;

void mount_entry_done(MountEntry *entry);

/*
 * *ret is untouched on failure. -EOPNOTSUPP names an option that is known and not built. Mappings come from elsewhere,
 * see mount_entry_set_maps().
 */
int mount_entry_parse(MountEntry *ret, const char *destination, const char *source,
                const char *type, char *const *options, size_t n_options, char **reterr_message);

/* Ids of the mount; makes it an id-mapped one, if it can be. Both or none (config.md, uidMappings). */
int mount_entry_set_maps(MountEntry *entry, Grpc__LinuxIDMapping *const *uid, size_t n_uid,
                         Grpc__LinuxIDMapping *const *gid, size_t n_gid, char **reterr_message);

/*
 * cgroup_fd: what to show to a container without a cgroup namespace of its own, else -EBADF. tree_fd: what
 * mount_entry_make_bind() has made of it already, else -EBADF.
 */
int mount_entry_apply(const MountEntry *entry, int root_fd, int cgroup_fd, int tree_fd, char **reterr_message);

/* The tree of a bind mount with its attributes, not attached anywhere, as a descriptor. */
int mount_entry_make_bind(const MountEntry *entry, char **reterr_message);

/* One of the few procfs files that a bind mount may cover. */
bool mount_target_is_proc_file(const char *destination);

/* "", "private", "rshared" ...; MS_* flags (with MS_REC) or -EINVAL. "" is 0. */
int propagation_parse(const char *s, uint64_t *ret);

/* Detached mounts, as descriptors. options: "key" or "key=value". */
int mount_new_fs(const char *type, const char *source, const Strv *options, char **reterr_message);
int mount_clone(int fd, bool recursive);

/* mount_setattr(2) on what fd refers to. */
int mount_set_attr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation);

/* Attaches a detached tree on top of target_fd. */
int mount_attach(int tree_fd, int target_fd);
