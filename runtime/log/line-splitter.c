/* SPDX-License-Identifier: Apache-2.0 */
/* Lines out of bytes: see line-splitter.h. The bytes are the guest's. */

#include "runtime/log/line-splitter.h"

int line_splitter_init(LineSplitter *s, size_t max)
{
        uint8_t *data = malloc(max);

        if (!data)
                return -ENOMEM;

        *s = (LineSplitter) { .data = data, .max = max };
        return 0;
}

void line_splitter_done(LineSplitter *s)
{
        free(s->data);
        *s = (LineSplitter) {};
}

void line_splitter_push(LineSplitter *s, const void *data, size_t n, LineHandler handler, void *userdata)
{
        const uint8_t *p = data, *end = p + n;

        while (p < end) {
                const uint8_t *newline = memchr(p, '\n', (size_t) (end - p));
                size_t have = (size_t) ((newline ? newline : end) - p);
                size_t take = MIN(have, s->max - s->n);

                /* A whole line that needs no buffer. */
                if (newline && s->n == 0 && have <= s->max) {
                        handler(p, have, false, userdata);
                        p = newline + 1;
                        continue;
                }

                memcpy(s->data + s->n, p, take);
                s->n += take;
                p += take;

                if (newline && take == have) {
                        handler(s->data, s->n, false, userdata);
                        s->n = 0;
                        p = newline + 1;
                } else if (s->n == s->max && (newline || p < end)) {
                        /* More of this line is known to follow. */
                        handler(s->data, s->n, true, userdata);
                        s->n = 0;
                }
        }
}

void line_splitter_end(LineSplitter *s, LineHandler handler, void *userdata)
{
        if (s->n > 0)
                handler(s->data, s->n, false, userdata);
        s->n = 0;
}
