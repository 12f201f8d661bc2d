/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Resumable byte ring: what was produced, what was sent, and what the receiver has acknowledged.
 *
 *      acked <= sent <= written         all three are totals since the ring was made
 *      written - released <= size       released = acked, or sent for a receiver that never acks
 *
 * A receiver that acknowledges (see ring_ack) gets everything it has not acknowledged once more after
 * ring_rewind(): at-least-once over any number of connections. A receiver that never acknowledges gets
 * a plain stream. Memory is bounded by size, given once.
 */

#include "basic/cleanup.h"

typedef struct Ring {
        uint8_t *data;
        size_t size;
        uint64_t written, sent, acked;
        uint64_t given_back;    /* written by the last ring_give_back() */
        bool acking;            /* the receiver has acknowledged at least once */
} Ring;

int ring_init(Ring *ring, size_t size);
void ring_done(Ring *ring);

/* Room for ring_write(). */
size_t ring_space(const Ring *ring);

/* Appends all n bytes or nothing (-ENOBUFS). */
int ring_write(Ring *ring, const void *data, size_t n);

/*
 * Where the next bytes go, contiguous, for whoever puts them there without a buffer between; *ret_n is 0 only if the
 * ring is full. ring_wrote() says how many there are then.
 */
void *ring_reserve(const Ring *ring, size_t *ret_n);
void ring_wrote(Ring *ring, size_t n);

/* Next unsent bytes, contiguous; *ret_n may be 0. Valid until the ring is changed. */
const void *ring_peek(const Ring *ring, size_t *ret_n);
void ring_sent(Ring *ring, size_t n);

/*
 * The receiver has total bytes; -EBADMSG if that was never sent or goes backwards. A first
 * acknowledgement that comes after the ring went round counts as one of the oldest byte still held.
 */
int ring_ack(Ring *ring, uint64_t total);

/* A new connection: send again from the first byte that is not acknowledged. */
void ring_rewind(Ring *ring);

/*
 * Gives memory back to the kernel if nothing in it is wanted any more, and min bytes or more went through it
 * since the last time. A ring that is used a little at a time would come to have all its pages otherwise.
 */
void ring_give_back(Ring *ring, size_t min);

/* Nothing unsent; and, for an acknowledging receiver, nothing unacknowledged. */
bool ring_is_drained(const Ring *ring);
