/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of joined sockets: every way to end, nothing lost, nothing unbounded. */

#include <sys/socket.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "runtime/agent-client/splice.h"

typedef struct World {
        sd_event *event;
        Splice *splice;
        int client, guest;      /* the peers' ends */
        unsigned ends;
} World;

static void on_end(Splice *splice, void *userdata)
{
        World *w = userdata;

        w->ends++;
        w->splice = splice_free(splice);
}

static void world_init(World *w)
{
        int c[2], g[2];

        *w = (World) {};
        ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, c));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, g));
        ASSERT_OK(splice_new(&w->splice, w->event, c[1], g[1], on_end, w));
        w->client = c[0];
        w->guest = g[0];
}

static void world_done(World *w)
{
        splice_free(w->splice);
        safe_close(w->client);
        safe_close(w->guest);
        sd_event_unref(w->event);
}

static void run(World *w)
{
        for (unsigned i = 0; i < 20; i++)
                ASSERT_OK(sd_event_run(w->event, 0));
}

static void say(int fd, const char *text)
{
        ASSERT_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect(World *w, int fd, const char *text)
{
        char buf[256] = {};
        ssize_t n;

        run(w);
        n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
        ASSERT_STREQ(n < 0 ? "(nothing)" : n == 0 ? "(end)" : buf, text);
}

TEST(both_directions)
{
        uint64_t to_guest, to_client;
        World w;

        world_init(&w);
        say(w.client, "question");
        expect(&w, w.guest, "question");
        say(w.guest, "answer!");
        expect(&w, w.client, "answer!");
        splice_totals(w.splice, &to_guest, &to_client);
        ASSERT_EQ(to_guest, 8);
        ASSERT_EQ(to_client, 7);
        ASSERT_EQ(w.ends, 0);
        world_done(&w);
}

TEST(client_ends_its_input)
{
        World w;

        world_init(&w);
        say(w.client, "last line");
        ASSERT_OK(shutdown(w.client, SHUT_WR));
        expect(&w, w.guest, "last line");
        expect(&w, w.guest, "(end)");
        ASSERT_EQ(w.ends, 0);
        say(w.guest, "still talking");
        expect(&w, w.client, "still talking");
        w.guest = safe_close(w.guest);
        expect(&w, w.client, "(end)");
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

TEST(client_goes)
{
        World w;

        world_init(&w);
        w.client = safe_close(w.client);
        expect(&w, w.guest, "(end)");
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

TEST(client_goes_after_its_input)
{
        World w;

        world_init(&w);
        ASSERT_OK(shutdown(w.client, SHUT_WR));
        run(&w);
        ASSERT_EQ(w.ends, 0);
        w.client = safe_close(w.client);
        run(&w);
        ASSERT_EQ(w.ends, 1);
        ASSERT_TRUE(send(w.guest, "x", 1, MSG_NOSIGNAL) < 0);
        world_done(&w);
}

/* What the guest sent before it went is delivered, to a slow reader as well. */
TEST(guest_floods_and_goes)
{
        static char block[KIB(64)];
        size_t sent = 0, received = 0;
        ssize_t k;
        World w;

        world_init(&w);
        while ((k = send(w.guest, block, sizeof(block), MSG_NOSIGNAL)) > 0) {
                sent += (size_t) k;
                run(&w);
        }
        w.guest = safe_close(w.guest);
        run(&w);
        ASSERT_EQ(w.ends, 0);
        for (unsigned i = 0; i < 10000; i++) {
                k = recv(w.client, block, 1000, MSG_DONTWAIT);
                if (k == 0)
                        break;
                if (k > 0)
                        received += (size_t) k;
                ASSERT_OK(sd_event_run(w.event, 0));
        }
        ASSERT_TRUE(sent > 2 * DEBUG_RING_SIZE);
        ASSERT_EQ(received, sent);
        ASSERT_EQ(w.ends, 1);
        world_done(&w);
}

/* A client that does not read costs no turns of the loop, even when the guest has gone. */
TEST(full_ring_is_quiet)
{
        static char block[KIB(64)];
        World w;

        world_init(&w);
        while (send(w.guest, block, sizeof(block), MSG_NOSIGNAL) > 0)
                run(&w);
        w.guest = safe_close(w.guest);
        for (unsigned i = 0; i < 200; i++)
                ASSERT_OK(sd_event_run(w.event, 0));
        ASSERT_EQ(sd_event_run(w.event, 0), 0);
        ASSERT_EQ(w.ends, 0);
        world_done(&w);
}

TEST(guest_does_not_read)
{
        static char block[KIB(64)];
        size_t sent = 0;
        ssize_t k;
        World w;

        world_init(&w);
        while ((k = send(w.client, block, sizeof(block), MSG_NOSIGNAL)) > 0) {
                sent += (size_t) k;
                run(&w);
        }
        ASSERT_TRUE(sent < MIB(4));
        /* The other direction goes on. */
        say(w.guest, "hello");
        expect(&w, w.client, "hello");
        world_done(&w);
}

DEFINE_TEST_MAIN
