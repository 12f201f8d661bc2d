/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs a helper program of the build and waits for it. No shell, minimal environment. */

#include "basic/strv.h"

/* Standard output (at most max bytes) in *ret if wanted; standard error goes into the error text. */
int run_capture(const Strv *argv, size_t max, char **ret, char **reterr_message);

/* The same for output that is no text: ret_size is not NULL. */
int run_capture_data(const Strv *argv, size_t max, char **ret, size_t *ret_size,
                     char **reterr_message);
