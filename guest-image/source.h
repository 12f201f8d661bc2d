/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel's source package: what apt offers, its tarball in a cache, our patches tried on it. All through
 * the programs of apt, dpkg, tar and patch, which check what they download; what they print is read as
 * foreign text.
 */

#include "basic/strv.h"

/* $KATA_CACHE, else /var/cache/kata for root and ~/.cache/kata for others. A new string. */
int cache_dir(char **ret, char **reterr_message);

/* The version of package that apt would install. -ENODATA with a text if it knows none. */
int apt_candidate(const char *package, char **ret, char **reterr_message);

/* The Candidate: line of 'apt-cache policy'; NULL without one. For apt_candidate() and its test. */
int policy_candidate(const char *text, char **ret);

/* By the rules of dpkg: true if a is newer than b. */
int version_is_newer(const char *a, const char *b, bool *ret, char **reterr_message);

/*
 * The tarball of package in that version: the installed one if it is that, else downloaded to
 * cache/source/VERSION. Other versions there are removed.
 */
int source_get(const char *cache, const char *package, const char *version, char **ret,
               char **reterr_message);

/* Files that a patch changes: relative paths without "..", each added once. */
int patch_files(const char *name, const char *text, Strv *ret, char **reterr_message);

/*
 * Applies the patches of a directory in the order of their names to the files that they touch, without any
 * tolerance. 0: all apply; 1: *ret_patch does not, *ret_reason says why.
 */
int patches_try(const char *patches, const char *package, const char *tarball, const char *scratch,
                char **ret_patch, char **ret_reason, char **reterr_message);
