/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mount points that a root directory lacks, made before it is shared. The guest can not make any in a read-only root;
 * in others those of bind mounts, which the process that stands for the container has as well (shim-root.h). The root's
 * content is foreign: every path is resolved inside of it (basic/root-path.h).
 */

#include "runtime/cli/oci-bundle.h"

/* One entry of "mounts"; its type or an option says that it is a bind mount. */
bool mount_is_bind(json_object *mount);
const char *mount_string(json_object *mount, const char *name);
/* Whether something that an earlier mount of the list covers lies there: it does not exist on the host. */
bool mount_is_covered(json_object *mounts, size_t index, const char *path);

int mount_points_make(const OciBundle *bundle, char **reterr_message);
