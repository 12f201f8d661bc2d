/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the supervisor is going to refuse of a bundle, found before a machine is booted for it: the form of
 * config.json and the root directory. The supervisor reads it again, and checks the rest.
 */

#include "runtime/cli/oci-bundle.h"

/* -ENOENT, -ENOTDIR for the root directory; others as oci_spec_load(). Errors name file and property. */
int bundle_check(const OciBundle *bundle, char **reterr_message);
