/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One-line error texts that travel beside a negative errno: `char **reterr_message`.
 * A function that takes one sets it on failure only; the caller frees it. NULL means "not wanted".
 */

#include "basic/cleanup.h"

/* Stores the formatted text (replacing an earlier one) and returns -abs(error). */
int error_setf(char **reterr_message, int error, const char *format, ...) _printf_(3, 4);

/* Prepends "format: " to the text already there, or to strerror(error) if there is none. */
int error_prefixf(char **reterr_message, int error, const char *format, ...) _printf_(3, 4);

/* The text if set, else strerror(): for the one place that shows it. */
const char *error_text(const char *message, int error);
