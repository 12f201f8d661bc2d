/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_VSOCK through vhost-vsock: see transport.h. Any VM of the host can connect to our notify port, so the
 * peer's CID decides (vsock(7)); the port number is the CID, which the host kernel keeps unique.
 */

#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "runtime/agent-client/transport-internal.h"

typedef struct VsockOpen VsockOpen;

typedef struct VsockTransport {
        Transport transport;
        uint32_t cid;
        int listen_fd;
        sd_event_source *listen_io;
        VsockOpen *opens;
} VsockTransport;

struct VsockOpen {
        VsockTransport *vsock;
        VsockOpen *next;
        uint32_t port;
        int fd;
        sd_event_source *io;
        TransportOpenHandler handler;
        void *userdata;
};

static VsockTransport *vsock_of(Transport *t)
{
        return container_of(t, VsockTransport, transport);
}

static void vsock_open_free(VsockOpen *o)
{
        for (VsockOpen **p = &o->vsock->opens; *p; p = &(*p)->next)
                if (*p == o) {
                        *p = o->next;
                        break;
                }
        sd_event_source_disable_unref(o->io);
        safe_close(o->fd);
        free(o);
}

static void vsock_done(Transport *t)
{
        VsockTransport *v = vsock_of(t);

        while (v->opens)
                vsock_open_free(v->opens);
        sd_event_source_disable_unref(v->listen_io);
        safe_close(v->listen_fd);
}

static void vsock_forget(Transport *t, void *userdata)
{
        for (VsockOpen *o = vsock_of(t)->opens; o; o = o->next)
                if (o->userdata == userdata)
                        o->handler = NULL;
}

static int vsock_on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        VsockOpen *o = userdata;
        Transport *t = &o->vsock->transport;
        TransportOpenHandler handler = o->handler;
        void *handler_userdata = o->userdata;
        struct sockaddr_vm self = {};
        socklen_t n = sizeof(self);
        int error = 0;
        socklen_t n_error = sizeof(error);

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n_error) < 0)
                error = errno;
        if (error == 0 && getsockname(fd, (struct sockaddr *) &self, &n) < 0)
                error = errno;

        if (error != 0) {
                _cleanup_free_ char *text = NULL;

                (void) error_setf(&text, error, "connection to vsock port %u of guest CID %u failed: %s",
                                  o->port, o->vsock->cid, strerror(error));
                vsock_open_free(o);
                if (handler)
                        handler(t, -error, error_text(text, error), -EBADF, 0, handler_userdata);
                return 0;
        }

        int connected = TAKE_FD(o->fd);
        vsock_open_free(o);
        if (handler)
                handler(t, 0, NULL, connected, self.svm_port, handler_userdata);
        else
                safe_close(connected);
        return 0;
}

static int vsock_open(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata)
{
        VsockTransport *v = vsock_of(t);
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = v->cid,
                .svm_port = port,
        };
        _cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        VsockOpen *o;
        int r;

        if (fd < 0)
                return negative_errno();
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 && errno != EINPROGRESS)
                return negative_errno();

        o = new0(VsockOpen, 1);
        if (!o)
                return -ENOMEM;
        *o = (VsockOpen) {
                .vsock = v,
                .next = v->opens,
                .port = port,
                .fd = TAKE_FD(fd),
                .handler = handler,
                .userdata = userdata,
        };
        v->opens = o;

        r = sd_event_add_io(t->event, &o->io, o->fd, EPOLLOUT, vsock_on_connected, o);
        if (r < 0)
                vsock_open_free(o);
        return r;
}

static int vsock_on_accept(sd_event_source *source, int listen_fd, uint32_t events, void *userdata)
{
        VsockTransport *v = userdata;
        struct sockaddr_vm peer = {};
        socklen_t n = sizeof(peer);
        int fd = accept4(listen_fd, (struct sockaddr *) &peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return 0;
        if (peer.svm_family != AF_VSOCK || peer.svm_cid != v->cid) {
                safe_close(fd);
                return 0;
        }

        (void) transport_add_notify_stream(&v->transport, fd);
        return 0;
}

static const TransportOps vsock_ops = {
        .name = "vsock",
        .open = vsock_open,
        .forget = vsock_forget,
        .done = vsock_done,
};

int transport_new_vsock(Transport **ret, sd_event *event, uint32_t cid,
                        const TransportHandlers *handlers, char **reterr_message)
{
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = VMADDR_CID_ANY,
                .svm_port = cid,
        };
        VsockTransport *v = new0(VsockTransport, 1);
        _cleanup_(transport_freep) Transport *t = v ? &v->transport : NULL;
        int r;

        if (!v)
                return -ENOMEM;

        v->cid = cid;
        v->listen_fd = -EBADF;
        r = transport_init(t, &vsock_ops, event, handlers);
        if (r < 0)
                return r;

        v->listen_fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (v->listen_fd < 0)
                return error_setf(reterr_message, errno, "no vsock socket: %s", strerror(errno));
        if (bind(v->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(v->listen_fd, 8) < 0)
                return error_setf(reterr_message, errno, "vsock port %u can not be used: %s", cid,
                                  strerror(errno));

        r = sd_event_add_io(event, &v->listen_io, v->listen_fd, EPOLLIN, vsock_on_accept, v);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}
