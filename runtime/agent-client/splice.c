/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined: see splice.h. Host side; both peers may stop, flood or vanish at any time. */

#include "runtime/agent-client/splice.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/ring.h"

/* A client that does not read the last bytes is not waited for longer. */
#define SPLICE_FLUSH_USEC UINT64_C(10000000)

typedef struct SpliceSide {
        int fd;
        sd_event_source *io;
        bool eof;               /* nothing more comes from it */
        Ring ring;              /* what came from it */
} SpliceSide;

struct Splice {
        SpliceSide client, guest;
        sd_event_source *timer;
        bool shut;              /* the guest has been told the end of its input */
        bool ended;
        uint64_t to_guest, to_client;
        SpliceEnd on_end;
        void *userdata;
};

static void side_close(SpliceSide *side)
{
        side->io = sd_event_source_disable_unref(side->io);
        side->fd = safe_close(side->fd);
}

static void splice_end(Splice *s)
{
        if (s->ended)
                return;

        s->ended = true;
        side_close(&s->client);
        side_close(&s->guest);
        s->timer = sd_event_source_disable_unref(s->timer);
        s->on_end(s, s->userdata);
}

static bool has_data(const Ring *ring)
{
        size_t n;

        (void) ring_peek(ring, &n);
        return n > 0;
}

/* Reads once what there is room for. An error counts as the end. */
static void side_read(SpliceSide *side)
{
        uint8_t buf[KIB(4)];
        size_t space = MIN(ring_space(&side->ring), sizeof(buf));
        ssize_t k;

        if (space == 0 || side->eof)
                return;

        k = recv(side->fd, buf, space, MSG_DONTWAIT);
        if (k > 0)
                (void) ring_write(&side->ring, buf, (size_t) k);
        else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                side->eof = true;
}

static int side_write(SpliceSide *from, const SpliceSide *to, uint64_t *total)
{
        for (;;) {
                size_t n;
                const void *p = ring_peek(&from->ring, &n);
                ssize_t k;

                if (n == 0)
                        return 0;
                k = send(to->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (k < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
                ring_sent(&from->ring, (size_t) k);
                *total += (uint64_t) k;
        }
}

static int side_watch(SpliceSide *side, const SpliceSide *other)
{
        return sd_event_source_set_io_events(side->io,
                                             (!side->eof && ring_space(&side->ring) > 0 ? EPOLLIN : 0U) |
                                             (has_data(&other->ring) ? EPOLLOUT : 0U));
}

static int on_flush_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        splice_end(userdata);
        return 0;
}

/* The guest is done: what is left goes to the client, within a limit. */
static int guest_ended(Splice *s)
{
        if (s->timer)
                return 0;

        s->guest.io = sd_event_source_disable_unref(s->guest.io);
        return sd_event_add_time_relative(sd_event_source_get_event(s->client.io), &s->timer,
                                          CLOCK_MONOTONIC, SPLICE_FLUSH_USEC, 0, on_flush_timeout, s);
}

static int guest_watch(Splice *s)
{
        int r;

        /* A full ring is not waited with: a hang-up of the guest would be told again and again. */
        r = sd_event_source_set_enabled(s->guest.io,
                                        ring_space(&s->guest.ring) > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
        return r < 0 ? r : side_watch(&s->guest, &s->client);
}

/* May end the splice, and with it free it: the last thing that a caller does. */
static void splice_advance(Splice *s)
{
        int r;

        /* A guest that takes no more input has ended: what it said before is read already, or lost. */
        if (!s->guest.eof && side_write(&s->client, &s->guest, &s->to_guest) < 0)
                s->guest.eof = true;
        r = side_write(&s->guest, &s->client, &s->to_client);
        if (r < 0 || (s->guest.eof && !has_data(&s->guest.ring))) {
                splice_end(s);
                return;
        }

        if (s->client.eof && !s->guest.eof && !s->shut && !has_data(&s->client.ring)) {
                (void) shutdown(s->guest.fd, SHUT_WR);
                s->shut = true;
        }

        r = s->guest.eof ? guest_ended(s) : guest_watch(s);
        if (r >= 0)
                r = side_watch(&s->client, &s->guest);
        if (r < 0)
                splice_end(s);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Splice *s = userdata;

        if (events & (EPOLLHUP | EPOLLERR)) {
                splice_end(s);
                return 0;
        }
        side_read(&s->client);
        splice_advance(s);
        return 0;
}

static int on_guest(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Splice *s = userdata;

        /* After a hang-up there may be bytes left; reading finds the end behind them. */
        side_read(&s->guest);
        splice_advance(s);
        return 0;
}

static int side_init(SpliceSide *side, sd_event *event, int fd, sd_event_io_handler_t handler, Splice *s)
{
        int r = ring_init(&side->ring, DEBUG_RING_SIZE);

        return r < 0 ? r : sd_event_add_io(event, &side->io, fd, EPOLLIN, handler, s);
}

int splice_new(Splice **ret, sd_event *event, int client_fd, int guest_fd, SpliceEnd on_end,
               void *userdata)
{
        _cleanup_(splice_freep) Splice *s = new0(Splice, 1);
        int r;

        if (!s)
                return -ENOMEM;

        s->client.fd = s->guest.fd = -EBADF;
        s->on_end = on_end;
        s->userdata = userdata;
        r = side_init(&s->client, event, client_fd, on_client, s);
        if (r >= 0)
                r = side_init(&s->guest, event, guest_fd, on_guest, s);
        if (r < 0)
                return r;

        s->client.fd = client_fd;
        s->guest.fd = guest_fd;
        *ret = TAKE_PTR(s);
        return 0;
}

Splice *splice_free(Splice *s)
{
        if (!s)
                return NULL;

        side_close(&s->client);
        side_close(&s->guest);
        sd_event_source_disable_unref(s->timer);
        ring_done(&s->client.ring);
        ring_done(&s->guest.ring);
        free(s);
        return NULL;
}

void splice_totals(const Splice *s, uint64_t *ret_to_guest, uint64_t *ret_to_client)
{
        *ret_to_guest = s->to_guest;
        *ret_to_client = s->to_client;
}
