/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sends a Ring over a stream socket to the host and takes acknowledgements from the reverse direction:
 * lines "ACK <n>\n", n = bytes received on THIS connection. A new connection starts at the first byte that
 * was not acknowledged and counts from 0 again, so a host that has lost its state needs no number from
 * before. A host that wants to lose nothing writes "ACK 0" first. A host that never acknowledges gets a
 * plain stream; one that writes anything else is disconnected.
 *
 * The ring stays the caller's and outlives the connection.
 */

#include "agent/loop.h"
#include "basic/ring.h"

typedef struct RingStream RingStream;

typedef struct RingStreamHandlers {
        /* Bytes were released. Must not write to the ring by way of ring_stream_kick(): re-arm sources. */
        void (*on_room)(void *userdata);
        /*
         * The connection is over: error 0 for a hang-up, -EBADMSG for a peer that broke the protocol.
         * The handler frees the stream.
         */
        void (*on_gone)(int error, void *userdata);
        void *userdata;
} RingStreamHandlers;

/* Takes fd (a socket, made non-blocking) on success and rewinds the ring. */
int ring_stream_new(RingStream **ret, Loop *loop, Ring *ring, int *fd,
                    const RingStreamHandlers *handlers);
RingStream *ring_stream_free(RingStream *stream);
DEFINE_CLEANUP_FUNC(RingStream *, ring_stream_free)

/*
 * Nothing will be added to the ring any more: as soon as all is sent the peer sees the end of the stream,
 * while its acknowledgements still come in. (It may hold the last bytes back until it knows that there are
 * no more: an open line.)
 */
void ring_stream_end(RingStream *stream);

/* The ring has new bytes: sends at once what the socket takes. May call on_gone. */
void ring_stream_kick(RingStream *stream);
