/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the ttrpc server with bytes as they stand on the wire. */

#include <sys/socket.h>
#include <unistd.h>

#include "agent/server.h"
#include "basic/fd.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

static Loop *loop;
static Server *server;
static Request *parked[600];
static unsigned n_parked, n_cancelled;

static void handle_check(void *userdata, Request *request, const void *input)
{
        Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

        response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        request_reply(request, &response.base);
}

static void on_cancel(Request *request, void *userdata)
{
        n_cancelled++;
}

static void handle_park(void *userdata, Request *request, const void *input)
{
        parked[n_parked++] = request;
        request_on_cancel(request, on_cancel, NULL);
}

static void handle_fail(void *userdata, Request *request, const void *input)
{
        const Grpc__CheckRequest *q = input;

        request_fail(request, TTRPC_NOT_FOUND, "no '%s'", q->service);
}

static const Method methods[] = {
        { "grpc.Health", "Check", &grpc__check_request__descriptor, handle_check },
        { "grpc.Health", "Park", &grpc__check_request__descriptor, handle_park },
        { "grpc.Health", "Fail", &grpc__check_request__descriptor, handle_fail },
};

static int start(void)
{
        int pair[2];

        n_parked = n_cancelled = 0;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(server_new(&server, loop, methods, ELEMENTSOF(methods), NULL));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(server_add_connection(server, &pair[1]));
        return pair[0];
}

static void stop(int fd)
{
        safe_close(fd);
        server = server_free(server);
        loop = loop_free(loop);
}

static void run(unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(loop_run_once(loop, 0));
}

static void call(int fd, uint32_t id, const char *service, const char *method, const char *text,
                 int64_t timeout)
{
        Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        q.service = (char *) (uintptr_t) text;
        ASSERT_OK(ttrpc_build_request(id, service, method, &q.base, timeout, &frame, &n));
        ASSERT_EQ(send(fd, frame, n, MSG_NOSIGNAL), n);
}

/* Reads one answer; its status code, text in ret_text (static). */
static int answer(int fd, uint32_t *ret_id, const char **ret_text)
{
        static char text[512];
        _cleanup_pb_arena_ PbArena arena;
        uint8_t header[TTRPC_HEADER_SIZE], payload[4096];
        Ttrpc__Response *response;
        TtrpcHeader h;

        pb_arena_init(&arena, 0);
        if (recv(fd, header, sizeof(header), MSG_DONTWAIT) != sizeof(header))
                return -1;
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.type, TTRPC_RESPONSE);
        ASSERT_TRUE(h.length <= sizeof(payload));
        if (h.length > 0)
                ASSERT_EQ(recv(fd, payload, h.length, MSG_DONTWAIT), h.length);
        ASSERT_OK(pb_unpack(&ttrpc__response__descriptor, &arena, payload, h.length, &response));
        *ret_id = h.stream_id;
        snprintf(text, sizeof(text), "%s", response->status ? response->status->message : "");
        *ret_text = text;
        return response->status ? response->status->code : 0;
}

TEST(golden)
{
        /* Check, stream 1, empty request: what any ttrpc client sends. */
        static const uint8_t request[] = {
                0, 0, 0, 20, 0, 0, 0, 1, 1, 0,
                0x0a, 11, 'g', 'r', 'p', 'c', '.', 'H', 'e', 'a', 'l', 't', 'h',
                0x12, 5, 'C', 'h', 'e', 'c', 'k',
        };
        static const uint8_t tail[] = { 0x12, 2, 0x08, 1 };
        uint8_t buf[64];
        int fd = start();
        ssize_t n;

        /* Byte by byte: no assumption about boundaries. */
        for (size_t i = 0; i < sizeof(request); i++) {
                ASSERT_EQ(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
                run(1);
        }
        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        ASSERT_TRUE(n >= 14);
        ASSERT_EQ(buf[7], 1);
        ASSERT_EQ(buf[8], TTRPC_RESPONSE);
        ASSERT_TRUE(memcmp(buf + n - sizeof(tail), tail, sizeof(tail)) == 0);
        stop(fd);
}

TEST(errors_name_what_is_missing)
{
        const char *text;
        uint32_t id;
        int fd = start();

        call(fd, 1, "grpc.Health", "Nope", "", 0);
        call(fd, 3, "other.Service", "Check", "", 0);
        call(fd, 5, "grpc.Health", "Fail", "thing", 0);
        run(4);
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_UNIMPLEMENTED);
        ASSERT_EQ(id, 1);
        ASSERT_CONTAINS(text, "'Nope'");
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_UNIMPLEMENTED);
        ASSERT_CONTAINS(text, "'other.Service'");
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_NOT_FOUND);
        ASSERT_STREQ(text, "no 'thing'");
        stop(fd);
}

TEST(later_answers_in_any_order)
{
        const char *text;
        uint32_t id;
        int fd = start();

        call(fd, 1, "grpc.Health", "Park", "", 0);
        call(fd, 3, "grpc.Health", "Park", "", 0);
        call(fd, 5, "grpc.Health", "Check", "", 0);
        run(4);
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_OK);
        ASSERT_EQ(id, 5);
        request_reply(parked[1], NULL);
        request_fail_errno(parked[0], -ENOENT, NULL);
        ASSERT_TRUE(server_is_flushed(server));
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_OK);
        ASSERT_EQ(id, 3);
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_NOT_FOUND);
        ASSERT_EQ(id, 1);
        ASSERT_EQ(n_cancelled, 0);
        stop(fd);
}

TEST(deadline_and_hangup_cancel)
{
        const char *text;
        uint32_t id;
        int fd = start();

        call(fd, 1, "grpc.Health", "Park", "", 1000000);
        call(fd, 3, "grpc.Health", "Park", "", 0);
        for (unsigned i = 0; i < 20 && n_cancelled == 0; i++)
                ASSERT_OK(loop_run_once(loop, 10));
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_DEADLINE_EXCEEDED);
        ASSERT_EQ(id, 1);
        ASSERT_EQ(n_cancelled, 1);
        safe_close(fd);
        run(3);
        ASSERT_EQ(n_cancelled, 2);
        stop(-EBADF);
}

TEST(pending_is_bounded)
{
        const char *text;
        uint32_t id;
        int fd = start();

        for (unsigned i = 0; i <= TTRPC_PENDING_MAX; i++) {
                call(fd, 2 * i + 1, "grpc.Health", "Park", "", 0);
                run(1);
        }
        ASSERT_EQ(n_parked, TTRPC_PENDING_MAX);
        ASSERT_EQ(answer(fd, &id, &text), TTRPC_RESOURCE_EXHAUSTED);
        stop(fd);
        ASSERT_EQ(n_cancelled, TTRPC_PENDING_MAX);
}

TEST(reader_that_never_reads)
{
        int fd = start();

        /* Answers pile up to a bound, then the server stops reading this connection. */
        for (uint32_t i = 0; i < 200000; i++) {
                Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
                _cleanup_free_ uint8_t *frame = NULL;
                size_t n;

                ASSERT_OK(ttrpc_build_request(2 * i + 1, "grpc.Health", "Check", &q.base, 0, &frame, &n));
                if (send(fd, frame, n, MSG_NOSIGNAL) < 0) {
                        ASSERT_EQ(errno, EAGAIN);
                        run(50);
                        if (send(fd, frame, n, MSG_NOSIGNAL) < 0)
                                break;
                }
                ASSERT_TRUE(i < 199999);
        }
        ASSERT_FALSE(server_is_flushed(server));
        stop(fd);
}

TEST(garbage_closes_the_connection)
{
        static const uint8_t frames[][TTRPC_HEADER_SIZE] = {
                { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0 },   /* 4 GiB */
                { 0, 0, 0, 0, 0, 0, 0, 2, 1, 0 },               /* even stream */
                { 0, 0, 0, 0, 0, 0, 0, 1, 2, 0 },               /* a response */
                { 0, 0, 0, 0, 0, 0, 0, 1, 1, 0 },               /* no service */
                { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P' },
        };

        for (size_t i = 0; i < ELEMENTSOF(frames); i++) {
                char c;
                int fd = start();

                ASSERT_EQ(send(fd, frames[i], sizeof(frames[i]), MSG_NOSIGNAL), sizeof(frames[i]));
                run(3);
                ASSERT_EQ(recv(fd, &c, 1, MSG_DONTWAIT), 0);
                stop(fd);
        }
}

DEFINE_TEST_MAIN
