/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of links, addresses and routes: see network-state.h. */

#include "basic/network-state.h"

#include <linux/neighbour.h>

#include "basic/error.h"
#include "basic/parse.h"

/* Somebody who changes the network all the time can not keep us here. */
#define DUMP_TRIES 10U

typedef struct Collector {
        const char *what;
        size_t item_size, max;
        /* 1 if the message is one of them; -errno */
        int (*parse)(const NetlinkMessage *message, void *item);
        void (*release)(void *item);
        uint8_t *items;
        size_t n, allocated;
        char **reterr_message;
} Collector;

static void collector_clear(Collector *c)
{
        if (c->release)
                for (size_t i = 0; i < c->n; i++)
                        c->release(c->items + i * c->item_size);
        c->n = 0;
}

static int on_message(const NetlinkMessage *message, void *userdata)
{
        Collector *c = userdata;
        int r;

        if (c->n == c->allocated) {
                size_t more = c->allocated > 0 ? c->allocated * 2 : 16;
                uint8_t *p = reallocarray(c->items, more, c->item_size);

                if (!p)
                        return -ENOMEM;
                c->items = p;
                c->allocated = more;
        }

        r = c->parse(message, c->items + c->n * c->item_size);
        if (r <= 0)
                return r;
        if (++c->n > c->max)
                return error_setf(c->reterr_message, E2BIG, "there are more than %zu %s", c->max, c->what);
        return 0;
}

/* Appends to what the collector has already. */
static int collect(Collector *c, Netlink *netlink, NetlinkRequest *request, char **reterr_message)
{
        size_t before = c->n;
        int r = -EAGAIN;

        c->reterr_message = reterr_message;
        for (unsigned i = 0; i < DUMP_TRIES && r == -EAGAIN; i++) {
                while (c->n > before) {
                        c->n--;
                        if (c->release)
                                c->release(c->items + c->n * c->item_size);
                }
                r = netlink_dump(netlink, request, on_message, c, reterr_message);
        }
        if (r < 0)
                return error_prefixf(reterr_message, r, "listing %s", c->what);
        return 0;
}

static int parse_link(const NetlinkMessage *message, void *item)
{
        return rtnl_parse_link(message, item);
}

int link_list_read(LinkList *list, Netlink *netlink, char **reterr_message)
{
        Collector c = {
                .what = "interfaces", .item_size = sizeof(RtnlLink), .max = NET_LINKS_MAX,
                .parse = parse_link,
        };
        NetlinkRequest request;
        int r;

        rtnl_build_list_links(&request);
        r = collect(&c, netlink, &request, reterr_message);
        if (r < 0) {
                free(c.items);
                return r;
        }
        *list = (LinkList) { .v = (RtnlLink *) (void *) c.items, .n = c.n };
        return 0;
}

void link_list_done(LinkList *list)
{
        free(list->v);
        *list = (LinkList) {};
}

static int parse_address(const NetlinkMessage *message, void *item)
{
        return rtnl_parse_address(message, item);
}

int address_list_read(AddressList *list, Netlink *netlink, uint32_t index, char **reterr_message)
{
        Collector c = {
                .what = "addresses", .item_size = sizeof(RtnlAddress), .max = NET_ADDRESSES_MAX,
                .parse = parse_address,
        };
        NetlinkRequest request;
        size_t n = 0;
        int r;

        rtnl_build_list_addresses(&request, index);
        r = collect(&c, netlink, &request, reterr_message);
        if (r < 0) {
                free(c.items);
                return r;
        }

        *list = (AddressList) { .v = (RtnlAddress *) (void *) c.items, .n = c.n };
        /* Kernels before 5.1 tell the addresses of all links. */
        for (size_t i = 0; i < list->n; i++)
                if (index == 0 || list->v[i].index == index)
                        list->v[n++] = list->v[i];
        list->n = n;
        return 0;
}

void address_list_done(AddressList *list)
{
        free(list->v);
        *list = (AddressList) {};
}

static int parse_route(const NetlinkMessage *message, void *item)
{
        RouteEntry *entry = item;
        int r;

        *entry = (RouteEntry) {};
        r = rtnl_parse_route(message, &entry->route);
        if (r <= 0)
                return r;
        if (entry->route.table != RT_TABLE_MAIN || (entry->route.flags & RTM_F_CLONED))
                return 0;

        entry->raw = malloc(MAX(message->size, (size_t) 1));
        if (!entry->raw)
                return -ENOMEM;
        memcpy(entry->raw, message->payload, message->size);
        entry->n_raw = message->size;
        return 1;
}

static void release_route(void *item)
{
        RouteEntry *entry = item;

        free(entry->raw);
}

int route_list_read(RouteList *list, Netlink *netlink, char **reterr_message)
{
        static const uint8_t families[] = { AF_INET, AF_INET6 };
        Collector c = {
                .what = "routes", .item_size = sizeof(RouteEntry), .max = NET_ROUTES_MAX,
                .parse = parse_route, .release = release_route,
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                _cleanup_free_ char *message = NULL;
                NetlinkRequest request;

                rtnl_build_list_routes(&request, families[i]);
                r = collect(&c, netlink, &request, &message);
                /* A kernel without IPv6. */
                if ((r == -EAFNOSUPPORT || r == -EOPNOTSUPP) && families[i] == AF_INET6)
                        r = 0;
                if (r < 0) {
                        collector_clear(&c);
                        free(c.items);
                        if (message)
                                error_setf(reterr_message, r, "%s", message);
                        return r;
                }
        }

        *list = (RouteList) { .v = (RouteEntry *) (void *) c.items, .n = c.n };
        return 0;
}

void route_list_done(RouteList *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->v[i].raw);
        free(list->v);
        *list = (RouteList) {};
}

static int parse_neighbor(const NetlinkMessage *message, void *item)
{
        RtnlNeighbor *neighbor = item;
        int r = rtnl_parse_neighbor(message, neighbor);

        return r > 0 && !(neighbor->state & NUD_PERMANENT) ? 0 : r;
}

int neighbor_list_read(NeighborList *list, Netlink *netlink, char **reterr_message)
{
        Collector c = {
                .what = "neighbours", .item_size = sizeof(RtnlNeighbor), .max = NET_NEIGHBORS_MAX,
                .parse = parse_neighbor,
        };
        NetlinkRequest request;
        int r;

        rtnl_build_list_neighbors(&request);
        r = collect(&c, netlink, &request, reterr_message);
        if (r < 0) {
                free(c.items);
                return r;
        }
        *list = (NeighborList) { .v = (RtnlNeighbor *) (void *) c.items, .n = c.n };
        return 0;
}

void neighbor_list_done(NeighborList *list)
{
        free(list->v);
        *list = (NeighborList) {};
}

const RtnlLink *link_list_by_name(const LinkList *list, const char *name)
{
        for (size_t i = 0; i < list->n; i++)
                if (streq(list->v[i].name, name))
                        return &list->v[i];

        return NULL;
}

const RtnlLink *link_list_by_index(const LinkList *list, uint32_t index)
{
        for (size_t i = 0; i < list->n; i++)
                if (list->v[i].index == index)
                        return &list->v[i];

        return NULL;
}

const char *link_list_describe(const LinkList *list, char *buf, size_t n)
{
        size_t used = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < list->n && used < n; i++) {
                const RtnlLink *link = &list->v[i];
                char mac[3 * RTNL_HW_MAX];
                bool show = link->n_hw > 0 && !(link->flags & IFF_LOOPBACK);
                int k = snprintf(buf + used, n - used, "%s%s%s%s", i > 0 ? ", " : "", link->name,
                                 show ? " " : "", show ? rtnl_mac_format(link->hw, link->n_hw, mac) : "");

                used += (size_t) k;
        }
        return buf;
}
