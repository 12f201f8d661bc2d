/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the agent's event loop. */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/loop.h"
#include "basic/test.h"

static int fired;

static void on_time(LoopSource *source, void *userdata)
{
        LoopSource **p = userdata;

        fired++;
        *p = loop_source_free(source);
}

TEST(timers)
{
        _cleanup_(loop_freep) Loop *loop = NULL;
        LoopSource *a = NULL, *b = NULL;

        fired = 0;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(loop_add_time(loop, &a, now_usec() + 1000, on_time, &a));
        ASSERT_OK(loop_add_time(loop, &b, now_usec() + 3600 * USEC_PER_SEC, on_time, &b));
        while (fired == 0)
                ASSERT_OK(loop_run_once(loop, 1000));
        ASSERT_NULL(a);
        ASSERT_NOT_NULL(b);
        ASSERT_EQ(fired, 1);
}

static LoopSource *other;

static void on_fd(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        /* Frees the other source, whose event is in the same round. */
        fired++;
        if (other != source)
                other = loop_source_free(other);
}

TEST(free_in_handler)
{
        _cleanup_(loop_freep) Loop *loop = NULL;
        LoopSource *first = NULL;
        int p[2], q[2];

        fired = 0;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(pipe2(p, O_CLOEXEC));
        ASSERT_OK(pipe2(q, O_CLOEXEC));
        ASSERT_OK(loop_add_fd(loop, &first, p[0], EPOLLIN, on_fd, NULL));
        ASSERT_OK(loop_add_fd(loop, &other, q[0], EPOLLIN, on_fd, NULL));
        ASSERT_EQ(write(p[1], "x", 1), 1);
        ASSERT_EQ(write(q[1], "x", 1), 1);
        ASSERT_OK(loop_run_once(loop, 1000));
        ASSERT_TRUE(fired == 1 || fired == 2);
        for (int i = 0; i < 2; i++) {
                safe_close(p[i]);
                safe_close(q[i]);
        }
}

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        ASSERT_EQ(code, CLD_EXITED);
        ASSERT_EQ(status, 7);
        loop_exit(userdata, 3);
}

TEST(children)
{
        _cleanup_(loop_freep) Loop *loop = NULL;
        LoopSource *source;
        PidRef ref = PIDREF_NULL;
        pid_t pid;

        ASSERT_OK(loop_new(&loop));
        pid = fork();
        if (pid == 0)
                _exit(7);
        ASSERT_OK(pidref_set(&ref, pid));
        ASSERT_OK(loop_add_child(loop, &source, &ref, on_child, loop));
        ASSERT_FALSE(pidref_is_set(&ref));
        ASSERT_EQ(loop_run(loop), 3);
}

DEFINE_TEST_MAIN
