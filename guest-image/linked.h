/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Packages whose libraries are linked into a static program: an ELF note of it, written by
 * agent/linked-packages at build time (name "kata", type 1), says which. No package database can tell.
 */

#include "guest-image/dpkg.h"

/*
 * Adds to ret what the program says; none, and 0, for one without the note. -EBADMSG with a text for a note
 * that is not of the form, -EFBIG for a file or list over its bound.
 */
int linked_packages_load(const char *program, DpkgPackages *ret, char **reterr_message);

/* The text of the note: lines of "package|version|architecture|source". */
int linked_packages_parse(const char *text, size_t n, DpkgPackages *ret, char **reterr_message);
