/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of container output and input: nothing lost, ends in order. */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/stdio-stream.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

static Loop *loop;
static int done;

static void on_done(void *userdata)
{
        done++;
}

static void run(unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(loop_run_once(loop, 0));
}

/* The host's end. */
static int attach(StdioOut *out)
{
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(stdio_out_attach(out, &pair[1]));
        return pair[0];
}

static StdioOut *start(int *ret_pipe)
{
        StdioOut *out;
        int p[2];

        done = 0;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
        ASSERT_OK(stdio_out_new(&out, loop, &p[0], on_done, NULL));
        *ret_pipe = p[1];
        return out;
}

static void expect(int fd, const char *text)
{
        char buf[256] = {};
        ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        ASSERT_STREQ(n < 0 ? "(nothing)" : n == 0 ? "(end)" : buf, text);
}

static void say(int fd, const char *text)
{
        ASSERT_EQ(write(fd, text, strlen(text)), strlen(text));
}

TEST(end_after_last_byte)
{
        int p, fd;
        StdioOut *out = start(&p);

        fd = attach(out);
        say(p, "hello");
        run(4);
        expect(fd, "hello");
        say(p, "tail");
        safe_close(p);
        run(4);
        expect(fd, "tail");
        expect(fd, "(end)");
        ASSERT_EQ(done, 1);
        ASSERT_TRUE(stdio_out_is_done(out));
        safe_close(fd);
        stdio_out_free(out);
        loop_free(loop);
}

TEST(kept_until_acknowledged)
{
        int p, fd;
        StdioOut *out = start(&p);

        fd = attach(out);
        say(fd, "ACK 0\n");
        run(4);
        say(p, "abcdef");
        safe_close(p);
        run(4);
        expect(fd, "abcdef");
        /* The end is seen at once: a receiver may need it to take an open line. */
        expect(fd, "(end)");
        say(fd, "ACK 2\n");
        run(4);
        ASSERT_EQ(done, 0);

        /* The host dies: the next one gets the rest once more, and then the end. */
        safe_close(fd);
        run(4);
        ASSERT_FALSE(stdio_out_is_attached(out));
        fd = attach(out);
        run(4);
        expect(fd, "cdef");
        expect(fd, "(end)");
        ASSERT_EQ(done, 0);
        say(fd, "ACK 4\n");
        run(4);
        ASSERT_EQ(done, 1);
        safe_close(fd);
        stdio_out_free(out);
        loop_free(loop);
}

TEST(output_before_any_stream)
{
        int p, fd;
        StdioOut *out = start(&p);

        say(p, "early");
        safe_close(p);
        run(4);
        ASSERT_EQ(done, 0);
        fd = attach(out);
        run(4);
        expect(fd, "early");
        expect(fd, "(end)");
        safe_close(fd);
        stdio_out_free(out);
        loop_free(loop);
}

/* Writer blocks, nothing spins, and all bytes arrive in order over many connections. */
TEST(backpressure_and_reconnects)
{
        uint8_t buf[KIB(4)];
        uint64_t written = 0, received = 0, acked_here = 0;
        const uint64_t total = MIB(1);
        int p, fd;
        StdioOut *out = start(&p);
        bool blocked = false;

        fd = attach(out);
        say(fd, "ACK 0\n");
        for (unsigned round = 0; received < total; round++) {
                ssize_t n;

                ASSERT_TRUE(round < 100000);
                for (size_t i = 0; i < sizeof(buf); i++)
                        buf[i] = (uint8_t) ((written + i) * 7 >> 3);
                if (written < total) {
                        n = write(p, buf, MIN(sizeof(buf), (size_t) (total - written)));
                        if (n < 0) {
                                ASSERT_EQ(errno, EAGAIN);
                                blocked = true;
                        } else
                                written += (uint64_t) n;
                } else
                        p = safe_close(p);
                ASSERT_OK(loop_run_once(loop, 0));

                /* A slow reader at first. */
                if (round < 200)
                        continue;
                n = recv(fd, buf, 1 + round % sizeof(buf), MSG_DONTWAIT);
                if (n <= 0)
                        continue;
                for (ssize_t i = 0; i < n; i++)
                        ASSERT_EQ(buf[i], (uint8_t) ((received + (uint64_t) i) * 7 >> 3));
                received += (uint64_t) n;
                acked_here += (uint64_t) n;

                char ack[32];
                snprintf(ack, sizeof(ack), "ACK %llu\n", (unsigned long long) acked_here);
                say(fd, ack);
                if (round % 31 == 0) {
                        /* What was sent and not read dies with the connection, after our last ACK. */
                        run(2);
                        safe_close(fd);
                        run(2);
                        fd = attach(out);
                        acked_here = 0;
                }
        }
        ASSERT_TRUE(blocked);
        for (unsigned i = 0; i < 50 && !done; i++)
                run(1);
        ASSERT_EQ(done, 1);
        safe_close(fd);
        safe_close(p);
        stdio_out_free(out);
        loop_free(loop);
}

static char read_text[64];
static int reads;

static void on_read(const void *data, size_t n, void *userdata)
{
        memcpy(read_text, data ? data : "", MIN(n, sizeof(read_text) - 1));
        read_text[MIN(n, sizeof(read_text) - 1)] = '\0';
        reads++;
}

TEST(read_calls)
{
        int p;
        StdioOut *out = start(&p);

        reads = 0;
        ASSERT_OK(stdio_out_read(out, 3, on_read, NULL));
        ASSERT_ERROR(stdio_out_read(out, 3, on_read, NULL), EBUSY);
        run(2);
        ASSERT_EQ(reads, 0);
        say(p, "abcde");
        run(3);
        ASSERT_EQ(reads, 1);
        ASSERT_STREQ(read_text, "abc");
        safe_close(p);
        run(3);
        ASSERT_OK(stdio_out_read(out, 100, on_read, NULL));
        ASSERT_EQ(reads, 1);
        run(1);
        ASSERT_STREQ(read_text, "de");
        ASSERT_OK(stdio_out_read(out, 100, on_read, NULL));
        run(1);
        ASSERT_EQ(reads, 3);
        ASSERT_STREQ(read_text, "");
        ASSERT_EQ(done, 1);
        /* Again: still the end. */
        ASSERT_OK(stdio_out_read(out, 100, on_read, NULL));
        stdio_out_free(out);
        ASSERT_EQ(reads, 4);
        loop_free(loop);
}

static int write_error = 1;

static void on_write(int error, void *userdata)
{
        write_error = error;
}

static StdioIn *start_in(int *ret_pipe)
{
        StdioIn *in;
        int p[2];

        write_error = 1;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
        ASSERT_OK(stdio_in_new(&in, loop, &p[1]));
        *ret_pipe = p[0];
        return in;
}

TEST(input_calls)
{
        static char big[KIB(200)];
        char buf[KIB(4)];
        size_t got = 0;
        int p;
        StdioIn *in = start_in(&p);

        memset(big, 'x', sizeof(big));
        ASSERT_OK(stdio_in_write(in, big, sizeof(big), on_write, NULL));
        ASSERT_ERROR(stdio_in_write(in, "a", 1, on_write, NULL), EBUSY);
        run(5);
        ASSERT_EQ(write_error, 1);
        stdio_in_close(in);
        for (;;) {
                ssize_t n;

                run(1);
                n = read(p, buf, sizeof(buf));
                if (n == 0)
                        break;
                got += n > 0 ? (size_t) n : 0;
        }
        ASSERT_EQ(got, sizeof(big));
        ASSERT_EQ(write_error, 0);
        ASSERT_ERROR(stdio_in_write(in, "a", 1, on_write, NULL), EPIPE);
        safe_close(p);
        stdio_in_free(in);
        loop_free(loop);
}

TEST(input_reader_gone)
{
        static char big[KIB(200)];
        int p;
        StdioIn *in = start_in(&p);

        ASSERT_OK(stdio_in_write(in, big, sizeof(big), on_write, NULL));
        run(3);
        safe_close(p);
        run(3);
        ASSERT_EQ(write_error, -EPIPE);
        stdio_in_free(in);
        loop_free(loop);
}

TEST(input_stream)
{
        char buf[64] = {};
        int p, pair[2];
        StdioIn *in = start_in(&p);

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        ASSERT_OK(stdio_in_attach(in, &pair[1]));
        say(pair[0], "line\n");
        run(3);
        ASSERT_EQ(read(p, buf, sizeof(buf)), 5);
        say(pair[0], "last");
        safe_close(pair[0]);
        run(5);
        ASSERT_EQ(read(p, buf, sizeof(buf)), 4);
        ASSERT_EQ(read(p, buf, sizeof(buf)), 0);
        safe_close(p);
        stdio_in_free(in);
        loop_free(loop);
}

/* signal(2) is the program's business: the agent has a handler for SIGPIPE. */
#include <signal.h>

static __attribute__((constructor)) void ignore_sigpipe(void)
{
        signal(SIGPIPE, SIG_IGN);
}

DEFINE_TEST_MAIN
