/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The key tables, for the parsers, tests and the check of the manual pages. Read-only data. */

#include "runtime/conf/conf-value.h"

extern const ConfKey node_conf_table[];

/* [Container NAME] has the section name "Container" here. */
extern const ConfKey sandbox_conf_table[];   /* offsets in SandboxConf */
extern const ConfKey container_conf_table[]; /* offsets in ContainerConf */

#define ACCEPTS_KERNEL_MODULES "NAME [PARAMETER=VALUE...], several with ';' between them"

/* Words of ConfAccelerator and ConfTransport. */
extern const char *const conf_accelerator_words[];
extern const char *const conf_transport_words[];
