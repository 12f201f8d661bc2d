/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Device nodes of a container and the rules which of them it may use. Nodes are made in the
 * container's /dev through a descriptor that was opened without following links; rules become a BPF
 * program on the container's cgroup (cgroup v2 has no files for them). Parsing has no side effects.
 */

#include <sys/types.h>

#include <linux/bpf.h>

#include "basic/cleanup.h"

typedef struct DeviceNode {
        char *path;             /* below "/dev/", normal form */
        mode_t mode;            /* with S_IFMT */
        dev_t rdev;
        uid_t uid;
        gid_t gid;
} DeviceNode;

#define DEVICE_ANY ((int64_t) -1)

typedef struct DeviceRule {
        bool allow;
        char type;              /* 'a', 'b', 'c' */
        int64_t major, minor;   /* or DEVICE_ANY */
        uint32_t access;        /* BPF_DEVCG_ACC_* */
} DeviceRule;

void device_node_done(DeviceNode *node);

/* mode 0: 0666. type: "c", "u", "b", "p". */
int device_node_parse(DeviceNode *ret, const char *path, const char *type, int64_t major,
                int64_t minor, uint32_t mode, uint32_t uid, uint32_t gid, char **reterr_message);

/* type: "", "a", "b", "c"; access: any of "rwm", "" is all; numbers may be DEVICE_ANY. */
int device_rule_parse(DeviceRule *ret, bool allow, const char *type, int64_t major, int64_t minor,
                      const char *access, char **reterr_message);

/* What every container gets: /dev/null and its kin, and the rules that let it use them. */
extern const DeviceNode device_default_nodes[];
extern const size_t device_default_nodes_n;
extern const DeviceRule device_default_rules[];
extern const size_t device_default_rules_n;

/* Nodes and the customary symlinks in an open /dev (fresh tmpfs). Set-up child, umask 0. */
int devices_make(int dev_fd, const DeviceNode *nodes, size_t n, char **reterr_message);

/*
 * Program of type BPF_PROG_TYPE_CGROUP_DEVICE. For each wanted access (read, write, mknod) the last
 * rule that covers the device decides; what no rule covers is denied.
 */
int device_filter_build(const DeviceRule *rules, size_t n, struct bpf_insn **ret, size_t *ret_n);

/*
 * Loads the program and attaches it. old_fd: the program of an earlier call that this one takes the place
 * of, with no moment in between, or -EBADF. Returns the descriptor of the new program. Needs
 * CAP_SYS_ADMIN.
 */
int device_filter_attach(int cgroup_fd, const struct bpf_insn *insns, size_t n, int old_fd,
                         char **reterr_message);

/* Puts prog_fd back in the place of current_fd. */
int device_filter_restore(int cgroup_fd, int prog_fd, int current_fd);
