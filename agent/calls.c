/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that workers answer: see calls.h. */

#include "agent/calls.h"

#include <sys/mman.h>

#include "agent/worker.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/pb-arena.h"

/* Shared between the agent and one worker. Pages that the answer does not reach are never there. */
struct CallAnswer {
        size_t size;
        uint8_t data[CALL_ANSWER_MAX];
};

typedef struct Call {
        struct Call *next;
        Calls *calls;
        const CallMethod *method;
        const void *input;
        Request *request;       /* NULL: nobody waits for the answer */
        CallAnswer *answer;     /* NULL: empty answer */
        Worker *worker;         /* NULL: waits for its turn */
} Call;

struct Calls {
        Loop *loop;
        Call *list;             /* oldest first */
        size_t n;
};

int calls_new(Calls **ret, Loop *loop)
{
        Calls *calls = new0(Calls, 1);

        if (!calls)
                return -ENOMEM;
        calls->loop = loop;
        *ret = calls;
        return 0;
}

static void call_free(Call *call)
{
        for (Call **at = &call->calls->list; *at; at = &(*at)->next)
                if (*at == call) {
                        *at = call->next;
                        call->calls->n--;
                        break;
                }
        if (call->answer)
                (void) munmap(call->answer, sizeof(*call->answer));
        free(call);
}

Calls *calls_free(Calls *calls)
{
        if (!calls)
                return NULL;

        while (calls->list) {
                if (calls->list->request)
                        request_on_cancel(calls->list->request, NULL, NULL);
                worker_cancel(calls->list->worker);
                call_free(calls->list);
        }
        free(calls);
        return NULL;
}

int call_answer(CallAnswer *answer, const ProtobufCMessage *message)
{
        size_t n = protobuf_c_message_get_packed_size(message);

        if (n > sizeof(answer->data))
                return -EMSGSIZE;
        answer->size = protobuf_c_message_pack(message, answer->data);
        return 0;
}

static int run_work(void *userdata, char **reterr_message)
{
        const Call *call = userdata;

        return call->method->work(call->input, call->answer, reterr_message);
}

static void reply(Call *call, Request *request)
{
        _cleanup_pb_arena_ PbArena arena;
        ProtobufCMessage *message;
        int r;

        pb_arena_init(&arena, 0);
        if (!call->answer)
                return request_reply(request, NULL);
        r = pb_unpack(call->method->output, &arena, call->answer->data,
                      MIN(call->answer->size, sizeof(call->answer->data)), &message);
        if (r < 0)
                return request_fail_errno(request, r, "the answer could not be put together");
        request_reply(request, message);
}

static void start_next(Calls *calls);

static void on_done(int error, const char *message, void *userdata)
{
        Call *call = userdata;
        Calls *calls = call->calls;
        Request *request = TAKE_PTR(call->request);

        if (error == -ETIMEDOUT && !message)
                message = "not done in time: what the work waits for does not answer";
        if (request && error < 0)
                request_fail_errno(request, error, message);
        else if (request)
                reply(call, request);
        else if (error < 0)
                log_warning("A request that nobody waits for failed: %s",
                            message ? message : strerror(-error));

        call_free(call);
        start_next(calls);
}

static int start(Call *call)
{
        if (call->method->output) {
                void *p = mmap(NULL, sizeof(CallAnswer), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

                if (p == MAP_FAILED)
                        return negative_errno();
                call->answer = p;
        }

        return worker_start(&call->worker, call->calls->loop, run_work, call, call->method->timeout,
                            on_done, call);
}

/* The first serial call of the list is the one whose turn it is. */
static Call *find_serial(const Calls *calls)
{
        for (Call *call = calls->list; call; call = call->next)
                if (call->method->serial)
                        return call;

        return NULL;
}

static void start_next(Calls *calls)
{
        for (;;) {
                Call *call = find_serial(calls);
                Request *request;
                int r;

                if (!call || call->worker)
                        return;
                r = start(call);
                if (r >= 0)
                        return;
                request = TAKE_PTR(call->request);
                call_free(call);
                if (request)
                        request_fail_errno(request, r, NULL);
        }
}

static void on_cancel(Request *request, void *userdata)
{
        Call *call = userdata;

        call->request = NULL;
        /* What has not begun is dropped: its input goes with the request. */
        if (!call->worker)
                call_free(call);
}

void calls_run(Calls *calls, Request *request, const CallMethod *method, const void *input)
{
        bool wait = method->serial && find_serial(calls);
        Call *call, **end = &calls->list;
        int r;

        if (calls->n >= CALLS_MAX)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED,
                                    "%u requests are being worked on already", CALLS_MAX);
        if (wait && request_keep_input(request) < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "too many requests at once");

        call = new0(Call, 1);
        if (!call)
                return request_fail_errno(request, -ENOMEM, NULL);
        *call = (Call) { .calls = calls, .method = method, .input = input, .request = request };
        while (*end)
                end = &(*end)->next;
        *end = call;
        calls->n++;
        request_on_cancel(request, on_cancel, call);
        if (wait)
                return;

        r = start(call);
        if (r < 0) {
                call_free(call);
                request_fail_errno(request, r, NULL);
        }
}
