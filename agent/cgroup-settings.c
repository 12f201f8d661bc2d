/* SPDX-License-Identifier: Apache-2.0 */
/* OCI resources as cgroup v2 file writes: see cgroup.h. Pure; input comes from the host. */

#include <inttypes.h>
#include <stdarg.h>

#include "agent/cgroup.h"
#include "basic/cgroup-weight.h"
#include "basic/error.h"
#include "basic/limits.h"

#define CPU_PERIOD_DEFAULT 100000U
#define CPUSET_TEXT_MAX 4096U

void cgroup_settings_done(CgroupSettings *settings)
{
        for (size_t i = 0; i < settings->n; i++) {
                free(settings->items[i].file);
                free(settings->items[i].value);
        }
        free(settings->items);
        *settings = (CgroupSettings) {};
}

static _printf_(4, 5) int add(CgroupSettings *settings, bool optional, const char *file,
                              const char *format, ...)
{
        CgroupSetting *items, item = { .optional = optional };
        va_list ap;
        int r;

        items = reallocarray(settings->items, settings->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        settings->items = items;

        va_start(ap, format);
        r = vasprintf(&item.value, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;

        item.file = strdup(file);
        if (!item.file) {
                free(item.value);
                return -ENOMEM;
        }

        settings->items[settings->n++] = item;
        return 0;
}

/* Limits of int64: -1 (any negative number) is "no limit". */
static int add_limit(CgroupSettings *settings, bool optional, const char *file, int64_t value)
{
        if (value < 0)
                return add(settings, optional, file, "max");

        return add(settings, optional, file, "%" PRIi64, value);
}

static int unsupported(char **reterr_message, const char *what)
{
        return error_setf(reterr_message, -EOPNOTSUPP,
                        "resources: %s is not supported with cgroup v2", what);
}

static int add_memory(CgroupSettings *s, const Grpc__LinuxMemory *memory, char **reterr_message)
{
        int r = 0;

        /* Kernel memory has no limit of its own any more; "unlimited" is what it is then. */
        if (memory->kernel > 0)
                return unsupported(reterr_message, "kernel memory limit");
        if (memory->kerneltcp > 0)
                return unsupported(reterr_message, "kernel TCP memory limit");
        if (memory->swappiness > 0)
                return unsupported(reterr_message, "swappiness");
        if (memory->disableoomkiller)
                return unsupported(reterr_message, "disabling the OOM killer");

        if (memory->limit != 0)
                r = add_limit(s, false, "memory.max", memory->limit);
        if (r >= 0 && memory->reservation != 0)
                r = add_limit(s, false, "memory.low", memory->reservation);
        if (r < 0)
                return r;

        /*
         * OCI counts memory and swap together, cgroup v2 swap alone. The file is missing in a
         * kernel without swap, where the limit holds by itself.
         */
        if (memory->swap > 0) {
                if (memory->limit <= 0)
                        return error_setf(reterr_message, -EINVAL,
                                          "resources: swap limit without memory limit");
                if (memory->swap < memory->limit)
                        return error_setf(reterr_message, -EINVAL,
                                          "resources: swap limit is below the memory limit");
                return add_limit(s, true, "memory.swap.max", memory->swap - memory->limit);
        }
        if (memory->swap < 0 || memory->limit < 0)
                return add_limit(s, true, "memory.swap.max", -1);

        return 0;
}

static bool cpuset_is_valid(const char *text)
{
        return strlen(text) <= CPUSET_TEXT_MAX && strspn(text, "0123456789,-") == strlen(text);
}

static int add_cpu(CgroupSettings *s, const Grpc__LinuxCPU *cpu, char **reterr_message)
{
        int r = 0;

        if (cpu->realtimeruntime != 0 || cpu->realtimeperiod != 0)
                return unsupported(reterr_message, "real-time CPU limit");
        if (!cpuset_is_valid(strempty(cpu->cpus)) || !cpuset_is_valid(strempty(cpu->mems)))
                return error_setf(reterr_message, -EINVAL,
                                "resources: malformed CPU or memory node list");

        if (cpu->shares != 0)
                r = add(s, false, "cpu.weight", "%" PRIu64, cgroup_weight_from_shares(cpu->shares));
        if (r >= 0 && (cpu->quota != 0 || cpu->period != 0)) {
                uint64_t period = cpu->period > 0 ? cpu->period : CPU_PERIOD_DEFAULT;

                r = cpu->quota > 0 ? add(s, false, "cpu.max", "%" PRIi64 " %" PRIu64, cpu->quota,
                                                     period)
                                   : add(s, false, "cpu.max", "max %" PRIu64, period);
        }
        if (r >= 0 && !isempty(cpu->cpus))
                r = add(s, false, "cpuset.cpus", "%s", cpu->cpus);
        if (r >= 0 && !isempty(cpu->mems))
                r = add(s, false, "cpuset.mems", "%s", cpu->mems);

        return r;
}

static bool number_is_valid(int64_t major, int64_t minor)
{
        return major >= 0 && major < 1 << 12 && minor >= 0 && minor < 1 << 20;
}

static int add_throttles(CgroupSettings *s, Grpc__LinuxThrottleDevice *const *devices, size_t n,
                         const char *key, char **reterr_message)
{
        if (n > SPEC_THROTTLES_MAX)
                return error_setf(reterr_message, -E2BIG, "resources: more than %u device limits",
                                  SPEC_THROTTLES_MAX);

        for (size_t i = 0; i < n; i++) {
                int r;

                if (!number_is_valid(devices[i]->major, devices[i]->minor))
                        return error_setf(reterr_message, -ERANGE, "resources: bad device number");

                r = devices[i]->rate > 0
                            ? add(s, false, "io.max", "%" PRIi64 ":%" PRIi64 " %s=%" PRIu64,
                                  devices[i]->major, devices[i]->minor, key, devices[i]->rate)
                            : add(s, false, "io.max", "%" PRIi64 ":%" PRIi64 " %s=max",
                                  devices[i]->major, devices[i]->minor, key);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int add_io(CgroupSettings *s, const Grpc__LinuxBlockIO *io, char **reterr_message)
{
        int r = 0;

        if (io->leafweight != 0)
                return unsupported(reterr_message, "I/O leaf weight");
        if (io->n_weightdevice > SPEC_THROTTLES_MAX)
                return error_setf(reterr_message, -E2BIG, "resources: more than %u device weights",
                                  SPEC_THROTTLES_MAX);

        if (io->weight != 0)
                r = add(s, false, "io.weight", "%" PRIu64, cgroup_io_weight(io->weight));
        for (size_t i = 0; r >= 0 && i < io->n_weightdevice; i++) {
                const Grpc__LinuxWeightDevice *d = io->weightdevice[i];

                if (d->leafweight != 0)
                        return unsupported(reterr_message, "I/O leaf weight");
                if (!number_is_valid(d->major, d->minor))
                        return error_setf(reterr_message, -ERANGE, "resources: bad device number");
                if (d->weight != 0)
                        r = add(s, false, "io.weight", "%" PRIi64 ":%" PRIi64 " %" PRIu64, d->major,
                                d->minor, cgroup_io_weight(d->weight));
        }

        if (r >= 0)
                r = add_throttles(s, io->throttlereadbpsdevice, io->n_throttlereadbpsdevice, "rbps",
                                  reterr_message);
        if (r >= 0)
                r = add_throttles(s, io->throttlewritebpsdevice, io->n_throttlewritebpsdevice,
                                "wbps", reterr_message);
        if (r >= 0)
                r = add_throttles(s, io->throttlereadiopsdevice, io->n_throttlereadiopsdevice,
                                "riops", reterr_message);
        if (r >= 0)
                r = add_throttles(s, io->throttlewriteiopsdevice, io->n_throttlewriteiopsdevice,
                                "wiops", reterr_message);

        return r;
}

static int add_hugepages(CgroupSettings *s, Grpc__LinuxHugepageLimit *const *limits, size_t n,
                         char **reterr_message)
{
        /* "2MB", "1GB": becomes part of a file name. */
        if (n > SPEC_THROTTLES_MAX)
                return error_setf(reterr_message, -E2BIG, "resources: too many hugepage limits");

        for (size_t i = 0; i < n; i++) {
                const char *size = strempty(limits[i]->pagesize);
                size_t digits = strspn(size, "0123456789");
                char file[64];
                int r;

                if (digits == 0 || digits > 8 ||
                    (!streq(size + digits, "KB") && !streq(size + digits, "MB") &&
                     !streq(size + digits, "GB")))
                        return error_setf(reterr_message, -EINVAL,
                                        "resources: bad hugepage size '%.20s'", size);

                /* Pages in use, and pages promised to mmap(): without the latter a container that
                 * maps too much is killed by SIGBUS instead of being refused (Linux 5.7). */
                for (unsigned k = 0; k < 2; k++) {
                        snprintf(file, sizeof(file), "hugetlb.%s.%s", size, k == 0 ? "max" : "rsvd.max");
                        r = limits[i]->limit > INT64_MAX
                                    ? add(s, k == 1, file, "max")
                                    : add(s, k == 1, file, "%" PRIu64, limits[i]->limit);
                        if (r < 0)
                                return r;
                }
        }

        return 0;
}

static bool unified_is_valid(const char *name)
{
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

        return name[0] != '.' && name[n] == '\0' && strchr(name, '.') && n < 128 && !startswith(name, "cgroup.");
}

int cgroup_settings_add_unified(CgroupSettings *settings, Grpc__StringEntry *const *entries, size_t n,
                                char **reterr_message)
{
        if (n > SPEC_UNIFIED_MAX)
                return error_setf(reterr_message, -E2BIG, "resources: more than %u unified settings",
                                  SPEC_UNIFIED_MAX);

        for (size_t i = 0; i < n; i++) {
                const char *name = entries[i]->key, *value = entries[i]->value;
                int r;

                if (!unified_is_valid(name))
                        return error_setf(reterr_message, -EINVAL, "resources: unified: '%.100s' is no file of a "
                                          "controller", name);
                if (strlen(value) >= CGROUP_SETTING_MAX)
                        return error_setf(reterr_message, -E2BIG, "resources: unified: value of %s is too long",
                                          name);
                r = add(settings, false, name, "%s", value);
                if (r < 0)
                        return r;
        }

        return 0;
}

int cgroup_settings_from_spec(CgroupSettings *ret, const Grpc__LinuxResources *resources,
                              char **reterr_message)
{
        _cleanup_(cgroup_settings_done) CgroupSettings s = {};
        int r = 0;

        if (resources) {
                if (resources->network &&
                    (resources->network->classid != 0 || resources->network->n_priorities > 0))
                        return unsupported(reterr_message, "network class");

                if (resources->memory)
                        r = add_memory(&s, resources->memory, reterr_message);
                if (r >= 0 && resources->cpu)
                        r = add_cpu(&s, resources->cpu, reterr_message);
                if (r >= 0 && resources->pids && resources->pids->limit != 0)
                        r = add_limit(&s, false, "pids.max", resources->pids->limit);
                if (r >= 0 && resources->blockio)
                        r = add_io(&s, resources->blockio, reterr_message);
                if (r >= 0)
                        r = add_hugepages(&s, resources->hugepagelimits,
                                        resources->n_hugepagelimits, reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = s;
        s = (CgroupSettings) {};
        return 0;
}
