/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of forked workers and of the orphan reaper. */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/reaper.h"
#include "agent/worker.h"
#include "basic/error.h"
#include "basic/test.h"

static Loop *loop;
static int result;
static char text[600];

static void on_done(int error, const char *message, void *userdata)
{
        result = error;
        snprintf(text, sizeof(text), "%s", strempty(message));
        loop_exit(loop, 1);
}

static int work(void *userdata, char **reterr_message)
{
        const char *what = userdata;

        if (streq(what, "fail"))
                return error_setf(reterr_message, ENOTDIR, "no such thing");
        if (streq(what, "long")) {
                char big[2000];

                memset(big, 'x', sizeof(big) - 1);
                big[sizeof(big) - 1] = '\0';
                return error_setf(reterr_message, EIO, "%s", big);
        }
        if (streq(what, "die"))
                raise(SIGKILL);
        if (streq(what, "hang"))
                pause();
        /* Nothing but the standard and the result descriptors is left. */
        return fcntl(4, F_GETFD) < 0 ? 0 : -EBADF;
}

static void try_worker(const char *what, usec_t timeout)
{
        result = 77;
        ASSERT_OK(loop_new(&loop));
        ASSERT_OK(worker_start(NULL, loop, work, (void *) (uintptr_t) what, timeout, on_done, NULL));
        ASSERT_EQ(loop_run(loop), 1);
        /* The killed one is reaped. */
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(loop_run_once(loop, 10));
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        loop_free(loop);
}

TEST(workers)
{
        try_worker("ok", USEC_PER_SEC);
        ASSERT_EQ(result, 0);
        ASSERT_STREQ(text, "");
        try_worker("fail", USEC_INFINITY);
        ASSERT_EQ(result, -ENOTDIR);
        ASSERT_STREQ(text, "no such thing");
        try_worker("long", USEC_PER_SEC);
        ASSERT_EQ(result, -EIO);
        ASSERT_EQ(strlen(text), 500);
        try_worker("die", USEC_PER_SEC);
        ASSERT_EQ(result, -EIO);
        ASSERT_CONTAINS(text, "signal 9");
        try_worker("hang", 20 * USEC_PER_MSEC);
        ASSERT_EQ(result, -ETIMEDOUT);
}

static int watched_status = -1;

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        watched_status = status;
}

TEST(reaper_leaves_watched_children)
{
        _cleanup_(loop_freep) Loop *l = NULL;
        Reaper *reaper;
        LoopSource *source;
        PidRef ref = PIDREF_NULL;
        pid_t pid;

        ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
        ASSERT_OK(loop_new(&l));
        ASSERT_OK(reaper_new(&reaper, l));

        pid = fork();
        if (pid == 0)
                _exit(5);
        ASSERT_OK(pidref_set(&ref, pid));
        ASSERT_OK(loop_add_child(l, &source, &ref, on_child, NULL));
        ASSERT_TRUE(loop_watches_child(l, pid));
        for (unsigned i = 0; i < 10; i++) {
                /* Each leaves an orphan behind. */
                pid = fork();
                if (pid == 0) {
                        if (fork() == 0)
                                _exit(0);
                        _exit(0);
                }
        }

        for (unsigned i = 0; i < 300; i++) {
                ASSERT_OK(loop_run_once(l, 10));
                if (watched_status == 5 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
                        break;
        }
        ASSERT_EQ(watched_status, 5);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        reaper_free(reaper);
}

DEFINE_TEST_MAIN
