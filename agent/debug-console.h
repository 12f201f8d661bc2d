/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The debug console (port 1026): a shell on a pseudo-terminal of its own for each connection, bytes as they
 * come. There only when the host asks for it on the kernel command line. The peer is the host; the shell has
 * every right in this guest, so a connection is as good as the agent itself.
 *
 *      host closes                 hang-up: SIGHUP, after a moment SIGKILL to the session's cgroup
 *      host ends its direction     end of file on the terminal until the shell has read it
 *      shell exits                 the rest of its session is killed, output goes out, then end of file
 */

#include "agent/loop.h"

/* Where the debug extension image is mounted; the mount point is part of the guest image. */
#define DEBUG_MOUNT_POINT "/opt/kata-debug"

typedef struct DebugConsole DebugConsole;

typedef struct DebugConsoleParams {
        const char *shell;              /* NULL: the extension's, or one of the guest image */
        const char *cgroup_root;        /* NULL: sessions have no cgroup of their own (tests) */
} DebugConsoleParams;

/* The strings of params have to stay. */
int debug_console_new(DebugConsole **ret, Loop *loop, const DebugConsoleParams *params);
/* Kills what is left of the sessions. */
DebugConsole *debug_console_free(DebugConsole *console);
DEFINE_CLEANUP_FUNC(DebugConsole *, debug_console_free)

/* Takes fd on success. -EMFILE over DEBUG_SESSIONS_MAX, -ENOENT without a shell. */
int debug_console_accept(DebugConsole *console, int *fd);

unsigned debug_console_sessions(const DebugConsole *console);
