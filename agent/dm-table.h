/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The text of dm-mod.create= on the kernel command line (Documentation/admin-guide/device-mapper/
 * dm-init.rst), for kernels that can not set the devices up themselves. Guest side; the host writes the
 * text. Stricter than the kernel: every device is read-only and one verity table long, as nothing else may
 * be under the root of a guest.
 *
 *     NAME,[UUID],[MINOR],ro,0 SECTORS verity PARAMETERS[;NAME,…]
 */

#include "basic/cleanup.h"
#include "basic/limits.h"

#define DM_TABLE_NAME_MAX 127U  /* DM_NAME_LEN, less the NUL */
#define DM_TABLE_UUID_MAX 128U
#define DM_TABLE_PATH_MAX 63U

typedef struct DmTable {
        char name[DM_TABLE_NAME_MAX + 1];
        char uuid[DM_TABLE_UUID_MAX + 1];       /* "" for none */
        int minor;                              /* -1: any */
        uint64_t sectors;
        char params[DM_PARAMS_MAX + 1];         /* of the verity target, untouched */
        char data[DM_TABLE_PATH_MAX + 1];       /* devices in them: "/dev/…" */
        char hash[DM_TABLE_PATH_MAX + 1];
} DmTable;

typedef struct DmTables {
        DmTable v[DM_DEVICES_MAX];
        size_t n;
} DmTables;

/* A failure names the device and what is wrong with it. */
int dm_tables_parse(const char *text, DmTables *ret, char **reterr_message);
