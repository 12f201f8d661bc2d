/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-shim as a process, between a caller with pipes or a terminal and a supervisor that this test plays: usage
 * test-kata-shim KATA-SHIM.
 */

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "basic/unix-socket.h"
#include "proto/task.pb-c.h"
#include "proto/ttrpc.h"
#include "runtime/proxy/task-calls.h"

#define BIG (1024U * 1024U)
#define TIMEOUT_MSEC 20000

static const char *program;
/* Whoever starts the shim dies before it is executed. */
static bool orphan;

/* One shim with its surroundings. */
typedef struct Stage {
        char dir[64], sandbox[80], streams[80];
        int listen_fd, fd;              /* supervisor's side */
        int in, out, err;               /* caller's side of the standard streams; a terminal is in and out */
        int fifo_in, fifo_out, fifo_err;
        int sync;
        pid_t shim;
        uint32_t id;                    /* stream of the last request */
        char method[32];
        PbArena arena;
        void *request;
} Stage;

static void wait_readable(int fd)
{
        ASSERT_TRUE(fd_wait(fd, POLLIN, TIMEOUT_MSEC) >= 0);
}

static void make_stage(Stage *s)
{
        int dir;

        *s = (Stage) { .dir = "/tmp/test-kata-shim-XXXXXX", .fd = -EBADF, .fifo_in = -EBADF, .fifo_out = -EBADF,
                       .fifo_err = -EBADF };
        ASSERT_NOT_NULL(mkdtemp(s->dir));
        snprintf(s->sandbox, sizeof(s->sandbox), "%s/sandbox", s->dir);
        snprintf(s->streams, sizeof(s->streams), "%s/streams", s->dir);
        ASSERT_OK(mkdir(s->sandbox, 0700));
        ASSERT_OK(mkdir(s->streams, 0700));
        dir = ASSERT_OK(open(s->sandbox, O_PATH | O_DIRECTORY | O_CLOEXEC));
        ASSERT_OK(unix_listen_at(dir, "task.sock", &s->listen_fd));
        safe_close(dir);
}

static void spawn(Stage *s, bool terminal, const char *exec_id)
{
        int in[2], out[2], err[2], sync[2], slave = -EBADF;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync));
        if (terminal)
                ASSERT_OK(openpty(&s->in, &slave, NULL, NULL, &(struct winsize) { 24, 80, 0, 0 }));
        else {
                ASSERT_OK(pipe2(in, O_CLOEXEC));
                ASSERT_OK(pipe2(out, O_CLOEXEC));
                ASSERT_OK(pipe2(err, O_CLOEXEC));
        }
        s->shim = ASSERT_OK(fork());
        if (s->shim == 0) {
                char number[16];

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                safe_close(sync[0]);
                if (orphan)
                        wait_readable(sync[1]);

                snprintf(number, sizeof(number), "%d", sync[1]);
                (void) fd_set_cloexec(sync[1], false);
                if (terminal) {
                        safe_close(s->in);
                        if (login_tty(slave) < 0)
                                _exit(100);
                } else if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
                        _exit(101);
                (void) execl(program, program, "--sandbox", s->sandbox, "--directory", s->streams, "--id", "c1",
                             "--exec-id", exec_id, "--sync-fd", number, terminal ? "--terminal" : NULL,
                             (char *) NULL);
                _exit(102);
        }
        safe_close(sync[1]);
        s->sync = sync[0];
        if (terminal) {
                safe_close(slave);
                s->out = s->in;
                s->err = -EBADF;
                return;
        }
        safe_close(in[0]);
        safe_close(out[1]);
        safe_close(err[1]);
        s->in = in[1];
        s->out = out[0];
        s->err = err[0];
}

static int open_fifo(const Stage *s, const char *name, int flags)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", s->streams, name);
        return ASSERT_OK(open(path, flags | O_CLOEXEC));
}

static void open_fifos(Stage *s, bool terminal)
{
        s->fifo_in = open_fifo(s, "stdin", O_RDONLY | O_NONBLOCK);
        s->fifo_out = open_fifo(s, "stdout", O_WRONLY);
        s->fifo_err = terminal ? -EBADF : open_fifo(s, "stderr", O_WRONLY);
}

static void close_fifos(Stage *s)
{
        s->fifo_in = safe_close(s->fifo_in);
        s->fifo_out = safe_close(s->fifo_out);
        s->fifo_err = safe_close(s->fifo_err);
}

static void accept_shim(Stage *s)
{
        wait_readable(s->listen_fd);
        s->fd = ASSERT_OK(accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC));
}

/* The next request, which has to be this method's. */
static void *expect(Stage *s, const char *method, const ProtobufCMessageDescriptor *descriptor)
{
        uint8_t header[TTRPC_HEADER_SIZE], payload[4096];
        Ttrpc__Request *envelope;
        TtrpcHeader h;
        void *request;

        wait_readable(s->fd);
        ASSERT_OK(read_full(s->fd, header, sizeof(header)));
        h = ttrpc_header_decode(header);
        ASSERT_TRUE(h.length <= sizeof(payload));
        ASSERT_OK(read_full(s->fd, payload, h.length));
        pb_arena_done(&s->arena);
        pb_arena_init(&s->arena, 0);
        ASSERT_OK(ttrpc_parse_request(&(TtrpcFrame) { h.stream_id, payload, h.length }, &s->arena, &envelope,
                                      NULL));
        ASSERT_STREQ(envelope->service, TASK_SERVICE);
        ASSERT_STREQ(envelope->method, method);
        ASSERT_OK(pb_unpack(descriptor, &s->arena, envelope->payload.data, envelope->payload.len, &request));
        s->id = h.stream_id;
        return request;
}

static void answer(Stage *s, uint32_t id, const ProtobufCMessage *message)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        ASSERT_OK(ttrpc_build_response(id, message, &frame, &n));
        ASSERT_OK(write_full(s->fd, frame, n));
}

static uint32_t expect_wait(Stage *s, const char *exec_id)
{
        const Containerd__Task__V2__WaitRequest *q = expect(s, "Wait", &containerd__task__v2__wait_request__descriptor);

        ASSERT_STREQ(q->id, "c1");
        ASSERT_STREQ(q->exec_id, exec_id);
        return s->id;
}

static void answer_wait(Stage *s, uint32_t id, uint32_t status)
{
        Containerd__Task__V2__WaitResponse response = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;

        response.exit_status = status;
        answer(s, id, &response.base);
}

static void expect_close(Stage *s)
{
        const Containerd__Task__V2__CloseIORequest *q = expect(s, "CloseIO",
                                                               &containerd__task__v2__close_iorequest__descriptor);

        ASSERT_TRUE(q->stdin);
        answer(s, s->id, NULL);
}

static void expect_kill(Stage *s, uint32_t sig)
{
        const Containerd__Task__V2__KillRequest *q = expect(s, "Kill", &containerd__task__v2__kill_request__descriptor);

        ASSERT_EQ(q->signal, sig);
        ASSERT_FALSE(q->all);
        answer(s, s->id, NULL);
}

static void expect_delete(Stage *s)
{
        const Containerd__Task__V2__DeleteRequest *q = expect(s, "Delete",
                                                              &containerd__task__v2__delete_request__descriptor);

        ASSERT_STREQ(q->exec_id, "e1");
        answer(s, s->id, NULL);
}

static void expect_size(Stage *s, uint32_t rows, uint32_t columns)
{
        const Containerd__Task__V2__ResizePtyRequest *q =
                expect(s, "ResizePty", &containerd__task__v2__resize_pty_request__descriptor);

        ASSERT_EQ(q->height, rows);
        ASSERT_EQ(q->width, columns);
        answer(s, s->id, NULL);
}

/* Up to "R", then "G"; the first request. */
static uint32_t begin(Stage *s, bool terminal, const char *exec_id)
{
        char c;

        spawn(s, terminal, exec_id);
        wait_readable(s->sync);
        ASSERT_EQ(read(s->sync, &c, 1), 1);
        ASSERT_EQ(c, 'R');
        open_fifos(s, terminal);
        ASSERT_OK(write_full(s->sync, "G", 1));
        accept_shim(s);
        return expect_wait(s, exec_id);
}

static void expect_text_at(unsigned line, int fd, const char *text)
{
        char buffer[64] = {};
        int r;

        wait_readable(fd);
        r = read_full(fd, buffer, strlen(text));
        if (r < 0 || !streq(buffer, text))
                TEST_FAIL("line %u: '%s' instead of '%s' (%d)", line, buffer, text, r);
}

#define expect_text(fd, text) expect_text_at(__LINE__, fd, text)

static void expect_end(int fd)
{
        char c;

        wait_readable(fd);
        ASSERT_EQ(read(fd, &c, 1), 0);
}

static int end_of(Stage *s)
{
        int status;

        for (unsigned i = 0; i < 1000; i++) {
                pid_t pid = waitpid(s->shim, &status, WNOHANG);

                if (pid == s->shim) {
                        ASSERT_TRUE(WIFEXITED(status));
                        return WEXITSTATUS(status);
                }
                usleep(20000);
        }
        (void) kill(s->shim, SIGKILL);
        TEST_FAIL("the shim does not end");
}

static void strike(Stage *s)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/stdout", s->streams);
        ASSERT_EQ(access(path, F_OK), -1);
        close_fifos(s);
        safe_close(s->in);
        if (s->out != s->in)
                safe_close(s->out);
        safe_close(s->err);
        safe_close(s->sync);
        safe_close(s->fd);
        safe_close(s->listen_fd);
        pb_arena_done(&s->arena);
        ASSERT_OK(rm_rf(s->dir));
}

static void check_streams(Stage *s)
{
        _cleanup_free_ char *data = malloc(BIG), *back = malloc(BIG);
        pid_t pid;

        ASSERT_OK(write_full(s->in, "input", 5));
        expect_text(s->fifo_in, "input");
        ASSERT_OK(write_full(s->fifo_err, "error", 5));
        expect_text(s->err, "error");

        /* More than all buffers hold: the writer is stopped until somebody reads. */
        for (size_t i = 0; i < BIG; i++)
                data[i] = (char) (i * 11 + i / 256);
        pid = ASSERT_OK(fork());
        if (pid == 0)
                _exit(write_full(s->fifo_out, data, BIG) < 0);
        ASSERT_OK(read_full(s->out, back, BIG));
        ASSERT_EQ(memcmp(back, data, BIG), 0);
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
}

/* The whole life, with a supervisor that is restarted in the middle. */
static void test_life(void)
{
        Stage s;
        uint32_t wait;

        make_stage(&s);
        (void) begin(&s, false, "e1");
        check_streams(&s);
        ASSERT_OK(kill(s.shim, SIGTERM));
        expect_kill(&s, SIGTERM);
        ASSERT_OK(kill(s.shim, SIGUSR1));
        expect_kill(&s, SIGUSR1);
        s.in = safe_close(s.in);
        expect_close(&s);
        expect_end(s.fifo_in);

        ASSERT_OK(write_full(s.fifo_out, "before", 6));
        s.fd = safe_close(s.fd);
        close_fifos(&s);
        expect_text(s.out, "before");
        accept_shim(&s);
        wait = expect_wait(&s, "e1");
        expect_close(&s);
        s.fifo_out = open_fifo(&s, "stdout", O_WRONLY);
        s.fifo_err = open_fifo(&s, "stderr", O_WRONLY);
        ASSERT_OK(write_full(s.fifo_out, "after", 5));
        expect_text(s.out, "after");

        /* Exit first, the last words behind it. */
        answer_wait(&s, wait, 42);
        ASSERT_OK(write_full(s.fifo_out, "last", 4));
        close_fifos(&s);
        expect_text(s.out, "last");
        expect_delete(&s);
        expect_end(s.out);
        ASSERT_EQ(end_of(&s), 42);
        strike(&s);
}

static void test_terminal(void)
{
        Stage s;
        uint32_t wait;

        make_stage(&s);
        wait = begin(&s, true, "");
        expect_size(&s, 24, 80);
        ASSERT_OK(ioctl(s.in, TIOCSWINSZ, &(struct winsize) { 50, 132, 0, 0 }));
        expect_size(&s, 50, 132);
        /* ^C is a byte like others, and nothing is echoed here. */
        ASSERT_OK(write_full(s.in, "ab\003\r", 4));
        expect_text(s.fifo_in, "ab\003\r");
        ASSERT_OK(write_full(s.fifo_out, "x\r\ny", 4));
        expect_text(s.out, "x\r\ny");
        answer_wait(&s, wait, 128 + SIGKILL);
        close_fifos(&s);
        ASSERT_EQ(end_of(&s), 128 + SIGKILL);
        strike(&s);
}

static void test_sandbox_gone(void)
{
        Stage s;

        make_stage(&s);
        (void) begin(&s, false, "");
        ASSERT_OK(write_full(s.fifo_out, "tail", 4));
        ASSERT_OK(rm_rf(s.sandbox));
        s.fd = safe_close(s.fd);
        close_fifos(&s);
        expect_text(s.out, "tail");
        ASSERT_EQ(end_of(&s), 128 + SIGKILL);
        strike(&s);
}

/* Whoever reads has gone: the process is not stopped by it. */
static void test_reader_gone(void)
{
        _cleanup_free_ char *data = calloc(1, BIG);
        uint32_t wait;
        Stage s;

        make_stage(&s);
        wait = begin(&s, false, "");
        s.out = safe_close(s.out);
        ASSERT_OK(write_full(s.fifo_out, data, BIG));
        answer_wait(&s, wait, 0);
        close_fifos(&s);
        ASSERT_EQ(end_of(&s), 0);
        strike(&s);
}

static void test_given_up(void)
{
        Stage s;
        char c;

        make_stage(&s);
        spawn(&s, false, "");
        wait_readable(s.sync);
        ASSERT_EQ(read(s.sync, &c, 1), 1);
        s.sync = safe_close(s.sync);
        ASSERT_EQ(end_of(&s), EXIT_FAILURE);
        strike(&s);
}

/* Its directory may be another container's by then: nothing is made there. */
static void test_orphan(void)
{
        char text[256] = {};
        Stage s;

        make_stage(&s);
        orphan = true;
        spawn(&s, false, "");
        orphan = false;
        s.sync = safe_close(s.sync);
        ASSERT_EQ(end_of(&s), EXIT_FAILURE);
        ASSERT_TRUE(read(s.err, text, sizeof(text) - 1) > 0);
        ASSERT_NOT_NULL(strstr(text, "has ended early"));
        strike(&s);
}

int main(int argc, char *argv[])
{
        ASSERT_EQ(argc, 2);
        program = argv[1];
        (void) signal(SIGPIPE, SIG_IGN);
        test_life();
        test_terminal();
        test_sandbox_gone();
        test_reader_gone();
        test_given_up();
        test_orphan();
        return EXIT_SUCCESS;
}
