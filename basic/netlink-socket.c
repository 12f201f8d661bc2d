/* SPDX-License-Identifier: Apache-2.0 */
/* The netlink socket: see netlink.h. Blocks, with a limit; one request at a time. */

#include "basic/netlink.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

/* The kernel answers at once unless somebody holds its lock on network devices. */
#define ANSWER_SEC 5
#define RECEIVE_SIZE KIB(64)

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

int netlink_open(Netlink *ret)
{
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        struct sockaddr_nl address = { .nl_family = AF_NETLINK };
        struct timeval tv = { .tv_sec = ANSWER_SEC };
        int one = 1;

        if (fd < 0)
                return negative_errno();
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
            bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        /* Texts in errors, without the request repeated in front of them; filters that are heeded. */
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));

        *ret = (Netlink) { .fd = TAKE_FD(fd) };
        return 0;
}

void netlink_done(Netlink *netlink)
{
        netlink->fd = safe_close(netlink->fd);
}

static int send_request(Netlink *netlink, NetlinkRequest *request, uint16_t flags)
{
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        struct nlmsghdr nlh;

        if (request->full)
                return -EMSGSIZE;

        memcpy(&nlh, request->data, sizeof(nlh));
        nlh.nlmsg_len = (uint32_t) request->size;
        nlh.nlmsg_flags |= flags;
        nlh.nlmsg_seq = ++netlink->seq;
        memcpy(request->data, &nlh, sizeof(nlh));

        if (sendto(netlink->fd, request->data, request->size, MSG_NOSIGNAL, (struct sockaddr *) &kernel,
                   sizeof(kernel)) < 0)
                return negative_errno();
        return 0;
}

/* One datagram; its size. */
static int receive(Netlink *netlink, uint8_t *buf, size_t size)
{
        for (;;) {
                struct sockaddr_nl from = {};
                struct iovec iov = { .iov_base = buf, .iov_len = size };
                struct msghdr mh = {
                        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
                };
                ssize_t n = recvmsg(netlink->fd, &mh, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : negative_errno();
                if (mh.msg_flags & MSG_TRUNC)
                        return -EMSGSIZE;
                /* Processes with privileges could send as well. */
                if (from.nl_pid != 0)
                        continue;
                return (int) n;
        }
}

/* 1 at the end of the answer, negative for its error. */
static int take_message(const NetlinkMessage *message, bool dump, NetlinkHandler handler, void *userdata,
                        char **reterr_message)
{
        int32_t error = 0;
        int r;

        if (message->type == NLMSG_ERROR) {
                r = netlink_error(message, reterr_message);
                return r < 0 ? r : 1;
        }
        if (message->type == NLMSG_DONE) {
                if (message->size >= sizeof(error))
                        memcpy(&error, message->payload, sizeof(error));
                return error < 0 && error >= -4095 ? error : 1;
        }
        if (message->type < NLMSG_MIN_TYPE || !dump)
                return 0;

        return handler(message, userdata);
}

static int converse(Netlink *netlink, NetlinkRequest *request, bool dump, NetlinkHandler handler,
                    void *userdata, char **reterr_message)
{
        _cleanup_free_ uint8_t *buf = malloc(RECEIVE_SIZE);
        bool interrupted = false;
        int r;

        if (!buf)
                return -ENOMEM;
        r = send_request(netlink, request, dump ? NLM_F_DUMP : NLM_F_ACK);
        if (r < 0)
                return r;

        for (;;) {
                const uint8_t *p = buf;
                NetlinkMessage message;
                size_t n;

                r = receive(netlink, buf, RECEIVE_SIZE);
                if (r < 0)
                        return r;
                n = (size_t) r;
                while ((r = netlink_next(&p, &n, &message)) > 0) {
                        /* An answer to a request that was given up. */
                        if (message.seq != netlink->seq)
                                continue;
                        /* Another dump can only begin when this one was read to its end. */
                        interrupted = interrupted || (message.flags & NLM_F_DUMP_INTR);
                        r = take_message(&message, dump, handler, userdata, reterr_message);
                        if (r != 0)
                                return r < 0 ? r : interrupted ? -EAGAIN : 0;
                }
                if (r < 0)
                        return r;
        }
}

int netlink_call(Netlink *netlink, NetlinkRequest *request, char **reterr_message)
{
        return converse(netlink, request, false, NULL, NULL, reterr_message);
}

int netlink_dump(Netlink *netlink, NetlinkRequest *request, NetlinkHandler handler, void *userdata,
                 char **reterr_message)
{
        return converse(netlink, request, true, handler, userdata, reterr_message);
}
