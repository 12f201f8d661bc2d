/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scope of a machine may take of its host: some of the properties of systemd.resource-control(5), where they
 * are set and those that OCI's linux.resources has for them. Pure.
 *
 * What has no meaning for a machine as a whole stays out: pids.limit counts processes of the guest, memory.reservation
 * and memory.swap its memory. They hold inside of it.
 */

#include "basic/cpu-list.h"
#include "proto/oci.pb-c.h"
#include "runtime/unit/props.h"

typedef enum ScopeLimit {
        SCOPE_LIMIT_CPU_WEIGHT = 1 << 0,
        SCOPE_LIMIT_CPU_QUOTA = 1 << 1,
        SCOPE_LIMIT_CPU_PERIOD = 1 << 2,
        SCOPE_LIMIT_CPUS = 1 << 3,
        SCOPE_LIMIT_MEMORY_NODES = 1 << 4,
        SCOPE_LIMIT_IO_WEIGHT = 1 << 5,
        SCOPE_LIMIT_MEMORY_MAX = 1 << 6,
        SCOPE_LIMIT_TASKS_MAX = 1 << 7,
} ScopeLimit;

/* UINT64_MAX, and an empty set: none, as the service manager has it. */
typedef struct ScopeLimits {
        unsigned set;           /* of ScopeLimit; what is not in it is not touched */
        uint64_t cpu_weight;    /* 1..10000 */
        uint64_t cpu_quota;     /* microseconds of processor time a second */
        uint64_t cpu_period;    /* microseconds in which that is measured */
        uint64_t io_weight;     /* 1..10000 */
        uint64_t memory_max;    /* bytes; SCOPE_MEMORY_OF_MACHINE */
        uint64_t tasks_max;
        CpuList cpus, memory_nodes;
} ScopeLimits;

/*
 * The container has a limit; that of its scope is for the one to fill in who knows the machine: what the guest has and
 * its VMM may need, since a VMM that is killed takes a container along that has kept to its limit.
 */
#define SCOPE_MEMORY_OF_MACHINE 0U

/*
 * A machine gets at least a tenth of a processor, whatever its container has: the guest's kernel and its agent run on
 * that as well, and one that does not answer any more is taken for dead.
 */
#define SCOPE_CPU_QUOTA_MIN 100000U
/* The service manager counts in percent. More than the maximum is more than any host has: no limit. */
#define SCOPE_CPU_QUOTA_STEP 10000U
#define SCOPE_CPU_QUOTA_MAX (1000 * USEC_PER_SEC)
/* cpu.max of Linux. */
#define SCOPE_CPU_PERIOD_MIN 1000U
#define SCOPE_CPU_PERIOD_MAX 1000000U

void scope_limits_done(ScopeLimits *limits);
/* Replaces what ret has; -ENOMEM. */
int scope_limits_copy(const ScopeLimits *limits, ScopeLimits *ret);

/*
 * Those that resources has; 0 and "" there: not said. The conversions are those of runc's systemd driver: quota and
 * period → per second, rounded up to percent; a period alone takes the quota away. -EINVAL: a period out
 * of range, a list of processors or memory nodes that is none; the text names it.
 */
int scope_limits_from_resources(const Grpc__LinuxResources *resources, ScopeLimits *ret, char **reterr_message);

/* As properties of a unit. */
int scope_limits_add(const ScopeLimits *limits, UnitProps *props);
/* The same from a{sv}, the answer of Properties.GetAll; properties of other names are passed over. */
int scope_limits_read(sd_bus_message *m, ScopeLimits *ret);
