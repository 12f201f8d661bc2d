/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Huge pages that a storage needs: taken from the guest's free memory when it is mounted, and given back afterwards.
 * The kernel takes what it finds, which may be less than asked for
 * (Documentation/admin-guide/mm/hugetlbpage.rst). Blocks: for workers.
 */

#include "basic/cleanup.h"

/*
 * Adds n pages of that size to the pool; all or none. sys: "/sys". -EOPNOTSUPP: not a size of this machine. -ENOSPC:
 * there are not as many in one piece; the text has the numbers.
 */
int hugepages_reserve(const char *sys, uint64_t page_size, uint64_t n, char **reterr_message);
void hugepages_release(const char *sys, uint64_t page_size, uint64_t n);
