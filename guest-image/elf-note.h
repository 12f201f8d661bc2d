/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one thing that a kernel file has to say to be bootable without firmware. */

#include "basic/cleanup.h"

/*
 * True for a 64-bit x86 ELF file with a PVH entry note (Xen note 18, see Linux include/xen/interface/elfnote.h)
 * in a note segment. Any bytes may be given.
 */
bool elf_has_pvh_note(const void *data, size_t n);
