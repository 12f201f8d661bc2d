/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking client of journald's native socket: see journal-sender.h. */

#include "runtime/log/journal-sender.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

/* journald itself uses this much; the kernel caps it at net.core.wmem_max for others. */
#define SEND_BUFFER_SIZE MIB(8)
#define RECONNECT_INTERVAL (200 * USEC_PER_MSEC)

typedef struct Queued {
        struct Queued *next;
        size_t n;
        uint8_t data[];
} Queued;

struct JournalSender {
        sd_event *event;
        struct sockaddr_un address;
        int fd;
        sd_event_source *io, *timer;
        Queued *first, **last;
        size_t queued;                  /* bytes */
        uint64_t accepted, delivered;
        JournalProgressHandler on_progress;
        void *userdata;
};

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata);
static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata);

static void disconnect(JournalSender *j)
{
        j->io = sd_event_source_disable_unref(j->io);
        j->fd = safe_close(j->fd);
}

JournalSender *journal_sender_free(JournalSender *j)
{
        if (!j)
                return NULL;

        disconnect(j);
        sd_event_source_disable_unref(j->timer);
        while (j->first) {
                Queued *q = j->first;

                j->first = q->next;
                free(q);
        }
        sd_event_unref(j->event);
        free(j);
        return NULL;
}

/* Connected, because poll() of an unconnected datagram socket does not see the receiver's queue. */
static int reconnect(JournalSender *j)
{
        int size = (int) SEND_BUFFER_SIZE, r;

        disconnect(j);
        j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (j->fd < 0)
                return negative_errno();
        if (setsockopt(j->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
                (void) setsockopt(j->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));

        r = connect(j->fd, (struct sockaddr *) &j->address, sizeof(j->address)) < 0 ? negative_errno() : 0;
        if (r >= 0)
                r = sd_event_add_io(j->event, &j->io, j->fd, 0, on_writable, j);
        if (r < 0)
                disconnect(j);
        return r;
}

int journal_sender_new(JournalSender **ret, sd_event *event, const char *path,
                       JournalProgressHandler on_progress, void *userdata)
{
        _cleanup_(journal_sender_freep) JournalSender *j = new0(JournalSender, 1);
        int r;

        if (!j)
                return -ENOMEM;

        path = path ? path : JOURNAL_SOCKET;
        j->event = sd_event_ref(event);
        j->fd = -EBADF;
        j->last = &j->first;
        j->on_progress = on_progress;
        j->userdata = userdata;
        j->address.sun_family = AF_UNIX;
        if (strlen(path) >= sizeof(j->address.sun_path))
                return -ENAMETOOLONG;
        strcpy(j->address.sun_path, path);

        r = sd_event_add_time(event, &j->timer, CLOCK_MONOTONIC, 0, 0, on_reconnect, j);
        if (r >= 0)
                r = sd_event_source_set_enabled(j->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        (void) reconnect(j);
        *ret = TAKE_PTR(j);
        return 0;
}

/* An entry over the datagram limit travels as a sealed memfd, as the protocol has it. */
static int send_memfd(JournalSender *j, const void *data, size_t n)
{
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr mh = { .msg_control = &control, .msg_controllen = sizeof(control) };
        _cleanup_close_ int fd = memfd_create("journal-entry", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        int r;

        if (fd < 0)
                return negative_errno();
        r = write_full(fd, data, n);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return negative_errno();

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
        return sendmsg(j->fd, &mh, MSG_NOSIGNAL) < 0 ? negative_errno() : 0;
}

static int send_now(JournalSender *j, const void *data, size_t n)
{
        if (j->fd < 0)
                return -ENOTCONN;
        if (send(j->fd, data, n, MSG_NOSIGNAL) >= 0)
                return 0;
        if (errno == EMSGSIZE || errno == ENOBUFS)
                return send_memfd(j, data, n);

        return negative_errno();
}

/* Sets up what will make the queue move again. */
static void wait_for_room(JournalSender *j, int error)
{
        if (error != -EAGAIN) {
                /* journald is restarting; its socket outlives it, but a new one may have been made. */
                disconnect(j);
                (void) sd_event_source_set_time(j->timer, now_usec() + RECONNECT_INTERVAL);
                (void) sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
        } else
                (void) sd_event_source_set_io_events(j->io, EPOLLOUT);
}

static void flush(JournalSender *j)
{
        bool progress = false;

        while (j->first) {
                Queued *q = j->first;
                int r = send_now(j, q->data, q->n);

                if (r < 0) {
                        wait_for_room(j, r);
                        break;
                }

                j->first = q->next;
                if (!j->first)
                        j->last = &j->first;
                j->queued -= q->n;
                j->delivered++;
                progress = true;
                free(q);
        }

        if (!j->first && j->io)
                (void) sd_event_source_set_io_events(j->io, 0);
        if (progress && j->on_progress)
                j->on_progress(j, j->userdata);
}

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        JournalSender *j = userdata;

        /* EPOLLHUP of a dead peer: the next send says so, and the timer takes over. */
        if (!j->first)
                wait_for_room(j, events & (EPOLLHUP | EPOLLERR) ? -ECONNRESET : -EAGAIN);
        else
                flush(j);
        if (!j->first && j->io)
                (void) sd_event_source_set_io_events(j->io, 0);
        return 0;
}

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata)
{
        JournalSender *j = userdata;
        int r = j->fd >= 0 ? 0 : reconnect(j);

        if (r < 0) {
                (void) sd_event_source_set_time(j->timer, now_usec() + RECONNECT_INTERVAL);
                (void) sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
                return 0;
        }

        flush(j);
        return 0;
}

int journal_sender_send(JournalSender *j, JournalEntry *entry)
{
        _cleanup_(journal_entry_done) JournalEntry e = *entry;
        Queued *q;
        int r;

        *entry = (JournalEntry) {};
        if (e.error < 0)
                return e.error;

        if (!j->first) {
                r = send_now(j, e.data, e.n);
                if (r >= 0) {
                        j->accepted++;
                        j->delivered++;
                        return 0;
                }
                wait_for_room(j, r);
        }

        if (e.n > JOURNAL_QUEUE_MAX - j->queued)
                return -ENOBUFS;
        q = malloc(sizeof(Queued) + e.n);
        if (!q)
                return -ENOMEM;

        q->next = NULL;
        q->n = e.n;
        memcpy(q->data, e.data, e.n);
        *j->last = q;
        j->last = &q->next;
        j->queued += q->n;
        j->accepted++;
        return 0;
}

bool journal_sender_is_full(const JournalSender *j)
{
        return j->queued > JOURNAL_QUEUE_MAX / 2;
}

uint64_t journal_sender_accepted(const JournalSender *j)
{
        return j->accepted;
}

uint64_t journal_sender_delivered(const JournalSender *j)
{
        return j->delivered;
}
