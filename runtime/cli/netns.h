/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Network namespaces of the host, as callers name them. */

#include <sys/types.h>

#include "basic/cleanup.h"

/* Opens path, which has to be a network namespace (NS_GET_NSTYPE, Linux 4.11). Errors name it. */
int netns_open(const char *path, int *ret_fd, char **reterr_message);
/* That of a process. */
int netns_open_pid(pid_t pid, int *ret_fd, char **reterr_message);
