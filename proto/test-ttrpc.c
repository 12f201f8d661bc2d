/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc frames: golden bytes, every way of cutting the stream, violations, bounded memory.
 */

#include "proto/ttrpc.h"

#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

/* grpc.Health/Check on stream 1, written down by hand. */
static const char golden_check[] =
        "\x00\x00\x00\x14" "\x00\x00\x00\x01" "\x01" "\x00"
        "\x0a\x0b" "grpc.Health"
        "\x12\x05" "Check";
#define GOLDEN_SIZE (sizeof(golden_check) - 1)

/* SERVING on stream 1: Response { payload = HealthCheckResponse { status = 1 } }. */
static const char golden_serving[] =
        "\x00\x00\x00\x04" "\x00\x00\x00\x01" "\x02" "\x00"
        "\x12\x02" "\x08\x01";

/* Response { status = { code = 5, message = "no such container" } } on stream 3. */
static const char golden_error[] =
        "\x00\x00\x00\x17" "\x00\x00\x00\x03" "\x02" "\x00"
        "\x0a\x15" "\x08\x05" "\x12\x11" "no such container";

static int push(TtrpcReader *reader, const void *bytes, size_t n, TtrpcFrame *ret, char **reterr)
{
        const uint8_t *p = bytes;
        int r;

        r = ttrpc_reader_push(reader, &p, &n, ret, reterr);
        if (r >= 0)
                ASSERT_EQ(n, 0);
        return r;
}

TEST(golden_request)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ uint8_t *ours = NULL;
        Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
        Ttrpc__Request *request;
        TtrpcFrame frame;
        size_t n;

        ttrpc_reader_init(&reader, TTRPC_REQUEST);
        pb_arena_init(&arena, 0);
        ASSERT_EQ(push(&reader, golden_check, GOLDEN_SIZE, &frame, NULL), 1);
        ASSERT_EQ(frame.stream_id, 1);
        ASSERT_OK(ttrpc_parse_request(&frame, &arena, &request, NULL));
        ASSERT_STREQ(request->service, "grpc.Health");
        ASSERT_STREQ(request->method, "Check");
        ASSERT_EQ(request->payload.len, 0);
        ASSERT_EQ(request->timeout_nano, 0);
        ASSERT_TRUE(ttrpc_reader_is_idle(&reader));

        ASSERT_OK(ttrpc_build_request(1, "grpc.Health", "Check", &check.base, 0, &ours, &n));
        ASSERT_EQ(n, GOLDEN_SIZE);
        ASSERT_EQ(memcmp(ours, golden_check, n), 0);
}

TEST(golden_response)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ uint8_t *ours = NULL;
        _cleanup_free_ char *text = NULL;
        Grpc__HealthCheckResponse serving = GRPC__HEALTH_CHECK_RESPONSE__INIT, *health;
        TtrpcFrame frame;
        size_t n;
        int code;

        ttrpc_reader_init(&reader, TTRPC_RESPONSE);
        pb_arena_init(&arena, 0);
        ASSERT_EQ(push(&reader, golden_serving, sizeof(golden_serving) - 1, &frame, NULL), 1);
        ASSERT_OK(ttrpc_parse_response(&frame, &arena, &grpc__health_check_response__descriptor,
                                       &health, &code, &text));
        ASSERT_EQ(health->status, GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);

        serving.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        ASSERT_OK(ttrpc_build_response(1, &serving.base, &ours, &n));
        ASSERT_EQ(n, sizeof(golden_serving) - 1);
        ASSERT_EQ(memcmp(ours, golden_serving, n), 0);
        ours = mfree(ours);

        ASSERT_EQ(push(&reader, golden_error, sizeof(golden_error) - 1, &frame, NULL), 1);
        ASSERT_EQ(frame.stream_id, 3);
        ASSERT_ERROR(ttrpc_parse_response(&frame, &arena, &grpc__health_check_response__descriptor,
                                          &health, &code, &text), EREMOTEIO);
        ASSERT_EQ(code, TTRPC_NOT_FOUND);
        ASSERT_STREQ(text, "not found: no such container");

        ASSERT_OK(ttrpc_build_error(3, TTRPC_NOT_FOUND, "no such container", &ours, &n));
        ASSERT_EQ(n, sizeof(golden_error) - 1);
        ASSERT_EQ(memcmp(ours, golden_error, n), 0);
}

TEST(any_chunking)
{
        enum { FRAMES = 3 };
        _cleanup_free_ uint8_t *stream = NULL;
        size_t total = 0;

        for (unsigned i = 0; i < FRAMES; i++) {
                Grpc__WriteStreamRequest w = GRPC__WRITE_STREAM_REQUEST__INIT;
                _cleanup_free_ uint8_t *one = NULL, *data = NULL;
                size_t n;

                w.container_id = (char *) "web";
                w.data.len = i * 3000;
                w.data.data = data = new0(uint8_t, i * 3000);
                ASSERT_OK(ttrpc_build_request(2 * i + 1, "grpc.AgentService", "WriteStdin", &w.base,
                                              1000, &one, &n));
                stream = ASSERT_NOT_NULL(realloc(stream, total + n));
                memcpy(stream + total, one, n);
                total += n;
        }

        for (size_t step = 1; step < total; step += step < 64 ? 1 : 997) {
                _cleanup_(ttrpc_reader_done) TtrpcReader reader;
                unsigned frames = 0;

                ttrpc_reader_init(&reader, TTRPC_REQUEST);
                for (size_t at = 0; at < total;) {
                        size_t n = MIN(step, total - at);
                        const uint8_t *p = stream + at;
                        TtrpcFrame frame;

                        at += n;
                        while (ASSERT_OK(ttrpc_reader_push(&reader, &p, &n, &frame, NULL)) > 0) {
                                _cleanup_pb_arena_ PbArena arena = {};
                                Grpc__WriteStreamRequest *w;
                                Ttrpc__Request *request;

                                pb_arena_init(&arena, 0);
                                ASSERT_EQ(frame.stream_id, 2 * frames + 1);
                                ASSERT_OK(ttrpc_parse_request(&frame, &arena, &request, NULL));
                                ASSERT_STREQ(request->method, "WriteStdin");
                                ASSERT_EQ(request->timeout_nano, 1000);
                                ASSERT_OK(pb_unpack(&grpc__write_stream_request__descriptor, &arena,
                                                    request->payload.data, request->payload.len,
                                                    &w));
                                ASSERT_EQ(w->data.len, frames * 3000);
                                frames++;
                        }
                        ASSERT_EQ(n, 0);
                }
                ASSERT_EQ(frames, FRAMES);
                ASSERT_TRUE(ttrpc_reader_is_idle(&reader));
        }
}

static void refuse(uint8_t expect, TtrpcHeader h, int error, const char *part)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_free_ char *text = NULL;
        uint8_t header[TTRPC_HEADER_SIZE];
        TtrpcFrame frame;

        ttrpc_header_encode(&h, header);
        ttrpc_reader_init(&reader, expect);
        ASSERT_EQ(push(&reader, header, sizeof(header), &frame, &text), -error);
        ASSERT_CONTAINS(text, part);
        /* It stays refused. */
        ASSERT_EQ(push(&reader, golden_check, 1, &frame, NULL), -error);
}

TEST(violations)
{
        TtrpcHeader ok = { .length = 0, .stream_id = 1, .type = TTRPC_REQUEST }, h;

        h = ok, h.length = TTRPC_PAYLOAD_MAX + 1;
        refuse(TTRPC_REQUEST, h, EMSGSIZE, "4194305 bytes");
        h = ok, h.length = UINT32_MAX;
        refuse(TTRPC_REQUEST, h, EMSGSIZE, "maximum");
        h = ok, h.type = TTRPC_DATA;
        refuse(TTRPC_REQUEST, h, EPROTO, "type 3");
        refuse(TTRPC_RESPONSE, ok, EPROTO, "type 1 where type 2");
        h = ok, h.flags = TTRPC_FLAG_REMOTE_OPEN;
        refuse(TTRPC_REQUEST, h, EPROTO, "streaming");
        h = ok, h.flags = 0x80;
        refuse(TTRPC_REQUEST, h, EPROTO, "0x80");
        h = ok, h.stream_id = 2;
        refuse(TTRPC_REQUEST, h, EPROTO, "even");
        h = ok, h.stream_id = 0;
        refuse(TTRPC_REQUEST, h, EPROTO, "even");
}

TEST(stream_ids_grow)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_free_ char *text = NULL;
        TtrpcFrame frame;

        ttrpc_reader_init(&reader, TTRPC_REQUEST);
        ASSERT_EQ(push(&reader, golden_check, GOLDEN_SIZE, &frame, NULL), 1);
        ASSERT_ERROR(push(&reader, golden_check, GOLDEN_SIZE, &frame, &text), EPROTO);
        ASSERT_CONTAINS(text, "must grow");
}

TEST(memory_follows_the_bytes)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_free_ uint8_t *block = ASSERT_NOT_NULL(calloc(1, KIB(64)));
        uint8_t header[TTRPC_HEADER_SIZE];
        TtrpcFrame frame;
        size_t total = 0;

        ttrpc_header_encode(&(TtrpcHeader) { TTRPC_PAYLOAD_MAX, 1, TTRPC_REQUEST, 0 }, header);
        ttrpc_reader_init(&reader, TTRPC_REQUEST);
        ASSERT_EQ(push(&reader, header, sizeof(header), &frame, NULL), 0);
        ASSERT_TRUE(reader.allocated <= KIB(4));
        while (total < TTRPC_PAYLOAD_MAX - KIB(64)) {
                ASSERT_EQ(push(&reader, block, KIB(64), &frame, NULL), 0);
                total += KIB(64);
                ASSERT_TRUE(reader.allocated <= 2 * total);
                ASSERT_FALSE(ttrpc_reader_is_idle(&reader));
        }
        ASSERT_EQ(push(&reader, block, KIB(64), &frame, NULL), 1);
        ASSERT_EQ(frame.size, TTRPC_PAYLOAD_MAX);
        ASSERT_EQ(push(&reader, header, 1, &frame, NULL), 0);
        ASSERT_EQ(reader.allocated, 0);
}

TEST(names)
{
        char name[TTRPC_NAME_MAX + 2];

        ASSERT_TRUE(ttrpc_service_is_valid("grpc.AgentService"));
        ASSERT_TRUE(ttrpc_service_is_valid("kata.systemd.v1.AgentExtension"));
        ASSERT_FALSE(ttrpc_service_is_valid(""));
        ASSERT_FALSE(ttrpc_service_is_valid("."));
        ASSERT_FALSE(ttrpc_service_is_valid(".grpc"));
        ASSERT_FALSE(ttrpc_service_is_valid("grpc."));
        ASSERT_FALSE(ttrpc_service_is_valid("a..b"));
        ASSERT_FALSE(ttrpc_service_is_valid("a.1b"));
        ASSERT_FALSE(ttrpc_service_is_valid("a/b"));
        ASSERT_TRUE(ttrpc_method_is_valid("GetIPTables"));
        ASSERT_FALSE(ttrpc_method_is_valid("a.b"));
        ASSERT_FALSE(ttrpc_method_is_valid("a b"));
        ASSERT_FALSE(ttrpc_method_is_valid("caf\xc3\xa9"));

        memset(name, 'a', sizeof(name));
        name[TTRPC_NAME_MAX] = '\0';
        ASSERT_TRUE(ttrpc_method_is_valid(name));
        name[TTRPC_NAME_MAX] = 'a';
        name[TTRPC_NAME_MAX + 1] = '\0';
        ASSERT_FALSE(ttrpc_method_is_valid(name));
}

TEST(bad_requests)
{
        static const char no_method[] = "\x0a\x0b" "grpc.Health";
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ char *text = NULL;
        Ttrpc__Request *request;
        TtrpcFrame frame = { .stream_id = 7 };

        pb_arena_init(&arena, 0);
        ASSERT_ERROR(ttrpc_parse_request(&frame, &arena, &request, &text), EBADMSG);
        ASSERT_CONTAINS(text, "stream 7");

        frame.payload = (const uint8_t *) no_method;
        frame.size = sizeof(no_method) - 1;
        ASSERT_ERROR(ttrpc_parse_request(&frame, &arena, &request, &text), EBADMSG);
        frame.size--;
        ASSERT_ERROR(ttrpc_parse_request(&frame, &arena, &request, &text), EBADMSG);
        ASSERT_CONTAINS(text, "no ttrpc request");
}

TEST(builders_refuse)
{
        Grpc__WriteStreamRequest w = GRPC__WRITE_STREAM_REQUEST__INIT;
        _cleanup_free_ uint8_t *frame = NULL, *data = ASSERT_NOT_NULL(calloc(1, TTRPC_PAYLOAD_MAX));
        size_t n;

        w.data.data = data;
        w.data.len = TTRPC_PAYLOAD_MAX;
        ASSERT_ERROR(ttrpc_build_request(1, "a", "b", &w.base, 0, &frame, &n), EMSGSIZE);
        /* The message fits, the envelope does not. */
        w.data.len = TTRPC_PAYLOAD_MAX - 6;
        ASSERT_ERROR(ttrpc_build_response(1, &w.base, &frame, &n), EMSGSIZE);
        ASSERT_ERROR(ttrpc_build_request(2, "a", "b", NULL, 0, &frame, &n), EINVAL);
        ASSERT_ERROR(ttrpc_build_request(1, "a", "", NULL, 0, &frame, &n), EINVAL);
        ASSERT_ERROR(ttrpc_build_request(1, "a", "b", NULL, -1, &frame, &n), EINVAL);
        ASSERT_ERROR(ttrpc_build_error(1, TTRPC_OK, "fine", &frame, &n), EINVAL);
        ASSERT_NULL(frame);
}

TEST(error_text_is_utf8)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader;
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ uint8_t *frame_bytes = NULL;
        _cleanup_free_ char *text = NULL;
        Grpc__HealthCheckResponse *health;
        TtrpcFrame frame;
        size_t n;
        int code;

        ASSERT_OK(ttrpc_build_error(9, TTRPC_INTERNAL, "bad \xff\n", &frame_bytes, &n));
        ttrpc_reader_init(&reader, TTRPC_RESPONSE);
        pb_arena_init(&arena, 0);
        ASSERT_EQ(push(&reader, frame_bytes, n, &frame, NULL), 1);
        ASSERT_ERROR(ttrpc_parse_response(&frame, &arena, &grpc__health_check_response__descriptor,
                                          &health, &code, &text), EREMOTEIO);
        ASSERT_STREQ(text, "internal error: bad \\xff\\x0a");
}

TEST(codes)
{
        ASSERT_EQ(ttrpc_code_from_errno(-ENOENT), TTRPC_NOT_FOUND);
        ASSERT_EQ(ttrpc_code_from_errno(-ESRCH), TTRPC_NOT_FOUND);
        ASSERT_EQ(ttrpc_code_from_errno(-EINVAL), TTRPC_INVALID_ARGUMENT);
        ASSERT_EQ(ttrpc_code_from_errno(-EOPNOTSUPP), TTRPC_UNIMPLEMENTED);
        ASSERT_EQ(ttrpc_code_from_errno(-EIO), TTRPC_INTERNAL);
        ASSERT_EQ(ttrpc_code_from_errno(-ENOTTY), TTRPC_INTERNAL);
        ASSERT_EQ(ttrpc_code_from_errno(0), TTRPC_OK);
        ASSERT_EQ(ttrpc_code_to_errno(TTRPC_NOT_FOUND), -ENOENT);
        ASSERT_EQ(ttrpc_code_to_errno(99), -EIO);
        ASSERT_EQ(ttrpc_code_to_errno(-1), -EIO);
        ASSERT_STREQ(ttrpc_code_to_string(1000), "unknown code");
}

DEFINE_TEST_MAIN
