/* SPDX-License-Identifier: Apache-2.0 */
/* Events of cgroups: see cgroup-events.h. */

#include "agent/cgroup-events.h"

#include <sys/inotify.h>
#include <unistd.h>

#include "basic/fd.h"

struct CgroupWatch {
        CgroupEvents *events;
        CgroupWatch *prev, *next;
        int wd;                 /* -1: the file is gone */
        bool pending;
        CgroupChanged changed;
        void *userdata;
};

struct CgroupEvents {
        Loop *loop;
        int fd;
        LoopSource *source;
        CgroupWatch *watches;
};

int cgroup_events_new(CgroupEvents **ret, Loop *loop)
{
        CgroupEvents *events = new0(CgroupEvents, 1);

        if (!events)
                return -ENOMEM;

        *events = (CgroupEvents) { .loop = loop, .fd = -EBADF };
        *ret = events;
        return 0;
}

CgroupEvents *cgroup_events_free(CgroupEvents *events)
{
        if (!events)
                return NULL;

        assert(!events->watches);
        loop_source_free(events->source);
        safe_close(events->fd);
        free(events);
        return NULL;
}

static CgroupWatch *find(CgroupEvents *events, int wd)
{
        CgroupWatch *w = events->watches;

        while (w && w->wd != wd)
                w = w->next;
        return w;
}

static void mark(CgroupEvents *events, const struct inotify_event *e)
{
        CgroupWatch *w;

        if (e->mask & IN_Q_OVERFLOW) {
                for (w = events->watches; w; w = w->next)
                        w->pending = true;
                return;
        }

        w = find(events, e->wd);
        if (!w)
                return;
        if (e->mask & IN_IGNORED)
                w->wd = -1;
        else
                w->pending = true;
}

static void on_event(LoopSource *source, int fd, uint32_t mask, void *userdata)
{
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        CgroupEvents *events = userdata;
        CgroupWatch *w;
        ssize_t n;

        n = read(fd, buf, sizeof(buf));
        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *e = (const struct inotify_event *) (const void *) (buf + at);

                mark(events, e);
                at += (ssize_t) (sizeof(*e) + e->len);
        }

        /* A handler may free any of them, so start over after each. */
        do {
                for (w = events->watches; w && !w->pending; w = w->next)
                        ;
                if (w) {
                        w->pending = false;
                        w->changed(w->userdata);
                }
        } while (w);
}

static int open_inotify(CgroupEvents *events)
{
        int r;

        if (events->fd >= 0)
                return 0;

        events->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (events->fd < 0)
                return negative_errno();

        r = loop_add_fd(events->loop, &events->source, events->fd, EPOLLIN, on_event, events);
        if (r < 0)
                events->fd = safe_close(events->fd);
        return r;
}

int cgroup_events_watch(CgroupEvents *events, CgroupWatch **ret, const Cgroup *cgroup, const char *file,
                        CgroupChanged changed, void *userdata)
{
        CgroupWatch *w;
        char path[128];
        int r, wd;

        r = open_inotify(events);
        if (r < 0)
                return r;

        /* By descriptor: the name may belong to another cgroup by now. */
        r = snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", cgroup->fd, file);
        if (r < 0 || (size_t) r >= sizeof(path))
                return -ENAMETOOLONG;
        wd = inotify_add_watch(events->fd, path, IN_MODIFY);
        if (wd < 0)
                return negative_errno();
        /* One descriptor gives one watch per file. */
        if (find(events, wd))
                return -EEXIST;

        w = new0(CgroupWatch, 1);
        if (!w) {
                (void) inotify_rm_watch(events->fd, wd);
                return -ENOMEM;
        }

        *w = (CgroupWatch) {
                .events = events, .next = events->watches, .wd = wd, .changed = changed,
                .userdata = userdata,
        };
        if (w->next)
                w->next->prev = w;
        events->watches = w;
        *ret = w;
        return 0;
}

CgroupWatch *cgroup_watch_free(CgroupWatch *watch)
{
        CgroupEvents *events;

        if (!watch)
                return NULL;

        events = watch->events;
        if (watch->wd >= 0)
                (void) inotify_rm_watch(events->fd, watch->wd);
        if (watch->prev)
                watch->prev->next = watch->next;
        else
                events->watches = watch->next;
        if (watch->next)
                watch->next->prev = watch->prev;
        free(watch);
        return NULL;
}
