/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink messages in memory: see netlink.h. Nothing here trusts a length. */

#include "basic/netlink.h"

#include "basic/error.h"

static uint8_t *take_room(NetlinkRequest *request, size_t n)
{
        size_t padded = NLMSG_ALIGN(n);
        uint8_t *p = request->data + request->size;

        if (request->full || padded > sizeof(request->data) - request->size) {
                request->full = true;
                return NULL;
        }

        memset(p, 0, padded);
        request->size += padded;
        return p;
}

void netlink_begin(NetlinkRequest *request, uint16_t type, uint16_t flags, const void *header, size_t n)
{
        struct nlmsghdr nlh = { .nlmsg_type = type, .nlmsg_flags = (uint16_t) (flags | NLM_F_REQUEST) };
        uint8_t *p;

        request->size = 0;
        request->full = false;
        p = take_room(request, sizeof(nlh) + n);
        if (!p)
                return;
        memcpy(p, &nlh, sizeof(nlh));
        memcpy(p + sizeof(nlh), header, n);
}

void netlink_add(NetlinkRequest *request, uint16_t type, const void *data, size_t n)
{
        struct nlattr attr = { .nla_len = (uint16_t) (NLA_HDRLEN + n), .nla_type = type };
        uint8_t *p;

        if (n > UINT16_MAX - NLA_HDRLEN) {
                request->full = true;
                return;
        }
        p = take_room(request, NLA_HDRLEN + n);
        if (!p)
                return;
        memcpy(p, &attr, sizeof(attr));
        if (n > 0)
                memcpy(p + NLA_HDRLEN, data, n);
}

void netlink_add_u32(NetlinkRequest *request, uint16_t type, uint32_t value)
{
        netlink_add(request, type, &value, sizeof(value));
}

void netlink_add_string(NetlinkRequest *request, uint16_t type, const char *s)
{
        netlink_add(request, type, s, strlen(s) + 1);
}

size_t netlink_nest(NetlinkRequest *request, uint16_t type)
{
        size_t place = request->size;

        netlink_add(request, type | NLA_F_NESTED, NULL, 0);
        return place;
}

void netlink_nest_end(NetlinkRequest *request, size_t place)
{
        uint16_t n = (uint16_t) (request->size - place);

        if (!request->full)
                memcpy(request->data + place + offsetof(struct nlattr, nla_len), &n, sizeof(n));
}

int netlink_next(const uint8_t **data, size_t *n, NetlinkMessage *ret)
{
        struct nlmsghdr nlh;
        size_t step;

        if (*n == 0)
                return 0;
        if (*n < sizeof(nlh))
                return -EBADMSG;
        memcpy(&nlh, *data, sizeof(nlh));
        if (nlh.nlmsg_len < sizeof(nlh) || nlh.nlmsg_len > *n)
                return -EBADMSG;

        *ret = (NetlinkMessage) {
                .type = nlh.nlmsg_type, .flags = nlh.nlmsg_flags, .seq = nlh.nlmsg_seq,
                .port = nlh.nlmsg_pid, .payload = *data + sizeof(nlh),
                .size = nlh.nlmsg_len - sizeof(nlh),
        };
        /* The last one need not be padded. */
        step = MIN((size_t) NLMSG_ALIGN((size_t) nlh.nlmsg_len), *n);
        *data += step;
        *n -= step;
        return 1;
}

int netlink_attrs(const uint8_t *data, size_t n, NetlinkAttr *table, size_t max)
{
        for (size_t i = 0; i < max; i++)
                table[i] = (NetlinkAttr) {};

        /* As the kernel: less than a header at the end is padding. */
        while (n >= NLA_HDRLEN) {
                struct nlattr attr;
                uint16_t type;
                size_t step;

                memcpy(&attr, data, sizeof(attr));
                if (attr.nla_len < NLA_HDRLEN || attr.nla_len > n)
                        return -EBADMSG;
                type = attr.nla_type & NLA_TYPE_MASK;
                if (type < max)
                        table[type] = (NetlinkAttr) {
                                .data = data + NLA_HDRLEN, .size = attr.nla_len - (size_t) NLA_HDRLEN,
                        };
                step = MIN((size_t) NLA_ALIGN((size_t) attr.nla_len), n);
                data += step;
                n -= step;
        }

        return 0;
}

uint32_t netlink_attr_u32(const NetlinkAttr *attr, uint32_t fallback)
{
        uint32_t value;

        if (!attr->data || attr->size != sizeof(value))
                return fallback;
        memcpy(&value, attr->data, sizeof(value));
        return value;
}

/* The text is an attribute behind the header of the request that failed, or behind all of the request. */
static void error_message(const NetlinkMessage *message, const struct nlmsgerr *err, char **ret)
{
        NetlinkAttr attrs[NLMSGERR_ATTR_MAX + 1];
        size_t skip = sizeof(*err);
        const NetlinkAttr *text = &attrs[NLMSGERR_ATTR_MSG];

        if (!(message->flags & NLM_F_ACK_TLVS))
                return;
        if (!(message->flags & NLM_F_CAPPED)) {
                if (err->msg.nlmsg_len < sizeof(err->msg))
                        return;
                skip += NLMSG_ALIGN((size_t) err->msg.nlmsg_len) - sizeof(err->msg);
        }
        if (skip > message->size ||
            netlink_attrs(message->payload + skip, message->size - skip, attrs, ELEMENTSOF(attrs)) < 0)
                return;
        if (text->data && text->size > 1)
                (void) error_setf(ret, -err->error, "%s: %.*s", strerror(-err->error),
                                  (int) strnlen((const char *) text->data, text->size), text->data);
}

int netlink_error(const NetlinkMessage *message, char **reterr_message)
{
        struct nlmsgerr err;

        if (message->size < sizeof(err))
                return -EBADMSG;
        memcpy(&err, message->payload, sizeof(err));
        if (err.error == 0)
                return 0;
        if (err.error > 0 || err.error < -4095)
                return -EBADMSG;

        error_message(message, &err, reterr_message);
        return err.error;
}
