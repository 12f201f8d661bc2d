/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Properties of a container that Kata's messages have no field for (proto/extension.proto), checked and in the
 * kernel's terms. Pure, but for the functions that act on the calling process, the set-up child.
 *
 * Facts: opencontainers/runtime-spec 1.2, config.md and config-linux.md; sched(7), ioprio_set(2), personality(2),
 * time_namespaces(7).
 */

#include <sched.h>
#include <sys/types.h>

#include "basic/cleanup.h"
#include "proto/extension.pb-c.h"

typedef struct SchedulerPlan {
        uint32_t policy;                /* SCHED_* */
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;     /* ns */
} SchedulerPlan;

typedef struct ContainerExtras {
        char *domainname;               /* NULL: not set */
        bool has_umask;
        mode_t umask;
        int io_priority;                /* as ioprio_set(2) takes it; 0: not set */
        bool has_scheduler;
        SchedulerPlan scheduler;
        bool has_personality;
        unsigned long personality;
        bool has_initial_cpus, has_final_cpus;
        cpu_set_t initial_cpus, final_cpus;     /* of a process that joins */
        char *time_offsets;             /* as /proc/PID/timens_offsets takes them; NULL: none */
} ContainerExtras;

void container_extras_done(ContainerExtras *extras);

/*
 * Without unified, which belongs to the cgroup, and the mappings of mounts. namespaces: CLONE_NEW* of the container.
 * *ret is untouched on failure.
 */
int container_extras_parse(ContainerExtras *ret, const Kata__Systemd__V1__SpecExtension *extension,
                           uint64_t namespaces, char **reterr_message);

/*
 * The same for a process that joins: umask, I/O priority, scheduler and processors. -EINVAL names anything else that is
 * set.
 * extension may be NULL.
 */
int container_extras_parse_process(ContainerExtras *ret, const Kata__Systemd__V1__SpecExtension *extension,
                                   char **reterr_message);
/* And for an update, which has unified only. */
int container_extras_check_update(const Kata__Systemd__V1__SpecExtension *extension, char **reterr_message);

/* In the container's uts namespace. */
int extras_set_domainname(const ContainerExtras *extras, char **reterr_message);
/* A time namespace with the offsets for whatever this process executes. proc_fd: procfs of its pid namespace. */
int extras_enter_time(const ContainerExtras *extras, int proc_fd, char **reterr_message);
/*
 * Scheduler and I/O priority of a process, 0 for the calling one; takes the guest's privileges, so for a process in a
 * user namespace the agent does it.
 */
int extras_schedule(const ContainerExtras *extras, pid_t pid, char **reterr_message);
/*
 * Processors of the calling process: the first while it is not in the container's cgroup yet, the second in there. The
 * kernel refuses a list without a processor that the guest has, and that the cgroup allows.
 */
int extras_set_initial_cpus(const ContainerExtras *extras, char **reterr_message);
int extras_set_final_cpus(const ContainerExtras *extras, char **reterr_message);
/* Of the calling process, for the program that it executes. */
int extras_set_personality(const ContainerExtras *extras, char **reterr_message);
/* Last, with no more files to be made. */
void extras_set_umask(const ContainerExtras *extras);
