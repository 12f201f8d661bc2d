/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-shim: the host's process for one process of a container. Whoever called the runtime waits for it, signals
 * it and resizes its terminal, as if the program in the machine were this one.
 *
 *      kata-runtime                            kata-shim
 *      fork, exec                      →
 *                                      ←       "R" on the sync descriptor: FIFOs are there
 *      Create or Exec, with the FIFOs
 *      "G"                             →       Wait; streams, signals and sizes are passed on
 *
 * An end of the sync descriptor before "G" ends it. It is in the caller's session and has no parent that matters;
 * its exit status is that of the process. When the supervisor is restarted the connection is made anew; when the
 * sandbox is gone, so is the process: 137.
 */

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/unix-socket.h"
#include "proto/task.pb-c.h"
#include "runtime/proxy/stdio-relay.h"
#include "runtime/proxy/task-calls.h"

#define SOCKET_NAME "task.sock"
#define EXIT_KILLED (128 + SIGKILL)
/* A supervisor comes back within seconds or not at all. */
#define RECONNECT_USEC (60 * USEC_PER_SEC)
#define RECONNECT_STEP_MSEC 100
/* Output that a process has left to others: the supervisor gives it ten seconds. */
#define DRAIN_USEC (12 * USEC_PER_SEC)
#define FORGET_USEC (5 * USEC_PER_SEC)

typedef struct Proxy {
        const char *sandbox_dir, *directory;
        const char *root;               /* what this process is to have as its root; NULL: the host's */
        int sandbox_fd;                 /* is the working directory */
        char *id, *exec_id;
        bool terminal, with_stdin;
        int sync_fd, signal_fd;

        TaskCalls calls;
        StdioRelay io;
        bool waiting;           /* Wait is in flight */
        bool stdin_ended;       /* CloseIO is due, or was sent */
        bool exited;
        int status;
        struct termios before;  /* with terminal */
        bool forgetting;        /* Delete is in flight */
        usec_t deadline;        /* of the reconnection, then of the rest of the output; 0: none */
} Proxy;

static void help(void)
{
        printf("kata-shim [OPTIONS...]\n\n"
               "Stands for one process of a container on the host; started by kata-runtime.\n\n"
               "     --sandbox DIR      Directory of the sandbox, with its task.sock\n"
               "     --id ID            The container\n"
               "     --exec-id ID       A further process of it\n"
               "     --directory DIR    Where the FIFOs of the streams are made\n"
               "     --sync-fd FD       Socket to kata-runtime\n"
               "     --root DIR         Mount point that becomes the root directory of this process\n"
               "     --terminal         Standard streams are a terminal\n"
               "     --no-stdin         The process has no standard input\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n\n"
               "See kata-shim(8).\n");
}

/* --- calls --- */

static void on_wait(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n,
                    void *userdata)
{
        Containerd__Task__V2__WaitResponse *response;
        _cleanup_pb_arena_ PbArena arena;
        Proxy *p = userdata;

        pb_arena_init(&arena, 0);
        p->waiting = false;
        /* Asked again over the next connection. */
        if (error == -ECONNRESET)
                return;

        if (error >= 0)
                error = pb_unpack(&containerd__task__v2__wait_response__descriptor, &arena, payload, n,
                                  &response);
        if (error >= 0)
                p->status = (int) (response->exit_status & 0xff);
        else {
                /* The container, or the sandbox, is gone. */
                log_error("Container '%s': %s", p->id, error_text(text, error));
                p->status = EXIT_KILLED;
        }
        p->exited = true;
        p->deadline = now_usec() + DRAIN_USEC;
        stdio_relay_set_exited(&p->io);
}

static void send_wait(Proxy *p)
{
        Containerd__Task__V2__WaitRequest q = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;

        q.id = p->id;
        q.exec_id = p->exec_id;
        q.stands_for = true;
        p->waiting = task_call(&p->calls, "Wait", &q.base, on_wait) >= 0;
}

static void send_close(Proxy *p)
{
        Containerd__Task__V2__CloseIORequest q = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;

        q.id = p->id;
        q.exec_id = p->exec_id;
        q.stdin = true;
        (void) task_call(&p->calls, "CloseIO", &q.base, NULL);
}

static void send_size(Proxy *p)
{
        Containerd__Task__V2__ResizePtyRequest q = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
        struct winsize size;

        if (!p->terminal || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
                return;
        q.id = p->id;
        q.exec_id = p->exec_id;
        q.width = size.ws_col;
        q.height = size.ws_row;
        (void) task_call(&p->calls, "ResizePty", &q.base, NULL);
}

static void send_signal(Proxy *p, uint32_t sig)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

        q.id = p->id;
        q.exec_id = p->exec_id;
        q.signal = sig;
        if (task_call(&p->calls, "Kill", &q.base, NULL) < 0)
                log_warning("Signal %u was lost: there is no connection to the supervisor", sig);
}

/* --- the connection --- */

/* 1: connected, 0: later, negative: the sandbox is gone. */
static int try_connect(Proxy *p)
{
        struct stat st;
        int fd, r;

        /* Removed with the sandbox. */
        if (fstat(p->sandbox_fd, &st) < 0 || st.st_nlink == 0)
                return -ENOENT;
        r = unix_connect_at(AT_FDCWD, SOCKET_NAME, &fd);
        if (r < 0)
                return 0;
        task_calls_set_socket(&p->calls, fd);
        p->deadline = 0;
        send_wait(p);
        if (p->stdin_ended)
                send_close(p);
        send_size(p);
        return 1;
}

static void keep_connected(Proxy *p)
{
        int r;

        if (p->calls.fd >= 0 || p->exited)
                return;
        if (p->deadline == 0)
                p->deadline = now_usec() + RECONNECT_USEC;
        r = try_connect(p);
        if (r > 0 || (r == 0 && now_usec() < p->deadline))
                return;

        log_error("Container '%s': the sandbox is gone", p->id);
        p->exited = true;
        p->status = EXIT_KILLED;
        p->deadline = now_usec() + DRAIN_USEC;
        stdio_relay_set_exited(&p->io);
}

/* --- signals --- */

static int catch_signals(Proxy *p)
{
        struct sigaction ignore = { .sa_handler = SIG_IGN };
        sigset_t set;

        sigfillset(&set);
        /* Those that tell of a fault of this program are not the container's. */
        sigdelset(&set, SIGSEGV);
        sigdelset(&set, SIGBUS);
        sigdelset(&set, SIGFPE);
        sigdelset(&set, SIGILL);
        sigdelset(&set, SIGABRT);
        if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigprocmask(SIG_SETMASK, &set, NULL) < 0)
                return negative_errno();
        p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return p->signal_fd < 0 ? negative_errno() : 0;
}

static void take_signals(Proxy *p)
{
        struct signalfd_siginfo si;

        while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t) sizeof(si))
                switch (si.ssi_signo) {
                case SIGWINCH:
                        send_size(p);
                        break;
                /* Of this process, not for it. */
                case SIGCHLD:
                case SIGPIPE:
                case SIGURG:
                case SIGTTIN:
                case SIGTTOU:
                        break;
                default:
                        send_signal(p, si.ssi_signo);
                }
}

/* --- the loop --- */

static int run_once(Proxy *p)
{
        enum { SIGNALS, CALLS, STREAMS, _MAX = STREAMS + STDIO_RELAY_POLLS };
        struct pollfd polls[_MAX] = {
                [SIGNALS] = { .fd = p->signal_fd, .events = POLLIN },
                [CALLS] = { .fd = p->calls.fd, .events = task_calls_events(&p->calls) },
        };
        int r;

        stdio_relay_poll(&p->io, polls + STREAMS);
        r = poll(polls, _MAX, p->calls.fd < 0 || p->exited ? RECONNECT_STEP_MSEC : -1);
        if (r < 0)
                return errno == EINTR ? 0 : negative_errno();

        if (polls[SIGNALS].revents)
                take_signals(p);
        if (polls[CALLS].revents && p->calls.fd >= 0)
                (void) task_calls_process(&p->calls);
        r = stdio_relay_process(&p->io, polls + STREAMS);
        if (r > 0) {
                p->stdin_ended = true;
                send_close(p);
                r = 0;
        }
        return r;
}

static int run(Proxy *p)
{
        while (!p->exited || (!stdio_relay_is_done(&p->io) && now_usec() < p->deadline)) {
                int r;

                /* What has arrived is not dropped because the caller takes its time. */
                if (p->exited && stdio_relay_has_output(&p->io))
                        p->deadline = now_usec() + DRAIN_USEC;
                keep_connected(p);
                r = run_once(p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_forgotten(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n,
                         void *userdata)
{
        Proxy *p = userdata;

        p->forgetting = false;
}

/* Nobody else deletes a further process; the container's first one is the runtime's to delete. */
static void forget_exec(Proxy *p)
{
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
        usec_t end = now_usec() + FORGET_USEC;

        q.id = p->id;
        q.exec_id = p->exec_id;
        p->forgetting = task_call(&p->calls, "Delete", &q.base, on_forgotten) >= 0;
        while (p->forgetting && p->calls.fd >= 0 && now_usec() < end)
                if (fd_wait(p->calls.fd, task_calls_events(&p->calls), RECONNECT_STEP_MSEC) > 0)
                        (void) task_calls_process(&p->calls);
}

/* --- start --- */

/* Lines, echo and ^C are the business of the terminal in the guest. This one may be somebody's shell's afterwards. */
static int set_up_terminal(Proxy *p)
{
        struct termios raw;

        if (tcgetattr(STDIN_FILENO, &p->before) < 0)
                return negative_errno();
        raw = p->before;
        cfmakeraw(&raw);
        return tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0 ? negative_errno() : 0;
}

static int wait_for_go(Proxy *p)
{
        char c = 'R';
        int r;

        r = write_full(p->sync_fd, &c, 1);
        if (r >= 0)
                r = read_full(p->sync_fd, &c, 1);
        p->sync_fd = safe_close(p->sync_fd);
        if (r < 0)
                return r;
        return c == 'G' ? 0 : -ECANCELED;
}

/* The host's tree goes away; what is open of it stays. The mount namespace is this process's own. */
static int enter_root(const Proxy *p, char **reterr_message)
{
        int r = 0;

        if (chdir(p->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                r = negative_errno();
        return r < 0 ? error_setf(reterr_message, r, "root directory %s: %s", p->root, strerror(-r)) : 0;
}

/* Nothing is said on it before "R": all that can come is the end of whoever started us. */
static bool is_orphan(const Proxy *p)
{
        return fd_wait(p->sync_fd, POLLIN, 0) > 0;
}

static int start(Proxy *p, char **reterr_message)
{
        int r;

        p->sandbox_fd = open(p->sandbox_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (p->sandbox_fd < 0)
                return error_setf(reterr_message, negative_errno(), "%s: %s", p->sandbox_dir, strerror(errno));
        r = catch_signals(p);
        /* The directory may be another container's by now. */
        if (r >= 0 && is_orphan(p))
                r = error_setf(reterr_message, -ECANCELED, "kata-runtime has ended early");
        if (r >= 0 && p->terminal)
                r = set_up_terminal(p);
        if (r >= 0)
                r = stdio_relay_new(&p->io, p->directory, p->terminal, p->with_stdin, reterr_message);
        if (r >= 0 && p->root)
                r = enter_root(p, reterr_message);
        if (r >= 0 && fchdir(p->sandbox_fd) < 0)
                r = negative_errno();
        return r;
}

static int parse_argv(Proxy *p, int argc, char *argv[])
{
        enum { ARG_VERSION = 0x100, ARG_SANDBOX, ARG_ID, ARG_EXEC_ID, ARG_DIRECTORY, ARG_SYNC_FD, ARG_ROOT,
               ARG_TERMINAL, ARG_NO_STDIN };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "sandbox", required_argument, NULL, ARG_SANDBOX },
                { "id", required_argument, NULL, ARG_ID },
                { "exec-id", required_argument, NULL, ARG_EXEC_ID },
                { "directory", required_argument, NULL, ARG_DIRECTORY },
                { "sync-fd", required_argument, NULL, ARG_SYNC_FD },
                { "root", required_argument, NULL, ARG_ROOT },
                { "terminal", no_argument, NULL, ARG_TERMINAL },
                { "no-stdin", no_argument, NULL, ARG_NO_STDIN },
                {}
        };
        uint32_t fd;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        puts("kata-shim " PROJECT_VERSION);
                        return 0;
                case ARG_SANDBOX:
                        p->sandbox_dir = optarg;
                        break;
                case ARG_ID:
                        p->id = optarg;
                        break;
                case ARG_EXEC_ID:
                        p->exec_id = optarg;
                        break;
                case ARG_DIRECTORY:
                        p->directory = optarg;
                        break;
                case ARG_SYNC_FD:
                        if (parse_u32(optarg, &fd) < 0 || fd <= STDERR_FILENO || fd > INT32_MAX) {
                                log_error("--sync-fd '%s' is no descriptor", optarg);
                                return EXIT_FAILURE;
                        }
                        p->sync_fd = (int) fd;
                        break;
                case ARG_ROOT:
                        p->root = optarg;
                        break;
                case ARG_TERMINAL:
                        p->terminal = true;
                        break;
                case ARG_NO_STDIN:
                        p->with_stdin = false;
                        break;
                default:
                        return EXIT_FAILURE;
                }

        if (optind < argc || !p->sandbox_dir || !p->directory || !*p->id || p->sync_fd < 0) {
                log_error("--sandbox, --id, --directory and --sync-fd are needed, and nothing else");
                return EXIT_FAILURE;
        }
        return -1;
}

int main(int argc, char *argv[])
{
        static char empty[1];
        Proxy p = { .id = empty, .exec_id = empty, .with_stdin = true, .sync_fd = -EBADF, .signal_fd = -EBADF,
                    .sandbox_fd = -EBADF, .io.dir_fd = -EBADF };
        _cleanup_free_ char *message = NULL;
        int r = parse_argv(&p, argc, argv);

        if (r >= 0)
                return r;

        task_calls_init(&p.calls, &p);
        (void) fd_set_cloexec(p.sync_fd, true);
        r = start(&p, &message);
        if (r < 0)
                log_error("Container '%s': %s", p.id, error_text(message, r));
        else if (wait_for_go(&p) < 0)
                /* kata-runtime says why. */
                r = -ECANCELED;
        else {
                r = run(&p);
                if (r < 0)
                        (void) log_error_errno(r, "Container '%s'", p.id);
                else if (*p.exec_id)
                        forget_exec(&p);
                if (p.terminal)
                        (void) tcsetattr(STDIN_FILENO, TCSANOW, &p.before);
        }
        stdio_relay_done(&p.io);
        if (*p.exec_id)
                (void) rmdir(p.directory);
        task_calls_done(&p.calls);
        return r < 0 ? EXIT_FAILURE : p.status;
}
