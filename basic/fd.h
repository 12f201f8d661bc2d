/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * File descriptors: -EBADF when empty, close-on-exec from birth, whole reads and writes.
 */

#include <sys/types.h>

#include "basic/cleanup.h"

/* Closes and returns -EBADF; keeps errno. Accepts empty descriptors. */
int safe_close(int fd);

static inline void closep(int *fd)
{
        safe_close(*fd);
}

#define _cleanup_close_ _cleanup_(closep)

int fd_set_nonblock(int fd, bool nonblock);
int fd_set_cloexec(int fd, bool cloexec);

/* Repeats until n bytes are there; 0, or -ENODATA at a premature end. For blocking descriptors. */
int read_full(int fd, void *buf, size_t n);
int write_full(int fd, const void *buf, size_t n);

/*
 * Reads a regular, pipe-like or kernel file up to max bytes; -EFBIG if there is more. The text is
 * NUL-terminated (the NUL not counted). dir_fd as for openat(). ret_size may be NULL, then embedded
 * NULs are refused with -EINVAL.
 */
int read_file_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size);
int read_fd_max(int fd, size_t max, char **ret, size_t *ret_size);

/* One write() of a whole string to an existing file (kernel attributes). */
int write_string_file_at(int dir_fd, const char *path, const char *text);

/* Writes path anew: temporary name beside it, mode, rename. No fsync: for files below /run. */
int write_file_atomic(const char *path, const void *data, size_t n, mode_t mode);

/*
 * Makes the symlink path, or points the one that is there to another target: readers see the old target or
 * the new one. Needs the temporary name ".NAME.new" beside it. No fsync.
 */
int symlink_atomic(const char *target, const char *path);

/* fsync() of a file or a directory by name. */
int fsync_path(const char *path);

/* Receives into ret_events 0 when nothing happened within timeout_ms (-1: for ever); retries EINTR. */
int fd_wait(int fd, short events, int timeout_ms);

/* mkdir -p with 0755 for the parents; the last component gets mode. Existing directories are fine. */
int mkdir_p(const char *path, mode_t mode);

/* Removes a tree without following symlinks and without crossing into other file systems. -ENOENT is success. */
int rm_rf(const char *path);
