/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of a process between guest and host: see task-copy.h. On the trust boundary. */

#include "runtime/task/task-copy.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

struct TaskCopy {
        int guest_fd, host_fd, guard_fd;
        sd_event_source *guest_io;
        sd_event_source *host_io;       /* NULL for what is always ready: a regular file */
        char *name;
        uint8_t *buffer;
        size_t n, done;                 /* bytes in it, and how many of them are out again */
        uint64_t total;                 /* of an output: what the host has taken */
        bool in;
        bool eof;                       /* the source has ended */
        bool dropping;
        bool ended;
        TaskCopyEnd on_end;
        void *userdata;
};

static void copy_close(TaskCopy *c)
{
        c->guest_io = sd_event_source_disable_unref(c->guest_io);
        c->host_io = sd_event_source_disable_unref(c->host_io);
        c->guest_fd = safe_close(c->guest_fd);
        c->host_fd = safe_close(c->host_fd);
        c->guard_fd = safe_close(c->guard_fd);
}

TaskCopy *task_copy_free(TaskCopy *c)
{
        if (!c)
                return NULL;

        copy_close(c);
        free(c->buffer);
        free(c->name);
        free(c);
        return NULL;
}

/* The last thing that a caller does. */
static void copy_end(TaskCopy *c)
{
        if (c->ended)
                return;

        c->ended = true;
        copy_close(c);
        c->on_end(c, c->userdata);
}

/* Where the next event has to come from. */
static int copy_watch(TaskCopy *c)
{
        bool pending = c->done < c->n;
        int r;

        if (c->in) {
                uint32_t out = pending || !c->host_io ? (uint32_t) EPOLLOUT : 0U;

                r = sd_event_source_set_io_events(c->guest_io, EPOLLIN | out);
                if (r >= 0 && c->host_io)
                        r = sd_event_source_set_enabled(c->host_io, pending ? SD_EVENT_OFF : SD_EVENT_ON);
                return r;
        }

        /* An end of the guest is told again and again until it is read: only once there is room for it. */
        r = sd_event_source_set_enabled(c->guest_io, pending ? SD_EVENT_OFF : SD_EVENT_ON);
        if (r >= 0 && c->host_io)
                r = sd_event_source_set_enabled(c->host_io, pending ? SD_EVENT_ON : SD_EVENT_OFF);
        return r;
}

/* --- guest → host --- */

static void acknowledge(TaskCopy *c)
{
        char text[32];
        int n = snprintf(text, sizeof(text), "ACK %" PRIu64 "\n", c->total);

        /* Twenty bytes fit, or the peer reads nothing; a later one tells the same and more. */
        (void) send(c->guest_fd, text, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void write_host(TaskCopy *c)
{
        while (c->done < c->n && !c->dropping) {
                ssize_t k = write(c->host_fd, c->buffer + c->done, c->n - c->done);

                if (k >= 0) {
                        c->done += (size_t) k;
                        continue;
                }
                if (errno == EINTR)
                        continue;
                if (errno == EAGAIN && c->host_io)
                        return;
                log_warning_errno(errno, "%s can not be written any more, the rest is dropped", c->name);
                c->dropping = true;
        }

        c->total += c->n;
        if (c->n > 0)
                acknowledge(c);
        c->n = c->done = 0;
}

static void advance_out(TaskCopy *c)
{
        write_host(c);
        if ((c->eof && c->n == 0) || copy_watch(c) < 0)
                copy_end(c);
}

static int on_guest_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        TaskCopy *c = userdata;
        ssize_t k = recv(fd, c->buffer, TASK_BUFFER_SIZE, MSG_DONTWAIT);

        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (k > 0)
                c->n = (size_t) k;
        else
                c->eof = true;
        advance_out(c);
        return 0;
}

static int on_host_writable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        advance_out(userdata);
        return 0;
}

/* --- host → guest --- */

/* Negative: the guest takes no more. */
static int write_guest(TaskCopy *c)
{
        while (c->done < c->n) {
                ssize_t k = send(c->guest_fd, c->buffer + c->done, c->n - c->done, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return errno == EAGAIN ? 0 : negative_errno();
                }
                c->done += (size_t) k;
        }

        c->n = c->done = 0;
        return 0;
}

/* One buffer a turn, so that an endless file does not hold the loop. */
static void advance_in(TaskCopy *c, bool readable)
{
        int r = write_guest(c);

        if (r >= 0 && c->n == 0 && readable && !c->eof) {
                ssize_t k = read(c->host_fd, c->buffer, TASK_BUFFER_SIZE);

                if (k > 0) {
                        c->n = (size_t) k;
                        r = write_guest(c);
                } else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                        c->eof = true;
        }
        if (r >= 0 && c->eof && c->n == 0) {
                (void) shutdown(c->guest_fd, SHUT_WR);
                r = -ENODATA;
        }
        if (r < 0 || copy_watch(c) < 0)
                copy_end(c);
}

static int on_host_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        advance_in(userdata, true);
        return 0;
}

static int on_guest_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        TaskCopy *c = userdata;
        uint8_t byte;

        /* The guest has nothing to say here; what it can do is to end. */
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) &&
            (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR))) {
                copy_end(c);
                return 0;
        }
        advance_in(c, !c->host_io);
        return 0;
}

void task_copy_close_input(TaskCopy *c)
{
        /* The FIFO reports its end by itself, behind what others have written. */
        c->guard_fd = safe_close(c->guard_fd);
}

/* --- objects --- */

static int copy_new(TaskCopy **ret, sd_event *event, int guest_fd, int host_fd, bool in, const char *name,
                    TaskCopyEnd on_end, void *userdata)
{
        _cleanup_(task_copy_freep) TaskCopy *c = new0(TaskCopy, 1);
        int r;

        if (!c)
                return -ENOMEM;

        *c = (TaskCopy) {
                .guest_fd = -EBADF, .host_fd = -EBADF, .guard_fd = -EBADF, .in = in, .name = strdup(name),
                .buffer = malloc(TASK_BUFFER_SIZE), .on_end = on_end, .userdata = userdata,
        };
        if (!c->name || !c->buffer)
                return -ENOMEM;

        r = fd_set_nonblock(guest_fd, true);
        if (r >= 0)
                r = sd_event_add_io(event, &c->guest_io, guest_fd, EPOLLIN, in ? on_guest_input : on_guest_output,
                                    c);
        if (r < 0)
                return r;

        r = sd_event_add_io(event, &c->host_io, host_fd, in ? EPOLLIN : EPOLLOUT,
                            in ? on_host_readable : on_host_writable, c);
        /* epoll does not take regular files. */
        if (r < 0 && r != -EPERM)
                return r;
        r = copy_watch(c);
        if (r < 0)
                return r;

        c->guest_fd = guest_fd;
        c->host_fd = host_fd;
        *ret = TAKE_PTR(c);
        return 0;
}

int task_copy_new_out(TaskCopy **ret, sd_event *event, int guest_fd, int host_fd, const char *name,
                      TaskCopyEnd on_end, void *userdata)
{
        int r = copy_new(ret, event, guest_fd, host_fd, false, name, on_end, userdata);

        /* Says that we do acknowledge. */
        if (r >= 0)
                acknowledge(*ret);
        return r;
}

int task_copy_new_in(TaskCopy **ret, sd_event *event, int guest_fd, int host_fd, int guard_fd, const char *name,
                     TaskCopyEnd on_end, void *userdata)
{
        int r = copy_new(ret, event, guest_fd, host_fd, true, name, on_end, userdata);

        if (r >= 0)
                (*ret)->guard_fd = guard_fd;
        return r;
}
