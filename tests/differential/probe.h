/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The probe of the differential suite: a static program in a bundle's root that says what a container is made of,
 * a line each, "KEY VALUE". It has nothing of the project in it that could have the same fault as the agent, and
 * takes everything as it is: what can not be read is a value as well (the name of the error).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Blanks and control characters of a key, and control characters of a value become \OOO. */
void put(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "ok", or "EPERM" and so on for -1. */
const char *result(long r);

/* The content of a small file, trimmed at the end; false, with the error in buf. */
bool read_text(const char *path, char *buf, size_t size);

void report_process(void);      /* probe-process.c */
void report_mounts(void);       /* probe-files.c */
void report_files(void);
