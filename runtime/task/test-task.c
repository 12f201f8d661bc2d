/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service with a client at one end and an agent at the other, both over the wire: the life of containers
 * and of further processes, what is refused and how, events, and a supervisor that takes over. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "proto/cgroup1.pb-c.h"
#include "proto/cgroup2.pb-c.h"
#include "proto/empty.pb-c.h"
#include "proto/task-events.pb-c.h"
#include "proto/task.pb-c.h"
#include "runtime/task/fake-guest.h"
#include "runtime/task/task.h"

#define S(text) ((char *) (uintptr_t) (text))
#define SERVICE "containerd.task.v2.Task"
#define NONE google__protobuf__empty__descriptor
#define VM_PID 4711

typedef struct World {
        sd_event *event;
        FakeGuest guest;
        TaskService *service;
        TtrpcClient *client;
        char bundle[80], shares[1024];
        unsigned shutdowns, changes;
        char why[128];
        bool share_fails;

        unsigned replies;
        int error;
        char text[512];
        PbArena arena;
        void *reply;
} World;

/* --- the supervisor around it --- */

static int share_add(void *userdata, const char *name, const char *source, bool read_only, bool recursive,
                     char **reterr_message)
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

static void start_service(World *w)
{
        const TaskHost host = {
                .event = w->event, .agent = w->guest.client, .transport = w->guest.transport,
                .relay = w->guest.relay, .run_dir = w->guest.dir, .vm_pid = VM_PID,
                .request_timeout = 10 * USEC_PER_SEC,
                .share_add = share_add, .share_remove = share_remove, .on_shutdown = on_shutdown,
                .on_change = on_change, .userdata = w,
        };
        int pair[2];

        ASSERT_OK(task_service_new(&w->service, &host));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(task_service_add_client(w->service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&w->client, w->event, pair[1], "tasks", NULL, NULL));
}

static void stop_service(World *w)
{
        w->client = ttrpc_client_free(w->client);
        w->service = task_service_free(w->service);
}

static void write_bundle(World *w, bool terminal)
{
        _cleanup_free_ char *path = NULL, *text = NULL;

        ASSERT_TRUE(asprintf(&path, "%s/config.json", w->bundle) > 0);
        ASSERT_TRUE(asprintf(&text, "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,\"args\":[\"/bin/sh\"],"
                             "\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"},\"linux\":{},\"mounts\":["
                             "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv\","
                             "\"options\":[\"rbind\",\"ro\"]}]}",
                             terminal ? "true" : "false") > 0);
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0600));
}

static void world_init(World *w)
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

static void world_done(World *w)
{
        stop_service(w);
        fake_guest_done(&w->guest);
        pb_arena_done(&w->arena);
        sd_event_unref(w->event);
}

/* --- the client --- */

static void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
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

static void send_call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply)
{
        ASSERT_OK(ttrpc_client_call(w->client, SERVICE, method, m, reply, 0, on_reply, w));
}

static int call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply)
{
        unsigned before = w->replies;

        send_call(w, method, m, reply);
        FAKE_RUN_UNTIL(&w->guest, w->replies > before);
        return w->error;
}

static int create(World *w, const char *id, bool terminal, const char *out)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;

        q.id = S(id);
        q.bundle = w->bundle;
        q.terminal = terminal;
        q.stdout = S(out);
        return call(w, "Create", &q.base, &containerd__task__v2__create_task_response__descriptor);
}

static int start(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return call(w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
}

static int delete(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return call(w, "Delete", &q.base, &containerd__task__v2__delete_response__descriptor);
}

static int kill_process(World *w, const char *id, const char *exec_id, uint32_t sig, bool all)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        q.signal = sig;
        q.all = all;
        return call(w, "Kill", &q.base, &NONE);
}

static int exec(World *w, const char *id, const char *exec_id, bool terminal, const char *json)
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
        return call(w, "Exec", &q.base, &NONE);
}

static const Containerd__Task__V2__StateResponse *state(World *w, const char *id, const char *exec_id)
{
        Containerd__Task__V2__StateRequest q = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;

        q.id = S(id);
        q.exec_id = S(exec_id);
        return call(w, "State", &q.base, &containerd__task__v2__state_response__descriptor) < 0 ? NULL : w->reply;
}

static void expect_status(World *w, const char *id, const char *exec_id, int status)
{
        ASSERT_EQ(ASSERT_NOT_NULL(state(w, id, exec_id))->status, status);
}

static void run_container(World *w, const char *id, const char *out)
{
        ASSERT_OK(create(w, id, false, out));
        ASSERT_OK(start(w, id, ""));
        expect_status(w, id, "", CONTAINERD__TASK__V2__STATUS__RUNNING);
}

/* Topics with the number that matters, and takes them all. */
static void expect_events(World *w, const char *expected)
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

static void end_output(World *w, uint32_t port)
{
        w->guest.streams[port] = safe_close(w->guest.streams[port]);
}

/* --- tests --- */

TEST(life)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        const Containerd__Task__V2__StateResponse *s;
        const Containerd__Task__V2__DeleteResponse *d;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_NULL(state(&w, "web", ""));
        ASSERT_EQ(w.error, -ENOENT);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        ASSERT_EQ(((Containerd__Task__V2__CreateTaskResponse *) w.reply)->pid, VM_PID);
        ASSERT_STREQ(w.guest.log, "Create web /run/kata-containers/shared/containers/web.1/rootfs in0 out1 err0;");
        ASSERT_STREQ(w.shares, "+web.1/rootfs;+web.1-0-srv ro rec;");
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__CREATED);
        ASSERT_ERROR(create(&w, "web", false, "/dev/null"), EEXIST);

        /* Two wait, one of them from before the start. */
        wait.id = S("web");
        before = w.replies;
        send_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor);
        ASSERT_OK(ttrpc_client_call(w.client, SERVICE, "Wait", &wait.base,
                                    &containerd__task__v2__wait_response__descriptor, 0, on_reply, &w));
        ASSERT_OK(start(&w, "web", ""));
        ASSERT_EQ(w.replies, before + 1);
        ASSERT_ERROR(start(&w, "web", ""), EBUSY);
        ASSERT_ERROR(delete(&w, "web", ""), EBUSY);
        ASSERT_CONTAINS(w.text, "cannot delete a running process");

        before = w.replies;
        fake_guest_exit(&w.guest, "web", NULL, 0x303);
        FAKE_RUN_UNTIL(&w.guest, w.replies == before + 2);
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 3);
        ASSERT_TRUE(((Containerd__Task__V2__WaitResponse *) w.reply)->exited_at->seconds > 1600000000);
        s = ASSERT_NOT_NULL(state(&w, "web", ""));
        ASSERT_EQ(s->status, CONTAINERD__TASK__V2__STATUS__STOPPED);
        ASSERT_EQ(s->exit_status, 3);
        ASSERT_EQ(s->pid, VM_PID);
        ASSERT_STREQ(s->bundle, w.bundle);
        ASSERT_STREQ(s->stdout, "/dev/null");
        ASSERT_ERROR(kill_process(&w, "web", "", SIGKILL, false), ENOENT);
        ASSERT_CONTAINS(w.text, "process already finished");
        /* Any number of times, also now. */
        ASSERT_OK(call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));

        end_output(&w, 1);
        ASSERT_OK(delete(&w, "web", ""));
        d = w.reply;
        ASSERT_EQ(d->exit_status, 3);
        ASSERT_EQ(d->pid, VM_PID);
        ASSERT_STREQ(w.shares, "+web.1/rootfs;+web.1-0-srv ro rec;-web.1-0-srv;-web.1/rootfs;");
        ASSERT_ERROR(delete(&w, "web", ""), ENOENT);
        expect_events(&w, "create;start;exit web web 3;delete;");

        /* The id is free again; the guest sees another name. */
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        ASSERT_CONTAINS(w.shares, "+web.2/rootfs;");
        world_done(&w);
}

TEST(refused_creates)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__Mount mount = CONTAINERD__TASK__V2__MOUNT__INIT, *mounts[] = { &mount };
        const ProtobufCMessageDescriptor *reply = &containerd__task__v2__create_task_response__descriptor;
        Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
        World w;

        world_init(&w);
        q.id = S("../x");
        q.bundle = w.bundle;
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EINVAL);
        q.id = S("web");
        q.rootfs = mounts;
        q.n_rootfs = 1;
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        ASSERT_CONTAINS(w.text, "rootfs mounts are not supported");
        q.n_rootfs = 0;
        q.checkpoint = S("/c");
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        q.checkpoint = S("");
        q.options = &options;
        options.type_url = S("runtimeoptions.v1.Options");
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EINVAL);
        options.type_url = S("containerd.runc.v1.Options");
        q.terminal = true;
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EINVAL);
        ASSERT_CONTAINS(w.text, "process.terminal");
        q.terminal = false;
        q.stdout = S("binary:///x");
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        q.stdout = S("");
        q.bundle = S("/nonexistent");
        ASSERT_ERROR(call(&w, "Create", &q.base, reply), EINVAL);
        ASSERT_CONTAINS(w.text, "bundle /nonexistent does not exist");
        q.bundle = w.bundle;
        ASSERT_STREQ(w.guest.log, "");
        ASSERT_STREQ(w.shares, "");

        /* What was done is undone. */
        w.share_fails = true;
        ASSERT_TRUE(call(&w, "Create", &q.base, reply) < 0);
        ASSERT_CONTAINS(w.shares, "-web.");
        w.share_fails = false;
        w.shares[0] = '\0';
        w.guest.fail_method = "CreateContainer";
        w.guest.fail_code = TTRPC_INTERNAL;
        w.guest.fail_text = "no such program";
        ASSERT_TRUE(call(&w, "Create", &q.base, reply) < 0);
        ASSERT_CONTAINS(w.text, "container web can not be created: ");
        ASSERT_CONTAINS(w.text, "no such program");
        ASSERT_CONTAINS(w.shares, "-web.");
        ASSERT_NULL(state(&w, "web", ""));
        w.guest.fail_method = NULL;
        ASSERT_OK(call(&w, "Create", &q.base, reply));
        expect_events(&w, "create;");
        world_done(&w);
}

TEST(failed_start)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        World w;

        world_init(&w);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        w.guest.fail_method = "StartContainer";
        w.guest.fail_code = TTRPC_NOT_FOUND;
        w.guest.fail_text = "exec: \"x\": executable file not found in $PATH";
        /* Not as NOT_FOUND: the container is there. */
        ASSERT_ERROR(start(&w, "web", ""), EIO);
        ASSERT_CONTAINS(w.text, "executable file not found in $PATH");
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__STOPPED);
        wait.id = S("web");
        ASSERT_OK(call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 127);
        ASSERT_OK(delete(&w, "web", ""));
        expect_events(&w, "create;delete;");
        world_done(&w);
}

/* An exit that is known before the answer to Start is told behind it. */
TEST(quick_exit)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        w.guest.hold_method = "StartContainer";
        before = w.replies;
        q.id = S("web");
        send_call(&w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
        FAKE_RUN_UNTIL(&w.guest, w.guest.held);
        fake_guest_exit(&w.guest, "web", NULL, 0);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        expect_events(&w, "create;");
        ASSERT_EQ(w.replies, before);
        fake_guest_release(&w.guest);
        FAKE_RUN_UNTIL(&w.guest, w.replies > before);
        ASSERT_EQ(w.error, 0);
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__STOPPED);
        expect_events(&w, "start;exit web web 0;");
        world_done(&w);
}

TEST(out_of_memory)
{
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        for (unsigned i = 0; i < 2; i++) {
                FAKE_RUN_UNTIL(&w.guest, w.guest.oom);
                fake_guest_oom(&w.guest, i == 0 ? "web" : "nobody");
        }
        FAKE_RUN_UNTIL(&w.guest, w.guest.oom);
        fake_guest_exit(&w.guest, "web", NULL, 137);
        FAKE_RUN_UNTIL(&w.guest, state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
        expect_events(&w, "create;start;oom;exit web web 137;");
        world_done(&w);
}

TEST(delete_created)
{
        World w;

        world_init(&w);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        ASSERT_OK(delete(&w, "web", ""));
        ASSERT_EQ(((Containerd__Task__V2__DeleteResponse *) w.reply)->exit_status, 137);
        ASSERT_CONTAINS(w.guest.log, "Remove web;");
        expect_events(&w, "create;exit web web 137;delete;");
        world_done(&w);
}

TEST(signals)
{
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        w.guest.log[0] = '\0';
        ASSERT_OK(kill_process(&w, "web", "", SIGTERM, false));
        ASSERT_OK(kill_process(&w, "web", "", 34, false));
        ASSERT_OK(kill_process(&w, "web", "", SIGKILL, true));
        ASSERT_STREQ(w.guest.log, "Signal web 'web' 15;Signal web 'web' 34;Signal web '' 9;");
        ASSERT_ERROR(kill_process(&w, "web", "", 0, false), EINVAL);
        ASSERT_ERROR(kill_process(&w, "web", "", 65, false), EINVAL);
        ASSERT_ERROR(kill_process(&w, "no", "", 9, false), ENOENT);
        ASSERT_ERROR(kill_process(&w, "web", "e1", 9, false), ENOENT);
        world_done(&w);
}

TEST(further_processes)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        World w;

        world_init(&w);
        ASSERT_ERROR(exec(&w, "web", "e1", false, json), ENOENT);
        run_container(&w, "web", "/dev/null");
        w.guest.log[0] = '\0';
        ASSERT_ERROR(exec(&w, "web", "e1", false, "{"), EINVAL);
        ASSERT_ERROR(exec(&w, "web", "e1", true, json), EINVAL);
        ASSERT_ERROR(exec(&w, "web", "web", false, json), EEXIST);
        ASSERT_OK(exec(&w, "web", "e1", false, json));
        ASSERT_ERROR(exec(&w, "web", "e1", false, json), EEXIST);
        expect_status(&w, "web", "e1", CONTAINERD__TASK__V2__STATUS__CREATED);
        ASSERT_STREQ(ASSERT_NOT_NULL(state(&w, "web", "e1"))->exec_id, "e1");
        ASSERT_ERROR(kill_process(&w, "web", "e1", 9, false), EBUSY);
        ASSERT_CONTAINS(w.text, "process not created");
        ASSERT_STREQ(w.guest.log, "");

        ASSERT_OK(start(&w, "web", "e1"));
        ASSERT_STREQ(w.guest.log, "Exec web e1 /bin/id 0x0;");
        ASSERT_OK(kill_process(&w, "web", "e1", 9, true));
        ASSERT_CONTAINS(w.guest.log, "Signal web 'e1' 9;");
        FAKE_RUN_UNTIL(&w.guest, w.guest.waits[1].call);
        fake_guest_exit(&w.guest, "web", "e1", 137);
        wait.id = S("web");
        wait.exec_id = S("e1");
        ASSERT_OK(call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 137);
        end_output(&w, 2);
        ASSERT_OK(delete(&w, "web", "e1"));
        ASSERT_NULL(state(&w, "web", "e1"));
        expect_events(&w, "create;start;exec-added;exec-started;exit web e1 137;");

        /* One that can not be started; one that ends with its container; one that was never started. */
        ASSERT_OK(exec(&w, "web", "e2", false, json));
        w.guest.fail_method = "ExecProcess";
        w.guest.fail_code = TTRPC_NOT_FOUND;
        w.guest.fail_text = "no such file or directory";
        ASSERT_ERROR(start(&w, "web", "e2"), EIO);
        expect_status(&w, "web", "e2", CONTAINERD__TASK__V2__STATUS__STOPPED);
        ASSERT_OK(delete(&w, "web", "e2"));
        w.guest.fail_method = NULL;
        ASSERT_OK(exec(&w, "web", "e3", false, json));
        ASSERT_OK(start(&w, "web", "e3"));
        ASSERT_OK(exec(&w, "web", "e4", false, json));
        ASSERT_OK(delete(&w, "web", "e4"));
        fake_guest_exit(&w.guest, "web", NULL, 0);
        FAKE_RUN_UNTIL(&w.guest, streq(w.guest.log, "") || state(&w, "web", "")->status ==
                                                                   CONTAINERD__TASK__V2__STATUS__STOPPED);
        expect_events(&w, "exec-added;exec-added;exec-started;exec-added;exit web e3 137;exit web web 0;");
        ASSERT_ERROR(exec(&w, "web", "e5", false, json), EBUSY);
        world_done(&w);
}

TEST(terminal)
{
        static const char json[] = "{\"args\":[\"/bin/sh\"],\"cwd\":\"/\",\"terminal\":true}";
        Containerd__Task__V2__ResizePtyRequest q = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
        World w;

        world_init(&w);
        write_bundle(&w, true);
        ASSERT_OK(create(&w, "web", true, "/dev/null"));
        q.id = S("web");
        q.width = 80;
        q.height = 24;
        ASSERT_OK(call(&w, "ResizePty", &q.base, &NONE));
        ASSERT_CONTAINS(w.guest.log, "Resize web web 80x24;");
        ASSERT_OK(start(&w, "web", ""));
        ASSERT_TRUE(ASSERT_NOT_NULL(state(&w, "web", ""))->terminal);

        /* Before the start of an exec it is remembered. */
        ASSERT_OK(exec(&w, "web", "e1", true, json));
        w.guest.log[0] = '\0';
        q.exec_id = S("e1");
        ASSERT_OK(call(&w, "ResizePty", &q.base, &NONE));
        ASSERT_STREQ(w.guest.log, "");
        ASSERT_OK(start(&w, "web", "e1"));
        ASSERT_STREQ(w.guest.log, "Exec web e1 /bin/sh 80x24;");
        /* A terminal that is gone is no error. */
        w.guest.fail_method = "TtyWinResize";
        w.guest.fail_code = TTRPC_UNAVAILABLE;
        w.guest.fail_text = "no terminal";
        ASSERT_OK(call(&w, "ResizePty", &q.base, &NONE));
        world_done(&w);
}

TEST(input)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__CloseIORequest close_io = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
        char path[64], buf[16];
        int in;
        World w;

        world_init(&w);
        snprintf(path, sizeof(path), "%s/in", w.guest.dir);
        ASSERT_OK(mkfifo(path, 0600));
        in = ASSERT_OK(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
        q.id = close_io.id = S("web");
        q.bundle = w.bundle;
        q.stdin = path;
        ASSERT_OK(call(&w, "Create", &q.base, &containerd__task__v2__create_task_response__descriptor));
        ASSERT_EQ(write(in, "abc", 3), 3);
        safe_close(in);
        close_io.stdin = true;
        ASSERT_OK(call(&w, "CloseIO", &close_io.base, &NONE));
        ASSERT_OK(start(&w, "web", ""));
        FAKE_RUN_UNTIL(&w.guest, read(w.guest.streams[1], buf, sizeof(buf)) == 3);
        FAKE_RUN_UNTIL(&w.guest, read(w.guest.streams[1], buf, sizeof(buf)) == 0);
        ASSERT_OK(call(&w, "CloseIO", &close_io.base, &NONE));
        world_done(&w);
}

TEST(pause_update_stats)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}", limits[] = "{\"memory\":{\"limit\":4096}}";
        Containerd__Task__V2__PauseRequest pause = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
        Containerd__Task__V2__ResumeRequest resume = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
        Containerd__Task__V2__UpdateTaskRequest update = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__StatsRequest stats = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
        Containerd__Task__V2__PidsRequest pids = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
        Containerd__Task__V2__CheckpointTaskRequest checkpoint = CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        World w;

        world_init(&w);
        pause.id = resume.id = update.id = stats.id = pids.id = S("web");
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        ASSERT_ERROR(call(&w, "Pause", &pause.base, &NONE), EBUSY);
        ASSERT_OK(start(&w, "web", ""));
        ASSERT_ERROR(call(&w, "Resume", &resume.base, &NONE), EBUSY);
        ASSERT_OK(call(&w, "Pause", &pause.base, &NONE));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__PAUSED);
        ASSERT_ERROR(exec(&w, "web", "e1", false, json), EBUSY);
        ASSERT_CONTAINS(w.text, "paused");
        ASSERT_ERROR(delete(&w, "web", ""), EBUSY);
        ASSERT_OK(call(&w, "Resume", &resume.base, &NONE));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__RUNNING);
        expect_events(&w, "create;start;paused;resumed;");

        ASSERT_ERROR(call(&w, "Update", &update.base, &NONE), EINVAL);
        any.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources");
        any.value = (ProtobufCBinaryData) { .len = strlen(limits), .data = (uint8_t *) S(limits) };
        update.resources = &any;
        ASSERT_OK(call(&w, "Update", &update.base, &NONE));
        ASSERT_CONTAINS(w.guest.log, "Update web 4096;");

        ASSERT_OK(call(&w, "Stats", &stats.base, &containerd__task__v2__stats_response__descriptor));
        ASSERT_CONTAINS(((Containerd__Task__V2__StatsResponse *) w.reply)->stats->type_url, "io.containerd.cgroups.v");
        ASSERT_OK(call(&w, "Pids", &pids.base, &containerd__task__v2__pids_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__PidsResponse *) w.reply)->n_processes, 1);
        ASSERT_EQ(((Containerd__Task__V2__PidsResponse *) w.reply)->processes[0]->pid, VM_PID);
        ASSERT_ERROR(call(&w, "Checkpoint", &checkpoint.base, &NONE), EOPNOTSUPP);
        world_done(&w);
}

TEST(connect_and_shutdown)
{
        Containerd__Task__V2__ConnectRequest q = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
        Containerd__Task__V2__ShutdownRequest end = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
        const Containerd__Task__V2__ConnectResponse *a;
        World w;

        world_init(&w);
        q.id = S("web");
        ASSERT_OK(call(&w, "Connect", &q.base, &containerd__task__v2__connect_response__descriptor));
        a = w.reply;
        ASSERT_EQ(a->shim_pid, getpid());
        ASSERT_EQ(a->task_pid, 0);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        ASSERT_OK(call(&w, "Connect", &q.base, &containerd__task__v2__connect_response__descriptor));
        a = w.reply;
        ASSERT_EQ(a->task_pid, VM_PID);

        ASSERT_OK(call(&w, "Shutdown", &end.base, &NONE));
        ASSERT_EQ(w.shutdowns, 0);
        ASSERT_OK(delete(&w, "web", ""));
        ASSERT_OK(call(&w, "Shutdown", &end.base, &NONE));
        ASSERT_EQ(w.shutdowns, 1);
        ASSERT_STREQ(w.why, "the last container is gone");
        world_done(&w);
}

TEST(way_down)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        unsigned before;
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        ASSERT_FALSE(task_service_is_down(w.service));
        task_service_signal_all(w.service, false);
        FAKE_RUN_UNTIL(&w.guest, strstr(w.guest.log, "Signal web 'web' 15;"));
        fake_guest_exit(&w.guest, "web", NULL, 0);
        FAKE_RUN_UNTIL(&w.guest, state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
        /* Its output may not be read to the end yet. */
        ASSERT_FALSE(task_service_is_down(w.service));
        end_output(&w, 1);
        FAKE_RUN_UNTIL(&w.guest, task_service_is_down(w.service));

        /* A guest that goes: everybody learns that all is over. */
        run_container(&w, "db", "/dev/null");
        task_service_signal_all(w.service, true);
        FAKE_RUN_UNTIL(&w.guest, strstr(w.guest.log, "Signal db '' 9;"));
        wait.id = S("db");
        before = w.replies;
        send_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor);
        for (unsigned i = 0; i < 3; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        expect_events(&w, "create;start;exit web web 0;create;start;");
        fake_guest_disconnect(&w.guest);
        end_output(&w, 2);
        task_service_guest_gone(w.service);
        FAKE_RUN_UNTIL(&w.guest, w.replies == before + 1);
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 137);
        expect_events(&w, "exit db db 137;");
        ASSERT_TRUE(task_service_is_down(w.service));
        ASSERT_ERROR(kill_process(&w, "db", "", 9, false), ENOENT);
        ASSERT_ERROR(create(&w, "new", false, "/dev/null"), EAGAIN);
        ASSERT_OK(delete(&w, "db", ""));
        world_done(&w);
}

/* The client goes in the middle of an operation, which goes on. */
TEST(client_leaves)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        int pair[2];
        World w;

        world_init(&w);
        ASSERT_OK(create(&w, "web", false, "/dev/null"));
        w.guest.hold_method = "StartContainer";
        q.id = S("web");
        send_call(&w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
        FAKE_RUN_UNTIL(&w.guest, w.guest.held);
        w.client = ttrpc_client_free(w.client);
        for (unsigned i = 0; i < 3; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        fake_guest_release(&w.guest);
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(task_service_add_client(w.service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&w.client, w.event, pair[1], "tasks", NULL, NULL));
        FAKE_RUN_UNTIL(&w.guest, state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__RUNNING);
        world_done(&w);
}

TEST(successor)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        _cleanup_free_ char *path = NULL, *message = NULL;
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        ASSERT_OK(exec(&w, "web", "e1", false, json));
        ASSERT_OK(exec(&w, "web", "e2", false, json));
        ASSERT_OK(start(&w, "web", "e2"));
        run_container(&w, "db", "");
        fake_guest_exit(&w.guest, "db", NULL, 5);
        FAKE_RUN_UNTIL(&w.guest, state(&w, "db", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);

        stop_service(&w);
        for (unsigned i = 0; i < FAKE_WAITS_MAX; i++)
                w.guest.waits[i].call = NULL;
        w.guest.log[0] = '\0';
        start_service(&w);
        ASSERT_OK(task_service_resume(w.service, NULL));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__RUNNING);
        expect_status(&w, "web", "e1", CONTAINERD__TASK__V2__STATUS__CREATED);
        expect_status(&w, "web", "e2", CONTAINERD__TASK__V2__STATUS__RUNNING);
        ASSERT_EQ(ASSERT_NOT_NULL(state(&w, "db", ""))->exit_status, 5);
        FAKE_RUN_UNTIL(&w.guest, strstr(w.guest.log, "Attach web web in0 out1 err0;") &&
                                         strstr(w.guest.log, "Attach web e2 in0 out1 err0;"));
        /* One that was only announced is started by what was kept of it. */
        ASSERT_OK(start(&w, "web", "e1"));
        ASSERT_CONTAINS(w.guest.log, "Exec web e1 /bin/id 0x0;");
        fake_guest_exit(&w.guest, "web", NULL, 0);
        FAKE_RUN_UNTIL(&w.guest, state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
        w.shares[0] = '\0';
        ASSERT_OK(delete(&w, "db", ""));
        ASSERT_STREQ(w.shares, "-db.2-0-srv;-db.2/rootfs;");

        /* A file that is none. */
        stop_service(&w);
        ASSERT_TRUE(asprintf(&path, "%s/task.state", w.guest.dir) > 0);
        ASSERT_OK(write_file_atomic(path, "\x08\x09", 2, 0600));
        start_service(&w);
        ASSERT_ERROR(task_service_resume(w.service, &message), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "task.state' is not the state of tasks");
        ASSERT_OK(unlink(path));
        ASSERT_OK(task_service_resume(w.service, NULL));
        world_done(&w);
}

TEST(event_bounds)
{
        Containerd__Events__TaskStart e = CONTAINERD__EVENTS__TASK_START__INIT;
        TaskEvents events = {};
        TaskEvent *first;

        for (uint32_t i = 0; i <= TASK_EVENTS_MAX; i++) {
                e.pid = i;
                ASSERT_OK(task_events_add(&events, &e.base));
        }
        ASSERT_EQ(events.n, TASK_EVENTS_MAX);
        ASSERT_EQ(events.dropped, 1);
        first = ASSERT_NOT_NULL(task_events_take(&events));
        ASSERT_STREQ(first->topic, "/tasks/start");
        ASSERT_EQ(first->size, 2);
        ASSERT_EQ(first->data[1], 1);
        task_event_free(first);
        task_events_done(&events);
        ASSERT_NULL(task_events_take(&events));
}

DEFINE_TEST_MAIN
