/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Kernel, initrd and image that a sandbox of this node would boot now, checked as it would check them. */

#include "runtime/conf/node-conf.h"
#include "runtime/sandbox/guest-dir.h"
#include "runtime/vmm/vm-config.h"

typedef struct GuestFiles {
        GuestDir dir;
        VmConfig config;        /* machine, paths, parameters; with open: descriptors */
} GuestFiles;

/* Completes node->kernel, image and image_parameters. guest_files_done() in any case. */
int guest_files_find(NodeConf *node, GuestFiles *ret, char **reterr_message);
/* Opens them: forms, sizes, root of the hash tree, signature if the node demands one. */
int guest_files_check(const NodeConf *node, GuestFiles *files, char **reterr_message);
void guest_files_done(GuestFiles *files);
