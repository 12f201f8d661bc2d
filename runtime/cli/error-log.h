/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where kata-runtime says what went wrong: standard error, and with --log a file that callers read. podman takes
 * the whole file for one JSON object, so only errors get there, and only the first of a run.
 */

#include "basic/cleanup.h"

/* level: the word of --log-level, NULL for "info". file: NULL for none; made if missing. */
int error_log_open(const char *file, bool json, const char *level, char **reterr_message);

/* One object or line, as the file has it. time: seconds since 1970. New string. */
char *error_log_format(bool json, int64_t time, const char *text);
