/* SPDX-License-Identifier: Apache-2.0 */
/* Copying between a terminal and a socket: order, ends, back pressure, the detach key. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/cli/pump.h"

#define SIZE (1024U * 1024U)

static volatile int stop;

/* A child that is the other end of the socket. */
static pid_t start_peer(int *ret_fd, void (*peer)(int fd))
{
        int pair[2];
        pid_t pid;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        pid = ASSERT_OK(fork());
        if (pid == 0) {
                safe_close(pair[0]);
                peer(pair[1]);
                _exit(EXIT_SUCCESS);
        }
        safe_close(pair[1]);
        ASSERT_OK(fd_set_nonblock(pair[0], true));
        *ret_fd = pair[0];
        return pid;
}

static void end_peer(pid_t pid, int fd)
{
        int status;

        safe_close(fd);
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_EQ(status, 0);
}

/* All that comes, until the end, then back in one go. */
static void echo_at_end(int fd)
{
        char *data = malloc(SIZE);
        size_t n = 0;
        ssize_t k;

        if (!data)
                _exit(2);
        while ((k = read(fd, data + n, SIZE - n)) > 0)
                n += (size_t) k;
        if (k < 0 || write_full(fd, data, n) < 0)
                _exit(3);
        free(data);
}

static void speak_and_go(int fd)
{
        if (write_full(fd, "bye", 3) < 0)
                _exit(2);
}

static int file_of(const void *data, size_t n)
{
        char path[] = "/tmp/test-cli-pump-XXXXXX";
        int fd = ASSERT_OK(mkstemp(path));

        ASSERT_OK(unlink(path));
        if (n > 0)
                ASSERT_OK(write_full(fd, data, n));
        ASSERT_OK(lseek(fd, 0, SEEK_SET));
        return fd;
}

TEST(whole_stream_and_end)
{
        _cleanup_free_ uint8_t *data = malloc(SIZE), *back = malloc(SIZE);
        int in, out, fd;
        pid_t pid;

        for (size_t i = 0; i < SIZE; i++)
                data[i] = (uint8_t) (i * 7 + i / 256);
        in = file_of(data, SIZE - 1);
        out = file_of(NULL, 0);
        pid = start_peer(&fd, echo_at_end);
        ASSERT_EQ(pump_run(in, out, fd, -1, &stop), 0);
        ASSERT_OK(lseek(out, 0, SEEK_SET));
        ASSERT_OK(read_full(out, back, SIZE - 1));
        ASSERT_EQ(memcmp(back, data, SIZE - 1), 0);
        ASSERT_EQ(read(out, back, 1), 0);
        end_peer(pid, fd);
        safe_close(in);
        safe_close(out);
}

/* The peer's end is the end, whatever there is to be read here. */
TEST(peer_goes_first)
{
        int in[2], out, fd;
        char text[4] = {};
        pid_t pid;

        ASSERT_OK(pipe2(in, O_CLOEXEC));
        out = file_of(NULL, 0);
        pid = start_peer(&fd, speak_and_go);
        ASSERT_EQ(pump_run(in[0], out, fd, -1, &stop), 0);
        ASSERT_OK(lseek(out, 0, SEEK_SET));
        ASSERT_EQ(read(out, text, 3), 3);
        ASSERT_STREQ(text, "bye");
        end_peer(pid, fd);
        safe_close(in[0]);
        safe_close(in[1]);
        safe_close(out);
}

TEST(detach_key_three_times)
{
        int in, out = file_of(NULL, 0), fd;
        pid_t pid;

        in = file_of("a\x1d" "b\x1d\x1d" "c\x1d\x1d\x1d", 9);
        pid = start_peer(&fd, echo_at_end);
        ASSERT_EQ(pump_run(in, out, fd, 0x1d, &stop), -ECANCELED);
        end_peer(pid, fd);
        safe_close(in);

        /* As a pipe it is a byte like others. */
        in = file_of("\x1d\x1d\x1d", 3);
        pid = start_peer(&fd, echo_at_end);
        ASSERT_EQ(pump_run(in, out, fd, -1, &stop), 0);
        ASSERT_EQ(lseek(out, 0, SEEK_END), 3);
        end_peer(pid, fd);
        safe_close(in);
        safe_close(out);
}

DEFINE_TEST_MAIN
