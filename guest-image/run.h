/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs a helper program and waits for it. No shell, minimal environment; it dies with its caller. */

#include <sys/types.h>

#include "basic/parse.h"
#include "basic/strv.h"

typedef struct RunOptions {
        const Strv *argv;
        const char *dir;        /* working directory; NULL: the caller's */
        const Strv *environment;        /* NAME=VALUE, beside PATH, LC_ALL and the caller's APT_CONFIG */
        uid_t uid;              /* to become before exec, without any group but gid; 0: stay */
        gid_t gid;
        size_t max;             /* bytes of standard output */
        size_t *ret_size;       /* how many there were, for output that is no text; or NULL */
        usec_t timeout;         /* then SIGTERM and -ETIMEDOUT; 0: none */
        bool forward;           /* standard error is passed on as it comes (not with timeout) */
} RunOptions;

/*
 * Standard output in *ret if wanted. ret_status: an exit status other than 0 is a result, and *ret_complaint
 * what was on standard error. Without it one is an error, with standard error (its end) in the text.
 */
int run_program(const RunOptions *options, char **ret, int *ret_status, char **ret_complaint,
                char **reterr_message);

/* Standard output (at most max bytes) in *ret if wanted; standard error goes into the error text. */
int run_capture(const Strv *argv, size_t max, char **ret, char **reterr_message);

/* The same for output that is no text: ret_size is not NULL. */
int run_capture_data(const Strv *argv, size_t max, char **ret, size_t *ret_size,
                     char **reterr_message);
