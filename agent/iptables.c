/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the iptables family: see iptables.h. Their input is the host's, their rules may be a tenant's. */

#include "agent/iptables.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

/* Status that no program of the family has: our own exec failed. */
#define STATUS_NO_EXEC 126

static const char *const save4[] = { "/usr/sbin/iptables-save", "/sbin/iptables-save", NULL };
static const char *const restore4[] = { "/usr/sbin/iptables-restore", "/sbin/iptables-restore", NULL };
static const char *const save6[] = { "/usr/sbin/ip6tables-save", "/sbin/ip6tables-save", NULL };
static const char *const restore6[] = { "/usr/sbin/ip6tables-restore", "/sbin/ip6tables-restore", NULL };
static const char *const no_args[] = { NULL };
/* Somebody else may hold the lock of the tables for a moment. */
static const char *const wait_args[] = { "--wait", "5", NULL };

static const IptablesCommand commands[2][2] = {
        { { save4, no_args }, { restore4, wait_args } },
        { { save6, no_args }, { restore6, wait_args } },
};

const IptablesCommand *iptables_command(bool ipv6, bool restore)
{
        return &commands[ipv6][restore];
}

typedef struct Output {
        uint8_t *data;
        size_t n, allocated, max;
        bool keep_end;          /* over max the beginning goes; else -EFBIG */
} Output;

static int output_take(Output *o, const uint8_t *data, size_t n)
{
        if (n > o->max - o->n) {
                if (!o->keep_end)
                        return -EFBIG;
                /* n is no more than a read, and max more than that. */
                memmove(o->data, o->data + (n - (o->max - o->n)), o->max - n);
                o->n = o->max - n;
        }
        if (n > o->allocated - o->n) {
                size_t more = MAX(o->allocated * 2, o->n + n);
                uint8_t *p;

                more = MIN(more, o->max);
                p = realloc(o->data, more);
                if (!p)
                        return -ENOMEM;
                o->data = p;
                o->allocated = more;
        }
        memcpy(o->data + o->n, data, n);
        o->n += n;
        return 0;
}

/* Reads both until their ends. */
static int read_outputs(const int fds[2], Output outputs[2])
{
        struct pollfd polls[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };

        while (polls[0].fd >= 0 || polls[1].fd >= 0) {
                if (poll(polls, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                for (unsigned i = 0; i < 2; i++) {
                        uint8_t buf[256];
                        ssize_t n;
                        int r;

                        if (polls[i].fd < 0 || !polls[i].revents)
                                continue;
                        n = read(fds[i], buf, sizeof(buf));
                        if (n < 0 && errno == EINTR)
                                continue;
                        if (n < 0)
                                return negative_errno();
                        if (n == 0) {
                                polls[i].fd = -1;
                                continue;
                        }
                        r = output_take(&outputs[i], buf, (size_t) n);
                        if (r < 0)
                                return r;
                }
        }

        return 0;
}

static const char *find_program(const IptablesCommand *command)
{
        for (size_t i = 0; command->paths[i]; i++)
                if (access(command->paths[i], X_OK) >= 0)
                        return command->paths[i];

        return NULL;
}

/* The rules in a file without a name: no pipe that could fill up while we wait for output. */
static int make_input(const void *input, size_t n)
{
        _cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return negative_errno();
        r = write_full(fd, input, n);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return negative_errno();
        return TAKE_FD(fd);
}

static void _noreturn_ run_program(const IptablesCommand *command, const char *program, int in, int out,
                                   int err)
{
        const char *argv[8] = { strrchr(program, '/') + 1 };
        char *const env[] = { NULL };
        size_t n = 1;

        /* The worker has a deadline. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* Where the agent has no standard descriptors, these may be any of them. */
        in = fcntl(in, F_DUPFD_CLOEXEC, 3);
        out = fcntl(out, F_DUPFD_CLOEXEC, 3);
        err = fcntl(err, F_DUPFD_CLOEXEC, 3);
        for (size_t i = 0; command->args[i] && n + 1 < ELEMENTSOF(argv); i++)
                argv[n++] = command->args[i];
        if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
                _exit(STATUS_NO_EXEC);
        (void) execve(program, (char *const *) (uintptr_t) argv, env);
        _exit(STATUS_NO_EXEC);
}

static int judge(const char *program, int status, const Output *err, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n = err->n;

        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFSIGNALED(status))
                return error_setf(reterr_message, EIO, "%s was killed by signal %d", program,
                                  WTERMSIG(status));
        if (WEXITSTATUS(status) == STATUS_NO_EXEC)
                return error_setf(reterr_message, EIO, "%s could not be executed", program);

        while (n > 0 && err->data[n - 1] == '\n')
                n--;
        text = text_escape(n > 0 ? (const char *) err->data : "", n, IPTABLES_ERROR_MAX);
        if (!text)
                return -ENOMEM;
        return error_setf(reterr_message, WEXITSTATUS(status) <= 2 ? EINVAL : EIO,
                          "%s ended with status %d: %s", program, WEXITSTATUS(status), text);
}

int iptables_run(const IptablesCommand *command, const void *input, size_t n, uint8_t **ret,
                 size_t *ret_size, char **reterr_message)
{
        const char *program = find_program(command);
        _cleanup_close_ int in = -EBADF, out = -EBADF, err = -EBADF;
        Output outputs[2] = {
                { .max = IPTABLES_RULES_MAX }, { .max = IPTABLES_ERROR_MAX, .keep_end = true },
        };
        int p[2], q[2], status, r;
        pid_t pid;

        if (!program)
                return error_setf(reterr_message, EBUSY, "the guest image has no %s: build it with "
                                  "kata-image build --with iptables", command->paths[0]);
        if (n > IPTABLES_RULES_MAX)
                return error_setf(reterr_message, EFBIG, "rules of more than %zu bytes",
                                  IPTABLES_RULES_MAX);
        in = make_input(input, n);
        if (in < 0)
                return in;
        if (pipe2(p, O_CLOEXEC) < 0)
                return negative_errno();
        out = p[0];
        if (pipe2(q, O_CLOEXEC) < 0) {
                r = negative_errno();
                safe_close(p[1]);
                return r;
        }
        err = q[0];

        pid = fork();
        if (pid == 0)
                run_program(command, program, in, p[1], q[1]);
        r = pid < 0 ? negative_errno() : 0;
        safe_close(p[1]);
        safe_close(q[1]);
        if (r < 0)
                return r;

        r = read_outputs((const int[]) { out, err }, outputs);
        if (r < 0)
                (void) kill(pid, SIGKILL);
        if (waitpid(pid, &status, 0) < 0 && r >= 0)
                r = negative_errno();
        if (r == -EFBIG)
                error_setf(reterr_message, r, "%s printed more than %zu bytes", program, outputs[0].max);
        if (r >= 0)
                r = judge(program, status, &outputs[1], reterr_message);
        free(outputs[1].data);
        if (r < 0) {
                free(outputs[0].data);
                return r;
        }

        *ret = outputs[0].data;
        *ret_size = outputs[0].n;
        return 0;
}
