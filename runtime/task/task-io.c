/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams of a process: see task-io.h. Host side, opens paths with root's rights for root's clients. */

#include "runtime/task/task-io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/task/task-copy.h"

enum {
        IO_STDIN,
        IO_STDOUT,
        IO_STDERR,
        _IO_MAX,
};

static const char *const stream_names[_IO_MAX] = { "stdin", "stdout", "stderr" };

typedef enum StreamKind {
        STREAM_NONE,
        STREAM_HOST,            /* a descriptor of the host */
        STREAM_JOURNAL,
} StreamKind;

typedef struct IoStream {
        TaskIo *io;
        unsigned index;
        StreamKind kind;
        int host_fd, guard_fd;  /* until it is connected */
        uint32_t port;          /* once it is */
        TaskCopy *copy;
        bool ended;
} IoStream;

struct TaskIo {
        sd_event *event;
        Relay *relay;
        char *name;
        IoStream streams[_IO_MAX];
        unsigned connecting;
        TaskIoConnected on_connected;
        void *connected_data;
        void (*on_drained)(TaskIo *io, void *userdata);
        void *userdata;
};

/* --- paths --- */

static void get_paths(const TaskIoParams *p, const char *paths[static _IO_MAX])
{
        paths[IO_STDIN] = strempty(p->stdin_path);
        paths[IO_STDOUT] = strempty(p->stdout_path);
        paths[IO_STDERR] = p->terminal ? "" : strempty(p->stderr_path);
}

/* A path, or NULL with what is wrong. */
static const char *parse_path(const char *text, unsigned index, bool *ret_create, int *ret_error,
                              const char **ret_what)
{
        const char *path = startswith(text, "file://"), *colon = strstr(text, "://");

        *ret_create = path;
        *ret_error = -EINVAL;
        *ret_what = "not an absolute path";
        if (!path)
                path = text;
        if (path == text && colon && colon < strchrnul(text, '/')) {
                *ret_error = -EOPNOTSUPP;
                *ret_what = "only paths and file:// are supported";
                return NULL;
        }
        if (*path != '/' || strlen(path) >= TASK_PATH_MAX)
                return NULL;
        if (*ret_create && index == IO_STDIN) {
                *ret_what = "an input can not be file://";
                return NULL;
        }
        return path;
}

int task_io_check(const TaskIoParams *params, char **reterr_message)
{
        const char *paths[_IO_MAX], *what;
        bool create;
        int error;

        get_paths(params, paths);
        for (unsigned i = 0; i < _IO_MAX; i++)
                if (*paths[i] && !parse_path(paths[i], i, &create, &error, &what))
                        return error_setf(reterr_message, error, "%s '%.200s': %s", stream_names[i], paths[i],
                                          what);

        return 0;
}

static int make_parents(const char *path)
{
        _cleanup_free_ char *parent = strndup(path, (size_t) (strrchr(path, '/') - path));

        if (!parent)
                return -ENOMEM;
        return *parent ? mkdir_p(parent, 0755) : 0;
}

/* Opened by a name of its own in /proc, so that it is the FIFO that was looked at. */
static int reopen(int fd, int flags)
{
        char path[64];
        int copy;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return copy < 0 ? negative_errno() : copy;
}

static int open_input(IoStream *s, const char *path, bool closed)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;
        int r = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return negative_errno();
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (S_ISFIFO(st.st_mode) && !closed) {
                r = reopen(fd, O_WRONLY);
                if (r >= 0)
                        s->guard_fd = r;
        }
        if (r >= 0)
                s->host_fd = TAKE_FD(fd);
        return r < 0 ? r : 0;
}

static int open_output(IoStream *s, const char *path, bool create)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (create) {
                r = make_parents(path);
                if (r < 0)
                        return r;
                fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
                if (fd < 0)
                        return negative_errno();
                /* Whatever UMask= of the unit says: the file is for the client. */
                if (fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && st.st_size == 0)
                        (void) fchmod(fd, 0644);
                s->host_fd = TAKE_FD(fd);
                return 0;
        }

        /* Reading as well: a FIFO without a reader can not be opened for writing, and breaks when it leaves. */
        if (stat(path, &st) < 0)
                return negative_errno();
        fd = open(path, (S_ISFIFO(st.st_mode) ? O_RDWR : O_WRONLY | O_APPEND) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return negative_errno();
        s->host_fd = TAKE_FD(fd);
        return 0;
}

int task_io_new(TaskIo **ret, const TaskIoParams *params, char **reterr_message)
{
        const char *paths[_IO_MAX], *what;
        TaskIo *io;
        bool journal;
        int r, error;

        r = task_io_check(params, reterr_message);
        if (r < 0)
                return r;
        io = new0(TaskIo, 1);
        if (!io)
                return -ENOMEM;

        *io = (TaskIo) {
                .event = sd_event_ref(params->event), .relay = params->relay, .name = strdup(params->name),
                .on_drained = params->on_drained, .userdata = params->userdata,
        };
        get_paths(params, paths);
        journal = !*paths[IO_STDOUT] && !*paths[IO_STDERR];
        for (unsigned i = 0; i < _IO_MAX; i++)
                io->streams[i] = (IoStream) {
                        .io = io, .index = i, .host_fd = -EBADF, .guard_fd = -EBADF,
                        .kind = *paths[i] ? STREAM_HOST :
                                journal && i != IO_STDIN && (i != IO_STDERR || !params->terminal) ? STREAM_JOURNAL :
                                                                                                    STREAM_NONE,
                };
        for (unsigned i = 0; i < _IO_MAX; i++)
                io->streams[i].ended = io->streams[i].kind == STREAM_NONE;

        r = io->name ? 0 : -ENOMEM;
        for (unsigned i = 0; r >= 0 && i < _IO_MAX; i++) {
                IoStream *s = &io->streams[i];
                const char *path;
                bool create;

                if (s->kind != STREAM_HOST)
                        continue;
                path = parse_path(paths[i], i, &create, &error, &what);
                r = i == IO_STDIN ? open_input(s, path, params->stdin_closed) : open_output(s, path, create);
                if (r < 0)
                        (void) error_setf(reterr_message, r, "%s '%s': %s", stream_names[i], paths[i], strerror(-r));
        }
        if (r < 0) {
                task_io_free(io, NULL);
                return r;
        }

        *ret = io;
        return 0;
}

TaskIo *task_io_free(TaskIo *io, Transport *transport)
{
        if (!io)
                return NULL;

        for (unsigned i = 0; i < _IO_MAX; i++) {
                IoStream *s = &io->streams[i];

                if (transport)
                        transport_forget(transport, s);
                relay_forget(io->relay, s);
                task_copy_free(s->copy);
                safe_close(s->host_fd);
                safe_close(s->guard_fd);
        }
        sd_event_unref(io->event);
        free(io->name);
        free(io);
        return NULL;
}

/* --- streams --- */

bool task_io_is_drained(const TaskIo *io)
{
        return io->streams[IO_STDOUT].ended && io->streams[IO_STDERR].ended;
}

/* The last thing that a caller does. */
static void stream_ended(IoStream *s)
{
        TaskIo *io = s->io;

        s->ended = true;
        if (s->index != IO_STDIN && task_io_is_drained(io) && io->on_drained)
                io->on_drained(io, io->userdata);
}

static void on_copy_end(TaskCopy *copy, void *userdata)
{
        stream_ended(userdata);
}

static void on_relay_end(void *userdata)
{
        stream_ended(userdata);
}

static int stream_begin(IoStream *s, int fd)
{
        TaskIo *io = s->io;
        char name[CONTAINER_ID_MAX + 32];
        int r;

        if (s->kind == STREAM_JOURNAL)
                return relay_add_output(io->relay, fd, io->name, stream_names[s->index], on_relay_end, s);

        snprintf(name, sizeof(name), "%s of container %s", stream_names[s->index], io->name);
        r = s->index == IO_STDIN ?
                    task_copy_new_in(&s->copy, io->event, fd, s->host_fd, s->guard_fd, name, on_copy_end, s) :
                    task_copy_new_out(&s->copy, io->event, fd, s->host_fd, name, on_copy_end, s);
        if (r < 0)
                return r;

        s->host_fd = s->guard_fd = -EBADF;
        return 0;
}

static void on_open(Transport *t, int error, const char *text, int fd, uint32_t source_port, void *userdata)
{
        IoStream *s = userdata;
        TaskIo *io = s->io;
        TaskIoConnected handler;
        int r = error;

        io->connecting--;
        if (r >= 0) {
                s->port = source_port;
                r = io->on_connected ? stream_begin(s, fd) : -ECANCELED;
                if (r < 0)
                        safe_close(fd);
        }

        handler = io->on_connected;
        if (!handler || (r >= 0 && io->connecting > 0))
                return;
        /* The first failure is told; what else is under way ends unseen. */
        io->on_connected = NULL;
        handler(io, MIN(r, 0), r < 0 ? error_text(text, r) : NULL, io->connected_data);
}

int task_io_connect(TaskIo *io, Transport *transport, TaskIoConnected handler, void *userdata)
{
        int r;

        io->on_connected = handler;
        io->connected_data = userdata;
        for (unsigned i = 0; i < _IO_MAX; i++) {
                if (io->streams[i].kind == STREAM_NONE)
                        continue;
                r = transport_open(transport, AGENT_STDIO_PORT, on_open, &io->streams[i]);
                if (r < 0) {
                        io->on_connected = NULL;
                        return r;
                }
                io->connecting++;
        }
        return 0;
}

AgentStdio task_io_ports(const TaskIo *io)
{
        return (AgentStdio) {
                .stdin_port = io->streams[IO_STDIN].port,
                .stdout_port = io->streams[IO_STDOUT].port,
                .stderr_port = io->streams[IO_STDERR].port,
        };
}

void task_io_close_stdin(TaskIo *io)
{
        IoStream *s = &io->streams[IO_STDIN];

        if (s->copy)
                task_copy_close_input(s->copy);
        else
                s->guard_fd = safe_close(s->guard_fd);
}
