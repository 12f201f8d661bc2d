/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime console: a shell in the guest, over the debug socket of the supervisor. */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/pump.h"
#include "runtime/unit/unit-name.h"
#include "basic/unix-socket.h"

#define SOCKET_NAME "debug.sock"
#define DETACH_KEY 0x1d         /* ^] */

static volatile int stop;

static void on_signal(int sig)
{
        stop = 1;
}

static int open_socket(const char *id)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int dir = -EBADF;
        int fd, r;

        if (asprintf(&path, "%s/%s", RUNDIR, id) < 0) {
                path = NULL;
                return log_oom();
        }
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0) {
                r = negative_errno();
                if (r == -ENOENT)
                        log_error("sandbox '%s' does not run: systemctl start kata-sandbox@%s", id, id);
                else
                        (void) log_error_errno(r, "%s", path);
                return r;
        }
        r = unix_connect_at(dir, SOCKET_NAME, &fd);
        if (r == -ENOENT || r == -ECONNREFUSED)
                log_error("sandbox '%s' has no debug console: set Debug=yes in its definition and start it again",
                          id);
        else if (r < 0)
                (void) log_error_errno(r, "%s/%s", path, SOCKET_NAME);
        return r < 0 ? r : fd;
}

static void catch_signals(void)
{
        static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
        struct sigaction catch = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaction(signals[i], &catch, NULL);
        (void) sigaction(SIGPIPE, &ignore, NULL);
}

int verb_console(const CliArgs *args)
{
        bool terminal = isatty(STDIN_FILENO);
        const char *id = args->words[0];
        _cleanup_close_ int fd = -EBADF;
        struct termios before, raw;
        int r;

        if (!sandbox_name_is_valid(id)) {
                log_error("'%s' is not a sandbox ID", id);
                return EXIT_FAILURE;
        }
        fd = open_socket(id);
        if (fd < 0)
                return EXIT_FAILURE;

        catch_signals();
        if (terminal) {
                if (tcgetattr(STDIN_FILENO, &before) < 0) {
                        (void) log_error_errno(errno, "the terminal");
                        return EXIT_FAILURE;
                }
                log_info("Connected to the guest of sandbox '%s'. Press ^] three times within a second to leave.",
                         id);
                raw = before;
                cfmakeraw(&raw);
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        }
        r = pump_run(STDIN_FILENO, STDOUT_FILENO, fd, terminal ? DETACH_KEY : -1, &stop);
        if (terminal)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);

        if (r < 0 && r != -ECANCELED) {
                (void) log_error_errno(r, "the console of sandbox '%s'", id);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
