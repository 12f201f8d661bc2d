/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bringing hot-plugged processors and memory into use (OnlineCPUMem). The host has plugged them in and
 * says how many processors to expect; the devices appear in sysfs a little later, so that is looked at
 * every ONLINE_RETRY_USEC, at most ONLINE_RETRIES times, as upstream does. Switching one on takes
 * milliseconds and more: a worker writes, one request at a time.
 *
 * Cpusets need nothing: cgroup v2 keeps what was asked for (cpuset.cpus) and what there is
 * (cpuset.cpus.effective) apart, and the kernel widens the latter when a processor comes online. A container
 * without a cpuset has its parent's, which is all there are (Documentation/admin-guide/cgroup-v2.rst).
 */

#include "agent/loop.h"
#include "agent/server.h"
#include "basic/limits.h"

typedef struct Online Online;

#define ONLINE_RETRIES 100U
#define ONLINE_RETRY_USEC (50 * USEC_PER_MSEC)
#define ONLINE_WORKER_USEC (30 * USEC_PER_SEC)

typedef struct CpuMask {
        uint8_t bits[CPUS_MAX / 8];
} CpuMask;

/* "0-3,5" as in /sys/devices/system/cpu/online; "" is none. -EINVAL, -ERANGE from CPUS_MAX on. */
int cpu_mask_parse(CpuMask *ret, const char *text);
bool cpu_mask_has(const CpuMask *mask, unsigned cpu);
void cpu_mask_set(CpuMask *mask, unsigned cpu, bool value);
/* Those of a that are not in b; returns their number. ret may be a or NULL. */
unsigned cpu_mask_subtract(CpuMask *ret, const CpuMask *a, const CpuMask *b);

/* sysfs: "/sys/devices/system", another place for tests. */
int online_new(Online **ret, Loop *loop, const char *sysfs);
/* Requests that still wait are not answered; their server is gone or going. */
Online *online_free(Online *online);
DEFINE_CLEANUP_FUNC(Online *, online_free)

/* Answers the request, now or later. cpu_only: leave memory as it is. */
void online_request(Online *online, Request *request, uint32_t n_cpus, bool cpu_only);
