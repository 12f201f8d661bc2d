/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the log relay against a journal socket of our own: exact fields, hostile bytes, backpressure. */

#include <endian.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/log/events.h"
#include "runtime/log/line-splitter.h"
#include "runtime/log/ratelimit.h"
#include "runtime/log/record-parse.h"
#include "runtime/log/relay.h"

typedef struct World {
        char dir[32], path[64];
        int journal;
        sd_event *event;
        Relay *relay;
        unsigned ends;
} World;

static void open_journal(World *w)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        strcpy(a.sun_path, w->path);
        w->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ASSERT_TRUE(w->journal >= 0);
        ASSERT_OK(bind(w->journal, (struct sockaddr *) &a, sizeof(a)));
}

static void world_init(World *w, uint64_t burst)
{
        RelayParams params = { .sandbox_id = "web", .unit = "kata-sandbox@web.service",
                               .rate_interval = 3600 * USEC_PER_SEC, .rate_burst = burst };

        *w = (World) { .dir = "/tmp/test-log-XXXXXX" };
        ASSERT_NOT_NULL(mkdtemp(w->dir));
        snprintf(w->path, sizeof(w->path), "%s/socket", w->dir);
        open_journal(w);
        params.journal_path = w->path;
        ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(relay_new(&w->relay, w->event, &params));
}

static void world_done(World *w)
{
        relay_free(w->relay);
        sd_event_unref(w->event);
        safe_close(w->journal);
        ASSERT_OK(rm_rf(w->dir));
}

static void turn(World *w, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(sd_event_run(w->event, 200));
}

/* The next entry as "NAME=value" lines in a buffer, binary values with \n shown as '|'; NULL: none. */
static char *next_entry(World *w)
{
        uint8_t buf[65536];
        ssize_t k = recv(w->journal, buf, sizeof(buf), 0);
        char *out, *o;

        if (k < 0)
                return NULL;

        out = o = malloc((size_t) k + 1);
        for (ssize_t i = 0; i < k;) {
                uint8_t *nl = memchr(buf + i, '\n', (size_t) (k - i)), *eq = memchr(buf + i, '=', (size_t) (k - i));

                ASSERT_NOT_NULL(nl);
                if (eq && eq < nl) {
                        memcpy(o, buf + i, (size_t) (nl + 1 - (buf + i)));
                        o += nl + 1 - (buf + i);
                        i = nl + 1 - buf;
                } else {
                        uint64_t n;

                        memcpy(&n, nl + 1, 8);
                        n = le64toh(n);
                        memcpy(o, buf + i, (size_t) (nl - (buf + i)));
                        o += nl - (buf + i);
                        *o++ = '=';
                        for (uint64_t j = 0; j < n; j++)
                                *o++ = nl[9 + j] == '\n' ? '|' : (char) nl[9 + j];
                        *o++ = '\n';
                        i = nl + 9 + n + 1 - buf;
                }
        }
        *o = '\0';
        return out;
}

static void on_end(void *userdata)
{
        (*(unsigned *) userdata)++;
}

static int add_output(World *w, const char *stream)
{
        int p[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p));
        ASSERT_OK(relay_add_output(w->relay, p[0], "main", stream, on_end, &w->ends));
        return p[1];
}

static void expect_text(int fd, const char *text)
{
        char buf[256] = {};

        ASSERT_TRUE(read(fd, buf, sizeof(buf) - 1) > 0);
        ASSERT_STREQ(buf, text);
}

TEST(output_fields)
{
        _cleanup_free_ char *e = NULL;
        World w;
        int fd;

        world_init(&w, 0);
        fd = add_output(&w, "stderr");
        expect_text(fd, "ACK 0\n");
        ASSERT_OK(write_full(fd, "_PID=1\n", 7));
        turn(&w, 3);
        e = next_entry(&w);
        ASSERT_STREQ(e, "PRIORITY=3\nSYSLOG_IDENTIFIER=main\nKATA_SANDBOX_ID=web\nKATA_COMPONENT=container\n"
                        "KATA_CONTAINER_ID=main\nCONTAINER_NAME=main\nCONTAINER_ID_FULL=web/main\n"
                        "KATA_STREAM=stderr\nMESSAGE=_PID=1\n");
        expect_text(fd, "ACK 7\n");
        close(fd);
        turn(&w, 3);
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

TEST(end_without_newline)
{
        _cleanup_free_ char *e = NULL;
        World w;
        int fd;

        world_init(&w, 0);
        fd = add_output(&w, "stdout");
        ASSERT_OK(write_full(fd, "tail", 4));
        turn(&w, 3);
        ASSERT_NULL(next_entry(&w));
        close(fd);
        turn(&w, 3);
        e = next_entry(&w);
        ASSERT_CONTAINS(e, "MESSAGE=tail\n");
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

TEST(partial_line_is_not_acknowledged)
{
        World w;
        int fd;

        world_init(&w, 0);
        fd = add_output(&w, "stdout");
        expect_text(fd, "ACK 0\n");
        ASSERT_OK(write_full(fd, "whole\npart", 10));
        turn(&w, 3);
        expect_text(fd, "ACK 6\n");
        close(fd);
        world_done(&w);
}

TEST(slow_journal_pauses_and_loses_nothing)
{
        unsigned n = 5000, got = 0;
        World w;
        size_t written = 0;
        int fd;

        world_init(&w, 0);
        fd = add_output(&w, "stdout");
        for (unsigned i = 0; i < n || got < n;) {
                char line[32];
                int k = snprintf(line, sizeof(line), "line %u\n", i);

                /* The writer is stopped by backpressure, and then the journal reads some. */
                if (i < n && write(fd, line + written, (size_t) k - written) > 0)
                        i++;
                else
                        for (unsigned j = 0; j < 50; j++) {
                                _cleanup_free_ char *e = next_entry(&w);

                                if (!e)
                                        break;
                                snprintf(line, sizeof(line), "MESSAGE=line %u\n", got);
                                ASSERT_CONTAINS(e, line);
                                got++;
                        }
                turn(&w, 1);
        }
        ASSERT_EQ(got, n);
        close(fd);
        world_done(&w);
}

TEST(rate_limit_counts)
{
        _cleanup_free_ char *e = NULL;
        World w;
        int fd;

        world_init(&w, 2);
        fd = add_output(&w, "stdout");
        ASSERT_OK(write_full(fd, "1\n2\n3\n4\n5\n", 10));
        close(fd);
        turn(&w, 3);
        relay_flush(w.relay, on_end, &w.ends);
        turn(&w, 3);
        ASSERT_EQ(w.ends, 2);
        free(next_entry(&w));
        free(next_entry(&w));
        e = next_entry(&w);
        ASSERT_CONTAINS(e, "KATA_DROPPED=3\n");
        ASSERT_NULL(next_entry(&w));
        world_done(&w);
}

TEST(journal_comes_back)
{
        _cleanup_free_ char *e = NULL;
        World w;
        int fd;

        world_init(&w, 0);
        fd = add_output(&w, "stdout");
        close(w.journal);
        unlink(w.path);
        ASSERT_OK(write_full(fd, "while it was away\n", 18));
        turn(&w, 5);
        open_journal(&w);
        for (unsigned i = 0; i < 100 && !e; i++) {
                ASSERT_OK(sd_event_run(w.event, 50000));
                e = next_entry(&w);
        }
        ASSERT_CONTAINS(e, "MESSAGE=while it was away\n");
        close(fd);
        world_done(&w);
}

TEST(records)
{
        static const char lines[] =
                "{\"msg\":\"two\\nlines\",\"level\":\"WARN\",\"source\":\"agent\",\"usec\":12,\"container\":\"c-1\","
                "\"OBJECT_SYSTEMD_UNIT\":\"x\",\"subsystem\":\"rpc\"}\n"
                "{\"msg\":\"k\",\"source\":\"kernel\",\"prio\":0,\"container\":\"../x\",\"subsystem\":\"a\\nB=1\"}\n"
                "not json\n"
                "{\"msg\":5}\n";
        World w;
        int p[2];

        world_init(&w, 0);
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p));
        ASSERT_OK(relay_add_records(w.relay, p[0], on_end, &w.ends));
        ASSERT_OK(write_full(p[1], lines, sizeof(lines) - 1));
        close(p[1]);
        turn(&w, 4);

        static const char *const expected[] = {
                "PRIORITY=4\nSYSLOG_IDENTIFIER=kata-agent\nKATA_SANDBOX_ID=web\nKATA_COMPONENT=agent\n"
                "KATA_CONTAINER_ID=c-1\nKATA_SUBSYSTEM=rpc\nKATA_GUEST_USEC=12\nMESSAGE=two|lines\n",
                "PRIORITY=1\nSYSLOG_IDENTIFIER=kata-kernel\nKATA_SANDBOX_ID=web\nKATA_COMPONENT=kernel\n"
                "MESSAGE=k\n",
                "PRIORITY=4\nSYSLOG_IDENTIFIER=kata-agent\nKATA_SANDBOX_ID=web\nKATA_COMPONENT=agent\n"
                "MESSAGE=not json\n",
                "PRIORITY=4\nSYSLOG_IDENTIFIER=kata-agent\nKATA_SANDBOX_ID=web\nKATA_COMPONENT=agent\n"
                "MESSAGE={\"msg\":5}\n",
        };
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                _cleanup_free_ char *e = next_entry(&w);

                ASSERT_STREQ(e, expected[i]);
        }
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

TEST(event)
{
        _cleanup_free_ char *e = NULL;
        World w;

        world_init(&w, 1);
        sandbox_event(w.relay, EVENT_SANDBOX_FAILED, NULL,
                      (const char *const[]) { "KATA_PHASE", "booting", "KATA_CONSOLE_TAIL", NULL, NULL },
                      "It %s", "failed");
        e = next_entry(&w);
        ASSERT_CONTAINS(e, "PRIORITY=3\nSYSLOG_IDENTIFIER=kata-sandboxd\n");
        ASSERT_CONTAINS(e, "OBJECT_SYSTEMD_UNIT=kata-sandbox@web.service\n");
        ASSERT_CONTAINS(e, "KATA_PHASE=booting\nMESSAGE=It failed\n");
        ASSERT_FALSE(strstr(e, "KATA_CONSOLE_TAIL"));
        for (SandboxEvent a = 0; a < _EVENT_MAX; a++) {
                ASSERT_EQ(strlen(event_message_id(a)), 32);
                for (SandboxEvent b = 0; b < a; b++)
                        ASSERT_FALSE(streq(event_message_id(a), event_message_id(b)));
        }
        world_done(&w);
}

typedef struct Pieces {
        size_t total;
        unsigned n, partial;
} Pieces;

static void on_piece(const void *line, size_t n, bool partial, void *userdata)
{
        Pieces *p = userdata;

        p->total += n;
        p->n++;
        p->partial += partial;
}

TEST(splitter)
{
        _cleanup_(line_splitter_done) LineSplitter s = {};
        Pieces p = {};

        ASSERT_OK(line_splitter_init(&s, 4));
        line_splitter_push(&s, "a\n\nabcd\nabcdefgh\nab", 19, on_piece, &p);
        /* a, "", abcd, abcd+, efgh */
        ASSERT_EQ(p.n, 5);
        ASSERT_EQ(p.partial, 1);
        ASSERT_EQ(line_splitter_pending(&s), 2);
        line_splitter_end(&s, on_piece, &p);
        ASSERT_EQ(p.n, 6);
        ASSERT_EQ(p.total, 15);

        /* One byte at a time gives the same lines. */
        Pieces q = {};
        for (const char *t = "abcdefghi\nx\n"; *t; t++)
                line_splitter_push(&s, t, 1, on_piece, &q);
        ASSERT_EQ(q.total, 10);
        ASSERT_EQ(q.partial, 2);
        ASSERT_EQ(q.n, 4);
}

TEST(ratelimit)
{
        RateLimit l = { .interval = 100, .burst = 2 }, none = {};

        ASSERT_TRUE(ratelimit_pass(&l, 1000));
        ASSERT_TRUE(ratelimit_pass(&l, 1001));
        ASSERT_FALSE(ratelimit_pass(&l, 1002));
        ASSERT_TRUE(ratelimit_pass(&l, 1100));
        ASSERT_EQ(ratelimit_take_dropped(&l), 1);
        ASSERT_EQ(ratelimit_take_dropped(&l), 0);
        for (unsigned i = 0; i < 10; i++)
                ASSERT_TRUE(ratelimit_pass(&none, 1));
}

DEFINE_TEST_MAIN
