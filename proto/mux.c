/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session side of the multiplexer: preamble, frame parser, control frames. Takes hostile bytes on
 * both sides of the machine boundary.
 */

#include "proto/mux.h"

#include "basic/error.h"
#include "basic/parse.h"
#include "proto/mux-internal.h"

/* Data frames are made while less than this is waiting, so that a new one is soon on its way. */
#define OUT_RESERVE (2 * (MUX_FRAME_MAX + 2 * MUX_HEADER_SIZE))

/* The line that the other side writes. */
static bool preamble_parse(const Mux *mux, uint64_t *ret)
{
        const char *prefix = mux->role == MUX_CLIENT ? MUX_ANSWER_PREFIX : MUX_OFFER_PREFIX;
        const uint8_t *line = mux->line;
        uint64_t nonce = 0;

        if (line[MUX_PREAMBLE_SIZE - 1] != '\n' || memcmp(line, prefix, MUX_PREFIX_SIZE) != 0)
                return false;

        for (size_t i = MUX_PREFIX_SIZE; i < MUX_PREAMBLE_SIZE - 1; i++) {
                unsigned digit;

                if (line[i] >= '0' && line[i] <= '9')
                        digit = line[i] - '0';
                else if (line[i] >= 'a' && line[i] <= 'f')
                        digit = line[i] - 'a' + 10;
                else
                        return false;
                nonce = nonce << 4 | digit;
        }

        *ret = nonce;
        return true;
}

static int put_preamble(Mux *mux)
{
        char line[MUX_PREAMBLE_SIZE + 1];

        (void) snprintf(line, sizeof(line), "%s%016llx\n",
                        mux->role == MUX_CLIENT ? MUX_OFFER_PREFIX : MUX_ANSWER_PREFIX,
                        (unsigned long long) mux->nonce);
        return byteq_append(&mux->out, line, MUX_PREAMBLE_SIZE, MUX_SENDQ_MAX);
}

int mux_put_frame(Mux *mux, MuxFrameType type, uint16_t flags, uint32_t id, uint32_t length,
                  const void *payload)
{
        uint8_t h[MUX_HEADER_SIZE] = {
                0, (uint8_t) type, (uint8_t) (flags >> 8), (uint8_t) flags,
                (uint8_t) (id >> 24), (uint8_t) (id >> 16), (uint8_t) (id >> 8), (uint8_t) id,
                (uint8_t) (length >> 24), (uint8_t) (length >> 16), (uint8_t) (length >> 8),
                (uint8_t) length,
        };
        size_t n = payload ? length : 0;
        int r;

        if (mux->out.n + sizeof(h) + n > MUX_SENDQ_MAX)
                return -ENOBUFS;
        r = byteq_reserve(&mux->out, mux->out.n + sizeof(h) + n);
        if (r < 0)
                return r;

        /* Can not fail any more: the frame is whole. */
        (void) byteq_append(&mux->out, h, sizeof(h), MUX_SENDQ_MAX);
        if (n > 0)
                (void) byteq_append(&mux->out, payload, n, MUX_SENDQ_MAX);
        return 0;
}

int mux_new(Mux **ret, MuxRole role, uint64_t nonce)
{
        _cleanup_(mux_freep) Mux *mux = NULL;
        int r;

        mux = new0(Mux, 1);
        if (!mux)
                return -ENOMEM;

        mux->role = role;
        mux->next_id = role == MUX_CLIENT ? 1 : 2;
        r = byteq_reserve(&mux->out, OUT_RESERVE);
        if (r < 0)
                return r;

        if (role == MUX_CLIENT) {
                mux->nonce = nonce;
                r = put_preamble(mux);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(mux);
        return 0;
}

Mux *mux_free(Mux *mux)
{
        if (!mux)
                return NULL;

        mux_stream_free_all(mux);
        byteq_done(&mux->out);
        free(mux);
        return NULL;
}

bool mux_is_ready(const Mux *mux)
{
        return mux->state == MUX_STATE_READY;
}

static void session_begin(Mux *mux)
{
        mux->state = MUX_STATE_READY;
        mux->ready_event = true;
        mux->frame_seen = false;
        mux->n_line = mux->n_header = 0;
        mux->payload_left = 0;
        mux->payload_stream = NULL;
}

/* Returns the error; a peer that broke the rules is told so, if there is room. */
static int session_over(Mux *mux, int error)
{
        if (error != -ECONNRESET)
                (void) mux_put_frame(mux, MUX_FRAME_GOAWAY, 0, 0,
                                     error == -EPROTO ? MUX_GOAWAY_PROTOCOL : MUX_GOAWAY_INTERNAL,
                                     NULL);
        mux->state = MUX_STATE_OVER;
        mux->ready_event = false;
        return error;
}

void mux_restart(Mux *mux, bool clear)
{
        assert(mux->role == MUX_SERVER);

        mux_stream_free_all(mux);
        mux->next_id = 2;
        mux->last_peer_id = 0;
        mux->n_header = 0;
        mux->payload_left = 0;
        mux->ready_event = false;
        mux->state = MUX_STATE_PREAMBLE;

        if (clear) {
                mux->have_next = false;
                mux->n_line = 0;
        }
        /* Whoever sends a preamble skips the rest of our last session. */
        if (clear || mux->have_next)
                byteq_consume(&mux->out, mux->out.n);

        if (mux->have_next) {
                mux->have_next = false;
                mux->nonce = mux->next_nonce;
                session_begin(mux);
                /* out is empty and has its reserve. */
                (void) put_preamble(mux);
        }
}

int mux_offer_preamble(Mux *mux, bool flush)
{
        int r;

        if (mux->role != MUX_CLIENT || mux->state != MUX_STATE_PREAMBLE)
                return -EALREADY;
        if (mux->out.n > 0)
                return 0;

        if (flush) {
                uint8_t feeds[KIB(1)];

                memset(feeds, '\n', sizeof(feeds));
                for (size_t n = 0; n <= MUX_FRAME_MAX + MUX_HEADER_SIZE; n += sizeof(feeds)) {
                        r = byteq_append(&mux->out, feeds, sizeof(feeds), MUX_SENDQ_MAX);
                        if (r < 0)
                                return r;
                }
        }

        return put_preamble(mux);
}

/* One byte of what precedes the session. */
static void skip_byte(Mux *mux, uint8_t byte)
{
        uint64_t nonce;

        if (mux->n_line == MUX_PREAMBLE_SIZE)
                memmove(mux->line, mux->line + 1, --mux->n_line);
        mux->line[mux->n_line++] = byte;

        if (byte != '\n' || mux->n_line < MUX_PREAMBLE_SIZE || !preamble_parse(mux, &nonce))
                return;

        if (mux->role == MUX_CLIENT) {
                if (nonce == mux->nonce)
                        session_begin(mux);
                return;
        }

        mux->nonce = nonce;
        /* If there is no room, the client will ask again. */
        if (put_preamble(mux) >= 0)
                session_begin(mux);
}

/*
 * A server where a frame should begin, but the first byte is not the version. 0: go on; the bytes
 * may be a preamble, or were a repetition of the current one.
 */
static int foreign_byte(Mux *mux, uint8_t byte, char **reterr_message)
{
        uint64_t nonce;

        /*
         * A guest that opens its port late finds several offers in the pipe, some with line feeds
         * in front of them. The host sends none once it has seen the answer to the first.
         */
        if (byte == '\n' && mux->n_line == 0 && !mux->frame_seen)
                return 0;

        mux->line[mux->n_line++] = byte;
        if (memcmp(mux->line, MUX_OFFER_PREFIX, MIN(mux->n_line, MUX_PREFIX_SIZE)) != 0)
                goto violation;
        if (mux->n_line < MUX_PREAMBLE_SIZE)
                return 0;
        if (!preamble_parse(mux, &nonce))
                goto violation;

        mux->n_line = 0;
        if (nonce == mux->nonce)
                return 0;

        mux->next_nonce = nonce;
        mux->have_next = true;
        return error_setf(reterr_message, ECONNRESET, "the host has begun a new session");

violation:
        /* The bytes stay in line[]: a preamble may begin among them. */
        return error_setf(reterr_message, EPROTO, "mux: no frame begins with byte 0x%02x",
                          mux->line[0]);
}

static MuxHeader parse_header(const uint8_t p[static MUX_HEADER_SIZE])
{
        return (MuxHeader) {
                .type = p[1],
                .flags = (uint16_t) (p[2] << 8 | p[3]),
                .id = (uint32_t) p[4] << 24 | (uint32_t) p[5] << 16 | (uint32_t) p[6] << 8 | p[7],
                .length = (uint32_t) p[8] << 24 | (uint32_t) p[9] << 16 | (uint32_t) p[10] << 8 |
                          p[11],
        };
}

/*
 * The stream of a frame; *ret NULL for one that is closed and whose last frames are still coming
 * in.
 */
static int frame_stream(Mux *mux, const MuxHeader *h, MuxStream **ret, char **reterr_message)
{
        bool ours = (h->id % 2 == 1) == (mux->role == MUX_CLIENT);
        MuxStream *stream;
        int r;

        if (h->id == 0)
                return error_setf(reterr_message, EPROTO, "mux: frame of type %u without a stream",
                                  h->type);

        if (h->flags & MUX_SYN) {
                if (ours)
                        return error_setf(reterr_message, EPROTO,
                                          "mux: the peer opens stream %u, which is not its to open",
                                          h->id);
                if (h->id <= mux->last_peer_id)
                        return error_setf(reterr_message, EPROTO,
                                          "mux: the peer opens stream %u after %u", h->id,
                                          mux->last_peer_id);
                if (mux->n_theirs >= MUX_STREAMS_MAX)
                        return error_setf(reterr_message, EPROTO,
                                          "mux: the peer opens more than %u streams",
                                          MUX_STREAMS_MAX);

                r = mux_stream_new(mux, h->id, false, &stream);
                if (r < 0)
                        return error_setf(reterr_message, r, "mux: no memory for a stream");
                mux->last_peer_id = h->id;
                *ret = stream;
                return 0;
        }

        if (ours ? h->id >= mux->next_id : h->id > mux->last_peer_id)
                return error_setf(reterr_message, EPROTO, "mux: stream %u was never opened", h->id);

        stream = mux_stream_find(mux, h->id);
        if (stream && (stream->flags & MUX_SYN))
                return error_setf(reterr_message, EPROTO, "mux: stream %u was never opened", h->id);
        *ret = stream && !stream->reset ? stream : NULL;
        return 0;
}

static int data_frame(Mux *mux, const MuxHeader *h, char **reterr_message)
{
        MuxStream *stream;
        int r;

        if (h->length > MUX_FRAME_MAX)
                return error_setf(reterr_message, EPROTO,
                                  "mux: frame of %u bytes is over the maximum of %zu", h->length,
                                  MUX_FRAME_MAX);

        r = frame_stream(mux, h, &stream, reterr_message);
        if (r < 0)
                return r;

        if (stream) {
                if (stream->fin_received)
                        return error_setf(reterr_message, EPROTO,
                                          "mux: data on stream %u behind its end", h->id);
                if (h->length > stream->rx_window)
                        return error_setf(reterr_message, EPROTO,
                                          "mux: %u bytes on stream %u, %zu are allowed", h->length,
                                          h->id, stream->rx_window);
                stream->rx_window -= h->length;
        }

        mux->payload_left = h->length;
        mux->payload_stream = stream;
        mux->payload_flags = h->flags;
        if (h->length == 0 && stream)
                mux_stream_flags(stream, h->flags);
        return 0;
}

static int window_frame(Mux *mux, const MuxHeader *h, char **reterr_message)
{
        MuxStream *stream;
        int r;

        r = frame_stream(mux, h, &stream, reterr_message);
        if (r < 0 || !stream)
                return r;

        if (stream->tx_window + h->length > UINT32_MAX)
                return error_setf(reterr_message, EPROTO, "mux: the window of stream %u overflows",
                                  h->id);
        stream->tx_window += h->length;
        mux_stream_schedule(stream);
        mux_stream_flags(stream, h->flags);
        return 0;
}

static int ping_frame(Mux *mux, const MuxHeader *h, char **reterr_message)
{
        int r;

        if (h->id != 0)
                return error_setf(reterr_message, EPROTO, "mux: ping on stream %u", h->id);
        if (!(h->flags & MUX_SYN))
                return 0;       /* we never ask, but an answer hurts nobody */

        r = mux_put_frame(mux, MUX_FRAME_PING, MUX_ACK, 0, h->length, NULL);
        if (r == -ENOBUFS)
                return error_setf(reterr_message, EPROTO,
                                  "mux: the peer does not read its answers");
        if (r < 0)
                return error_setf(reterr_message, r, "mux: no memory for an answer");
        return 0;
}

static int goaway_frame(Mux *mux, const MuxHeader *h, char **reterr_message)
{
        const char *why = h->length == MUX_GOAWAY_NORMAL   ? "no reason given"
                        : h->length == MUX_GOAWAY_PROTOCOL ? "it sees a protocol error"
                        : h->length == MUX_GOAWAY_INTERNAL ? "internal error"
                                                           : "unknown reason";

        return error_setf(reterr_message, ECONNRESET, "mux: the peer has ended the session: %s",
                          why);
}

static int frame(Mux *mux, const MuxHeader *h, char **reterr_message)
{
        static int (*const table[])(Mux *, const MuxHeader *, char **) = {
                [MUX_FRAME_DATA] = data_frame,
                [MUX_FRAME_WINDOW] = window_frame,
                [MUX_FRAME_PING] = ping_frame,
                [MUX_FRAME_GOAWAY] = goaway_frame,
        };

        if (h->type >= ELEMENTSOF(table))
                return error_setf(reterr_message, EPROTO, "mux: unknown frame type %u", h->type);
        if (h->flags & ~MUX_FLAGS_ALL)
                return error_setf(reterr_message, EPROTO, "mux: unknown flags 0x%04x", h->flags);
        return table[h->type](mux, h, reterr_message);
}

static int payload(Mux *mux, const uint8_t *p, size_t n, char **reterr_message)
{
        int r;

        mux->payload_left -= n;

        if (mux->payload_stream) {
                r = mux_stream_received(mux->payload_stream, p, n);
                if (r < 0)
                        return error_setf(reterr_message, r, "mux: no memory for received bytes");
        }

        /* The stream may be gone by now. */
        if (mux->payload_left == 0 && mux->payload_stream)
                mux_stream_flags(mux->payload_stream, mux->payload_flags);
        return 0;
}

int mux_input(Mux *mux, const void *data, size_t n, size_t *ret_consumed, char **reterr_message)
{
        const uint8_t *p = data, *end = n > 0 ? p + n : p;
        int r = 0;

        if (mux->state == MUX_STATE_OVER) {
                *ret_consumed = 0;
                return error_setf(reterr_message, ECONNRESET, "mux: the session is over");
        }

        while (p < end && r >= 0) {
                if (mux->state == MUX_STATE_PREAMBLE) {
                        skip_byte(mux, *p++);
                        continue;
                }

                if (mux->payload_left > 0) {
                        size_t k = MIN(mux->payload_left, (size_t) (end - p));

                        r = payload(mux, p, k, reterr_message);
                        p += k;
                        continue;
                }

                if (mux->n_header == 0 && (*p != 0 || mux->n_line > 0)) {
                        if (mux->role == MUX_SERVER)
                                r = foreign_byte(mux, *p, reterr_message);
                        else
                                r = error_setf(reterr_message, EPROTO,
                                               "mux: version %u is not supported", *p);
                        p++;
                        continue;
                }

                mux->header[mux->n_header++] = *p++;
                if (mux->n_header == MUX_HEADER_SIZE) {
                        MuxHeader h = parse_header(mux->header);

                        mux->n_header = 0;
                        mux->frame_seen = true;
                        r = frame(mux, &h, reterr_message);
                        if (r < 0) {
                                /* A header that was cut swallows the start of a preamble. */
                                memcpy(mux->line, mux->header, MUX_HEADER_SIZE);
                                mux->n_line = MUX_HEADER_SIZE;
                        }
                }
        }

        *ret_consumed = (size_t) (p - (const uint8_t *) data);
        return r < 0 ? session_over(mux, r) : 0;
}

size_t mux_output(Mux *mux, const uint8_t **ret)
{
        if (mux->state == MUX_STATE_READY)
                mux_fill(mux);

        *ret = byteq_head(&mux->out);
        return mux->out.n;
}

void mux_output_done(Mux *mux, size_t n)
{
        byteq_consume(&mux->out, n);
}

bool mux_next_event(Mux *mux, MuxEvent *ret)
{
        MuxStream *stream;

        if (mux->ready_event) {
                mux->ready_event = false;
                *ret = (MuxEvent) { .type = MUX_EVENT_READY };
                return true;
        }

        stream = mux->event_first;
        if (!stream)
                return false;

        for (MuxEventType t = MUX_EVENT_CONNECT; t <= MUX_EVENT_STREAM; t++) {
                if (!(stream->events & 1U << t))
                        continue;

                stream->events &= ~(1U << t);
                if (stream->events == 0) {
                        mux->event_first = stream->event_next;
                        if (!mux->event_first)
                                mux->event_last = NULL;
                        stream->event_next = NULL;
                        stream->event_queued = false;
                }
                *ret = (MuxEvent) { .type = t, .stream = stream };
                return true;
        }

        assert(false);
        return false;
}
