/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Changes of the files in which a cgroup reports events (cgroup.events, memory.events), for all containers
 * through one inotify descriptor. The kernel limits notifications to a hundred a second for each file, so
 * a container cannot keep the loop busy (kernel/cgroup/cgroup.c, CGROUP_FILE_NOTIFY_MIN_INTV); it may
 * delay them by as much, so whoever needs the state at a certain moment reads the file as well.
 */

#include "agent/cgroup.h"
#include "agent/loop.h"

typedef struct CgroupEvents CgroupEvents;
typedef struct CgroupWatch CgroupWatch;

/* From the loop: the file has changed, or may have. May free any watch. */
typedef void (*CgroupChanged)(void *userdata);

/* Opens nothing before there is something to watch. */
int cgroup_events_new(CgroupEvents **ret, Loop *loop);
/* Its watches must be gone. */
CgroupEvents *cgroup_events_free(CgroupEvents *events);
DEFINE_CLEANUP_FUNC(CgroupEvents *, cgroup_events_free)

/* -ENOENT if the cgroup has no such file; -EEXIST if it is watched already. */
int cgroup_events_watch(CgroupEvents *events, CgroupWatch **ret, const Cgroup *cgroup, const char *file,
                        CgroupChanged changed, void *userdata);
/* Accepts NULL, returns NULL. */
CgroupWatch *cgroup_watch_free(CgroupWatch *watch);
