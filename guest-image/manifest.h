/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The manifest of a planned and written tree, and what ties a file system to its manifest. */

#include "guest-image/guid.h"
#include "guest-image/tree.h"

typedef struct ManifestOptions {
        const char *name;       /* of the document: "kata-guest-image" */
        const char *root;       /* whose package database names the origin of the files */
        uint64_t created;       /* seconds since 1970 */
} ManifestOptions;

/* SPDX text with every file and symbolic link of the tree. */
int manifest_make(const Tree *tree, const ManifestOptions *options, char **ret, char **reterr_message);

/*
 * UUID of the file system, from the manifest. It is part of the verified data: whoever trusts the
 * root hash can tell by it whether a manifest is the one of this image.
 */
int manifest_uuid(const char *manifest, size_t n, Guid *ret);
