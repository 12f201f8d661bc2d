/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream side of the multiplexer: handshake lines, windows, and the fair order of sending. Takes
 * hostile bytes on both sides of the machine boundary.
 */

#include "basic/parse.h"
#include "proto/mux-internal.h"

int mux_stream_new(Mux *mux, uint32_t id, bool ours, MuxStream **ret)
{
        MuxStream *stream, **bucket = mux->hash + id / 2 % MUX_HASH_SIZE;

        stream = new(MuxStream, 1);
        if (!stream)
                return -ENOMEM;

        *stream = (MuxStream) {
                .mux = mux,
                .id = id,
                .ours = ours,
                .state = ours ? MUX_STREAM_WAIT_OK : MUX_STREAM_WAIT_CONNECT,
                .flags = ours ? MUX_SYN : 0,
                .rx_window = MUX_WINDOW_INITIAL,
                .tx_window = MUX_WINDOW_INITIAL,
                .hash_next = *bucket,
        };
        *bucket = stream;
        *(ours ? &mux->n_ours : &mux->n_theirs) += 1;

        *ret = stream;
        return 0;
}

MuxStream *mux_stream_find(Mux *mux, uint32_t id)
{
        MuxStream *stream = mux->hash[id / 2 % MUX_HASH_SIZE];

        while (stream && stream->id != id)
                stream = stream->hash_next;
        return stream;
}

static void queue_event(MuxStream *stream, MuxEventType type)
{
        Mux *mux = stream->mux;

        if (stream->detached)
                return;

        stream->events |= 1U << type;
        if (stream->event_queued)
                return;

        stream->event_queued = true;
        if (mux->event_last)
                mux->event_last->event_next = stream;
        else
                mux->event_first = stream;
        mux->event_last = stream;
}

static void unqueue_event(MuxStream *stream)
{
        Mux *mux = stream->mux;
        MuxStream *previous = NULL;

        stream->events = 0;
        if (!stream->event_queued)
                return;

        for (MuxStream *s = mux->event_first; s != stream; s = s->event_next)
                previous = s;
        if (previous)
                previous->event_next = stream->event_next;
        else
                mux->event_first = stream->event_next;
        if (mux->event_last == stream)
                mux->event_last = previous;

        stream->event_next = NULL;
        stream->event_queued = false;
}

static void unqueue_send(MuxStream *stream)
{
        Mux *mux = stream->mux;

        if (!stream->send_queued)
                return;

        *(stream->send_prev ? &stream->send_prev->send_next : &mux->send_first) = stream->send_next;
        *(stream->send_next ? &stream->send_next->send_prev : &mux->send_last) = stream->send_prev;
        stream->send_next = stream->send_prev = NULL;
        stream->send_queued = false;
}

MuxStream *mux_stream_free(MuxStream *stream)
{
        Mux *mux = stream->mux;
        MuxStream **p = mux->hash + stream->id / 2 % MUX_HASH_SIZE;

        while (*p != stream)
                p = &(*p)->hash_next;
        *p = stream->hash_next;
        *(stream->ours ? &mux->n_ours : &mux->n_theirs) -= 1;

        unqueue_event(stream);
        unqueue_send(stream);
        /* The rest of its payload is skipped. */
        if (mux->payload_stream == stream)
                mux->payload_stream = NULL;

        byteq_done(&stream->rx);
        byteq_done(&stream->tx);
        free(stream);
        return NULL;
}

void mux_stream_free_all(Mux *mux)
{
        for (size_t i = 0; i < MUX_HASH_SIZE; i++)
                while (mux->hash[i])
                        mux_stream_free(mux->hash[i]);
}

static bool window_due(const MuxStream *stream)
{
        return stream->rx_credit >= MUX_WINDOW_INITIAL / 2 && !stream->fin_received;
}

static bool fin_due(const MuxStream *stream)
{
        return stream->fin_wanted && !stream->fin_sent && stream->tx.n == 0;
}

/* Closed by the caller, and everything that could be sent is sent. */
static bool end_due(const MuxStream *stream)
{
        return stream->detached && stream->tx.n == 0 && (!stream->fin_wanted || stream->fin_sent);
}

static bool output_due(const MuxStream *stream)
{
        if (stream->reset)
                return false;
        return stream->flags != 0 || window_due(stream) || fin_due(stream) || end_due(stream) ||
               (stream->tx.n > 0 && stream->tx_window > 0);
}

void mux_stream_schedule(MuxStream *stream)
{
        Mux *mux = stream->mux;

        if (stream->send_queued || !output_due(stream))
                return;

        stream->send_queued = true;
        stream->send_prev = mux->send_last;
        stream->send_next = NULL;
        *(mux->send_last ? &mux->send_last->send_next : &mux->send_first) = stream;
        mux->send_last = stream;
}

/* One turn: at most one frame of data, so that a busy stream does not hold up the others. */
static int send_turn(MuxStream *stream)
{
        Mux *mux = stream->mux;
        int r;

        if (stream->tx.n > 0 && stream->tx_window > 0) {
                size_t n = MIN(stream->tx.n, MUX_FRAME_MAX);
                uint16_t flags = stream->flags;
                bool fin;

                n = MIN((uint64_t) n, stream->tx_window);
                fin = stream->fin_wanted && n == stream->tx.n;
                if (fin)
                        flags |= MUX_FIN;

                r = mux_put_frame(mux, MUX_FRAME_DATA, flags, stream->id, (uint32_t) n,
                                  byteq_head(&stream->tx));
                if (r < 0)
                        return r;
                byteq_consume(&stream->tx, n);
                if (stream->tx.n == 0)
                        byteq_clear(&stream->tx);
                stream->tx_window -= n;
                stream->flags = 0;
                stream->fin_sent = fin;
                if (stream->state == MUX_STREAM_OPEN)
                        queue_event(stream, MUX_EVENT_STREAM);
        }

        if (stream->flags != 0 || window_due(stream) || fin_due(stream)) {
                size_t credit = stream->fin_received ? 0 : stream->rx_credit;
                uint16_t flags = stream->flags | (fin_due(stream) ? MUX_FIN : 0);

                r = mux_put_frame(mux, MUX_FRAME_WINDOW, flags, stream->id, (uint32_t) credit,
                                  NULL);
                if (r < 0)
                        return r;
                stream->rx_window += credit;
                stream->rx_credit -= credit;
                stream->flags = 0;
                stream->fin_sent = stream->fin_sent || (flags & MUX_FIN);
        }

        return 0;
}

void mux_fill(Mux *mux)
{
        /* The reserve of mux->out has room for one turn on top of this. */
        while (mux->out.n < MUX_FRAME_MAX && mux->send_first) {
                MuxStream *stream = mux->send_first;

                unqueue_send(stream);
                if (send_turn(stream) < 0) {
                        mux_stream_schedule(stream);
                        return;
                }

                if (end_due(stream)) {
                        int r = 0;

                        /* After FIN in both directions there is nothing to say. */
                        if (!stream->fin_sent || !stream->fin_received)
                                r = mux_put_frame(mux, MUX_FRAME_WINDOW, MUX_RST, stream->id, 0,
                                                  NULL);
                        if (r < 0) {
                                mux_stream_schedule(stream);
                                return;
                        }
                        mux_stream_free(stream);
                        continue;
                }

                mux_stream_schedule(stream);
        }
}

/*
 * The line in front of the received bytes: 1 with the number, 0 if it is not whole yet, -EBADMSG.
 */
static int take_line(MuxStream *stream, const char *prefix, uint32_t *ret)
{
        char line[MUX_LINE_MAX + 1];
        const uint8_t *feed;
        const char *number;
        size_t n;

        n = MIN(stream->rx.n, (size_t) MUX_LINE_MAX);
        if (n == 0)
                return 0;
        feed = memchr(byteq_head(&stream->rx), '\n', n);
        if (!feed)
                return n < MUX_LINE_MAX ? 0 : -EBADMSG;

        n = (size_t) (feed - byteq_head(&stream->rx));
        memcpy(line, byteq_head(&stream->rx), n);
        line[n] = '\0';
        number = startswith(line, prefix);
        if (strlen(line) != n || !number || parse_u32(number, ret) < 0)
                return -EBADMSG;

        mux_stream_consume(stream, n + 1);
        return 1;
}

static void refuse(MuxStream *stream)
{
        stream->state = MUX_STREAM_REFUSED;
        byteq_clear(&stream->tx);
        queue_event(stream, MUX_EVENT_REFUSED);
}

static void handshake(MuxStream *stream)
{
        uint32_t value;
        int r;

        if (stream->state == MUX_STREAM_WAIT_OK) {
                r = take_line(stream, "OK ", &value);
                if (r == 0)
                        return;
                if (r < 0 || value != stream->id) {
                        refuse(stream);
                        return;
                }
                stream->state = MUX_STREAM_OPEN;
                queue_event(stream, MUX_EVENT_OPENED);
        } else {
                r = take_line(stream, "CONNECT ", &value);
                if (r == 0)
                        return;
                if (r < 0) {
                        mux_stream_close(stream);
                        return;
                }
                stream->port = value;
                stream->state = MUX_STREAM_OFFERED;
                queue_event(stream, MUX_EVENT_CONNECT);
        }

        if (stream->rx.n > 0)
                queue_event(stream, MUX_EVENT_STREAM);
}

int mux_stream_received(MuxStream *stream, const void *data, size_t n)
{
        int r;

        if (stream->detached || stream->state == MUX_STREAM_REFUSED) {
                /*
                 * Nobody reads: give the window back, or two closing ends could wait for each
                 * other.
                 */
                stream->rx_credit += n;
                mux_stream_schedule(stream);
                return 0;
        }

        r = byteq_append(&stream->rx, data, n, MUX_WINDOW_INITIAL);
        if (r < 0)
                return r;

        if (stream->state == MUX_STREAM_WAIT_OK || stream->state == MUX_STREAM_WAIT_CONNECT)
                handshake(stream);
        else
                queue_event(stream, MUX_EVENT_STREAM);
        return 0;
}

void mux_stream_flags(MuxStream *stream, uint16_t flags)
{
        if (flags & MUX_RST) {
                stream->reset = true;
                byteq_clear(&stream->tx);
                unqueue_send(stream);
                if (stream->detached || stream->state == MUX_STREAM_WAIT_CONNECT) {
                        mux_stream_free(stream);
                        return;
                }
        } else if (flags & MUX_FIN) {
                stream->fin_received = true;
                if (stream->state == MUX_STREAM_WAIT_CONNECT) {
                        mux_stream_close(stream);
                        return;
                }
        } else
                return;

        if (stream->state == MUX_STREAM_WAIT_OK)
                refuse(stream);
        else
                queue_event(stream, MUX_EVENT_STREAM);
}

int mux_open(Mux *mux, uint32_t port, MuxStream **ret)
{
        char line[MUX_LINE_MAX];
        MuxStream *stream;
        int n, r;

        if (mux->state != MUX_STATE_READY)
                return -ENOTCONN;
        if (mux->n_ours >= MUX_STREAMS_MAX / 2)
                return -EMFILE;
        if (mux->next_id > UINT32_MAX - 2)
                return -EOVERFLOW;

        r = mux_stream_new(mux, mux->next_id, true, &stream);
        if (r < 0)
                return r;

        n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
        r = byteq_append(&stream->tx, line, (size_t) n, MUX_STREAM_SENDQ_MAX);
        if (r < 0) {
                mux_stream_free(stream);
                return r;
        }

        mux->next_id += 2;
        stream->port = port;
        mux_stream_schedule(stream);
        *ret = stream;
        return 0;
}

int mux_stream_accept(MuxStream *stream)
{
        char line[MUX_LINE_MAX];
        int n, r;

        if (stream->state != MUX_STREAM_OFFERED)
                return -EINVAL;
        stream->state = MUX_STREAM_OPEN;
        if (stream->reset)
                return 0;

        n = snprintf(line, sizeof(line), "OK %u\n", stream->id);
        r = byteq_append(&stream->tx, line, (size_t) n, MUX_STREAM_SENDQ_MAX);
        if (r < 0) {
                stream->state = MUX_STREAM_OFFERED;
                return r;
        }
        stream->flags = MUX_ACK;
        mux_stream_schedule(stream);
        return 0;
}

uint32_t mux_stream_id(const MuxStream *stream)
{
        return stream->id;
}

uint32_t mux_stream_port(const MuxStream *stream)
{
        return stream->port;
}

void mux_stream_set_userdata(MuxStream *stream, void *userdata)
{
        stream->userdata = userdata;
}

void *mux_stream_userdata(const MuxStream *stream)
{
        return stream->userdata;
}

static bool bytes_are_payload(const MuxStream *stream)
{
        return stream->state == MUX_STREAM_OPEN || stream->state == MUX_STREAM_OFFERED;
}

size_t mux_stream_peek(const MuxStream *stream, const uint8_t **ret)
{
        *ret = bytes_are_payload(stream) ? byteq_head(&stream->rx) : NULL;
        return *ret ? stream->rx.n : 0;
}

void mux_stream_consume(MuxStream *stream, size_t n)
{
        byteq_consume(&stream->rx, n);
        if (stream->rx.n == 0)
                byteq_clear(&stream->rx);
        stream->rx_credit += n;
        mux_stream_schedule(stream);
}

bool mux_stream_is_eof(const MuxStream *stream)
{
        if (!bytes_are_payload(stream))
                return stream->state == MUX_STREAM_REFUSED;
        return stream->rx.n == 0 && (stream->fin_received || stream->reset);
}

bool mux_stream_is_reset(const MuxStream *stream)
{
        return stream->reset;
}

size_t mux_stream_room(const MuxStream *stream)
{
        if (stream->reset || stream->fin_wanted || stream->mux->state != MUX_STATE_READY ||
            (stream->state != MUX_STREAM_OPEN && stream->state != MUX_STREAM_WAIT_OK))
                return 0;
        return stream->tx.n < MUX_STREAM_SENDQ_MAX ? MUX_STREAM_SENDQ_MAX - stream->tx.n : 0;
}

ssize_t mux_stream_write(MuxStream *stream, const void *data, size_t n)
{
        size_t room = mux_stream_room(stream);
        int r;

        n = MIN(n, room);
        r = byteq_append(&stream->tx, data, n, MUX_STREAM_SENDQ_MAX);
        if (r < 0)
                return r;
        mux_stream_schedule(stream);
        return (ssize_t) n;
}

void mux_stream_shutdown(MuxStream *stream)
{
        if (stream->fin_wanted || stream->reset)
                return;
        stream->fin_wanted = true;
        mux_stream_schedule(stream);
}

MuxStream *mux_stream_close(MuxStream *stream)
{
        bool begun;

        if (!stream)
                return NULL;

        /* The peer knows of it only once SYN is out. */
        begun = !(stream->flags & MUX_SYN);
        if (stream->reset || stream->mux->state != MUX_STATE_READY || !begun)
                return mux_stream_free(stream);

        if (stream->state != MUX_STREAM_OPEN) {
                byteq_clear(&stream->tx);
                stream->fin_wanted = false;
        }
        unqueue_event(stream);
        stream->detached = true;
        stream->rx_credit += stream->rx.n;
        byteq_done(&stream->rx);
        mux_stream_schedule(stream);
        return NULL;
}
