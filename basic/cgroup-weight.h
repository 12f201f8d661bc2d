/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OCI's weights, which are those of cgroup v1, as those of cgroup v2. Used by host (CPUWeight=, IOWeight=) and guest.
 * Facts: the curve that runc and crun have now, which makes the two defaults meet; older ones made 39 of 1024.
 */

#include "basic/cleanup.h"

/* cpu.shares (2..262144) → cpu.weight (1..10000) so that the defaults 1024 and 100 meet; 0 → 0. */
uint64_t cgroup_weight_from_shares(uint64_t shares);
/* blkio.weight (10..1000) → io.weight (1..10000); 0 → 0. */
uint64_t cgroup_io_weight(uint64_t weight);
