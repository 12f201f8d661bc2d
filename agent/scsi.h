/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Disks named by their place on a SCSI bus: "ID:LUN" of channel 0, as the protocol has it. Which host adapter it is
 * does not matter; there is one. A disk that was attached while the guest ran is not seen before the adapter was told
 * to look (Documentation/scsi/scsi_mid_low_api: the scan attribute). Blocks: for workers.
 */

#include "basic/cleanup.h"

typedef struct ScsiAddress {
        uint32_t id, lun;
} ScsiAddress;

/* "ID:LUN" in decimal digits, up to SCSI_ID_MAX and SCSI_LUN_MAX. -EINVAL. */
int scsi_parse(const char *s, ScsiAddress *ret);

/* All adapters look for it; sys is "/sys". -ENODEV if there is no adapter, else what the last one said. */
int scsi_scan(const char *sys, const ScsiAddress *address);

/* Name of the disk there, as a new string. -ENOENT while it is not there. */
int scsi_find(const char *sys, const ScsiAddress *address, char **ret);
