/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Device-mapper devices by ioctl (linux/dm-ioctl.h): all that the agent needs of it, so that libdevmapper
 * is not in the guest. Guest side.
 */

#include "agent/dm-table.h"

/*
 * Creates, loads and activates one read-only device; its node /dev/dm-N exists when this returns. N is in
 * *ret_minor. The kernel's own reason for a refused table is in its log.
 */
int dm_device_create(int control_fd, const DmTable *table, unsigned *ret_minor,
                     char **reterr_message);

/* /dev/mapper/control */
int dm_control_open(char **reterr_message);
