/* SPDX-License-Identifier: Apache-2.0 */
/* Where root asks about the guest of a sandbox: see sandbox-socket.h. Host side, root; clients are root's. */

#include "runtime/sandboxd/sandbox-socket.h"

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/unix-socket.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/task/sandbox-service.h"

struct SandboxSocket {
        SandboxService *service;
        int dir_fd;             /* where the socket is */
};

int sandbox_socket_new(SandboxSocket **ret, sd_event *event, Sandbox *sandbox)
{
        SandboxSocket *socket = new0(SandboxSocket, 1);
        const SandboxServiceHost host = {
                .event = event,
                .agent = sandbox_agent(sandbox),
                .request_timeout = sandbox_request_timeout(sandbox),
        };
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!socket)
                return -ENOMEM;
        *socket = (SandboxSocket) { .dir_fd = -EBADF };

        r = sandbox_service_new(&socket->service, &host);
        if (r >= 0) {
                socket->dir_fd = open(sandbox_run_dir(sandbox), O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = socket->dir_fd < 0 ? negative_errno() : unix_listen_at(socket->dir_fd, SANDBOX_SOCKET_NAME, &fd);
        }
        if (r >= 0)
                r = sandbox_service_listen(socket->service, fd);
        if (r < 0) {
                sandbox_socket_free(socket);
                return r;
        }

        TAKE_FD(fd);
        *ret = socket;
        return 0;
}

void sandbox_socket_guest_gone(SandboxSocket *socket)
{
        sandbox_service_guest_gone(socket->service);
}

SandboxSocket *sandbox_socket_free(SandboxSocket *socket)
{
        if (!socket)
                return NULL;

        sandbox_service_free(socket->service);
        if (socket->dir_fd >= 0)
                (void) unlinkat(socket->dir_fd, SANDBOX_SOCKET_NAME, 0);
        safe_close(socket->dir_fd);
        free(socket);
        return NULL;
}
