/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an agent on the machine of somebody else (host-mode.h) does not do: requests that would change that
 * machine. Asked before a request reaches its method, without side effects. Each method has its line in the
 * table of host-guard.c; one without is refused, so that a new method cannot be forgotten.
 *
 *      always          clock, random numbers, processors, memory, swap, kernel modules
 *      not as root     also network, mounts, host name: only root's agent has namespaces of its own for them
 */

#include <protobuf-c/protobuf-c.h>

#include "agent/sandbox.h"

/* input: as for the method's handler. 0, or -EBUSY with a text that names the method and the reason. */
int host_guard(const SandboxPlace *place, const char *method, const void *input, char **reterr_message);
