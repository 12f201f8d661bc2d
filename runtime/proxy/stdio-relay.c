/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams to and from FIFOs: see stdio-relay.h. The bytes are the tenant's, nothing looks at them. */

#include "runtime/proxy/stdio-relay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

static const char *const names[_RELAY_KIND_MAX] = {
        [RELAY_STDIN] = "stdin",
        [RELAY_STDOUT] = "stdout",
        [RELAY_STDERR] = "stderr",
};

const char *relay_kind_name(RelayKind kind)
{
        return names[kind];
}

static int open_fifo(int dir_fd, RelayKind kind)
{
        /*
         * A reader of a FIFO that nobody has opened for writing yet is not told of an end (fs/pipe.c, pipe_poll());
         * for a writer there has to be a reader, which its second, reading half is.
         */
        int fd = openat(dir_fd, names[kind], (kind == RELAY_STDIN ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);

        return fd < 0 ? negative_errno() : fd;
}

static Relay *relay_free(Relay *r, int dir_fd, RelayKind kind)
{
        if (!r)
                return NULL;

        safe_close(kind == RELAY_STDIN ? r->to : r->from);
        (void) unlinkat(dir_fd, names[kind], 0);
        free(r);
        return NULL;
}

static int relay_new(Relay **ret, int dir_fd, const char *directory, RelayKind kind, char **reterr_message)
{
        Relay *relay = new0(Relay, 1);
        int r;

        if (!relay)
                return -ENOMEM;
        relay->from = relay->to = -EBADF;
        r = mkfifoat(dir_fd, names[kind], 0600) < 0 ? negative_errno() : open_fifo(dir_fd, kind);
        if (r < 0) {
                (void) error_setf(reterr_message, r, "%s/%s: %s", directory, names[kind], strerror(-r));
                relay_free(relay, dir_fd, kind);
                return r;
        }
        relay->from = kind == RELAY_STDIN ? STDIN_FILENO : r;
        relay->to = kind == RELAY_STDIN ? r : (int) kind;
        *ret = relay;
        return 0;
}

int stdio_relay_new(StdioRelay *ret, const char *directory, bool terminal, bool with_stdin,
                    char **reterr_message)
{
        int dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

        *ret = (StdioRelay) { .dir_fd = dir_fd };
        if (dir_fd < 0)
                return error_setf(reterr_message, negative_errno(), "%s: %s", directory, strerror(errno));
        for (RelayKind kind = 0; kind < _RELAY_KIND_MAX; kind++) {
                int r;

                if ((kind == RELAY_STDIN && !with_stdin) || (kind == RELAY_STDERR && terminal))
                        continue;
                r = relay_new(&ret->relays[kind], dir_fd, directory, kind, reterr_message);
                if (r < 0) {
                        stdio_relay_done(ret);
                        return r;
                }
        }
        return 0;
}

void stdio_relay_done(StdioRelay *io)
{
        for (RelayKind kind = 0; kind < _RELAY_KIND_MAX; kind++)
                io->relays[kind] = relay_free(io->relays[kind], io->dir_fd, kind);
        io->dir_fd = safe_close(io->dir_fd);
}

static bool is_empty(const Relay *r)
{
        return r->begin == r->end;
}

void stdio_relay_poll(const StdioRelay *io, struct pollfd polls[static STDIO_RELAY_POLLS])
{
        for (RelayKind kind = 0; kind < _RELAY_KIND_MAX; kind++) {
                const Relay *r = io->relays[kind];
                struct pollfd *p = &polls[2 * kind];

                p[0] = (struct pollfd) { .fd = r && is_empty(r) && !r->ended ? r->from : -1, .events = POLLIN };
                p[1] = (struct pollfd) { .fd = r && !is_empty(r) && !r->broken ? r->to : -1, .events = POLLOUT };
        }
}

static int reopen(const StdioRelay *io, RelayKind kind)
{
        Relay *r = io->relays[kind];
        int fd = open_fifo(io->dir_fd, kind);

        if (fd < 0)
                return fd;
        safe_close(r->from);
        r->from = fd;
        return 0;
}

static int fill(StdioRelay *io, RelayKind kind)
{
        Relay *r = io->relays[kind];
        ssize_t n = read(r->from, r->data, sizeof(r->data));

        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        return 0;
                /* A terminal that was hung up, a file that can not be read: an end like others. */
                n = 0;
        }
        r->begin = 0;
        r->end = (size_t) n;
        if (n > 0)
                return 0;
        if (kind != RELAY_STDIN && !io->exited)
                return reopen(io, kind);
        r->ended = true;
        return 0;
}

static void drain(Relay *r)
{
        ssize_t n = write(r->to, r->data + r->begin, r->end - r->begin);

        if (n >= 0)
                r->begin += (size_t) n;
        else if (errno != EAGAIN && errno != EINTR)
                r->broken = true;
}

int stdio_relay_process(StdioRelay *io, const struct pollfd polls[static STDIO_RELAY_POLLS])
{
        Relay *in = io->relays[RELAY_STDIN];

        for (RelayKind kind = 0; kind < _RELAY_KIND_MAX; kind++) {
                Relay *r = io->relays[kind];
                int k = 0;

                if (!r)
                        continue;
                if (polls[2 * kind + 1].fd >= 0 && polls[2 * kind + 1].revents)
                        drain(r);
                if (polls[2 * kind].fd >= 0 && polls[2 * kind].revents)
                        k = fill(io, kind);
                if (k < 0)
                        return k;
                /* Whoever reads is gone: the process is not to hang for it. */
                if (r->broken)
                        r->begin = r->end;
        }

        if (in && in->ended && is_empty(in) && !io->stdin_closed) {
                io->stdin_closed = true;
                in->to = safe_close(in->to);
                return 1;
        }
        return 0;
}

void stdio_relay_set_exited(StdioRelay *io)
{
        io->exited = true;
        for (RelayKind kind = RELAY_STDOUT; kind < _RELAY_KIND_MAX; kind++) {
                Relay *r = io->relays[kind];
                int fd;

                if (!r)
                        continue;
                /* One writer that comes and goes, so that a FIFO without others is at its end. */
                fd = openat(io->dir_fd, names[kind], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
                safe_close(fd);
        }
}

bool stdio_relay_has_output(const StdioRelay *io)
{
        for (RelayKind kind = RELAY_STDOUT; kind < _RELAY_KIND_MAX; kind++)
                if (io->relays[kind] && !is_empty(io->relays[kind]))
                        return true;

        return false;
}

bool stdio_relay_is_done(const StdioRelay *io)
{
        for (RelayKind kind = RELAY_STDOUT; kind < _RELAY_KIND_MAX; kind++) {
                const Relay *r = io->relays[kind];

                if (r && (!r->ended || !is_empty(r)))
                        return false;
        }
        return true;
}
