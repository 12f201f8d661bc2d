/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host offers for running machines. Probed once at start, by opening the devices and
 * looking at the files; nothing is executed. Every "no" has a reason for the journal. Host side,
 * needs the rights to open the devices.
 */

#include <sys/types.h>

#include "basic/cleanup.h"

typedef struct HostCaps {
        char *kvm_reason;               /* NULL: KVM can run our kernel */
        char *vhost_vsock_reason;       /* NULL: AF_VSOCK and /dev/vhost-vsock work */
        char *qemu_path;                /* NULL: see qemu_reason */
        char *qemu_reason;
        char *virtiofsd_path;           /* NULL: see virtiofsd_reason */
        char *virtiofsd_reason;
        /* group that the VMM needs to open /dev/kvm; 0: anybody may */
        gid_t kvm_gid;
} HostCaps;

/* Where to look; tests point it at a directory of their own. */
typedef struct HostPaths {
        const char *kvm;
        const char *vhost_vsock;
        const char *cpuinfo;
        const char *const *qemu;        /* NULL-terminated, first match wins */
        const char *const *virtiofsd;
        int (*kvm_api_version)(int fd); /* KVM_GET_API_VERSION or negative errno */
        int (*vsock_socket)(void);      /* an AF_VSOCK socket or negative errno */
} HostPaths;

extern const HostPaths host_paths_default;

static inline bool host_caps_kvm(const HostCaps *caps)
{
        return !caps->kvm_reason;
}

static inline bool host_caps_vhost_vsock(const HostCaps *caps)
{
        return !caps->vhost_vsock_reason;
}

/* Fails for lack of memory only. */
int host_caps_probe(const HostPaths *paths, HostCaps *ret);
void host_caps_done(HostCaps *caps);
