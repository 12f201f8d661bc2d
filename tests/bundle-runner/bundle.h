/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bundle as the agent takes it: the configuration that runtime/oci reads, with the paths that a bundle may give
 * relative to itself made absolute. The agent sees the same file systems, so nothing else has to change.
 */

#include "runtime/oci/spec-load.h"

/*
 * directory: NULL for the working directory. config: another file than its config.json, relative to the working
 * directory, or NULL. ret->bundle is absolute. -EOPNOTSUPP, by name, for what this runner can not do.
 */
int bundle_load(const char *directory, const char *config, OciSpec **ret, char **reterr_message);

/*
 * A process for "exec", in the memory of oci: from a file with an OCI process object, or that of the container's
 * configuration.
 */
int bundle_load_process(OciSpec *oci, const char *file, Grpc__Process **ret, char **reterr_message);
