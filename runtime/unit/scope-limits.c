/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of scopes: see scope-limits.h. Values are a caller's; the peer is PID 1. */

#include "runtime/unit/scope-limits.h"

#include <inttypes.h>

#include "basic/cgroup-weight.h"
#include "basic/error.h"

#define CPU_PERIOD_DEFAULT 100000U

/* Where each is, and as which property. */
static const struct {
        ScopeLimit limit;
        UnitPropId prop;
        size_t offset;
        bool list;              /* a CpuList, else uint64_t */
} table[] = {
        { SCOPE_LIMIT_CPU_WEIGHT, UNIT_PROP_CPU_WEIGHT, offsetof(ScopeLimits, cpu_weight) },
        { SCOPE_LIMIT_CPU_PERIOD, UNIT_PROP_CPU_QUOTA_PERIOD, offsetof(ScopeLimits, cpu_period) },
        { SCOPE_LIMIT_CPU_QUOTA, UNIT_PROP_CPU_QUOTA, offsetof(ScopeLimits, cpu_quota) },
        { SCOPE_LIMIT_CPUS, UNIT_PROP_ALLOWED_CPUS, offsetof(ScopeLimits, cpus), true },
        { SCOPE_LIMIT_MEMORY_NODES, UNIT_PROP_ALLOWED_MEMORY_NODES, offsetof(ScopeLimits, memory_nodes), true },
        { SCOPE_LIMIT_IO_WEIGHT, UNIT_PROP_IO_WEIGHT, offsetof(ScopeLimits, io_weight) },
        { SCOPE_LIMIT_MEMORY_MAX, UNIT_PROP_MEMORY_MAX, offsetof(ScopeLimits, memory_max) },
        { SCOPE_LIMIT_TASKS_MAX, UNIT_PROP_TASKS_MAX, offsetof(ScopeLimits, tasks_max) },
};

void scope_limits_done(ScopeLimits *limits)
{
        cpu_list_done(&limits->cpus);
        cpu_list_done(&limits->memory_nodes);
        *limits = (ScopeLimits) {};
}

int scope_limits_copy(const ScopeLimits *limits, ScopeLimits *ret)
{
        _cleanup_(scope_limits_done) ScopeLimits copy = *limits;
        int r;

        copy.cpus = copy.memory_nodes = (CpuList) {};
        r = cpu_list_set(&copy.cpus, limits->cpus.bits, limits->cpus.n);
        if (r >= 0)
                r = cpu_list_set(&copy.memory_nodes, limits->memory_nodes.bits, limits->memory_nodes.n);
        if (r < 0)
                return r;
        scope_limits_done(ret);
        *ret = copy;
        copy = (ScopeLimits) {};
        return 0;
}

/* --- of OCI --- */

static uint64_t quota_per_second(uint64_t quota, uint64_t period)
{
        uint64_t usec;

        if (__builtin_mul_overflow(quota, USEC_PER_SEC, &usec) || usec / period >= SCOPE_CPU_QUOTA_MAX)
                return UINT64_MAX;
        usec = (usec / period + SCOPE_CPU_QUOTA_STEP - 1) / SCOPE_CPU_QUOTA_STEP * SCOPE_CPU_QUOTA_STEP;
        return MAX(usec, (uint64_t) SCOPE_CPU_QUOTA_MIN);
}

static int take_list(const char *text, const char *name, ScopeLimit limit, CpuList *list, ScopeLimits *limits,
                     char **reterr_message)
{
        int r;

        if (isempty(text))
                return 0;
        r = cpu_list_parse(text, list);
        if (r == -EINVAL) {
                _cleanup_free_ char *shown = text_escape(text, strlen(text), 80);

                return error_setf(reterr_message, r, "linux.resources.cpu.%s: '%s' is no list of numbers like 0-3,7",
                                  name, strempty(shown));
        }
        limits->set |= limit;
        return r;
}

static int take_cpu(const Grpc__LinuxCPU *cpu, ScopeLimits *limits, char **reterr_message)
{
        int r;

        if (cpu->shares != 0) {
                limits->cpu_weight = cgroup_weight_from_shares(cpu->shares);
                limits->set |= SCOPE_LIMIT_CPU_WEIGHT;
        }
        if (cpu->period != 0 && (cpu->period < SCOPE_CPU_PERIOD_MIN || cpu->period > SCOPE_CPU_PERIOD_MAX))
                return error_setf(reterr_message, -EINVAL,
                                  "linux.resources.cpu.period: %" PRIu64 " is not from %u to %u", cpu->period,
                                  SCOPE_CPU_PERIOD_MIN, SCOPE_CPU_PERIOD_MAX);
        if (cpu->period != 0) {
                limits->cpu_period = cpu->period;
                limits->set |= SCOPE_LIMIT_CPU_PERIOD;
        }
        if (cpu->quota != 0 || cpu->period != 0) {
                limits->cpu_quota = cpu->quota > 0 ? quota_per_second((uint64_t) cpu->quota, cpu->period > 0 ?
                                                                      cpu->period : CPU_PERIOD_DEFAULT) :
                                                     UINT64_MAX;
                limits->set |= SCOPE_LIMIT_CPU_QUOTA;
        }
        r = take_list(cpu->cpus, "cpus", SCOPE_LIMIT_CPUS, &limits->cpus, limits, reterr_message);
        return r < 0 ? r : take_list(cpu->mems, "mems", SCOPE_LIMIT_MEMORY_NODES, &limits->memory_nodes, limits,
                                     reterr_message);
}

int scope_limits_from_resources(const Grpc__LinuxResources *resources, ScopeLimits *ret, char **reterr_message)
{
        _cleanup_(scope_limits_done) ScopeLimits limits = {};
        int r = 0;

        if (resources && resources->memory && resources->memory->limit != 0) {
                limits.memory_max = resources->memory->limit > 0 ? SCOPE_MEMORY_OF_MACHINE : UINT64_MAX;
                limits.set |= SCOPE_LIMIT_MEMORY_MAX;
        }
        if (resources && resources->blockio && resources->blockio->weight != 0) {
                limits.io_weight = cgroup_io_weight(resources->blockio->weight);
                limits.set |= SCOPE_LIMIT_IO_WEIGHT;
        }
        if (resources && resources->cpu)
                r = take_cpu(resources->cpu, &limits, reterr_message);
        if (r < 0)
                return r;

        *ret = limits;
        limits = (ScopeLimits) {};
        return 0;
}

/* --- of units --- */

static const void *field_of(const ScopeLimits *limits, size_t i)
{
        return (const char *) limits + table[i].offset;
}

int scope_limits_add(const ScopeLimits *limits, UnitProps *props)
{
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(table) && r >= 0; i++) {
                const void *field = field_of(limits, i);

                if (!(limits->set & table[i].limit))
                        continue;
                if (table[i].list) {
                        const CpuList *list = field;

                        r = unit_props_add_bytes(props, table[i].prop, list->bits, list->n);
                } else
                        r = unit_props_add_u64(props, table[i].prop, *(const uint64_t *) field);
        }
        return r;
}

static int read_value(sd_bus_message *m, size_t i, ScopeLimits *limits)
{
        void *field = (char *) limits + table[i].offset;
        const void *bits;
        size_t n;
        int r;

        if (!table[i].list)
                r = sd_bus_message_read(m, "v", "t", (uint64_t *) field);
        else {
                r = sd_bus_message_enter_container(m, 'v', "ay");
                if (r >= 0)
                        r = sd_bus_message_read_array(m, 'y', &bits, &n);
                if (r >= 0)
                        r = cpu_list_set(field, bits, n);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                limits->set |= table[i].limit;
        return r;
}

static int read_entry(sd_bus_message *m, ScopeLimits *limits)
{
        const char *name;
        int r = sd_bus_message_read(m, "s", &name);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(name, unit_prop_name(table[i].prop)))
                        return read_value(m, i, limits);
        return sd_bus_message_skip(m, "v");
}

int scope_limits_read(sd_bus_message *m, ScopeLimits *ret)
{
        _cleanup_(scope_limits_done) ScopeLimits limits = {};
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, &limits);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;

        *ret = limits;
        limits = (ScopeLimits) {};
        return 0;
}
