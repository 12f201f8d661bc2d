/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes → lines of at most max bytes. A longer line comes in pieces, each but the last marked partial. Any
 * byte but the newline is content. What is behind the last newline waits for more, or for the end.
 */

#include "basic/cleanup.h"

typedef struct LineSplitter {
        uint8_t *data;
        size_t n, max;
} LineSplitter;

/* partial: the line goes on in the next call. */
typedef void (*LineHandler)(const void *line, size_t n, bool partial, void *userdata);

int line_splitter_init(LineSplitter *s, size_t max);
void line_splitter_done(LineSplitter *s);

void line_splitter_push(LineSplitter *s, const void *data, size_t n, LineHandler handler, void *userdata);
/* The end of the stream: what is left is a line. */
void line_splitter_end(LineSplitter *s, LineHandler handler, void *userdata);

/* Bytes that were pushed and are in no line yet. */
static inline size_t line_splitter_pending(const LineSplitter *s)
{
        return s->n;
}
