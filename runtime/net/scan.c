/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a network namespace: see scan.h. */

#include "runtime/net/scan.h"

int net_scan(Netlink *netlink, NetScan *ret, char **reterr_message)
{
        NetScan scan = {};
        int r;

        r = link_list_read(&scan.links, netlink, reterr_message);
        if (r >= 0)
                r = address_list_read(&scan.addresses, netlink, 0, reterr_message);
        if (r >= 0)
                r = route_list_read(&scan.routes, netlink, reterr_message);
        if (r >= 0)
                r = neighbor_list_read(&scan.neighbors, netlink, reterr_message);
        if (r < 0) {
                net_scan_done(&scan);
                return r;
        }
        *ret = scan;
        return 0;
}

void net_scan_done(NetScan *scan)
{
        link_list_done(&scan->links);
        address_list_done(&scan->addresses);
        route_list_done(&scan->routes);
        neighbor_list_done(&scan->neighbors);
}
