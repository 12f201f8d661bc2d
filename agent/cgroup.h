/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cgroup v2 of one container: ROOT/kata/NAME, its settings, its end. The agent (PID 1) stays in the
 * root cgroup, which the "no internal processes" rule exempts. OCI resources become a list of file
 * writes first, without side effects. Everything below NAME may be the container's doing (nested
 * cgroups), so it is bounded by cgroup.max.depth and cgroup.max.descendants and walked by
 * descriptor.
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "proto/oci.pb-c.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_PARENT "kata"

typedef struct CgroupSetting {
        char *file, *value;
        bool optional;          /* fine if the kernel has no such file */
} CgroupSetting;

typedef struct CgroupSettings {
        CgroupSetting *items;
        size_t n;
} CgroupSettings;

void cgroup_settings_done(CgroupSettings *settings);

/*
 * Without the device rules (devices.h). -EOPNOTSUPP names what cgroup v2 does not have. NULL:
 * nothing. Conversions are runc's, so that a limit means the same in both.
 */
int cgroup_settings_from_spec(CgroupSettings *ret, const Grpc__LinuxResources *resources,
                              char **reterr_message);

/*
 * Appends linux.resources.unified: names of files of the cgroup and what is written into them, as they are. Only
 * files of controllers ("memory.high"); those of the cgroup itself ("cgroup.procs") are not the caller's.
 */
int cgroup_settings_add_unified(CgroupSettings *settings, Grpc__StringEntry *const *entries, size_t n,
                                char **reterr_message);

/*
 * The same for a cgroup with processes in it, in the directory dir_fd: first every old value is read,
 * which refuses what the kernel does not have before anything is changed; if a write fails, those before
 * it are undone. Lowering memory.max reclaims in the writer, for seconds if need be: not for the loop.
 */
int cgroup_update(int dir_fd, const CgroupSettings *settings, char **reterr_message);

/*
 * What has to be written into file to undo the writing of value; old_text is the file's content before
 * that. Knows io.max and io.weight, whose lines are set one by one.
 */
int cgroup_undo_value(const char *file, const char *old_text, const char *value, char **ret);

/*
 * Directory name from an OCI cgroupsPath ("/a/b", "slice:prefix:name", ""): its last component with
 * foreign characters replaced, or fallback.
 */
int cgroup_name_from_path(const char *cgroups_path, const char *fallback, char **ret);

typedef struct Cgroup {
        int parent_fd, fd;      /* directories */
        char *name;
        char *path;             /* ROOT/kata/NAME, for children that have no descriptors */
} Cgroup;

#define CGROUP_NULL ((Cgroup) { .parent_fd = -EBADF, .fd = -EBADF })

/* Closes; does not remove. */
void cgroup_done(Cgroup *cgroup);

/* -EEXIST if there is one with processes; an empty left-over is replaced. */
int cgroup_create(Cgroup *ret, const char *root, const char *name, char **reterr_message);
int cgroup_apply(const Cgroup *cgroup, const CgroupSettings *settings, char **reterr_message);

/* SIGKILL to all processes, at once and also to those that are being forked. */
int cgroup_kill(const Cgroup *cgroup);
/* Any signal to each process, nested cgroups included. -ESRCH if there was none. */
int cgroup_signal(const Cgroup *cgroup, int sig);

/* With nested cgroups. 0 when gone, -EBUSY while processes are dying. */
int cgroup_remove(const Cgroup *cgroup);

/*
 * "KEY NUMBER" in the lines of a small file of the cgroup (memory.events, cgroup.events). -ENOENT if there
 * is no such file, -ENODATA if it has no such line.
 */
int cgroup_read_key(const Cgroup *cgroup, const char *file, const char *key, uint64_t *ret);
