/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service: the life of containers, what is refused and how, events, the way down, a supervisor that takes
 * over. */

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "proto/task-events.pb-c.h"
#include "runtime/task/test-task-world.h"

TEST(life)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        const Containerd__Task__V2__StateResponse *s;
        const Containerd__Task__V2__DeleteResponse *d;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_NULL(task_state(&w, "web", ""));
        ASSERT_EQ(w.error, -ENOENT);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        ASSERT_EQ(((Containerd__Task__V2__CreateTaskResponse *) w.reply)->pid, VM_PID);
        ASSERT_STREQ(w.guest.log, "Create web /run/kata-containers/shared/containers/web.1/rootfs in0 out1 err0;");
        ASSERT_STREQ(w.shares, "+web.1/rootfs;+web.1-0-srv ro rec;");
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__CREATED);
        ASSERT_ERROR(task_create(&w, "web", false, "/dev/null"), EEXIST);

        /* Two wait, one of them from before the start. */
        wait.id = S("web");
        before = w.replies;
        send_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor);
        ASSERT_OK(ttrpc_client_call(w.client, SERVICE, "Wait", &wait.base,
                                    &containerd__task__v2__wait_response__descriptor, 0, on_reply, &w));
        ASSERT_OK(task_start(&w, "web", ""));
        ASSERT_EQ(w.replies, before + 1);
        ASSERT_ERROR(task_start(&w, "web", ""), EBUSY);
        ASSERT_ERROR(task_delete(&w, "web", ""), EBUSY);
        ASSERT_CONTAINS(w.text, "cannot delete a running process");

        before = w.replies;
        fake_guest_exit(&w.guest, "web", NULL, 0x303);
        FAKE_RUN_UNTIL(&w.guest, w.replies == before + 2);
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 3);
        ASSERT_TRUE(((Containerd__Task__V2__WaitResponse *) w.reply)->exited_at->seconds > 1600000000);
        s = ASSERT_NOT_NULL(task_state(&w, "web", ""));
        ASSERT_EQ(s->status, CONTAINERD__TASK__V2__STATUS__STOPPED);
        ASSERT_EQ(s->exit_status, 3);
        ASSERT_EQ(s->pid, VM_PID);
        ASSERT_STREQ(s->bundle, w.bundle);
        ASSERT_STREQ(s->stdout, "/dev/null");
        ASSERT_ERROR(task_kill(&w, "web", "", SIGKILL, false), ENOENT);
        ASSERT_CONTAINS(w.text, "process already finished");
        /* Any number of times, also now. */
        ASSERT_OK(task_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));

        end_output(&w, 1);
        ASSERT_OK(task_delete(&w, "web", ""));
        d = w.reply;
        ASSERT_EQ(d->exit_status, 3);
        ASSERT_EQ(d->pid, VM_PID);
        ASSERT_STREQ(w.shares, "+web.1/rootfs;+web.1-0-srv ro rec;-web.1-0-srv;-web.1/rootfs;");
        ASSERT_ERROR(task_delete(&w, "web", ""), ENOENT);
        expect_events(&w, "create;start;exit web web 3;delete;");

        /* The id is free again; the guest sees another name. */
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
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
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EINVAL);
        q.id = S("web");
        q.rootfs = mounts;
        q.n_rootfs = 1;
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        ASSERT_CONTAINS(w.text, "rootfs mounts are not supported");
        q.n_rootfs = 0;
        q.checkpoint = S("/c");
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        q.checkpoint = S("");
        q.options = &options;
        options.type_url = S("runtimeoptions.v1.Options");
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EINVAL);
        options.type_url = S("containerd.runc.v1.Options");
        q.terminal = true;
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EINVAL);
        ASSERT_CONTAINS(w.text, "process.terminal");
        q.terminal = false;
        q.stdout = S("binary:///x");
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EOPNOTSUPP);
        q.stdout = S("");
        q.bundle = S("/nonexistent");
        ASSERT_ERROR(task_call(&w, "Create", &q.base, reply), EINVAL);
        ASSERT_CONTAINS(w.text, "bundle /nonexistent does not exist");
        q.bundle = w.bundle;
        ASSERT_STREQ(w.guest.log, "");
        ASSERT_STREQ(w.shares, "");

        /* What was done is undone. */
        w.share_fails = true;
        ASSERT_TRUE(task_call(&w, "Create", &q.base, reply) < 0);
        ASSERT_CONTAINS(w.shares, "-web.");
        w.share_fails = false;
        w.shares[0] = '\0';
        w.guest.fail_method = "CreateContainer";
        w.guest.fail_code = TTRPC_INTERNAL;
        w.guest.fail_text = "no such program";
        ASSERT_TRUE(task_call(&w, "Create", &q.base, reply) < 0);
        ASSERT_CONTAINS(w.text, "container web can not be created: ");
        ASSERT_CONTAINS(w.text, "no such program");
        ASSERT_CONTAINS(w.shares, "-web.");
        ASSERT_NULL(task_state(&w, "web", ""));
        w.guest.fail_method = NULL;
        ASSERT_OK(task_call(&w, "Create", &q.base, reply));
        expect_events(&w, "create;");
        world_done(&w);
}

TEST(failed_start)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        w.guest.fail_method = "StartContainer";
        w.guest.fail_code = TTRPC_NOT_FOUND;
        w.guest.fail_text = "exec: \"x\": executable file not found in $PATH";
        /* Not as NOT_FOUND: the container is there. */
        ASSERT_ERROR(task_start(&w, "web", ""), EIO);
        ASSERT_CONTAINS(w.text, "executable file not found in $PATH");
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__STOPPED);
        wait.id = S("web");
        ASSERT_OK(task_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 127);
        ASSERT_OK(task_delete(&w, "web", ""));
        expect_events(&w, "create;delete;");
        world_done(&w);
}

/* The host has something to do before the program runs. */
TEST(prepared_start)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        w.prepare = 1;
        before = w.replies;
        q.id = S("web");
        send_call(&w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
        FAKE_RUN_UNTIL(&w.guest, w.prepared);
        ASSERT_TRUE(!strstr(w.guest.log, "Start web"));
        ASSERT_EQ(w.replies, before);
        w.prepared(w.guest.client, 0, NULL, NULL, w.prepared_userdata);
        FAKE_RUN_UNTIL(&w.guest, w.replies > before);
        ASSERT_EQ(w.error, 0);
        ASSERT_CONTAINS(w.guest.log, "Start web");
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__RUNNING);
        /* Further processes do not wait for it. */
        w.prepared = NULL;
        ASSERT_OK(task_exec(&w, "web", "e1", false, "{\"args\":[\"/bin/sh\"],\"cwd\":\"/\"}"));
        ASSERT_OK(task_start(&w, "web", "e1"));
        ASSERT_TRUE(!w.prepared);

        ASSERT_OK(task_create(&w, "late", false, "/dev/null"));
        w.prepare = -EIO;
        ASSERT_ERROR(task_start(&w, "late", ""), EIO);
        ASSERT_CONTAINS(w.text, "process late of container late can not be started: the network is not ready");
        expect_status(&w, "late", "", CONTAINERD__TASK__V2__STATUS__STOPPED);
        ASSERT_OK(task_delete(&w, "late", ""));
        world_done(&w);
}

/* The machine ends while a start waits for the host; and while nobody of the host answers any more. */
TEST(start_that_is_never_prepared)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        w.prepare = 1;
        before = w.replies;
        q.id = S("web");
        send_call(&w, "Start", &q.base, &containerd__task__v2__start_response__descriptor);
        FAKE_RUN_UNTIL(&w.guest, w.prepared);
        ASSERT_ERROR(task_delete(&w, "web", ""), EBUSY);
        before = w.replies;
        task_service_guest_gone(w.service);
        FAKE_RUN_UNTIL(&w.guest, w.replies > before);
        ASSERT_TRUE(w.error < 0);
        world_done(&w);
}

/* An exit that is known before the answer to Start is told behind it. */
TEST(quick_exit)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        unsigned before;
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
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
        FAKE_RUN_UNTIL(&w.guest, task_state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
        expect_events(&w, "create;start;oom;exit web web 137;");
        world_done(&w);
}

TEST(delete_created)
{
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        ASSERT_OK(task_delete(&w, "web", ""));
        ASSERT_EQ(((Containerd__Task__V2__DeleteResponse *) w.reply)->exit_status, 137);
        ASSERT_CONTAINS(w.guest.log, "Remove web;");
        expect_events(&w, "create;exit web web 137;delete;");
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
        ASSERT_OK(task_call(&w, "Connect", &q.base, &containerd__task__v2__connect_response__descriptor));
        a = w.reply;
        ASSERT_EQ(a->shim_pid, getpid());
        ASSERT_EQ(a->task_pid, 0);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        ASSERT_OK(task_call(&w, "Connect", &q.base, &containerd__task__v2__connect_response__descriptor));
        a = w.reply;
        ASSERT_EQ(a->task_pid, VM_PID);

        ASSERT_OK(task_call(&w, "Shutdown", &end.base, &NONE));
        ASSERT_EQ(w.shutdowns, 0);
        ASSERT_OK(task_delete(&w, "web", ""));
        ASSERT_OK(task_call(&w, "Shutdown", &end.base, &NONE));
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
        FAKE_RUN_UNTIL(&w.guest, task_state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
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
        ASSERT_ERROR(task_kill(&w, "db", "", 9, false), ENOENT);
        ASSERT_ERROR(task_create(&w, "new", false, "/dev/null"), EAGAIN);
        ASSERT_OK(task_delete(&w, "db", ""));
        world_done(&w);
}

/* The client goes in the middle of an operation, which goes on. */
TEST(client_leaves)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        int pair[2];
        World w;

        world_init(&w);
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
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
        FAKE_RUN_UNTIL(&w.guest, task_state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__RUNNING);
        world_done(&w);
}

TEST(successor)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        _cleanup_free_ char *path = NULL, *message = NULL;
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        ASSERT_OK(task_exec(&w, "web", "e1", false, json));
        ASSERT_OK(task_exec(&w, "web", "e2", false, json));
        ASSERT_OK(task_start(&w, "web", "e2"));
        run_container(&w, "db", "");
        fake_guest_exit(&w.guest, "db", NULL, 5);
        FAKE_RUN_UNTIL(&w.guest, task_state(&w, "db", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);

        stop_service(&w);
        for (unsigned i = 0; i < FAKE_WAITS_MAX; i++)
                w.guest.waits[i].call = NULL;
        w.guest.log[0] = '\0';
        start_service(&w);
        ASSERT_OK(task_service_resume(w.service, NULL));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__RUNNING);
        expect_status(&w, "web", "e1", CONTAINERD__TASK__V2__STATUS__CREATED);
        expect_status(&w, "web", "e2", CONTAINERD__TASK__V2__STATUS__RUNNING);
        ASSERT_EQ(ASSERT_NOT_NULL(task_state(&w, "db", ""))->exit_status, 5);
        FAKE_RUN_UNTIL(&w.guest, strstr(w.guest.log, "Attach web web in0 out1 err0;") &&
                                         strstr(w.guest.log, "Attach web e2 in0 out1 err0;"));
        /* One that was only announced is started by what was kept of it. */
        ASSERT_OK(task_start(&w, "web", "e1"));
        ASSERT_CONTAINS(w.guest.log, "Exec web e1 /bin/id 0x0;");
        fake_guest_exit(&w.guest, "web", NULL, 0);
        FAKE_RUN_UNTIL(&w.guest, task_state(&w, "web", "")->status == CONTAINERD__TASK__V2__STATUS__STOPPED);
        w.shares[0] = '\0';
        ASSERT_OK(task_delete(&w, "db", ""));
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
