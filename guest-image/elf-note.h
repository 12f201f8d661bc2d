/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Notes of ELF files, in their note segments. Any bytes may be given. */

#include "basic/cleanup.h"

/*
 * The first note of that name and type in a 64-bit x86 file: its descriptor in *ret, *ret_size bytes of
 * data. False if there is none.
 */
bool elf_find_note(const void *data, size_t n, const char *name, uint32_t type, const void **ret,
                   size_t *ret_size);

/*
 * The one thing that a kernel has to say to be bootable without firmware: the PVH entry note (Xen note 18,
 * see Linux include/xen/interface/elfnote.h).
 */
bool elf_has_pvh_note(const void *data, size_t n);
