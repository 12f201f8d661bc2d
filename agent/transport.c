/* SPDX-License-Identifier: Apache-2.0 */
/* What all transports share: see transport.h. */

#include "agent/transport.h"

#include "basic/error.h"
#include "basic/limits.h"

int transport_init(Transport *t, const TransportOps *ops, Loop *loop, const TransportHandlers *handlers)
{
        *t = (Transport) { .ops = ops, .loop = loop, .handlers = *handlers };
        return 0;
}

int transport_new(Transport **ret, Loop *loop, const AgentCmdline *cmdline,
                  const TransportHandlers *handlers, char **reterr_message)
{
        int r;

        if (cmdline->server_kind == ADDRESS_SERIAL)
                return transport_serial_new(ret, loop, cmdline->serial_name, cmdline->notify_port,
                                            handlers);

        if (cmdline->server_kind == ADDRESS_UNIX)
                return transport_unix_new_at(ret, loop, cmdline->listen_path, cmdline->server_port, handlers);

        r = transport_vsock_new(ret, loop, cmdline->notify_cid, cmdline->notify_port, handlers);
        if (r < 0)
                return error_prefixf(reterr_message, r, "vsock transport");
        return 0;
}

Transport *transport_free(Transport *t)
{
        if (!t)
                return NULL;

        free(t->notify_text);
        t->ops->destroy(t);
        return NULL;
}

int transport_listen(Transport *t, uint32_t port, char **reterr_message)
{
        return t->ops->listen(t, port, reterr_message);
}

int transport_notify(Transport *t, const char *text)
{
        char *copy;

        if (strlen(text) > NOTIFY_MESSAGE_MAX)
                return -E2BIG;

        copy = strdup(text);
        if (!copy)
                return -ENOMEM;

        free(t->notify_text);
        t->notify_text = copy;
        return t->ops->notify(t);
}
