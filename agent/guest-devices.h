/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Devices of CreateContainer: what the host has plugged into the machine for a container. The host knows a
 * device by its place (a node's name, a PCI path), the container's specification by the numbers that it has on
 * the host; the numbers in the guest are only known once the device is there.
 *
 *      plan    checks the request, without side effects
 *      wait    until every device has its node; sleeps, so it runs in a worker (worker.h)
 *      apply   replaces the host's numbers in the specification by the guest's
 *
 * Types: "mmioblk" and "nvdimm" name their node in vm_path; "blk" does so, or has a PCI path
 * (pci-path.h) in its id. Passed-through devices (vfio-*) and those of s390 are refused by name.
 *
 * The request is the host's. sysfs is the guest kernel's; nothing of the tenant is looked at.
 */

#include <sys/types.h>

#include "agent/pci-path.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"

typedef struct GuestDevice {
        char *node;                     /* "/dev/NAME"; NULL: pci says it */
        PciPath pci;
        char *container_path;           /* NULL: only waited for */
        mode_t kind;                    /* S_IFBLK or S_IFCHR */
} GuestDevice;

typedef struct GuestDevices {
        GuestDevice *items;
        size_t n;
} GuestDevices;

void guest_devices_done(GuestDevices *devices);

/* -EOPNOTSUPP names a type that this agent does not have; -EINVAL what makes no sense; -E2BIG. */
int guest_devices_plan(Grpc__Device *const *devices, size_t n, GuestDevices *ret, char **reterr_message);

/* Names of the types, NULL at the end: for GetGuestDetails. */
const char *const *guest_device_types(void);

/* Polls; -ENODEV names the device that did not come. root: "" or a directory in the place of "/", for tests. */
int guest_devices_wait(const GuestDevices *devices, const char *root, usec_t timeout, char **reterr_message);

/*
 * Devices and device rules of spec that have a device's numbers get those of the guest. -ENOENT: spec has no
 * device of a container_path.
 */
int guest_devices_apply(const GuestDevices *devices, const char *root, Grpc__Spec *spec, char **reterr_message);

/* Waits for one node of that kind: -ENODEV, or -ENOTBLK if something else has the name. */
int device_node_wait(const char *path, mode_t kind, usec_t timeout);
