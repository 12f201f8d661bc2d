/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shells for the host: see debug-console.h. Guest side, as PID 1. A session is open until its shell exits or
 * the host hangs up; it is freed once its processes are reaped and its cgroup is gone.
 */

#include "agent/debug-console.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/ring.h"

/* What a terminal in canonical mode takes for the end of the file. */
#define TERMINAL_EOF "\004"
#define EOF_INTERVAL_USEC (500 * USEC_PER_MSEC)
#define HANGUP_GRACE_USEC (500 * USEC_PER_MSEC)
#define FLUSH_MAX_USEC (10 * USEC_PER_SEC)
#define REMOVE_INTERVAL_USEC (20 * USEC_PER_MSEC)

typedef struct DebugSession DebugSession;

typedef enum SessionPhase {
        SESSION_OPEN,
        SESSION_EXITED,         /* the shell is gone, its output is on the way */
        SESSION_CLOSED,         /* no stream, no terminal: only processes and cgroup are left */
} SessionPhase;

struct DebugSession {
        DebugConsole *console;
        DebugSession *next;
        unsigned number;
        SessionPhase phase;

        int stream_fd, pty_fd;
        LoopSource *stream_source, *pty_source;         /* NULL while there is nothing to wait for */
        bool stream_eof;
        Ring to_pty, to_stream;

        pid_t pid;              /* 0: reaped */
        LoopSource *child, *timer;
        Cgroup cgroup;
};

struct DebugConsole {
        Loop *loop;
        DebugConsoleParams params;
        DebugSession *sessions;
        unsigned n_sessions, last_number;
};

static const char *find_shell(const DebugConsole *console)
{
        static const char *const shells[] = { DEBUG_MOUNT_POINT "/bin/sh", "/bin/bash", "/bin/sh" };

        if (console->params.shell)
                return console->params.shell;
        for (size_t i = 0; i < ELEMENTSOF(shells); i++)
                if (access(shells[i], X_OK) >= 0)
                        return shells[i];

        return NULL;
}

/* --- the end --- */

static void session_free(DebugSession *s)
{
        DebugConsole *console = s->console;

        for (DebugSession **p = &console->sessions; *p; p = &(*p)->next)
                if (*p == s) {
                        *p = s->next;
                        console->n_sessions--;
                        break;
                }

        loop_source_free(s->stream_source);
        loop_source_free(s->pty_source);
        loop_source_free(s->child);
        loop_source_free(s->timer);
        safe_close(s->stream_fd);
        safe_close(s->pty_fd);
        ring_done(&s->to_pty);
        ring_done(&s->to_stream);
        cgroup_done(&s->cgroup);
        free(s);
}

static void session_kill(DebugSession *s)
{
        if (s->cgroup.fd >= 0)
                (void) cgroup_kill(&s->cgroup);
        /* Not reaped yet, so the number is still that of the shell and its process group. */
        if (s->pid > 0) {
                (void) kill(-s->pid, SIGKILL);
                (void) kill(s->pid, SIGKILL);
        }
}

static void close_stream(DebugSession *s)
{
        s->stream_source = loop_source_free(s->stream_source);
        s->stream_fd = safe_close(s->stream_fd);
}

/* The kernel sends SIGHUP to the shell and to the job in the foreground. */
static void close_pty(DebugSession *s)
{
        s->pty_source = loop_source_free(s->pty_source);
        s->pty_fd = safe_close(s->pty_fd);
}

static void session_close(DebugSession *s, const char *why)
{
        if (s->phase == SESSION_CLOSED)
                return;

        log_notice("Debug session %u ended: %s", s->number, why);
        close_stream(s);
        close_pty(s);
        (void) loop_source_set_time(s->timer, now_usec() + (s->phase == SESSION_OPEN ? HANGUP_GRACE_USEC : 0));
        s->phase = SESSION_CLOSED;
}

static void session_try_free(DebugSession *s)
{
        session_kill(s);
        if (s->pid == 0 && (s->cgroup.fd < 0 || cgroup_remove(&s->cgroup) >= 0))
                session_free(s);
        else
                (void) loop_source_set_time(s->timer, now_usec() + REMOVE_INTERVAL_USEC);
}

/* --- bytes --- */

static void on_stream(LoopSource *source, int fd, uint32_t events, void *userdata);
static void on_pty(LoopSource *source, int fd, uint32_t events, void *userdata);

static int write_terminal(int fd, const void *p, size_t n)
{
        ssize_t k = write(fd, p, n);

        return k < 0 ? negative_errno() : (int) k;
}

/* A stream whose peer is gone must not raise SIGPIPE in PID 1. */
static int write_stream(int fd, const void *p, size_t n)
{
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        return k < 0 ? negative_errno() : (int) k;
}

static int flush_ring(Ring *ring, int fd, int (*put)(int fd, const void *p, size_t n))
{
        for (;;) {
                size_t n;
                const void *p = ring_peek(ring, &n);
                int r;

                if (n == 0)
                        return 0;
                r = put(fd, p, n);
                if (r < 0)
                        return r == -EAGAIN || r == -EINTR ? 0 : r;
                ring_sent(ring, (size_t) r);
        }
}

static bool has_data(const Ring *ring)
{
        size_t n;

        (void) ring_peek(ring, &n);
        return n > 0;
}

static int watch(DebugSession *s, LoopSource **source, int fd, uint32_t events, LoopFdHandler handler)
{
        if (*source)
                return loop_source_set_events(*source, events);

        return loop_add_fd(s->console->loop, source, fd, events, handler, s);
}

/* Moves what can be moved and waits for the rest. May close the session, never frees it. */
static void session_advance(DebugSession *s)
{
        uint32_t stream_events, pty_events;
        int r;

        if (s->phase == SESSION_CLOSED)
                return;

        /* An error of the terminal: nobody has it open any more, which reading notices as well. */
        if (s->pty_fd >= 0 && flush_ring(&s->to_pty, s->pty_fd, write_terminal) < 0)
                close_pty(s);
        r = flush_ring(&s->to_stream, s->stream_fd, write_stream);
        if (r < 0) {
                session_close(s, "the host hung up");
                return;
        }
        if (s->pty_fd < 0 && s->phase == SESSION_EXITED && !has_data(&s->to_stream)) {
                session_close(s, "the shell exited");
                return;
        }

        /* The source of the stream stays in any case: it tells that the host has hung up. */
        stream_events = (!s->stream_eof && ring_space(&s->to_pty) > 0 ? EPOLLIN : 0) |
                        (has_data(&s->to_stream) ? EPOLLOUT : 0);
        r = watch(s, &s->stream_source, s->stream_fd, stream_events, on_stream);

        /* That of the terminal goes: while its output has no room, an end would be told again and again. */
        pty_events = (ring_space(&s->to_stream) > 0 ? EPOLLIN : 0) |
                     (has_data(&s->to_pty) ? EPOLLOUT : 0);
        if (s->pty_fd < 0 || ring_space(&s->to_stream) == 0)
                s->pty_source = loop_source_free(s->pty_source);
        else if (r >= 0)
                r = watch(s, &s->pty_source, s->pty_fd, pty_events, on_pty);
        if (r < 0)
                session_close(s, strerror(-r));
}

static void on_stream(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        DebugSession *s = userdata;
        uint8_t buf[KIB(4)];
        size_t space = MIN(ring_space(&s->to_pty), sizeof(buf));
        ssize_t k;

        if (events & (EPOLLHUP | EPOLLERR)) {
                session_close(s, "the host hung up");
                return;
        }

        if (space > 0 && !s->stream_eof) {
                k = recv(fd, buf, space, MSG_DONTWAIT);
                if (k > 0)
                        (void) ring_write(&s->to_pty, buf, (size_t) k);
                else if (k == 0) {
                        s->stream_eof = true;
                        if (s->phase == SESSION_OPEN)
                                (void) loop_source_set_time(s->timer, 0);
                } else if (errno != EAGAIN && errno != EINTR) {
                        session_close(s, "the host hung up");
                        return;
                }
        }
        session_advance(s);
}

static void on_pty(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        DebugSession *s = userdata;
        uint8_t buf[KIB(4)];
        size_t space = MIN(ring_space(&s->to_stream), sizeof(buf));
        ssize_t k;

        if (space > 0) {
                k = read(fd, buf, space);
                if (k > 0)
                        (void) ring_write(&s->to_stream, buf, (size_t) k);
                else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                        /* EIO: the last process that had it open has closed it. */
                        close_pty(s);
        }
        session_advance(s);
}

/*
 * The host has ended its direction. Programs of the session may take the end of file before the shell does,
 * so it is repeated until the shell exits, or the host is gone altogether: AF_VSOCK reports that to a writer
 * only.
 */
static void session_end_input(DebugSession *s)
{
        if (send(s->stream_fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) {
                session_close(s, "the host hung up");
                return;
        }

        if (!has_data(&s->to_pty))
                (void) ring_write(&s->to_pty, TERMINAL_EOF, strlen(TERMINAL_EOF));
        (void) loop_source_set_time(s->timer, now_usec() + EOF_INTERVAL_USEC);
        session_advance(s);
}

static void on_timer(LoopSource *source, void *userdata)
{
        DebugSession *s = userdata;

        switch (s->phase) {
        case SESSION_OPEN:
                session_end_input(s);
                break;
        case SESSION_EXITED:
                session_close(s, "the shell exited, the host did not take its last output");
                break;
        case SESSION_CLOSED:
                session_try_free(s);
                break;
        }
}

static void on_child(LoopSource *source, pid_t pid, int code, int status, void *userdata)
{
        DebugSession *s = userdata;

        s->child = loop_source_free(s->child);
        s->pid = 0;
        if (s->phase == SESSION_CLOSED) {
                session_try_free(s);
                return;
        }

        /* What it left in the background holds the terminal open. */
        s->phase = SESSION_EXITED;
        session_kill(s);
        (void) loop_source_set_time(s->timer, now_usec() + FLUSH_MAX_USEC);
        session_advance(s);
}

/* --- the beginning --- */

static void _noreturn_ run_shell(const char *shell, int terminal, int cgroup_fd)
{
        static const char *const environment[] = {
                "PATH=" DEBUG_MOUNT_POINT "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "TERM=linux",
                "USER=root", "ENV=" DEBUG_MOUNT_POINT "/etc/shrc", "PS1=\\h:\\w# ", NULL,
        };
        const char *const argv[] = { "sh", NULL };
        struct sigaction sa = { .sa_handler = SIG_DFL };
        const struct winsize size = { .ws_row = 24, .ws_col = 80 };
        sigset_t none;

        log_set_target(NULL);
        for (int sig = 1; sig < NSIG; sig++)
                (void) sigaction(sig, &sa, NULL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);

        if (cgroup_fd >= 0 && write_string_file_at(cgroup_fd, "cgroup.procs", "0") < 0)
                _exit(126);
        if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0)
                _exit(126);
        (void) ioctl(terminal, TIOCSWINSZ, &size);
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
                if (dup2(terminal, fd) < 0)
                        _exit(126);
        if (syscall(SYS_close_range, 3, ~0U, 0) < 0 || chdir("/") < 0)
                _exit(126);

        (void) execve(shell, (char *const *) (uintptr_t) argv, (char *const *) (uintptr_t) environment);
        dprintf(STDERR_FILENO, "%s: %s\n", shell, strerror(errno));
        _exit(127);
}

static int open_terminal(int *ret_master, int *ret_slave)
{
        _cleanup_close_ int master = -EBADF, slave = -EBADF;
        int unlock = 0;

        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return negative_errno();
        slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return negative_errno();

        *ret_master = TAKE_FD(master);
        *ret_slave = TAKE_FD(slave);
        return 0;
}

static int session_fork(DebugSession *s, const char *shell, int terminal)
{
        _cleanup_(pidref_done) PidRef child = PIDREF_NULL;
        pid_t pid;
        int r;

        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0)
                run_shell(shell, terminal, s->cgroup.fd);

        r = pidref_set(&child, pid);
        if (r >= 0)
                r = loop_add_child(s->console->loop, &s->child, &child, on_child, s);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }

        s->pid = pid;
        return 0;
}

static int session_start(DebugSession *s, const char *shell)
{
        _cleanup_close_ int terminal = -EBADF;
        _cleanup_free_ char *message = NULL;
        char name[32];
        int r;

        r = ring_init(&s->to_pty, DEBUG_RING_SIZE);
        if (r >= 0)
                r = ring_init(&s->to_stream, DEBUG_RING_SIZE);
        if (r >= 0)
                r = loop_add_time(s->console->loop, &s->timer, USEC_INFINITY, on_timer, s);
        if (r >= 0)
                r = open_terminal(&s->pty_fd, &terminal);
        if (r >= 0 && s->console->params.cgroup_root) {
                /* ':' is in no name of a container's cgroup. */
                snprintf(name, sizeof(name), "debug:%u", s->number);
                r = cgroup_create(&s->cgroup, s->console->params.cgroup_root, name, &message);
        }
        if (r >= 0)
                r = session_fork(s, shell, terminal);
        if (r < 0 && s->cgroup.fd >= 0)
                (void) cgroup_remove(&s->cgroup);
        return r;
}

int debug_console_accept(DebugConsole *console, int *fd)
{
        const char *shell = find_shell(console);
        DebugSession *s;
        int r;

        if (!shell)
                return -ENOENT;
        if (console->n_sessions >= DEBUG_SESSIONS_MAX)
                return -EMFILE;
        r = fd_set_nonblock(*fd, true);
        if (r < 0)
                return r;

        s = new0(DebugSession, 1);
        if (!s)
                return -ENOMEM;
        *s = (DebugSession) {
                .console = console, .next = console->sessions, .number = ++console->last_number,
                .stream_fd = -EBADF, .pty_fd = -EBADF, .cgroup = CGROUP_NULL,
        };
        console->sessions = s;
        console->n_sessions++;

        r = session_start(s, shell);
        if (r < 0) {
                session_free(s);
                return r;
        }

        s->stream_fd = TAKE_FD(*fd);
        log_notice("Debug session %u began: %s", s->number, shell);
        session_advance(s);
        return 0;
}

unsigned debug_console_sessions(const DebugConsole *console)
{
        return console->n_sessions;
}

int debug_console_new(DebugConsole **ret, Loop *loop, const DebugConsoleParams *params)
{
        DebugConsole *console = new0(DebugConsole, 1);

        if (!console)
                return -ENOMEM;

        *console = (DebugConsole) { .loop = loop, .params = *params };
        *ret = console;
        return 0;
}

DebugConsole *debug_console_free(DebugConsole *console)
{
        if (!console)
                return NULL;

        while (console->sessions) {
                DebugSession *s = console->sessions;

                session_kill(s);
                if (s->pid > 0)
                        (void) waitpid(s->pid, NULL, 0);
                session_free(s);
        }
        free(console);
        return NULL;
}
