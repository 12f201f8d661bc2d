/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking calls to the Task service: see task-client.h. */

#include "runtime/cli/task-client.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/unix-socket.h"
#include "runtime/proxy/task-calls.h"
#include "runtime/sandbox/state-file.h"

typedef struct Answer {
        bool there;
        int error;
        char *text;
        PbArena *arena;
        const ProtobufCMessageDescriptor *descriptor;
        void *ret;
} Answer;

struct TaskClient {
        TaskCalls calls;
        Answer answer;
};

static int socket_connect(const char *sandbox, const char *name, int *ret_fd, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int dir = -EBADF;
        int r;

        if (asprintf(&path, "%s/%s", RUNDIR, sandbox) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = dir < 0 ? negative_errno() : unix_connect_at(dir, name, ret_fd);
        if (r < 0)
                return error_setf(reterr_message, r, "the supervisor of sandbox '%s' can not be reached at %s/%s: %s",
                                  sandbox, path, name, strerror(-r));
        return 0;
}

int task_socket_connect(const char *sandbox, int *ret_fd, char **reterr_message)
{
        return socket_connect(sandbox, TASK_SOCKET_NAME, ret_fd, reterr_message);
}

static int client_connect(const char *sandbox, const char *name, TaskClient **ret, char **reterr_message)
{
        TaskClient *client;
        int fd, r = socket_connect(sandbox, name, &fd, reterr_message);

        if (r < 0)
                return r;
        client = new0(TaskClient, 1);
        if (!client) {
                safe_close(fd);
                return -ENOMEM;
        }
        task_calls_init(&client->calls, client);
        task_calls_set_socket(&client->calls, fd);
        *ret = client;
        return 0;
}

int task_client_connect(const char *sandbox, TaskClient **ret, char **reterr_message)
{
        return client_connect(sandbox, TASK_SOCKET_NAME, ret, reterr_message);
}

int task_client_connect_sandbox(const char *sandbox, TaskClient **ret, char **reterr_message)
{
        int r = client_connect(sandbox, SANDBOX_SOCKET_NAME, ret, reterr_message);

        if (r >= 0)
                task_calls_set_service(&(*ret)->calls, "kata.systemd.v1.Sandbox", TTRPC_PAYLOAD_MAX + KIB(1));
        return r;
}

TaskClient *task_client_free(TaskClient *client)
{
        if (client) {
                task_calls_done(&client->calls);
                free(client->answer.text);
                free(client);
        }
        return NULL;
}

void task_client_pass_fd(TaskClient *client, int fd)
{
        client->calls.passed_fd = fd;
}

static void on_reply(TaskCalls *calls, int error, const char *text, const uint8_t *payload, size_t n,
                     void *userdata)
{
        TaskClient *client = userdata;
        Answer *a = &client->answer;

        a->there = true;
        a->error = error;
        if (error < 0)
                a->text = text ? strdup(text) : NULL;
        else if (a->descriptor)
                a->error = pb_unpack(a->descriptor, a->arena, payload, n, a->ret);
}

int task_client_call(TaskClient *client, const char *method, const ProtobufCMessage *request, usec_t timeout,
                     PbArena *arena, const ProtobufCMessageDescriptor *descriptor, void *ret,
                     char **reterr_message)
{
        usec_t end = now_usec() + timeout;
        int r;

        free(client->answer.text);
        client->answer = (Answer) { .arena = arena, .descriptor = descriptor, .ret = ret };
        r = task_call(&client->calls, method, request, on_reply);
        while (r >= 0 && !client->answer.there) {
                usec_t now = now_usec();

                if (now >= end)
                        return error_setf(reterr_message, -ETIMEDOUT, "%s: the supervisor has not answered in time",
                                          method);
                r = fd_wait(client->calls.fd, task_calls_events(&client->calls),
                            (int) MIN((end - now) / USEC_PER_MSEC + 1, (usec_t) INT32_MAX));
                if (r >= 0)
                        r = task_calls_process(&client->calls);
                /* What broke the connection is told to the reply, too. */
                if (client->answer.there)
                        r = 0;
        }
        if (r >= 0)
                r = client->answer.error;
        return r < 0 ? error_setf(reterr_message, r, "%s", error_text(client->answer.text, r)) : 0;
}
