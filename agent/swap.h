/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Swap on a block device that the host has attached. The header is that of include/linux/swap.h (union
 * swap_header), version 1; nothing else is written, as by mkswap(8).
 */

#include "basic/cleanup.h"

/* Pages of 4 KiB to 64 KiB. */
#define SWAP_PAGE_MAX 65536U

/* True if the first page of a device is such a header already. */
bool swap_header_is_valid(const uint8_t *page, size_t page_size);
/* The page of a device with size bytes; -ENOSPC for one of less than ten pages. */
int swap_header_build(uint8_t *page, size_t page_size, uint64_t size, const uint8_t uuid[static 16]);

/*
 * Waits for /dev/NAME (seconds), gives it a header if it has none, and swaps there. -EBUSY if this kernel
 * has no swap. Blocks: for workers.
 */
int swap_add(const char *path, char **reterr_message);
