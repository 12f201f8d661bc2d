/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vmlinux.info: where a guest kernel comes from, key=value lines written by kernel/build. The file may come
 * from a directory of another user: sizes and characters of what is taken are checked. Keys that are not
 * listed here are for people.
 */

#include "guest-image/digest.h"

/* The series that kernel/build and its fragments are made for. */
#define KERNEL_SOURCE_PACKAGE "linux-source-6.12"

typedef struct KernelInfo {
        char *release;                  /* kernel_release= */
        char *package, *version;        /* source_package=: both, or both NULL for "unpackaged" */
        uint8_t vmlinux_sha256[DIGEST_SIZE];
} KernelInfo;

void kernel_info_done(KernelInfo *info);

/* name is for error texts. -EBADMSG for anything wrong. */
int kernel_info_parse(const char *name, const char *text, size_t n, KernelInfo *ret,
                      char **reterr_message);
int kernel_info_read(const char *dir, KernelInfo *ret, char **reterr_message);

/*
 * Writes into DIR/vmlinux.info which package the source was taken from, which kernel/build can not tell of a
 * tarball that is not installed.
 */
int kernel_info_set_source(const char *dir, const char *package, const char *version,
                           char **reterr_message);

/* Characters of a Debian version or a kernel release, not empty, at most max of them. */
bool version_is_valid(const char *s, size_t max);
