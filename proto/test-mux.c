/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multiplexer, two sessions back to back: any cut of the byte stream, flow control, fairness,
 * violations, and finding each other again after a cut in the middle of a frame.
 */

#include "proto/mux.h"

#include "basic/test.h"

#define NONCE UINT64_C(0x0123456789abcdef)
#define PREAMBLE "KATA-MUX 1 0123456789abcdef\n"
#define ANSWER "KATA-ACK 1 0123456789abcdef\n"

/* Frames by hand: type, flags, stream, length. */
#define H(type, flags, id, a, b, c, d) "\0" type "\0" flags "\0\0\0" id a b c d

static uint32_t rnd_state = 1;

static uint32_t rnd(uint32_t below)
{
        rnd_state = rnd_state * 1664525U + 1013904223U;
        return (rnd_state >> 8) % below;
}

/* Moves up to max bytes in random pieces; how many. */
static size_t carry(Mux *from, Mux *to, size_t max)
{
        const uint8_t *p;
        size_t moved = 0, n, consumed;

        while (moved < max && (n = mux_output(from, &p)) > 0) {
                n = MIN(n, max - moved);
                n = 1 + rnd((uint32_t) n);
                ASSERT_OK(mux_input(to, p, n, &consumed, NULL));
                ASSERT_EQ(consumed, n);
                mux_output_done(from, n);
                moved += n;
        }
        return moved;
}

static void settle(Mux *a, Mux *b)
{
        while (carry(a, b, SIZE_MAX) + carry(b, a, SIZE_MAX) > 0)
                ;
}

static MuxEvent expect(Mux *mux, MuxEventType type)
{
        MuxEvent e = {};

        ASSERT_TRUE(mux_next_event(mux, &e));
        ASSERT_EQ(e.type, type);
        return e;
}

static void expect_none(Mux *mux)
{
        MuxEvent e;

        ASSERT_FALSE(mux_next_event(mux, &e));
}

static void drop_events(Mux *mux)
{
        MuxEvent e;

        while (mux_next_event(mux, &e))
                ASSERT_EQ(e.type, MUX_EVENT_STREAM);
}

static void pair(Mux **host, Mux **guest)
{
        ASSERT_OK(mux_new(host, MUX_CLIENT, NONCE));
        ASSERT_OK(mux_new(guest, MUX_SERVER, 0));
        settle(*host, *guest);
        expect(*host, MUX_EVENT_READY);
        expect(*guest, MUX_EVENT_READY);
}

static void open_pair(Mux *from, Mux *to, uint32_t port, MuxStream **ret_from, MuxStream **ret_to)
{
        MuxEvent e;

        ASSERT_OK(mux_open(from, port, ret_from));
        settle(from, to);
        e = expect(to, MUX_EVENT_CONNECT);
        ASSERT_EQ(mux_stream_port(e.stream), port);
        ASSERT_OK(mux_stream_accept(e.stream));
        settle(from, to);
        *ret_to = e.stream;
        e = expect(from, MUX_EVENT_OPENED);
        ASSERT_TRUE(e.stream == *ret_from);
        ASSERT_EQ(mux_stream_id(*ret_from), mux_stream_id(*ret_to));
        drop_events(from);
        drop_events(to);
}

/* Everything that is there, at most max. */
static size_t take(MuxStream *s, void *buf, size_t max)
{
        const uint8_t *p;
        size_t n = mux_stream_peek(s, &p);

        n = MIN(n, max);
        if (n > 0)
                memcpy(buf, p, n);
        mux_stream_consume(s, n);
        return n;
}

static void expect_text(MuxStream *s, const char *text)
{
        char buf[256];

        ASSERT_EQ(take(s, buf, sizeof(buf)), strlen(text));
        ASSERT_EQ(memcmp(buf, text, strlen(text)), 0);
}

TEST(open_and_talk)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        MuxStream *a, *b;

        pair(&host, &guest);
        open_pair(host, guest, 1024, &a, &b);
        ASSERT_EQ(mux_stream_id(a), 1);

        ASSERT_EQ(mux_stream_write(a, "ping", 4), 4);
        settle(host, guest);
        ASSERT_TRUE(expect(guest, MUX_EVENT_STREAM).stream == b);
        expect_text(b, "ping");
        ASSERT_EQ(mux_stream_write(b, "pong", 4), 4);
        settle(host, guest);
        expect_text(a, "pong");

        /* One direction ends, the other goes on. */
        mux_stream_shutdown(a);
        ASSERT_EQ(mux_stream_room(a), 0);
        settle(host, guest);
        ASSERT_TRUE(mux_stream_is_eof(b));
        ASSERT_EQ(mux_stream_write(b, "late", 4), 4);
        mux_stream_shutdown(b);
        settle(host, guest);
        ASSERT_FALSE(mux_stream_is_eof(a));
        expect_text(a, "late");
        ASSERT_TRUE(mux_stream_is_eof(a));
        ASSERT_FALSE(mux_stream_is_reset(a));

        mux_stream_close(a);
        mux_stream_close(b);
        settle(host, guest);
        drop_events(host);

        /* The guest opens the even ones, and may write before it knows the answer. */
        ASSERT_OK(mux_open(guest, 1029, &b));
        ASSERT_EQ(mux_stream_id(b), 2);
        ASSERT_EQ(mux_stream_write(b, "READY=1", 7), 7);
        mux_stream_shutdown(b);
        settle(host, guest);
        a = expect(host, MUX_EVENT_CONNECT).stream;
        ASSERT_EQ(mux_stream_port(a), 1029);
        ASSERT_OK(mux_stream_accept(a));
        expect_text(a, "READY=1");
        ASSERT_TRUE(mux_stream_is_eof(a));
}

TEST(golden_bytes)
{
        static const char open_bytes[] =
                PREAMBLE
                H("\0", "\1", "\1", "\0", "\0", "\0", "\15") "CONNECT 1024\n";
        static const char ok_bytes[] =
                ANSWER
                H("\0", "\2", "\1", "\0", "\0", "\0", "\5") "OK 1\n";
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        const uint8_t *p;
        size_t n, consumed;
        MuxStream *s;

        ASSERT_OK(mux_new(&guest, MUX_SERVER, 0));
        ASSERT_OK(mux_input(guest, open_bytes, sizeof(open_bytes) - 1, &consumed, NULL));
        expect(guest, MUX_EVENT_READY);
        s = expect(guest, MUX_EVENT_CONNECT).stream;
        ASSERT_EQ(mux_stream_port(s), 1024);
        ASSERT_OK(mux_stream_accept(s));
        n = mux_output(guest, &p);
        ASSERT_EQ(n, sizeof(ok_bytes) - 1);
        ASSERT_EQ(memcmp(p, ok_bytes, n), 0);

        ASSERT_OK(mux_new(&host, MUX_CLIENT, NONCE));
        ASSERT_ERROR(mux_open(host, 1024, &s), ENOTCONN);
        n = mux_output(host, &p);
        ASSERT_EQ(n, strlen(PREAMBLE));
        mux_output_done(host, n);
        /* A program of the guest that sends our offer back is not the guest. */
        ASSERT_OK(mux_input(host, PREAMBLE, strlen(PREAMBLE), &consumed, NULL));
        ASSERT_FALSE(mux_is_ready(host));
        ASSERT_OK(mux_input(host, ANSWER, strlen(ANSWER), &consumed, NULL));
        ASSERT_OK(mux_open(host, 1024, &s));
        n = mux_output(host, &p);
        ASSERT_EQ(n, sizeof(open_bytes) - 1 - strlen(PREAMBLE));
        ASSERT_EQ(memcmp(p, open_bytes + strlen(PREAMBLE), n), 0);
}

TEST(refused)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        MuxStream *s;
        MuxEvent e;

        pair(&host, &guest);
        ASSERT_OK(mux_open(host, 9, &s));
        settle(host, guest);
        e = expect(guest, MUX_EVENT_CONNECT);
        mux_stream_close(e.stream);
        settle(host, guest);
        ASSERT_TRUE(expect(host, MUX_EVENT_REFUSED).stream == s);
        mux_stream_close(s);

        /* Closed before the answer. */
        ASSERT_OK(mux_open(host, 10, &s));
        settle(host, guest);
        e = expect(guest, MUX_EVENT_CONNECT);
        mux_stream_close(s);
        settle(host, guest);
        ASSERT_OK(mux_stream_accept(e.stream));
        ASSERT_TRUE(mux_stream_is_eof(e.stream));
        ASSERT_TRUE(mux_stream_is_reset(e.stream));
        mux_stream_close(e.stream);

        /* Closed before it ever went out: the peer sees nothing. */
        ASSERT_OK(mux_open(host, 11, &s));
        mux_stream_close(s);
        settle(host, guest);
        drop_events(guest);
        open_pair(host, guest, 12, &s, &e.stream);
}

TEST(close_delivers)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *block = ASSERT_NOT_NULL(calloc(1, KIB(64)));
        size_t total = 0, n;
        MuxStream *a, *b;

        pair(&host, &guest);
        open_pair(host, guest, 1, &a, &b);

        /* More than the window, then close: all of it arrives as the reader makes room. */
        while (mux_stream_room(a) > 0) {
                total += (size_t) ASSERT_OK(mux_stream_write(a, block, KIB(64)));
                settle(host, guest);
        }
        /* The other side has something unread meanwhile; it must not cost us our bytes. */
        ASSERT_EQ(mux_stream_write(b, "ACK 1\n", 6), 6);
        settle(host, guest);
        mux_stream_close(a);
        settle(host, guest);
        ASSERT_FALSE(mux_stream_is_reset(b));

        while (!mux_stream_is_eof(b)) {
                n = take(b, block, KIB(10));
                ASSERT_TRUE(n > 0);
                total -= n;
                settle(host, guest);
        }
        ASSERT_EQ(total, 0);
        ASSERT_TRUE(mux_stream_is_reset(b));
        ASSERT_EQ(mux_stream_room(b), 0);
        mux_stream_close(b);
}

TEST(flow_control)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *block = ASSERT_NOT_NULL(calloc(1, KIB(64)));
        MuxStream *slow_a, *slow_b, *a, *b;
        const uint8_t *p;
        size_t total = 0;

        pair(&host, &guest);
        open_pair(host, guest, 1, &slow_a, &slow_b);
        open_pair(host, guest, 2, &a, &b);

        while (mux_stream_room(slow_a) > 0) {
                total += (size_t) ASSERT_OK(mux_stream_write(slow_a, block, KIB(64)));
                settle(host, guest);
        }
        /* A window full there, a queue full here (the handshake line was charged to the window). */
        ASSERT_EQ(mux_stream_peek(slow_b, &p), MUX_WINDOW_INITIAL - strlen("CONNECT 1\n"));
        ASSERT_EQ(total, MUX_WINDOW_INITIAL - strlen("CONNECT 1\n") + MUX_STREAM_SENDQ_MAX);

        /* The other stream does not mind. */
        ASSERT_EQ(mux_stream_write(a, "quick", 5), 5);
        settle(host, guest);
        expect_text(b, "quick");

        /* Less than half consumed: no update yet; then the writer goes on. */
        drop_events(host);
        mux_stream_consume(slow_b, KIB(100));
        settle(host, guest);
        ASSERT_EQ(mux_stream_room(slow_a), 0);
        expect_none(host);
        mux_stream_consume(slow_b, KIB(40));
        settle(host, guest);
        ASSERT_TRUE(expect(host, MUX_EVENT_STREAM).stream == slow_a);
        ASSERT_EQ(mux_stream_room(slow_a), MUX_STREAM_SENDQ_MAX);
}

TEST(fairness)
{
        enum { N = 8 };
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *block = ASSERT_NOT_NULL(calloc(1, KIB(64)));
        MuxStream *a[N], *b[N];
        const uint8_t *p;

        pair(&host, &guest);
        for (unsigned i = 0; i < N; i++)
                open_pair(host, guest, i + 1, a + i, b + i);
        for (unsigned round = 0; round < 3; round++) {
                for (unsigned i = 0; i < N; i++)
                        (void) ASSERT_OK(mux_stream_write(a[i], block, KIB(64)));
                /* A small write behind seven big ones waits for one frame of each at most. */
                (void) carry(host, guest, N * (MUX_FRAME_MAX + 64));
                for (unsigned i = 0; i < N; i++) {
                        ASSERT_EQ(mux_stream_peek(b[i], &p), KIB(64));
                        mux_stream_consume(b[i], KIB(64));
                }
                settle(host, guest);
        }
}

TEST(any_chunking)
{
        enum { N = 20, SIZE = 300000 };
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        MuxStream *a[N], *b[N];
        uint32_t sent[N] = {}, got[N] = {}, done = 0;
        uint8_t buf[5000];

        /*
         * Random sizes both ways on many streams; every byte is a function of stream and position.
         */
        pair(&host, &guest);
        for (unsigned i = 0; i < N; i++) {
                if (i % 2)
                        open_pair(guest, host, i, a + i, b + i);
                else
                        open_pair(host, guest, i, a + i, b + i);
        }

        while (done < N) {
                unsigned i = rnd(N);
                size_t n = MIN((uint32_t) (1 + rnd(sizeof(buf))), SIZE - sent[i]);
                ssize_t k;

                for (size_t j = 0; j < n; j++)
                        buf[j] = (uint8_t) ((sent[i] + j) * 7 + i);
                if (n > 0) {
                        k = mux_stream_write(a[i], buf, n);
                        ASSERT_OK(k);
                        sent[i] += (uint32_t) k;
                        if (sent[i] == SIZE)
                                mux_stream_shutdown(a[i]);
                }

                (void) carry(host, guest, rnd(20000));
                (void) carry(guest, host, rnd(20000));

                i = rnd(N);
                n = take(b[i], buf, rnd(sizeof(buf)));
                for (size_t j = 0; j < n; j++)
                        ASSERT_EQ(buf[j], (uint8_t) ((got[i] + j) * 7 + i));
                got[i] += (uint32_t) n;
                if (n > 0 && got[i] == SIZE)
                        done++;
        }

        settle(host, guest);
        for (unsigned i = 0; i < N; i++)
                ASSERT_TRUE(mux_stream_is_eof(b[i]));
}

TEST(stream_limits)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *text = NULL;
        char bytes[] = H("\1", "\1", "\2", "\0", "\0", "\0", "\0");
        size_t consumed;
        MuxStream *s;
        int r = 0;

        pair(&host, &guest);
        for (unsigned i = 0; i < MUX_STREAMS_MAX / 2; i++)
                ASSERT_OK(mux_open(host, 1, &s));
        ASSERT_ERROR(mux_open(host, 1, &s), EMFILE);
        settle(host, guest);

        /* A guest that does not keep to its half. */
        for (unsigned i = 1; r >= 0; i++) {
                bytes[6] = (char) (i * 2 >> 8);
                bytes[7] = (char) (i * 2);
                r = mux_input(host, bytes, 12, &consumed, &text);
                ASSERT_TRUE(i <= MUX_STREAMS_MAX + 1);
                ASSERT_EQ(r < 0, i > MUX_STREAMS_MAX);
        }
        ASSERT_EQ(r, -EPROTO);
        ASSERT_CONTAINS(text, "more than 256 streams");
}

static void violate(const void *bytes, size_t n, int error, const char *part)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *text = NULL;
        size_t consumed, k = 0;
        const uint8_t *p;
        MuxStream *a, *b;
        int r = 0;

        /* Stream 1 is open, by the host; one byte at a time. */
        pair(&host, &guest);
        open_pair(host, guest, 1, &a, &b);
        for (; r >= 0 && k < n; k++)
                r = mux_input(host, (const uint8_t *) bytes + k, 1, &consumed, &text);
        ASSERT_EQ(r, -error);
        ASSERT_CONTAINS(text, part);
        ASSERT_FALSE(mux_is_ready(host));
        ASSERT_ERROR(mux_input(host, "", 1, &consumed, NULL), ECONNRESET);

        /* The streams stay until they are closed; a peer that broke the rules is told. */
        ASSERT_EQ(mux_stream_room(a), 0);
        ASSERT_ERROR(mux_open(host, 1, &b), ENOTCONN);
        ASSERT_EQ(mux_output(host, &p), error == ECONNRESET ? 0 : 12);
        mux_stream_close(a);
}
#define VIOLATE(bytes, error, part) violate(bytes, sizeof(bytes) - 1, error, part)

TEST(violations)
{
        VIOLATE("\1", EPROTO, "version 1");
        VIOLATE(H("\4", "\0", "\1", "\0", "\0", "\0", "\0"), EPROTO, "type 4");
        VIOLATE(H("\0", "\20", "\1", "\0", "\0", "\0", "\0"), EPROTO, "0x0010");
        VIOLATE(H("\0", "\0", "\0", "\0", "\0", "\0", "\0"), EPROTO, "without a stream");
        VIOLATE(H("\0", "\0", "\3", "\0", "\0", "\0", "\0"), EPROTO, "never opened");
        VIOLATE(H("\0", "\0", "\2", "\0", "\0", "\0", "\0"), EPROTO, "never opened");
        VIOLATE(H("\0", "\1", "\3", "\0", "\0", "\0", "\0"), EPROTO, "not its to open");
        VIOLATE(H("\0", "\1", "\4", "\0", "\0", "\0", "\0")
                H("\0", "\1", "\2", "\0", "\0", "\0", "\0"), EPROTO, "2 after 4");
        VIOLATE(H("\0", "\0", "\1", "\0", "\1", "\0", "\1"), EPROTO, "65537 bytes");
        VIOLATE(H("\0", "\0", "\1", "\377", "\377", "\377", "\377"), EPROTO, "maximum");
        VIOLATE(H("\0", "\4", "\1", "\0", "\0", "\0", "\0")
                H("\0", "\0", "\1", "\0", "\0", "\0", "\1"), EPROTO, "behind its end");
        VIOLATE(H("\1", "\0", "\1", "\377", "\377", "\377", "\377"), EPROTO, "overflows");
        VIOLATE(H("\2", "\1", "\1", "\0", "\0", "\0", "\0"), EPROTO, "ping on stream");
        VIOLATE(H("\3", "\0", "\0", "\0", "\0", "\0", "\0"), ECONNRESET, "no reason");
        VIOLATE(H("\3", "\0", "\0", "\0", "\0", "\0", "\1"), ECONNRESET, "protocol error");
        VIOLATE(PREAMBLE, EPROTO, "version 75");
}

TEST(window_violation)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ uint8_t *frame = ASSERT_NOT_NULL(calloc(1, 12 + MUX_FRAME_MAX));
        _cleanup_free_ char *text = NULL;
        MuxStream *a, *b;
        size_t consumed;

        pair(&host, &guest);
        open_pair(host, guest, 1, &a, &b);
        memcpy(frame, H("\0", "\0", "\1", "\0", "\1", "\0", "\0"), 12);
        /* "OK 1\n" was consumed but not granted again. */
        for (unsigned i = 0; i < 3; i++)
                ASSERT_OK(mux_input(host, frame, 12 + MUX_FRAME_MAX, &consumed, NULL));
        ASSERT_ERROR(mux_input(host, frame, 12 + MUX_FRAME_MAX, &consumed, &text), EPROTO);
        ASSERT_CONTAINS(text, "65531 are allowed");
}

TEST(bad_lines)
{
        static const char *const lines[] = {
                "CONNECT\n", "CONNECT x\n", "connect 1\n", "CONNECT 4294967296\n", "CONNECT  1\n",
                "CONNECT 1 \n", "OK 2\n", "\n", "CONNECT 111111111111111111111111111111111111",
        };
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        const uint8_t *p;
        size_t consumed, n;
        MuxStream *s;

        /* They cost the stream, not the session. */
        pair(&host, &guest);
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                char bytes[128] = H("\0", "\1", "\0", "\0", "\0", "\0", "\0");

                bytes[7] = (char) (2 * (i + 1));
                bytes[11] = (char) strlen(lines[i]);
                memcpy(bytes + 12, lines[i], strlen(lines[i]));
                ASSERT_OK(mux_input(host, bytes, 12 + strlen(lines[i]), &consumed, NULL));
                expect_none(host);
                n = mux_output(host, &p);
                ASSERT_EQ(n, 12);
                ASSERT_EQ(p[3], 8);
                ASSERT_EQ(p[7], 2 * (i + 1));
                mux_output_done(host, n);
        }

        /* A wrong answer to ours. */
        ASSERT_OK(mux_open(host, 1, &s));
        mux_output_done(host, mux_output(host, &p));
        ASSERT_OK(mux_input(host, H("\0", "\2", "\1", "\0", "\0", "\0", "\5") "OK 3\n", 17,
                            &consumed, NULL));
        ASSERT_TRUE(expect(host, MUX_EVENT_REFUSED).stream == s);
        ASSERT_TRUE(mux_stream_is_eof(s));
        mux_stream_close(s);
        ASSERT_EQ(mux_output(host, &p), 12);
        ASSERT_EQ(p[3], 8);
}

TEST(ping)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *text = NULL;
        const uint8_t *p;
        size_t consumed;
        int r = 0;

        pair(&host, &guest);
        ASSERT_OK(mux_input(host, H("\2", "\1", "\0", "\0", "\1", "\2", "\3"), 12, &consumed,
                            NULL));
        ASSERT_EQ(mux_output(host, &p), 12);
        ASSERT_EQ(memcmp(p, H("\2", "\2", "\0", "\0", "\1", "\2", "\3"), 12), 0);

        /* Asking without reading the answers has an end. */
        for (unsigned i = 0; r >= 0; i++) {
                ASSERT_TRUE(i < MUX_SENDQ_MAX / 12);
                r = mux_input(host, H("\2", "\1", "\0", "\0", "\0", "\0", "\0"), 12, &consumed,
                              &text);
        }
        ASSERT_EQ(r, -EPROTO);
        ASSERT_CONTAINS(text, "does not read");
}

TEST(preamble_behind_rubbish)
{
        static const char *const rubbish[] = {
                "", "\n\n\n", "KATA-MUX 1 0123", "KATA-ACK 1 01234567",
                "KATA-MUX 1 0123456789ABCDEF\n", "KATA-MUX 2 ",
                "KATA-ACK 1 KATA-ACK 1 ", "KATA-MUX 1 KATA-MUX 1 ", "KATA-MUX 1 fedcba987654321\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(rubbish); i++) {
                _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
                size_t consumed;

                ASSERT_OK(mux_new(&host, MUX_CLIENT, NONCE));
                ASSERT_OK(mux_new(&guest, MUX_SERVER, 0));
                ASSERT_OK(mux_input(host, rubbish[i], strlen(rubbish[i]), &consumed, NULL));
                ASSERT_OK(mux_input(guest, rubbish[i], strlen(rubbish[i]), &consumed, NULL));
                settle(host, guest);
                ASSERT_TRUE(mux_is_ready(host));
                ASSERT_TRUE(mux_is_ready(guest));
        }
}

TEST(preamble_repeated)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        MuxStream *a, *b;

        ASSERT_OK(mux_new(&host, MUX_CLIENT, NONCE));
        ASSERT_OK(mux_new(&guest, MUX_SERVER, 0));
        (void) carry(host, guest, SIZE_MAX);
        ASSERT_OK(mux_offer_preamble(host, false));
        /* With line feeds, for a guest that was stuck in a frame; this one was not. */
        (void) carry(host, guest, SIZE_MAX);
        ASSERT_OK(mux_offer_preamble(host, true));
        (void) carry(host, guest, SIZE_MAX);
        ASSERT_OK(mux_offer_preamble(host, false));
        settle(host, guest);
        expect(host, MUX_EVENT_READY);
        expect(guest, MUX_EVENT_READY);
        ASSERT_ERROR(mux_offer_preamble(host, false), EALREADY);
        open_pair(host, guest, 1, &a, &b);
        expect_none(guest);
}

/* A server as the pump drives it. Returns how often a session ended. */
static unsigned feed_server(Mux *guest, const uint8_t *p, size_t n)
{
        unsigned ended = 0;
        size_t consumed;

        while (n > 0) {
                if (mux_input(guest, p, n, &consumed, NULL) < 0) {
                        mux_restart(guest, false);
                        ended++;
                }
                p += consumed;
                n -= consumed;
        }
        return ended;
}

TEST(new_host_after_hangup)
{
        /*
         * Cut the old session in a frame: at every byte of the header, at some of the payload;
         * with and without the guest seeing it.
         */
        for (size_t cut = 0; cut <= 12 + 100; cut += cut < 16 ? 1 : 8)
                for (unsigned seen = 0; seen < 2; seen++) {
                        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL, *second = NULL;
                        char block[100] = {};
                        MuxStream *a, *b;
                        const uint8_t *p;
                        size_t n, consumed;

                        pair(&host, &guest);
                        open_pair(host, guest, 1, &a, &b);
                        ASSERT_EQ(mux_stream_write(a, block, sizeof(block)), sizeof(block));
                        ASSERT_EQ(mux_output(host, &p), 12 + sizeof(block));
                        ASSERT_EQ(feed_server(guest, p, cut), 0);

                        /* The guest has begun a frame too. */
                        ASSERT_EQ(mux_stream_write(b, block, sizeof(block)), sizeof(block));
                        n = mux_output(guest, &p);
                        mux_output_done(guest, MIN(cut, n));
                        if (seen)
                                mux_restart(guest, true);

                        ASSERT_OK(mux_new(&second, MUX_CLIENT, ~NONCE));
                        for (unsigned i = 0; i < 8 && !mux_is_ready(second); i++) {
                                if (i > 0)
                                        ASSERT_OK(mux_offer_preamble(second, i % 4 == 3));
                                n = mux_output(second, &p);
                                (void) feed_server(guest, p, n);
                                mux_output_done(second, n);
                                n = mux_output(guest, &p);
                                ASSERT_OK(mux_input(second, p, n, &consumed, NULL));
                                mux_output_done(guest, n);
                        }
                        ASSERT_TRUE(mux_is_ready(second));
                        ASSERT_TRUE(mux_is_ready(guest));
                        expect(second, MUX_EVENT_READY);
                        expect(guest, MUX_EVENT_READY);
                        open_pair(second, guest, 7, &a, &b);
                        ASSERT_EQ(mux_stream_id(a), 1);
                }
}

TEST(new_host_at_a_boundary)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        _cleanup_free_ char *text = NULL;
        static const char preamble[] = "KATA-MUX 1 00000000000000ff\n";
        MuxStream *a, *b;
        const uint8_t *p;
        size_t consumed;

        pair(&host, &guest);
        open_pair(host, guest, 1, &a, &b);
        ASSERT_EQ(mux_stream_write(b, "old", 3), 3);
        ASSERT_ERROR(mux_input(guest, preamble, 28, &consumed, &text), ECONNRESET);
        ASSERT_EQ(consumed, 28);
        ASSERT_CONTAINS(text, "new session");
        /* Streams are valid until the restart. */
        ASSERT_EQ(mux_stream_id(b), 1);
        mux_restart(guest, false);
        ASSERT_EQ(mux_output(guest, &p), 28);
        ASSERT_EQ(memcmp(p, "KATA-ACK 1 00000000000000ff\n", 28), 0);
        expect(guest, MUX_EVENT_READY);
        expect_none(guest);
}

TEST(late_frames_of_closed_streams)
{
        _cleanup_(mux_freep) Mux *host = NULL, *guest = NULL;
        char block[1000] = {};
        MuxStream *a, *b;

        pair(&host, &guest);
        open_pair(host, guest, 1, &a, &b);
        mux_stream_close(a);
        ASSERT_EQ(mux_stream_write(b, block, sizeof(block)), sizeof(block));
        /* The RST and the data cross each other. */
        (void) carry(guest, host, 200);
        (void) carry(host, guest, SIZE_MAX);
        settle(host, guest);
        ASSERT_TRUE(mux_stream_is_reset(b));
        ASSERT_TRUE(mux_is_ready(host));
        mux_stream_close(b);
        settle(host, guest);
        open_pair(host, guest, 1, &a, &b);
}

DEFINE_TEST_MAIN
