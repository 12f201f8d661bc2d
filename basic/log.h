/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Program log: one line a call, to a target that the program chooses. The default writes
 * "<PRIORITY>text" to standard error, which journald understands (sd-daemon(3)); a terminal gets plain
 * text. The supervisor and the agent install a target of their own.
 *
 * Macros return the negative errno they are given, so that `return log_error_errno(r, ...)` works.
 */

#include <syslog.h>

#include "basic/cleanup.h"

typedef struct LogTarget {
        /* text has no newline at its end; it may contain foreign bytes. Must not log itself. */
        void (*write)(void *userdata, int priority, int error, const char *text);
        void *userdata;
} LogTarget;

/* NULL restores standard error. The structure is copied. */
void log_set_target(const LogTarget *target);

/* Messages above this priority are not formatted. Default LOG_INFO. */
void log_set_max_level(int priority);
int log_get_max_level(void);

/* error: 0 or an errno of either sign. Returns -abs(error). */
int log_internal(int priority, int error, const char *format, ...) _printf_(3, 4);

#define log_full_errno(priority, error, ...)                                                       \
        ({                                                                                         \
                int _e_ = (error);                                                                 \
                (priority) <= log_get_max_level() ? log_internal(priority, _e_, __VA_ARGS__)       \
                                                  : -abs(_e_);                                     \
        })

#define log_debug(...) ((void) log_full_errno(LOG_DEBUG, 0, __VA_ARGS__))
#define log_info(...) ((void) log_full_errno(LOG_INFO, 0, __VA_ARGS__))
#define log_notice(...) ((void) log_full_errno(LOG_NOTICE, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full_errno(LOG_WARNING, 0, __VA_ARGS__))
#define log_error(...) ((void) log_full_errno(LOG_ERR, 0, __VA_ARGS__))

/* Appends ": strerror" to the text. */
#define log_debug_errno(e, ...) log_full_errno(LOG_DEBUG, e, __VA_ARGS__)
#define log_warning_errno(e, ...) log_full_errno(LOG_WARNING, e, __VA_ARGS__)
#define log_error_errno(e, ...) log_full_errno(LOG_ERR, e, __VA_ARGS__)

#define log_oom() log_error_errno(-ENOMEM, "Out of memory")
