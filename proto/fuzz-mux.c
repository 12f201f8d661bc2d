/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiplexer against a hostile peer. First byte: bit 0 the role, bit 1 "the preamble has been
 * exchanged"; four bytes seed of what our side does meanwhile; then the bytes of the peer.
 */

#include "proto/mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 8U

static uint32_t seed;
static MuxStream *streams[STREAMS];

static uint32_t rnd(uint32_t below)
{
        seed = seed * 1664525U + 1013904223U;
        return (seed >> 8) % below;
}

static void keep(MuxStream *stream)
{
        MuxStream **slot = streams + rnd(STREAMS);

        mux_stream_close(*slot);
        *slot = stream;
}

static void drop(MuxStream *stream)
{
        for (unsigned i = 0; i < STREAMS; i++)
                if (streams[i] == stream)
                        streams[i] = NULL;
        mux_stream_close(stream);
}

static void act(Mux *mux)
{
        static const uint8_t bytes[1000];
        MuxStream *s = streams[rnd(STREAMS)];
        const uint8_t *p;
        size_t n;

        switch (rnd(8)) {
        case 0:
                if (mux_open(mux, rnd(2000), &s) >= 0)
                        keep(s);
                break;
        case 1:
        case 2:
                n = mux_output(mux, &p);
                assert(n <= MUX_SENDQ_MAX);
                for (size_t i = 0; i < n; i += 997)
                        assert(p[i] <= 255);
                mux_output_done(mux, n > 0 ? rnd((uint32_t) n) + 1 : 0);
                break;
        case 3:
                if (s) {
                        n = rnd(sizeof(bytes));
                        assert(mux_stream_write(s, bytes, n) <= (ssize_t) n);
                        assert(mux_stream_room(s) <= MUX_STREAM_SENDQ_MAX);
                }
                break;
        case 4:
        case 5:
                if (s) {
                        n = mux_stream_peek(s, &p);
                        assert(n <= MUX_WINDOW_INITIAL);
                        if (n > 0)
                                mux_stream_consume(s, rnd((uint32_t) n) + 1);
                }
                break;
        case 6:
                if (s)
                        mux_stream_shutdown(s);
                break;
        case 7:
                if (s && rnd(4) == 0)
                        drop(s);
                break;
        }
}

static void events(Mux *mux)
{
        MuxEvent e;

        while (mux_next_event(mux, &e))
                switch (e.type) {
                case MUX_EVENT_READY:
                        break;
                case MUX_EVENT_CONNECT:
                        if (rnd(4) > 0 && mux_stream_accept(e.stream) >= 0)
                                keep(e.stream);
                        else
                                mux_stream_close(e.stream);
                        break;
                case MUX_EVENT_REFUSED:
                        drop(e.stream);
                        break;
                case MUX_EVENT_OPENED:
                case MUX_EVENT_STREAM:
                        (void) mux_stream_is_eof(e.stream);
                        break;
                }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char offer[] = "KATA-MUX 1 0123456789abcdef\n";
        static const char answer[] = "KATA-ACK 1 0123456789abcdef\n";
        _cleanup_(mux_freep) Mux *mux = NULL;
        size_t consumed;
        MuxRole role;

        if (size < 5)
                return 0;
        role = data[0] & 1 ? MUX_SERVER : MUX_CLIENT;
        memcpy(&seed, data + 1, 4);
        memset(streams, 0, sizeof(streams));

        if (mux_new(&mux, role, UINT64_C(0x0123456789abcdef)) < 0)
                return 0;
        if (data[0] & 2) {
                assert(mux_input(mux, role == MUX_SERVER ? offer : answer, sizeof(offer) - 1,
                                 &consumed, NULL) == 0);
                assert(mux_is_ready(mux));
        }
        data += 5;
        size -= 5;

        while (size > 0) {
                _cleanup_free_ char *text = NULL;
                int r;

                r = mux_input(mux, data, rnd((uint32_t) MIN(size, 64U)) + 1, &consumed, &text);
                data += consumed;
                size -= consumed;
                assert(r >= 0 || text);
                events(mux);
                act(mux);
                if (r >= 0)
                        continue;
                if (role == MUX_CLIENT)
                        break;
                mux_restart(mux, rnd(2));
                memset(streams, 0, sizeof(streams));
        }

        return 0;
}
