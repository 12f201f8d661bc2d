/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Starting a kata-shim: the process of the host that stands for one of a container. Its parent goes away, so that
 * whoever is the subreaper of the caller (conmon, containerd's shim) gets its exit status.
 *
 *      shim_start()            forked, with our standard streams or a new terminal; FIFOs are there
 *      caller: Create or Exec  with the paths of the FIFOs
 *      shim_go()               it waits for the process and passes everything on
 *      shim_kill()             instead, when the process could not be made
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "runtime/cli/oci-bundle.h"

typedef struct ShimParams {
        const char *sandbox;            /* name */
        const char *id, *exec_id;       /* exec_id: "" for the container's first process */
        const char *directory;          /* for the FIFOs; exists */
        bool terminal;
        const char *console_socket;     /* with terminal: who gets the master; NULL: our own standard streams are one */
        uint16_t rows, columns;         /* with console_socket: the first size; 0: none */
        int netns_fd;                   /* network namespace it is to be in; -EBADF: ours */
        /* With namespaces and a root as the container has them (shim-root.h); NULL: ours. */
        const OciBundle *bundle;
} ShimParams;

typedef struct ShimProcess {
        pid_t pid;
        int pidfd;
        uint64_t start_time;
        int sync_fd;
        char *stdin_path, *stdout_path, *stderr_path;   /* "" for a stream that is not there */
} ShimProcess;

#define SHIM_PROCESS_NULL ((ShimProcess) { .pidfd = -EBADF, .sync_fd = -EBADF })

int shim_start(const ShimParams *params, ShimProcess *ret, char **reterr_message);
int shim_go(ShimProcess *shim, char **reterr_message);
/* Kills and reaps. */
void shim_kill(ShimProcess *shim);
/* Waits for its end, passing signals on; its exit status. For run and exec in the foreground. */
int shim_wait(ShimProcess *shim);
void shim_process_done(ShimProcess *shim);

/* As Go's console-socket clients want it: one message with the name as data and the master as descriptor. */
int console_socket_send(const char *path, int master, const char *name, char **reterr_message);
