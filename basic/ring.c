/* SPDX-License-Identifier: Apache-2.0 */
/* Resumable byte ring: see ring.h. ring_ack() takes a number from the peer and checks it. */

#include "basic/ring.h"

#include <sys/mman.h>
#include <unistd.h>

int ring_init(Ring *ring, size_t size)
{
        uint8_t *data = malloc(size);

        if (!data)
                return -ENOMEM;

        *ring = (Ring) { .data = data, .size = size };
        return 0;
}

void ring_done(Ring *ring)
{
        free(ring->data);
        *ring = (Ring) {};
}

static uint64_t ring_released(const Ring *ring)
{
        return ring->acking ? ring->acked : ring->sent;
}

size_t ring_space(const Ring *ring)
{
        return ring->size - (size_t) (ring->written - ring_released(ring));
}

int ring_write(Ring *ring, const void *data, size_t n)
{
        size_t at, first;

        if (n > ring_space(ring))
                return -ENOBUFS;
        if (n == 0)
                return 0;

        at = (size_t) (ring->written % ring->size);
        first = MIN(n, ring->size - at);
        memcpy(ring->data + at, data, first);
        memcpy(ring->data, (const uint8_t *) data + first, n - first);
        ring->written += n;
        return 0;
}

void *ring_reserve(const Ring *ring, size_t *ret_n)
{
        size_t at = (size_t) (ring->written % ring->size);

        *ret_n = MIN(ring_space(ring), ring->size - at);
        return ring->data + at;
}

void ring_wrote(Ring *ring, size_t n)
{
        assert(n <= ring_space(ring));
        ring->written += n;
}

const void *ring_peek(const Ring *ring, size_t *ret_n)
{
        size_t at = (size_t) (ring->sent % ring->size);

        *ret_n = MIN((size_t) (ring->written - ring->sent), ring->size - at);
        return ring->data + at;
}

void ring_sent(Ring *ring, size_t n)
{
        assert(n <= ring->written - ring->sent);
        ring->sent += n;
}

int ring_ack(Ring *ring, uint64_t total)
{
        if (total > ring->sent || (ring->acking && total < ring->acked))
                return -EBADMSG;

        /* Bytes sent before the first acknowledgement were released and may have been overwritten:
         * what is still there is the oldest position that can be sent again. */
        if (!ring->acking) {
                uint64_t oldest = ring->written > ring->size ? ring->written - ring->size : 0;

                total = MAX(total, oldest);
                ring->acking = true;
        }
        ring->acked = total;
        return 0;
}

void ring_rewind(Ring *ring)
{
        if (ring->acking)
                ring->sent = ring->acked;
}

void ring_give_back(Ring *ring, size_t min)
{
        uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE), data = (uintptr_t) ring->data;
        uintptr_t begin = (data + page - 1) & ~(page - 1), end = (data + ring->size) & ~(page - 1);

        /* A receiver whose first acknowledgement is still to come may want what was sent. */
        if (!ring->acking || !ring_is_drained(ring) || ring->written - ring->given_back < min)
                return;

        ring->given_back = ring->written;
        if (begin < end)
                (void) madvise((void *) begin, end - begin, MADV_DONTNEED);
}

bool ring_is_drained(const Ring *ring)
{
        return ring->sent == ring->written && (!ring->acking || ring->acked == ring->written);
}
