/* SPDX-License-Identifier: Apache-2.0 */
/* ExecProcess and what goes with it, by a host at the other end: streams, ends, ids, terminals, bytes. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "agent/test-agent-host.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))

typedef struct Exec {
        Grpc__ExecProcessRequest q;
        Grpc__Process process;
        char *args[1];
} Exec;

static void exec_init(Exec *x, const char *id, const char *command)
{
        x->q = (Grpc__ExecProcessRequest) GRPC__EXEC_PROCESS_REQUEST__INIT;
        x->process = (Grpc__Process) GRPC__PROCESS__INIT;
        x->args[0] = S(command);
        x->process.args = x->args;
        x->process.n_args = 1;
        x->q.container_id = container_name;
        x->q.exec_id = S(id);
        x->q.process = &x->process;
}

static int exec_call(Host *host, const char *id, const char *command)
{
        Exec x;

        exec_init(&x, id, command);
        return call(host, "ExecProcess", &x.q.base);
}

/* As soon as the answer is there: for calls in large numbers, and for terminals, whose bytes take a while. */
static int quick(Host *host, uint32_t id)
{
        uint8_t byte;

        for (unsigned i = 0; i < 300 && recv(host->rpc, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 1; i++)
                run(host, 1);
        return read_answer(host, id);
}

static int exec_quick(Host *host, const char *id, const char *command)
{
        Exec x;

        exec_init(&x, id, command);
        return quick(host, send_call(host, AGENT_SERVICE, "ExecProcess", &x.q.base));
}

static uint32_t send_exec_wait(Host *host, const char *id)
{
        Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;

        q.container_id = container_name;
        q.exec_id = S(id);
        return send_call(host, AGENT_SERVICE, "WaitProcess", &q.base);
}

static int exec_wait(Host *host, const char *id)
{
        return take_answer(host, send_exec_wait(host, id));
}

/* The text, "(end)", or "(code N)". */
static const char *exec_read(Host *host, const char *id, const char *method)
{
        Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;
        static char text[256];
        int r;

        q.container_id = container_name;
        q.exec_id = S(id);
        q.len = 100;
        r = quick(host, send_call(host, AGENT_SERVICE, method, &q.base));
        if (r != 0)
                snprintf(text, sizeof(text), "(code %d)", r);
        else if (reply_size == 0)
                return "(end)";
        else
                /* Field 1, length below 128. */
                snprintf(text, sizeof(text), "%.*s", (int) reply[1], (char *) reply + 2);
        return text;
}

static int exec_write(Host *host, const char *id, const char *data)
{
        Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;

        q.container_id = container_name;
        q.exec_id = S(id);
        q.data.data = (uint8_t *) S(data);
        q.data.len = strlen(data);
        return call(host, "WriteStdin", &q.base);
}

static const char *exec_stdin_text(void)
{
        static char buf[256];
        ssize_t n;
        int fd = fake_exec_stdin(fake_exec_last);

        ASSERT_OK(fd_set_nonblock(fd, true));
        (void) fd_wait(fd, POLLIN, 100);
        n = read(fd, buf, sizeof(buf) - 1);
        buf[MAX(n, 0)] = '\0';
        return n < 0 ? "(nothing)" : n == 0 ? "(end)" : buf;
}

static void start_with_container(Host *host)
{
        host_start(host);
        ASSERT_EQ(create_sandbox(host), 0);
        ASSERT_EQ(create_container(host, "run", 0, 0), 0);
        ASSERT_EQ(start_container(host), 0);
        ASSERT_EQ(fake_execs, 0);
}

TEST(life_with_calls)
{
        uint32_t id;
        Host host;

        start_with_container(&host);
        ASSERT_EQ(exec_call(&host, "e1", "run"), 0);
        ASSERT_EQ(exec_call(&host, "e1", "run"), TTRPC_ALREADY_EXISTS);
        ASSERT_EQ(exec_call(&host, "c1", "run"), TTRPC_ALREADY_EXISTS);

        fake_exec_print(fake_exec_last, "out", "err");
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStdout"), "out");
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStderr"), "err");
        /* The init process has streams of its own. */
        ASSERT_STREQ(exec_read(&host, "", "ReadStdout"), "out\n");
        ASSERT_STREQ(exec_read(&host, "c1", "ReadStderr"), "err\n");

        ASSERT_EQ(exec_write(&host, "e1", "line\n"), 0);
        ASSERT_STREQ(exec_stdin_text(), "line\n");
        /* An empty write is the end. */
        ASSERT_EQ(exec_write(&host, "e1", ""), 0);
        ASSERT_STREQ(exec_stdin_text(), "(end)");
        ASSERT_EQ(exec_write(&host, "e1", "late"), TTRPC_INTERNAL);

        id = send_exec_wait(&host, "e1");
        ASSERT_EQ(take_answer(&host, id), -1);
        fake_exec_print(fake_exec_last, "tail", "");
        fake_exec_exit(fake_exec_last, 42);
        ASSERT_EQ(take_answer(&host, id), 0);
        ASSERT_EQ(reply_size, 2);
        ASSERT_EQ(reply[1], 42);
        ASSERT_EQ(fake_execs, 0);

        /* Waited for: gone, but for what it wrote. */
        ASSERT_EQ(exec_wait(&host, "e1"), TTRPC_NOT_FOUND);
        ASSERT_EQ(exec_write(&host, "e1", "x"), TTRPC_NOT_FOUND);
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStdout"), "tail");
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStdout"), "(end)");

        /* The id is free again, the old output goes with it. */
        ASSERT_EQ(exec_call(&host, "e1", "run"), 0);
        fake_exec_print(fake_exec_last, "second", "");
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStdout"), "second");
        host_stop(&host);
        ASSERT_EQ(fake_execs, 0);
}

TEST(life_with_streams)
{
        int in, out, err;
        Host host;
        Exec x;

        start_with_container(&host);
        in = host_connect(&host, 1027, 7101);
        out = host_connect(&host, 1027, 7102);
        err = host_connect(&host, 1027, 7103);
        exec_init(&x, "e1", "run");
        x.q.stdin_port = 7101;
        x.q.stdout_port = 7102;
        x.q.stderr_port = 7103;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), 0);

        ASSERT_EQ(send(in, "abc", 3, MSG_NOSIGNAL), 3);
        run(&host, 6);
        ASSERT_STREQ(exec_stdin_text(), "abc");
        in = safe_close(in);
        run(&host, 6);
        ASSERT_STREQ(exec_stdin_text(), "(end)");

        /* The error stream ends first and on its own. */
        fake_exec_print(fake_exec_last, "out", "err");
        ASSERT_STREQ(take_text(&host, out), "out");
        ASSERT_STREQ(take_text(&host, err), "err");
        ASSERT_STREQ(exec_read(&host, "e1", "ReadStdout"), "(code 9)");
        fake_exec_print(fake_exec_last, "tail", "");
        fake_exec_exit(fake_exec_last, 0);
        ASSERT_EQ(exec_wait(&host, "e1"), 0);
        ASSERT_STREQ(take_text(&host, out), "tail");
        ASSERT_STREQ(take_text(&host, out), "(end)");
        ASSERT_STREQ(take_text(&host, err), "(end)");
        safe_close(out);
        safe_close(err);

        /* One stream alone: the others are /dev/null. */
        out = host_connect(&host, 1027, 7104);
        exec_init(&x, "e2", "run");
        x.q.stdout_port = 7104;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), 0);
        ASSERT_EQ(fake_exec_stdin(fake_exec_last), -EBADF);
        ASSERT_EQ(exec_write(&host, "e2", "x"), TTRPC_FAILED_PRECONDITION);
        safe_close(out);
        host_stop(&host);
}

/* A host that died finds its process by exec_id, and all that was not acknowledged. */
TEST(streams_come_back)
{
        Kata__Systemd__V1__AttachStdioRequest q = KATA__SYSTEMD__V1__ATTACH_STDIO_REQUEST__INIT;
        Host host;
        int out;
        Exec x;

        start_with_container(&host);
        out = host_connect(&host, 1027, 7105);
        ASSERT_EQ(send(out, "ACK 0\n", 6, MSG_NOSIGNAL), 6);
        exec_init(&x, "e1", "run");
        x.q.stdout_port = 7105;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), 0);
        fake_exec_print(fake_exec_last, "one\n", "");
        ASSERT_STREQ(take_text(&host, out), "one\n");
        safe_close(out);
        run(&host, 5);
        fake_exec_print(fake_exec_last, "two\n", "");

        out = host_connect(&host, 1027, 7106);
        q.container_id = container_name;
        q.exec_id = S("e1");
        q.stdout_port = 7106;
        ASSERT_EQ(take_answer(&host, send_call(&host, EXTENSION_SERVICE, "AttachStdio", &q.base)), 0);
        ASSERT_STREQ(take_text(&host, out), "one\ntwo\n");
        q.exec_id = S("e2");
        ASSERT_EQ(take_answer(&host, send_call(&host, EXTENSION_SERVICE, "AttachStdio", &q.base)),
                  TTRPC_NOT_FOUND);
        safe_close(out);
        host_stop(&host);
}

TEST(failures_are_named)
{
        Grpc__SignalProcessRequest kill = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
        uint32_t id;
        Host host;
        Exec x;

        host_start(&host);
        ASSERT_EQ(exec_call(&host, "e1", "run"), TTRPC_NOT_FOUND);
        host_stop(&host);

        start_with_container(&host);
        ASSERT_EQ(exec_call(&host, "", "run"), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(exec_call(&host, "../x", "run"), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(exec_call(&host, "e1", "refused"), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(reply_text, "paused");
        ASSERT_EQ(exec_wait(&host, "e1"), TTRPC_NOT_FOUND);

        /* Whoever waits already learns what a shell would say. */
        exec_init(&x, "e1", "missing");
        id = send_call(&host, AGENT_SERVICE, "ExecProcess", &x.q.base);
        ASSERT_EQ(take_answer(&host, id), TTRPC_NOT_FOUND);
        ASSERT_CONTAINS(reply_text, "executable file not found in $PATH");
        ASSERT_EQ(exec_wait(&host, "e1"), TTRPC_NOT_FOUND);

        exec_init(&x, "e1", "run");
        x.q.process = NULL;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), TTRPC_INVALID_ARGUMENT);
        exec_init(&x, "e1", "run");
        x.process.terminal = true;
        x.q.stdin_port = 7100;
        safe_close(host_connect(&host, 1027, 7100));
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "terminal without a stream");

        kill.container_id = container_name;
        kill.exec_id = S("none");
        kill.signal = SIGTERM;
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), TTRPC_NOT_FOUND);
        ASSERT_EQ(fake_execs, 0);
        host_stop(&host);
}

TEST(signals_reach_one_process)
{
        Grpc__SignalProcessRequest kill = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
        Host host;

        start_with_container(&host);
        ASSERT_EQ(exec_call(&host, "e1", "run"), 0);
        kill.container_id = container_name;
        kill.exec_id = S("e1");
        kill.signal = SIGTERM;
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), 0);
        /* Gone, not waited for: no error. */
        ASSERT_EQ(call(&host, "SignalProcess", &kill.base), 0);
        ASSERT_EQ(container_state(fake_last), CONTAINER_RUNNING);
        ASSERT_EQ(exec_wait(&host, "e1"), 0);
        ASSERT_EQ(reply[1], 0x80 | ((128 + SIGTERM) & 0x7f));
        host_stop(&host);
}

TEST(entries_are_bounded)
{
        char name[16];
        Host host;

        start_with_container(&host);
        /* Nobody waits: the oldest ones make room. */
        for (unsigned i = 0; i < EXECS_MAX + 10; i++) {
                snprintf(name, sizeof(name), "e%u", i);
                ASSERT_EQ(exec_quick(&host, name, "run"), 0);
                fake_exec_exit(fake_exec_last, 0);
        }
        ASSERT_EQ(exec_wait(&host, "e9"), TTRPC_NOT_FOUND);
        ASSERT_EQ(exec_wait(&host, "e10"), 0);
        ASSERT_EQ(exec_wait(&host, name), 0);

        /* Those that run do not. */
        for (unsigned i = 0; i < EXECS_MAX; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                ASSERT_EQ(exec_quick(&host, name, "run"), 0);
        }
        ASSERT_EQ(exec_call(&host, "more", "run"), TTRPC_RESOURCE_EXHAUSTED);
        ASSERT_EQ(fake_execs, EXECS_MAX);
        fake_exec_exit(fake_exec_last, 0);
        ASSERT_EQ(exec_wait(&host, name), 0);
        ASSERT_EQ(exec_call(&host, "more", "run"), 0);
        host_stop(&host);
        ASSERT_EQ(fake_execs, 0);
}

TEST(removal_ends_all)
{
        uint32_t wait;
        int out;
        Host host;
        Exec x;

        start_with_container(&host);
        out = host_connect(&host, 1027, 7110);
        exec_init(&x, "e1", "run");
        x.q.stdout_port = 7110;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), 0);
        wait = send_exec_wait(&host, "e1");
        fake_exec_print(fake_exec_last, "last", "");
        {
                Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
                uint32_t remove;

                q.container_id = container_name;
                remove = send_call(&host, AGENT_SERVICE, "RemoveContainer", &q.base);
                ASSERT_EQ(take_answer(&host, wait), 0);
                ASSERT_EQ(reply[1], 0x80 | ((128 + SIGKILL) & 0x7f));
                ASSERT_EQ(take_answer(&host, remove), 0);
        }
        ASSERT_EQ(fake_execs, 0);
        /* What was on its way still arrives. */
        ASSERT_STREQ(take_text(&host, out), "last");
        safe_close(out);
        host_stop(&host);
}

TEST(host_gone_while_starting)
{
        Host host;
        Exec x;

        start_with_container(&host);
        exec_init(&x, "e1", "run");
        x.q.stdout_port = 7120;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), -1);
        host.rpc = safe_close(host.rpc);
        run(&host, 5);
        host.rpc = host_connect(&host, 1024, 0);
        host.next_id = 1;
        /* Nothing is left of the attempt, the id is free. */
        ASSERT_EQ(exec_wait(&host, "e1"), TTRPC_NOT_FOUND);
        ASSERT_EQ(exec_call(&host, "e1", "run"), 0);
        host_stop(&host);
}

static int resize(Host *host, const char *id, uint32_t rows, uint32_t columns)
{
        Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

        q.container_id = container_name;
        q.exec_id = S(id);
        q.row = rows;
        q.column = columns;
        return call(host, "TtyWinResize", &q.base);
}

TEST(terminal)
{
        struct winsize size = {};
        Host host;
        Exec x;
        int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

        if (fd < 0) {
                fprintf(stderr, "skipped: no pseudo-terminals here\n");
                return;
        }
        safe_close(fd);

        start_with_container(&host);
        ASSERT_EQ(resize(&host, "", 24, 80), TTRPC_UNAVAILABLE);
        ASSERT_EQ(exec_call(&host, "plain", "run"), 0);
        ASSERT_EQ(resize(&host, "plain", 24, 80), TTRPC_UNAVAILABLE);
        ASSERT_CONTAINS(reply_text, "no terminal");

        exec_init(&x, "tty", "run");
        x.process.terminal = true;
        ASSERT_EQ(call(&host, "ExecProcess", &x.q.base), 0);
        slave = fake_exec_stdin(fake_exec_last);
        if (slave < 0) {
                fprintf(stderr, "skipped: pseudo-terminals can not be opened here\n");
                host_stop(&host);
                return;
        }
        ASSERT_EQ(resize(&host, "tty", 50, 132), 0);
        ASSERT_OK(ioctl(slave, TIOCGWINSZ, &size));
        ASSERT_EQ(size.ws_row, 50);
        ASSERT_EQ(size.ws_col, 132);

        fake_exec_print(fake_exec_last, "prompt\n", "");
        ASSERT_STREQ(exec_read(&host, "tty", "ReadStdout"), "prompt\r\n");
        ASSERT_STREQ(exec_read(&host, "tty", "ReadStderr"), "(code 9)");

        /* An unfinished line, then the end: both arrive. */
        ASSERT_EQ(exec_write(&host, "tty", "word"), 0);
        ASSERT_STREQ(exec_stdin_text(), "(nothing)");
        ASSERT_EQ(exec_write(&host, "tty", ""), 0);
        ASSERT_STREQ(exec_stdin_text(), "word");
        ASSERT_STREQ(exec_stdin_text(), "(end)");
        /* The output goes on, up to its last byte. */
        ASSERT_STREQ(exec_read(&host, "tty", "ReadStdout"), "word");
        fake_exec_print(fake_exec_last, "bye", "");
        fake_exec_exit(fake_exec_last, 0);
        ASSERT_STREQ(exec_read(&host, "tty", "ReadStdout"), "bye");
        ASSERT_STREQ(exec_read(&host, "tty", "ReadStdout"), "(end)");
        ASSERT_EQ(resize(&host, "tty", 24, 80), TTRPC_UNAVAILABLE);
        ASSERT_EQ(exec_wait(&host, "tty"), 0);
        host_stop(&host);
}

/* Bytes from the published field numbers, none of them made by our encoder. */

static uint32_t send_bytes(Host *host, const char *method, const void *payload, size_t n)
{
        uint8_t frame[512], *p = frame + 10;
        size_t service_n = strlen(AGENT_SERVICE), method_n = strlen(method), size;
        uint32_t id = host->next_id;

        ASSERT_TRUE(n < 128 && service_n < 128 && method_n < 128);
        host->next_id += 2;
        *p++ = 0x0a;    /* 1: service */
        *p++ = (uint8_t) service_n;
        p = mempcpy(p, AGENT_SERVICE, service_n);
        *p++ = 0x12;    /* 2: method */
        *p++ = (uint8_t) method_n;
        p = mempcpy(p, method, method_n);
        *p++ = 0x1a;    /* 3: payload */
        *p++ = (uint8_t) n;
        p = mempcpy(p, payload, n);

        size = (size_t) (p - frame - 10);
        memset(frame, 0, 10);
        frame[2] = (uint8_t) (size >> 8);
        frame[3] = (uint8_t) size;
        frame[6] = (uint8_t) (id >> 8);
        frame[7] = (uint8_t) id;
        frame[8] = 1;   /* request */
        ASSERT_EQ(send(host->rpc, frame, size + 10, MSG_NOSIGNAL), size + 10);
        return id;
}

#define SEND(host, method, bytes) send_bytes((host), (method), (bytes), sizeof(bytes) - 1)

TEST(golden_bytes)
{
        /* 1 container_id, 2 exec_id, 4 process: 3 user (1 UID, 2 GID), 4 args, 5 env, 6 cwd, 9 nnp, 11 oom */
        static const char exec_process[] = "\x0a\x02" "c1" "\x12\x02" "g1" "\x22\x1e"
                                           "\x1a\x05\x08\xe8\x07\x10\x05" "\x22\x03" "run" "\x22\x01" "x"
                                           "\x2a\x03" "A=b" "\x32\x04" "/tmp" "\x48\x01" "\x58\x64";
        static const char names[] = "\x0a\x02" "c1" "\x12\x02" "g1";
        static const char read_call[] = "\x0a\x02" "c1" "\x12\x02" "g1" "\x18\x40";
        static const char write_call[] = "\x0a\x02" "c1" "\x12\x02" "g1" "\x1a\x03" "abc";
        static const char signal_call[] = "\x0a\x02" "c1" "\x12\x02" "g1" "\x18\x0f";
        static const char resize_call[] = "\x0a\x02" "c1" "\x12\x02" "g1" "\x18\x18" "\x20\x50";
        Host host;

        start_with_container(&host);
        ASSERT_EQ(take_answer(&host, SEND(&host, "ExecProcess", exec_process)), 0);
        ASSERT_EQ(reply_size, 0);
        fake_exec_print(fake_exec_last, "hey", "");
        ASSERT_EQ(take_answer(&host, SEND(&host, "ReadStdout", read_call)), 0);
        ASSERT_EQ(reply_size, 5);
        ASSERT_EQ(memcmp(reply, "\x0a\x03" "hey", 5), 0);
        ASSERT_EQ(take_answer(&host, SEND(&host, "WriteStdin", write_call)), 0);
        ASSERT_EQ(reply_size, 2);
        ASSERT_EQ(memcmp(reply, "\x08\x03", 2), 0);
        ASSERT_STREQ(exec_stdin_text(), "abc");
        ASSERT_EQ(take_answer(&host, SEND(&host, "CloseStdin", names)), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_EQ(take_answer(&host, SEND(&host, "TtyWinResize", resize_call)), TTRPC_UNAVAILABLE);
        ASSERT_EQ(take_answer(&host, SEND(&host, "SignalProcess", signal_call)), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_EQ(take_answer(&host, SEND(&host, "WaitProcess", names)), 0);
        ASSERT_EQ(reply_size, 3);
        ASSERT_EQ(memcmp(reply, "\x08\x8f\x01", 3), 0);
        host_stop(&host);
}

DEFINE_TEST_MAIN
