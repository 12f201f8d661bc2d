/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One more process in a container: in all its namespaces and its cgroup, under its system call filter, with
 * user, capabilities, limits, directory and environment of its own.
 *
 * Two children. The first, the joiner, stays in the agent's pid namespace, where no container sees it. It
 * drops every descriptor of the agent, enters the namespaces of the container's init process, and makes the
 * second one beside itself (CLONE_PARENT), inside the cgroup. That one is visible to the container from its
 * first moment: by then it holds nothing but its standard streams and is not dumpable (CVE-2016-9962), its
 * root and directory are the container's (CVE-2024-21626), and no program of the agent is executed in there
 * (CVE-2019-5736). It goes on when the agent knows of it, so that its end belongs to nobody else.
 *
 * In a container with a user namespace both are inside of it as soon as they are inside of anything: the
 * second one with the guest's user id and no privilege outside, until the agent has set its resource limits
 * and it becomes root of the namespace (container-userns.h).
 *
 *      JOINING → SETTING_UP → RUNNING → EXITED
 */

#include "agent/container.h"

typedef struct ContainerExec ContainerExec;

typedef struct ContainerExecHandlers {
        /* The master of the process's terminal, before on_started. Takes fd. */
        void (*on_terminal)(ContainerExec *e, int fd, void *userdata);
        /*
         * error 0: the program runs. Otherwise -errno with a one-line message in the words of runc (-ENOENT,
         * 127 for a shell; -EACCES, 126), and nothing else follows.
         */
        void (*on_started)(ContainerExec *e, int error, const char *message, void *userdata);
        /* Exit code, or 128 + signal. The last call. */
        void (*on_exit)(ContainerExec *e, int status, void *userdata);
        void *userdata;
} ContainerExecHandlers;

/*
 * Each handler may call container_exec_free(). The descriptors of io stay the caller's. extension: umask, I/O priority
 * and scheduler of this process, or NULL; it has none of the init process's, as with runc and crun. The personality is
 * the container's, as there.
 */
int container_exec(ContainerExec **ret, const Container *c, const Grpc__Process *process,
                   const Kata__Systemd__V1__SpecExtension *extension, const ContainerIo *io,
                   const ContainerExecHandlers *handlers, char **reterr_message);

/* -ESRCH once it is gone, -EBUSY before it runs. */
int container_exec_signal(const ContainerExec *e, int sig);
pid_t container_exec_pid(const ContainerExec *e);       /* as the agent sees it; 0 when not running */

/* Kills the process; no handler is called any more. It is reaped later. */
ContainerExec *container_exec_free(ContainerExec *e);
