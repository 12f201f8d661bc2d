/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of a process's streams: FIFOs, files, the journal, ends on either side, readers that do not read. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/task/fake-guest.h"
#include "runtime/task/task-io.h"

typedef struct World {
        FakeGuest guest;
        sd_event *event;
        char paths[3][64];
        TaskIo *io;
        unsigned connected, drained;
        int error;
} World;

static void on_connected(TaskIo *io, int error, const char *text, void *userdata)
{
        World *w = userdata;

        w->connected++;
        w->error = error;
}

static void on_drained(TaskIo *io, void *userdata)
{
        World *w = userdata;

        w->drained++;
}

static void world_init(World *w)
{
        static const char *const names[] = { "in", "out", "err" };

        *w = (World) {};
        ASSERT_OK(sd_event_new(&w->event));
        fake_guest_init(&w->guest, w->event);
        for (unsigned i = 0; i < 3; i++)
                snprintf(w->paths[i], sizeof(w->paths[i]), "%s/%s", w->guest.dir, names[i]);
}

static void world_done(World *w)
{
        task_io_free(w->io, w->guest.transport);
        fake_guest_done(&w->guest);
        sd_event_unref(w->event);
}

static int make(World *w, const char *in, const char *out, const char *err, bool terminal, char **reterr)
{
        const TaskIoParams params = {
                .event = w->event, .relay = w->guest.relay, .name = "web", .stdin_path = in, .stdout_path = out,
                .stderr_path = err, .terminal = terminal, .on_drained = on_drained, .userdata = w,
        };

        return task_io_new(&w->io, &params, reterr);
}

static void open_all(World *w, const char *in, const char *out, const char *err, bool terminal)
{
        ASSERT_OK(make(w, in, out, err, terminal, NULL));
        ASSERT_OK(task_io_connect(w->io, w->guest.transport, on_connected, w));
        FAKE_RUN_UNTIL(&w->guest, w->connected == 1);
        ASSERT_EQ(w->error, 0);
}

static ssize_t take(int fd, char *buf, size_t size)
{
        ssize_t k = read(fd, buf, size - 1);

        buf[k > 0 ? k : 0] = '\0';
        return k;
}

TEST(refusals)
{
        _cleanup_free_ char *message = NULL;
        World w;

        world_init(&w);
        ASSERT_ERROR(make(&w, "", "binary:///bin/logger?a=b", "", false, &message), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "stdout 'binary:///bin/logger?a=b': only paths and file://");
        ASSERT_ERROR(make(&w, "", "", "relative", false, &message), EINVAL);
        ASSERT_CONTAINS(message, "stderr 'relative': not an absolute path");
        ASSERT_ERROR(make(&w, "file:///a", "", "", false, &message), EINVAL);
        ASSERT_CONTAINS(message, "an input can not be file://");
        ASSERT_ERROR(make(&w, "", w.paths[1], "", false, &message), ENOENT);
        ASSERT_ERROR(make(&w, w.guest.dir, "", "", false, &message), EISDIR);
        world_done(&w);
}

TEST(fifos)
{
        char buf[64];
        AgentStdio ports;
        int in, out, err;
        World w;

        world_init(&w);
        for (unsigned i = 0; i < 3; i++)
                ASSERT_OK(mkfifo(w.paths[i], 0600));
        out = ASSERT_OK(open(w.paths[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        err = ASSERT_OK(open(w.paths[2], O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        open_all(&w, w.paths[0], w.paths[1], w.paths[2], false);
        ports = task_io_ports(w.io);
        ASSERT_EQ(ports.stdin_port, 1);
        ASSERT_EQ(ports.stdout_port, 2);
        ASSERT_EQ(ports.stderr_port, 3);

        /* Two writers one after the other are one input. */
        for (unsigned i = 0; i < 2; i++) {
                in = ASSERT_OK(open(w.paths[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC));
                ASSERT_EQ(write(in, "abc", 3), 3);
                safe_close(in);
                FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[1], buf, sizeof(buf)) == 3);
                ASSERT_STREQ(buf, "abc");
        }
        ASSERT_EQ(take(w.guest.streams[1], buf, sizeof(buf)), -1);
        task_io_close_stdin(w.io);
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[1], buf, sizeof(buf)) == 0);

        /* Outputs, acknowledged. */
        ASSERT_EQ(take(w.guest.streams[2], buf, sizeof(buf)), 6);
        ASSERT_STREQ(buf, "ACK 0\n");
        ASSERT_EQ(write(w.guest.streams[2], "out", 3), 3);
        ASSERT_EQ(write(w.guest.streams[3], "err!", 4), 4);
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[2], buf, sizeof(buf)) == 6);
        ASSERT_STREQ(buf, "ACK 3\n");
        FAKE_RUN_UNTIL(&w.guest, take(err, buf, sizeof(buf)) == 4);
        ASSERT_EQ(take(out, buf, sizeof(buf)), 3);
        ASSERT_STREQ(buf, "out");

        /* The end of both is the end for the reader. */
        w.guest.streams[2] = safe_close(w.guest.streams[2]);
        FAKE_RUN_UNTIL(&w.guest, take(out, buf, sizeof(buf)) == 0);
        ASSERT_FALSE(task_io_is_drained(w.io));
        ASSERT_EQ(w.drained, 0);
        w.guest.streams[3] = safe_close(w.guest.streams[3]);
        FAKE_RUN_UNTIL(&w.guest, w.drained == 1);
        ASSERT_TRUE(task_io_is_drained(w.io));
        safe_close(out);
        safe_close(err);
        world_done(&w);
}

/* A reader that does not read stops the guest, and loses nothing. */
TEST(slow_reader)
{
        static char block[KIB(32)];
        size_t sent = 0, got = 0;
        char buf[KIB(16)];
        unsigned idle = 0;
        int out;
        World w;

        world_init(&w);
        ASSERT_OK(mkfifo(w.paths[1], 0600));
        out = ASSERT_OK(open(w.paths[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        open_all(&w, "", w.paths[1], "", false);
        ASSERT_EQ(task_io_ports(w.io).stdin_port, 0);
        ASSERT_EQ(task_io_ports(w.io).stderr_port, 0);
        while (idle < 5) {
                ssize_t k = send(w.guest.streams[1], block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

                idle = k > 0 ? 0 : idle + 1;
                sent += k > 0 ? (size_t) k : 0;
                ASSERT_TRUE(sent < MIB(4));
                ASSERT_OK(sd_event_run(w.event, 1000));
        }
        ASSERT_OK(shutdown(w.guest.streams[1], SHUT_WR));
        for (unsigned i = 0; i < 10000 && w.drained == 0; i++) {
                ssize_t k = read(out, buf, sizeof(buf));

                got += k > 0 ? (size_t) k : 0;
                ASSERT_OK(sd_event_run(w.event, 1000));
        }
        for (ssize_t k; (k = read(out, buf, sizeof(buf))) > 0;)
                got += (size_t) k;
        ASSERT_EQ(got, sent);
        safe_close(out);
        world_done(&w);
}

TEST(files)
{
        _cleanup_free_ char *text = NULL, *url = NULL, *path = NULL;
        struct stat st;
        char buf[64];
        World w;

        world_init(&w);
        ASSERT_TRUE(asprintf(&url, "file://%s/a/b/log", w.guest.dir) > 0);
        ASSERT_TRUE(asprintf(&path, "%s/a/b/log", w.guest.dir) > 0);
        ASSERT_OK(write_file_atomic(w.paths[0], "input", 5, 0600));
        /* One file for both outputs, an input that poll() does not know. */
        open_all(&w, w.paths[0], url, url, false);
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[1], buf, sizeof(buf)) == 5);
        ASSERT_STREQ(buf, "input");
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[1], buf, sizeof(buf)) == 0);
        ASSERT_EQ(write(w.guest.streams[2], "1", 1), 1);
        FAKE_RUN_UNTIL(&w.guest, stat(path, &st) >= 0 && st.st_size == 1);
        ASSERT_EQ(st.st_mode & 0777, 0644);
        ASSERT_EQ(write(w.guest.streams[3], "2", 1), 1);
        ASSERT_OK(shutdown(w.guest.streams[2], SHUT_WR));
        ASSERT_OK(shutdown(w.guest.streams[3], SHUT_WR));
        FAKE_RUN_UNTIL(&w.guest, w.drained == 1);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 100, &text, NULL));
        ASSERT_STREQ(text, "12");
        world_done(&w);
}

/* What can not be written any more is dropped, and the process goes on. */
TEST(full)
{
        char buf[64];
        World w;

        world_init(&w);
        if (access("/dev/full", W_OK) < 0) {
                world_done(&w);
                return;
        }
        open_all(&w, "", "/dev/full", "", true);
        ASSERT_EQ(take(w.guest.streams[1], buf, sizeof(buf)), 6);
        for (unsigned i = 0; i < 3; i++)
                ASSERT_EQ(write(w.guest.streams[1], "abc", 3), 3);
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.streams[1], buf, sizeof(buf)) > 0);
        ASSERT_OK(shutdown(w.guest.streams[1], SHUT_WR));
        FAKE_RUN_UNTIL(&w.guest, w.drained == 1);
        world_done(&w);
}

TEST(journal)
{
        char buf[2048];
        World w;

        world_init(&w);
        open_all(&w, "", "", "", false);
        ASSERT_EQ(task_io_ports(w.io).stdout_port, 1);
        ASSERT_EQ(task_io_ports(w.io).stderr_port, 2);
        ASSERT_EQ(write(w.guest.streams[2], "hello\n", 6), 6);
        FAKE_RUN_UNTIL(&w.guest, take(w.guest.journal, buf, sizeof(buf)) > 0);
        ASSERT_CONTAINS(buf, "MESSAGE=hello");
        ASSERT_CONTAINS(buf, "KATA_CONTAINER_ID=web");
        ASSERT_CONTAINS(buf, "KATA_STREAM=stderr");
        ASSERT_OK(shutdown(w.guest.streams[1], SHUT_WR));
        ASSERT_OK(shutdown(w.guest.streams[2], SHUT_WR));
        FAKE_RUN_UNTIL(&w.guest, w.drained == 1);
        world_done(&w);
}

/* The process reads no more: the client's bytes have nowhere to go, and nothing else happens. */
TEST(closed_input)
{
        int in;
        World w;

        world_init(&w);
        ASSERT_OK(mkfifo(w.paths[0], 0600));
        open_all(&w, w.paths[0], "/dev/null", "", false);
        w.guest.streams[1] = safe_close(w.guest.streams[1]);
        FAKE_RUN_UNTIL(&w.guest, (in = open(w.paths[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 || !safe_close(in));
        task_io_close_stdin(w.io);
        ASSERT_FALSE(task_io_is_drained(w.io));
        world_done(&w);
}

/* Freed while its streams are being opened, and while they are in use. */
TEST(freed_early)
{
        World w;

        world_init(&w);
        ASSERT_OK(make(&w, "", "/dev/null", "/dev/null", false, NULL));
        ASSERT_OK(task_io_connect(w.io, w.guest.transport, on_connected, &w));
        ASSERT_OK(sd_event_run(w.event, 1000));
        w.io = task_io_free(w.io, w.guest.transport);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        ASSERT_EQ(w.connected, 0);

        open_all(&w, "", "", "", false);
        w.io = task_io_free(w.io, w.guest.transport);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        ASSERT_EQ(w.drained, 0);
        world_done(&w);
}

DEFINE_TEST_MAIN
