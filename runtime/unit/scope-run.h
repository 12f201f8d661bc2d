/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scopes for command line tools, as service-control.h: a connection each, and the answer is waited for. A scope ends
 * when the last process in it does; nobody has to stop it.
 */

#include "runtime/unit/scope.h"

/* As scope_start(). The reference that it takes goes with the connection. */
int scope_run_start(const ScopeParams *params, char **reterr_message);
/*
 * Waits until no scope of that name is active, so that it can be made again: 0, or -ETIMEDOUT. It is not stopped, since
 * it may be somebody else's by now.
 */
int scope_run_await_end(const char *name, usec_t timeout);
