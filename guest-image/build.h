/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kata-image build: files → erofs → verity tree → disk image, with parameters, manifest and signature.
 * Needs no privileges. The same inputs give the same bytes.
 */

#include "basic/cleanup.h"
#include "guest-image/tree.h"

typedef struct BuildOptions {
        const char *root;               /* where libraries and their packages are looked for */
        const char *agent;              /* image_build() only */
        const char *output_dir;         /* exists or is made */
        const char *name;               /* NAME.img, NAME.params, NAME.spdx.json, NAME.roothash.p7s */
        const char *private_key;        /* PEM; both or none: sign the root hash */
        const char *certificate;
        /* What an image may have besides the agent; image_build() and image_write_tree() only. */
        bool iptables;                  /* see extra-tree.h */
        const char *modules_list;       /* modules.h; NULL: no modules */
        const char *kernel_release, *modules_dir;       /* whose, see module_kernel_find() */
        uint64_t timestamp;             /* of all files, seconds since 1970; 0: a fixed one */
} BuildOptions;

/*
 * The guest image: agent, its libraries, mount points. Each file appears whole or not at all, the image
 * first. A signature of an earlier build that would not match is removed.
 */
int image_build(const BuildOptions *options, char **reterr_message);

/* The debug extension, see debug-tree.c. */
int image_build_debug(const BuildOptions *options, char **reterr_message);

/* The content of the guest image alone, as a directory tree for other builders. output_dir is made, or empty. */
int image_write_tree(const BuildOptions *options, char **reterr_message);

/* The same for any planned tree (tree_plan(), or tree_add_*() and tree_sort()). */
int image_build_tree(Tree *tree, const BuildOptions *options, char **reterr_message);
