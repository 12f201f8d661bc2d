/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command line of QEMU's machines microvm and q35, from a validated VmConfig and the numbers its
 * descriptors will have. Pure. Every host resource comes as a descriptor, so that QEMU opens
 * nothing but its own firmware, the kernel it was handed, and /dev/kvm.
 *
 * Facts: microvm needs pit, pic and rtc under TCG, acpi=off (with acpi=on and several virtio-mmio
 * devices it hangs in timer set-up) and then has eight transports; QEMU adds virtio_mmio.device=
 * for each to the kernel command line. Checked with 7.2 and 10.0.
 *
 * q35 is for kernels of a distribution: those of Debian have neither virtio-mmio devices from the
 * command line nor a virtio console that is there from the start, so devices are on PCI and the
 * console is a serial port. Its firmware is qboot, which does no more than hand the kernel over.
 */

#include "basic/strv.h"
#include "runtime/vmm/vm-config.h"

/* Of a network interface. */
typedef struct QemuNicFds {
        int tap;
        int vhost;              /* -EBADF: QEMU moves the packets */
} QemuNicFds;

/* Descriptor numbers in the QEMU process; -EBADF for what the machine does not have. */
typedef struct QemuFds {
        int kernel;
        int image;
        int qmp;                /* listening sockets */
        int console;
        int agent;
        int vhost;
        int share;              /* connected socket */
        int initrd;
        int debug_image;
        QemuNicFds nics[VM_NICS_MAX];   /* as many as the configuration has */
} QemuFds;

#define QEMU_FDS_NULL                                                                              \
        ((QemuFds) {                                                                               \
                .kernel = -EBADF, .image = -EBADF, .qmp = -EBADF, .console = -EBADF,               \
                .agent = -EBADF, .vhost = -EBADF, .share = -EBADF, .initrd = -EBADF,               \
                .debug_image = -EBADF,                                                             \
        })

/*
 * Devices that the machine has no place for: -E2BIG with a text for the operator. In the eight of microvm are disks,
 * serial ports, vsock, virtio-fs, entropy and balloon, which leaves one to three for network interfaces.
 */
int qemu_check_devices(const VmConfig *config, char **reterr_message);

int qemu_build_argv(
                const VmConfig *config, const QemuFds *fds, const char *kernel_cmdline, Strv *ret);
