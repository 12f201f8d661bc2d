/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of the multiplexer: what mux.c (session, input, preamble) and mux-stream.c (streams,
 * output) share. For no one else.
 */

#include "proto/byteq.h"
#include "proto/mux.h"

#define MUX_HEADER_SIZE 12U
#define MUX_HASH_SIZE 64U

/* Offer of the client and answer of the server are of equal length. */
#define MUX_OFFER_PREFIX "KATA-MUX 1 "
#define MUX_ANSWER_PREFIX "KATA-ACK 1 "
#define MUX_PREFIX_SIZE (sizeof(MUX_OFFER_PREFIX) - 1)
#define MUX_PREAMBLE_SIZE (MUX_PREFIX_SIZE + 16 + 1)

typedef enum MuxFrameType {
        MUX_FRAME_DATA = 0,
        MUX_FRAME_WINDOW = 1,
        MUX_FRAME_PING = 2,
        MUX_FRAME_GOAWAY = 3,
} MuxFrameType;

enum {
        MUX_SYN = 0x1,
        MUX_ACK = 0x2,
        MUX_FIN = 0x4,
        MUX_RST = 0x8,
        MUX_FLAGS_ALL = MUX_SYN | MUX_ACK | MUX_FIN | MUX_RST,
};

enum {
        MUX_GOAWAY_NORMAL = 0,
        MUX_GOAWAY_PROTOCOL = 1,
        MUX_GOAWAY_INTERNAL = 2,
};

typedef struct MuxHeader {
        uint8_t type;
        uint16_t flags;
        uint32_t id, length;
} MuxHeader;

typedef enum MuxState {
        MUX_STATE_PREAMBLE,     /* skipping bytes up to the line */
        MUX_STATE_READY,
        MUX_STATE_OVER,
} MuxState;

/*
 *      ours:   WAIT_OK ──────────────→ OPEN          the line "OK n"
 *                 └──────────────────→ REFUSED       anything else
 *      theirs: WAIT_CONNECT → OFFERED → OPEN         the line "CONNECT n", mux_stream_accept()
 */
typedef enum MuxStreamState {
        MUX_STREAM_WAIT_OK,
        MUX_STREAM_WAIT_CONNECT,
        MUX_STREAM_OFFERED,
        MUX_STREAM_OPEN,
        MUX_STREAM_REFUSED,
} MuxStreamState;

struct MuxStream {
        Mux *mux;
        uint32_t id, port;
        MuxStreamState state;
        bool ours;
        void *userdata;

        ByteQueue rx, tx;
        size_t rx_window;       /* the peer may send that much; the three sum up to a constant */
        size_t rx_credit;       /* consumed, not yet granted again */
        uint64_t tx_window;

        uint16_t flags;         /* SYN or ACK, to go with the next frame */
        bool fin_wanted, fin_sent, fin_received, reset;
        bool detached;          /* closed by the caller: send what is left, then go */

        unsigned events;        /* 1 << MuxEventType */
        bool event_queued, send_queued;
        MuxStream *event_next;
        MuxStream *send_next, *send_prev;
        MuxStream *hash_next;
};

struct Mux {
        MuxRole role;
        MuxState state;
        uint64_t nonce, next_nonce;
        bool have_next;         /* next_nonce is a preamble that ended the session */
        bool ready_event;
        bool frame_seen;        /* in this session */

        /* The last bytes while skipping, or the start of a header. */
        uint8_t line[MUX_PREAMBLE_SIZE];
        size_t n_line;

        uint8_t header[MUX_HEADER_SIZE];
        size_t n_header;
        size_t payload_left;
        uint16_t payload_flags;
        MuxStream *payload_stream;      /* NULL: discard */

        ByteQueue out;

        MuxStream *hash[MUX_HASH_SIZE];
        unsigned n_ours, n_theirs;
        uint32_t next_id, last_peer_id;

        MuxStream *event_first, *event_last;
        MuxStream *send_first, *send_last;
};

/* mux-stream.c */
int mux_stream_new(Mux *mux, uint32_t id, bool ours, MuxStream **ret);
MuxStream *mux_stream_free(MuxStream *stream);
MuxStream *mux_stream_find(Mux *mux, uint32_t id);
void mux_stream_free_all(Mux *mux);
/* Bytes of a data frame that was charged to the window already. */
int mux_stream_received(MuxStream *stream, const void *data, size_t n);
/* FIN and RST of a frame, behind its payload. May free the stream. */
void mux_stream_flags(MuxStream *stream, uint16_t flags);
/* Puts the stream in line for sending if it has something to send. */
void mux_stream_schedule(MuxStream *stream);
/* Fills mux->out with frames, one turn a stream. */
void mux_fill(Mux *mux);

/* mux.c: appends a whole frame; -ENOBUFS over MUX_SENDQ_MAX. */
int mux_put_frame(Mux *mux, MuxFrameType type, uint16_t flags, uint32_t id, uint32_t length,
                  const void *payload);
