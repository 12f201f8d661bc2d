/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the ttrpc server: golden bytes, answers out of order, deadlines, lost clients, bounds. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "basic/unix-socket.h"
#include "proto/task.pb-c.h"
#include "runtime/task/ttrpc-server.h"

typedef struct World {
        sd_event *event;
        TtrpcServer *server;
        int client;
        TtrpcCall *held[4];
        unsigned n_held, cancelled;
        size_t connections;
} World;

static void on_cancel(TtrpcCall *call, void *userdata)
{
        World *w = userdata;

        w->cancelled++;
}

/*
 * Answers at once if the id is "now", fails if it is "bad", writes to what was passed if it is "use", else holds the
 * call.
 */
static void on_connect(void *userdata, TtrpcCall *call, const void *input)
{
        const Containerd__Task__V2__ConnectRequest *q = input;
        Containerd__Task__V2__ConnectResponse a = CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
        World *w = userdata;

        a.shim_pid = 5;
        if (streq(q->id, "now"))
                return ttrpc_call_reply(call, &a.base);
        if (streq(q->id, "use")) {
                int fd = ttrpc_call_take_fd(call);

                ASSERT_EQ(write(fd, "x", 1), fd < 0 ? -1 : 1);
                safe_close(fd);
                ASSERT_EQ(ttrpc_call_take_fd(call), -EBADF);
                return ttrpc_call_reply(call, &a.base);
        }
        if (streq(q->id, "bad"))
                return ttrpc_call_fail_errno(call, -ENOENT, "no such container");
        if (w->n_held < ELEMENTSOF(w->held))
                w->held[w->n_held++] = call;
        ttrpc_call_on_cancel(call, on_cancel, w);
}

static void on_connections(size_t n, void *userdata)
{
        World *w = userdata;

        w->connections = n;
}

static const char *const names[] = { "containerd.task.v2.Task", "containerd.task.v3.Task", NULL };
static const TtrpcMethod methods[] = {
        { "Connect", &containerd__task__v2__connect_request__descriptor, on_connect },
};

static int connect_client(World *w)
{
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(ttrpc_server_add(w->server, pair[0]));
        return pair[1];
}

static void world_init(World *w)
{
        const TtrpcService service = {
                .names = names, .methods = methods, .n_methods = 1, .on_connections = on_connections, .userdata = w,
        };

        *w = (World) {};
        ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(ttrpc_server_new(&w->server, w->event, &service));
        w->client = connect_client(w);
}

static void world_done(World *w)
{
        ttrpc_server_free(w->server);
        sd_event_unref(w->event);
        safe_close(w->client);
}

static void turn(World *w, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(sd_event_run(w->event, 2000));
}

static void expect(World *w, const void *bytes, size_t n)
{
        uint8_t buf[1024];

        turn(w, 5);
        ASSERT_EQ(recv(w->client, buf, sizeof(buf), MSG_DONTWAIT), n);
        ASSERT_EQ(memcmp(buf, bytes, n), 0);
}

#define SEND(w, bytes) ASSERT_EQ(send((w)->client, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL), sizeof(bytes) - 1)
#define EXPECT(w, bytes) expect(w, bytes, sizeof(bytes) - 1)

/* Request { service, method "Connect", payload ConnectRequest { id } } on a stream, by hand. */
#define CALL(stream, service_, id)                                                                 \
        "\x00\x00\x00\x29" "\x00\x00\x00" stream "\x01\x00" "\x0a\x17" service_                    \
        "\x12\x07" "Connect" "\x1a\x05" "\x0a\x03" id

TEST(golden)
{
        World w;

        world_init(&w);
        SEND(&w, CALL("\x01", "containerd.task.v2.Task", "now"));
        EXPECT(&w, "\x00\x00\x00\x04" "\x00\x00\x00\x01" "\x02\x00" "\x12\x02" "\x08\x05");
        SEND(&w, CALL("\x03", "containerd.task.v3.Task", "now"));
        EXPECT(&w, "\x00\x00\x00\x04" "\x00\x00\x00\x03" "\x02\x00" "\x12\x02" "\x08\x05");
        SEND(&w, CALL("\x05", "containerd.task.v2.Task", "bad"));
        EXPECT(&w, "\x00\x00\x00\x17" "\x00\x00\x00\x05" "\x02\x00"
               "\x0a\x15" "\x08\x05" "\x12\x11" "no such container");
        world_done(&w);
}

/* The last one counts, and none stays open but that of a request that nobody has asked for it. */
TEST(passed_descriptors)
{
        static const char frame[] = CALL("\x01", "containerd.task.v2.Task", "use"),
                          plain[] = CALL("\x03", "containerd.task.v2.Task", "use");
        int first[2], second[2];
        char c;
        World w;

        world_init(&w);
        ASSERT_OK(pipe2(first, O_CLOEXEC | O_NONBLOCK));
        ASSERT_OK(pipe2(second, O_CLOEXEC | O_NONBLOCK));
        ASSERT_EQ(unix_send_fd(w.client, frame, 10, 0, first[1]), 10);
        turn(&w, 2);
        ASSERT_EQ(unix_send_fd(w.client, frame + 10, sizeof(frame) - 11, 0, second[1]), (ssize_t) sizeof(frame) - 11);
        safe_close(first[1]);
        safe_close(second[1]);
        EXPECT(&w, "\x00\x00\x00\x04" "\x00\x00\x00\x01" "\x02\x00" "\x12\x02" "\x08\x05");
        ASSERT_EQ(read(first[0], &c, 1), 0);
        ASSERT_EQ(read(second[0], &c, 1), 1);
        ASSERT_EQ(read(second[0], &c, 1), 0);
        ASSERT_EQ(send(w.client, plain, sizeof(plain) - 1, MSG_NOSIGNAL), (ssize_t) sizeof(plain) - 1);
        EXPECT(&w, "\x00\x00\x00\x04" "\x00\x00\x00\x03" "\x02\x00" "\x12\x02" "\x08\x05");
        safe_close(first[0]);
        safe_close(second[0]);
        world_done(&w);
}

TEST(unknown)
{
        uint8_t buf[256];
        World w;

        world_init(&w);
        SEND(&w, CALL("\x01", "containerd.task.v9.Task", "now"));
        turn(&w, 5);
        ASSERT_TRUE(recv(w.client, buf, sizeof(buf), MSG_DONTWAIT) > 14);
        ASSERT_EQ(buf[13], TTRPC_UNIMPLEMENTED);
        world_done(&w);
}

TEST(answers_later)
{
        World w;

        world_init(&w);
        SEND(&w, CALL("\x01", "containerd.task.v2.Task", "one") CALL("\x03", "containerd.task.v2.Task", "two"));
        turn(&w, 5);
        ASSERT_EQ(w.n_held, 2);
        ttrpc_call_reply(w.held[1], NULL);
        EXPECT(&w, "\x00\x00\x00\x00" "\x00\x00\x00\x03" "\x02\x00");
        ttrpc_call_reply(w.held[0], NULL);
        EXPECT(&w, "\x00\x00\x00\x00" "\x00\x00\x00\x01" "\x02\x00");
        ASSERT_EQ(w.cancelled, 0);
        world_done(&w);
}

TEST(client_leaves)
{
        TtrpcCall *slot;
        World w;

        world_init(&w);
        SEND(&w, CALL("\x01", "containerd.task.v2.Task", "one") CALL("\x03", "containerd.task.v2.Task", "two"));
        turn(&w, 5);
        ASSERT_EQ(w.n_held, 2);
        ttrpc_call_hold(w.held[1], &slot);
        ASSERT_EQ(w.connections, 1);
        w.client = safe_close(w.client);
        turn(&w, 5);
        ASSERT_EQ(w.cancelled, 1);
        ASSERT_NULL(slot);
        ASSERT_EQ(w.connections, 0);
        world_done(&w);
}

TEST(deadline)
{
        uint8_t buf[256];
        World w;

        world_init(&w);
        /* timeout_nano (4) = 1000000. */
        SEND(&w, "\x00\x00\x00\x2d" "\x00\x00\x00\x01" "\x01\x00" "\x0a\x17" "containerd.task.v2.Task"
             "\x12\x07" "Connect" "\x1a\x05" "\x0a\x03" "one" "\x20\xc0\x84\x3d");
        for (unsigned i = 0; i < 50 && w.cancelled == 0; i++)
                turn(&w, 1);
        ASSERT_EQ(w.cancelled, 1);
        turn(&w, 2);
        ASSERT_TRUE(recv(w.client, buf, sizeof(buf), MSG_DONTWAIT) > 14);
        ASSERT_EQ(buf[13], TTRPC_DEADLINE_EXCEEDED);
        world_done(&w);
}

TEST(violations)
{
        uint8_t buf[16];
        World w;

        /* An even stream id, and a frame over the limit: the connection is closed. */
        static const char *const bad[] = { "\x00\x00\x00\x00" "\x00\x00\x00\x02" "\x01\x00",
                                           "\xff\xff\xff\xff" "\x00\x00\x00\x01" "\x01\x00" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                world_init(&w);
                ASSERT_EQ(send(w.client, bad[i], 10, MSG_NOSIGNAL), 10);
                turn(&w, 5);
                ASSERT_EQ(recv(w.client, buf, sizeof(buf), MSG_DONTWAIT), 0);
                ASSERT_EQ(w.connections, 0);
                world_done(&w);
        }
}

TEST(bounds)
{
        int clients[TASK_CONNECTIONS_MAX], pair[2];
        World w;

        world_init(&w);
        for (size_t i = 1; i < TASK_CONNECTIONS_MAX; i++)
                clients[i] = connect_client(&w);
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        ASSERT_ERROR(ttrpc_server_add(w.server, pair[0]), EUSERS);
        safe_close(pair[0]);
        safe_close(pair[1]);
        for (size_t i = 1; i < TASK_CONNECTIONS_MAX; i++)
                safe_close(clients[i]);
        world_done(&w);
}

TEST(listens)
{
        char path[] = "/tmp/test-ttrpc-server-XXXXXX";
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd, client;
        World w;

        world_init(&w);
        ASSERT_NOT_NULL(mkdtemp(path));
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", path);
        fd = ASSERT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_OK(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        ASSERT_OK(listen(fd, 1));
        ASSERT_OK(ttrpc_server_listen(w.server, fd));
        client = ASSERT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_OK(connect(client, (struct sockaddr *) &address, sizeof(address)));
        turn(&w, 3);
        ASSERT_EQ(ttrpc_server_n_connections(w.server), 2);
        safe_close(client);
        world_done(&w);
        ASSERT_OK(rm_rf(path));
}

DEFINE_TEST_MAIN
