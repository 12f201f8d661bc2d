/* SPDX-License-Identifier: Apache-2.0 */
/* New limits: of the guest alone, of scope and guest, and what is put back when one of them refuses. */

#include "basic/test.h"
#include "runtime/task/test-task-world.h"

#define RESOURCES "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

static void make_request(const char *id, const char *json, bool of_machine, Google__Protobuf__Any *any,
                         Containerd__Task__V2__UpdateTaskRequest *q)
{
        *q = (Containerd__Task__V2__UpdateTaskRequest) CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
        *any = (Google__Protobuf__Any) GOOGLE__PROTOBUF__ANY__INIT;
        any->type_url = S(RESOURCES);
        any->value = (ProtobufCBinaryData) { .len = strlen(json), .data = (uint8_t *) S(json) };
        q->id = S(id);
        q->resources = any;
        q->of_machine = of_machine;
}

static int update(World *w, const char *id, const char *json, bool of_machine)
{
        Containerd__Task__V2__UpdateTaskRequest q;
        Google__Protobuf__Any any;

        make_request(id, json, of_machine, &any, &q);
        w->limits[0] = w->guest.log[0] = '\0';
        return task_call(w, "Update", &q.base, &NONE);
}

#define LIMITS "{\"memory\":{\"limit\":4096},\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000}}"

static void begin(World *w)
{
        world_init(w);
        w->limits_before = (ScopeLimits) { .set = SCOPE_LIMIT_CPU_WEIGHT, .cpu_weight = 7 };
        run_container(w, "web", "/dev/null");
}

TEST(of_both)
{
        World w;

        begin(&w);
        ASSERT_OK(update(&w, "web", LIMITS, true));
        ASSERT_STREQ(w.limits, "47 weight 100 quota 500000 memory 0;");
        ASSERT_STREQ(w.guest.log, "Update web 4096;");
        /* What means nothing to the machine. */
        ASSERT_OK(update(&w, "web", "{\"pids\":{\"limit\":5}}", true));
        ASSERT_STREQ(w.limits, "");
        ASSERT_STREQ(w.guest.log, "Update web -1;");
        world_done(&w);
}

TEST(of_the_guest_alone)
{
        World w;

        begin(&w);
        ASSERT_OK(update(&w, "web", LIMITS, false));
        ASSERT_STREQ(w.limits, "");
        ASSERT_STREQ(w.guest.log, "Update web 4096;");
        /* Somebody has come into its sandbox. */
        ASSERT_OK(task_create(&w, "db", false, "/dev/null"));
        ASSERT_OK(update(&w, "web", LIMITS, true));
        ASSERT_STREQ(w.limits, "");
        ASSERT_OK(task_delete(&w, "db", ""));
        ASSERT_OK(update(&w, "web", LIMITS, true));
        ASSERT_CONTAINS(w.limits, "weight 100");
        world_done(&w);
}

TEST(scope_refuses)
{
        World w;

        begin(&w);
        w.limits_fail = "it can not";
        ASSERT_ERROR(update(&w, "web", LIMITS, true), EIO);
        ASSERT_CONTAINS(w.text, "the scope of the machine does not take the limits: it can not");
        ASSERT_STREQ(w.guest.log, "");
        ASSERT_ERROR(update(&w, "web", "{\"cpu\":{\"cpus\":\"x\"}}", true), EINVAL);
        ASSERT_CONTAINS(w.text, "linux.resources.cpu.cpus: 'x' is no list");
        world_done(&w);
}

TEST(guest_refuses)
{
        World w;

        begin(&w);
        w.guest.fail_method = "UpdateContainer";
        w.guest.fail_code = TTRPC_INVALID_ARGUMENT;
        w.guest.fail_text = "too small";
        ASSERT_ERROR(update(&w, "web", LIMITS, true), EINVAL);
        ASSERT_CONTAINS(w.text, "the guest does not take the limits: ");
        ASSERT_CONTAINS(w.text, "too small; those of the scope are as before");
        ASSERT_STREQ(w.limits, "47 weight 100 quota 500000 memory 0;1 weight 7 quota 0 memory 0;");
        world_done(&w);
}

/* The second one is told to come again; the first one is told when the guest is gone. */
TEST(one_at_a_time)
{
        Containerd__Task__V2__UpdateTaskRequest q;
        Google__Protobuf__Any any;
        World w;

        begin(&w);
        w.limits_held = true;
        make_request("web", LIMITS, true, &any, &q);
        send_call(&w, "Update", &q.base, &NONE);
        FAKE_RUN_UNTIL(&w.guest, w.limits[0] != '\0');
        ASSERT_ERROR(update(&w, "web", LIMITS, true), EBUSY);
        ASSERT_CONTAINS(w.text, "limits are being changed already");
        task_service_guest_gone(w.service);
        w.guest.client = ttrpc_client_free(w.guest.client);
        FAKE_RUN_UNTIL(&w.guest, w.error != -EBUSY);
        ASSERT_CONTAINS(w.text, "machine has ended");
        world_done(&w);
}

DEFINE_TEST_MAIN
