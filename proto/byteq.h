/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A queue of bytes in one contiguous buffer: appended behind, consumed in front. It grows with what
 * is in it, up to the maximum given with each append. Pure data, no trust boundary.
 */

#include "basic/cleanup.h"

typedef struct ByteQueue {
        uint8_t *data;
        size_t head, n, allocated;      /* the bytes are data[head .. head + n) */
} ByteQueue;

void byteq_done(ByteQueue *q);
/* Empties it; a big buffer is given back. */
void byteq_clear(ByteQueue *q);

/* Makes room for n bytes in all, so that appends up to there can not fail. */
int byteq_reserve(ByteQueue *q, size_t n);

/* All n bytes or none: -ENOBUFS if there would be more than max, -ENOMEM. */
int byteq_append(ByteQueue *q, const void *data, size_t n, size_t max);

/* NULL while it is empty. */
static inline const uint8_t *byteq_head(const ByteQueue *q)
{
        return q->n > 0 ? q->data + q->head : NULL;
}

void byteq_consume(ByteQueue *q, size_t n);
