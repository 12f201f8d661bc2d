/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the guest reports to the supervisor: text in the form of sd_notify(3), "KEY=VALUE" lines.
 * Runs on the host, on bytes of the guest, so only the keys below are taken and every value is
 * checked. None of it is passed on to systemd as it is: the guest must not set MAINPID=, FDSTORE=
 * and the like.
 */

#include "basic/cleanup.h"

typedef struct GuestNotify {
        bool ready;             /* READY=1: the agent serves */
        bool stopping;          /* STOPPING=1 */
        bool has_errno;         /* ERRNO=: what made the agent fail, 1..4095 */
        int error;
        bool has_exit_status;   /* EXIT_STATUS=, 0..255 */
        int exit_status;
        char *status;           /* STATUS=: one line, fit for a log; NULL if it was not given */
        char *agent_version;    /* X_KATA_AGENT_VERSION=: letters, digits and "+-.:~_"; or NULL */
} GuestNotify;

/*
 * Parses one message; n is its size without a terminator. Unknown keys and empty lines are ignored,
 * the last one of equal keys counts. -EMSGSIZE over NOTIFY_MESSAGE_MAX, -EBADMSG for a NUL, a line
 * without "=" or a bad value of a known key.
 */
int guest_notify_parse(const char *text, size_t n, GuestNotify *ret, char **reterr_message);
void guest_notify_done(GuestNotify *notify);
