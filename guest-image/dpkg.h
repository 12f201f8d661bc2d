/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which package a file came from: dpkg's database below a root directory, read only (dpkg(1), files in
 * /var/lib/dpkg). The operator's own files; sizes are bounded all the same.
 */

#include "basic/cleanup.h"

typedef struct DpkgPackage {
        char *name;
        char *architecture;
        char *version;
        char *source;           /* "name version" of the source package */
} DpkgPackage;

typedef struct DpkgPackages {
        DpkgPackage *v;         /* in the order of their lists */
        size_t n;
} DpkgPackages;

void dpkg_packages_done(DpkgPackages *packages);

/*
 * Finds the owner of each of n absolute paths (as they are with and without a merged /usr): owners[i]
 * is an index into ret, or SIZE_MAX for a file that no package owns, which is also so where root has no
 * database. Only packages that own something are in ret.
 */
int dpkg_find_owners(const char *root, const char *const *paths, size_t n, size_t *owners,
                     DpkgPackages *ret, char **reterr_message);
