/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill-at: executes a command and kills it at its system call number N, before the kernel carries that call out, as a
 * crash at any point would. Counted from the first call after exec.
 *
 *      kill-at [--child] REPORT N COMMAND [ARG...]
 *
 * With --child it is the first process forked by the command that is counted and killed, from its first call on, over
 * its own exec. Nobody else is touched or traced any longer. REPORT is a file that gets one line: "killed NUMBER"
 * (the system call's number), or "ended COUNT" if there were no N calls: the command, or the child by the time that
 * the command had ended, made COUNT. The exit status is that of the command, 128 + signal if it was killed.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/parse.h"

typedef struct Tracer {
        const char *report;
        bool child;
        uint64_t at, count;
        pid_t command, counted;         /* counted: 0 until it is there */
        bool reported;
} Tracer;

static _noreturn_ void die(const char *what)
{
        fprintf(stderr, "kill-at: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static _printf_(2, 3) void report(Tracer *t, const char *format, ...)
{
        FILE *f = fopen(t->report, "we");
        va_list ap;

        if (!f)
                die(t->report);
        va_start(ap, format);
        vfprintf(f, format, ap);
        va_end(ap);
        if (fclose(f) != 0)
                die(t->report);
        t->reported = true;
}

static long trace(int request, pid_t pid, uintptr_t address, uintptr_t data)
{
        return ptrace((enum __ptrace_request) request, pid, (void *) address, (void *) data);
}

/* Calls of the counted one are seen, others run on. A process that was killed meanwhile is no fault. */
static void go_on(const Tracer *t, pid_t pid, int sig)
{
        (void) trace(pid == t->counted ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, (uintptr_t) sig);
}

/* At a call or behind one; true: it was the one, and the process is gone. */
static bool on_call(Tracer *t, pid_t pid)
{
        struct __ptrace_syscall_info info = {};

        if (trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t) &info) < 0)
                return false;
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || ++t->count < t->at)
                return false;
        if (kill(pid, SIGKILL) < 0)
                die("kill");
        report(t, "killed %llu\n", (unsigned long long) info.entry.nr);
        return true;
}

static void on_fork(Tracer *t, pid_t pid)
{
        unsigned long child;

        if (t->counted != 0 || trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t) &child) < 0)
                return;
        t->counted = (pid_t) child;
        /* Its parent does as it likes from here on. */
        if (trace(PTRACE_DETACH, pid, 0, 0) < 0)
                die("PTRACE_DETACH");
}

static void on_stop(Tracer *t, pid_t pid, int status)
{
        int sig = WSTOPSIG(status), event = status >> 16;

        if (sig == (SIGTRAP | 0x80)) {
                if (on_call(t, pid))
                        return;
                sig = 0;
        } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
                on_fork(t, pid);
                if (t->child)
                        return;
                sig = 0;
        } else if (event != 0 || sig == SIGSTOP)
                sig = 0;
        go_on(t, pid, sig);
}

/* The exit status of the command. */
static int follow(Tracer *t)
{
        for (;;) {
                int status;
                /* The first stop of the child may come before its parent's, and waits until it is known. */
                pid_t pid = waitpid(t->counted == 0 ? t->command : -1, &status, __WALL);

                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid < 0)
                        die("waitpid");
                if (WIFSTOPPED(status)) {
                        on_stop(t, pid, status);
                        continue;
                }
                if (pid != t->command)
                        continue;
                if (!t->reported)
                        report(t, "ended %llu\n", (unsigned long long) t->count);
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
}

static void start(Tracer *t, char *argv[])
{
        uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
        int status;

        t->command = fork();
        if (t->command < 0)
                die("fork");
        if (t->command == 0) {
                if (trace(PTRACE_TRACEME, 0, 0, 0) < 0)
                        die("PTRACE_TRACEME");
                (void) raise(SIGSTOP);
                (void) execvp(argv[0], argv);
                die(argv[0]);
        }
        if (waitpid(t->command, &status, __WALL) < 0 || !WIFSTOPPED(status))
                die("waitpid");
        if (t->child)
                options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
        if (trace(PTRACE_SETOPTIONS, t->command, 0, options) < 0)
                die("PTRACE_SETOPTIONS");
        /* Up to its exec, which is a stop of its own. */
        if (trace(PTRACE_CONT, t->command, 0, 0) < 0 || waitpid(t->command, &status, __WALL) < 0 ||
            !WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_EXEC) {
                errno = ENOEXEC;
                die(argv[0]);
        }
        if (!t->child)
                t->counted = t->command;
        go_on(t, t->command, 0);
}

int main(int argc, char *argv[])
{
        Tracer t = {};
        int i = 1;

        if (i < argc && streq(argv[i], "--child")) {
                t.child = true;
                i++;
        }
        if (argc - i < 3 || parse_u64(argv[i + 1], &t.at) < 0 || t.at == 0) {
                fprintf(stderr, "usage: kill-at [--child] REPORT N COMMAND [ARG...]\n");
                return EXIT_FAILURE;
        }
        t.report = argv[i];
        start(&t, argv + i + 2);
        return follow(&t);
}
