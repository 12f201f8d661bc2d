/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* kata-image build: agent and libraries → erofs → verity tree → parameters and manifest. */

#include "basic/cleanup.h"

typedef struct BuildOptions {
        const char *root;               /* where the libraries are taken from */
        const char *agent;
        const char *output_dir;         /* exists or is made */
} BuildOptions;

/*
 * Writes guest.img, guest.params and guest.manifest; each appears whole or not at all, the image first.
 * Needs no privileges. The same inputs give the same bytes.
 */
int image_build(const BuildOptions *options, char **reterr_message);
