/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OCI configuration of a container that is a root directory and a command: what `runc spec` would
 * write, with the capabilities that podman gives. Pure. The result is the host's view, see
 * spec-guest.h.
 */

#include "runtime/oci/spec-load.h"

typedef struct OciDefaults {
        const char *root_directory; /* absolute */
        const Strv *command;        /* at least one word */
        const Strv *environment;    /* NAME=VALUE; may be NULL */
        const char *working_directory; /* NULL: "/" */
        const char *hostname;
        uint32_t uid, gid;
        bool read_only;
        uint64_t memory; /* bytes; 0: no limit */
} OciDefaults;

int oci_spec_new_default(const OciDefaults *defaults, OciSpec **ret);
