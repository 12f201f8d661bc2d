/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, exit status and waiters of a process: see guest-process.h. The peer is the host, the pipes' other
 * ends are the tenant's. */

#include "agent/guest-process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"

#define STREAM_WAIT_USEC (5 * USEC_PER_SEC)
/* Longer than a supervisor takes to come back and to attach new streams. */
#define HANGUP_USEC (10 * USEC_PER_SEC)

typedef struct Waiter {
        struct Waiter *next;
        Request *request;
} Waiter;

typedef struct ClaimSlot {
        GuestProcess *process;
        StreamClaim *claim;
        uint32_t port;
        int fd;
} ClaimSlot;

struct GuestProcess {
        Sandbox *sandbox;
        ClaimSlot claims[_GUEST_STREAM_MAX];
        GuestProcessReady ready;
        void *ready_data;

        StdioOut *out[2];       /* stdout, stderr */
        StdioIn *in;
        int terminal_fd;        /* for its size */
        bool hangup;
        LoopSource *hangup_timer;

        bool exited, answered;
        int status;
        Waiter *waiters;
};

int guest_process_new(GuestProcess **ret, Sandbox *sandbox, const uint32_t ports[static _GUEST_STREAM_MAX])
{
        GuestProcess *p = new0(GuestProcess, 1);

        if (!p)
                return -ENOMEM;

        *p = (GuestProcess) { .sandbox = sandbox, .terminal_fd = -EBADF };
        for (unsigned i = 0; i < _GUEST_STREAM_MAX; i++)
                p->claims[i] = (ClaimSlot) { .process = p, .port = ports[i], .fd = -EBADF };
        *ret = p;
        return 0;
}

void guest_process_cancel_claims(GuestProcess *p)
{
        p->ready = NULL;
        for (unsigned i = 0; i < _GUEST_STREAM_MAX; i++) {
                p->claims[i].claim = stream_claim_free(p->claims[i].claim);
                p->claims[i].fd = safe_close(p->claims[i].fd);
        }
}

GuestProcess *guest_process_free(GuestProcess *p)
{
        if (!p)
                return NULL;

        while (p->waiters) {
                Waiter *waiter = p->waiters;

                p->waiters = waiter->next;
                request_on_cancel(waiter->request, NULL, NULL);
                free(waiter);
        }
        guest_process_cancel_claims(p);
        loop_source_free(p->hangup_timer);
        for (unsigned i = 0; i < ELEMENTSOF(p->out); i++)
                stdio_out_free(p->out[i]);
        stdio_in_free(p->in);
        safe_close(p->terminal_fd);
        free(p);
        return NULL;
}

/* Streams that the request names. */

static bool claims_pending(const GuestProcess *p)
{
        for (unsigned i = 0; i < _GUEST_STREAM_MAX; i++)
                if (p->claims[i].claim)
                        return true;

        return false;
}

static void on_stream(int fd, void *userdata)
{
        ClaimSlot *slot = userdata;
        GuestProcess *p = slot->process;
        GuestProcessReady ready = p->ready;
        void *data = p->ready_data;

        slot->claim = NULL;
        if (fd < 0) {
                guest_process_cancel_claims(p);
                return ready(fd, "a stdio stream that the request names has not been opened", data);
        }

        slot->fd = fd;
        if (!claims_pending(p))
                ready(0, NULL, data);
}

int guest_process_claim(GuestProcess *p, GuestProcessReady ready, void *userdata)
{
        p->ready = ready;
        p->ready_data = userdata;
        for (unsigned i = 0; i < _GUEST_STREAM_MAX; i++) {
                int r;

                if (p->claims[i].port == 0)
                        continue;
                r = stream_table_claim(sandbox_streams(p->sandbox), &p->claims[i].claim,
                                       p->claims[i].port, STREAM_WAIT_USEC, on_stream, &p->claims[i]);
                if (r < 0) {
                        guest_process_cancel_claims(p);
                        return r;
                }
        }

        return claims_pending(p);
}

/* Without any port the host uses the stdio calls, so all streams exist. */
static bool wants_stream(const GuestProcess *p, GuestStream i)
{
        bool any = false;

        for (unsigned k = 0; k < _GUEST_STREAM_MAX; k++)
                any = any || p->claims[k].port != 0;
        return !any || p->claims[i].port != 0;
}

static int make_output(GuestProcess *p, GuestStream i, int *fd)
{
        StdioOut **out = &p->out[i - GUEST_STDOUT];
        int r = stdio_out_new(out, sandbox_loop(p->sandbox), fd, NULL, NULL);

        if (r >= 0 && p->claims[i].fd >= 0)
                r = stdio_out_attach(*out, &p->claims[i].fd);
        return r;
}

static int make_input(GuestProcess *p, int *fd, bool terminal)
{
        int r = stdio_in_new(&p->in, sandbox_loop(p->sandbox), fd, terminal);

        if (r >= 0 && p->claims[GUEST_STDIN].fd >= 0)
                r = stdio_in_attach(p->in, &p->claims[GUEST_STDIN].fd);
        return r;
}

/* Pipes. */

static int make_stream(GuestProcess *p, GuestStream i, const Grpc__User *user, int *ret_theirs)
{
        _cleanup_close_ int ours = -EBADF;
        int pair[2];

        if (!wants_stream(p, i))
                return 0;
        if (pipe2(pair, O_CLOEXEC) < 0)
                return negative_errno();

        *ret_theirs = pair[i == GUEST_STDIN ? 0 : 1];
        ours = pair[i == GUEST_STDIN ? 1 : 0];
        if (user)
                /* So that it can open /dev/stdout, which is all that is lost without. */
                (void) !fchown(*ret_theirs, user->uid, user->gid);
        return i == GUEST_STDIN ? make_input(p, &ours, false) : make_output(p, i, &ours);
}

void guest_io_close(ContainerIo *io)
{
        io->stdin_fd = safe_close(io->stdin_fd);
        io->stdout_fd = safe_close(io->stdout_fd);
        io->stderr_fd = safe_close(io->stderr_fd);
}

int guest_process_open(GuestProcess *p, const Grpc__Process *process, ContainerIo *ret,
                       char **reterr_message)
{
        ContainerIo io = { -EBADF, -EBADF, -EBADF };
        const Grpc__User *user = process ? process->user : NULL;
        int r = 0;

        if (process && process->terminal && !wants_stream(p, GUEST_STDOUT))
                return error_setf(reterr_message, -EINVAL, "a terminal without a stream for its output");
        if (!process || !process->terminal) {
                r = make_stream(p, GUEST_STDIN, user, &io.stdin_fd);
                if (r >= 0)
                        r = make_stream(p, GUEST_STDOUT, user, &io.stdout_fd);
                if (r >= 0)
                        r = make_stream(p, GUEST_STDERR, user, &io.stderr_fd);
        }
        if (r < 0) {
                guest_io_close(&io);
                return r;
        }

        *ret = io;
        return 0;
}

/* Terminals. */

static int duplicate(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        return copy < 0 ? negative_errno() : copy;
}

static void on_detached(void *userdata);

static int make_terminal_streams(GuestProcess *p)
{
        _cleanup_close_ int in = -EBADF, out = -EBADF;
        int r = 0;

        if (wants_stream(p, GUEST_STDIN)) {
                r = in = duplicate(p->terminal_fd);
                if (r >= 0)
                        r = make_input(p, &in, true);
        }
        if (r >= 0 && wants_stream(p, GUEST_STDOUT)) {
                r = out = duplicate(p->terminal_fd);
                if (r >= 0)
                        r = make_output(p, GUEST_STDOUT, &out);
        }
        if (r >= 0 && p->hangup && p->out[0])
                stdio_out_on_detach(p->out[0], on_detached, p);
        return r;
}

void guest_process_set_terminal(GuestProcess *p, int fd)
{
        int r;

        if (p->exited || p->terminal_fd >= 0) {
                safe_close(fd);
                return;
        }

        p->terminal_fd = fd;
        /* One that the request names all the same has its end at once. */
        p->claims[GUEST_STDERR].fd = safe_close(p->claims[GUEST_STDERR].fd);
        r = make_terminal_streams(p);
        if (r < 0)
                log_error_errno(r, "The terminal of a process has no streams");
}

int guest_process_resize(GuestProcess *p, uint32_t rows, uint32_t columns)
{
        const struct winsize size = {
                .ws_row = (unsigned short) MIN(rows, (uint32_t) UINT16_MAX),
                .ws_col = (unsigned short) MIN(columns, (uint32_t) UINT16_MAX),
        };

        if (p->terminal_fd < 0)
                return -ENOTTY;
        return ioctl(p->terminal_fd, TIOCSWINSZ, &size) < 0 ? negative_errno() : 0;
}

/* The kernel sends SIGHUP to the session's leader and to the job in the foreground. */
static void hang_up(GuestProcess *p)
{
        stdio_in_free(p->in);
        p->in = NULL;
        if (p->out[0])
                stdio_out_hang_up(p->out[0]);
        p->terminal_fd = safe_close(p->terminal_fd);
}

static void on_hangup_timer(LoopSource *source, void *userdata)
{
        GuestProcess *p = userdata;

        if (p->exited || p->terminal_fd < 0 || !p->out[0] || stdio_out_is_attached(p->out[0]))
                return;
        log_info("Hanging up a terminal that the host has left");
        hang_up(p);
}

static void on_detached(void *userdata)
{
        GuestProcess *p = userdata;
        usec_t when = now_usec() + HANGUP_USEC;
        int r = 0;

        if (p->exited || p->terminal_fd < 0)
                return;
        if (p->hangup_timer)
                (void) loop_source_set_time(p->hangup_timer, when);
        else
                r = loop_add_time(sandbox_loop(p->sandbox), &p->hangup_timer, when, on_hangup_timer, p);
        if (r < 0)
                log_oom();
}

void guest_process_set_hangup(GuestProcess *p)
{
        p->hangup = true;
}

StdioOut *guest_process_stdout(const GuestProcess *p)
{
        return p->out[0];
}

StdioOut *guest_process_stderr(const GuestProcess *p)
{
        return p->out[1];
}

StdioIn *guest_process_stdin(const GuestProcess *p)
{
        return p->in;
}

/* The end. */

static void answer_waiters(GuestProcess *p)
{
        Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;

        response.status = p->status;
        while (p->waiters) {
                Waiter *waiter = p->waiters;

                p->waiters = waiter->next;
                p->answered = true;
                request_reply(waiter->request, &response.base);
                free(waiter);
        }
}

void guest_process_set_exited(GuestProcess *p, int status)
{
        if (p->exited)
                return;

        p->exited = true;
        p->status = status;
        stdio_in_free(p->in);
        p->in = NULL;
        p->terminal_fd = safe_close(p->terminal_fd);
        p->hangup_timer = loop_source_free(p->hangup_timer);
        for (unsigned i = 0; i < ELEMENTSOF(p->out); i++)
                stdio_out_process_gone(p->out[i]);
        answer_waiters(p);
}

bool guest_process_exited(const GuestProcess *p, int *ret_status)
{
        if (p->exited)
                *ret_status = p->status;
        return p->exited;
}

static void on_wait_cancelled(Request *request, void *userdata)
{
        GuestProcess *p = userdata;

        for (Waiter **at = &p->waiters; *at; at = &(*at)->next)
                if ((*at)->request == request) {
                        Waiter *waiter = *at;

                        *at = waiter->next;
                        free(waiter);
                        return;
                }
}

void guest_process_wait(GuestProcess *p, Request *request)
{
        Waiter *waiter = new0(Waiter, 1);

        if (!waiter)
                return request_fail_errno(request, -ENOMEM, NULL);

        *waiter = (Waiter) { .next = p->waiters, .request = request };
        p->waiters = waiter;
        request_on_cancel(request, on_wait_cancelled, p);
        if (p->exited)
                answer_waiters(p);
}

bool guest_process_was_answered(const GuestProcess *p)
{
        return p->answered;
}

void guest_process_linger(GuestProcess *p)
{
        for (unsigned i = 0; i < ELEMENTSOF(p->out); i++)
                if (p->out[i] && stdio_out_is_attached(p->out[i]) && !stdio_out_is_done(p->out[i])) {
                        stdio_out_on_detach(p->out[i], NULL, NULL);
                        sandbox_linger(p->sandbox, TAKE_PTR(p->out[i]));
                }
}

bool guest_process_is_drained(const GuestProcess *p)
{
        for (unsigned i = 0; i < ELEMENTSOF(p->out); i++)
                if (p->out[i] && !stdio_out_is_done(p->out[i]) && !stdio_out_is_unused(p->out[i]))
                        return false;

        return true;
}
