/* SPDX-License-Identifier: Apache-2.0 */
/* The Task service: signals, further processes, terminals, input; pause, limits and numbers. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/task/test-task-world.h"

TEST(signals)
{
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        w.guest.log[0] = '\0';
        ASSERT_OK(task_kill(&w, "web", "", SIGTERM, false));
        ASSERT_OK(task_kill(&w, "web", "", 34, false));
        ASSERT_OK(task_kill(&w, "web", "", SIGKILL, true));
        ASSERT_STREQ(w.guest.log, "Signal web 'web' 15;Signal web 'web' 34;Signal web '' 9;");
        ASSERT_ERROR(task_kill(&w, "web", "", 0, false), EINVAL);
        ASSERT_ERROR(task_kill(&w, "web", "", 65, false), EINVAL);
        ASSERT_ERROR(task_kill(&w, "no", "", 9, false), ENOENT);
        ASSERT_ERROR(task_kill(&w, "web", "e1", 9, false), ENOENT);
        world_done(&w);
}

TEST(further_processes)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        World w;

        world_init(&w);
        ASSERT_ERROR(task_exec(&w, "web", "e1", false, json), ENOENT);
        run_container(&w, "web", "/dev/null");
        w.guest.log[0] = '\0';
        ASSERT_ERROR(task_exec(&w, "web", "e1", false, "{"), EINVAL);
        ASSERT_ERROR(task_exec(&w, "web", "e1", true, json), EINVAL);
        ASSERT_ERROR(task_exec(&w, "web", "web", false, json), EEXIST);
        ASSERT_OK(task_exec(&w, "web", "e1", false, json));
        ASSERT_ERROR(task_exec(&w, "web", "e1", false, json), EEXIST);
        expect_status(&w, "web", "e1", CONTAINERD__TASK__V2__STATUS__CREATED);
        ASSERT_STREQ(ASSERT_NOT_NULL(task_state(&w, "web", "e1"))->exec_id, "e1");
        ASSERT_ERROR(task_kill(&w, "web", "e1", 9, false), EBUSY);
        ASSERT_CONTAINS(w.text, "process not created");
        ASSERT_STREQ(w.guest.log, "");

        ASSERT_OK(task_start(&w, "web", "e1"));
        ASSERT_STREQ(w.guest.log, "Exec web e1 /bin/id 0x0;");
        ASSERT_OK(task_kill(&w, "web", "e1", 9, true));
        ASSERT_CONTAINS(w.guest.log, "Signal web 'e1' 9;");
        FAKE_RUN_UNTIL(&w.guest, w.guest.waits[1].call);
        fake_guest_exit(&w.guest, "web", "e1", 137);
        wait.id = S("web");
        wait.exec_id = S("e1");
        ASSERT_OK(task_call(&w, "Wait", &wait.base, &containerd__task__v2__wait_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__WaitResponse *) w.reply)->exit_status, 137);
        end_output(&w, 2);
        ASSERT_OK(task_delete(&w, "web", "e1"));
        ASSERT_NULL(task_state(&w, "web", "e1"));
        expect_events(&w, "create;start;exec-added;exec-started;exit web e1 137;");

        /* One that can not be started; one that ends with its container; one that was never started. */
        ASSERT_OK(task_exec(&w, "web", "e2", false, json));
        w.guest.fail_method = "ExecProcess";
        w.guest.fail_code = TTRPC_NOT_FOUND;
        w.guest.fail_text = "no such file or directory";
        ASSERT_ERROR(task_start(&w, "web", "e2"), EIO);
        expect_status(&w, "web", "e2", CONTAINERD__TASK__V2__STATUS__STOPPED);
        ASSERT_OK(task_delete(&w, "web", "e2"));
        w.guest.fail_method = NULL;
        ASSERT_OK(task_exec(&w, "web", "e3", false, json));
        ASSERT_OK(task_start(&w, "web", "e3"));
        ASSERT_OK(task_exec(&w, "web", "e4", false, json));
        ASSERT_OK(task_delete(&w, "web", "e4"));
        fake_guest_exit(&w.guest, "web", NULL, 0);
        FAKE_RUN_UNTIL(&w.guest, streq(w.guest.log, "") || task_state(&w, "web", "")->status ==
                                                                   CONTAINERD__TASK__V2__STATUS__STOPPED);
        expect_events(&w, "exec-added;exec-added;exec-started;exec-added;exit web e3 137;exit web web 0;");
        ASSERT_ERROR(task_exec(&w, "web", "e5", false, json), EBUSY);
        world_done(&w);
}

/* What Kata's messages have no field for; and an agent that has the messages alone. */
TEST(extension)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\",\"user\":{\"umask\":63}}";
        static const char unified[] = "{\"unified\":{\"memory.high\":\"1M\"}}";
        Containerd__Task__V2__UpdateTaskRequest update = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        World w;

        world_init(&w);
        w.more = ",\"user\":{\"umask\":23}";
        write_bundle(&w, false);
        w.guest.fail_method = "CreateContainer";
        w.guest.fail_code = TTRPC_UNIMPLEMENTED;
        w.guest.fail_text = "unknown service 'kata.systemd.v1.AgentExtension' (method 'CreateContainer')";
        ASSERT_ERROR(task_create(&w, "web", false, "/dev/null"), EOPNOTSUPP);
        ASSERT_CONTAINS(w.text, "container web can not be created: process.user.umask needs an agent with ");
        ASSERT_CONTAINS(w.shares, "-web.");
        ASSERT_NULL(task_state(&w, "web", ""));

        w.guest.fail_method = NULL;
        w.guest.log[0] = '\0';
        run_container(&w, "web", "/dev/null");
        ASSERT_TRUE(startswith(w.guest.log, "Umask 027;Create web "));

        w.guest.log[0] = '\0';
        ASSERT_OK(task_exec(&w, "web", "e1", false, json));
        ASSERT_OK(task_start(&w, "web", "e1"));
        ASSERT_STREQ(w.guest.log, "Umask 077;Exec web e1 /bin/id 0x0;");
        /* What upstream's agent says. */
        ASSERT_OK(task_exec(&w, "web", "e2", false, json));
        w.guest.fail_method = "ExecProcess";
        w.guest.fail_code = TTRPC_INVALID_ARGUMENT;
        w.guest.fail_text = "kata.systemd.v1.AgentExtension service does not exist";
        ASSERT_TRUE(task_start(&w, "web", "e2") < 0);
        ASSERT_CONTAINS(w.text, "process.user.umask needs an agent with ");

        w.guest.log[0] = '\0';
        update.id = S("web");
        update.resources = &any;
        any.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources");
        any.value = (ProtobufCBinaryData) { .len = strlen(unified), .data = (uint8_t *) S(unified) };
        ASSERT_OK(task_call(&w, "Update", &update.base, &NONE));
        ASSERT_STREQ(w.guest.log, "Unified memory.high;Update web -1;");
        w.guest.fail_method = "UpdateContainer";
        w.guest.fail_code = TTRPC_UNIMPLEMENTED;
        w.guest.fail_text = "unknown method 'UpdateContainer' of service 'kata.systemd.v1.AgentExtension'";
        ASSERT_ERROR(task_call(&w, "Update", &update.base, &NONE), EOPNOTSUPP);
        ASSERT_CONTAINS(w.text, "linux.resources.unified needs an agent with ");
        world_done(&w);
}

TEST(terminal)
{
        static const char json[] = "{\"args\":[\"/bin/sh\"],\"cwd\":\"/\",\"terminal\":true}";
        Containerd__Task__V2__ResizePtyRequest q = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
        World w;

        world_init(&w);
        write_bundle(&w, true);
        ASSERT_OK(task_create(&w, "web", true, "/dev/null"));
        q.id = S("web");
        q.width = 80;
        q.height = 24;
        ASSERT_OK(task_call(&w, "ResizePty", &q.base, &NONE));
        ASSERT_CONTAINS(w.guest.log, "Resize web web 80x24;");
        ASSERT_OK(task_start(&w, "web", ""));
        ASSERT_TRUE(ASSERT_NOT_NULL(task_state(&w, "web", ""))->terminal);

        /* Before the start of an exec it is remembered. */
        ASSERT_OK(task_exec(&w, "web", "e1", true, json));
        w.guest.log[0] = '\0';
        q.exec_id = S("e1");
        ASSERT_OK(task_call(&w, "ResizePty", &q.base, &NONE));
        ASSERT_STREQ(w.guest.log, "");
        ASSERT_OK(task_start(&w, "web", "e1"));
        ASSERT_STREQ(w.guest.log, "Exec web e1 /bin/sh 80x24;");
        /* A terminal that is gone is no error. */
        w.guest.fail_method = "TtyWinResize";
        w.guest.fail_code = TTRPC_UNAVAILABLE;
        w.guest.fail_text = "no terminal";
        ASSERT_OK(task_call(&w, "ResizePty", &q.base, &NONE));
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
        ASSERT_OK(task_call(&w, "Create", &q.base, &containerd__task__v2__create_task_response__descriptor));
        ASSERT_EQ(write(in, "abc", 3), 3);
        safe_close(in);
        close_io.stdin = true;
        ASSERT_OK(task_call(&w, "CloseIO", &close_io.base, &NONE));
        ASSERT_OK(task_start(&w, "web", ""));
        FAKE_RUN_UNTIL(&w.guest, read(w.guest.streams[1], buf, sizeof(buf)) == 3);
        FAKE_RUN_UNTIL(&w.guest, read(w.guest.streams[1], buf, sizeof(buf)) == 0);
        ASSERT_OK(task_call(&w, "CloseIO", &close_io.base, &NONE));
        world_done(&w);
}

/* Whoever stands for a process on the host may be killed; one that only waits may leave. */
TEST(orphans)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        Containerd__Task__V2__WaitRequest q = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        TtrpcClient *client;
        int pair[2];
        World w;

        world_init(&w);
        run_container(&w, "web", "/dev/null");
        w.guest.log[0] = '\0';
        q.id = S("web");
        for (int round = 0; round < 3; round++) {
                ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
                ASSERT_OK(task_service_add_client(w.service, pair[0]));
                ASSERT_OK(ttrpc_client_new(&client, w.event, pair[1], "shim", NULL, NULL));
                q.stands_for = round > 0;
                ASSERT_OK(ttrpc_client_call(client, SERVICE, "Wait", &q.base,
                                            &containerd__task__v2__wait_response__descriptor, 0, on_reply, &w));
                /* It is answered in order, so the other one has arrived. */
                for (int i = 0; i < 4; i++) {
                        ASSERT_NOT_NULL(task_state(&w, "web", ""));
                        ASSERT_OK(sd_event_run(w.event, 1000));
                }
                ttrpc_client_free(client);
                if (round == 0)
                        for (int i = 0; i < 5; i++) {
                                usleep(10000);
                                ASSERT_OK(sd_event_run(w.event, 0));
                                ASSERT_STREQ(w.guest.log, "");
                        }
        }
        /* The second one came back in time as the third, which did not. */
        FAKE_RUN_UNTIL(&w.guest, *w.guest.log);
        ASSERT_STREQ(w.guest.log, "Signal web 'web' 9;");

        /* Nobody else would delete a further process. */
        ASSERT_OK(task_exec(&w, "web", "e1", false, json));
        ASSERT_OK(task_start(&w, "web", "e1"));
        w.guest.log[0] = '\0';
        q.exec_id = S("e1");
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(task_service_add_client(w.service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&client, w.event, pair[1], "shim", NULL, NULL));
        ASSERT_OK(ttrpc_client_call(client, SERVICE, "Wait", &q.base, &containerd__task__v2__wait_response__descriptor,
                                    0, on_reply, &w));
        for (int i = 0; i < 4; i++) {
                ASSERT_NOT_NULL(task_state(&w, "web", "e1"));
                ASSERT_OK(sd_event_run(w.event, 1000));
        }
        ttrpc_client_free(client);
        FAKE_RUN_UNTIL(&w.guest, *w.guest.log);
        ASSERT_STREQ(w.guest.log, "Signal web 'e1' 9;");
        fake_guest_exit(&w.guest, "web", "e1", 137);
        FAKE_RUN_UNTIL(&w.guest, !task_state(&w, "web", "e1"));
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
        ASSERT_OK(task_create(&w, "web", false, "/dev/null"));
        ASSERT_ERROR(task_call(&w, "Pause", &pause.base, &NONE), EBUSY);
        ASSERT_OK(task_start(&w, "web", ""));
        ASSERT_ERROR(task_call(&w, "Resume", &resume.base, &NONE), EBUSY);
        ASSERT_OK(task_call(&w, "Pause", &pause.base, &NONE));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__PAUSED);
        ASSERT_ERROR(task_exec(&w, "web", "e1", false, json), EBUSY);
        ASSERT_CONTAINS(w.text, "paused");
        ASSERT_ERROR(task_delete(&w, "web", ""), EBUSY);
        ASSERT_OK(task_call(&w, "Resume", &resume.base, &NONE));
        expect_status(&w, "web", "", CONTAINERD__TASK__V2__STATUS__RUNNING);
        expect_events(&w, "create;start;paused;resumed;");

        ASSERT_ERROR(task_call(&w, "Update", &update.base, &NONE), EINVAL);
        any.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources");
        any.value = (ProtobufCBinaryData) { .len = strlen(limits), .data = (uint8_t *) S(limits) };
        update.resources = &any;
        ASSERT_OK(task_call(&w, "Update", &update.base, &NONE));
        ASSERT_CONTAINS(w.guest.log, "Update web 4096;");

        ASSERT_OK(task_call(&w, "Stats", &stats.base, &containerd__task__v2__stats_response__descriptor));
        ASSERT_CONTAINS(((Containerd__Task__V2__StatsResponse *) w.reply)->stats->type_url, "io.containerd.cgroups.v");
        ASSERT_OK(task_call(&w, "Pids", &pids.base, &containerd__task__v2__pids_response__descriptor));
        ASSERT_EQ(((Containerd__Task__V2__PidsResponse *) w.reply)->n_processes, 1);
        ASSERT_EQ(((Containerd__Task__V2__PidsResponse *) w.reply)->processes[0]->pid, VM_PID);
        ASSERT_ERROR(task_call(&w, "Checkpoint", &checkpoint.base, &NONE), EOPNOTSUPP);
        world_done(&w);
}

DEFINE_TEST_MAIN
