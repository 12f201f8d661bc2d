/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of JSON records, the log ring, the kernel log parser and the log connection. */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/json-text.h"
#include "agent/log-port.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

static const char *json_of(const char *s, size_t n, size_t max)
{
        static char buf[256];
        JsonText json;
        size_t size;

        json_begin(&json, buf, sizeof(buf) - 1);
        json_add_text(&json, "k", s, n, max);
        json_add_u64(&json, "n", UINT64_MAX);
        ASSERT_OK(json_end(&json, &size));
        buf[size] = '\0';
        return buf;
}

TEST(json)
{
        char small[10];
        JsonText json;
        size_t n;

        ASSERT_STREQ(json_of("a\"\\\n\t", 5, 100),
                     "{\"k\":\"a\\\"\\\\\\n\\t\",\"n\":18446744073709551615}\n");
        ASSERT_STREQ(json_of("\0\xff\xc3\xa4\x1b", 5, 100),
                     "{\"k\":\"\\\\x00\\\\xff\xc3\xa4\\u001b\",\"n\":18446744073709551615}\n");
        /* Overlong, surrogate, cut sequence. */
        ASSERT_STREQ(json_of("\xc0\x80\xed\xa0\x80\xe2\x82", 7, 100),
                     "{\"k\":\"\\\\xc0\\\\x80\\\\xed\\\\xa0\\\\x80\\\\xe2\\\\x82\","
                     "\"n\":18446744073709551615}\n");
        ASSERT_STREQ(json_of("abcdefgh", 8, 8), "{\"k\":\"abcdefgh\",\"n\":18446744073709551615}\n");
        ASSERT_STREQ(json_of("abcdefghi", 9, 8), "{\"k\":\"abcde...\",\"n\":18446744073709551615}\n");
        /* A cut never splits an escape. */
        ASSERT_STREQ(json_of("abcd\xff" "fghi", 9, 8), "{\"k\":\"abcd...\",\"n\":18446744073709551615}\n");

        json_begin(&json, small, sizeof(small));
        json_add_string(&json, "key", "value");
        ASSERT_ERROR(json_end(&json, &n), ENOBUFS);
}

static void parse_kmsg(const char *text, size_t n, KmsgRecord *ret, char buf[static 256])
{
        memcpy(buf, text, n);
        ASSERT_OK(kmsg_parse(buf, n, ret));
        buf[ret->text - buf + ret->text_len] = '\0';
}

TEST(kmsg_parse)
{
        char buf[256];
        KmsgRecord k;

        parse_kmsg("6,339,5140900,-;NET: Registered\\x0a \\x5cx\n SUBSYSTEM=acpi\n", 57, &k, buf);
        ASSERT_EQ(k.level, 6);
        ASSERT_EQ(k.facility, 0);
        ASSERT_EQ(k.seq, 339);
        ASSERT_EQ(k.usec, 5140900);
        ASSERT_STREQ(k.text, "NET: Registered\n \\x");

        parse_kmsg("30,1,2,c,caller=T1;a;b", 22, &k, buf);
        ASSERT_EQ(k.level, 6);
        ASSERT_EQ(k.facility, 3);
        ASSERT_STREQ(k.text, "a;b");

        for (const char *const *p = (const char *const[]) {
                     "", "6", "6,1,2", "6,1,2,-", "6,1;x", ",1,2,-;x", "6,-1,2,-;x", "x,1,2,-;y",
                     "99999999999999999999,1,2,-;x", NULL }; *p; p++) {
                memcpy(buf, *p, strlen(*p));
                ASSERT_ERROR(kmsg_parse(buf, strlen(*p), &k), EBADMSG);
        }
        /* NUL in a number must not match the end of the stop list. */
        memcpy(buf, "6\0,1,2,-;x", 10);
        ASSERT_ERROR(kmsg_parse(buf, 10, &k), EBADMSG);
}

static char *ring_text(LogRing *log)
{
        char *s = new0(char, log->ring.size + 1);
        size_t n, used = 0;
        const void *p;

        while ((p = ring_peek(&log->ring, &n)) && n > 0) {
                memcpy(s + used, p, n);
                used += n;
                ring_sent(&log->ring, n);
        }
        return s;
}

static void add(LogRing *log, const char *text)
{
        log_ring_add(log, &(LogRecord) { .msg = text, .msg_len = strlen(text), .priority = LOG_ERR });
}

TEST(log_ring)
{
        _cleanup_free_ char *text = NULL, *more = NULL;
        LogRing log;

        ASSERT_OK(log_ring_init(&log, 700));
        log_ring_add(&log, &(LogRecord) {
                .msg = "k\n", .msg_len = 2, .priority = LOG_WARNING, .kernel = true, .usec = 5,
                .container = "c1",
        });
        add(&log, "second");
        add(&log, "third");
        add(&log, "fourth");
        ASSERT_TRUE(log.dropped > 0);
        text = ring_text(&log);
        ASSERT_CONTAINS(text, "{\"msg\":\"k\\n\",\"level\":\"WARN\",\"ts\":\"");
        ASSERT_CONTAINS(text, "\"name\":\"kata-kernel\",\"source\":\"kernel\"");
        ASSERT_CONTAINS(text, "\"usec\":5,\"seq\":0,\"prio\":4,\"container\":\"c1\"}\n");
        ASSERT_CONTAINS(text, "{\"msg\":\"second\",\"level\":\"ERRO\"");
        ASSERT_NULL(strstr(text, "fourth"));

        log_ring_room(&log);
        ASSERT_EQ(log.dropped, 0);
        add(&log, "fifth");
        more = ring_text(&log);
        ASSERT_CONTAINS(more, "\"dropped\":1}\n{\"msg\":\"fifth\"");
        /* Dropped records took their numbers. */
        ASSERT_CONTAINS(more, "\"seq\":5,");
        log_ring_done(&log);
}

TEST(long_message)
{
        _cleanup_free_ char *msg = new0(char, MIB(1) + 1), *text = NULL;
        LogRing log;

        memset(msg, 0xff, MIB(1));
        ASSERT_OK(log_ring_init(&log, LOG_RING_SIZE));
        add(&log, msg);
        text = ring_text(&log);
        ASSERT_TRUE(strlen(text) < LOG_RECORD_MAX + 1024);
        ASSERT_CONTAINS(text, "\\\\xff...\",\"level\"");
        log_ring_done(&log);
}

typedef struct Fixture {
        Loop *loop;
        LogRing log;
        LogPort port;
        int fd;
} Fixture;

static void fixture_init(Fixture *f, size_t size)
{
        *f = (Fixture) { .fd = -EBADF };
        ASSERT_OK(loop_new(&f->loop));
        ASSERT_OK(log_ring_init(&f->log, size));
        log_port_init(&f->port, f->loop, &f->log);
}

static void fixture_connect(Fixture *f)
{
        int pair[2];

        f->fd = safe_close(f->fd);
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        f->fd = pair[0];
        ASSERT_OK(log_port_attach(&f->port, &pair[1]));
}

static void fixture_done(Fixture *f)
{
        log_port_done(&f->port);
        log_ring_done(&f->log);
        loop_free(f->loop);
        safe_close(f->fd);
}

static void run(Fixture *f)
{
        for (unsigned i = 0; i < 20; i++)
                ASSERT_OK(loop_run_once(f->loop, 0));
}

/* What is there, as text. */
static const char *take(Fixture *f, size_t *ret_n)
{
        static char buf[KIB(64)];
        ssize_t n = recv(f->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        buf[MAX(n, 0)] = '\0';
        if (ret_n)
                *ret_n = (size_t) MAX(n, 0);
        return buf;
}

static void say(Fixture *f, const char *text)
{
        ASSERT_EQ(send(f->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

TEST(port_replays_what_was_not_acknowledged)
{
        Fixture f;
        char ack[64];
        size_t n;

        fixture_init(&f, KIB(32));
        /* Records from before any connection are kept. */
        add(&f.log, "one");
        fixture_connect(&f);
        say(&f, "ACK 0\n");
        run(&f);
        ASSERT_CONTAINS(take(&f, &n), "\"one\"");
        snprintf(ack, sizeof(ack), "ACK %zu\n", n);
        add(&f.log, "two");
        run(&f);
        ASSERT_CONTAINS(take(&f, NULL), "\"two\"");
        /* In pieces. */
        say(&f, "ACK ");
        run(&f);
        say(&f, ack + 4);
        run(&f);

        /* Lost without an acknowledgement of "two": it comes again, "one" does not. */
        fixture_connect(&f);
        run(&f);
        take(&f, &n);
        ASSERT_TRUE(strstr(take(&f, NULL), "one") == NULL);
        fixture_connect(&f);
        run(&f);
        ASSERT_CONTAINS(take(&f, &n), "\"two\"");
        /* The new connection counts from 0. */
        snprintf(ack, sizeof(ack), "ACK %zu\n", n);
        say(&f, ack);
        run(&f);
        ASSERT_TRUE(log_port_is_idle(&f.port));
        ASSERT_TRUE(ring_is_drained(&f.log.ring));
        fixture_done(&f);
}

TEST(port_plain_stream)
{
        Fixture f;

        fixture_init(&f, KIB(32));
        fixture_connect(&f);
        /* A reader that closes its other direction still gets everything. */
        ASSERT_OK(shutdown(f.fd, SHUT_WR));
        run(&f);
        add(&f.log, "one");
        run(&f);
        ASSERT_CONTAINS(take(&f, NULL), "\"one\"");
        fixture_connect(&f);
        run(&f);
        ASSERT_STREQ(take(&f, NULL), "");
        fixture_done(&f);
}

TEST(port_refuses_nonsense)
{
        static const char *const lines[] = {
                "HELLO\n", "ACK\n", "ACK 1x\n", "ACK -1\n", "ACK 18446744073709551615\n", "ACK 999999\n",
                "ACK 0000000000000000000000000000000000000000000\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                Fixture f;

                fixture_init(&f, KIB(32));
                fixture_connect(&f);
                say(&f, lines[i]);
                run(&f);
                ASSERT_NULL(f.port.stream);
                fixture_done(&f);
        }
}

TEST(kmsg_waits_for_room)
{
        Fixture f;
        int pair[2];

        /* Room for the agent's reserve and few kernel records. */
        fixture_init(&f, KIB(32));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(kmsg_new(&f.port.kmsg, f.loop, &f.log, &pair[1]));
        for (unsigned i = 0; i < 100; i++) {
                char text[64];
                int n = snprintf(text, sizeof(text), "6,%u,%u,-;record number %u\n", i + 3, i, i);

                ASSERT_EQ(send(pair[0], text, (size_t) n, MSG_DONTWAIT), n);
        }
        /* Nobody to read for. */
        run(&f);
        ASSERT_EQ(f.log.ring.written, 0);

        fixture_connect(&f);
        run(&f);
        ASSERT_TRUE(f.log.ring.written > 0);
        ASSERT_TRUE(ring_space(&f.log.ring) > f.log.ring.size / 4);

        size_t total = 0, n, lines = 0, expected = 0;
        for (unsigned i = 0; i < 200; i++) {
                const char *p;

                ASSERT_OK(loop_run_once(f.loop, 0));
                p = take(&f, &n);
                total += n;
                for (; (p = strstr(p, "record number ")); p++, lines++) {
                        /* In order, none missing. */
                        ASSERT_EQ(strtoul(p + 14, NULL, 10), expected);
                        expected++;
                }
        }
        ASSERT_EQ(lines, 100);
        ASSERT_TRUE(total > 0);
        /* Sequence 0 to 2 never came. */
        ASSERT_EQ(f.log.dropped, 0);
        kmsg_free(f.port.kmsg);
        safe_close(pair[0]);
        fixture_done(&f);
}

DEFINE_TEST_MAIN
