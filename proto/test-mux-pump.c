/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pumps back to back over a socketpair or a terminal: plain descriptors on either side.
 */

#include "proto/mux-pump.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"

#define FDS_MAX 200U

typedef struct Side {
        MuxPump *pump;
        unsigned ready, resets;
        int error;
        char message[128];
        int refuse;                     /* errno for on_connect */
        bool free_in_ready, free_in_connect;

        int fds[FDS_MAX];               /* connected by the peer, in order */
        uint32_t ports[FDS_MAX], ids[FDS_MAX];
        unsigned n_fds;

        int opened[FDS_MAX];            /* opened by us */
        uint32_t opened_ids[FDS_MAX];
        unsigned n_opened, n_failed;
        int open_error;
} Side;

static Side host, guest;

static void on_ready(MuxPump *pump, void *userdata)
{
        Side *side = userdata;

        side->ready++;
        if (side->free_in_ready)
                side->pump = mux_pump_free(side->pump);
}

static int on_connect(MuxPump *pump, uint32_t port, uint32_t id, int fd, void *userdata)
{
        Side *side = userdata;

        if (side->free_in_connect) {
                side->pump = mux_pump_free(side->pump);
                return -ECANCELED;
        }
        if (side->refuse != 0)
                return -side->refuse;

        ASSERT_TRUE(side->n_fds < FDS_MAX);
        side->fds[side->n_fds] = fd;
        side->ports[side->n_fds] = port;
        side->ids[side->n_fds++] = id;
        return 0;
}

static void on_reset(MuxPump *pump, int error, const char *message, void *userdata)
{
        Side *side = userdata;

        side->resets++;
}

static void on_error(MuxPump *pump, int error, const char *message, void *userdata)
{
        Side *side = userdata;

        ASSERT_EQ(side->error, 0);
        side->error = error;
        (void) snprintf(side->message, sizeof(side->message), "%s", message);
}

static void on_open(MuxPump *pump, int error, int fd, uint32_t id, void *userdata)
{
        Side *side = userdata;

        if (error < 0) {
                ASSERT_EQ(fd, -EBADF);
                side->n_failed++;
                side->open_error = error;
                /* A callback that tries again at once must not go round for ever. */
                if (error == -ECONNRESET)
                        ASSERT_ERROR(mux_pump_open(pump, 1, on_open, side), ENOTCONN);
                return;
        }
        ASSERT_TRUE(side->n_opened < FDS_MAX);
        side->opened[side->n_opened] = fd;
        side->opened_ids[side->n_opened++] = id;
}

static const MuxPumpCallbacks callbacks = {
        .on_ready = on_ready,
        .on_connect = on_connect,
        .on_reset = on_reset,
        .on_error = on_error,
};

static void side_start(Side *side, MuxRole role, int fd)
{
        *side = (Side) {};
        ASSERT_OK(mux_pump_new(&side->pump, role, fd, &callbacks, side));
}

static void side_done(Side *side)
{
        side->pump = mux_pump_free(side->pump);
        for (unsigned i = 0; i < side->n_fds; i++)
                side->fds[i] = safe_close(side->fds[i]);
        for (unsigned i = 0; i < side->n_opened; i++)
                side->opened[i] = safe_close(side->opened[i]);
        side->n_fds = side->n_opened = 0;
}

/* Runs both until neither has anything to do; bounded, so that a busy loop is seen. */
static void run(void)
{
        for (unsigned i = 0; i < 20000; i++) {
                struct pollfd p[2] = {
                        { .fd = host.pump ? mux_pump_fd(host.pump) : -1, .events = POLLIN },
                        { .fd = guest.pump ? mux_pump_fd(guest.pump) : -1, .events = POLLIN },
                };

                ASSERT_TRUE(poll(p, 2, 0) >= 0);
                if (p[0].revents == 0 && p[1].revents == 0)
                        return;
                if (p[0].revents)
                        (void) mux_pump_dispatch(host.pump);
                if (p[1].revents && guest.pump)
                        (void) mux_pump_dispatch(guest.pump);
        }
        TEST_FAIL("the pumps do not come to rest");
}

static void start(int ret_port[2])
{
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        side_start(&host, MUX_CLIENT, pair[0]);
        side_start(&guest, MUX_SERVER, pair[1]);
        run();
        ASSERT_EQ(host.ready, 1);
        ASSERT_EQ(guest.ready, 1);
        if (ret_port)
                memcpy(ret_port, pair, sizeof(pair));
}

static void done(void)
{
        side_done(&host);
        side_done(&guest);
}

/* A new stream: the last of opened[] and of the peer's fds[]. */
static void connect_stream(Side *from, uint32_t port)
{
        Side *to = from == &host ? &guest : &host;
        unsigned n = from->n_opened, m = to->n_fds;

        ASSERT_OK(mux_pump_open(from->pump, port, on_open, from));
        run();
        ASSERT_EQ(from->n_opened, n + 1);
        ASSERT_EQ(to->n_fds, m + 1);
        ASSERT_EQ(to->ports[m], port);
        ASSERT_EQ(to->ids[m], from->opened_ids[n]);
}

/* Writes until the other side does not take more; how much. */
static size_t fill(int fd, size_t max)
{
        static const char block[4096];
        size_t total = 0;

        while (total < max) {
                size_t want = MIN(sizeof(block), max - total);
                ssize_t n = send(fd, block, want, MSG_NOSIGNAL);

                if (n < 0) {
                        ASSERT_EQ(errno, EAGAIN);
                        run();
                        n = send(fd, block, want, MSG_NOSIGNAL);
                        if (n < 0) {
                                ASSERT_EQ(errno, EAGAIN);
                                break;
                        }
                }
                total += (size_t) n;
        }
        run();
        return total;
}

static void expect_text(int fd, const char *text)
{
        char buf[256];

        ASSERT_EQ(recv(fd, buf, sizeof(buf), 0), strlen(text));
        ASSERT_EQ(memcmp(buf, text, strlen(text)), 0);
}

static void expect_nothing(int fd)
{
        char c;

        ASSERT_EQ(recv(fd, &c, 1, 0), -1);
        ASSERT_EQ(errno, EAGAIN);
}

static void expect_eof(int fd)
{
        char c;

        ASSERT_EQ(recv(fd, &c, 1, 0), 0);
}

static void put(int fd, const char *text)
{
        ASSERT_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Sends 1 MiB both ways at once through one stream and compares it. */
static void echo(int a, int b)
{
        enum { SIZE = 1024 * 1024 };
        size_t sent = 0, back = 0, total = 0;
        uint8_t buf[8192];

        while (total < SIZE) {
                ssize_t n;

                for (size_t i = 0; i < sizeof(buf); i++)
                        buf[i] = (uint8_t) ((sent + i) * 31 >> 3);
                if (sent < SIZE) {
                        n = send(a, buf, MIN(sizeof(buf), SIZE - sent), MSG_NOSIGNAL);
                        sent += n > 0 ? (size_t) n : 0;
                }
                run();
                n = recv(b, buf, sizeof(buf), 0);
                if (n > 0) {
                        back += (size_t) n;
                        /* The way back has the same room. */
                        ASSERT_EQ(send(b, buf, (size_t) n, MSG_NOSIGNAL), n);
                }
                run();
                n = recv(a, buf, sizeof(buf), 0);
                for (ssize_t i = 0; i < n; i++)
                        ASSERT_EQ(buf[i], (uint8_t) ((total + (size_t) i) * 31 >> 3));
                total += n > 0 ? (size_t) n : 0;
        }
        ASSERT_EQ(back, SIZE);
}

TEST(echo)
{
        start(NULL);
        connect_stream(&host, 1024);
        echo(host.opened[0], guest.fds[0]);
        connect_stream(&guest, 1029);
        echo(guest.opened[0], host.fds[0]);
        done();
}

TEST(over_a_terminal)
{
        /* Not a socket, small buffers, and end of file while nobody is there. */
        _cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        struct termios t;
        char name[64];
        int slave;

        if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
            ptsname_r(master, name, sizeof(name)) != 0)
                return;
        slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return;
        ASSERT_OK(tcgetattr(slave, &t));
        cfmakeraw(&t);
        ASSERT_OK(tcsetattr(slave, TCSANOW, &t));

        side_start(&guest, MUX_SERVER, slave);
        host = (Side) {};
        run();
        ASSERT_EQ(guest.error, 0);
        side_start(&host, MUX_CLIENT, TAKE_FD(master));
        for (unsigned i = 0; i < 100 && !(host.ready && guest.ready); i++) {
                (void) usleep(1000);
                run();
        }
        ASSERT_EQ(host.ready, 1);
        ASSERT_OK(mux_pump_open(host.pump, 7, on_open, &host));
        for (unsigned i = 0; i < 1000 && host.n_opened == 0; i++) {
                (void) usleep(1000);
                run();
        }
        ASSERT_EQ(host.n_opened, 1);

        size_t got = 0;
        ASSERT_EQ(fill(host.opened[0], KIB(100)), KIB(100));
        for (unsigned i = 0; i < 2000 && got < KIB(100); i++) {
                char buf[8192];
                ssize_t n;

                run();
                n = recv(guest.fds[0], buf, sizeof(buf), 0);
                if (n > 0)
                        got += (size_t) n;
                else
                        (void) usleep(1000);
        }
        ASSERT_EQ(got, KIB(100));
        done();
}

TEST(slow_reader)
{
        size_t n, more;

        start(NULL);
        connect_stream(&host, 1);
        connect_stream(&host, 2);

        /* Everything on the way is full: four buffers, each of them bounded. */
        n = fill(host.opened[0], MIB(16));
        ASSERT_TRUE(n >= MUX_WINDOW_INITIAL);
        ASSERT_TRUE(n < MIB(2));

        put(host.opened[1], "hello");
        run();
        expect_text(guest.fds[1], "hello");
        echo(host.opened[1], guest.fds[1]);

        /* It reads again: the writer goes on, and all arrives. */
        more = n;
        for (size_t got = 0; got < n;) {
                char buf[65536];
                ssize_t k = recv(guest.fds[0], buf, sizeof(buf), 0);

                ASSERT_TRUE(k > 0);
                got += (size_t) k;
                run();
        }
        expect_nothing(guest.fds[0]);
        ASSERT_EQ(fill(host.opened[0], more), more);
        done();
}

TEST(half_close)
{
        start(NULL);
        connect_stream(&host, 1);
        put(host.opened[0], "request");
        ASSERT_OK(shutdown(host.opened[0], SHUT_WR));
        run();
        expect_text(guest.fds[0], "request");
        expect_eof(guest.fds[0]);
        put(guest.fds[0], "answer");
        run();
        expect_text(host.opened[0], "answer");
        expect_nothing(host.opened[0]);
        ASSERT_OK(shutdown(guest.fds[0], SHUT_WR));
        run();
        expect_eof(host.opened[0]);
        done();
}

TEST(close_is_reset)
{
        start(NULL);
        connect_stream(&host, 1);
        connect_stream(&host, 2);

        /* What was written before close() arrives, then the other side can not write. */
        put(host.opened[0], "last words");
        host.opened[0] = safe_close(host.opened[0]);
        run();
        expect_text(guest.fds[0], "last words");
        expect_eof(guest.fds[0]);
        ASSERT_EQ(send(guest.fds[0], "x", 1, MSG_NOSIGNAL), -1);
        ASSERT_EQ(errno, EPIPE);

        /* The same with something unread, and with a full pipe. */
        put(host.opened[1], "unread");
        run();
        size_t n = fill(guest.fds[1], MIB(16));
        guest.fds[1] = safe_close(guest.fds[1]);
        run();
        for (size_t got = 0; got < n;) {
                char buf[65536];
                ssize_t k = recv(host.opened[1], buf, sizeof(buf), 0);

                ASSERT_TRUE(k > 0);
                got += (size_t) k;
                run();
        }
        ASSERT_TRUE(recv(host.opened[1], &n, 1, 0) <= 0);
        done();
}

/* A child that was forked has everything open until it executes: sockets that are closed here go on to have events. */
TEST(copies_of_closed_sockets)
{
        int tell[2], told[2], status;
        pid_t pid;
        char c;

        start(NULL);
        connect_stream(&host, 1);
        ASSERT_OK(pipe2(tell, O_CLOEXEC));
        ASSERT_OK(pipe2(told, O_CLOEXEC));
        pid = ASSERT_OK(fork());
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (read(tell[0], &c, 1) != 1)
                        _exit(1);
                (void) shutdown(guest.fds[0], SHUT_RDWR);
                if (write(told[1], "x", 1) != 1)
                        _exit(2);
                pause();
        }
        /*
         * The stream is reset, and the guest's pump closes its socket. A write to freed memory only a sanitizer sees.
         */
        ASSERT_OK(shutdown(host.opened[0], SHUT_RDWR));
        run();
        expect_eof(guest.fds[0]);
        ASSERT_EQ(write(tell[1], "x", 1), 1);
        ASSERT_EQ(read(told[0], &c, 1), 1);
        run();
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        safe_close(tell[0]);
        safe_close(tell[1]);
        safe_close(told[0]);
        safe_close(told[1]);
        done();
}

TEST(hundred_streams)
{
        enum { N = 100 };

        start(NULL);
        for (unsigned i = 0; i < N; i++)
                ASSERT_OK(mux_pump_open(host.pump, i, on_open, &host));
        run();
        ASSERT_EQ(host.n_opened, N);
        ASSERT_EQ(guest.n_fds, N);
        for (unsigned i = 0; i < N; i++)
                ASSERT_EQ(fill(host.opened[i], 20000), 20000);
        run();
        for (unsigned i = 0; i < N; i++) {
                char text[32], buf[20000];

                ASSERT_EQ(recv(guest.fds[i], buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
                (void) snprintf(text, sizeof(text), "stream %u", i);
                put(guest.fds[i], text);
        }
        run();
        for (unsigned i = 0; i < N; i++) {
                char text[32];

                (void) snprintf(text, sizeof(text), "stream %u", i);
                expect_text(host.opened[i], text);
        }

        /* Over the limit, until some are closed. */
        for (unsigned i = N; i < MUX_STREAMS_MAX / 2; i++)
                ASSERT_OK(mux_pump_open(host.pump, i, on_open, &host));
        ASSERT_ERROR(mux_pump_open(host.pump, 1, on_open, &host), EMFILE);
        run();
        for (unsigned i = 0; i < N; i++)
                host.opened[i] = safe_close(host.opened[i]);
        run();
        ASSERT_OK(mux_pump_open(host.pump, 1, on_open, &host));
        done();
}

TEST(refused)
{
        start(NULL);
        guest.refuse = EACCES;
        ASSERT_OK(mux_pump_open(host.pump, 1, on_open, &host));
        run();
        ASSERT_EQ(host.n_failed, 1);
        ASSERT_EQ(host.open_error, -ECONNREFUSED);

        /* Freed while it waits. */
        ASSERT_OK(mux_pump_open(host.pump, 1, on_open, &host));
        host.pump = mux_pump_free(host.pump);
        ASSERT_EQ(host.n_failed, 2);
        ASSERT_EQ(host.open_error, -ECANCELED);
        run();
        ASSERT_EQ(guest.error, -ECONNRESET);
        done();
}

TEST(peer_vanishes)
{
        start(NULL);
        connect_stream(&host, 1);
        connect_stream(&guest, 2);
        put(guest.fds[0], "tail");
        (void) mux_pump_dispatch(guest.pump);
        ASSERT_OK(mux_pump_open(host.pump, 3, on_open, &host));
        guest.pump = mux_pump_free(guest.pump);
        run();

        /* What had arrived is still there, everything is closed, and it is said once. */
        ASSERT_EQ(host.error, -ECONNRESET);
        ASSERT_CONTAINS(host.message, "hung up");
        ASSERT_EQ(host.n_failed, 1);
        ASSERT_EQ(host.open_error, -ECONNRESET);
        expect_text(host.opened[0], "tail");
        expect_eof(host.opened[0]);
        expect_eof(host.fds[0]);
        ASSERT_ERROR(mux_pump_dispatch(host.pump), ECONNRESET);
        ASSERT_ERROR(mux_pump_open(host.pump, 1, on_open, &host), ENOTCONN);
        ASSERT_FALSE(mux_pump_is_ready(host.pump));
        done();
}

TEST(violation_of_the_guest)
{
        static const char bad[] = "KATA-MUX 1 ";
        _cleanup_close_ int fd = -EBADF;
        char line[28];
        int pair[2];

        guest = (Side) {};
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        fd = pair[1];
        side_start(&host, MUX_CLIENT, pair[0]);
        run();
        ASSERT_EQ(recv(fd, line, sizeof(line), 0), sizeof(line));
        ASSERT_EQ(memcmp(line, bad, strlen(bad)), 0);

        /* What we sent ourselves is no answer. */
        ASSERT_EQ(send(fd, line, sizeof(line), 0), sizeof(line));
        run();
        ASSERT_EQ(host.ready, 0);
        memcpy(line, "KATA-ACK", 8);
        ASSERT_EQ(send(fd, line, sizeof(line), 0), sizeof(line));
        run();
        ASSERT_EQ(host.ready, 1);
        put(fd, "\1");
        run();
        ASSERT_EQ(host.error, -EPROTO);
        ASSERT_CONTAINS(host.message, "version 1");
        done();
}

TEST(host_comes_back_unseen)
{
        char bytes[] = "\0\0\0\0\0\0\0\1\0\0\xff\xff" "cut";
        int port[2], raw;

        /*
         * The guest's descriptor stays; a frame is cut; another host speaks on the same pipe. The
         * pump gets through by itself within half a second.
         */
        start(port);
        connect_stream(&host, 1);
        raw = ASSERT_OK(fcntl(port[0], F_DUPFD_CLOEXEC, 3));
        ASSERT_EQ(send(raw, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL), sizeof(bytes) - 1);
        side_done(&host);
        side_start(&host, MUX_CLIENT, raw);
        for (unsigned i = 0; i < 3000 && !host.ready; i++) {
                (void) usleep(1000);
                run();
        }
        ASSERT_EQ(host.ready, 1);
        ASSERT_EQ(guest.ready, 2);
        ASSERT_EQ(guest.resets, 1);
        ASSERT_EQ(guest.error, 0);
        ASSERT_EQ(recv(guest.fds[0], bytes, 3, 0), 3);
        ASSERT_EQ(memcmp(bytes, "cut", 3), 0);
        connect_stream(&host, 2);
        done();
}

TEST(free_in_callbacks)
{
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        side_start(&host, MUX_CLIENT, pair[0]);
        side_start(&guest, MUX_SERVER, pair[1]);
        guest.free_in_ready = true;
        run();
        ASSERT_EQ(guest.ready, 1);
        ASSERT_EQ(host.error, -ECONNRESET);
        done();

        start(NULL);
        guest.free_in_connect = true;
        ASSERT_OK(mux_pump_open(host.pump, 1, on_open, &host));
        run();
        ASSERT_NULL(guest.pump);
        ASSERT_EQ(host.error, -ECONNRESET);
        ASSERT_EQ(host.n_failed, 1);
        done();
}

/* Nobody reads for some intervals: the offer is not repeated, least of all with a flush of 64 KiB. */
TEST(unread_offer_is_not_repeated)
{
        usec_t end = now_usec() + 600 * USEC_PER_MSEC;
        int pair[2], unread = 0;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        side_start(&host, MUX_CLIENT, pair[0]);
        while (now_usec() < end) {
                struct pollfd p = { .fd = mux_pump_fd(host.pump), .events = POLLIN };

                ASSERT_TRUE(poll(&p, 1, 50) >= 0);
                ASSERT_OK(mux_pump_dispatch(host.pump));
        }
        ASSERT_OK(ioctl(pair[1], FIONREAD, &unread));
        ASSERT_EQ(unread, strlen("KATA-MUX 1 0123456789abcdef\n"));

        side_start(&guest, MUX_SERVER, pair[1]);
        run();
        ASSERT_EQ(host.ready, 1);
        ASSERT_EQ(guest.ready, 1);
        connect_stream(&guest, 7);
        done();
}

DEFINE_TEST_MAIN
