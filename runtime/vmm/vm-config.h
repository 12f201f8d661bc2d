/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a machine is to be: a plain description without behaviour. It is filled from the operator's
 * configuration and from what the host offers, validated once, and then only read. Host side,
 * trusted once vm_config_validate() has passed.
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "basic/limits.h"
#include "runtime/vmm/guest-params.h"

typedef enum VmAccel {
        VM_ACCEL_KVM,
        VM_ACCEL_TCG,           /* emulation */
        _VM_ACCEL_MAX,
        _VM_ACCEL_INVALID = -EINVAL,
} VmAccel;

typedef enum VmTransport {
        VM_TRANSPORT_VSOCK,     /* vhost-vsock of the host kernel */
        VM_TRANSPORT_SERIAL,    /* one virtio-serial port, multiplexed */
        _VM_TRANSPORT_MAX,
        _VM_TRANSPORT_INVALID = -EINVAL,
} VmTransport;

/* What the virtual hardware looks like, and which form of kernel it boots. */
typedef enum VmMachine {
        VM_MACHINE_MICROVM,     /* virtio-mmio; uncompressed ELF kernel with PVH entry, no initrd */
        VM_MACHINE_Q35,         /* virtio-pci, firmware tables; bzImage with initrd */
        _VM_MACHINE_MAX,
} VmMachine;

/* A network interface of the guest. */
typedef struct VmNic {
        int tap_fd;             /* of a tap device: one queue, with virtio-net headers */
        int vhost_fd;           /* of /dev/vhost-net; -EBADF: the VMM moves the packets */
        uint8_t mac[6];
        uint32_t mtu;           /* bytes; 0: the guest's own choice, which nothing bounds */
} VmNic;

typedef struct VmConfig {
        char *id;               /* the sandbox; becomes the machine's name */
        char *vmm_path;         /* program of the back end */
        /* directory of the sandbox below /run/kata, root only; the control sockets live here */
        char *run_dir;

        VmMachine machine;
        char *kernel_path;      /* in the form of the machine */
        int kernel_fd;          /* read-only, of kernel_path */
        char *initrd_path;      /* sets the root up and mounts it; NULL: the kernel does */
        int initrd_fd;          /* read-only, of initrd_path */
        char *image_path;       /* erofs and its hash tree in one file */
        int image_fd;           /* read-only, of image_path */
        GuestParams params;     /* of that image */
        char *debug_image_path; /* debug extension, a second such disk; NULL: no debug mode */
        int debug_image_fd;
        GuestParams debug_params;

        uint64_t memory;        /* bytes, whole MiB */
        unsigned vcpus;
        VmAccel accel;

        VmTransport transport;
        uint32_t cid;           /* vsock: guest CID, reserved on vhost_fd; serial: 0 */
        int vhost_fd;           /* vsock: see vsock-cid.h; serial: -EBADF */

        char *share_tag;        /* virtio-fs device, NULL for none */
        int share_fd;           /* connected socket to its virtiofsd */

        VmNic nics[VM_NICS_MAX];
        size_t n_nics;
        int netns_fd;           /* network namespace that the VMM runs in; -EBADF: that of the supervisor */

        bool console;           /* hvc0, read by the supervisor */
        char *agent_log_level;  /* agent.log=, NULL for the agent's default */
        char *kernel_parameters;        /* of the operator, may be NULL */

        uid_t uid;              /* the VMM runs as; never 0 */
        gid_t gid;
        gid_t groups[VM_GROUPS_MAX];    /* supplementary: who may open /dev/kvm */
        size_t n_groups;
} VmConfig;

#define VM_CONFIG_INIT                                                                             \
        ((VmConfig) {                                                                              \
                .kernel_fd = -EBADF, .image_fd = -EBADF, .vhost_fd = -EBADF, .share_fd = -EBADF,   \
                .initrd_fd = -EBADF, .debug_image_fd = -EBADF, .netns_fd = -EBADF,                 \
                .accel = _VM_ACCEL_INVALID, .transport = _VM_TRANSPORT_INVALID,                    \
                .uid = (uid_t) -1, .gid = (gid_t) -1,                                              \
        })

void vm_config_done(VmConfig *config);

/* Closes the descriptors that only the VMM needs, once it has them. */
void vm_config_close_fds(VmConfig *config);

/*
 * Opens kernel_path, initrd_path and image_path (regular files, read-only, once: what was checked is what is
 * booted) and checks the image against params. params_path is for the error text.
 */
int vm_config_open(VmConfig *config, const char *params_path, char **reterr_message);

/* The same for debug_image_path and debug_params. */
int vm_config_open_debug(VmConfig *config, const char *params_path, char **reterr_message);

/* The first thing that is wrong, as one line. Does not look at the host. */
int vm_config_validate(const VmConfig *config, char **reterr_message);

/*
 * Bytes that the processes of the machine (VMM and virtiofsd) may come to use in all, generously: the guest's memory
 * and what they need beside it. A limit below that could kill a machine that is well.
 */
uint64_t vm_config_memory_max(const VmConfig *config);

const char *vm_accel_to_string(VmAccel accel);
VmAccel vm_accel_from_string(const char *s);
const char *vm_transport_to_string(VmTransport transport);
VmTransport vm_transport_from_string(const char *s);
