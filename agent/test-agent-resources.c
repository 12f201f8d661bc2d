/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, pauses, numbers and memory events through the methods of the agent, with bytes as they stand on
 * the wire; the field numbers are those of Kata's agent.proto. A directory stands for the cgroup.
 */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "agent/services.h"
#include "basic/fd.h"
#include "basic/test.h"

#define ANSWER_MAX 65536U

typedef struct Host {
        Loop *loop;
        StreamTable *streams;
        Sandbox *sandbox;
        Server *server;
        int fd;
        uint32_t next_id;
} Host;

static uint8_t answer[ANSWER_MAX];
static size_t n_answer;

static void on_destroyed(void *userdata)
{
}

static void run(Host *host, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(loop_run_once(host->loop, 2));
}

static uint8_t *put(uint8_t *p, uint8_t tag, const void *data, size_t n)
{
        ASSERT_TRUE(n < 128);
        *p++ = tag;
        *p++ = (uint8_t) n;
        memcpy(p, data, n);
        return p + n;
}

/* One frame, from the tables: header, then service = 1, method = 2, payload = 3. */
static uint32_t send_raw_on(Host *host, int fd, const char *method, const void *payload, size_t n_payload)
{
        uint8_t frame[512] = {}, *p = frame + 10;
        uint32_t id = host->next_id;

        host->next_id += 2;
        p = put(p, 0x0a, "grpc.AgentService", strlen("grpc.AgentService"));
        p = put(p, 0x12, method, strlen(method));
        if (n_payload > 0)
                p = put(p, 0x1a, payload, n_payload);
        frame[2] = (uint8_t) ((p - frame - 10) >> 8);
        frame[3] = (uint8_t) (p - frame - 10);
        frame[6] = (uint8_t) (id >> 8);
        frame[7] = (uint8_t) id;
        frame[8] = 1;
        ASSERT_EQ(send(fd, frame, (size_t) (p - frame), MSG_NOSIGNAL), p - frame);
        return id;
}

static uint32_t send_raw(Host *host, const char *method, const void *payload, size_t n)
{
        return send_raw_on(host, host->fd, method, payload, n);
}

/* The response message as it is, in answer; false if there is none within n rounds of the loop. */
static bool take(Host *host, int fd, uint32_t id, unsigned rounds)
{
        uint8_t header[10];

        for (unsigned i = 0; i < rounds; i++) {
                run(host, 1);
                if (recv(fd, header, sizeof(header), MSG_DONTWAIT) != sizeof(header))
                        continue;
                ASSERT_EQ(header[7], id & 0xff);
                ASSERT_EQ(header[8], 2);
                n_answer = (size_t) header[1] << 16 | (size_t) header[2] << 8 | header[3];
                ASSERT_TRUE(n_answer <= sizeof(answer));
                if (n_answer > 0)
                        ASSERT_EQ(recv(fd, answer, n_answer, MSG_WAITALL), n_answer);
                return true;
        }

        return false;
}

/* Status = 1 { code = 1, message = 2 }: the code and whether text is in the message. */
static void assert_failed(TtrpcCode code, const char *text)
{
        ASSERT_EQ(answer[0], 0x0a);
        size_t at = answer[1] < 128 ? 2 : 3;

        ASSERT_EQ(answer[at], 0x08);
        ASSERT_EQ(answer[at + 1], code);
        answer[n_answer] = '\0';
        ASSERT_CONTAINS((const char *) answer + at + 3 + (at == 3), text);
}

#define CALL(host, method, ...)                                                                    \
        ({                                                                                         \
                const uint8_t _payload_[] = { __VA_ARGS__ };                                       \
                uint32_t _id_ = send_raw(host, method, _payload_, sizeof(_payload_));              \
                ASSERT_TRUE(take(host, (host)->fd, _id_, 400));                                    \
        })
/* google.protobuf.Empty: no payload, no status, no bytes. */
#define CALL_OK(host, method, ...)                                                                 \
        ({                                                                                         \
                CALL(host, method, __VA_ARGS__);                                                   \
                ASSERT_EQ(n_answer, 0);                                                            \
        })
#define CALL_FAILS(host, code, text, method, ...)                                                  \
        ({                                                                                         \
                CALL(host, method, __VA_ARGS__);                                                   \
                assert_failed(code, text);                                                         \
        })

#define C1 0x0a, 2, 'c', '1'    /* container_id = 1 in all of these messages */

static void put_file(const char *name, const char *text)
{
        char path[160];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", fake_cgroup, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

static void assert_file(const char *name, const char *text)
{
        _cleanup_free_ char *content = NULL;
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", fake_cgroup, name);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &content, NULL));
        ASSERT_STREQ(content, text);
}

static int connect_host(Host *host)
{
        int pair[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(server_add_connection(host->server, &pair[1]));
        return pair[0];
}

static void host_start(Host *host)
{
        const Method *methods;
        size_t n;

        *host = (Host) { .next_id = 1 };
        fake_device_updates = fake_device_undos = 0;
        strcpy(fake_cgroup, "/tmp/test-cgroup-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(fake_cgroup));
        put_file("cgroup.freeze", "0");
        put_file("cgroup.events", "populated 1\nfrozen 0\n");
        put_file("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n");
        put_file("memory.max", "");

        ASSERT_OK(loop_new(&host->loop));
        ASSERT_OK(stream_table_new(&host->streams, host->loop));
        ASSERT_OK(sandbox_new(&host->sandbox, host->loop, host->streams, on_destroyed, NULL));
        methods = agent_methods(&n);
        ASSERT_OK(server_new(&host->server, host->loop, methods, n, host->sandbox));
        host->fd = connect_host(host);
}

static void host_stop(Host *host)
{
        safe_close(host->fd);
        host->server = server_free(host->server);
        host->sandbox = sandbox_free(host->sandbox);
        host->streams = stream_table_free(host->streams);
        fake_forget();
        host->loop = loop_free(host->loop);
        ASSERT_OK(rm_rf(fake_cgroup));
        fake_cgroup[0] = '\0';
}

static void make_container(Host *host)
{
        /* CreateSandboxRequest.sandbox_id = 5; OCI = 6 { Process = 2 { Args = 4 } } */
        CALL_OK(host, "CreateSandbox", 0x2a, 2, 's', 'b');
        CALL_OK(host, "CreateContainer", C1, 0x32, 7, 0x12, 5, 0x22, 3, 'r', 'u', 'n');
        CALL_OK(host, "StartContainer", C1);
}

TEST(pause_and_resume)
{
        Host host;
        uint32_t id;

        host_start(&host);
        CALL_FAILS(&host, TTRPC_NOT_FOUND, "c1", "PauseContainer", C1);
        make_container(&host);

        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "not paused", "ResumeContainer", C1);
        id = send_raw(&host, "PauseContainer", (uint8_t[]) { C1 }, 4);
        ASSERT_FALSE(take(&host, host.fd, id, 10));
        assert_file("cgroup.freeze", "1");
        /* Something else has changed: not yet. */
        put_file("cgroup.events", "populated 1\nfrozen 0\n");
        ASSERT_FALSE(take(&host, host.fd, id, 10));
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "being paused", "PauseContainer", C1);
        put_file("cgroup.events", "populated 1\nfrozen 1\n");
        ASSERT_TRUE(take(&host, host.fd, id, 100));
        ASSERT_EQ(n_answer, 0);
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "paused already", "PauseContainer", C1);

        /* The kernel may be done before anybody looks. */
        put_file("cgroup.events", "populated 1\nfrozen 0\n");
        CALL_OK(&host, "ResumeContainer", C1);
        assert_file("cgroup.freeze", "0");

        /* A caller that is gone takes the pause along. */
        int other = connect_host(&host);
        (void) send_raw_on(&host, other, "PauseContainer", (uint8_t[]) { C1 }, 4);
        run(&host, 10);
        assert_file("cgroup.freeze", "1");
        safe_close(other);
        run(&host, 10);
        assert_file("cgroup.freeze", "0");

        /* Exit while it is under way. */
        id = send_raw(&host, "PauseContainer", (uint8_t[]) { C1 }, 4);
        run(&host, 10);
        fake_exit(fake_last, 9);
        ASSERT_TRUE(take(&host, host.fd, id, 100));
        assert_failed(TTRPC_FAILED_PRECONDITION, "has exited");
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "stopped", "PauseContainer", C1);
        host_stop(&host);
}

TEST(removal_while_paused)
{
        Host host;
        uint32_t id, remove;

        host_start(&host);
        make_container(&host);
        put_file("cgroup.events", "populated 1\nfrozen 1\n");
        CALL_OK(&host, "PauseContainer", C1);
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "paused", "StartContainer", C1);

        /* Resuming hangs; the removal ends it. */
        id = send_raw(&host, "ResumeContainer", (uint8_t[]) { C1 }, 4);
        ASSERT_FALSE(take(&host, host.fd, id, 5));
        remove = send_raw(&host, "RemoveContainer", (uint8_t[]) { C1 }, 4);
        ASSERT_TRUE(take(&host, host.fd, id, 100));
        assert_failed(TTRPC_CANCELLED, "removed");
        ASSERT_TRUE(take(&host, host.fd, remove, 100));
        ASSERT_EQ(n_answer, 0);
        host_stop(&host);
}

/* OOMEvent.container_id = 1, in Response.payload = 2. */
static const uint8_t oom_c1[] = { 0x12, 4, 0x0a, 2, 'c', '1' };
static const uint8_t oom_sb[] = { 0x12, 4, 0x0a, 2, 's', 'b' };

#define ASSERT_ANSWER(expected)                                                                    \
        ({                                                                                         \
                ASSERT_EQ(n_answer, sizeof(expected));                                             \
                ASSERT_EQ(memcmp(answer, expected, sizeof(expected)), 0);                          \
        })

TEST(memory_events)
{
        uint32_t first, second, lost;
        Host host;
        int other;

        host_start(&host);
        make_container(&host);
        other = connect_host(&host);
        lost = send_raw_on(&host, other, "GetOOMEvent", NULL, 0);
        run(&host, 5);
        first = send_raw(&host, "GetOOMEvent", NULL, 0);
        second = send_raw(&host, "GetOOMEvent", NULL, 0);
        ASSERT_FALSE(take(&host, other, lost, 5));
        /* One that went away gets nothing. */
        safe_close(other);
        run(&host, 5);

        /* Changes that are no kills say nothing. */
        put_file("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n");
        ASSERT_FALSE(take(&host, host.fd, first, 10));
        put_file("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\n");
        ASSERT_TRUE(take(&host, host.fd, first, 100));
        ASSERT_ANSWER(oom_c1);
        ASSERT_FALSE(take(&host, host.fd, second, 10));
        put_file("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\n");
        ASSERT_TRUE(take(&host, host.fd, second, 100));
        ASSERT_ANSWER(oom_c1);

        /* Nobody asks: it waits, once. */
        put_file("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 4\n");
        run(&host, 10);
        put_file("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 5\n");
        run(&host, 10);
        CALL(&host, "GetOOMEvent");
        ASSERT_ANSWER(oom_c1);
        first = send_raw(&host, "GetOOMEvent", NULL, 0);
        ASSERT_FALSE(take(&host, host.fd, first, 10));
        host_stop(&host);
}

TEST(memory_event_of_the_end)
{
        Host host;
        uint32_t id;

        /* Killed by it and removed, before the notification has come and before anybody has asked. */
        host_start(&host);
        make_container(&host);
        put_file("memory.events", "oom_kill 1\n");
        fake_exit(fake_last, 137);
        CALL_OK(&host, "RemoveContainer", C1);
        CALL(&host, "GetOOMEvent");
        ASSERT_ANSWER(oom_c1);

        /* The only container of a sandbox may have its name: "sb". */
        CALL_OK(&host, "CreateContainer", 0x0a, 2, 's', 'b', 0x32, 7, 0x12, 5, 0x22, 3, 'r', 'u', 'n');
        CALL_OK(&host, "StartContainer", 0x0a, 2, 's', 'b');
        put_file("memory.events", "oom_kill 2\n");
        id = send_raw(&host, "GetOOMEvent", NULL, 0);
        ASSERT_TRUE(take(&host, host.fd, id, 100));
        ASSERT_ANSWER(oom_sb);
        host_stop(&host);
}

TEST(memory_events_are_bounded)
{
        OomEvents *events;
        char name[16];

        ASSERT_OK(oom_events_new(&events));
        for (unsigned i = 0; i < OOM_EVENTS_MAX + 3; i++) {
                snprintf(name, sizeof(name), "c%u", i);
                oom_events_add(events, name);
                oom_events_add(events, name);
        }
        oom_events_free(events);
}

TEST(update)
{
        Host host;

        host_start(&host);
        make_container(&host);

        /* resources = 2 { Memory = 2 { Limit = 1: 4096 } } */
        CALL_OK(&host, "UpdateContainer", C1, 0x12, 5, 0x12, 3, 0x08, 0x80, 0x20);
        assert_file("memory.max", "4096");
        /* Nothing in it, and no resources at all. */
        CALL_OK(&host, "UpdateContainer", C1, 0x12, 0);
        CALL_OK(&host, "UpdateContainer", C1);
        ASSERT_EQ(fake_device_updates, 0);

        /* Devices = 1 { Allow = 1, Type = 2, Access = 5 }, and a limit that fails in the worker. */
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "thirteen", "UpdateContainer", C1, 0x12, 14, 0x0a, 8,
                   0x08, 1, 0x12, 1, 'a', 0x2a, 1, 'r', 0x12, 2, 0x08, 13);
        ASSERT_EQ(fake_device_updates, 1);
        ASSERT_EQ(fake_device_undos, 1);

        /* Network = 7: refused by the plan. */
        CALL_FAILS(&host, TTRPC_UNIMPLEMENTED, "network class", "UpdateContainer", C1, 0x12, 4, 0x3a, 2,
                   0x08, 1);

        fake_exit(fake_last, 0);
        CALL_FAILS(&host, TTRPC_FAILED_PRECONDITION, "stopped", "UpdateContainer", C1, 0x12, 0);
        host_stop(&host);
}

TEST(stats)
{
        /*
         * cgroup_stats = 1 { cpu_stats = 1 { cpu_usage = 1 { 1: 3000, 3: 1000, 4: 2000 }, throttling_data = 2 {} },
         * memory_stats = 2 { cache = 1: 7, usage = 2 { 1: 100, 3: 5, 4: 200 }, swap_usage = 3 {},
         *   kernel_usage = 4 {}, use_hierarchy = 5: true, stats = 6 { "file": 7 },
         *   6 { "events_max": 5 } },
         * pids_stats = 3 { 1: 2 }, blkio_stats = 4 {} }
         */
        static const uint8_t expected[] = {
                0x12, 68, 0x0a, 66,
                0x0a, 13, 0x0a, 9, 0x08, 0xb8, 0x17, 0x18, 0xe8, 0x07, 0x20, 0xd0, 0x0f, 0x12, 0,
                0x12, 43,
                0x08, 7,
                0x12, 7, 0x08, 100, 0x18, 5, 0x20, 0xc8, 0x01,
                0x1a, 0, 0x22, 0, 0x28, 1,
                0x32, 8, 0x0a, 4, 'f', 'i', 'l', 'e', 0x10, 7,
                0x32, 14, 0x0a, 10, 'e', 'v', 'e', 'n', 't', 's', '_', 'm', 'a', 'x', 0x10, 5,
                0x1a, 2, 0x08, 2,
                0x22, 0,
        };
        Host host;

        host_start(&host);
        make_container(&host);
        put_file("cpu.stat", "usage_usec 3\nuser_usec 2\nsystem_usec 1\n");
        put_file("memory.stat", "file 7\n");
        put_file("memory.events", "max 5\n");
        put_file("memory.current", "100\n");
        put_file("memory.max", "200\n");
        put_file("pids.current", "2\n");
        put_file("pids.max", "max\n");
        CALL(&host, "StatsContainer", C1);
        ASSERT_ANSWER(expected);
        CALL_FAILS(&host, TTRPC_INVALID_ARGUMENT, "invalid", "StatsContainer", 0x0a, 2, '.', '.');
        host_stop(&host);
}

TEST(memory_agent_and_metrics)
{
        Host host;

        host_start(&host);
        /* disabled = 1: true; the words are what upstream's host looks for. */
        CALL_FAILS(&host, TTRPC_INTERNAL, "mem-agent is disabled", "MemAgentMemcgSet", 0x08, 1);
        CALL_FAILS(&host, TTRPC_INTERNAL, "mem-agent is disabled", "MemAgentCompactSet", 0x08, 1);

        /* Metrics.metrics = 1, several kilobytes. */
        CALL(&host, "GetMetrics");
        ASSERT_EQ(answer[0], 0x12);
        ASSERT_TRUE(n_answer > 1000 && n_answer < sizeof(answer));
        answer[n_answer] = '\0';
        ASSERT_CONTAINS((const char *) answer + 4, "\nkata_agent_scrape_count 1\n");
        CALL(&host, "GetMetrics");
        answer[n_answer] = '\0';
        ASSERT_CONTAINS((const char *) answer + 4, "\nkata_agent_scrape_count 2\n");

        /* No processors are expected and memory is left alone: nothing to do. */
        CALL_OK(&host, "OnlineCPUMem", 0x18, 1);
        CALL_FAILS(&host, TTRPC_INVALID_ARGUMENT, "more than", "OnlineCPUMem", 0x10, 0xff, 0xff, 0x7f);
        host_stop(&host);
}

DEFINE_TEST_MAIN
