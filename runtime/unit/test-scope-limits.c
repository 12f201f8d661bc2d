/* SPDX-License-Identifier: Apache-2.0 */
/* OCI resources as limits of a scope. */

#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/unit/scope-limits.h"

#define S(text) ((char *) (uintptr_t) (text))

static char *message;

static ScopeLimits limits_of(const Grpc__LinuxCPU *cpu, int64_t memory, uint32_t io_weight)
{
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxMemory m = GRPC__LINUX_MEMORY__INIT;
        Grpc__LinuxBlockIO io = GRPC__LINUX_BLOCK_IO__INIT;
        ScopeLimits limits;

        m.limit = memory;
        io.weight = io_weight;
        resources.cpu = (Grpc__LinuxCPU *) (uintptr_t) cpu;
        resources.memory = &m;
        resources.blockio = &io;
        ASSERT_OK(scope_limits_from_resources(&resources, &limits, &message));
        return limits;
}

/* With names, for the cases below. */
static Grpc__LinuxCPU cpu_of(uint64_t shares, int64_t quota, uint64_t period)
{
        Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;

        cpu.shares = shares;
        cpu.quota = quota;
        cpu.period = period;
        return cpu;
}

TEST(nothing)
{
        Grpc__LinuxResources empty = GRPC__LINUX_RESOURCES__INIT;
        const Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
        ScopeLimits limits;
        UnitProps props = {};

        ASSERT_OK(scope_limits_from_resources(NULL, &limits, &message));
        ASSERT_EQ(limits.set, 0);
        ASSERT_OK(scope_limits_from_resources(&empty, &limits, &message));
        ASSERT_EQ(limits.set, 0);
        limits = limits_of(&cpu, 0, 0);
        ASSERT_EQ(limits.set, 0);
        ASSERT_OK(scope_limits_add(&limits, &props));
        ASSERT_EQ(props.n, 0);
}

TEST(quotas)
{
        static const struct {
                int64_t quota;
                uint64_t period, per_second;
        } cases[] = {
                { 100000, 100000, 1000000 },
                { 150000, 100000, 1500000 },
                { 100000, 0, 1000000 },
                { 50000, 25000, 2000000 },
                /* Up to the next percent. */
                { 33333, 100000, 340000 },
                { 100001, 100000, 1010000 },
                /* A machine that does not answer would be taken for dead. */
                { 1000, 100000, 100000 },
                { 10000, 100000, 100000 },
                { -1, 100000, UINT64_MAX },
                { -1, 0, UINT64_MAX },
                { 0, 50000, UINT64_MAX },
                { INT64_MAX, 1000, UINT64_MAX },
                { 99999999, 100000, 1000000000 },
                { 100000001, 100000, UINT64_MAX },
                { 1, 1000000, 100000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Grpc__LinuxCPU cpu = cpu_of(0, cases[i].quota, cases[i].period);
                ScopeLimits limits = limits_of(&cpu, 0, 0);

                ASSERT_EQ(limits.set, SCOPE_LIMIT_CPU_QUOTA | (cases[i].period ? SCOPE_LIMIT_CPU_PERIOD : 0U));
                ASSERT_EQ(limits.cpu_quota, cases[i].per_second);
                ASSERT_EQ(limits.cpu_period, cases[i].period);
        }
}

TEST(weights_and_memory)
{
        const Grpc__LinuxCPU cpu = cpu_of(1024, 0, 0);
        ScopeLimits limits = limits_of(&cpu, 64 << 20, 1000);

        ASSERT_EQ(limits.set, SCOPE_LIMIT_CPU_WEIGHT | SCOPE_LIMIT_MEMORY_MAX | SCOPE_LIMIT_IO_WEIGHT);
        ASSERT_EQ(limits.cpu_weight, 100);
        ASSERT_EQ(limits.io_weight, 10000);
        ASSERT_EQ(limits.memory_max, SCOPE_MEMORY_OF_MACHINE);
        limits = limits_of(NULL, -1, 0);
        ASSERT_EQ(limits.set, SCOPE_LIMIT_MEMORY_MAX);
        ASSERT_EQ(limits.memory_max, UINT64_MAX);
}

TEST(lists)
{
        _cleanup_(scope_limits_done) ScopeLimits limits = {}, copy = {};
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
        ScopeLimits none;

        cpu.cpus = S("0-1,9");
        cpu.mems = S("0");
        limits = limits_of(&cpu, 0, 0);
        ASSERT_EQ(limits.set, SCOPE_LIMIT_CPUS | SCOPE_LIMIT_MEMORY_NODES);
        ASSERT_EQ(limits.cpus.n, 2);
        ASSERT_EQ(limits.cpus.bits[1], 2);
        ASSERT_OK(scope_limits_copy(&limits, &copy));
        ASSERT_OK(scope_limits_copy(&limits, &copy));
        ASSERT_EQ(copy.cpus.bits[0], 3);
        ASSERT_EQ(copy.set, limits.set);

        cpu.mems = S("0-");
        resources.cpu = &cpu;
        ASSERT_ERROR(scope_limits_from_resources(&resources, &none, &message), EINVAL);
        ASSERT_STREQ(message, "linux.resources.cpu.mems: '0-' is no list of numbers like 0-3,7");
        message = mfree(message);
        cpu.mems = S("");
        cpu.period = 999;
        ASSERT_ERROR(scope_limits_from_resources(&resources, &none, &message), EINVAL);
        ASSERT_STREQ(message, "linux.resources.cpu.period: 999 is not from 1000 to 1000000");
        message = mfree(message);
}

DEFINE_TEST_MAIN
