/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Hooks of a container that run on the host, in the namespaces of whoever calls: prestart and createRuntime once its
 * process of the host is there, poststart when it runs, poststop when it is gone. createContainer and startContainer
 * hooks are the guest's. Facts: runtime-spec 1.2, config.md, "POSIX-platform Hooks"; what a failure means is as in
 * runc.
 */

#include <json-c/json.h>

#include "basic/cleanup.h"

/*
 * Looks at all of them, so that a mistake is found before anything is made. hooks: NULL or the object of the
 * configuration.
 */
int host_hooks_check(json_object *hooks, char **reterr_message);

/*
 * Runs those of a kind ("prestart", ...) one after another with state on their standard input, until one fails; its
 * error.
 */
int host_hooks_run(json_object *hooks, const char *kind, json_object *state, char **reterr_message);
