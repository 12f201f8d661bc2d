/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the guest as a whole: see sandbox-service.h. Host side, between root and the guest. */

#include "runtime/task/sandbox-service.h"

#include "proto/sandbox.pb-c.h"
#include "runtime/task/ttrpc-server.h"

/* A call to the agent on its way. */
typedef struct SandboxOp {
        SandboxService *service;
        struct SandboxOp *prev, *next;
        TtrpcCall *call;                /* NULL once the client has left */
        void (*answer)(TtrpcCall *call, const void *message);
} SandboxOp;

struct SandboxService {
        SandboxServiceHost host;        /* agent is NULL once the guest is gone */
        TtrpcServer *server;
        SandboxOp *ops;
};

static SandboxOp *op_new(SandboxService *service, TtrpcCall *call, void (*answer)(TtrpcCall *call, const void *message))
{
        SandboxOp *op = new0(SandboxOp, 1);

        if (!op)
                return NULL;
        *op = (SandboxOp) { .service = service, .next = service->ops, .answer = answer };
        if (op->next)
                op->next->prev = op;
        service->ops = op;
        ttrpc_call_hold(call, &op->call);
        return op;
}

static void op_finish(SandboxOp *op, int error, const char *text, const void *message)
{
        TtrpcCall *call = TAKE_PTR(op->call);

        if (op->prev)
                op->prev->next = op->next;
        else
                op->service->ops = op->next;
        if (op->next)
                op->next->prev = op->prev;

        if (call && error < 0)
                ttrpc_call_fail_errno(call, error, text);
        else if (call)
                op->answer(call, message);
        free(op);
}

static void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        op_finish(userdata, error, text, message);
}

/* --- methods --- */

static void answer_get_iptables(TtrpcCall *call, const void *message)
{
        const Grpc__GetIPTablesResponse *from = message;
        Kata__Systemd__V1__GetIPTablesResponse a = KATA__SYSTEMD__V1__GET_IPTABLES_RESPONSE__INIT;

        a.rules = from->data;
        ttrpc_call_reply(call, &a.base);
}

static void answer_set_iptables(TtrpcCall *call, const void *message)
{
        const Grpc__SetIPTablesResponse *from = message;
        Kata__Systemd__V1__SetIPTablesResponse a = KATA__SYSTEMD__V1__SET_IPTABLES_RESPONSE__INIT;

        a.output = from->data;
        ttrpc_call_reply(call, &a.base);
}

/* NULL, and the call is answered, if there is nobody to ask. */
static SandboxOp *begin(SandboxService *service, TtrpcCall *call, void (*answer)(TtrpcCall *call, const void *message))
{
        SandboxOp *op;

        if (!service->host.agent) {
                ttrpc_call_fail(call, TTRPC_UNAVAILABLE, "the virtual machine has ended");
                return NULL;
        }
        op = op_new(service, call, answer);
        if (!op)
                ttrpc_call_fail_errno(call, -ENOMEM, NULL);
        return op;
}

static void get_iptables(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__GetIPTablesRequest *q = input;
        SandboxService *service = userdata;
        SandboxOp *op = begin(service, call, answer_get_iptables);
        int r;

        if (!op)
                return;
        r = agent_get_iptables(service->host.agent, q->ipv6, service->host.request_timeout, on_reply, op);
        if (r < 0)
                op_finish(op, r, NULL, NULL);
}

static void set_iptables(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__SetIPTablesRequest *q = input;
        SandboxService *service = userdata;
        SandboxOp *op = begin(service, call, answer_set_iptables);
        int r;

        if (!op)
                return;
        r = agent_set_iptables(service->host.agent, q->ipv6, q->rules.data, q->rules.len,
                               service->host.request_timeout, on_reply, op);
        if (r < 0)
                op_finish(op, r, NULL, NULL);
}

static const TtrpcMethod methods[] = {
        { "GetIPTables", &kata__systemd__v1__get_iptables_request__descriptor, get_iptables },
        { "SetIPTables", &kata__systemd__v1__set_iptables_request__descriptor, set_iptables },
};

/* --- service --- */

int sandbox_service_new(SandboxService **ret, const SandboxServiceHost *host)
{
        static const char *const names[] = { "kata.systemd.v1.Sandbox", NULL };
        _cleanup_(sandbox_service_freep) SandboxService *service = new0(SandboxService, 1);
        int r;

        if (!service)
                return -ENOMEM;
        service->host = *host;
        r = ttrpc_server_new(&service->server, host->event,
                             &(const TtrpcService) {
                                     .names = names, .methods = methods, .n_methods = ELEMENTSOF(methods),
                                     .userdata = service,
                             });
        if (r < 0)
                return r;

        *ret = TAKE_PTR(service);
        return 0;
}

SandboxService *sandbox_service_free(SandboxService *service)
{
        if (!service)
                return NULL;

        /* Clears the calls that are held. */
        ttrpc_server_free(service->server);
        while (service->ops) {
                SandboxOp *op = service->ops;

                service->ops = op->next;
                free(op);
        }
        free(service);
        return NULL;
}

int sandbox_service_listen(SandboxService *service, int fd)
{
        return ttrpc_server_listen(service->server, fd);
}

int sandbox_service_add_client(SandboxService *service, int fd)
{
        return ttrpc_server_add(service->server, fd);
}

void sandbox_service_guest_gone(SandboxService *service)
{
        service->host.agent = NULL;
        while (service->ops)
                op_finish(service->ops, -ECONNRESET, "the virtual machine has ended", NULL);
}
