/* SPDX-License-Identifier: Apache-2.0 */
/* Spare interfaces: see spare.h. */

#include "runtime/net/spare.h"

#include <sys/random.h>

int net_spare_choose(const NetScan *scan, NetSpare *ret)
{
        NetSpare spare;

        if (getrandom(spare.mac, sizeof(spare.mac), 0) != (ssize_t) sizeof(spare.mac))
                return -EIO;
        spare.mac[0] = (uint8_t) ((spare.mac[0] & ~1U) | 2U);

        /* There are at most so many links that one of these is free. */
        for (unsigned i = 0; i <= NET_LINKS_MAX; i++) {
                snprintf(spare.tap, sizeof(spare.tap), "kata%u", i);
                if (!link_list_by_name(&scan->links, spare.tap)) {
                        *ret = spare;
                        return 0;
                }
        }
        return -EEXIST;
}
