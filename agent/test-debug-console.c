/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of debug sessions with the shell of the build machine; without cgroups, which need root. */

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/debug-console.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define PATIENCE (20 * USEC_PER_SEC)

typedef struct World {
        Loop *loop;
        DebugConsole *console;
        char text[KIB(64)];
        size_t n;
} World;

static void world_init(World *w, const char *shell)
{
        const DebugConsoleParams params = { .shell = shell };

        *w = (World) {};
        ASSERT_OK(loop_new(&w->loop));
        ASSERT_OK(debug_console_new(&w->console, w->loop, &params));
}

static void world_done(World *w)
{
        debug_console_free(w->console);
        loop_free(w->loop);
}

/* The host's end; negative if the console refuses it. */
static int connect_console(World *w)
{
        int pair[2], r;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        r = debug_console_accept(w->console, &pair[1]);
        if (r >= 0)
                return pair[0];
        safe_close(pair[0]);
        safe_close(pair[1]);
        return r;
}

static void say(int fd, const char *text)
{
        ASSERT_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until part has come; NULL: until the end. */
static void read_until(World *w, int fd, const char *part)
{
        usec_t end = now_usec() + PATIENCE;

        w->n = 0;
        w->text[0] = '\0';
        while (!part || !strstr(w->text, part)) {
                ssize_t k;

                if (now_usec() > end)
                        TEST_FAIL("no '%s' in '%s'", part ? part : "end", w->text);
                ASSERT_OK(loop_run_once(w->loop, 5));
                k = recv(fd, w->text + w->n, sizeof(w->text) - 1 - w->n, MSG_DONTWAIT);
                if (k == 0) {
                        if (part)
                                TEST_FAIL("end instead of '%s' after '%s'", part, w->text);
                        return;
                }
                if (k > 0)
                        w->n += (size_t) k;
                w->text[w->n] = '\0';
        }
}

static void wait_for_sessions(World *w, unsigned n)
{
        usec_t end = now_usec() + PATIENCE;

        while (debug_console_sessions(w->console) != n) {
                ASSERT_TRUE(now_usec() < end);
                ASSERT_OK(loop_run_once(w->loop, 5));
        }
}

TEST(commands_until_exit)
{
        World w;
        int fd;

        world_init(&w, "/bin/sh");
        fd = connect_console(&w);
        ASSERT_TRUE(fd >= 0);
        say(fd, "echo a$((1 + 1))b; tty; exit\n");
        read_until(&w, fd, NULL);
        ASSERT_CONTAINS(w.text, "a2b\r\n");
        ASSERT_CONTAINS(w.text, "\n/dev/pts/");
        wait_for_sessions(&w, 0);
        safe_close(fd);
        world_done(&w);
}

TEST(end_of_input)
{
        World w;
        int fd;

        world_init(&w, "/bin/sh");
        fd = connect_console(&w);
        /* The first end of file is cat's. */
        say(fd, "cat\nlast words\n");
        ASSERT_OK(shutdown(fd, SHUT_WR));
        read_until(&w, fd, NULL);
        ASSERT_CONTAINS(w.text, "last words\r\n");
        wait_for_sessions(&w, 0);
        safe_close(fd);
        world_done(&w);
}

TEST(hang_up_kills)
{
        World w;
        const char *p;
        int fd, pid;

        world_init(&w, "/bin/sh");
        fd = connect_console(&w);
        say(fd, "trap '' HUP; echo pid'='$$ e'nd'; exec sleep 1000\n");
        read_until(&w, fd, " end");
        p = ASSERT_NOT_NULL(strstr(w.text, "pid="));
        pid = atoi(p + 4);
        ASSERT_TRUE(pid > 1);
        ASSERT_OK(kill(pid, 0));
        safe_close(fd);
        wait_for_sessions(&w, 0);
        ASSERT_TRUE(kill(pid, 0) < 0 && errno == ESRCH);
        world_done(&w);
}

TEST(more_than_the_rings_hold)
{
        size_t total = 0;
        usec_t end = now_usec() + PATIENCE;
        bool over = false;
        World w;
        int fd;

        world_init(&w, "/bin/sh");
        fd = connect_console(&w);
        say(fd, "dd if=/dev/zero bs=1000 count=300 2>/dev/null; exit\n");
        while (!over) {
                ssize_t k;

                ASSERT_TRUE(now_usec() < end);
                ASSERT_OK(loop_run_once(w.loop, 1));
                k = recv(fd, w.text, KIB(4), MSG_DONTWAIT);
                over = k == 0;
                for (ssize_t i = 0; i < k; i++)
                        total += w.text[i] == '\0';
        }
        ASSERT_EQ(total, 300000);
        wait_for_sessions(&w, 0);
        safe_close(fd);
        world_done(&w);
}

TEST(bounded_and_parallel)
{
        int fds[DEBUG_SESSIONS_MAX];
        World w;

        world_init(&w, "/bin/sh");
        for (unsigned i = 0; i < DEBUG_SESSIONS_MAX; i++) {
                fds[i] = connect_console(&w);
                ASSERT_TRUE(fds[i] >= 0);
        }
        ASSERT_EQ(connect_console(&w), -EMFILE);
        say(fds[1], "echo o'n'e\n");
        say(fds[0], "echo z'e'ro\n");
        read_until(&w, fds[0], "zero");
        read_until(&w, fds[1], "one");
        for (unsigned i = 0; i < DEBUG_SESSIONS_MAX; i++)
                safe_close(fds[i]);
        wait_for_sessions(&w, 0);
        fds[0] = connect_console(&w);
        ASSERT_TRUE(fds[0] >= 0);
        safe_close(fds[0]);
        /* Freed with a session that runs. */
        world_done(&w);
}

TEST(shell_that_is_not_there)
{
        World w;
        int fd;

        world_init(&w, "/nonexistent/sh");
        fd = connect_console(&w);
        ASSERT_TRUE(fd >= 0);
        read_until(&w, fd, NULL);
        ASSERT_CONTAINS(w.text, "/nonexistent/sh: No such file");
        wait_for_sessions(&w, 0);
        safe_close(fd);
        world_done(&w);
}

DEFINE_TEST_MAIN
