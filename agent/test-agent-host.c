/* SPDX-License-Identifier: Apache-2.0 */
/* The host of the agent's tests: see test-agent-host.h. */

#include "agent/test-agent-host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

const AgentCmdline cmdline = {
        .server_kind = ADDRESS_VSOCK, .server_port = 1024, .log_port = 1025, .passfd_port = 1027,
        .notify_port = 1029, .log_level = LOG_INFO,
};

void run(Host *host, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                ASSERT_OK(loop_run_once(host->loop, 1));
}

int host_connect(Host *host, uint32_t port, uint32_t own_port)
{
        struct sockaddr_un to = { .sun_family = AF_UNIX }, own = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        ASSERT_TRUE(fd >= 0);
        if (own_port != 0) {
                /* An abstract name that begins with the number, then NUL, then this process. */
                int n = snprintf(own.sun_path + 1, sizeof(own.sun_path) - 1, "%u", own_port);

                snprintf(own.sun_path + 2 + n, 20, "%d", (int) getpid());
                ASSERT_OK(bind(fd, (struct sockaddr *) &own, sizeof(own)));
        }
        snprintf(to.sun_path, sizeof(to.sun_path), "%s/%u", host->dir, port);
        ASSERT_OK(connect(fd, (struct sockaddr *) &to, sizeof(to)));
        ASSERT_OK(fd_set_nonblock(fd, true));
        return fd;
}

void host_start_with(Host *host, const AgentCmdline *line)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        TransportHandlers handlers;
        Transport *transport;

        *host = (Host) { .next_id = 1, .next_port = 7000, .rpc = -EBADF };
        strcpy(host->dir, "/tmp/test-agent-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(host->dir));
        ASSERT_OK(loop_new(&host->loop));
        ASSERT_OK(agent_init(&host->agent, host->loop, line));
        handlers = agent_transport_handlers(&host->agent);
        ASSERT_OK(transport_unix_new(&transport, host->loop, host->dir, &handlers));

        host->notify_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", host->dir);
        ASSERT_OK(bind(host->notify_fd, (struct sockaddr *) &address, sizeof(address)));
        ASSERT_OK(listen(host->notify_fd, 4));
        ASSERT_OK(agent_start(&host->agent, transport, NULL));
        host->rpc = host_connect(host, 1024, 0);
}

void host_start(Host *host)
{
        host_start_with(host, &cmdline);
}

void host_stop(Host *host)
{
        safe_close(host->rpc);
        safe_close(host->notify_fd);
        agent_done(&host->agent);
        fake_forget();
        loop_free(host->loop);
        ASSERT_OK(rm_rf(host->dir));
}

uint32_t send_call(Host *host, const char *service, const char *method, const ProtobufCMessage *m)
{
        _cleanup_free_ uint8_t *frame = NULL;
        uint32_t id = host->next_id;
        size_t n;

        host->next_id += 2;
        ASSERT_OK(ttrpc_build_request(id, service, method, m, 0, &frame, &n));
        ASSERT_EQ(send(host->rpc, frame, n, MSG_NOSIGNAL), n);
        return id;
}

uint8_t reply[65536];
size_t reply_size;
char reply_text[600];

int read_answer(Host *host, uint32_t id)
{
        static PbArena arena;
        uint8_t header[TTRPC_HEADER_SIZE], payload[65536];
        Ttrpc__Response *response;
        TtrpcHeader h;
        int code = 0;

        if (recv(host->rpc, header, sizeof(header), MSG_DONTWAIT) != sizeof(header))
                return -1;
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.stream_id, id);
        if (h.length > 0)
                ASSERT_EQ(recv(host->rpc, payload, h.length, MSG_WAITALL), h.length);
        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&ttrpc__response__descriptor, &arena, payload, h.length, &response));
        reply_text[0] = '\0';
        if (response->status) {
                code = response->status->code;
                snprintf(reply_text, sizeof(reply_text), "%s", response->status->message);
        }
        reply_size = response->payload.len;
        memcpy(reply, response->payload.data ? response->payload.data : reply, reply_size);
        pb_arena_done(&arena);
        return code;
}

int take_answer(Host *host, uint32_t id)
{
        run(host, 6);
        return read_answer(host, id);
}

int call(Host *host, const char *method, const ProtobufCMessage *m)
{
        return take_answer(host, send_call(host, AGENT_SERVICE, method, m));
}

int create_sandbox(Host *host)
{
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;

        q.sandbox_id = (char *) (uintptr_t) "sb";
        return call(host, "CreateSandbox", &q.base);
}

char container_name[] = "c1";

void fill_create(Grpc__CreateContainerRequest *q, Grpc__Spec *spec, Grpc__Process *process,
                        char **args, const char *command)
{
        *q = (Grpc__CreateContainerRequest) GRPC__CREATE_CONTAINER_REQUEST__INIT;
        *spec = (Grpc__Spec) GRPC__SPEC__INIT;
        *process = (Grpc__Process) GRPC__PROCESS__INIT;
        args[0] = (char *) (uintptr_t) command;
        process->args = args;
        process->n_args = 1;
        spec->process = process;
        q->oci = spec;
        q->container_id = container_name;
}

int create_container(Host *host, const char *command, uint32_t out_port, uint32_t err_port)
{
        Grpc__CreateContainerRequest q;
        Grpc__Process process;
        Grpc__Spec spec;
        char *args[1];

        fill_create(&q, &spec, &process, args, command);
        q.stdout_port = out_port;
        q.stderr_port = err_port;
        return call(host, "CreateContainer", &q.base);
}

int start_container(Host *host)
{
        Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;

        q.container_id = container_name;
        return call(host, "StartContainer", &q.base);
}

int remove_container(Host *host)
{
        Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

        q.container_id = container_name;
        return call(host, "RemoveContainer", &q.base);
}

uint32_t send_wait(Host *host)
{
        Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;

        q.container_id = container_name;
        return send_call(host, AGENT_SERVICE, "WaitProcess", &q.base);
}

const char *take_text(Host *host, int fd)
{
        static char buf[KIB(64)];
        ssize_t n;

        run(host, 6);
        n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
        buf[MAX(n, 0)] = '\0';
        return n < 0 ? "(nothing)" : n == 0 ? "(end)" : buf;
}
