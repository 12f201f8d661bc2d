/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* kata-image build: files → erofs → verity tree → parameters and manifest. */

#include "guest-image/tree.h"

typedef struct BuildOptions BuildOptions;

/* What there is to build. */
typedef struct ImageKind {
        const char *name;               /* of its files, without suffix */
        int (*plan)(Tree *tree, const BuildOptions *options, char **reterr_message);
} ImageKind;

struct BuildOptions {
        const ImageKind *kind;
        const char *root;               /* where libraries and tools are taken from */
        const char *agent;              /* of image_kind_guest */
        const char *output_dir;         /* exists or is made */
};

extern const ImageKind image_kind_guest;        /* "guest": agent and its libraries */
extern const ImageKind image_kind_debug;        /* "guest-debug": see debug-tree.c */

/*
 * Writes NAME.img, NAME.params and NAME.manifest; each appears whole or not at all, the image first.
 * Needs no privileges. The same inputs give the same bytes.
 */
int image_build(const BuildOptions *options, char **reterr_message);

/* The content alone, as a directory tree for other image builders. output_dir is made, or empty. */
int image_tree(const BuildOptions *options, char **reterr_message);
