/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines out of a byte stream that a guest or a VMM writes: console, standard error, QMP. The
 * buffer never grows beyond what was given; the bytes are passed on as they are (a reader escapes
 * them).
 */

#include <systemd/sd-event.h>

#include "basic/cleanup.h"

typedef struct LineBuffer {
        char *data;
        size_t n, max;
} LineBuffer;

/* line has n bytes and is followed by a NUL; no newline, no carriage return before it. */
typedef int (*LineHandler)(void *userdata, const char *line, size_t n);

int line_buffer_init(LineBuffer *b, size_t max);
void line_buffer_done(LineBuffer *b);

/*
 * Calls the handler for each complete line; a longer line than max comes in pieces, so nothing is
 * lost. Stops at a negative result of the handler and returns it.
 */
int line_buffer_feed(
                LineBuffer *b, const char *data, size_t n, LineHandler handler, void *userdata);

/* Delivers what is left without a newline. */
int line_buffer_flush(LineBuffer *b, LineHandler handler, void *userdata);

typedef struct LineStream LineStream;

/*
 * The stream is at its end (error 0) or broken; it has been flushed and will not call again. May
 * free it.
 */
typedef void (*LineStreamEnd)(void *userdata, int error);

/*
 * Takes the descriptor on success and makes it non-blocking. The line handler must not free the
 * stream.
 */
int line_stream_new(sd_event *event, int fd, size_t max, LineHandler on_line, LineStreamEnd on_end,
                    void *userdata, LineStream **ret);
LineStream *line_stream_free(LineStream *s);
DEFINE_CLEANUP_FUNC(LineStream *, line_stream_free)

/*
 * Reads what is there now, at most STREAM_DRAIN_MAX bytes, and flushes: after the writer has
 * exited.
 */
void line_stream_drain(LineStream *s);

/* For the fd store of the service; -EBADF at the end of the stream. */
int line_stream_fd(const LineStream *s);
