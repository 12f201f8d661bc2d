/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Devices named by their place: "02/03.1" is function 1 of slot 3 behind the bridge in slot 2 of the root
 * bus. Bus numbers are the guest's own affair and are looked up in sysfs. Waiting blocks: for workers.
 */

#include "basic/limits.h"
#include "basic/parse.h"

typedef struct PciPath {
        struct {
                uint8_t slot, function;
        } hops[PCI_PATH_HOPS_MAX];
        size_t n;
} PciPath;

/* "SLOT[.FUNCTION]/..." with two hexadecimal digits a slot. -EINVAL, -EOPNOTSUPP for other root buses. */
int pci_path_parse(const char *s, PciPath *ret);
/* One slot a hop, function 0: as AddSwap has it. */
int pci_path_from_slots(const uint32_t *slots, size_t n, PciPath *ret);
/* "02/03.1" again, for errors. */
const char *pci_path_format(const PciPath *path, char buf[static PCI_PATH_HOPS_MAX * 5 + 1]);

/*
 * Name of the device of that class ("net", "block") at the place, as a new string; sys is "/sys".
 * -ENOENT while it is not there.
 */
int pci_path_find(const char *sys, const PciPath *path, const char *class, char **ret);
/* Until it is there: -ENODEV with a text after timeout; -EOPNOTSUPP if this machine has no PCI. */
int pci_path_wait(const char *sys, const PciPath *path, const char *class, usec_t timeout, char **ret,
                  char **reterr_message);
