/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A pair: one directory with a guest kernel and the guest image that goes with it, all files whose names
 * begin with "vmlinux" or "guest.". It may have been built by another user: only regular files of bounded
 * size are taken, and what is checked is the copy that nobody else can write to.
 */

#include "basic/strv.h"
#include "guest-image/kernel-info.h"

typedef struct Pair {
        char *dir;
        Strv files;             /* names, sorted */
        KernelInfo kernel;
        char *version;          /* kernel release and eight digits of the content: names the pair */
} Pair;

void pair_done(Pair *pair);

/* Reads names and digests. That vmlinux, vmlinux.info, guest.img and guest.params are there is checked. */
int pair_read(const char *dir, Pair *ret, char **reterr_message);

/* Copies into a new directory (0755) and has everything on the disk before it returns. */
int pair_copy(const Pair *pair, const char *to, char **reterr_message);

/* The kernel is the one its description names and can be booted, the image matches its root hash. */
int pair_verify(const Pair *pair, char **reterr_message);
