/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kata-image initrd: the early user space for a kernel of the distribution. Modules of that kernel, the
 * agent that loads them (as /init) and its libraries in an uncompressed cpio archive, which needs neither
 * time nor a decompressor in the guest. Beside it a list of the files it was made from, by which the
 * supervisor sees that it is out of date.
 *
 * What the guest finds, besides the tree of tree.h:
 *
 *     /init                      link to the agent
 *     /kata/modules.list         "required|optional FILE" a line, in load order
 *     /kata/modules/NNN-NAME.ko
 *     /newroot                   where the verified root is mounted
 */

#include "basic/cleanup.h"

typedef struct InitrdOptions {
        const char *root;               /* prefix of kernel, modules and libraries */
        const char *release;            /* NULL: the newest there is */
        const char *modules_dir;        /* NULL: that of the release below root */
        const char *agent;
        const char *modules_list;       /* which modules: distribution.modules */
        const char *output;             /* NULL: INITRDDIR/RELEASE.img */
} InitrdOptions;

/*
 * Writes the archive and OUTPUT.inputs; each appears whole or not at all, the archive first. Needs no
 * privileges but to write there. The same inputs give the same archive.
 */
int initrd_build(const InitrdOptions *options, char **reterr_message);
