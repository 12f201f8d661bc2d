/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of root about a guest: passed on, refused, and what becomes of them when the guest ends. */

#include <sys/socket.h>
#include <unistd.h>

#include "basic/test.h"
#include "proto/sandbox.pb-c.h"
#include "runtime/task/fake-guest.h"
#include "runtime/task/sandbox-service.h"

typedef struct World {
        sd_event *event;
        FakeGuest guest;
        SandboxService *service;
        TtrpcClient *client;
        bool answered;
        int error;
        char text[256], rules[256];
} World;

static void start(World *w)
{
        SandboxServiceHost host = { .request_timeout = 5 * USEC_PER_SEC };
        int pair[2];

        *w = (World) {};
        ASSERT_OK(sd_event_new(&w->event));
        fake_guest_init(&w->guest, w->event);
        host.event = w->event;
        host.agent = w->guest.client;
        ASSERT_OK(sandbox_service_new(&w->service, &host));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(sandbox_service_add_client(w->service, pair[0]));
        ASSERT_OK(ttrpc_client_new(&w->client, w->event, pair[1], "supervisor", NULL, NULL));
}

static void stop(World *w)
{
        ttrpc_client_free(w->client);
        sandbox_service_free(w->service);
        fake_guest_done(&w->guest);
        sd_event_unref(w->event);
}

static void on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        const Kata__Systemd__V1__GetIPTablesResponse *a = message;
        World *w = userdata;

        w->answered = true;
        w->error = error;
        snprintf(w->text, sizeof(w->text), "%s", strempty(text));
        if (error >= 0)
                snprintf(w->rules, sizeof(w->rules), "%.*s", (int) a->rules.len, (const char *) a->rules.data);
}

static void send_get(World *w, bool ipv6)
{
        Kata__Systemd__V1__GetIPTablesRequest q = KATA__SYSTEMD__V1__GET_IPTABLES_REQUEST__INIT;

        q.ipv6 = ipv6;
        w->answered = false;
        ASSERT_OK(ttrpc_client_call(w->client, "kata.systemd.v1.Sandbox", "GetIPTables", &q.base,
                                    &kata__systemd__v1__get_iptables_response__descriptor, 0, on_reply, w));
}

TEST(passed_on)
{
        Kata__Systemd__V1__SetIPTablesRequest q = KATA__SYSTEMD__V1__SET_IPTABLES_REQUEST__INIT;
        char rules[] = "*filter\nCOMMIT\n";
        World w;

        start(&w);
        send_get(&w, true);
        FAKE_RUN_UNTIL(&w.guest, w.answered);
        ASSERT_OK(w.error);
        ASSERT_STREQ(w.rules, "rules 6");

        q.rules.data = (uint8_t *) rules;
        q.rules.len = strlen(rules);
        w.answered = false;
        /* Both answers have their bytes in field 1. */
        ASSERT_OK(ttrpc_client_call(w.client, "kata.systemd.v1.Sandbox", "SetIPTables", &q.base,
                                    &kata__systemd__v1__get_iptables_response__descriptor, 0, on_reply, &w));
        FAKE_RUN_UNTIL(&w.guest, w.answered);
        ASSERT_OK(w.error);
        ASSERT_STREQ(w.rules, "set");
        ASSERT_CONTAINS(w.guest.log, "GetIPTables 6;SetIPTables 4 *filter\nCOMMIT\n;");

        w.guest.fail_method = "GetIPTables";
        w.guest.fail_code = TTRPC_FAILED_PRECONDITION;
        w.guest.fail_text = "the guest image has no iptables-save";
        send_get(&w, false);
        FAKE_RUN_UNTIL(&w.guest, w.answered);
        ASSERT_ERROR(w.error, EBUSY);
        ASSERT_CONTAINS(w.text, "the guest image has no iptables-save");
        stop(&w);
}

TEST(guest_ends)
{
        World w;

        start(&w);
        w.guest.hold_method = "GetIPTables";
        send_get(&w, false);
        FAKE_RUN_UNTIL(&w.guest, w.guest.held);
        ASSERT_FALSE(w.answered);
        fake_guest_disconnect(&w.guest);
        sandbox_service_guest_gone(w.service);
        FAKE_RUN_UNTIL(&w.guest, w.answered);
        ASSERT_TRUE(w.error < 0);
        ASSERT_CONTAINS(w.text, "the virtual machine has ended");
        send_get(&w, false);
        FAKE_RUN_UNTIL(&w.guest, w.answered);
        ASSERT_TRUE(w.error < 0);
        ASSERT_CONTAINS(w.text, "the virtual machine has ended");
        stop(&w);
}

/* A client that leaves costs nothing, and neither does the end of everything with a request on its way. */
TEST(client_leaves)
{
        World w;

        start(&w);
        w.guest.hold_method = "GetIPTables";
        send_get(&w, false);
        FAKE_RUN_UNTIL(&w.guest, w.guest.held);
        w.client = ttrpc_client_free(w.client);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        fake_guest_release(&w.guest);
        for (unsigned i = 0; i < 5; i++)
                ASSERT_OK(sd_event_run(w.event, 1000));
        stop(&w);

        start(&w);
        w.guest.hold_method = "GetIPTables";
        send_get(&w, false);
        FAKE_RUN_UNTIL(&w.guest, w.guest.held);
        stop(&w);
}

DEFINE_TEST_MAIN
