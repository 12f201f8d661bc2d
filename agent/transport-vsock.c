/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_VSOCK transport: see transport.h. Every process in the guest may connect to these ports too (through
 * the loopback CID or, with some transports, the guest's own), so only the host's CID is let in.
 */

#include <linux/vm_sockets.h>

#include "agent/socket-server.h"
#include "basic/error.h"

typedef struct TransportVsock {
        Transport base;
        SocketServer server;
} TransportVsock;

static int64_t vsock_judge_peer(SocketServer *server, int fd, const struct sockaddr_storage *peer)
{
        const struct sockaddr_vm *vm = (const struct sockaddr_vm *) (const void *) peer;

        return vm->svm_family == AF_VSOCK && vm->svm_cid == VMADDR_CID_HOST ? (int64_t) vm->svm_port : -EPERM;
}

static int vsock_listen(Transport *t, uint32_t port, char **reterr_message)
{
        TransportVsock *vsock = container_of(t, TransportVsock, base);
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = VMADDR_CID_ANY,
                .svm_port = port,
        };
        int r;

        r = socket_server_listen(&vsock->server, port, (struct sockaddr *) &address, sizeof(address));
        if (r < 0)
                return error_setf(reterr_message, r, "listening on vsock port %u: %s", port, strerror(-r));
        return 0;
}

static int vsock_notify(Transport *t)
{
        TransportVsock *vsock = container_of(t, TransportVsock, base);

        return socket_server_notify(&vsock->server);
}

static void vsock_destroy(Transport *t)
{
        TransportVsock *vsock = container_of(t, TransportVsock, base);

        socket_server_done(&vsock->server);
        free(vsock);
}

static const TransportOps vsock_ops = {
        .name = "vsock",
        .listen = vsock_listen,
        .notify = vsock_notify,
        .destroy = vsock_destroy,
};

int transport_vsock_new(Transport **ret, Loop *loop, uint32_t notify_cid, uint32_t notify_port,
                        const TransportHandlers *handlers)
{
        TransportVsock *vsock = new0(TransportVsock, 1);

        if (!vsock)
                return -ENOMEM;

        (void) transport_init(&vsock->base, &vsock_ops, loop, handlers);
        socket_server_init(&vsock->server, &vsock->base);
        vsock->server.judge_peer = vsock_judge_peer;
        if (notify_port != 0) {
                struct sockaddr_vm address = {
                        .svm_family = AF_VSOCK,
                        .svm_cid = notify_cid,
                        .svm_port = notify_port,
                };

                memcpy(&vsock->server.notify_address, &address, sizeof(address));
                vsock->server.notify_address_len = sizeof(address);
        }

        *ret = &vsock->base;
        return 0;
}
