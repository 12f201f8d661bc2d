/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of a Mux as socketpairs: see the header.
 *
 * Everything is watched edge-triggered, with the readiness kept in flags. That way a descriptor
 * that is readable while its stream has no room, or a port that reports EPOLLHUP for as long as no
 * host is there, does not wake anybody. Work that the budget leaves over is remembered by an
 * eventfd.
 */

#include "proto/mux-pump.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

#define CHUNK_SIZE KIB(64)
#define ROUNDS_MAX 16U
#define EVENTS_MAX 64U

/*
 * A port that its guest has not opened yet may lose a preamble, so it is offered again and again.
 */
#define OFFER_INTERVAL_MSEC 250
/* The second and then each fortieth offer ends any frame that the guest may be in the middle of. */
#define OFFER_FLUSH_EVERY 40U
#define OFFER_FLUSH_FIRST 2U

typedef struct PumpStream PumpStream;

struct PumpStream {
        MuxStream *stream;
        int fd;                         /* our end; -EBADF until the stream is connected */
        bool can_read, can_write;       /* as far as epoll has told */
        bool hung_up;                   /* the program has closed its end */
        bool read_eof;                  /* nothing more comes from the program */
        bool shut;                      /* the program was told that nothing more comes */
        bool discard;                   /* the program does not read any more */

        MuxPumpOpenHandler handler;     /* until it was called */
        void *userdata;

        PumpStream *next, *prev;
};

struct MuxPump {
        Mux *mux;
        MuxRole role;
        MuxPumpCallbacks callbacks;
        void *userdata;

        int fd, epoll_fd, wake_fd, timer_fd;
        bool is_socket;
        bool can_read, hung_up;

        PumpStream *streams;
        unsigned n_offers;
        bool offer_waits;               /* lay in the socket when the timer expired last */

        unsigned depth;         /* inside mux_pump_dispatch() */
        bool closing;           /* the streams of a session are being closed: open no new ones */
        int error;              /* it is over; on_error was called or mux_pump_free() */
        bool freed;             /* free the memory when depth is 0 again */

        uint8_t chunk[CHUNK_SIZE];
};

static int watch(MuxPump *pump, int fd, uint32_t events, void *tag)
{
        struct epoll_event e = { .events = events, .data.ptr = tag };

        return epoll_ctl(pump->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? negative_errno() : 0;
}

static void wake(MuxPump *pump)
{
        uint64_t one = 1;

        /* Full is as good as written. */
        (void) !write(pump->wake_fd, &one, sizeof(one));
}

static int stream_new(MuxPump *pump, MuxStream *stream, PumpStream **ret)
{
        PumpStream *s;

        s = new(PumpStream, 1);
        if (!s)
                return -ENOMEM;

        *s = (PumpStream) {
                .stream = stream,
                .fd = -EBADF,
                .next = pump->streams,
        };
        if (s->next)
                s->next->prev = s;
        pump->streams = s;
        mux_stream_set_userdata(stream, s);

        *ret = s;
        return 0;
}

static void stream_free(MuxPump *pump, PumpStream *s)
{
        *(s->prev ? &s->prev->next : &pump->streams) = s->next;
        if (s->next)
                s->next->prev = s->prev;

        mux_stream_close(s->stream);
        /*
         * Closing is not enough: a child that was forked and has not closed its copy yet keeps the socket, and with
         * it the entry in epoll that points here (epoll(7), "Questions and answers", 6).
         */
        if (s->fd >= 0)
                (void) epoll_ctl(pump->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        safe_close(s->fd);
        free(s);
}

/* Makes the socketpair; the program's end is returned. */
static int stream_connect(MuxPump *pump, PumpStream *s)
{
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return negative_errno();

        r = watch(pump, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, s);
        if (r < 0) {
                safe_close(pair[0]);
                safe_close(pair[1]);
                return r;
        }

        s->fd = pair[0];
        s->can_write = true;
        return pair[1];
}

static void stream_answer(MuxPump *pump, PumpStream *s, int error, int fd)
{
        MuxPumpOpenHandler handler = s->handler;

        s->handler = NULL;
        handler(pump, error, error < 0 ? -EBADF : fd, mux_stream_id(s->stream), s->userdata);
}

static bool peer_to_program(PumpStream *s)
{
        bool progress = false;
        const uint8_t *p;
        size_t n;

        while ((n = mux_stream_peek(s->stream, &p)) > 0) {
                ssize_t k = (ssize_t) n;

                if (!s->discard) {
                        if (!s->can_write)
                                break;
                        k = send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
                        if (k < 0) {
                                if (errno == EINTR)
                                        continue;
                                if (errno == EAGAIN)
                                        s->can_write = false;
                                else
                                        s->discard = true;
                                continue;
                        }
                }
                mux_stream_consume(s->stream, (size_t) k);
                progress = true;
        }

        if (!s->shut && mux_stream_is_eof(s->stream)) {
                (void) shutdown(s->fd, SHUT_WR);
                s->shut = progress = true;
        }

        return progress;
}

static bool program_to_peer(MuxPump *pump, PumpStream *s)
{
        bool progress = false;
        size_t room;

        while (s->can_read && !s->read_eof && (room = mux_stream_room(s->stream)) > 0) {
                ssize_t n = recv(s->fd, pump->chunk, MIN(room, CHUNK_SIZE), MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN) {
                        s->can_read = false;
                        break;
                }

                progress = true;
                if (n > 0) {
                        /*
                         * The room was there: only memory can be short, and then bytes would be
                         * missing.
                         */
                        if (mux_stream_write(s->stream, pump->chunk, (size_t) n) == n)
                                continue;
                        s->hung_up = true;
                }
                /* ECONNRESET: closed with something unread; all it wrote was read before. */
                s->read_eof = true;
                mux_stream_shutdown(s->stream);
        }

        return progress;
}

/* Both directions; frees the stream once they are done. */
static bool stream_step(MuxPump *pump, PumpStream *s)
{
        bool progress;

        if (s->fd < 0)
                return false;

        progress = peer_to_program(s);
        progress = program_to_peer(pump, s) || progress;

        if ((s->read_eof && (s->hung_up || s->shut)) ||
            (mux_stream_is_reset(s->stream) && mux_stream_is_eof(s->stream))) {
                stream_free(pump, s);
                return true;
        }

        return progress;
}

static bool streams_step(MuxPump *pump)
{
        bool progress = false;
        PumpStream *next;

        for (PumpStream *s = pump->streams; s; s = next) {
                next = s->next;
                progress = stream_step(pump, s) || progress;
        }

        return progress;
}

/* The session is over: deliver what arrived, as far as the sockets take it, and close. */
static void streams_close(MuxPump *pump, int error)
{
        (void) streams_step(pump);
        pump->closing = true;

        while (pump->streams) {
                PumpStream *s = pump->streams;

                if (s->handler)
                        stream_answer(pump, s, error, -EBADF);
                /* The handler may have freed the pump and all streams with it. */
                if (pump->streams == s)
                        stream_free(pump, s);
        }

        pump->closing = false;
}

static bool port_write(MuxPump *pump)
{
        bool progress = false;
        const uint8_t *p;
        size_t n;

        while (pump->fd >= 0 && (n = mux_output(pump->mux, &p)) > 0) {
                ssize_t k = pump->is_socket ? send(pump->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT)
                                            : write(pump->fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                /* An error shows up on the reading side as well, behind what the peer said last. */
                if (k <= 0)
                        break;
                mux_output_done(pump->mux, (size_t) k);
                progress = true;
        }

        return progress;
}

static void fail(MuxPump *pump, int error, const char *message)
{
        if (pump->error < 0)
                return;

        (void) port_write(pump);
        streams_close(pump, -ECONNRESET);
        if (pump->error < 0)
                return;

        pump->error = error;
        pump->fd = safe_close(pump->fd);
        pump->timer_fd = safe_close(pump->timer_fd);
        pump->callbacks.on_error(pump, error, message, pump->userdata);
}

static void event_ready(MuxPump *pump, MuxStream *stream)
{
        pump->timer_fd = safe_close(pump->timer_fd);
        pump->callbacks.on_ready(pump, pump->userdata);
}

static void event_connect(MuxPump *pump, MuxStream *stream)
{
        _cleanup_close_ int fd = -EBADF;
        PumpStream *s;
        int r;

        if (!pump->callbacks.on_connect || stream_new(pump, stream, &s) < 0) {
                mux_stream_close(stream);
                return;
        }

        fd = stream_connect(pump, s);
        if (fd < 0) {
                stream_free(pump, s);
                return;
        }

        r = pump->callbacks.on_connect(pump, mux_stream_port(stream), mux_stream_id(stream), fd,
                                       pump->userdata);
        if (r >= 0)
                (void) TAKE_FD(fd);
        if (pump->error < 0)
                return;
        if (r < 0 || mux_stream_accept(stream) < 0)
                stream_free(pump, s);
}

static void event_opened(MuxPump *pump, MuxStream *stream)
{
        PumpStream *s = mux_stream_userdata(stream);
        int fd;

        fd = stream_connect(pump, s);
        stream_answer(pump, s, MIN(fd, 0), fd);
        if (fd < 0 && pump->error >= 0)
                stream_free(pump, s);
}

static void event_refused(MuxPump *pump, MuxStream *stream)
{
        PumpStream *s = mux_stream_userdata(stream);

        stream_answer(pump, s, -ECONNREFUSED, -EBADF);
        if (pump->error >= 0)
                stream_free(pump, s);
}

static void process_events(MuxPump *pump)
{
        /* The streams themselves are looked at in each round. */
        static void (*const table[])(MuxPump *, MuxStream *) = {
                [MUX_EVENT_READY] = event_ready,
                [MUX_EVENT_CONNECT] = event_connect,
                [MUX_EVENT_OPENED] = event_opened,
                [MUX_EVENT_REFUSED] = event_refused,
                [MUX_EVENT_STREAM] = NULL,
        };
        MuxEvent e;

        while (pump->error >= 0 && mux_next_event(pump->mux, &e))
                if (table[e.type])
                        table[e.type](pump, e.stream);
}

static void feed(MuxPump *pump, const uint8_t *p, size_t n)
{
        while (n > 0 && pump->error >= 0) {
                _cleanup_free_ char *message = NULL;
                size_t consumed;
                int r;

                r = mux_input(pump->mux, p, n, &consumed, &message);
                p += consumed;
                n -= consumed;
                process_events(pump);
                if (r >= 0 || pump->error < 0)
                        continue;

                if (pump->role == MUX_CLIENT) {
                        fail(pump, r, error_text(message, r));
                        return;
                }

                streams_close(pump, -ECONNRESET);
                if (pump->error < 0)
                        return;
                mux_restart(pump->mux, false);
                if (pump->callbacks.on_reset)
                        pump->callbacks.on_reset(pump, r, error_text(message, r), pump->userdata);
                process_events(pump);
        }
}

/*
 * A virtio-serial port without a host reads as end of file and reports EPOLLHUP. Before a session
 * that only means that none is there yet; its arrival wakes the port's wait queue.
 */
static bool may_come_back(const MuxPump *pump)
{
        return pump->role == MUX_SERVER && !pump->is_socket && !mux_is_ready(pump->mux);
}

static bool port_read(MuxPump *pump)
{
        size_t total = 0;

        /* A port returns one buffer of the host at a time, a page at most. */
        while (pump->error >= 0 && pump->can_read && total < CHUNK_SIZE) {
                ssize_t n = read(pump->fd, pump->chunk, CHUNK_SIZE - total);

                if (n > 0) {
                        total += (size_t) n;
                        feed(pump, pump->chunk, (size_t) n);
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;

                pump->can_read = false;
                if (n < 0 && errno != EAGAIN) {
                        int r = negative_errno();

                        fail(pump, r, strerror(-r));
                } else if (n == 0 && !may_come_back(pump))
                        fail(pump, -ECONNRESET, "the other side has hung up");
        }

        /* Gone and here again since the last look: what was in the pipe between is lost. */
        if (pump->error >= 0 && pump->hung_up && !pump->can_read) {
                pump->hung_up = false;
                if (!may_come_back(pump))
                        fail(pump, -ECONNRESET, "the other side has hung up");
        }

        return total > 0;
}

/*
 * What the VMM has not read yet, because the guest has not opened the port, can not have been lost. A
 * booting guest would have to read it all before it comes to what the host says next.
 */
static bool offer_is_unread(MuxPump *pump)
{
        int n;

        return pump->is_socket && ioctl(pump->fd, SIOCOUTQ, &n) >= 0 && n > 0;
}

static void offer(MuxPump *pump)
{
        uint64_t expirations;
        bool waited = pump->offer_waits;

        if (read(pump->timer_fd, &expirations, sizeof(expirations)) < 0)
                return;
        /* Once it is gone, the guest has a whole interval for the answer. */
        pump->offer_waits = offer_is_unread(pump);
        if (pump->offer_waits || waited)
                return;
        pump->n_offers++;
        /* Without memory the next one will do. */
        (void) mux_offer_preamble(pump->mux,
                                  pump->n_offers % OFFER_FLUSH_EVERY == OFFER_FLUSH_FIRST);
}

static int collect(MuxPump *pump)
{
        struct epoll_event events[EVENTS_MAX];
        uint64_t count;
        int n;

        n = epoll_wait(pump->epoll_fd, events, EVENTS_MAX, 0);
        if (n < 0)
                return errno == EINTR ? 0 : negative_errno();
        /* The rest comes with the next call. */
        if (n == EVENTS_MAX)
                wake(pump);

        /* Only flags are set here, so no stream goes away while events still point at it. */
        for (int i = 0; i < n; i++) {
                const uint32_t gone = EPOLLHUP | EPOLLERR, e = events[i].events;
                void *tag = events[i].data.ptr;

                if (tag == &pump->wake_fd) {
                        if (n < (int) EVENTS_MAX)
                                (void) !read(pump->wake_fd, &count, sizeof(count));
                } else if (tag == &pump->timer_fd)
                        offer(pump);
                else if (tag == pump) {
                        pump->can_read = pump->can_read || (e & (EPOLLIN | gone));
                        pump->hung_up = pump->hung_up || (e & gone);
                } else {
                        PumpStream *s = tag;

                        s->can_read = s->can_read || (e & (EPOLLIN | EPOLLRDHUP | gone));
                        s->can_write = s->can_write || (e & (EPOLLOUT | gone));
                        s->hung_up = s->hung_up || (e & gone);
                }
        }

        return 0;
}

int mux_pump_dispatch(MuxPump *pump)
{
        unsigned round = 0;
        int r;

        if (pump->error < 0)
                return pump->error;

        pump->depth++;
        r = collect(pump);
        if (r < 0)
                fail(pump, r, strerror(-r));

        for (; pump->error >= 0 && round < ROUNDS_MAX; round++) {
                bool progress;

                progress = port_read(pump);
                if (pump->error < 0)
                        break;
                progress = streams_step(pump) || progress;
                progress = port_write(pump) || progress;
                if (!progress)
                        break;
        }
        if (pump->error >= 0 && round == ROUNDS_MAX)
                wake(pump);

        r = pump->error;
        if (--pump->depth == 0 && pump->freed)
                free(pump);
        return r;
}

int mux_pump_fd(const MuxPump *pump)
{
        return pump->epoll_fd;
}

bool mux_pump_is_ready(const MuxPump *pump)
{
        return pump->error >= 0 && mux_is_ready(pump->mux);
}

int mux_pump_open(MuxPump *pump, uint32_t port, MuxPumpOpenHandler handler, void *userdata)
{
        MuxStream *stream;
        PumpStream *s;
        int r;

        if (pump->error < 0 || pump->closing)
                return -ENOTCONN;

        r = mux_open(pump->mux, port, &stream);
        if (r < 0)
                return r;

        r = stream_new(pump, stream, &s);
        if (r < 0) {
                mux_stream_close(stream);
                return r;
        }

        s->handler = handler;
        s->userdata = userdata;
        wake(pump);
        return 0;
}

MuxPump *mux_pump_free(MuxPump *pump)
{
        if (!pump)
                return NULL;
        assert(!pump->freed);

        pump->freed = true;
        if (pump->error >= 0)
                pump->error = -ECANCELED;
        pump->depth++;

        while (pump->streams) {
                PumpStream *s = pump->streams;

                if (s->handler)
                        stream_answer(pump, s, -ECANCELED, -EBADF);
                stream_free(pump, s);
        }
        pump->mux = mux_free(pump->mux);
        pump->fd = safe_close(pump->fd);
        pump->timer_fd = safe_close(pump->timer_fd);
        pump->wake_fd = safe_close(pump->wake_fd);
        pump->epoll_fd = safe_close(pump->epoll_fd);

        if (--pump->depth == 0)
                free(pump);
        return NULL;
}

static int watch_timer(MuxPump *pump)
{
        const struct timespec interval = { .tv_nsec = OFFER_INTERVAL_MSEC * 1000000L };
        struct itimerspec spec = { .it_interval = interval, .it_value = interval };

        pump->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (pump->timer_fd < 0)
                return negative_errno();
        if (timerfd_settime(pump->timer_fd, 0, &spec, NULL) < 0)
                return negative_errno();
        return watch(pump, pump->timer_fd, EPOLLIN, &pump->timer_fd);
}

int mux_pump_new(MuxPump **ret, MuxRole role, int fd, const MuxPumpCallbacks *callbacks,
                 void *userdata)
{
        _cleanup_(mux_pump_freep) MuxPump *pump = NULL;
        uint64_t nonce = 0;
        struct stat st;
        int r;

        assert(callbacks->on_ready && callbacks->on_error);

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce) && role == MUX_CLIENT)
                return negative_errno();

        pump = malloc(sizeof(MuxPump));
        if (!pump)
                return -ENOMEM;
        memset(pump, 0, offsetof(MuxPump, chunk));
        pump->role = role;
        pump->callbacks = *callbacks;
        pump->userdata = userdata;
        pump->is_socket = S_ISSOCK(st.st_mode);
        pump->fd = pump->epoll_fd = pump->wake_fd = pump->timer_fd = -EBADF;

        r = mux_new(&pump->mux, role, nonce);
        if (r < 0)
                return r;
        pump->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (pump->epoll_fd < 0)
                return negative_errno();
        pump->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pump->wake_fd < 0)
                return negative_errno();
        r = watch(pump, pump->wake_fd, EPOLLIN, &pump->wake_fd);
        if (r < 0)
                return r;
        if (role == MUX_CLIENT) {
                r = watch_timer(pump);
                if (r < 0)
                        return r;
        }

        r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        r = watch(pump, fd, EPOLLIN | EPOLLOUT | EPOLLET, pump);
        if (r < 0)
                return r;

        pump->fd = fd;
        wake(pump);
        *ret = TAKE_PTR(pump);
        return 0;
}
