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
 * Types: "mmioblk" and "nvdimm" name their node in vm_path; "blk" does so, or has a PCI path (pci-path.h) in its id;
 * "scsi" has a place on the bus (scsi.h) there. Passed-through devices (vfio-*) and those of s390 are refused by name.
 *
 * The request is the host's. sysfs is the guest kernel's; nothing of the tenant is looked at.
 */

#include <sys/types.h>

#include "agent/pci-path.h"
#include "agent/scsi.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"

typedef enum GuestDevicePlace {
        GUEST_DEVICE_NODE,
        GUEST_DEVICE_PCI,
        GUEST_DEVICE_SCSI,
} GuestDevicePlace;

typedef struct GuestDevice {
        GuestDevicePlace place;
        char *node;                     /* "/dev/NAME" */
        PciPath pci;
        ScsiAddress scsi;
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

/*
 * One device for another purpose: text is "/dev/NAME" or, as far as the type says so, a place. -EINVAL for anything
 * else, without a text. device is of the caller's, who frees node.
 */
int guest_device_parse(const char *type, const char *text, GuestDevice *ret);
/* Waits for it: *ret_node is its node then, as a new string. Errors as guest_devices_wait(). */
int guest_device_wait(const GuestDevice *device, const char *root, usec_t timeout, char **ret_node,
                      char **reterr_message);
