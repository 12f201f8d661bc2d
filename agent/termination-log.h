/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's last words: the file that the annotation io.kubernetes.container.terminationMessagePath
 * names. The container writes it, so what is there may be anything.
 */

#include "proto/oci.pb-c.h"

typedef struct TerminationLog {
        char *root;     /* the container's root directory; NULL: path is one of the guest */
        char *path;     /* NULL: the container has none */
} TerminationLog;

/* The source of the mount at the annotated path, or else the path inside the root. */
int termination_log_plan(const Grpc__Spec *spec, TerminationLog *ret);
void termination_log_done(TerminationLog *log);

/*
 * The last TERMINATION_LOG_MAX bytes as valid UTF-8 without NUL; whatever is not becomes U+FFFD. Blocks
 * where virtio-fs does. -ENOENT; -EINVAL for what is no regular file.
 */
int termination_log_read(const TerminationLog *log, char **ret, char **reterr_message);

/* The conversion of it: a new string. */
char *termination_log_text(const char *data, size_t n);
