/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Linux capabilities by name, and the five sets of a process. Raw capset(2) and prctl(2): the guest
 * carries no libcap. Parsing has no side effects; caps_drop_bounding() and caps_apply() act on the
 * calling process and belong into the container's set-up child.
 */

#include "basic/cleanup.h"

typedef struct CapSets {
        uint64_t bounding, effective, inheritable, permitted, ambient;  /* bit n = capability n */
} CapSets;

/* "CAP_CHOWN" in any case, the prefix is required. The bit number, or -EINVAL. */
int cap_from_name(const char *name);
/* NULL for a number that has no name. */
const char *cap_to_name(unsigned cap);

/* ORs the named capabilities into *mask; -EINVAL with the name in the text. */
int caps_parse(char *const *names, size_t n, uint64_t *mask, char **reterr_message);

/* Refuses combinations that the kernel would reject: see capabilities(7), "capset". */
int caps_validate(const CapSets *sets, char **reterr_message);

/* Needs CAP_SETPCAP; capabilities that the kernel does not know are skipped. */
int caps_drop_bounding(const CapSets *sets);

/* Effective := permitted, for work between setuid() with keepcaps and caps_apply(). */
int caps_raise_effective(void);

/* Permitted, effective, inheritable and ambient set of this process. */
int caps_apply(const CapSets *sets);
