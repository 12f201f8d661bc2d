/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One hook of an OCI configuration: a program that gets the state of a container on standard input, in the namespaces
 * of whoever runs it. For both sides: hooks of the host and of the guest.
 */

#include "basic/strv.h"

typedef struct Hook {
        char *path;
        Strv args, env;         /* args[0] is its name; env is all it gets */
        unsigned timeout_sec;
} Hook;

void hook_done(Hook *hook);

/*
 * Runs it and waits for its end, at most until its deadline; then it is killed with what it has started. kind is for
 * error texts. -EIO for an exit status or a signal, -ETIMEDOUT; the text has the hook's path and the last bytes of
 * what it printed, made printable. Blocks. SIGPIPE has to be ignored: a hook need not read its input.
 */
int hook_run(const Hook *hook, const char *kind, const char *state, size_t n, char **reterr_message);
