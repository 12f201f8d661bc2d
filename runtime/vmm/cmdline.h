/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernel command line of the guest, made from a validated VmConfig. Host side. The operator's
 * words come last and can not replace what verification and the agent rest on.
 */

#include "runtime/vmm/vm-config.h"

/* Ports of the agent: docs/PROTOCOL.md. */
#define AGENT_PORT 1024U
#define AGENT_LOG_PORT 1025U
#define AGENT_DEBUG_CONSOLE_PORT 1026U
#define AGENT_PASSFD_PORT 1027U
#define AGENT_NOTIFY_MUX_PORT 1029U

/* Name of the virtio-serial port that carries the agent in VM_TRANSPORT_SERIAL. */
#define AGENT_CHANNEL_NAME "agent.channel.0"

/* -E2BIG if it would not fit the guest kernel (2048 bytes with QEMU's own additions). */
int kernel_cmdline_build(const VmConfig *config, char **ret, char **reterr_message);

/*
 * Words an operator may add: printable ASCII, balanced quotes, and none of the parameters that are
 * ours (agent.*, dm-mod.*, root*, ro, rw, virtio_mmio.*, "--"). NULL and "" are fine. init= is
 * allowed: it is how one debugs a guest.
 */
int kernel_parameters_validate(const char *parameters, char **reterr_message);
