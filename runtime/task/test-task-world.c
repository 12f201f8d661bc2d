/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the Task service share: see test-task-world.h. */

#include "runtime/task/test-task-world.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "proto/task-events.pb-c.h"

/* --- the supervisor around it --- */

static int share_add(void *userdata, const char *name, const char *source, bool read_only, bool recursive,
                     int namespace_fd, char **reterr_message)
{
        World *w = userdata;
        size_t n = strlen(w->shares);

        snprintf(w->shares + n, sizeof(w->shares) - n, "+%s%s%s;", name, read_only ? " ro" : "",
                 recursive ? " rec" : "");
        return w->share_fails ? -EIO : 0;
}

static void share_remove(void *userdata, const char *name)
{
        World *w = userdata;
        size_t n = strlen(w->shares);

        snprintf(w->shares + n, sizeof(w->shares) - n, "-%s;", name);
}

static int on_limits(sd_event_source *source, void *userdata)
{
        World *w = userdata;

        w->limits_timer = sd_event_source_disable_unref(w->limits_timer);
        w->limits_done(w->limits_fail ? -EIO : 0, w->limits_fail, w->limits_fail ? NULL : &w->limits_before,
                       w->limits_userdata);
        return 0;
}

/* Answered from the loop, unless it is held. */
static int set_limits(void *userdata, const ScopeLimits *limits, SandboxLimitsDone done, void *done_userdata,
                      char **reterr_message)
{
        World *w = userdata;
        size_t n = strlen(w->limits);

        snprintf(w->limits + n, sizeof(w->limits) - n,
                 "%x weight %" PRIu64 " quota %" PRIu64 " memory %" PRIu64 ";", limits->set, limits->cpu_weight,
                 limits->cpu_quota, limits->memory_max);
        w->limits_done = done;
        w->limits_userdata = done_userdata;
        return w->limits_held ? 0 : sd_event_add_defer(w->event, &w->limits_timer, on_limits, w);
}

static int prepare_start(void *userdata, TtrpcReplyHandler done, void *done_userdata, char **reterr_message)
{
        World *w = userdata;

        w->prepared = done;
        w->prepared_userdata = done_userdata;
        if (w->prepare < 0)
                *reterr_message = strdup("the network is not ready");
        return w->prepare;
}

static void on_shutdown(void *userdata, const char *why)
{
        World *w = userdata;

        w->shutdowns++;
        snprintf(w->why, sizeof(w->why), "%s", why);
}

static void on_change(void *userdata)
{
        World *w = userdata;

        w->changes++;
}

void start_service(World *w)
{
        const TaskHost host = {
                .orphan_grace = 20 * USEC_PER_MSEC,
                .event = w->event, .agent = w->guest.client, .transport = w->guest.transport,
                .relay = w->guest.relay, .run_dir = w->guest.dir, .vm_pid = VM_PID,
                .request_timeout = 10 * USEC_PER_SEC,
                .set_limits = set_limits, .share_add = share_add, .share_remove = share_remove,
                .prepare_start = prepare_start, .on_shutdown = on_shutdown, .on_change = on_change, .userdata = w,
        };
        int pair[2];

        ASSERT_OK(task_service_new(&w->service, &host));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(task_service_add_client(w->service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&w->client, w->event, pair[1], "tasks", NULL, NULL));
}

void stop_service(World *w)
{
        w->client = ttrpc_client_free(w->client);
        w->service = task_service_free(w->service);
}

void write_bundle(World *w, bool terminal)
{
        _cleanup_free_ char *path = NULL, *text = NULL;

        ASSERT_TRUE(asprintf(&path, "%s/config.json", w->bundle) > 0);
        ASSERT_TRUE(asprintf(&text, "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,\"args\":[\"/bin/sh\"],"
                             "\"cwd\":\"/\"%s},\"root\":{\"path\":\"rootfs\"},\"linux\":{},\"mounts\":["
                             "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv\","
                             "\"options\":[\"rbind\",\"ro\"]}]}",
                             terminal ? "true" : "false", strempty(w->more)) > 0);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0600));
}

void world_init(World *w)
{
        *w = (World) {};
        pb_arena_init(&w->arena, 0);
        ASSERT_OK(sd_event_new(&w->event));
        fake_guest_init(&w->guest, w->event);
        snprintf(w->bundle, sizeof(w->bundle), "%s/bundle", w->guest.dir);
        ASSERT_OK(mkdir_p(w->bundle, 0755));
        write_bundle(w, false);
        start_service(w);
}

void world_done(World *w)
{
        stop_service(w);
        sd_event_source_disable_unref(w->limits_timer);
        fake_guest_done(&w->guest);
        pb_arena_done(&w->arena);
        sd_event_unref(w->event);
}

/* --- the client --- */

void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        const ProtobufCMessage *m = message;
        World *w = userdata;

        w->replies++;
        w->error = error;
        snprintf(w->text, sizeof(w->text), "%s", strempty(text));
        w->reply = NULL;
        if (error == 0) {
                size_t n = protobuf_c_message_get_packed_size(m);
                uint8_t *packed = pb_arena_alloc(&w->arena, n);

                protobuf_c_message_pack(m, packed);
                ASSERT_OK(pb_unpack(m->descriptor, &w->arena, packed, n, &w->reply));
        }
}

void send_call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply)
{
        ASSERT_OK(ttrpc_client_call(w->client, SERVICE, method, m, reply, 0, on_reply, w));
}

int task_call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply)
{
        unsigned before = w->replies;

        send_call(w, method, m, reply);
        FAKE_RUN_UNTIL(&w->guest, w->replies > before);
        return w->error;
}

int task_create(World *w, const char *id, bool terminal, const char *out)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;

        q.id = S(id);
        q.bundle = w->bundle;
        q.terminal = terminal;
        q.stdout = S(out);
        return task_call(w, "Create", &q.base, &containerd__task__v2__create_task_response__descriptor);
}

int task_start(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return task_call(w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
}

int task_delete(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return task_call(w, "Delete", &q.base, &containerd__task__v2__delete_response__descriptor);
}

int task_kill(World *w, const char *id, const char *exec_id, uint32_t sig, bool all)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        q.signal = sig;
        q.all = all;
        return task_call(w, "Kill", &q.base, &NONE);
}

int task_exec(World *w, const char *id, const char *exec_id, bool terminal, const char *json)
{
        Containerd__Task__V2__ExecProcessRequest q = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
        Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

        spec.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/Process");
        spec.value = (ProtobufCBinaryData) { .len = strlen(json), .data = (uint8_t *) S(json) };
        q.id = S(id);
        q.exec_id = S(exec_id);
        q.terminal = terminal;
        q.stdout = S("/dev/null");
        q.spec = &spec;
        return task_call(w, "Exec", &q.base, &NONE);
}

const Containerd__Task__V2__StateResponse *task_state(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__StateRequest q = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return task_call(w, "State", &q.base, &containerd__task__v2__state_response__descriptor) < 0 ? NULL : w->reply;
}

void expect_status(World *w, const char *id, const char *exec_id, int status)
{
        ASSERT_EQ(ASSERT_NOT_NULL(task_state(w, id, exec_id))->status, status);
}

void run_container(World *w, const char *id, const char *out)
{
        ASSERT_OK(task_create(w, id, false, out));
        ASSERT_OK(task_start(w, id, ""));
        expect_status(w, id, "", CONTAINERD__TASK__V2__STATUS__RUNNING);
}

/* Topics with the number that matters, and takes them all. */
void expect_events(World *w, const char *expected)
{
        char text[512] = "";
        TaskEvent *e;

        while ((e = task_events_take(task_service_events(w->service)))) {
                size_t n = strlen(text);

                ASSERT_TRUE(e->realtime_usec > 0);
                if (streq(e->topic, "/tasks/exit")) {
                        Containerd__Events__TaskExit *x;

                        ASSERT_STREQ(e->type, "containerd.events.TaskExit");
                        ASSERT_OK(pb_unpack(&containerd__events__task_exit__descriptor, &w->arena, e->data, e->size,
                                            &x));
                        ASSERT_EQ(x->pid, VM_PID);
                        snprintf(text + n, sizeof(text) - n, "exit %s %s %u;", x->container_id, x->id,
                                 x->exit_status);
                } else
                        snprintf(text + n, sizeof(text) - n, "%s;", e->topic + strlen("/tasks/"));
                task_event_free(e);
        }
        ASSERT_STREQ(text, expected);
}

void end_output(World *w, uint32_t port)
{
        w->guest.streams[port] = safe_close(w->guest.streams[port]);
}
