/* SPDX-License-Identifier: Apache-2.0 */
/* Byte queue: see the header. */

#include "proto/byteq.h"

#include "basic/limits.h"

/* An empty queue keeps a buffer of this size. */
#define KEEP_MAX KIB(16)

void byteq_done(ByteQueue *q)
{
        free(q->data);
        *q = (ByteQueue) {};
}

void byteq_clear(ByteQueue *q)
{
        q->head = q->n = 0;
        if (q->allocated > KEEP_MAX)
                byteq_done(q);
}

int byteq_reserve(ByteQueue *q, size_t n)
{
        uint8_t *p;

        if (q->allocated >= n)
                return 0;

        p = realloc(q->data, n);
        if (!p)
                return -ENOMEM;
        q->data = p;
        q->allocated = n;
        return 0;
}

int byteq_append(ByteQueue *q, const void *data, size_t n, size_t max)
{
        int r;

        if (n == 0)
                return 0;
        if (q->n > max || n > max - q->n)
                return -ENOBUFS;

        if (q->allocated - q->n < n) {
                size_t size = MAX(q->allocated * 2, KIB(4));

                size = MIN(size, max);
                size = MAX(size, q->n + n);
                r = byteq_reserve(q, size);
                if (r < 0)
                        return r;
        }

        if (q->allocated - q->head - q->n < n) {
                memmove(q->data, q->data + q->head, q->n);
                q->head = 0;
        }

        memcpy(q->data + q->head + q->n, data, n);
        q->n += n;
        return 0;
}

void byteq_consume(ByteQueue *q, size_t n)
{
        assert(n <= q->n);

        q->head += n;
        q->n -= n;
        if (q->n == 0)
                q->head = 0;
}
