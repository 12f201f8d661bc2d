/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX socket twin of the vsock transport: see transport.h. The source port is the number of an abstract
 * address "\0<number>" that the peer has bound itself to, else 0. */

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/socket-server.h"
#include "basic/error.h"
#include "basic/fd.h"

typedef struct TransportUnix {
        Transport base;
        SocketServer server;
        char dir[64];                           /* "": by path */
        char path[sizeof(((struct sockaddr_un *) 0)->sun_path)];
        uint32_t main_port;
        uint32_t ports[TRANSPORT_LISTENERS_MAX];        /* of the sockets to be removed */
        size_t n_ports;
} TransportUnix;

/* The mode of the socket says the same; this holds for one that was made accessible by accident, too. */
static bool peer_may_connect(int fd)
{
        struct ucred cred = {};
        socklen_t n = sizeof(cred);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) >= 0 &&
               (cred.uid == 0 || cred.uid == geteuid());
}

static int64_t unix_judge_peer(SocketServer *server, int fd, const struct sockaddr_storage *peer)
{
        const struct sockaddr_un *un = (const struct sockaddr_un *) (const void *) peer;
        char text[16] = {};
        uint32_t port;

        if (!peer_may_connect(fd))
                return -EPERM;

        /* The storage is zeroed, so the number is terminated. */
        memcpy(text, un->sun_path + 1, sizeof(text) - 1);
        return parse_u32(text, &port) < 0 ? 0 : (int64_t) port;
}

static int unix_address(const TransportUnix *t, const char *name, struct sockaddr_un *ret)
{
        int n;

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if (*t->dir)
                n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", t->dir, name);
        else
                n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s%s%s", t->path, *name ? "." : "", name);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

static int port_address(const TransportUnix *t, uint32_t port, struct sockaddr_un *ret)
{
        char name[16] = "";

        if (*t->dir || port != t->main_port)
                snprintf(name, sizeof(name), "%u", port);
        return unix_address(t, name, ret);
}

/* Removes what a process that was killed has left; -EADDRINUSE if it lives, or if it is no socket. */
static int make_way(const struct sockaddr_un *address)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (lstat(address->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        if (!S_ISSOCK(st.st_mode))
                return -EADDRINUSE;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) >= 0 || errno != ECONNREFUSED)
                return -EADDRINUSE;
        return unlink(address->sun_path) < 0 ? negative_errno() : 0;
}

static int unix_listen(Transport *t, uint32_t port, char **reterr_message)
{
        TransportUnix *unx = container_of(t, TransportUnix, base);
        struct sockaddr_un address;
        mode_t mask;
        int r;

        r = port_address(unx, port, &address);
        if (r >= 0 && !*unx->dir)
                r = make_way(&address);
        if (r >= 0) {
                /* From birth: between bind() and chmod() anybody could connect. */
                mask = umask(0177);
                r = socket_server_listen(&unx->server, port, (struct sockaddr *) &address,
                                         sizeof(address));
                (void) umask(mask);
        }
        if (r < 0)
                return error_setf(reterr_message, r, "listening on %s: %s", address.sun_path, strerror(-r));

        unx->ports[unx->n_ports++] = port;
        return 0;
}

static int unix_notify(Transport *t)
{
        TransportUnix *unx = container_of(t, TransportUnix, base);

        return socket_server_notify(&unx->server);
}

static void unix_destroy(Transport *t)
{
        TransportUnix *unx = container_of(t, TransportUnix, base);

        socket_server_done(&unx->server);
        for (size_t i = 0; i < unx->n_ports && !*unx->dir; i++) {
                struct sockaddr_un address;

                if (port_address(unx, unx->ports[i], &address) >= 0)
                        (void) unlink(address.sun_path);
        }
        free(unx);
}

static const TransportOps unix_ops = {
        .name = "unix",
        .listen = unix_listen,
        .notify = unix_notify,
        .destroy = unix_destroy,
};

int transport_unix_new(Transport **ret, Loop *loop, const char *dir, const TransportHandlers *handlers)
{
        TransportUnix *unx;
        struct sockaddr_un address;
        int r;

        unx = new0(TransportUnix, 1);
        if (!unx)
                return -ENOMEM;
        if (strlen(dir) >= sizeof(unx->dir)) {
                free(unx);
                return -ENAMETOOLONG;
        }

        memcpy(unx->dir, dir, strlen(dir) + 1);
        (void) transport_init(&unx->base, &unix_ops, loop, handlers);
        socket_server_init(&unx->server, &unx->base);
        unx->server.judge_peer = unix_judge_peer;

        r = unix_address(unx, "notify", &address);
        if (r < 0) {
                free(unx);
                return r;
        }
        memcpy(&unx->server.notify_address, &address, sizeof(address));
        unx->server.notify_address_len = sizeof(address);
        *ret = &unx->base;
        return 0;
}

int transport_unix_new_at(Transport **ret, Loop *loop, const char *path, uint32_t main_port,
                          const TransportHandlers *handlers)
{
        TransportUnix *unx = new0(TransportUnix, 1);

        if (!unx)
                return -ENOMEM;
        if (strlen(path) >= sizeof(unx->path)) {
                free(unx);
                return -ENAMETOOLONG;
        }

        memcpy(unx->path, path, strlen(path) + 1);
        unx->main_port = main_port;
        (void) transport_init(&unx->base, &unix_ops, loop, handlers);
        socket_server_init(&unx->server, &unx->base);
        unx->server.judge_peer = unix_judge_peer;
        *ret = &unx->base;
        return 0;
}
