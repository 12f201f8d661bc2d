/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of the line splitter: any cutting of the input gives the same bytes, and no line is too long. */

#include "runtime/log/line-splitter.h"

#define MAX_LINE 16

typedef struct Sum {
        size_t bytes, lines;
} Sum;

static void on_line(const void *line, size_t n, bool partial, void *userdata)
{
        Sum *sum = userdata;

        if (n > MAX_LINE || (partial && n != MAX_LINE) || memchr(line, '\n', n))
                abort();
        sum->bytes += n;
        sum->lines += !partial;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        LineSplitter a, b;
        Sum x = {}, y = {};

        if (line_splitter_init(&a, MAX_LINE) < 0)
                return 0;
        if (line_splitter_init(&b, MAX_LINE) < 0) {
                line_splitter_done(&a);
                return 0;
        }

        line_splitter_push(&a, data, size, on_line, &x);
        line_splitter_end(&a, on_line, &x);
        for (size_t i = 0; i < size;) {
                size_t k = MIN((size_t) data[i] % 7 + 1, size - i);

                line_splitter_push(&b, data + i, k, on_line, &y);
                i += k;
        }
        line_splitter_end(&b, on_line, &y);
        if (x.bytes != y.bytes || x.lines != y.lines)
                abort();

        line_splitter_done(&a);
        line_splitter_done(&b);
        return 0;
}
