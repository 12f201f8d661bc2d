/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a sandbox has changed in a network namespace that outlives it: the redirections of its links. (Its tap devices
 * end with the VMM.) Noted in a file before each change, so that a supervisor that follows, or "kata-sandboxd
 * --cleanup", can take it back. The file is beside the sandbox's run-time directory, which systemd removes with a unit
 * that has failed, before anybody could look.
 *
 * The file: key=value lines, written whole, root only. Namespace and links are compared with what is noted before
 * anything is removed: the path, and the index of a link, may mean another one by then.
 */

#include <net/if.h>

#include "runtime/net/namespace.h"

typedef struct NetUndo {
        char *path;                     /* of the namespace; NULL: it has none */
        NamespaceId id;
        struct {
                uint32_t index;
                char name[IFNAMSIZ];
        } links[NET_PLAN_INTERFACES_MAX];
        size_t n_links;
} NetUndo;

/* RUNDIR/.network-ID; no sandbox has a name that begins like this. New string. */
char *net_undo_path(const char *id);

void net_undo_done(NetUndo *undo);

int net_undo_save(const NetUndo *undo, const char *file);
/* -ENOENT: there is none; -EINVAL with file, line and text. */
int net_undo_load(NetUndo *ret, const char *file, char **reterr_message);

/*
 * Takes everything back and removes the file. namespace_fd: -EBADF to open the noted path. 0 also if there is no file,
 * or if namespace or links have gone, or if the namespace can not be found since it never had a name: then it has ended
 * with its last process, or what is left redirects to a link that has gone, which the next sandbox of that namespace
 * knows it by. Any number of calls is fine. Blocks, for seconds at most.
 */
int net_undo(const char *file, int namespace_fd, char **reterr_message);
