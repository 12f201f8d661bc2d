/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest for tests, on the loop of the test: an agent that answers on a socketpair by the wire protocol, streams
 * that the test holds the other ends of, and a journal that takes everything. Requests are noted in a text,
 * "Method id exec detail;" each, in the order in which they came.
 */

#include "runtime/agent-client/agent.h"
#include "runtime/agent-client/transport.h"
#include "runtime/log/relay.h"
#include "runtime/task/ttrpc-server.h"

#define FAKE_STREAMS_MAX 512U
#define FAKE_WAITS_MAX 256U

typedef struct FakeWait {
        char id[64], exec_id[64];
        TtrpcCall *call;
} FakeWait;

typedef struct FakeGuest {
        char dir[40];
        sd_event *event;
        TtrpcServer *server;
        TtrpcClient *client;            /* what the host has of the agent */
        Transport *transport;
        Relay *relay;
        int journal;
        char log[8192];
        int streams[FAKE_STREAMS_MAX];  /* the guest's ends, by port; port 0 is none */
        uint32_t n_streams;
        FakeWait waits[FAKE_WAITS_MAX];
        /* A method that fails, and how; a method whose answer is held back until fake_guest_release(). */
        const char *fail_method, *fail_text;
        TtrpcCode fail_code;
        TtrpcCall *oom;                 /* of GetOOMEvent, if there is one */
        const char *hold_method;
        TtrpcCall *held;
} FakeGuest;

void fake_guest_init(FakeGuest *g, sd_event *event);
/* The agent's end, and what the host has of it; twice is fine. */
void fake_guest_disconnect(FakeGuest *g);
void fake_guest_done(FakeGuest *g);

/* A process exits: whoever waits is answered. */
void fake_guest_exit(FakeGuest *g, const char *id, const char *exec_id, int status);
/* A container runs out of memory. */
void fake_guest_oom(FakeGuest *g, const char *id);
void fake_guest_release(FakeGuest *g);

/* Turns the loop until it is true; fails the test after some seconds. */
#define FAKE_RUN_UNTIL(g, condition)                                                               \
        ({                                                                                         \
                for (unsigned _i_ = 0; !(condition); _i_++) {                                      \
                        if (_i_ > 300)                                                             \
                                TEST_FAIL("does not come true: %s", #condition);                   \
                        ASSERT_OK(sd_event_run((g)->event, 20000));                                \
                }                                                                                  \
        })
