/* SPDX-License-Identifier: Apache-2.0 */
/* Orphan reaper of PID 1: see reaper.h. */

#include "agent/reaper.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/log.h"

/* A watched zombie at the head of the kernel's list hides the orphans behind it until its watcher, which
 * the loop calls in its next round, has reaped it. */
#define RETRY_USEC (5 * USEC_PER_MSEC)

struct Reaper {
        Loop *loop;
        int fd;
        LoopSource *source, *retry;
};

static int sigchld_fd = -EBADF;

static void on_sigchld(int sig)
{
        int saved = errno;
        uint64_t one = 1;

        (void) !write(sigchld_fd, &one, sizeof(one));
        errno = saved;
}

static void reap(Reaper *reaper)
{
        for (;;) {
                siginfo_t si = {};

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0) {
                        if (errno == EINTR)
                                continue;
                        return;
                }
                if (si.si_pid == 0)
                        return;

                if (loop_watches_child(reaper->loop, si.si_pid)) {
                        (void) loop_source_set_time(reaper->retry, now_usec() + RETRY_USEC);
                        return;
                }

                (void) waitid(P_PID, (id_t) si.si_pid, &si, WEXITED | WNOHANG);
                log_debug("Reaped orphan %d (%s %d)", (int) si.si_pid,
                          si.si_code == CLD_EXITED ? "status" : "signal", si.si_status);
        }
}

static void on_event(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        uint64_t count;

        (void) !read(fd, &count, sizeof(count));
        reap(userdata);
}

static void on_retry(LoopSource *source, void *userdata)
{
        reap(userdata);
}

int reaper_new(Reaper **ret, Loop *loop)
{
        struct sigaction sa = { .sa_handler = on_sigchld, .sa_flags = SA_RESTART | SA_NOCLDSTOP };
        _cleanup_(reaper_freep) Reaper *reaper = new0(Reaper, 1);
        int r;

        if (!reaper)
                return -ENOMEM;
        *reaper = (Reaper) { .loop = loop, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        if (reaper->fd < 0)
                return negative_errno();

        r = loop_add_fd(loop, &reaper->source, reaper->fd, EPOLLIN, on_event, reaper);
        if (r < 0)
                return r;
        /* Fires at once: children may have died before the handler was there. */
        r = loop_add_time(loop, &reaper->retry, 0, on_retry, reaper);
        if (r < 0)
                return r;

        sigchld_fd = reaper->fd;
        if (sigaction(SIGCHLD, &sa, NULL) < 0)
                return negative_errno();

        *ret = TAKE_PTR(reaper);
        return 0;
}

Reaper *reaper_free(Reaper *reaper)
{
        struct sigaction sa = { .sa_handler = SIG_DFL };

        if (!reaper)
                return NULL;

        if (sigchld_fd == reaper->fd) {
                (void) sigaction(SIGCHLD, &sa, NULL);
                sigchld_fd = -EBADF;
        }
        loop_source_free(reaper->source);
        loop_source_free(reaper->retry);
        safe_close(reaper->fd);
        free(reaper);
        return NULL;
}
