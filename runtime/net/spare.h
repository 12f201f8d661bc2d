/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A spare interface of the guest: plugged before the machine starts, into a namespace where there was nothing to
 * attach to it yet, since machines have no hotplug. Its tap device is down until something is.
 */

#include <net/if.h>

#include "runtime/net/scan.h"

typedef struct NetSpare {
        char tap[IFNAMSIZ];     /* name in the namespace */
        uint8_t mac[6];         /* of the guest's interface: random, locally administered */
} NetSpare;

/* A name that no link of the namespace has, and an address of its own. */
int net_spare_choose(const NetScan *scan, NetSpare *ret);
