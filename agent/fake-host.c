/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the agent in tests of methods: see fake-host.h. */

#include "agent/fake-host.h"

#include <sys/socket.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "basic/fd.h"

Loop *loop;
int host_fd;
uint32_t next_id;
uint8_t reply[65536];
size_t reply_size;
char reply_text[1024];

static Server *server;
static Sandbox *sandbox;
static StreamTable *streams;

static void on_destroyed(void *userdata)
{
}

void start(void)
{
        const Method *methods;
        int pair[2];
        size_t n;

        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(stream_table_new(&streams, loop));
        ASSERT_OK(sandbox_new(&sandbox, loop, streams, on_destroyed, NULL));
        methods = agent_methods(&n);
        ASSERT_OK(server_new(&server, loop, methods, n, sandbox));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(server_add_connection(server, &pair[1]));
        host_fd = pair[0];
        next_id = 1;
}

void stop(void)
{
        safe_close(host_fd);
        server = server_free(server);
        sandbox = sandbox_free(sandbox);
        streams = stream_table_free(streams);
        fake_forget();
        loop = loop_free(loop);
}

size_t put_field(uint8_t *p, unsigned field, const void *data, size_t n)
{
        size_t k = 0;

        ASSERT_TRUE(n < 1 << 14);
        p[k++] = (uint8_t) (field << 3 | 2);
        if (n > 127)
                p[k++] = (uint8_t) (n | 0x80);
        p[k++] = (uint8_t) (n > 127 ? n >> 7 : n);
        if (n > 0)
                memcpy(p + k, data, n);
        return k + n;
}

uint32_t send_call(const char *method, const uint8_t *payload, size_t n)
{
        static uint8_t frame[16500];
        size_t size = 10;
        uint32_t id = next_id;

        next_id += 2;
        ASSERT_TRUE(n < sizeof(frame) - 100);
        frame[8] = 1;
        size += put_field(frame + size, 1, "grpc.AgentService", 17);
        size += put_field(frame + size, 2, method, strlen(method));
        size += put_field(frame + size, 3, payload, n);
        frame[2] = (uint8_t) ((size - 10) >> 8);
        frame[3] = (uint8_t) (size - 10);
        frame[7] = (uint8_t) id;
        ASSERT_EQ(send(host_fd, frame, size, MSG_NOSIGNAL), size);
        return id;
}

static uint64_t take_varint(const uint8_t **p)
{
        uint64_t v = 0;

        for (unsigned shift = 0;; shift += 7) {
                uint8_t b = *(*p)++;

                v |= (uint64_t) (b & 0x7f) << shift;
                if (!(b & 0x80))
                        return v;
        }
}

/* Status { code 1, message 2 } */
static int take_status(const uint8_t *p, size_t n)
{
        const uint8_t *end = p + n;
        int code = 0;

        while (p < end) {
                uint64_t tag = take_varint(&p), v = take_varint(&p);

                if (tag == 0x08) {
                        code = (int) v;
                        continue;
                }
                ASSERT_EQ(tag, 0x12);
                ASSERT_TRUE(v < sizeof(reply_text));
                memcpy(reply_text, p, v);
                reply_text[v] = '\0';
                p += v;
        }
        return code;
}

/* Response { status 1, payload 2 }: the code; payload and text are left in reply and reply_text. */
int take_answer(uint32_t id)
{
        static uint8_t data[70000];
        const uint8_t *p = data, *end;
        uint8_t header[10];
        ssize_t n = -1;
        int code = 0;
        size_t size;

        for (unsigned i = 0; i < 500 && n < 0; i++) {
                ASSERT_OK(loop_run_once(loop, 20));
                n = recv(host_fd, header, sizeof(header), MSG_DONTWAIT);
        }
        ASSERT_EQ(n, 10);
        ASSERT_EQ(header[7], id);
        ASSERT_EQ(header[8], 2);
        size = (size_t) header[1] << 16 | (size_t) header[2] << 8 | header[3];
        ASSERT_TRUE(size <= sizeof(data));
        for (size_t got = 0; got < size; got += (size_t) n) {
                n = recv(host_fd, data + got, size - got, MSG_DONTWAIT);
                if (n < 0) {
                        ASSERT_OK(loop_run_once(loop, 20));
                        n = 0;
                }
        }

        reply_size = 0;
        reply_text[0] = '\0';
        for (end = p + size; p < end;) {
                uint64_t tag = take_varint(&p), v = take_varint(&p);

                if (tag == 0x0a)
                        code = take_status(p, v);
                else {
                        ASSERT_EQ(tag, 0x12);
                        ASSERT_TRUE(v <= sizeof(reply));
                        memcpy(reply, p, v);
                        reply_size = v;
                }
                p += v;
        }
        return code;
}

int call_empty(const char *method)
{
        return take_answer(send_call(method, NULL, 0));
}

bool reply_contains(const void *data, size_t n)
{
        return memmem(reply, reply_size, data, n);
}
