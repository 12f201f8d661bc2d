/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Task service in the tests: a client at one end and an agent (fake-guest.h) at the other, both over the wire,
 * on one loop. The task_*() are calls of the client: 0 with the answer in reply, or a negative errno with a text.
 */

#include "proto/empty.pb-c.h"
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
        const char *more;               /* of process, in write_bundle(): ",\"KEY\":..." */
        unsigned shutdowns, changes;
        char why[128];
        bool share_fails;
        int prepare;                    /* what prepare_start gives */
        TtrpcReplyHandler prepared;     /* and what it was called with, if that is 1 */
        void *prepared_userdata;

        char limits[512];               /* what set_limits() was asked for */
        const char *limits_fail;        /* its answer; NULL: it worked */
        bool limits_held;               /* never answered */
        ScopeLimits limits_before;
        SandboxLimitsDone limits_done;
        void *limits_userdata;
        sd_event_source *limits_timer;

        unsigned replies;
        int error;
        char text[512];
        PbArena arena;
        void *reply;
} World;

void start_service(World *w);
void stop_service(World *w);
void write_bundle(World *w, bool terminal);
void world_init(World *w);
void world_done(World *w);
void send_call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply);
int task_call(World *w, const char *method, const ProtobufCMessage *m, const ProtobufCMessageDescriptor *reply);
int task_create(World *w, const char *id, bool terminal, const char *out);
int task_start(World *w, const char *id, const char *exec_id);
int task_delete(World *w, const char *id, const char *exec_id);
int task_kill(World *w, const char *id, const char *exec_id, uint32_t sig, bool all);
int task_exec(World *w, const char *id, const char *exec_id, bool terminal, const char *json);
const Containerd__Task__V2__StateResponse *task_state(World *w, const char *id, const char *exec_id);
void expect_status(World *w, const char *id, const char *exec_id, int status);
void run_container(World *w, const char *id, const char *out);
void expect_events(World *w, const char *expected);
void end_output(World *w, uint32_t port);
void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata);
