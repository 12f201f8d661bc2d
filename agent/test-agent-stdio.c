/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of container output and input: nothing lost, ends in order. */

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
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

static void run_for(usec_t usec)
{
        usec_t end = now_usec() + usec;

        while (now_usec() < end)
                ASSERT_OK(loop_run_once(loop, 5));
}

/*
 * A process exits and has left the pipe to others. All that was written up to then arrives, however full the
 * way is, then comes the end, and what is written later is lost.
 */
TEST(exit_with_writers_left)
{
        static uint8_t block[KIB(4)];
        StdioOut *small, *large;
        size_t written = 0, received = 0;
        int small_pipe, large_pipe, p[2], fd;
        ssize_t n;

        small = start(&small_pipe);
        ASSERT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
        ASSERT_OK(stdio_out_new(&large, loop, &p[0], NULL, NULL));
        large_pipe = p[1];

        fd = attach(small);
        say(small_pipe, "tail");
        /* Nobody reads: ring and pipe are full. */
        for (unsigned idle = 0; idle < 10;) {
                for (size_t i = 0; i < sizeof(block); i++)
                        block[i] = (uint8_t) ((written + i) * 7 >> 3);
                n = write(large_pipe, block, sizeof(block));
                if (n > 0)
                        written += (size_t) n;
                else
                        idle++;
                run(1);
        }
        ASSERT_TRUE(written > STDIO_RING_SIZE);

        stdio_out_process_gone(small);
        stdio_out_process_gone(large);
        stdio_out_process_gone(large);
        run(4);
        expect(fd, "tail");
        expect(fd, "(nothing)");
        say(small_pipe, " and more");
        run_for(600 * USEC_PER_MSEC);
        expect(fd, " and more");
        expect(fd, "(end)");
        ASSERT_EQ(done, 1);
        /* The descriptor is closed: the others learn it. */
        ASSERT_EQ(write(small_pipe, "x", 1), -1);
        safe_close(fd);

        fd = attach(large);
        for (unsigned i = 0; i < 10000; i++) {
                run(1);
                n = recv(fd, block, sizeof(block), MSG_DONTWAIT);
                if (n == 0)
                        break;
                for (ssize_t k = 0; k < n; k++)
                        ASSERT_EQ(block[k], (uint8_t) ((received + (size_t) k) * 7 >> 3));
                if (n > 0)
                        received += (size_t) n;
                (void) !write(large_pipe, "never seen", 10);
        }
        ASSERT_EQ(received, written);
        safe_close(fd);
        safe_close(small_pipe);
        safe_close(large_pipe);
        stdio_out_free(small);
        stdio_out_free(large);
        loop_free(loop);
}

static unsigned detached;

static void on_detached(void *userdata)
{
        detached++;
}

TEST(detach_is_told)
{
        int p, fd;
        StdioOut *out = start(&p);

        detached = 0;
        stdio_out_on_detach(out, on_detached, NULL);
        fd = attach(out);
        run(3);
        safe_close(fd);
        run(3);
        ASSERT_EQ(detached, 1);

        /* The end is not a detachment, and what was read before a hang-up still arrives. */
        say(p, "last");
        run(3);
        stdio_out_hang_up(out);
        ASSERT_EQ(write(p, "x", 1), -1);
        fd = attach(out);
        run(4);
        expect(fd, "last");
        expect(fd, "(end)");
        ASSERT_EQ(detached, 1);
        ASSERT_EQ(done, 1);
        safe_close(fd);
        safe_close(p);
        stdio_out_free(out);
        loop_free(loop);
}

static StdioIn *start_in(int *ret_pipe)
{
        StdioIn *in;
        int p[2];

        write_error = 1;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
        ASSERT_OK(stdio_in_new(&in, loop, &p[1], false));
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

/* Master and slave; false where there are none. */
static bool open_terminal(int *ret_master, int *ret_slave)
{
        int unlock = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

        if (master < 0)
                return false;
        ASSERT_OK(ioctl(master, TIOCSPTLCK, &unlock));
        *ret_slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (*ret_slave < 0) {
                safe_close(master);
                return false;
        }

        *ret_master = master;
        ASSERT_OK(loop_new(&loop));
        return true;
}

static void expect_line(int slave, const char *text)
{
        char buf[64] = {};
        ssize_t n;

        /* A kernel worker carries it over. */
        (void) fd_wait(slave, POLLIN, streq(text, "(nothing)") ? 5 : 500);
        n = read(slave, buf, sizeof(buf) - 1);
        ASSERT_STREQ(n < 0 ? "(nothing)" : n == 0 ? "(end)" : buf, text);
}

TEST(terminal_input_ends_as_typed)
{
        static const struct {
                const char *input;
                bool raw;
                const char *first, *second, *third;
        } cases[] = {
                { "line\n", false, "line\n", "(end)", "(nothing)" },
                { "word", false, "word", "(end)", "(nothing)" },
                { "", false, "(end)", "(nothing)", "(nothing)" },
                { "word", true, "word\004", "(nothing)", "(nothing)" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct termios settings;
                int master, slave, copy;
                StdioIn *in;

                if (!open_terminal(&master, &slave)) {
                        fprintf(stderr, "skipped: no pseudo-terminals here\n");
                        return;
                }
                copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
                ASSERT_OK(tcgetattr(slave, &settings));
                settings.c_lflag &= ~(tcflag_t) (ECHO | (cases[i].raw ? ICANON : 0));
                ASSERT_OK(tcsetattr(slave, TCSANOW, &settings));

                ASSERT_OK(stdio_in_new(&in, loop, &copy, true));
                if (*cases[i].input)
                        ASSERT_OK(stdio_in_write(in, cases[i].input, strlen(cases[i].input), on_write, NULL));
                run(2);
                stdio_in_close(in);
                run(3);
                ASSERT_ERROR(stdio_in_write(in, "late", 4, on_write, NULL), EPIPE);
                expect_line(slave, cases[i].first);
                expect_line(slave, cases[i].second);
                expect_line(slave, cases[i].third);
                /* The terminal is still there: it is no hang-up. */
                ASSERT_EQ(write(slave, "x", 1), 1);
                stdio_in_free(in);
                safe_close(master);
                safe_close(slave);
                loop_free(loop);
        }
}

TEST(terminal_output_to_the_last_byte)
{
        char buf[KIB(4)];
        size_t received = 0;
        int master, slave, fd;
        StdioOut *out;

        done = 0;
        if (!open_terminal(&master, &slave))
                return;
        ASSERT_OK(stdio_out_new(&out, loop, &master, on_done, NULL));
        fd = attach(out);
        memset(buf, 'x', sizeof(buf));
        ASSERT_EQ(write(slave, buf, 3000), 3000);
        safe_close(slave);
        for (unsigned i = 0; i < 1000 && !done; i++) {
                ssize_t n;

                ASSERT_OK(loop_run_once(loop, 1));
                n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
                received += n > 0 ? (size_t) n : 0;
        }
        ASSERT_EQ(received, 3000);
        ASSERT_EQ(done, 1);
        safe_close(fd);
        stdio_out_free(out);
        loop_free(loop);
}

/* Nobody has the terminal open any more: input that waits fails, and the loop has nothing to do. */
TEST(terminal_reader_gone)
{
        static char big[KIB(64)];
        int master, slave;
        StdioIn *in;

        if (!open_terminal(&master, &slave))
                return;
        ASSERT_OK(stdio_in_new(&in, loop, &master, true));
        memset(big, '\n', sizeof(big));
        write_error = 1;
        ASSERT_OK(stdio_in_write(in, big, sizeof(big), on_write, NULL));
        run(3);
        safe_close(slave);
        run(3);
        ASSERT_EQ(write_error, -EPIPE);
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
