/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names of a sandbox's units, and back. A sandbox name is "ID" or "NAMESPACE:ID"; every character that
 * it may have ([A-Za-z0-9._-] and one ':') is allowed in a unit name as it is, so names are used
 * verbatim: what `systemctl start kata-sandbox@my-web` passes as %i is the name itself. systemd-escape
 * would turn '-' into "\x2d" and thus name another unit. A name with any other character is refused
 * (sandbox_name_is_valid() in basic/parse.h).
 */

#include "basic/parse.h"

/* "kata-sandbox@NAME.service", "kata-vm-NAME.scope"; -EINVAL for an invalid or too long name. */
int unit_name_service(const char *name, char **ret);
int unit_name_scope(const char *name, char **ret);

/* The name of the sandbox in "kata-sandbox@NAME.service"; -EINVAL if it is no such unit. */
int unit_name_to_sandbox(const char *unit, char **ret);
