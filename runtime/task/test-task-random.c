/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Task service under requests in any order, from clients that leave, with an agent that refuses, waits and
 * loses its processes at any time. What is looked for is what no single case has: objects that are used after
 * their end (with the sanitizers), and calls that are never answered.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/task/test-task-world.h"

#define WORLDS 40U
#define STEPS 120U

static uint64_t seed;

static uint32_t any(uint32_t n)
{
        /* The generator of C11's example is too poor in its low bits; splitmix64 is not. */
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (uint32_t) ((z ^ (z >> 31)) % n);
}

#define PICK(list) ((list)[any(ELEMENTSOF(list))])

static const char *const ids[] = { "aa", "bb", "cc" }, *const exec_ids[] = { "", "x1", "x2" };
/* Calls of the client there is now. */
static struct {
        const char *method;
        unsigned replies;
} calls[STEPS];
static unsigned n_calls;

static void on_answer(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        unsigned *replies = userdata;

        (*replies)++;
}

static void send_any(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply)
{
        calls[n_calls].method = method;
        calls[n_calls].replies = 0;
        ASSERT_OK(ttrpc_client_call(w->client, SERVICE, method, m, reply, 0, on_answer, &calls[n_calls].replies));
        n_calls++;
}

static void request_container(World *w)
{
        static const char json[] = "{\"args\":[\"/bin/id\"],\"cwd\":\"/\"}";
        Containerd__Task__V2__CreateTaskRequest create = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        Containerd__Task__V2__ExecProcessRequest exec = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
        Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;

        create.id = exec.id = S(PICK(ids));
        if (any(2) == 0) {
                create.bundle = w->bundle;
                create.stdout = any(3) == 0 ? S("") : S("/dev/null");
                send_any(w, "Create", &create.base, &containerd__task__v2__create_task_response__descriptor);
                return;
        }
        spec.type_url = S("types.containerd.io/opencontainers/runtime-spec/1/Process");
        spec.value = (ProtobufCBinaryData) { .len = strlen(json), .data = (uint8_t *) S(json) };
        exec.exec_id = S(exec_ids[1 + any(2)]);
        exec.stdout = S("/dev/null");
        exec.spec = &spec;
        send_any(w, "Exec", &exec.base, &NONE);
}

/* Start, Delete, Wait and State are alike on the wire. */
static void request_process(World *w)
{
        static const struct {
                const char *name;
                const ProtobufCMessageDescriptor *reply;
        } methods[] = {
                { "Start", &containerd__task__v2__start_response__descriptor },
                { "Start", &containerd__task__v2__start_response__descriptor },
                { "Delete", &containerd__task__v2__delete_response__descriptor },
                { "Wait", &containerd__task__v2__wait_response__descriptor },
                { "State", &containerd__task__v2__state_response__descriptor },
        };
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        uint32_t i = any(ELEMENTSOF(methods));

        q.id = S(PICK(ids));
        q.exec_id = S(PICK(exec_ids));
        send_any(w, methods[i].name, &q.base, methods[i].reply);
}

static void request_change(World *w)
{
        static const char *const methods[] = { "Pause", "Resume", "Stats" };
        Containerd__Task__V2__KillRequest kill_q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
        Containerd__Task__V2__CloseIORequest close_io = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
        Containerd__Task__V2__PauseRequest q = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
        const char *method;

        kill_q.id = close_io.id = q.id = S(PICK(ids));
        kill_q.exec_id = close_io.exec_id = S(PICK(exec_ids));
        switch (any(3)) {
        case 0:
                kill_q.signal = 9;
                kill_q.all = any(2);
                send_any(w, "Kill", &kill_q.base, &NONE);
                break;
        case 1:
                close_io.stdin = true;
                send_any(w, "CloseIO", &close_io.base, &NONE);
                break;
        default:
                method = PICK(methods);
                send_any(w, method, &q.base,
                         streq(method, "Stats") ? &containerd__task__v2__stats_response__descriptor : &NONE);
                break;
        }
}

static void connect_again(World *w)
{
        int pair[2];

        /* What it has asked for is answered to nobody. */
        w->client = ttrpc_client_free(w->client);
        n_calls = 0;
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(task_service_add_client(w->service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&w->client, w->event, pair[1], "tasks", NULL, NULL));
}

static void guest_moves(World *w)
{
        static const char *const methods[] = {
                "CreateContainer", "StartContainer", "ExecProcess", "SignalProcess", "PauseContainer",
                "RemoveContainer", "StatsContainer",
        };
        FakeGuest *g = &w->guest;
        FakeWait *wait = &g->waits[any(8)];

        switch (any(4)) {
        case 0:
                if (wait->call)
                        fake_guest_exit(g, wait->id, streq(wait->id, wait->exec_id) ? NULL : wait->exec_id,
                                        (int) any(300));
                break;
        case 1:
                if (g->n_streams > 0)
                        end_output(w, 1 + any(g->n_streams));
                break;
        case 2:
                g->fail_method = any(2) ? PICK(methods) : NULL;
                g->fail_code = TTRPC_INTERNAL;
                g->fail_text = "refused";
                break;
        default:
                if (g->held)
                        fake_guest_release(g);
                else
                        g->hold_method = PICK(methods);
                break;
        }
}

static void turn(World *w, unsigned n)
{
        char buf[4096];

        for (unsigned i = 0; i < n; i++) {
                ASSERT_OK(sd_event_run(w->event, 0));
                /* A journal that takes nothing keeps output from its end. */
                while (recv(w->guest.journal, buf, sizeof(buf), MSG_DONTWAIT) > 0)
                        ;
        }
}

/* The guest goes in the middle of it: by then everybody has an answer. */
static void end_of_all(World *w, unsigned world)
{
        fake_guest_disconnect(&w->guest);
        task_service_guest_gone(w->service);
        for (unsigned i = 0; i < 5; i++) {
                turn(w, 20);
                for (uint32_t port = 1; port <= w->guest.n_streams; port++)
                        end_output(w, port);
        }
        turn(w, 20);
        for (unsigned i = 0; i < n_calls; i++)
                if (calls[i].replies != 1)
                        TEST_FAIL("world %u: call %u of %u, %s, has %u answers", world, i, n_calls, calls[i].method,
                                  calls[i].replies);
        ASSERT_TRUE(task_service_is_down(w->service));
}

TEST(any_order)
{
        for (unsigned i = 0; i < WORLDS; i++) {
                World w;

                seed = i;
                n_calls = 0;
                world_init(&w);
                for (unsigned k = 0; k < STEPS; k++) {
                        switch (any(8)) {
                        case 0:
                        case 1:
                                request_container(&w);
                                break;
                        case 2:
                        case 3:
                                request_process(&w);
                                break;
                        case 4:
                                request_change(&w);
                                break;
                        case 5:
                                if (any(10) == 0)
                                        connect_again(&w);
                                break;
                        default:
                                guest_moves(&w);
                                break;
                        }
                        turn(&w, any(6));
                }
                if (any(4) > 0)
                        end_of_all(&w, i);
                world_done(&w);
        }
}

DEFINE_TEST_MAIN
