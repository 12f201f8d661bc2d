/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic control messages: see traffic.h. */

#include "runtime/net/traffic.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>

/* "ffff:" as tc(8) writes it. */
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0U)
/* Any number will do: there is one filter. */
#define PRIORITY 1U
/* The first and only action of the filter. */
#define FIRST_ACTION 1U

static void build_ingress(NetlinkRequest *request, uint16_t type, uint16_t flags, uint32_t index)
{
        struct tcmsg info = {
                .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) index, .tcm_handle = INGRESS_HANDLE,
                .tcm_parent = TC_H_INGRESS,
        };

        netlink_begin(request, type, flags, &info, sizeof(info));
        netlink_add_string(request, TCA_KIND, "ingress");
}

void traffic_build_add_ingress(NetlinkRequest *request, uint32_t index)
{
        build_ingress(request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index);
}

void traffic_build_delete_ingress(NetlinkRequest *request, uint32_t index)
{
        build_ingress(request, RTM_DELQDISC, 0, index);
}

void traffic_build_list_filters(NetlinkRequest *request, uint32_t index)
{
        struct tcmsg info = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) index, .tcm_parent = INGRESS_HANDLE };

        netlink_begin(request, RTM_GETTFILTER, 0, &info, sizeof(info));
}

static bool attr_is(const NetlinkAttr *attr, const char *text)
{
        return attr->data && attr->size == strlen(text) + 1 && memcmp(attr->data, text, attr->size) == 0;
}

/* The options of a u32 filter: those of hash tables have no action. */
static int parse_actions(const NetlinkAttr *options, uint32_t *ret_to)
{
        NetlinkAttr u32[TCA_U32_ACT + 1], actions[FIRST_ACTION + 2], action[TCA_ACT_OPTIONS + 1],
                mirred[TCA_MIRRED_PARMS + 1];
        struct tc_mirred parms;
        int r;

        r = netlink_attrs(options->data, options->size, u32, ELEMENTSOF(u32));
        if (r < 0)
                return r;
        if (!u32[TCA_U32_ACT].data)
                return u32[TCA_U32_DIVISOR].data ? -ENOMSG : -EBUSY;
        r = netlink_attrs(u32[TCA_U32_ACT].data, u32[TCA_U32_ACT].size, actions, ELEMENTSOF(actions));
        if (r < 0)
                return r;
        if (!actions[FIRST_ACTION].data || actions[FIRST_ACTION + 1].data)
                return -EBUSY;
        r = netlink_attrs(actions[FIRST_ACTION].data, actions[FIRST_ACTION].size, action, ELEMENTSOF(action));
        if (r < 0)
                return r;
        if (!attr_is(&action[TCA_ACT_KIND], "mirred") || !action[TCA_ACT_OPTIONS].data)
                return -EBUSY;
        r = netlink_attrs(action[TCA_ACT_OPTIONS].data, action[TCA_ACT_OPTIONS].size, mirred, ELEMENTSOF(mirred));
        if (r < 0)
                return r;
        if (!mirred[TCA_MIRRED_PARMS].data || mirred[TCA_MIRRED_PARMS].size < sizeof(parms))
                return -EBADMSG;
        memcpy(&parms, mirred[TCA_MIRRED_PARMS].data, sizeof(parms));
        if (parms.eaction != TCA_EGRESS_REDIR)
                return -EBUSY;
        *ret_to = parms.ifindex;
        return parms.ifindex > 0;
}

int traffic_parse_redirect(const NetlinkMessage *message, uint32_t *ret_to)
{
        NetlinkAttr attrs[TCA_OPTIONS + 1];
        struct tcmsg info;
        int r;

        if (message->type != RTM_NEWTFILTER)
                return -ENOMSG;
        if (message->size < sizeof(info))
                return -EBADMSG;
        r = netlink_attrs(message->payload + NLMSG_ALIGN(sizeof(info)),
                          message->size - NLMSG_ALIGN(sizeof(info)), attrs, ELEMENTSOF(attrs));
        if (r < 0)
                return r;
        if (!attr_is(&attrs[TCA_KIND], "u32"))
                return -EBUSY;
        return attrs[TCA_OPTIONS].data ? parse_actions(&attrs[TCA_OPTIONS], ret_to) : -ENOMSG;
}

static void add_mirred(NetlinkRequest *request, uint32_t to)
{
        struct tc_mirred mirred = {
                .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to,
        };
        size_t action, options;

        action = netlink_nest(request, FIRST_ACTION);
        netlink_add_string(request, TCA_ACT_KIND, "mirred");
        options = netlink_nest(request, TCA_ACT_OPTIONS);
        netlink_add(request, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
        netlink_nest_end(request, options);
        netlink_nest_end(request, action);
}

void traffic_build_redirect(NetlinkRequest *request, uint32_t from, uint32_t to)
{
        struct tcmsg info = {
                .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) from, .tcm_parent = INGRESS_HANDLE,
                .tcm_info = TC_H_MAKE(PRIORITY << 16, (uint32_t) htons(ETH_P_ALL)),
        };
        /* One key, whose mask has no bit; both have no pointers and no padding in front of the key. */
        const struct tc_u32_sel sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
        uint8_t everything[sizeof(sel) + sizeof(struct tc_u32_key)] = {};
        size_t options, actions;

        memcpy(everything, &sel, sizeof(sel));
        netlink_begin(request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
        netlink_add_string(request, TCA_KIND, "u32");
        options = netlink_nest(request, TCA_OPTIONS);
        actions = netlink_nest(request, TCA_U32_ACT);
        add_mirred(request, to);
        netlink_nest_end(request, actions);
        netlink_add(request, TCA_U32_SEL, everything, sizeof(everything));
        netlink_nest_end(request, options);
}
