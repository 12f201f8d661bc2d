/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service of a sandbox: see task-socket.h. Host side, root; clients are root's. */

#include "runtime/sandboxd/task-socket.h"

#include <fcntl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/unix-socket.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/state-file.h"

/* A kata-shim connects again as soon as it sees a broken connection. */
#define ORPHAN_GRACE (2 * USEC_PER_SEC)

struct TaskSocket {
        Sandbox *sandbox;
        TaskService *service;
        int dir_fd;             /* where the socket is */
};

static int on_share_add(void *userdata, const char *name, const char *source, bool read_only, bool recursive,
                        int namespace_fd, char **reterr_message)
{
        TaskSocket *socket = userdata;

        return sandbox_share_add(socket->sandbox, name, source, read_only, recursive, namespace_fd,
                                 reterr_message);
}

static void on_share_remove(void *userdata, const char *name)
{
        TaskSocket *socket = userdata;

        sandbox_share_remove(socket->sandbox, name);
}

static int on_set_limits(void *userdata, const ScopeLimits *limits, SandboxLimitsDone done, void *done_userdata,
                         char **reterr_message)
{
        TaskSocket *socket = userdata;

        return sandbox_set_limits(socket->sandbox, limits, done, done_userdata, reterr_message);
}

static int on_prepare_start(void *userdata, TtrpcReplyHandler done, void *done_userdata, char **reterr_message)
{
        TaskSocket *socket = userdata;

        return sandbox_prepare_start(socket->sandbox, done, done_userdata, reterr_message);
}

static void on_shutdown(void *userdata, const char *why)
{
        TaskSocket *socket = userdata;

        log_info("Sandbox '%s' ends: %s", sandbox_id(socket->sandbox), why);
        sandbox_stop(socket->sandbox);
}

static void on_change(void *userdata)
{
        TaskSocket *socket = userdata;

        sandbox_containers_changed(socket->sandbox);
}

static int socket_listen(TaskSocket *socket, const char *dir, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        socket->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = socket->dir_fd < 0 ? negative_errno() : unix_listen_at(socket->dir_fd, TASK_SOCKET_NAME, &fd);
        if (r >= 0)
                r = task_service_listen(socket->service, fd);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s/" TASK_SOCKET_NAME "': %s", dir, strerror(-r));

        TAKE_FD(fd);
        return 0;
}

int task_socket_new(TaskSocket **ret, sd_event *event, Sandbox *sandbox, bool resumed, char **reterr_message)
{
        TaskSocket *socket = new0(TaskSocket, 1);
        const TaskHost host = {
                .event = event,
                .agent = sandbox_agent(sandbox),
                .transport = sandbox_transport(sandbox),
                .relay = sandbox_relay(sandbox),
                .run_dir = sandbox_run_dir(sandbox),
                .vm_pid = sandbox_vm_pid(sandbox),
                .request_timeout = sandbox_request_timeout(sandbox),
                .orphan_grace = ORPHAN_GRACE,
                .share_add = on_share_add,
                .share_remove = on_share_remove,
                .set_limits = on_set_limits,
                .prepare_start = on_prepare_start,
                .on_shutdown = on_shutdown,
                .on_change = on_change,
                .userdata = socket,
        };
        int r;

        if (!socket)
                return -ENOMEM;

        *socket = (TaskSocket) { .sandbox = sandbox, .dir_fd = -EBADF };
        r = task_service_new(&socket->service, &host);
        if (r >= 0 && resumed)
                r = task_service_resume(socket->service, reterr_message);
        if (r >= 0)
                r = socket_listen(socket, host.run_dir, reterr_message);
        if (r < 0) {
                task_socket_free(socket);
                return r;
        }

        *ret = socket;
        return 0;
}

TaskSocket *task_socket_free(TaskSocket *socket)
{
        if (!socket)
                return NULL;

        task_service_free(socket->service);
        if (socket->dir_fd >= 0)
                (void) unlinkat(socket->dir_fd, TASK_SOCKET_NAME, 0);
        safe_close(socket->dir_fd);
        free(socket);
        return NULL;
}

TaskService *task_socket_service(TaskSocket *socket)
{
        return socket->service;
}
