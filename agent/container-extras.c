/* SPDX-License-Identifier: Apache-2.0 */
/* Properties beyond Kata's messages: see container-extras.h. Input comes from the host. */

#include "agent/container-extras.h"

#include <inttypes.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container-process.h"
#include "basic/cpu-list.h"
#include "basic/error.h"
#include "basic/limits.h"

#define IO_PRIORITY_MAX 7
/* Without one in the configuration, as runc and crun have it. */
#define UMASK_DEFAULT 0022
#define NICE_MIN (-20)
#define NICE_MAX 19
#define NSEC_PER_SEC 1000000000U
/* Offsets that the kernel takes are far smaller: no clock may pass KTIME_MAX / 2. */
#define TIME_OFFSETS_MAX 2U

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

typedef struct Word {
        const char *name;
        uint64_t value;
} Word;

static const Word policies[] = {
        { "SCHED_OTHER", SCHED_OTHER }, { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR },
        { "SCHED_BATCH", SCHED_BATCH }, { "SCHED_IDLE", SCHED_IDLE }, { "SCHED_DEADLINE", SCHED_DEADLINE },
};

/* include/uapi/linux/sched.h: SCHED_FLAG_* */
static const Word scheduler_flags[] = {
        { "SCHED_FLAG_RESET_ON_FORK", 0x01 }, { "SCHED_FLAG_RECLAIM", 0x02 },
        { "SCHED_FLAG_DL_OVERRUN", 0x04 },    { "SCHED_FLAG_KEEP_POLICY", 0x08 },
        { "SCHED_FLAG_KEEP_PARAMS", 0x10 },
};

static const Word io_classes[] = {
        { "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
        { "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
        { "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
};

static const Word personalities[] = {
        { "LINUX", PER_LINUX },
        { "LINUX32", PER_LINUX32 },
};

static int find_word(const Word *words, size_t n, const char *name, uint64_t *ret)
{
        for (size_t i = 0; i < n; i++)
                if (streq(words[i].name, name)) {
                        *ret = words[i].value;
                        return 0;
                }

        return -EINVAL;
}

void container_extras_done(ContainerExtras *extras)
{
        free(extras->domainname);
        free(extras->time_offsets);
        *extras = (ContainerExtras) {};
}

/* The first property that is set, as OCI calls it, leaving out those of a process, or unified. */
static const char *find_property(const Kata__Systemd__V1__SpecExtension *in, bool process, bool unified)
{
        return !isempty(in->domainname)        ? "domainname"
               : in->personality               ? "personality"
               : in->n_time_offsets > 0        ? "timeOffsets"
               : in->n_mount_mappings > 0      ? "a mount's mapping"
               : unified && in->n_unified > 0  ? "unified"
               : process && in->has_umask      ? "umask"
               : process && in->io_priority    ? "ioPriority"
               : process && in->scheduler      ? "scheduler"
               : process && in->exec_cpu_affinity ? "execCPUAffinity"
                                               : NULL;
}

static int parse_domainname(ContainerExtras *extras, const char *name, uint64_t namespaces, char **reterr_message)
{
        if (isempty(name))
                return 0;
        if (!(namespaces & CLONE_NEWUTS))
                return error_setf(reterr_message, -EINVAL, "domainname without a uts namespace");
        if (strlen(name) > HOSTNAME_LEN_MAX)
                return error_setf(reterr_message, -ENAMETOOLONG, "domainname is longer than %u bytes",
                                  HOSTNAME_LEN_MAX);

        extras->domainname = strdup(name);
        return extras->domainname ? 0 : -ENOMEM;
}

static int parse_io_priority(ContainerExtras *extras, const Kata__Systemd__V1__IOPriority *in,
                             char **reterr_message)
{
        uint64_t io_class;

        if (find_word(io_classes, ELEMENTSOF(io_classes), in->io_class, &io_class) < 0)
                return error_setf(reterr_message, -EINVAL, "ioPriority: unknown class '%.50s'", in->io_class);
        if (in->priority < 0 || in->priority > IO_PRIORITY_MAX)
                return error_setf(reterr_message, -ERANGE, "ioPriority: priority %d is not 0 to %d", in->priority,
                                  IO_PRIORITY_MAX);

        extras->io_priority = (int) (io_class << IOPRIO_CLASS_SHIFT) | in->priority;
        return 0;
}

static int parse_scheduler(ContainerExtras *extras, const Kata__Systemd__V1__Scheduler *in, char **reterr_message)
{
        SchedulerPlan *s = &extras->scheduler;
        uint64_t policy, flag;

        if (find_word(policies, ELEMENTSOF(policies), in->policy, &policy) < 0)
                return error_setf(reterr_message, -EINVAL, "scheduler: unknown policy '%.50s'", in->policy);
        for (size_t i = 0; i < in->n_flags; i++) {
                if (find_word(scheduler_flags, ELEMENTSOF(scheduler_flags), in->flags[i], &flag) < 0)
                        return error_setf(reterr_message, -EOPNOTSUPP, "scheduler: flag '%.50s' is not supported",
                                          in->flags[i]);
                s->flags |= flag;
        }
        if (in->nice < NICE_MIN || in->nice > NICE_MAX)
                return error_setf(reterr_message, -ERANGE, "scheduler: nice %d is not %d to %d", in->nice, NICE_MIN,
                                  NICE_MAX);
        if (in->priority < 0 || in->priority > 99)
                return error_setf(reterr_message, -ERANGE, "scheduler: priority %d is not 0 to 99", in->priority);
        if (policy != SCHED_DEADLINE && (in->runtime || in->deadline || in->period))
                return error_setf(reterr_message, -EINVAL, "scheduler: runtime, deadline and period are for "
                                  "SCHED_DEADLINE only");

        s->policy = (uint32_t) policy;
        s->nice = in->nice;
        s->priority = (uint32_t) in->priority;
        s->runtime = in->runtime;
        s->deadline = in->deadline;
        s->period = in->period;
        extras->has_scheduler = true;
        return 0;
}

static int parse_personality(ContainerExtras *extras, const Kata__Systemd__V1__Personality *in,
                             char **reterr_message)
{
        uint64_t domain;

        if (find_word(personalities, ELEMENTSOF(personalities), in->domain, &domain) < 0)
                return error_setf(reterr_message, -EINVAL, "personality: unknown domain '%.50s'", in->domain);
        if (in->n_flags > 0)
                return error_setf(reterr_message, -EOPNOTSUPP, "personality: flags are not supported");

        extras->personality = (unsigned long) domain;
        extras->has_personality = true;
        return 0;
}

static int parse_time_offsets(ContainerExtras *extras, const Kata__Systemd__V1__SpecExtension *in,
                              uint64_t namespaces, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;

        if (in->n_time_offsets == 0)
                return 0;
        if (!(namespaces & CLONE_NEWTIME))
                return error_setf(reterr_message, -EINVAL, "timeOffsets without a time namespace");
        if (in->n_time_offsets > TIME_OFFSETS_MAX)
                return error_setf(reterr_message, -E2BIG, "timeOffsets: more than %u clocks", TIME_OFFSETS_MAX);

        for (size_t i = 0; i < in->n_time_offsets; i++) {
                const Kata__Systemd__V1__TimeOffset *o = in->time_offsets[i];
                char *longer;

                if (!streq(o->clock, "monotonic") && !streq(o->clock, "boottime"))
                        return error_setf(reterr_message, -EINVAL, "timeOffsets: unknown clock '%.50s'", o->clock);
                if (o->nanosecs >= NSEC_PER_SEC)
                        return error_setf(reterr_message, -ERANGE, "timeOffsets: nanosecs of %s is a second or "
                                          "more", o->clock);
                if (asprintf(&longer, "%s%s %" PRIi64 " %" PRIu32 "\n", strempty(text), o->clock, o->secs,
                             o->nanosecs) < 0)
                        return -ENOMEM;
                free(text);
                text = longer;
        }

        extras->time_offsets = TAKE_PTR(text);
        return 0;
}

static int parse_process(ContainerExtras *extras, const Kata__Systemd__V1__SpecExtension *in, char **reterr_message)
{
        int r = 0;

        if (in->has_umask) {
                if (in->umask > 0777)
                        return error_setf(reterr_message, -ERANGE, "umask %o is not 0 to 777", in->umask);
                extras->has_umask = true;
                extras->umask = in->umask;
        }
        if (in->io_priority)
                r = parse_io_priority(extras, in->io_priority, reterr_message);
        if (r >= 0 && in->scheduler)
                r = parse_scheduler(extras, in->scheduler, reterr_message);
        return r;
}

static int parse_cpus(const char *what, const char *text, bool *ret_has, cpu_set_t *ret, char **reterr_message)
{
        CpuList list = {};
        int r;

        if (isempty(text))
                return 0;
        r = cpu_list_parse(text, &list);
        CPU_ZERO(ret);
        for (size_t i = 0; r >= 0 && i < list.n * 8; i++) {
                if (!(list.bits[i / 8] & 1U << i % 8))
                        continue;
                if (i >= CPU_SETSIZE)
                        r = -ERANGE;
                else
                        CPU_SET(i, ret);
        }
        cpu_list_done(&list);
        if (r < 0)
                return error_setf(reterr_message, r, "execCPUAffinity: %s '%.50s' is no list of processors below %d",
                                  what, text, CPU_SETSIZE);
        *ret_has = true;
        return 0;
}

static int parse_affinity(ContainerExtras *extras, const Kata__Systemd__V1__ExecCPUAffinity *in, char **reterr_message)
{
        int r = parse_cpus("initial", in->initial, &extras->has_initial_cpus, &extras->initial_cpus, reterr_message);

        return r < 0 ? r : parse_cpus("final", in->final, &extras->has_final_cpus, &extras->final_cpus,
                                      reterr_message);
}

int container_extras_parse_process(ContainerExtras *ret, const Kata__Systemd__V1__SpecExtension *in,
                                   char **reterr_message)
{
        ContainerExtras extras = {};
        const char *other;
        int r = 0;

        if (in) {
                other = find_property(in, false, true);
                if (other)
                        return error_setf(reterr_message, -EINVAL, "%s is no property of a process", other);
                r = parse_process(&extras, in, reterr_message);
                if (r >= 0 && in->exec_cpu_affinity)
                        r = parse_affinity(&extras, in->exec_cpu_affinity, reterr_message);
        }
        if (r >= 0)
                *ret = extras;
        return r;
}

int container_extras_check_update(const Kata__Systemd__V1__SpecExtension *in, char **reterr_message)
{
        const char *other = find_property(in, true, false);

        return other ? error_setf(reterr_message, -EINVAL, "%s can not be changed later", other) : 0;
}

int container_extras_parse(ContainerExtras *ret, const Kata__Systemd__V1__SpecExtension *in, uint64_t namespaces,
                           char **reterr_message)
{
        _cleanup_(container_extras_done) ContainerExtras extras = {};
        int r;

        if (in->exec_cpu_affinity)
                return error_setf(reterr_message, -EINVAL, "execCPUAffinity is of further processes");
        r = parse_domainname(&extras, in->domainname, namespaces, reterr_message);
        if (r >= 0)
                r = parse_process(&extras, in, reterr_message);
        if (r >= 0 && in->personality)
                r = parse_personality(&extras, in->personality, reterr_message);
        if (r >= 0)
                r = parse_time_offsets(&extras, in, namespaces, reterr_message);
        if (r < 0)
                return r;

        *ret = extras;
        extras = (ContainerExtras) {};
        return 0;
}

int extras_set_domainname(const ContainerExtras *extras, char **reterr_message)
{
        int r;

        if (!extras->domainname || setdomainname(extras->domainname, strlen(extras->domainname)) >= 0)
                return 0;
        r = negative_errno();
        return error_setf(reterr_message, r, "domainname: %s", strerror(-r));
}

/*
 * Offsets can be written until the first process enters, so the namespace is not made by clone(): it is for the
 * children of this process, and for the program that it executes (Linux 6.1).
 */
int extras_enter_time(const ContainerExtras *extras, int proc_fd, char **reterr_message)
{
        int r;

        if (!extras->time_offsets)
                return 0;
        r = unshare(CLONE_NEWTIME) < 0 ? negative_errno()
                                       : process_set_attribute(proc_fd, "/self/timens_offsets",
                                                               extras->time_offsets);
        return r < 0 ? error_setf(reterr_message, r, "time namespace: %s", strerror(-r)) : 0;
}

/* As in linux/sched/types.h, which can not be included together with the one of libc. */
typedef struct SchedAttr {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
} SchedAttr;

int extras_schedule(const ContainerExtras *extras, pid_t pid, char **reterr_message)
{
        const SchedulerPlan *s = &extras->scheduler;
        SchedAttr attr = {
                .size = sizeof(attr), .policy = s->policy, .flags = s->flags, .nice = s->nice,
                .priority = s->priority, .runtime = s->runtime, .deadline = s->deadline, .period = s->period,
        };
        int r;

        if (extras->has_scheduler && syscall(SYS_sched_setattr, pid, &attr, 0) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "scheduler: %s", strerror(-r));
        }
        if (extras->io_priority != 0 &&
            syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, extras->io_priority) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "ioPriority: %s", strerror(-r));
        }
        return 0;
}

static int set_cpus(bool has, const cpu_set_t *cpus, char **reterr_message)
{
        int r;

        if (!has || sched_setaffinity(0, sizeof(*cpus), cpus) >= 0)
                return 0;
        r = negative_errno();
        return error_setf(reterr_message, r, "execCPUAffinity: %s", r == -EINVAL ?
                          "no processor of the list is the container's" : strerror(-r));
}

int extras_set_initial_cpus(const ContainerExtras *extras, char **reterr_message)
{
        return set_cpus(extras->has_initial_cpus, &extras->initial_cpus, reterr_message);
}

int extras_set_final_cpus(const ContainerExtras *extras, char **reterr_message)
{
        return set_cpus(extras->has_final_cpus, &extras->final_cpus, reterr_message);
}

int extras_set_personality(const ContainerExtras *extras, char **reterr_message)
{
        int r;

        if (extras->has_personality && personality(extras->personality) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "personality: %s", strerror(-r));
        }
        return 0;
}

void extras_set_umask(const ContainerExtras *extras)
{
        umask(extras->has_umask ? extras->umask : UMASK_DEFAULT);
}
