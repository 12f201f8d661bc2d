/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX socket twin of the vsock transport: see transport.h. The source port is the peer's process id, or
 * the number of an abstract address "\0<number>" that the peer has bound itself to. */

#include <sys/un.h>

#include "agent/socket-server.h"
#include "basic/error.h"

typedef struct TransportUnix {
        Transport base;
        SocketServer server;
        char dir[64];
} TransportUnix;

static int64_t unix_judge_peer(SocketServer *server, const struct sockaddr_storage *peer)
{
        const struct sockaddr_un *un = (const struct sockaddr_un *) (const void *) peer;
        char text[16] = {};
        uint32_t port;

        /* The storage is zeroed, so the number is terminated. */
        memcpy(text, un->sun_path + 1, sizeof(text) - 1);
        return parse_u32(text, &port) < 0 ? 0 : (int64_t) port;
}

static int unix_address(const TransportUnix *t, const char *name, struct sockaddr_un *ret)
{
        int n;

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", t->dir, name);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

static int unix_listen(Transport *t, uint32_t port, char **reterr_message)
{
        TransportUnix *unx = container_of(t, TransportUnix, base);
        struct sockaddr_un address;
        char name[16];
        int r;

        snprintf(name, sizeof(name), "%u", port);
        r = unix_address(unx, name, &address);
        if (r >= 0)
                r = socket_server_listen(&unx->server, port, (struct sockaddr *) &address,
                                         sizeof(address));
        if (r < 0)
                return error_setf(reterr_message, r, "listening on %s/%u: %s", unx->dir, port,
                                  strerror(-r));
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
