/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox of a caller, from its definition to its Shutdown, with a real machine: by systemctl and by the wire
 * protocol at task.sock. Runs in nodes (tests/live/05-programs.sh), as root; skips itself elsewhere.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "proto/task.pb-c.h"
#include "proto/ttrpc.h"

#define ID "task-live"
#define RUN_DIR RUNDIR "/" ID
#define BUSYBOX "/bin/busybox"
#define S(text) ((char *) (uintptr_t) (text))
#define PATIENCE_SEC 300

static char dir[] = "/var/tmp/test-task-live-XXXXXX", out_path[64], in_path[64];
static int client = -EBADF;
static uint32_t next_id = 1;
static PbArena arena;
static char reply_text[600];

static void systemctl(const char *verb)
{
        char command[128];

        snprintf(command, sizeof(command), "systemctl %s kata-sandbox@" ID, verb);
        if (system(command) != 0)
                TEST_FAIL("%s", command);
}

static bool unit_is(const char *state)
{
        char command[128];

        snprintf(command, sizeof(command), "test \"$(systemctl is-active kata-sandbox@" ID ")\" = %s", state);
        return system(command) == 0;
}

static void wait_until(bool (*condition)(const char *arg), const char *arg, const char *what)
{
        for (unsigned i = 0; !condition(arg); i++) {
                if (i > PATIENCE_SEC * 5)
                        TEST_FAIL("waited in vain: %s %s", what, arg);
                usleep(200000);
        }
}

static bool connects(const char *path)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct timeval patience = { .tv_sec = PATIENCE_SEC };

        client = safe_close(client);
        strcpy(a.sun_path, path);
        client = ASSERT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_OK(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
        next_id = 1;
        return connect(client, (struct sockaddr *) &a, sizeof(a)) >= 0;
}

/* 0 with the answer, or the code of an error. */
static int call(const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *desc, void *ret)
{
        _cleanup_free_ uint8_t *frame = NULL;
        static uint8_t payload[65536];
        uint8_t header[TTRPC_HEADER_SIZE];
        Ttrpc__Response *response;
        TtrpcHeader h;
        size_t n;

        ASSERT_OK(ttrpc_build_request(next_id, "containerd.task.v2.Task", method, m, 0, &frame, &n));
        ASSERT_OK(write_full(client, frame, n));
        ASSERT_OK(read_full(client, header, sizeof(header)));
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.stream_id, next_id);
        next_id += 2;
        ASSERT_TRUE(h.length <= sizeof(payload));
        ASSERT_OK(read_full(client, payload, h.length));
        ASSERT_OK(pb_unpack(&ttrpc__response__descriptor, &arena, payload, h.length, &response));
        reply_text[0] = '\0';
        if (response->status && response->status->code != 0) {
                snprintf(reply_text, sizeof(reply_text), "%s", response->status->message);
                return response->status->code;
        }
        if (desc)
                ASSERT_OK(pb_unpack(desc, &arena, response->payload.data, response->payload.len, ret));
        return 0;
}

#define CALL(method, q, desc, ret)                                                                 \
        ({                                                                                         \
                if (call(method, &(q).base, desc, ret) != 0)                                       \
                        TEST_FAIL("%s: %s", method, reply_text);                                   \
        })

/* --- files --- */

static void make_bundle(const char *name, const char *script)
{
        static const char *const tools[] = { "sh", "cat", "sleep", "stty", "id" };
        char path[128], text[1024];
        int n;

        snprintf(path, sizeof(path), "%s/%s/rootfs/bin", dir, name);
        ASSERT_OK(mkdir_p(path, 0755));
        for (size_t i = 0; i < ELEMENTSOF(tools); i++) {
                snprintf(text, sizeof(text), "cp " BUSYBOX " %s/%s", path, tools[i]);
                ASSERT_EQ(system(text), 0);
        }
        n = snprintf(text, sizeof(text),
                     "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\","
                     "\"args\":[\"/bin/sh\",\"-c\",\"%s\"],\"env\":[\"PATH=/bin\"]},\"mounts\":["
                     "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
                     "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
                     "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\"}],"
                     "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
                     "{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"cgroup\"}]}}",
                     script);
        ASSERT_TRUE(n > 0 && (size_t) n < sizeof(text));
        snprintf(path, sizeof(path), "%s/%s/config.json", dir, name);
        ASSERT_OK(write_file_atomic(path, text, (size_t) n, 0600));
}

static int open_reader(void)
{
        (void) unlink(out_path);
        ASSERT_OK(mkfifo(out_path, 0600));
        return ASSERT_OK(open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

/* Up to the end, which a process's end is. Takes fd. */
static void expect_output(int fd, const char *expected)
{
        char text[1024];
        size_t n = 0;
        ssize_t k;

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };

                if (poll(&p, 1, PATIENCE_SEC * 1000) <= 0)
                        TEST_FAIL("no end of output: '%.*s'", (int) n, text);
                k = read(fd, text + n, sizeof(text) - 1 - n);
                if (k < 0 && errno == EAGAIN)
                        continue;
                if (k <= 0)
                        break;
                n += (size_t) k;
        }
        text[n] = '\0';
        ASSERT_STREQ(text, expected);
        safe_close(fd);
}

/* --- calls --- */

static void create(const char *id, const char *in, const char *out)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__CreateTaskResponse *a;
        char bundle[128];

        snprintf(bundle, sizeof(bundle), "%s/%s", dir, id);
        q.id = S(id);
        q.bundle = bundle;
        q.stdin = S(in);
        q.stdout = S(out);
        CALL("Create", q, &containerd__task__v2__create_task_response__descriptor, &a);
        ASSERT_OK(kill((pid_t) a->pid, 0));
}

static void start(const char *id, const char *exec_id)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        CALL("Start", q, NULL, NULL);
}

static unsigned wait_for(const char *id, const char *exec_id)
{
        Containerd__Task__V2__WaitRequest q = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        Containerd__Task__V2__WaitResponse *a;

        q.id = S(id);
        q.exec_id = S(exec_id);
        CALL("Wait", q, &containerd__task__v2__wait_response__descriptor, &a);
        return a->exit_status;
}

static void delete(const char *id, const char *exec_id)
{
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        CALL("Delete", q, NULL, NULL);
}

static void exec(const char *id, const char *exec_id, bool terminal, const char *script)
{
        Containerd__Task__V2__ExecProcessRequest q = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
        Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
        char text[512];

        snprintf(text, sizeof(text), "{\"terminal\":%s,\"args\":[\"/bin/sh\",\"-c\",\"%s\"],\"cwd\":\"/\",\"env\":["
                 "\"PATH=/bin\"]}", terminal ? "true" : "false", script);
        spec.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/Process");
        spec.value = (ProtobufCBinaryData) { .len = strlen(text), .data = (uint8_t *) text };
        q.id = S(id);
        q.exec_id = S(exec_id);
        q.terminal = terminal;
        q.stdout = out_path;
        q.spec = &spec;
        CALL("Exec", q, NULL, NULL);
}

static void run_exec(const char *exec_id, const char *script, const char *expected)
{
        int out = open_reader();

        exec("db", exec_id, false, script);
        start("db", exec_id);
        ASSERT_EQ(wait_for("db", exec_id), 0);
        expect_output(out, expected);
        delete("db", exec_id);
}

/* --- the sandbox --- */

static void with_input_and_output(void)
{
        Containerd__Task__V2__CloseIORequest close_io = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
        int in, out = open_reader();

        ASSERT_OK(mkfifo(in_path, 0600));
        in = ASSERT_OK(open(in_path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
        create("web", in_path, out_path);
        start("web", "");
        ASSERT_EQ(write(in, "abc\n", 4), 4);
        safe_close(in);
        close_io.id = S("web");
        close_io.stdin = true;
        CALL("CloseIO", close_io, NULL, NULL);
        ASSERT_EQ(wait_for("web", ""), 3);
        expect_output(out, "hello\nabc\n");
        delete("web", "");
}

static void with_further_processes(void)
{
        Containerd__Task__V2__ResizePtyRequest q = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
        int out;

        create("db", "", "");
        start("db", "");
        run_exec("e1", "echo one", "one\n");

        out = open_reader();
        exec("db", "e2", true, "stty size");
        q.id = S("db");
        q.exec_id = S("e2");
        q.width = 80;
        q.height = 24;
        CALL("ResizePty", q, NULL, NULL);
        start("db", "e2");
        ASSERT_EQ(wait_for("db", "e2"), 0);
        expect_output(out, "24 80\r\n");
        delete("db", "e2");
}

static void with_numbers_and_pause(void)
{
        Containerd__Task__V2__StatsRequest stats = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
        Containerd__Task__V2__PauseRequest pause_q = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
        Containerd__Task__V2__ResumeRequest resume = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
        Containerd__Task__V2__StatsResponse *a;

        stats.id = pause_q.id = resume.id = S("db");
        CALL("Stats", stats, &containerd__task__v2__stats_response__descriptor, &a);
        ASSERT_CONTAINS(a->stats->type_url, "io.containerd.cgroups.v");
        CALL("Pause", pause_q, NULL, NULL);
        CALL("Resume", resume, NULL, NULL);
}

static void with_a_new_supervisor(void)
{
        Containerd__Task__V2__ConnectRequest q = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
        Containerd__Task__V2__ConnectResponse *a, *b;
        Containerd__Task__V2__StateRequest s = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
        Containerd__Task__V2__StateResponse *state;
        int out;

        q.id = s.id = S("db");
        CALL("Connect", q, &containerd__task__v2__connect_response__descriptor, &a);
        ASSERT_OK(kill((pid_t) a->shim_pid, SIGKILL));
        usleep(500000);
        wait_until(unit_is, "active", "unit");
        wait_until(connects, RUN_DIR "/task.sock", "socket");
        CALL("Connect", q, &containerd__task__v2__connect_response__descriptor, &b);
        ASSERT_TRUE(a->shim_pid != b->shim_pid);
        ASSERT_EQ(a->task_pid, b->task_pid);
        CALL("State", s, &containerd__task__v2__state_response__descriptor, &state);
        ASSERT_EQ(state->status, CONTAINERD__TASK__V2__STATUS__RUNNING);
        run_exec("e3", "echo two", "two\n");

        /* Directories of further containers still reach the guest. */
        out = open_reader();
        create("late", "", out_path);
        start("late", "");
        ASSERT_EQ(wait_for("late", ""), 0);
        expect_output(out, "late\n");
        delete("late", "");
}

/* Nobody reads what it writes: everything else goes on, and Delete does not wait for ever. */
static void with_output_that_nobody_reads(void)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
        int out = open_reader();

        create("loud", "", out_path);
        start("loud", "");
        sleep(1);
        q.id = S("loud");
        q.signal = SIGKILL;
        CALL("Kill", q, NULL, NULL);
        ASSERT_EQ(wait_for("loud", ""), 137);
        delete("loud", "");
        safe_close(out);
}

/* Mounts that the supervisor has made for a container. */
static unsigned n_mounts(const char *id)
{
        Containerd__Task__V2__ConnectRequest q = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
        Containerd__Task__V2__ConnectResponse *a;
        _cleanup_free_ char *text = NULL;
        char path[64], name[64];
        unsigned n = 0;

        CALL("Connect", q, &containerd__task__v2__connect_response__descriptor, &a);
        snprintf(path, sizeof(path), "/proc/%u/mountinfo", a->shim_pid);
        ASSERT_OK(read_file_at(AT_FDCWD, path, MIB(4), &text, NULL));
        snprintf(name, sizeof(name), RUN_DIR "/shared/%s.", id);
        for (const char *p = text; (p = strstr(p, name)); p++)
                n++;
        return n;
}

static void with_many(void)
{
        ASSERT_EQ(n_mounts("db"), 1);
        for (unsigned i = 0; i < 20; i++) {
                int out = open_reader();

                create("late", "", out_path);
                start("late", "");
                ASSERT_EQ(wait_for("late", ""), 0);
                expect_output(out, "late\n");
                delete("late", "");
        }
        ASSERT_EQ(n_mounts("late"), 0);
}

/* The machine ends under a container: whoever waits is told before the connection is. */
static void without_machine(void)
{
        Containerd__Task__V2__ConnectRequest q = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
        Containerd__Task__V2__ConnectResponse *a;
        pid_t pid;

        systemctl("start");
        ASSERT_TRUE(connects(RUN_DIR "/task.sock"));
        create("db", "", "");
        start("db", "");
        q.id = S("db");
        CALL("Connect", q, &containerd__task__v2__connect_response__descriptor, &a);
        pid = fork();
        ASSERT_TRUE(pid >= 0);
        if (pid == 0) {
                sleep(1);
                _exit(kill((pid_t) a->task_pid, SIGKILL) < 0);
        }
        ASSERT_EQ(wait_for("db", ""), 137);
        client = safe_close(client);
        wait_until(unit_is, "failed", "unit");
        ASSERT_EQ(system("systemctl reset-failed kata-sandbox@" ID), 0);
}

/* "systemctl stop" ends the containers, and tells whoever waits. */
static void stopped_by_an_operator(void)
{
        systemctl("start");
        ASSERT_TRUE(connects(RUN_DIR "/task.sock"));
        create("db", "", "");
        start("db", "");
        systemctl("stop --no-block");
        ASSERT_TRUE(wait_for("db", "") > 128);
        client = safe_close(client);
        wait_until(unit_is, "inactive", "unit");
        ASSERT_EQ(access(RUN_DIR, F_OK), -1);
}

static void define(void)
{
        static const char definition[] = "[Sandbox]\nMemory=128M\n";

        ASSERT_OK(mkdir_p(RUN_DIR, 0700));
        ASSERT_OK(write_file_atomic(RUN_DIR "/sandbox.conf", definition, strlen(definition), 0600));
}

static void to_the_end(void)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
        Containerd__Task__V2__ShutdownRequest end = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

        q.id = S("db");
        q.signal = SIGKILL;
        q.all = true;
        CALL("Kill", q, NULL, NULL);
        ASSERT_EQ(wait_for("db", ""), 137);
        ASSERT_EQ(call("Kill", &q.base, NULL, NULL), TTRPC_NOT_FOUND);
        delete("db", "");
        CALL("Shutdown", end, NULL, NULL);
        client = safe_close(client);
        wait_until(unit_is, "inactive", "unit");
        ASSERT_EQ(access(RUN_DIR, F_OK), -1);
}

int main(int argc, char *argv[])
{
        const char *missing = geteuid() != 0 ? "not root" :
                              access("/run/systemd/system", F_OK) < 0 ? "no systemd" :
                              access("/usr/libexec/kata/kata-sandboxd", X_OK) < 0 ? "not installed" :
                              access(BUSYBOX, X_OK) < 0 ? "no busybox-static" : NULL;

        if (missing) {
                printf("skipped: %s\n", missing);
                return 77;
        }

        pb_arena_init(&arena, 0);
        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(out_path, sizeof(out_path), "%s/out", dir);
        snprintf(in_path, sizeof(in_path), "%s/in", dir);
        make_bundle("web", "echo hello; cat; exit 3");
        make_bundle("db", "exec sleep 100000");
        make_bundle("late", "echo late");
        make_bundle("loud", "while :; do cat /bin/sh; done");
        define();
        systemctl("start");
        ASSERT_TRUE(connects(RUN_DIR "/task.sock"));

        with_input_and_output();
        with_further_processes();
        with_numbers_and_pause();
        with_a_new_supervisor();
        with_output_that_nobody_reads();
        with_many();
        to_the_end();

        define();
        stopped_by_an_operator();
        define();
        without_machine();

        pb_arena_done(&arena);
        ASSERT_OK(rm_rf(dir));
        puts("a sandbox of a caller: ok");
        return EXIT_SUCCESS;
}
