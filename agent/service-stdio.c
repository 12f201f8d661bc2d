/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams by calls, and new streams for a host that came back: see services.h. */

#include "agent/services.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

#define ATTACH_WAIT_USEC (5 * USEC_PER_SEC)

/* Reads. The request is the handler's userdata; it is gone when either the answer or a cancel came. */

static void on_read(const void *data, size_t n, void *userdata)
{
        Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;

        /* The workload goes on undisturbed; the host gets what it takes for the end. */
        if (!request_is_redacted(userdata)) {
                response.data.data = (uint8_t *) (uintptr_t) data;
                response.data.len = n;
        }
        request_reply(userdata, &response.base);
}

static void on_read_cancelled(Request *request, void *userdata)
{
        stdio_out_cancel_read(userdata);
}

static void read_stream(void *userdata, Request *request, const Grpc__ReadStreamRequest *q,
                        StdioOut *(*get)(const GuestProcess *p))
{
        ProcessRef ref;
        StdioOut *out;
        int r;

        if (!service_lookup_process(userdata, request, q->container_id, q->exec_id, true, &ref))
                return;
        out = get(ref.process);
        if (!out)
                return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                    "container %s has no such stream: its output was given ports or is a "
                                    "terminal", q->container_id);
        if (q->len == 0)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "a read of 0 bytes");

        r = stdio_out_read(out, q->len, on_read, request);
        if (r < 0)
                return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                    "container %s: somebody else reads this stream already",
                                    q->container_id);
        request_on_cancel(request, on_read_cancelled, out);
}

void service_read_stdout(void *userdata, Request *request, const void *input)
{
        read_stream(userdata, request, input, guest_process_stdout);
}

void service_read_stderr(void *userdata, Request *request, const void *input)
{
        read_stream(userdata, request, input, guest_process_stderr);
}

/* Writes: the input is kept until the pipe has taken it. */

typedef struct WriteCall {
        Request *request;
        StdioIn *in;
        uint32_t n;
} WriteCall;

static void on_written(int error, void *userdata)
{
        WriteCall *call = userdata;
        Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;

        response.len = call->n;
        if (error < 0)
                request_fail_errno(call->request, error, "the container does not read its input any more");
        else
                request_reply(call->request, &response.base);
        free(call);
}

static void on_write_cancelled(Request *request, void *userdata)
{
        WriteCall *call = userdata;

        stdio_in_cancel_write(call->in);
        free(call);
}

static StdioIn *lookup_stdin(void *userdata, Request *request, const char *id, const char *exec_id)
{
        ProcessRef ref;
        StdioIn *in;

        if (!service_lookup_process(userdata, request, id, exec_id, false, &ref))
                return NULL;
        in = guest_process_stdin(ref.process);
        if (!in)
                request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s has no input", id);
        return in;
}

void service_write_stdin(void *userdata, Request *request, const void *input)
{
        const Grpc__WriteStreamRequest *q = input;
        StdioIn *in = lookup_stdin(userdata, request, q->container_id, q->exec_id);
        WriteCall *call;
        int r;

        if (!in)
                return;
        if (q->data.len == 0) {
                Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;

                stdio_in_close(in);
                return request_reply(request, &response.base);
        }
        if (request_keep_input(request) < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "too many requests at once");

        call = new0(WriteCall, 1);
        if (!call)
                return request_fail_errno(request, -ENOMEM, NULL);
        *call = (WriteCall) { .request = request, .in = in, .n = (uint32_t) q->data.len };
        r = stdio_in_write(in, q->data.data, q->data.len, on_written, call);
        if (r < 0) {
                free(call);
                if (r == -EBUSY)
                        return request_fail(request, TTRPC_FAILED_PRECONDITION,
                                            "container %s: somebody else writes its input already",
                                            q->container_id);
                return request_fail_errno(request, r, "the container's input is closed");
        }
        request_on_cancel(request, on_write_cancelled, call);
}

void service_close_stdin(void *userdata, Request *request, const void *input)
{
        const Grpc__CloseStdinRequest *q = input;
        StdioIn *in = lookup_stdin(userdata, request, q->container_id, q->exec_id);

        if (!in)
                return;
        stdio_in_close(in);
        request_reply(request, NULL);
}

void service_tty_win_resize(void *userdata, Request *request, const void *input)
{
        const Grpc__TtyWinResizeRequest *q = input;
        ProcessRef ref;
        int r;

        if (!service_lookup_process(userdata, request, q->container_id, q->exec_id, false, &ref))
                return;

        r = guest_process_resize(ref.process, q->row, q->column);
        if (r == -ENOTTY)
                return request_fail(request, TTRPC_UNAVAILABLE, "container %s: the process has no terminal",
                                    q->container_id);
        if (r < 0)
                return request_fail_errno(request, r, NULL);
        request_reply(request, NULL);
}

/* New streams. All of them must be there before one is attached. */

enum { ATTACH_IN, ATTACH_OUT, ATTACH_ERR, _ATTACH_MAX };

typedef struct AttachCall AttachCall;

typedef struct AttachSlot {
        AttachCall *call;
        uint32_t port;
        StreamClaim *claim;
        int fd;
} AttachSlot;

struct AttachCall {
        Sandbox *sandbox;
        Request *request;
        /* The process may go while we wait. */
        char id[CONTAINER_ID_MAX + 1], exec_id[CONTAINER_ID_MAX + 1];
        AttachSlot slots[_ATTACH_MAX];
};

static void attach_free(AttachCall *call)
{
        for (unsigned i = 0; i < _ATTACH_MAX; i++) {
                stream_claim_free(call->slots[i].claim);
                safe_close(call->slots[i].fd);
        }
        free(call);
}

static int attach_output(StdioOut *out, int *fd)
{
        int r;

        if (*fd < 0)
                return 0;
        if (!out)
                return -ENOTCONN;

        r = stdio_out_attach(out, fd);
        /* All of it was delivered before: the new stream only sees the end. */
        if (r == -EPIPE)
                *fd = safe_close(*fd);
        return r == -EPIPE ? 0 : r;
}

static void attach_finish(AttachCall *call)
{
        Kata__Systemd__V1__AttachStdioResponse response = KATA__SYSTEMD__V1__ATTACH_STDIO_RESPONSE__INIT;
        ProcessRef ref;
        int r = 0;

        if (!service_lookup_process(call->sandbox, call->request, call->id, call->exec_id, false, &ref)) {
                attach_free(call);
                return;
        }

        if (call->slots[ATTACH_IN].fd >= 0) {
                StdioIn *in = guest_process_stdin(ref.process);

                r = in ? stdio_in_attach(in, &call->slots[ATTACH_IN].fd) : -EPIPE;
        }
        if (r >= 0)
                r = attach_output(guest_process_stdout(ref.process), &call->slots[ATTACH_OUT].fd);
        if (r >= 0)
                r = attach_output(guest_process_stderr(ref.process), &call->slots[ATTACH_ERR].fd);

        if (r == -ENOTCONN || r == -EPIPE)
                request_fail(call->request, TTRPC_FAILED_PRECONDITION,
                             "container %s was created without that stream, or its input is closed",
                             call->id);
        else if (r < 0)
                request_fail_errno(call->request, r, NULL);
        else
                request_reply(call->request, &response.base);
        attach_free(call);
}

static void on_attach_stream(int fd, void *userdata)
{
        AttachSlot *slot = userdata;
        AttachCall *call = slot->call;

        slot->claim = NULL;
        if (fd < 0) {
                request_fail(call->request, TTRPC_DEADLINE_EXCEEDED,
                             "stdio stream %u has not been opened", slot->port);
                attach_free(call);
                return;
        }

        slot->fd = fd;
        for (unsigned i = 0; i < _ATTACH_MAX; i++)
                if (call->slots[i].claim)
                        return;
        attach_finish(call);
}

static void on_attach_cancelled(Request *request, void *userdata)
{
        attach_free(userdata);
}

void service_attach_stdio(void *userdata, Request *request, const void *input)
{
        const Kata__Systemd__V1__AttachStdioRequest *q = input;
        const uint32_t ports[_ATTACH_MAX] = { q->stdin_port, q->stdout_port, q->stderr_port };
        AttachCall *call;
        ProcessRef ref;
        unsigned n = 0;

        if (!service_lookup_process(userdata, request, q->container_id, q->exec_id, false, &ref))
                return;

        call = new0(AttachCall, 1);
        if (!call)
                return request_fail_errno(request, -ENOMEM, NULL);
        call->sandbox = userdata;
        call->request = request;
        /* Both were found, so they are no longer than the arrays. */
        snprintf(call->id, sizeof(call->id), "%s", q->container_id);
        snprintf(call->exec_id, sizeof(call->exec_id), "%s", q->exec_id);
        for (unsigned i = 0; i < _ATTACH_MAX; i++)
                call->slots[i] = (AttachSlot) { .call = call, .port = ports[i], .fd = -EBADF };

        for (unsigned i = 0; i < _ATTACH_MAX; i++) {
                int r;

                if (ports[i] == 0)
                        continue;
                r = stream_table_claim(sandbox_streams(call->sandbox), &call->slots[i].claim, ports[i],
                                       ATTACH_WAIT_USEC, on_attach_stream, &call->slots[i]);
                if (r < 0) {
                        request_fail_errno(request, r, NULL);
                        attach_free(call);
                        return;
                }
                n++;
        }

        request_on_cancel(request, on_attach_cancelled, call);
        if (n == 0)
                attach_finish(call);
}
