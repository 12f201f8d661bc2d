/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a container, step by step, and the way back from each step:
 *
 *      reserve         the directory in the store, which nobody else may have
 *      sandbox         the unit of the sandbox runs
 *      mount points    those that a read-only root lacks
 *      shim            the process that stands for the container, in its network namespace and the machine's scope
 *      hooks           prestart and createRuntime of the host
 *      task            the supervisor has made the container
 *      record          state.json says so
 *      pid file
 *
 * A killed create leaves what its last step has made; delete --force takes it away.
 */

#include "runtime/cli/container.h"
#include "runtime/cli/oci-bundle.h"
#include "runtime/cli/shim-process.h"

typedef struct CreateParams {
        const char *root, *id;
        const char *bundle;             /* NULL: the current directory */
        const char *pid_file;           /* NULL: none */
        const char *console_socket;     /* NULL: none */
        bool systemd_cgroup;            /* cgroupsPath is that of a systemd driver */
        bool foreground;                /* a terminal is that of our own standard streams */
} CreateParams;

/* ret is the container, created and locked; ret_shim waits for it already. */
int create_container(const CreateParams *params, CliContainer *ret, ShimProcess *ret_shim, char **reterr_message);
int start_container(CliContainer *c, char **reterr_message);
/* Ends it whatever it does, and forgets it; with force also what a killed create has left. */
int delete_container(CliContainer *c, bool force, char **reterr_message);

/* What a terminal needs, and what makes no sense without one. */
int check_terminal(bool terminal, const char *console_socket, bool foreground, char **reterr_message);
/* Its descriptors can not get into a machine. LISTEN_FDS=0 is none. */
int check_preserved_fds(const char *text, char **reterr_message);
