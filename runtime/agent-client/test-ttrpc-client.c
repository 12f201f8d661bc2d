/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the ttrpc client against a scripted peer on a socketpair. */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc.h"
#include "runtime/agent-client/agent.h"

typedef struct World {
        sd_event *event;
        TtrpcClient *client;
        int peer;
        unsigned replies, lost;
        int error, status;
        char *text;
        bool free_in_reply;
} World;

static void on_lost(TtrpcClient *client, const char *text, void *userdata)
{
        World *w = userdata;

        w->lost++;
        free(w->text);
        w->text = strdup(text);
}

static void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        World *w = userdata;

        w->replies++;
        w->error = error;
        free(w->text);
        w->text = text ? strdup(text) : NULL;
        if (error == 0)
                w->status = ((const Grpc__HealthCheckResponse *) message)->status;
        if (w->free_in_reply)
                w->client = ttrpc_client_free(w->client);
}

static void world_init(World *w)
{
        int p[2];

        *w = (World) {};
        ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p));
        ASSERT_OK(ttrpc_client_new(&w->client, w->event, p[0], "agent", on_lost, w));
        w->peer = p[1];
}

static void world_done(World *w)
{
        ttrpc_client_free(w->client);
        sd_event_unref(w->event);
        safe_close(w->peer);
        free(w->text);
}

static void run_until(World *w, const unsigned *counter, unsigned n)
{
        for (unsigned i = 0; *counter < n && i < 100; i++)
                ASSERT_OK(sd_event_run(w->event, 50000));
        ASSERT_EQ(*counter, n);
}

/* Reads one request and returns its stream id. */
static uint32_t take_request(World *w)
{
        uint8_t header[TTRPC_HEADER_SIZE], body[4096];
        TtrpcHeader h;

        ASSERT_OK(read_full(w->peer, header, sizeof(header)));
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.type, TTRPC_REQUEST);
        ASSERT_TRUE(h.length <= sizeof(body));
        ASSERT_OK(read_full(w->peer, body, h.length));
        return h.stream_id;
}

static void answer_serving(World *w, uint32_t stream_id)
{
        Grpc__HealthCheckResponse a = GRPC__HEALTH_CHECK_RESPONSE__INIT;
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        a.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        ASSERT_OK(ttrpc_build_response(stream_id, &a.base, &frame, &n));
        ASSERT_OK(write_full(w->peer, frame, n));
}

TEST(two_calls_answered_out_of_order)
{
        uint32_t a, b;
        World w;

        world_init(&w);
        ASSERT_OK(agent_check(w.client, USEC_PER_SEC, on_reply, &w));
        ASSERT_OK(agent_check(w.client, USEC_PER_SEC, on_reply, &w));
        a = take_request(&w);
        b = take_request(&w);
        ASSERT_EQ(a, 1);
        ASSERT_EQ(b, 3);
        answer_serving(&w, b);
        answer_serving(&w, a);
        run_until(&w, &w.replies, 2);
        ASSERT_EQ(w.status, GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
        world_done(&w);
}

TEST(error_of_the_peer)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;
        World w;

        world_init(&w);
        ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        ASSERT_OK(ttrpc_build_error(take_request(&w), TTRPC_NOT_FOUND, "no such thing", &frame, &n));
        ASSERT_OK(write_full(w.peer, frame, n));
        run_until(&w, &w.replies, 1);
        ASSERT_EQ(w.error, -ENOENT);
        ASSERT_CONTAINS(w.text, "Check");
        ASSERT_CONTAINS(w.text, "no such thing");
        world_done(&w);
}

TEST(deadline)
{
        World w;

        world_init(&w);
        ASSERT_OK(agent_check(w.client, 20 * USEC_PER_MSEC, on_reply, &w));
        run_until(&w, &w.replies, 1);
        ASSERT_EQ(w.error, -ETIMEDOUT);
        ASSERT_CONTAINS(w.text, "Check: agent did not answer within 20ms");

        /* The answer that comes too late is not a violation. */
        answer_serving(&w, take_request(&w));
        ASSERT_OK(agent_check(w.client, USEC_PER_SEC, on_reply, &w));
        answer_serving(&w, take_request(&w));
        run_until(&w, &w.replies, 2);
        ASSERT_EQ(w.error, 0);
        ASSERT_EQ(w.lost, 0);
        world_done(&w);
}

TEST(loss_answers_all)
{
        World w;

        world_init(&w);
        ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        (void) take_request(&w);
        (void) take_request(&w);
        w.peer = safe_close(w.peer);
        run_until(&w, &w.lost, 1);
        ASSERT_EQ(w.replies, 2);
        ASSERT_EQ(w.error, -ECONNRESET);
        ASSERT_CONTAINS(w.text, "agent closed its connection");
        ASSERT_ERROR(agent_check(w.client, 0, on_reply, &w), ENOTCONN);
        world_done(&w);
}

TEST(violations)
{
        World w;

        /* An answer to a call that was never made. */
        world_init(&w);
        answer_serving(&w, 77);
        run_until(&w, &w.lost, 1);
        ASSERT_CONTAINS(w.text, "which was never made");
        world_done(&w);

        /* A frame over the limit. */
        world_init(&w);
        ASSERT_OK(write_full(w.peer, "\xff\xff\xff\xff\0\0\0\1\2\0", 10));
        run_until(&w, &w.lost, 1);
        ASSERT_CONTAINS(w.text, "agent broke the protocol");
        world_done(&w);
}

TEST(free_inside_reply)
{
        World w;

        world_init(&w);
        w.free_in_reply = true;
        ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        w.peer = safe_close(w.peer);
        run_until(&w, &w.replies, 1);
        ASSERT_NULL(w.client);
        world_done(&w);
}

TEST(too_many_calls)
{
        World w;

        world_init(&w);
        for (unsigned i = 0; i < TTRPC_PENDING_MAX; i++)
                ASSERT_OK(agent_check(w.client, 0, on_reply, &w));
        ASSERT_ERROR(agent_check(w.client, 0, on_reply, &w), ENOBUFS);
        world_done(&w);
}

/* Whole frames as they are on the wire, from the published numbers: the first request of a connection. */
static void expect_frame(World *w, const char *bytes, size_t n)
{
        uint8_t buf[512];

        ASSERT_TRUE(n <= sizeof(buf));
        ASSERT_OK(read_full(w->peer, buf, n));
        ASSERT_EQ(memcmp(buf, bytes, n), 0);
        world_done(w);
}

#define AGENT "\x0a\x11" "grpc.AgentService"
/* timeout_nano: one second. */
#define TIMEOUT "\x20\x80\x94\xeb\xdc\x03"
#define FIRST(length, type_and_flags) "\x00\x00\x00" length "\x00\x00\x00\x01" type_and_flags
#define EXPECT_FRAME(w, bytes) expect_frame(w, bytes, sizeof(bytes) - 1)
#define S(text) ((char *) (uintptr_t) (text))

TEST(golden_processes)
{
        Grpc__Process process = GRPC__PROCESS__INIT;
        const AgentStdio stdio = { 1, 2, 3 };
        char *args[] = { S("id") };
        World w;

        process.args = args;
        process.n_args = 1;
        world_init(&w);
        ASSERT_OK(agent_exec_process(w.client, "web", "e1", &process, NULL, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x3d", "\x01\x00") AGENT "\x12\x0b" "ExecProcess" "\x1a\x15"
                     "\x0a\x03" "web" "\x12\x02" "e1" "\x22\x04" "\x22\x02" "id" "\x28\x01" "\x30\x02" "\x38\x03"
                     TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_signal_process(w.client, "web", NULL, 9, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x36", "\x01\x00") AGENT "\x12\x0d" "SignalProcess" "\x1a\x0c"
                     "\x0a\x03" "web" "\x12\x03" "web" "\x18\x09" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_signal_process(w.client, "web", "", 9, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x31", "\x01\x00") AGENT "\x12\x0d" "SignalProcess" "\x1a\x07"
                     "\x0a\x03" "web" "\x18\x09" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_wait_process(w.client, "web", "e1", on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x2b", "\x01\x00") AGENT "\x12\x0b" "WaitProcess" "\x1a\x09"
                     "\x0a\x03" "web" "\x12\x02" "e1");
        world_init(&w);
        ASSERT_OK(agent_resize(w.client, "web", "e1", 24, 80, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x36", "\x01\x00") AGENT "\x12\x0c" "TtyWinResize" "\x1a\x0d"
                     "\x0a\x03" "web" "\x12\x02" "e1" "\x18\x18" "\x20\x50" TIMEOUT);
}

TEST(golden_containers)
{
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        const AgentStdio stdio = { 1, 2, 3 };
        World w;

        world_init(&w);
        ASSERT_OK(agent_create_container(w.client, "web", &spec, NULL, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x3e", "\x01\x00") AGENT "\x12\x0f" "CreateContainer" "\x1a\x12"
                     "\x0a\x03" "web" "\x12\x03" "web" "\x32\x00" "\x48\x01" "\x50\x02" "\x58\x03" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_pause_container(w.client, "web", USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x30", "\x01\x00") AGENT "\x12\x0e" "PauseContainer" "\x1a\x05"
                     "\x0a\x03" "web" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_resume_container(w.client, "web", USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x31", "\x01\x00") AGENT "\x12\x0f" "ResumeContainer" "\x1a\x05"
                     "\x0a\x03" "web" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_stats_container(w.client, "web", USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x30", "\x01\x00") AGENT "\x12\x0e" "StatsContainer" "\x1a\x05"
                     "\x0a\x03" "web" TIMEOUT);
        world_init(&w);
        ASSERT_OK(agent_get_oom_event(w.client, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x20", "\x01\x00") AGENT "\x12\x0b" "GetOOMEvent");
        pids.limit = 7;
        resources.pids = &pids;
        world_init(&w);
        ASSERT_OK(agent_update_container(w.client, "web", &resources, NULL, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x37", "\x01\x00") AGENT "\x12\x0f" "UpdateContainer" "\x1a\x0b"
                     "\x0a\x03" "web" "\x12\x04" "\x22\x02" "\x08\x07" TIMEOUT);
}

#define EXTENSION "\x0a\x1e" "kata.systemd.v1.AgentExtension"

/* What Kata's messages have no field for goes to a service that other agents do not have; nothing, to theirs. */
TEST(golden_extension)
{
        Kata__Systemd__V1__ExecCPUAffinity affinity = KATA__SYSTEMD__V1__EXEC_CPUAFFINITY__INIT;
        AgentExtension extension = KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *entries[] = { &entry };
        Grpc__Process process = GRPC__PROCESS__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        const AgentStdio stdio = {};
        World w;

        /* Of further processes alone. */
        extension.exec_cpu_affinity = &affinity;
        world_init(&w);
        ASSERT_OK(agent_create_container(w.client, "web", &spec, &extension, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x38", "\x01\x00") AGENT "\x12\x0f" "CreateContainer" "\x1a\x0c"
                     "\x0a\x03" "web" "\x12\x03" "web" "\x32\x00" TIMEOUT);
        extension.exec_cpu_affinity = NULL;
        extension.has_umask = true;
        world_init(&w);
        ASSERT_OK(agent_create_container(w.client, "web", &spec, &extension, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x4b", "\x01\x00") EXTENSION "\x12\x0f" "CreateContainer" "\x1a\x12"
                     "\x0a\x0c" "\x0a\x03" "web" "\x12\x03" "web" "\x32\x00" "\x12\x02" "\x40\x01" TIMEOUT);
        extension.umask = 63;
        world_init(&w);
        ASSERT_OK(agent_exec_process(w.client, "web", "e1", &process, &extension, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x48", "\x01\x00") EXTENSION "\x12\x0b" "ExecProcess" "\x1a\x13"
                     "\x0a\x0b" "\x0a\x03" "web" "\x12\x02" "e1" "\x22\x00" "\x12\x04" "\x10\x3f" "\x40\x01" TIMEOUT);
        extension = (AgentExtension) KATA__SYSTEMD__V1__SPEC_EXTENSION__INIT;
        extension.unified = entries;
        extension.n_unified = 1;
        entry.key = S("a.b");
        entry.value = S("7");
        world_init(&w);
        ASSERT_OK(agent_update_container(w.client, "web", &resources, &extension, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x4e", "\x01\x00") EXTENSION "\x12\x0f" "UpdateContainer" "\x1a\x15"
                     "\x0a\x07" "\x0a\x03" "web" "\x12\x00" "\x12\x0a" "\x3a\x08" "\x0a\x03" "a.b" "\x12\x01" "7"
                     TIMEOUT);
}

/* What agents without the service say, of this project and of others. */
TEST(agents_without_the_extension)
{
        static const char *const texts[] = {
                "unknown service 'kata.systemd.v1.AgentExtension' (method 'CreateContainer')",
                "unknown method 'ExecProcess' of service 'kata.systemd.v1.AgentExtension'",
                "kata.systemd.v1.AgentExtension service does not exist",
        };
        char *message = NULL;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                ASSERT_EQ(agent_explain_extension(i < 2 ? -EOPNOTSUPP : -EINVAL, texts[i], "process.user.umask",
                                                  &message), -EOPNOTSUPP);
                ASSERT_CONTAINS(message, "process.user.umask needs an agent with ");
                message = mfree(message);
        }
        ASSERT_EQ(agent_explain_extension(-EOPNOTSUPP, "personality: flags are not supported", "linux.personality",
                                          &message), -EOPNOTSUPP);
        ASSERT_EQ(agent_explain_extension(-EOPNOTSUPP, texts[0], NULL, &message), -EOPNOTSUPP);
        ASSERT_EQ(agent_explain_extension(-ENOENT, texts[0], "domainname", &message), -ENOENT);
        ASSERT_EQ(agent_explain_extension(-EINVAL, NULL, "domainname", &message), -EINVAL);
        ASSERT_EQ(agent_explain_extension(0, NULL, "domainname", &message), 0);
        ASSERT_NULL(message);
}

TEST(golden_attach)
{
        const AgentStdio stdio = { 1, 2, 3 };
        World w;

        world_init(&w);
        ASSERT_OK(agent_attach_stdio(w.client, "web", NULL, &stdio, USEC_PER_SEC, on_reply, &w));
        EXPECT_FRAME(&w, FIRST("\x45", "\x01\x00") EXTENSION "\x12\x0b" "AttachStdio"
                     "\x1a\x10" "\x0a\x03" "web" "\x12\x03" "web" "\x18\x01" "\x20\x02" "\x28\x03" TIMEOUT);
}

DEFINE_TEST_MAIN
