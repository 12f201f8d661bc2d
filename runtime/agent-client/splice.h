/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Copies bytes between a client of this host and a stream of the guest until the guest's side ends. Bounded:
 * one ring in each direction; a reader that does not read stops the writer on the other side. Neither side is
 * believed anything, nothing is parsed.
 *
 *      client ends its direction       the guest sees the end of its input
 *      client closes, or breaks        the end
 *      guest ends or breaks            what it sent goes to the client, then the end
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"

typedef struct Splice Splice;

/* The last thing a splice does; both descriptors are closed. May free it. */
typedef void (*SpliceEnd)(Splice *splice, void *userdata);

/* Takes both descriptors (stream sockets) on success. */
int splice_new(Splice **ret, sd_event *event, int client_fd, int guest_fd, SpliceEnd on_end,
               void *userdata);
/* Closes both. Accepts NULL, returns NULL. */
Splice *splice_free(Splice *splice);
DEFINE_CLEANUP_FUNC(Splice *, splice_free)

/* Bytes so far. */
void splice_totals(const Splice *splice, uint64_t *ret_to_guest, uint64_t *ret_to_client);
