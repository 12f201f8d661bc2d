/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the Task service: see task-calls.h. The peer is the supervisor, root as we are; still bounded. */

#include "runtime/proxy/task-calls.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/unix-socket.h"

#define READ_SIZE 4096U

void task_calls_init(TaskCalls *calls, void *userdata)
{
        *calls = (TaskCalls) {
                .fd = -EBADF, .passed_fd = -EBADF, .next_id = 1, .service = TASK_SERVICE,
                .max_output = TASK_OUTPUT_MAX, .userdata = userdata,
        };
        ttrpc_reader_init(&calls->reader, TTRPC_RESPONSE);
}

void task_calls_set_service(TaskCalls *calls, const char *service, size_t max_output)
{
        calls->service = service;
        calls->max_output = max_output;
}

void task_calls_set_socket(TaskCalls *calls, int fd)
{
        ttrpc_reader_done(&calls->reader);
        ttrpc_reader_init(&calls->reader, TTRPC_RESPONSE);
        calls->fd = fd;
        calls->next_id = 1;
        calls->n_output = 0;
}

void task_calls_close(TaskCalls *calls)
{
        calls->fd = safe_close(calls->fd);
        calls->n_output = 0;
        for (size_t i = 0; i < TASK_CALLS_MAX; i++) {
                TaskCall call = calls->calls[i];

                calls->calls[i] = (TaskCall) {};
                if (call.id != 0 && call.reply)
                        call.reply(calls, -ECONNRESET, "the connection to the supervisor broke", NULL, 0,
                                   calls->userdata);
        }
}

void task_calls_done(TaskCalls *calls)
{
        calls->fd = safe_close(calls->fd);
        ttrpc_reader_done(&calls->reader);
        calls->output = mfree(calls->output);
}

static TaskCall *find(TaskCalls *calls, uint32_t id)
{
        for (size_t i = 0; i < TASK_CALLS_MAX; i++)
                if (calls->calls[i].id == id)
                        return &calls->calls[i];

        return NULL;
}

int task_call(TaskCalls *calls, const char *method, const ProtobufCMessage *message, TaskReply reply)
{
        _cleanup_free_ uint8_t *frame = NULL;
        TaskCall *call = find(calls, 0);
        uint8_t *output;
        size_t n;
        int r;

        if (calls->fd < 0)
                return -ENOTCONN;
        if (!call)
                return -ENOBUFS;
        r = ttrpc_build_request(calls->next_id, calls->service, method, message, 0, &frame, &n);
        if (r < 0)
                return r;
        if (n > calls->max_output - calls->n_output)
                return -ENOBUFS;
        output = realloc(calls->output, calls->n_output + n);
        if (!output)
                return -ENOMEM;

        memcpy(output + calls->n_output, frame, n);
        calls->output = output;
        calls->n_output += n;
        *call = (TaskCall) { .id = calls->next_id, .reply = reply };
        calls->next_id += 2;
        return 0;
}

short task_calls_events(const TaskCalls *calls)
{
        return calls->fd < 0 ? 0 : (short) (POLLIN | (calls->n_output > 0 ? POLLOUT : 0));
}

static ssize_t send_some(TaskCalls *calls)
{
        ssize_t k;

        if (calls->passed_fd >= 0) {
                k = unix_send_fd(calls->fd, calls->output, calls->n_output, MSG_DONTWAIT, calls->passed_fd);
                if (k > 0)
                        calls->passed_fd = -EBADF;
                return k;
        }
        k = send(calls->fd, calls->output, calls->n_output, MSG_NOSIGNAL | MSG_DONTWAIT);
        return k < 0 ? negative_errno() : k;
}

static int flush_output(TaskCalls *calls)
{
        while (calls->n_output > 0) {
                ssize_t k = send_some(calls);

                if (k < 0)
                        return k == -EAGAIN || k == -EINTR ? 0 : (int) k;
                calls->n_output -= (size_t) k;
                memmove(calls->output, calls->output + k, calls->n_output);
        }
        return 0;
}

static void deliver(TaskCalls *calls, const TtrpcFrame *frame)
{
        TaskCall *call = find(calls, frame->stream_id), answered;
        _cleanup_free_ char *text = NULL;
        _cleanup_pb_arena_ PbArena arena;
        Ttrpc__Response *response;
        int error = 0;

        pb_arena_init(&arena, 0);
        if (frame->stream_id == 0 || !call)
                return;
        answered = *call;
        *call = (TaskCall) {};

        error = pb_unpack(&ttrpc__response__descriptor, &arena, frame->payload, frame->size, &response);
        if (error >= 0 && response->status && response->status->code != TTRPC_OK) {
                const char *foreign = strempty(response->status->message);

                error = ttrpc_code_to_errno(response->status->code);
                text = text_escape(foreign, strlen(foreign), TTRPC_ERROR_TEXT_MAX);
        }
        if (!answered.reply)
                return;
        if (error < 0)
                answered.reply(calls, error, error_text(text, error), NULL, 0, calls->userdata);
        else
                answered.reply(calls, 0, NULL, response->payload.data, response->payload.len, calls->userdata);
}

/* 1: go on reading. */
static int read_some(TaskCalls *calls)
{
        uint8_t buffer[READ_SIZE];
        const uint8_t *data = buffer;
        ssize_t k = recv(calls->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        size_t n;

        if (k < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
        if (k == 0)
                return -ECONNRESET;

        n = (size_t) k;
        for (;;) {
                TtrpcFrame frame;
                int r = ttrpc_reader_push(&calls->reader, &data, &n, &frame, NULL);

                if (r < 0)
                        return r;
                if (r == 0)
                        return 1;
                deliver(calls, &frame);
                /* An answer may have led to a new connection. */
                if (calls->fd < 0)
                        return 0;
        }
}

int task_calls_process(TaskCalls *calls)
{
        int r;

        if (calls->fd < 0)
                return -ENOTCONN;
        r = flush_output(calls);
        while (r >= 0) {
                r = read_some(calls);
                if (r == 0)
                        return 0;
        }
        task_calls_close(calls);
        return r;
}
