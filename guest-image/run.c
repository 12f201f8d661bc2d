/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs of the image build: see run.h. */

#include "guest-image/run.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"

_noreturn_ static void child(const Strv *argv, int out, int err)
{
        static char *const environment[] = {
                (char *) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                (char *) "LC_ALL=C.UTF-8",
                NULL,
        };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
            dup2(err, STDERR_FILENO) >= 0)
                execvpe(argv->v[0], argv->v, environment);

        dprintf(err, "%s", strerror(errno));
        _exit(127);
}

int run_capture_data(const Strv *argv, size_t max, char **ret, size_t *ret_size,
                     char **reterr_message)
{
        _cleanup_fclose_ FILE *out = tmpfile(), *err = tmpfile();
        _cleanup_free_ char *text = NULL, *complaint = NULL;
        int status, r;
        pid_t pid;

        if (!out || !err)
                return negative_errno();

        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0)
                child(argv, fileno(out), fileno(err));

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return negative_errno();

        if (lseek(fileno(out), 0, SEEK_SET) < 0 || lseek(fileno(err), 0, SEEK_SET) < 0)
                return negative_errno();

        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                size_t n;

                if (read_fd_max(fileno(err), 65536, &complaint, &n) < 0)
                        n = 0;
                while (n > 0 && (complaint[n - 1] == '\n' || complaint[n - 1] == ' '))
                        n--;

                _cleanup_free_ char *shown = text_escape(strempty(complaint), n, 512);
                return error_setf(reterr_message, EIO, "'%s' failed (%s %d): %s", argv->v[0],
                                  WIFEXITED(status) ? "exit status" : "signal",
                                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                                  strempty(shown));
        }

        r = read_fd_max(fileno(out), max, &text, ret_size);
        if (r < 0)
                return error_setf(reterr_message, r, "output of '%s' can not be read: %s", argv->v[0],
                                  strerror(-r));
        if (ret)
                *ret = TAKE_PTR(text);
        return 0;
}

int run_capture(const Strv *argv, size_t max, char **ret, char **reterr_message)
{
        return run_capture_data(argv, max, ret, NULL, reterr_message);
}
