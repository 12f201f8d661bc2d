/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-in for processes that join a container (container-exec.h), without processes: the test drives them.
 * The command is the first word of args: "run" starts and stays, "missing" fails to start, "refused" is
 * refused at once. A terminal is one of the machine that the test runs on.
 */

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "basic/error.h"
#include "basic/fd.h"

struct ContainerExec {
        Loop *loop;
        char *command;
        bool terminal, running;
        ContainerExecHandlers handlers;
        ContainerIo io;
        int slave;
        LoopSource *timer;
};

ContainerExec *fake_exec_last;
unsigned fake_execs;
int fake_exec_umask = -1;

static int keep(int fd)
{
        return fd < 0 ? -EBADF : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void close_io(ContainerExec *e)
{
        e->io.stdin_fd = safe_close(e->io.stdin_fd);
        e->io.stdout_fd = safe_close(e->io.stdout_fd);
        e->io.stderr_fd = safe_close(e->io.stderr_fd);
        e->slave = safe_close(e->slave);
}

static void open_terminal(ContainerExec *e)
{
        int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), unlock = 0;

        if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return;
        e->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        e->handlers.on_terminal(e, master, e->handlers.userdata);
}

static void start(LoopSource *source, void *userdata)
{
        ContainerExec *e = userdata;

        if (streq(e->command, "missing"))
                return e->handlers.on_started(e, -ENOENT,
                                              "exec: \"missing\": executable file not found in $PATH",
                                              e->handlers.userdata);
        if (e->terminal)
                open_terminal(e);
        e->running = true;
        e->handlers.on_started(e, 0, NULL, e->handlers.userdata);
}

int container_exec(ContainerExec **ret, const Container *c, const Grpc__Process *process,
                   const Kata__Systemd__V1__SpecExtension *extension, const ContainerIo *io,
                   const ContainerExecHandlers *handlers, char **reterr_message)
{
        ContainerExec *e;

        if (process->n_args == 0)
                return error_setf(reterr_message, EINVAL, "process: no program to run");
        if (streq(process->args[0], "refused"))
                return error_setf(reterr_message, EBUSY, "cannot exec in a paused container");

        e = new0(ContainerExec, 1);
        *e = (ContainerExec) {
                .loop = fake_loop(c), .command = strdup(process->args[0]), .terminal = process->terminal,
                .handlers = *handlers, .slave = -EBADF,
                .io = { keep(io->stdin_fd), keep(io->stdout_fd), keep(io->stderr_fd) },
        };
        (void) loop_add_time(e->loop, &e->timer, 0, start, e);
        fake_execs++;
        fake_exec_umask = extension && extension->has_umask ? (int) extension->umask : -1;
        fake_exec_last = *ret = e;
        return 0;
}

int container_exec_signal(const ContainerExec *e, int sig)
{
        if (!e->running)
                return -EBUSY;
        fake_exec_exit((ContainerExec *) (uintptr_t) e, 128 + sig);
        return 0;
}

pid_t container_exec_pid(const ContainerExec *e)
{
        return 4712;
}

ContainerExec *container_exec_free(ContainerExec *e)
{
        if (!e)
                return NULL;

        if (fake_exec_last == e)
                fake_exec_last = NULL;
        fake_execs--;
        loop_source_free(e->timer);
        close_io(e);
        free(e->command);
        free(e);
        return NULL;
}

void fake_exec_print(ContainerExec *e, const char *out, const char *err)
{
        int fd = e->slave >= 0 ? e->slave : e->io.stdout_fd;

        if (fd >= 0)
                (void) write_full(fd, out, strlen(out));
        if (e->io.stderr_fd >= 0)
                (void) write_full(e->io.stderr_fd, err, strlen(err));
}

int fake_exec_stdin(ContainerExec *e)
{
        return e->slave >= 0 ? e->slave : e->io.stdin_fd;
}

void fake_exec_exit(ContainerExec *e, int status)
{
        ContainerExecHandlers handlers = e->handlers;

        e->running = false;
        close_io(e);
        handlers.on_exit(e, status, handlers.userdata);
}
