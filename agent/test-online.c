/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of bringing processors and memory online: lists, and a sysfs made of files. No root. */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/online.h"
#include "basic/fd.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"

static Online *online;

static void handle(void *userdata, Request *request, const void *input)
{
        const Grpc__OnlineCPUMemRequest *q = input;

        online_request(online, request, q->nb_cpus, q->cpu_only);
}

static const Method methods[] = {
        { "grpc.AgentService", "OnlineCPUMem", &grpc__online_cpumem_request__descriptor, handle },
};

static Loop *loop;
static Server *server;
static char dir[] = "/tmp/test-online-XXXXXX";
static uint32_t next_id;

TEST(masks)
{
        static const char *const bad[] = { "x", "1-", "-1", "3-1", "1,", ",1", "1 2", "1--2", "0-3x" };
        CpuMask a, b;

        ASSERT_OK(cpu_mask_parse(&a, "0-2,5,8-9\n"));
        for (unsigned i = 0; i < 12; i++)
                ASSERT_EQ(cpu_mask_has(&a, i), i <= 2 || i == 5 || i == 8 || i == 9);
        ASSERT_OK(cpu_mask_parse(&b, "1,5\n"));
        ASSERT_EQ(cpu_mask_subtract(NULL, &a, &b), 4);
        ASSERT_EQ(cpu_mask_subtract(&a, &a, &b), 4);
        ASSERT_FALSE(cpu_mask_has(&a, 5));
        ASSERT_OK(cpu_mask_parse(&a, "\n"));
        ASSERT_OK(cpu_mask_parse(&a, ""));
        ASSERT_EQ(cpu_mask_subtract(NULL, &b, &a), 2);
        ASSERT_OK(cpu_mask_parse(&a, "0-8191"));
        ASSERT_EQ(cpu_mask_subtract(NULL, &a, &b), CPUS_MAX - 2);
        ASSERT_ERROR(cpu_mask_parse(&a, "8192"), ERANGE);
        ASSERT_ERROR(cpu_mask_parse(&a, "0-99999999999999999999"), ERANGE);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(cpu_mask_parse(&a, bad[i]), EINVAL);
        ASSERT_FALSE(cpu_mask_has(&a, CPUS_MAX));
}

static void put_file(const char *name, const char *text)
{
        char path[160];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        *strrchr(path, '/') = '\0';
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

static bool file_is(const char *name, const char *text)
{
        _cleanup_free_ char *content = NULL;
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &content, NULL));
        return streq(content, text);
}

static int start(void)
{
        int pair[2];

        next_id = 1;
        strcpy(dir + sizeof(dir) - 7, "XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        put_file("cpu/present", "0-3\n");
        put_file("cpu/online", "0\n");
        for (unsigned i = 1; i < 4; i++) {
                char name[32];

                snprintf(name, sizeof(name), "cpu/cpu%u/online", i);
                put_file(name, "0");
        }
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(online_new(&online, loop, dir));
        ASSERT_OK(server_new(&server, loop, methods, ELEMENTSOF(methods), NULL));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(server_add_connection(server, &pair[1]));
        return pair[0];
}

static void stop(int fd)
{
        safe_close(fd);
        server = server_free(server);
        online = online_free(online);
        loop = loop_free(loop);
        ASSERT_OK(rm_rf(dir));
}

static void ask(int fd, uint32_t n_cpus, bool cpu_only)
{
        Grpc__OnlineCPUMemRequest q = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        q.nb_cpus = n_cpus;
        q.cpu_only = cpu_only;
        ASSERT_OK(ttrpc_build_request(next_id, "grpc.AgentService", "OnlineCPUMem", &q.base, 0, &frame, &n));
        next_id += 2;
        ASSERT_EQ(send(fd, frame, n, MSG_NOSIGNAL), n);
}

/* The length of the answer (0 is success), -1 if there is none. */
static int answered(int fd, unsigned rounds, char ret_text[static 300])
{
        uint8_t header[TTRPC_HEADER_SIZE];
        TtrpcHeader h;

        ret_text[0] = '\0';
        for (unsigned i = 0; i < rounds; i++) {
                ASSERT_OK(loop_run_once(loop, 5));
                if (recv(fd, header, sizeof(header), MSG_DONTWAIT) != sizeof(header))
                        continue;
                h = ttrpc_header_decode(header);
                ASSERT_TRUE(h.length < 300);
                if (h.length > 0)
                        ASSERT_EQ(recv(fd, ret_text, h.length, MSG_WAITALL), h.length);
                ret_text[h.length] = '\0';
                return (int) h.length;
        }

        return -1;
}

TEST(processors)
{
        char text[300];
        int fd = start();

        ask(fd, 2, true);
        /* Two of the three, and not before the kernel says that they are. */
        for (unsigned i = 0; i < 400 && !file_is("cpu/cpu2/online", "1"); i++)
                ASSERT_OK(loop_run_once(loop, 5));
        ASSERT_TRUE(file_is("cpu/cpu1/online", "1"));
        ASSERT_TRUE(file_is("cpu/cpu3/online", "0"));
        ASSERT_EQ(answered(fd, 10, text), -1);
        put_file("cpu/online", "0-1\n");
        ASSERT_EQ(answered(fd, 10, text), -1);
        put_file("cpu/online", "0-2\n");
        ASSERT_EQ(answered(fd, 100, text), 0);
        stop(fd);
}

TEST(one_after_the_other)
{
        char text[300];
        int fd = start(), other;
        int pair[2];

        /* The second asks while the first waits, the third goes away. */
        put_file("memory/memory32/state", "offline\n");
        put_file("memory/memory33/state", "online\n");
        put_file("memory/block_size_bytes", "8000000\n");
        ask(fd, 1, true);
        ASSERT_EQ(answered(fd, 5, text), -1);
        ask(fd, 0, false);
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(server_add_connection(server, &pair[1]));
        other = pair[0];
        ask(other, 1, false);
        ASSERT_EQ(answered(fd, 5, text), -1);
        safe_close(other);
        ASSERT_TRUE(file_is("memory/memory32/state", "offline\n"));
        put_file("cpu/online", "0-1\n");
        ASSERT_EQ(answered(fd, 100, text), 0);
        ASSERT_EQ(answered(fd, 100, text), 0);
        ASSERT_TRUE(file_is("memory/memory32/state", "online\n") ||
                    file_is("memory/memory32/state", "onlinee\n"));
        ASSERT_TRUE(file_is("memory/memory33/state", "online\n"));
        stop(fd);
}

TEST(no_list_of_processors)
{
        char text[300], path[160];
        int fd = start();

        snprintf(path, sizeof(path), "%s/cpu/online", dir);
        ASSERT_OK(unlink(path));
        ask(fd, 1, true);
        ASSERT_TRUE(answered(fd, 50, text) > 0);
        /* Without memory that could be plugged in. */
        ask(fd, 0, false);
        ASSERT_EQ(answered(fd, 100, text), 0);
        stop(fd);
}

DEFINE_TEST_MAIN
