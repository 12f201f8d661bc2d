/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which service manager runs this machine; for command line tools, it waits for the answer. */

#include "basic/cleanup.h"

/*
 * As the manager tells it ("257.9-1~deb13u1"), and its leading number. -EHOSTDOWN when the machine does not run
 * systemd, or what the bus said.
 */
int manager_version(char **ret, unsigned *ret_number, char **reterr_message);
