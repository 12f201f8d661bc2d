/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command line of QEMU's microvm machine, from a validated VmConfig and the numbers its
 * descriptors will have. Pure. Every host resource comes as a descriptor, so that QEMU opens
 * nothing but its own firmware, the kernel it was handed, and /dev/kvm.
 *
 * Facts: microvm needs pit, pic and rtc under TCG, acpi=off (with acpi=on and several virtio-mmio
 * devices it hangs in timer set-up) and then has eight transports; QEMU adds virtio_mmio.device=
 * for each to the kernel command line. Checked with 7.2 and 10.0.
 */

#include "basic/strv.h"
#include "runtime/vmm/vm-config.h"

/* Descriptor numbers in the QEMU process; -EBADF for what the machine does not have. */
typedef struct QemuFds {
        int kernel;
        int image;
        int qmp;                /* listening sockets */
        int console;
        int agent;
        int vhost;
        int share;              /* connected socket */
        int debug_image;
} QemuFds;

int qemu_build_argv(
                const VmConfig *config, const QemuFds *fds, const char *kernel_cmdline, Strv *ret);
