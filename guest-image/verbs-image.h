/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands of kata-image that build and check images and initrds. Each returns the exit status. */

#include "basic/cleanup.h"

/* The options of all commands; which one has which is the business of main.c. Paths, NULL if not given. */
typedef struct ImageArgs {
        const char *root, *agent, *output_dir;
        const char *private_key, *certificate;
        const char *image, *params, *manifest, *signature, *root_hash;
        const char *kernel_release, *modules_dir, *modules, *output;
        const char *kernel_dir, *with;
        bool json, force;
} ImageArgs;

int verb_build(const ImageArgs *args);
int verb_build_debug(const ImageArgs *args);
int verb_tree(const ImageArgs *args);
int verb_params(const ImageArgs *args);
int verb_verify(const ImageArgs *args);
int verb_inspect(const ImageArgs *args);
int verb_initrd(const ImageArgs *args);
