/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's side of one container's standard streams.
 *
 *      StdioOut:  pipe (container writes) → ring → stream to the host, or RPC reads
 *      StdioIn:   stream from the host, or RPC writes → ring → pipe (container reads)
 *
 * Nothing is lost on the way: when a ring is full its source is not read, so the container blocks. Output of
 * a stream that broke stays in the ring, together with what the host has not acknowledged, for the next
 * stream (stdio_out_attach). The host sees the end of the stream behind the last byte; the output counts as
 * delivered, and is forgotten, when the host has acknowledged all of it, if it acknowledges at all
 * (ring-stream.h).
 *
 * A terminal is one descriptor in both directions: each object gets a duplicate of its master. It ends
 * when nobody in the container has it open any more; the end of its input is a character that is typed.
 *
 * The container is hostile: all it can do is to write, or not to read.
 */

#include "agent/loop.h"
#include "basic/fd.h"

typedef struct StdioOut StdioOut;
typedef struct StdioIn StdioIn;

/* Everything was delivered, the end included. Must not free the object. */
typedef void (*StdioDone)(void *userdata);

/* Takes pipe_fd (made non-blocking) on success. on_done may be NULL. */
int stdio_out_new(StdioOut **ret, Loop *loop, int *pipe_fd, StdioDone on_done, void *userdata);
/* A pending read gets the end of output. */
StdioOut *stdio_out_free(StdioOut *out);
DEFINE_CLEANUP_FUNC(StdioOut *, stdio_out_free)

/* Takes fd on success; a stream that was attached before is closed. */
int stdio_out_attach(StdioOut *out, int *fd);
bool stdio_out_is_attached(const StdioOut *out);
/* End of output reached and delivered. */
bool stdio_out_is_done(const StdioOut *out);
/* Ended without a byte that is still here, and nobody has asked for any. */
bool stdio_out_is_unused(const StdioOut *out);

/*
 * The process has exited. What others have left open ends all the same: STDIO_DRAIN_USEC later, behind what
 * is in the pipe by then.
 */
void stdio_out_process_gone(StdioOut *out);

/* Closes the container's end at once. What was read before is still delivered. */
void stdio_out_hang_up(StdioOut *out);

/* Called when a stream went away before the end; another may follow. */
void stdio_out_on_detach(StdioOut *out, void (*detached)(void *userdata), void *userdata);

/*
 * One chunk of at most max bytes, now or later; n = 0 is the end. One read at a time (-EBUSY), and none
 * while a stream is attached (-EBUSY). data is valid during the call.
 */
typedef void (*StdioReadHandler)(const void *data, size_t n, void *userdata);
int stdio_out_read(StdioOut *out, size_t max, StdioReadHandler handler, void *userdata);
void stdio_out_cancel_read(StdioOut *out);

/* Takes pipe_fd (made non-blocking) on success. terminal: it is the master of one. */
int stdio_in_new(StdioIn **ret, Loop *loop, int *pipe_fd, bool terminal);
/* A pending write gets -EPIPE. */
StdioIn *stdio_in_free(StdioIn *in);
DEFINE_CLEANUP_FUNC(StdioIn *, stdio_in_free)

/* Takes fd on success; the stream's end closes the container's input. -EPIPE once that is closed. */
int stdio_in_attach(StdioIn *in, int *fd);

/*
 * All n bytes on their way into the pipe, now or later; data stays valid until the handler is called, with
 * 0 or -EPIPE. One write at a time (-EBUSY), and none while a stream is attached (-EBUSY).
 */
typedef void (*StdioWriteHandler)(int error, void *userdata);
int stdio_in_write(StdioIn *in, const void *data, size_t n, StdioWriteHandler handler, void *userdata);
void stdio_in_cancel_write(StdioIn *in);

/*
 * End of input behind what was written. On a terminal that is the character that means it there (^D), twice
 * behind an unfinished line, which the first one only sends off. Programs that read single characters see
 * the character; all others see the end once, as at a keyboard.
 */
void stdio_in_close(StdioIn *in);
