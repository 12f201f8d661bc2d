/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Values back to the text that a configuration file has for them. */

#include "runtime/conf/conf-value.h"

/*
 * New string that key->parse reads as the same value; "" for a string that is not set. -EOPNOTSUPP for kinds of
 * values that no node configuration has.
 */
int conf_key_format(const ConfKey *key, const void *base, char **ret);
