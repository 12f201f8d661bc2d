/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between a terminal and a socket: see pump.h. Nothing of them is interpreted but the detach key. */

#include "runtime/cli/pump.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/parse.h"

#define BUFFER_SIZE 16384U
#define DETACH_TIMES 3U

typedef struct Direction {
        int from, to;
        bool ended;             /* nothing more comes */
        size_t begin, end;
        uint8_t data[BUFFER_SIZE];
} Direction;

typedef struct Detach {
        int key;
        unsigned seen;
        usec_t first;
} Detach;

/* True when the key has been typed often enough. */
static bool watch_keys(Detach *d, const uint8_t *data, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (data[i] != d->key) {
                        d->seen = 0;
                        continue;
                }
                if (d->seen == 0 || now_usec() - d->first > USEC_PER_SEC) {
                        d->seen = 0;
                        d->first = now_usec();
                }
                if (++d->seen >= DETACH_TIMES)
                        return true;
        }
        return false;
}

/* 1: something was read, 0: nothing now, or the end. */
static int fill(Direction *d)
{
        ssize_t n = read(d->from, d->data, sizeof(d->data));

        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        return 0;
                /* A terminal that has gone. */
                if (errno != EIO && errno != ECONNRESET)
                        return negative_errno();
                n = 0;
        }
        d->begin = 0;
        d->end = (size_t) n;
        d->ended = n == 0;
        return n > 0;
}

static int drain(Direction *d)
{
        ssize_t n = write(d->to, d->data + d->begin, d->end - d->begin);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
        d->begin += (size_t) n;
        return 0;
}

static bool is_empty(const Direction *d)
{
        return d->begin == d->end;
}

static int step(Direction *in, Direction *out, Detach *detach, struct pollfd *p)
{
        int r = 0;

        if (p[0].revents && is_empty(in) && !in->ended) {
                r = fill(in);
                if (r > 0 && detach->key >= 0 && watch_keys(detach, in->data, in->end))
                        return -ECANCELED;
                if (in->ended)
                        (void) shutdown(in->to, SHUT_WR);
        }
        if (r >= 0 && (p[1].revents & POLLIN || p[1].revents & (POLLHUP | POLLERR)) && is_empty(out) &&
            !out->ended)
                r = fill(out);
        if (r >= 0 && !is_empty(in) && p[1].revents & (POLLOUT | POLLHUP | POLLERR)) {
                r = drain(in);
                /* It does not want to hear more; what it says still counts. */
                if (r == -EPIPE || r == -ECONNRESET) {
                        in->ended = true;
                        in->begin = in->end;
                        r = 0;
                }
        }
        if (r >= 0 && !is_empty(out) && p[2].revents)
                r = drain(out);
        return r;
}

int pump_run(int in_fd, int out_fd, int socket_fd, int key, const volatile int *stop)
{
        _cleanup_free_ Direction *in = new0(Direction, 1), *out = new0(Direction, 1);
        Detach detach = { .key = key };
        int r = 0;

        if (!in || !out)
                return -ENOMEM;
        in->from = in_fd;
        in->to = out->from = socket_fd;
        out->to = out_fd;

        while (r >= 0 && !(out->ended && is_empty(out))) {
                struct pollfd p[3] = {
                        { .fd = is_empty(in) && !in->ended ? in_fd : -1, .events = POLLIN },
                        { .fd = socket_fd, .events = (short) ((is_empty(out) && !out->ended ? POLLIN : 0) |
                                                              (is_empty(in) ? 0 : POLLOUT)) },
                        { .fd = is_empty(out) ? -1 : out_fd, .events = POLLOUT },
                };

                /* A hang-up is reported even when nobody asks. */
                if (p[1].events == 0)
                        p[1].fd = -1;
                if (*stop)
                        return -ECANCELED;
                if (poll(p, ELEMENTSOF(p), -1) < 0) {
                        if (errno != EINTR)
                                return negative_errno();
                        continue;
                }
                r = step(in, out, &detach, p);
        }
        return r < 0 ? r : 0;
}
