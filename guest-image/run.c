/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs of kata-image: see run.h. */

#include "guest-image/run.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/pidref.h"

/* Of standard error: the end says most. */
#define COMPLAINT_MAX KIB(4)

_noreturn_ static void child(const RunOptions *o, char **environment, pid_t parent, int out, int err)
{
        static const char *const path[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
            dup2(err, STDERR_FILENO) < 0)
                _exit(127);
        if (o->uid != 0 && (setgroups(0, NULL) < 0 || setgid(o->gid) < 0 || setuid(o->uid) < 0))
                goto fail;
        /* After the change of user, which clears it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                goto fail;
        if (o->dir && chdir(o->dir) < 0)
                goto fail;

        if (strchr(o->argv->v[0], '/'))
                execve(o->argv->v[0], o->argv->v, environment);
        else
                for (size_t i = 0; i < ELEMENTSOF(path); i++) {
                        char program[256];

                        if (snprintf(program, sizeof(program), "%s/%s", path[i], o->argv->v[0]) <
                            (int) sizeof(program))
                                execve(program, o->argv->v, environment);
                        if (errno != ENOENT)
                                break;
                }

fail:
        dprintf(STDERR_FILENO, "%s", strerror(errno));
        _exit(127);
}

static int make_environment(const RunOptions *o, Strv *ret)
{
        const char *apt = getenv("APT_CONFIG");
        char *s;
        int r;

        r = strv_add_many(ret, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                          NULL);
        if (r >= 0 && apt)
                r = strv_addf(ret, "APT_CONFIG=%s", apt);
        if (o->environment)
                STRV_FOREACH(s, o->environment)
                        if (r >= 0)
                                r = strv_add(ret, s);
        return r;
}

/* Standard error of the child goes to ours and into the file, until the last writer is gone. */
static int forward(int from, int file)
{
        char buf[4096];

        for (;;) {
                ssize_t k = read(from, buf, sizeof(buf));
                int r;

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        return k < 0 ? negative_errno() : 0;
                (void) write_full(STDERR_FILENO, buf, (size_t) k);
                r = write_full(file, buf, (size_t) k);
                if (r < 0)
                        return r;
        }
}

/* The last lines of what was on standard error, fit for one line of text. */
static char *complaint_of(int fd)
{
        _cleanup_free_ char *text = NULL;
        struct stat st;
        char *start;
        size_t n;

        if (fstat(fd, &st) < 0 ||
            lseek(fd, st.st_size > (off_t) COMPLAINT_MAX ? st.st_size - (off_t) COMPLAINT_MAX : 0,
                  SEEK_SET) < 0 ||
            read_fd_max(fd, COMPLAINT_MAX, &text, &n) < 0)
                return strdup("");

        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
                n--;
        start = text;
        if (st.st_size > (off_t) COMPLAINT_MAX) {
                char *newline = memchr(text, '\n', n);

                start = newline ? newline + 1 : text;
        }
        /* Programs of ours put "<PRIORITY>" before each line. */
        for (char *p = start; p < text + n; p++) {
                if ((p == start || p[-1] == ' ') && n - (size_t) (p - text) > 3 && p[0] == '<' &&
                    p[1] >= '0' && p[1] <= '7' && p[2] == '>') {
                        memmove(p, p + 3, n - (size_t) (p - text) - 3);
                        n -= 3;
                }
                if (*p == '\n')
                        *p = ' ';
        }
        n -= (size_t) (start - text);
        /* The end of it, if it does not fit. */
        if (n > 512) {
                start += n - 512;
                n = 512;
        }
        return text_escape(start, n, 600);
}

static int wait_for(pid_t pid, usec_t timeout, int *ret_status)
{
        int r = 0;

        if (timeout > 0) {
                _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;

                r = pidref_set(&ref, pid);
                if (r >= 0)
                        r = fd_wait(ref.fd, POLLIN, (int) (timeout / USEC_PER_MSEC));
                if (r == 0) {
                        (void) kill(pid, SIGTERM);
                        r = -ETIMEDOUT;
                }
        }

        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return negative_errno();

        return r < 0 ? r : 0;
}

int run_program(const RunOptions *o, char **ret, int *ret_status, char **ret_complaint,
                char **reterr_message)
{
        _cleanup_fclose_ FILE *out = tmpfile(), *err = tmpfile();
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
        _cleanup_free_ char *text = NULL, *complaint = NULL;
        _cleanup_(strv_done) Strv environment = {};
        pid_t pid, parent = getpid();
        int status = 0, r;

        if (!out || !err)
                return negative_errno();
        r = make_environment(o, &environment);
        if (r < 0)
                return r;
        if (o->forward) {
                int fds[2];

                if (pipe2(fds, O_CLOEXEC) < 0)
                        return negative_errno();
                read_end = fds[0];
                write_end = fds[1];
        }

        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0)
                child(o, environment.v, parent, fileno(out), o->forward ? write_end : fileno(err));

        write_end = safe_close(write_end);
        if (o->forward)
                (void) forward(read_end, fileno(err));
        r = wait_for(pid, o->timeout, &status);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' did not end: %s", o->argv->v[0],
                                  strerror(-r));

        complaint = complaint_of(fileno(err));
        if (!complaint)
                return -ENOMEM;
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 127 || (WEXITSTATUS(status) != 0 && !ret_status))
                return error_setf(reterr_message, EIO, "'%s' failed (%s %d): %s", o->argv->v[0],
                                  WIFEXITED(status) ? "exit status" : "signal",
                                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                                  complaint);

        if (lseek(fileno(out), 0, SEEK_SET) < 0)
                return negative_errno();
        r = read_fd_max(fileno(out), o->max, &text, o->ret_size);
        if (r < 0)
                return error_setf(reterr_message, r, "output of '%s' can not be read: %s",
                                  o->argv->v[0], strerror(-r));

        if (ret_status)
                *ret_status = WEXITSTATUS(status);
        if (ret_complaint)
                *ret_complaint = TAKE_PTR(complaint);
        if (ret)
                *ret = TAKE_PTR(text);
        return 0;
}

int run_capture_data(const Strv *argv, size_t max, char **ret, size_t *ret_size,
                     char **reterr_message)
{
        const RunOptions options = { .argv = argv, .max = max, .ret_size = ret_size };

        return run_program(&options, ret, NULL, NULL, reterr_message);
}

int run_capture(const Strv *argv, size_t max, char **ret, char **reterr_message)
{
        return run_capture_data(argv, max, ret, NULL, reterr_message);
}
