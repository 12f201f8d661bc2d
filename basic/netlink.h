/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Netlink: messages built into and read from plain memory, and a socket for one request at a time. The
 * memory part has no side effects and knows nothing of routing; rtnl.h gives the messages their meaning.
 * Facts: netlink(7), and Documentation/userspace-api/netlink of the kernel.
 *
 * The peer is the kernel, but names and numbers in its answers were chosen by the workloads of this
 * machine, so every length is checked. The socket blocks: for workers (worker.h), not for the loop.
 */

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "basic/cleanup.h"
#include "basic/limits.h"

/* One request: a header, the family's own header, attributes. All sizes are bytes. */
typedef struct NetlinkRequest {
        uint8_t data[NETLINK_REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
        size_t size;
        bool full;              /* something did not fit: sending gives -EMSGSIZE */
} NetlinkRequest;

/* header: of the family (struct ifinfomsg, ...), n bytes. flags: NLM_F_* beside NLM_F_REQUEST. */
void netlink_begin(NetlinkRequest *request, uint16_t type, uint16_t flags, const void *header, size_t n);
void netlink_add(NetlinkRequest *request, uint16_t type, const void *data, size_t n);
void netlink_add_u32(NetlinkRequest *request, uint16_t type, uint32_t value);
/* With the NUL at the end. */
void netlink_add_string(NetlinkRequest *request, uint16_t type, const char *s);
/* Attributes that are added in between are inside; the place goes to netlink_nest_end(). */
size_t netlink_nest(NetlinkRequest *request, uint16_t type);
void netlink_nest_end(NetlinkRequest *request, size_t place);

/* Points into the memory it was read from. */
typedef struct NetlinkMessage {
        uint16_t type, flags;
        uint32_t seq, port;
        const uint8_t *payload;
        size_t size;
} NetlinkMessage;

/* Takes the first message off *data: 1, 0 when nothing is left, -EBADMSG. */
int netlink_next(const uint8_t **data, size_t *n, NetlinkMessage *ret);

typedef struct NetlinkAttr {
        const uint8_t *data;    /* NULL: not there */
        size_t size;
} NetlinkAttr;

/*
 * Attributes by type, up to max - 1; higher types are skipped, of several with one type the last one
 * counts. -EBADMSG if a length does not fit.
 */
int netlink_attrs(const uint8_t *data, size_t n, NetlinkAttr *table, size_t max);

/* 0 or fallback if it is not there or has another size. */
uint32_t netlink_attr_u32(const NetlinkAttr *attr, uint32_t fallback);

/* Outcome in a message of type NLMSG_ERROR: 0 or -errno, with the kernel's own text if it sent one. */
int netlink_error(const NetlinkMessage *message, char **reterr_message);

typedef struct Netlink {
        int fd;
        uint32_t seq;
} Netlink;

#define NETLINK_NULL ((Netlink) { .fd = -EBADF })

/* NETLINK_ROUTE in the network namespace of the caller. */
int netlink_open(Netlink *ret);
void netlink_done(Netlink *netlink);

/* Sends and waits for the kernel's answer, seconds at most. */
int netlink_call(Netlink *netlink, NetlinkRequest *request, char **reterr_message);

/* A negative return ends the dump. */
typedef int (*NetlinkHandler)(const NetlinkMessage *message, void *userdata);

/*
 * A dump: the handler gets each message. -EAGAIN if the kernel says that something changed meanwhile;
 * then it all has to be asked for again.
 */
int netlink_dump(Netlink *netlink, NetlinkRequest *request, NetlinkHandler handler, void *userdata,
                 char **reterr_message);
