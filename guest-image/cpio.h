/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writer of "newc" cpio archives, the form of an initramfs (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Times, owners, devices and inode numbers come from here and not from files, so
 * that equal content has equal bytes, and device nodes need no privileges.
 */

#include <sys/types.h>

#include "basic/cleanup.h"

typedef struct CpioWriter {
        int fd;                 /* not owned */
        uint32_t n_entries;     /* inode numbers are counted */
        uint64_t size;          /* bytes written */
} CpioWriter;

/* name without leading "/"; mode with its type. data of a symlink is its target. */
int cpio_add(CpioWriter *w, const char *name, mode_t mode, const void *data, size_t size);

/* A character device. */
int cpio_add_device(CpioWriter *w, const char *name, mode_t mode, unsigned major, unsigned minor);

/* The trailer, and zeros up to a multiple of 512 bytes. */
int cpio_finish(CpioWriter *w);
