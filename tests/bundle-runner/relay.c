/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams of containers: see relay.h. */

#include "tests/bundle-runner/relay.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "tests/bundle-runner/launch.h"
#include "tests/bundle-runner/session.h"


void relay_done(Relay *relay)
{
        for (size_t i = 0; i < _RELAY_MAX; i++)
                relay->fds[i] = safe_close(relay->fds[i]);
}

static bool is_wanted(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return false;
        return fd != STDIN_FILENO || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3);
}

int relay_connect(Relay *relay, const char *socket_path, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s.%d", socket_path, AGENT_STREAMS_PORT) < 0) {
                path = NULL;
                return -ENOMEM;
        }

        for (unsigned i = 0; i < _RELAY_MAX; i++) {
                /* A number of this process's own; the rest keeps it apart from streams to other agents. */
                uint32_t port = ((uint32_t) getpid() << 2 | i) + 1;
                char origin[100];
                int n, fd;

                /* The container's own /dev/null does for output that nobody takes. */
                if (!is_wanted((int) i))
                        continue;

                n = snprintf(origin, sizeof(origin), "%u%c%s", port, '\0', socket_path);
                if (n < 0 || (size_t) n >= sizeof(origin))
                        return -ENAMETOOLONG;
                fd = unix_connect(path, origin, (size_t) n);
                if (fd < 0)
                        return error_setf(reterr_message, fd, "stream to the agent: %s", strerror(-fd));
                relay->fds[i] = fd;
                relay->ports[i] = port;
        }

        return 0;
}

/* From 0 to 1. Output that nobody takes any more is thrown away: the container goes on. */
static _noreturn_ void copy_output(void)
{
        bool broken = false;
        char buf[65536];

        for (;;) {
                ssize_t k = read(STDIN_FILENO, buf, sizeof(buf));

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        _exit(EXIT_SUCCESS);
                broken = broken || write_full(STDOUT_FILENO, buf, (size_t) k) < 0;
        }
}

/* From 0 to the stream 1, which also says when the container does not want any more. */
static _noreturn_ void copy_input(void)
{
        char buf[65536];

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = STDOUT_FILENO, .events = POLLRDHUP },
                };
                ssize_t k;

                if (poll(fds, ELEMENTSOF(fds), -1) < 0)
                        continue;
                if (fds[1].revents)
                        _exit(EXIT_SUCCESS);
                k = read(STDIN_FILENO, buf, sizeof(buf));
                if (k < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (k <= 0 || write_full(STDOUT_FILENO, buf, (size_t) k) < 0)
                        _exit(EXIT_SUCCESS);
        }
}

static _noreturn_ void run(int from, int to, bool input)
{
        sigset_t none;

        /* Both may be standard streams themselves. */
        from = dup(from);
        to = dup(to);
        if (from < 0 || to < 0 || dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0 ||
            close_range(2, ~0U, 0) < 0 || setsid() < 0)
                _exit(EXIT_FAILURE);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        if (input)
                copy_input();
        copy_output();
}

int relay_start(Relay *relay)
{
        for (int i = 0; i < (int) _RELAY_MAX; i++) {
                bool input = i == RELAY_STDIN;

                if (relay->fds[i] < 0)
                        continue;
                relay->pids[i] = fork();
                if (relay->pids[i] < 0)
                        return negative_errno();
                if (relay->pids[i] == 0)
                        run(input ? i : relay->fds[i], input ? relay->fds[i] : i, input);
                relay->fds[i] = safe_close(relay->fds[i]);
        }

        return 0;
}

void relay_wait(Relay *relay)
{
        for (int i = (int) _RELAY_MAX - 1; i >= 0; i--) {
                if (relay->pids[i] <= 0)
                        continue;
                if (i == RELAY_STDIN)
                        (void) kill(relay->pids[i], SIGTERM);
                (void) waitpid(relay->pids[i], NULL, 0);
                relay->pids[i] = 0;
        }
}
