/* SPDX-License-Identifier: Apache-2.0 */
/* Event loop of the agent: see loop.h. Guest side; handles no foreign data itself. */

#include "agent/loop.h"

#include <sys/wait.h>
#include <unistd.h>

typedef enum SourceKind {
        SOURCE_FD,
        SOURCE_TIME,
        SOURCE_CHILD,
} SourceKind;

struct LoopSource {
        Loop *loop;
        LoopSource *prev, *next;
        SourceKind kind;
        bool armed;             /* timers and children fire once */
        bool dead;              /* freed while events were being handled */
        int fd;
        uint32_t events;
        usec_t when;
        PidRef pidref;
        union {
                LoopFdHandler on_fd;
                LoopTimeHandler on_time;
                LoopChildHandler on_child;
        };
        void *userdata;
};

struct Loop {
        int epoll_fd;
        LoopSource *sources;
        LoopSource *dead;
        bool dispatching, exiting;
        int exit_code;
};

int loop_new(Loop **ret)
{
        Loop *loop = new0(Loop, 1);

        if (!loop)
                return -ENOMEM;

        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0) {
                int r = negative_errno();

                free(loop);
                return r;
        }

        *ret = loop;
        return 0;
}

static void source_destroy(LoopSource *source)
{
        pidref_done(&source->pidref);
        free(source);
}

static void loop_bury(Loop *loop)
{
        while (loop->dead) {
                LoopSource *source = loop->dead;

                loop->dead = source->next;
                source_destroy(source);
        }
}

Loop *loop_free(Loop *loop)
{
        if (!loop)
                return NULL;

        while (loop->sources)
                loop_source_free(loop->sources);
        loop_bury(loop);
        safe_close(loop->epoll_fd);
        free(loop);
        return NULL;
}

static LoopSource *source_new(Loop *loop, SourceKind kind, void *userdata)
{
        LoopSource *source = new0(LoopSource, 1);

        if (!source)
                return NULL;

        *source = (LoopSource) {
                .loop = loop,
                .kind = kind,
                .armed = true,
                .fd = -EBADF,
                .pidref = PIDREF_NULL,
                .userdata = userdata,
                .next = loop->sources,
        };
        if (loop->sources)
                loop->sources->prev = source;
        loop->sources = source;
        return source;
}

static int source_watch(LoopSource *source, int fd, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.ptr = source };

        if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
                return negative_errno();

        source->fd = fd;
        source->events = events;
        return 0;
}

int loop_add_fd(Loop *loop, LoopSource **ret, int fd, uint32_t events, LoopFdHandler handler,
                void *userdata)
{
        LoopSource *source = source_new(loop, SOURCE_FD, userdata);
        int r;

        if (!source)
                return -ENOMEM;

        source->on_fd = handler;
        r = source_watch(source, fd, events);
        if (r < 0) {
                loop_source_free(source);
                return r;
        }

        *ret = source;
        return 0;
}

int loop_source_set_events(LoopSource *source, uint32_t events)
{
        struct epoll_event ev = { .events = events, .data.ptr = source };

        if (source->events == events)
                return 0;
        if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev) < 0)
                return negative_errno();

        source->events = events;
        return 0;
}

int loop_add_time(Loop *loop, LoopSource **ret, usec_t when, LoopTimeHandler handler, void *userdata)
{
        LoopSource *source = source_new(loop, SOURCE_TIME, userdata);

        if (!source)
                return -ENOMEM;

        source->on_time = handler;
        source->when = when;
        *ret = source;
        return 0;
}

int loop_source_set_time(LoopSource *source, usec_t when)
{
        source->when = when;
        source->armed = true;
        return 0;
}

int loop_add_child(Loop *loop, LoopSource **ret, PidRef *pidref, LoopChildHandler handler,
                   void *userdata)
{
        LoopSource *source = source_new(loop, SOURCE_CHILD, userdata);
        int r;

        if (!source)
                return -ENOMEM;

        source->on_child = handler;
        r = source_watch(source, pidref->fd, EPOLLIN);
        if (r < 0) {
                loop_source_free(source);
                return r;
        }

        source->pidref = *pidref;
        *pidref = PIDREF_NULL;
        *ret = source;
        return 0;
}

bool loop_watches_child(const Loop *loop, pid_t pid)
{
        for (const LoopSource *s = loop->sources; s; s = s->next)
                if (s->kind == SOURCE_CHILD && s->armed && s->pidref.pid == pid)
                        return true;

        return false;
}

LoopSource *loop_source_free(LoopSource *source)
{
        Loop *loop;

        if (!source || source->dead)
                return NULL;

        loop = source->loop;
        if (source->fd >= 0)
                (void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);

        if (source->prev)
                source->prev->next = source->next;
        else
                loop->sources = source->next;
        if (source->next)
                source->next->prev = source->prev;

        /* Events of this round may still point here: keep the memory until the round is over. */
        if (loop->dispatching) {
                source->dead = true;
                source->prev = NULL;
                source->next = loop->dead;
                loop->dead = source;
        } else
                source_destroy(source);

        return NULL;
}

static int loop_timeout(const Loop *loop, int timeout_ms)
{
        usec_t next = USEC_INFINITY, now;

        for (const LoopSource *s = loop->sources; s; s = s->next)
                if (s->kind == SOURCE_TIME && s->armed)
                        next = MIN(next, s->when);
        if (next == USEC_INFINITY)
                return timeout_ms;

        now = now_usec();
        if (next <= now)
                return 0;

        uint64_t ms = (next - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        if (timeout_ms >= 0)
                ms = MIN(ms, (uint64_t) timeout_ms);
        return (int) MIN(ms, (uint64_t) 3600 * 1000);
}

static void dispatch_child(LoopSource *source)
{
        int code, status, r;

        r = pidref_reap(&source->pidref, &code, &status);
        if (r == -EAGAIN)
                return;

        source->armed = false;
        (void) epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
        source->fd = -EBADF;
        if (r < 0) {
                /* Somebody else reaped it: the exit is certain, the status is not known. */
                code = CLD_EXITED;
                status = 255;
        }
        source->on_child(source, source->pidref.pid, code, status, source->userdata);
}

static void dispatch_timers(Loop *loop)
{
        usec_t now = now_usec();
        bool again;

        /* A handler may free any source, so start over after each one that fired. */
        do {
                again = false;
                for (LoopSource *s = loop->sources; s; s = s->next)
                        if (s->kind == SOURCE_TIME && s->armed && s->when <= now) {
                                s->armed = false;
                                s->on_time(s, s->userdata);
                                again = true;
                                break;
                        }
        } while (again && !loop->exiting);
}

int loop_run_once(Loop *loop, int timeout_ms)
{
        struct epoll_event events[32];
        int n;

        n = epoll_wait(loop->epoll_fd, events, ELEMENTSOF(events), loop_timeout(loop, timeout_ms));
        if (n < 0 && errno != EINTR)
                return negative_errno();

        loop->dispatching = true;
        for (int i = 0; i < n; i++) {
                LoopSource *source = events[i].data.ptr;

                if (source->dead || !source->armed)
                        continue;
                if (source->kind == SOURCE_FD)
                        source->on_fd(source, source->fd, events[i].events, source->userdata);
                else
                        dispatch_child(source);
        }
        dispatch_timers(loop);
        loop->dispatching = false;
        loop_bury(loop);
        return 0;
}

int loop_run(Loop *loop)
{
        while (!loop->exiting) {
                int r = loop_run_once(loop, -1);

                if (r < 0)
                        return r;
        }

        return loop->exit_code;
}

void loop_exit(Loop *loop, int code)
{
        loop->exiting = true;
        loop->exit_code = code;
}
