/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests of traffic control: all that comes in on one link goes out on another one. An "ingress" queueing
 * discipline has the filters; a u32 filter that looks at nothing matches every packet, of every protocol; its action
 * "mirred" moves it. Messages only, no I/O. u32 and not matchall: older, and in more kernels.
 * Facts: tc-u32(8), tc-mirred(8), include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h, tc_act/tc_mirred.h.
 */

#include "basic/netlink.h"

/* -EEXIST from the kernel if the link has one, or a "clsact" one. */
void traffic_build_add_ingress(NetlinkRequest *request, uint32_t index);
/* With the filters. -ENOENT or -EINVAL from the kernel if there is none, or one of another kind. */
void traffic_build_delete_ingress(NetlinkRequest *request, uint32_t index);
/*
 * A dump of the filters there, and what a message of it says: 1 with the index of the link that packets are redirected
 * to, 0 if that link has gone (tap devices end with their VMM); -ENOMSG for the parts of a u32 filter that say nothing;
 * -EBUSY for anything else, which is not of us; -EBADMSG.
 */
void traffic_build_list_filters(NetlinkRequest *request, uint32_t index);
int traffic_parse_redirect(const NetlinkMessage *message, uint32_t *ret_to);

/* For a link with add_ingress. to: index of a link of the same namespace. */
void traffic_build_redirect(NetlinkRequest *request, uint32_t from, uint32_t to);
