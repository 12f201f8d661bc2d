/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Network namespaces of the host, by path and descriptor. Host side, root with CAP_SYS_ADMIN and CAP_NET_ADMIN.
 * Whoever names the path is trusted with the host's network no further than with that namespace: what is at the
 * path is checked. Facts: network_namespaces(7), ioctl_nsfs(2); a netlink socket and a descriptor of /dev/net/tun
 * belong to the namespace in which they were opened, whatever their process does later.
 */

#include "basic/netlink.h"

/*
 * Opens a file like /run/netns/NAME or /proc/PID/ns/net. -EINVAL if it is no network namespace. Errors name path and
 * remedy.
 */
int namespace_open_any(const char *path, int *ret_fd, char **reterr_message);
/* The same, and -EPERM if it is the one of the caller: that of the host. */
int namespace_open(const char *path, int *ret_fd, char **reterr_message);

/*
 * A new one, which nothing but the descriptor refers to. The caller is in it for a moment, and must not have threads.
 */
int namespace_new(int *ret_fd, char **reterr_message);

/* What tells one namespace from another as long as it exists. */
typedef struct NamespaceId {
        uint64_t device, inode;
} NamespaceId;

int namespace_id(int namespace_fd, NamespaceId *ret);

/*
 * A netlink socket and n_tuns descriptors of /dev/net/tun that belong to the namespace. The caller is in it for a
 * moment, and must not have threads. After a failure nothing is open.
 */
int namespace_sockets(int namespace_fd, Netlink *ret_netlink, int *ret_tuns, size_t n_tuns, char **reterr_message);
