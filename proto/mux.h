/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Many streams over one byte stream (a virtio-serial port), without I/O: the caller pushes received
 * bytes in, takes bytes to send out, and asks for events. Wire format: yamux (hashicorp spec.md)
 * with two additions of ours.
 *
 * Preamble. The host is the yamux client. It writes the line "KATA-MUX 1 <16 hex digits>\n", as
 * often as it likes, until the guest answers "KATA-ACK 1 <the same digits>\n"; after it either side
 * speaks yamux. Both skip all bytes before the line they wait for: whatever an earlier session left
 * in the pipe. The answer differs from the offer because a guest in the middle of a frame takes the
 * offer for payload, and a program there may send its input back. The guest knows a new host by a
 * new preamble where a frame should begin; one with the same digits is a repetition. Should it have
 * missed the hang-up in the middle of a frame, mux_offer_preamble(flush) writes enough line feeds
 * to end any frame first.
 *
 * Stream start. The opener sends "CONNECT <port>\n", the acceptor answers "OK <stream id>\n" or
 * resets.
 *
 * FIN ends one direction. RST is what close() is: the peer sends no more and reads no more. Bytes
 * that arrived before it are still delivered.
 *
 * Stands on the trust boundary on both sides. Bounds: MUX_FRAME_MAX a frame, MUX_WINDOW_INITIAL
 * unread bytes a stream, MUX_STREAMS_MAX streams of the peer (half of that of our own),
 * MUX_SENDQ_MAX output. A peer that leaves the protocol ends the session.
 */

#include "basic/cleanup.h"
#include "basic/limits.h"

typedef struct Mux Mux;
typedef struct MuxStream MuxStream;

typedef enum MuxRole {
        MUX_CLIENT,     /* host: odd stream ids, offers the preamble */
        MUX_SERVER,     /* guest: even stream ids, waits for it */
} MuxRole;

typedef enum MuxEventType {
        MUX_EVENT_READY,        /* the session is established; stream is NULL */
        MUX_EVENT_CONNECT,      /* the peer asks for mux_stream_port(): accept or close */
        MUX_EVENT_OPENED,       /* a stream of mux_open() is connected */
        MUX_EVENT_REFUSED,      /* it is not, and never will be: close it */
        MUX_EVENT_STREAM,       /* bytes, end, reset, or room to write: look at the stream */
} MuxEventType;

typedef struct MuxEvent {
        MuxEventType type;
        MuxStream *stream;
} MuxEvent;

/* nonce: random, for a client; ignored for a server. A client has its preamble to send at once. */
int mux_new(Mux **ret, MuxRole role, uint64_t nonce);
/* Frees the streams too. */
Mux *mux_free(Mux *mux);
DEFINE_CLEANUP_FUNC(Mux *, mux_free)

/*
 * Takes received bytes. 0 with all of them consumed, or the session is over: -EPROTO and other
 * violations, -ECONNRESET when the peer says so (a server: also for a new preamble), -ENOMEM. After
 * that the streams are still there, but nothing moves; mux_output() may have a last word for the
 * peer. *ret_consumed is set in any case.
 */
int mux_input(Mux *mux, const void *data, size_t n, size_t *ret_consumed, char **reterr_message);

/*
 * Server: after the session is over, frees all streams and waits for a preamble, or begins with the
 * one that ended the old session. Go on with the bytes that were not consumed. clear: the port was
 * opened anew, so forget output and input that was begun.
 */
void mux_restart(Mux *mux, bool clear);

/* Bytes to send, valid until the next call of anything; 0 if there are none. */
size_t mux_output(Mux *mux, const uint8_t **ret);
void mux_output_done(Mux *mux, size_t n);

/* Client, until the session is ready and if no output is left: offers the preamble once more. */
int mux_offer_preamble(Mux *mux, bool flush);

bool mux_is_ready(const Mux *mux);

/* False when there are none. Events of a stream that is closed disappear. */
bool mux_next_event(Mux *mux, MuxEvent *ret);

/*
 * -ENOTCONN without a session, -EMFILE over MUX_STREAMS_MAX / 2, -ENOMEM. Writing may begin at
 * once.
 */
int mux_open(Mux *mux, uint32_t port, MuxStream **ret);

/* Answers MUX_EVENT_CONNECT. */
int mux_stream_accept(MuxStream *stream);

uint32_t mux_stream_id(const MuxStream *stream);
uint32_t mux_stream_port(const MuxStream *stream);
void mux_stream_set_userdata(MuxStream *stream, void *userdata);
void *mux_stream_userdata(const MuxStream *stream);

/* Received bytes, valid until the next call; consuming them lets the peer send more. */
size_t mux_stream_peek(const MuxStream *stream, const uint8_t **ret);
void mux_stream_consume(MuxStream *stream, size_t n);
/* No bytes left, and none will come. */
bool mux_stream_is_eof(const MuxStream *stream);
/* The peer has closed: nothing can be written. */
bool mux_stream_is_reset(const MuxStream *stream);

/* Room for mux_stream_write(); 0 after shutdown, reset and the end of the session. */
size_t mux_stream_room(const MuxStream *stream);
/* Takes at most the room; returns how much, or -ENOMEM. */
ssize_t mux_stream_write(MuxStream *stream, const void *data, size_t n);
/* FIN behind what was written. */
void mux_stream_shutdown(MuxStream *stream);

/*
 * Ends the use of the stream in every state. What was written is still sent; then FIN or RST, as
 * the directions are. Returns NULL.
 */
MuxStream *mux_stream_close(MuxStream *stream);
