/* SPDX-License-Identifier: Apache-2.0 */
/* QMP client against a scripted QEMU on a socketpair. */

#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/vmm/qmp.h"

#define GREETING                                                                                   \
        "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"

typedef struct World {
        sd_event *event;
        QmpClient *q;
        int peer;
        unsigned ready, closed, events, replies;
        int closed_error, reply_error;
        char text[256], event_name[64], reply_text[256];
} World;

static void on_ready(QmpClient *q, void *userdata)
{
        ((World *) userdata)->ready++;
}

static void on_event(QmpClient *q, const char *name, struct json_object *data, void *userdata)
{
        World *w = userdata;

        w->events++;
        snprintf(w->event_name, sizeof(w->event_name), "%s", name);
}

static void on_closed(QmpClient *q, int error, const char *text, void *userdata)
{
        World *w = userdata;

        w->closed++;
        w->closed_error = error;
        snprintf(w->text, sizeof(w->text), "%s", strempty(text));
}

static void on_reply(QmpClient *q, int error, struct json_object *result, const char *text,
                void *userdata)
{
        World *w = userdata;
        struct json_object *v;

        ASSERT_EQ(w->closed, 0);
        w->replies++;
        w->reply_error = error;
        snprintf(w->reply_text, sizeof(w->reply_text), "%s", strempty(text));
        if (error == 0 && json_object_object_get_ex(result, "status", &v))
                snprintf(w->reply_text, sizeof(w->reply_text), "%s", json_object_get_string(v));
}

static void world_init(World *w, usec_t handshake)
{
        static const QmpHandlers handlers = { on_ready, on_event, on_closed };
        int pair[2];

        *w = (World) { .peer = -EBADF };
        ASSERT_OK(sd_event_new(&w->event));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        w->peer = pair[1];
        ASSERT_OK(qmp_new(w->event, pair[0], handshake, &handlers, w, &w->q));
}

static void world_done(World *w)
{
        qmp_free(w->q);
        safe_close(w->peer);
        sd_event_unref(w->event);
}

/* Lets the client work until nothing happens any more. */
static void settle(World *w)
{
        while (ASSERT_OK(sd_event_run(w->event, 5000)) > 0)
                ;
}

static void say(World *w, const char *text)
{
        ASSERT_OK(write_full(w->peer, text, strlen(text)));
        settle(w);
}

/* What the client wrote since the last time. */
static const char *heard(World *w)
{
        static char text[QMP_OUTPUT_MAX];
        ssize_t n = recv(w->peer, text, sizeof(text) - 1, MSG_DONTWAIT);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

static void negotiate(World *w)
{
        say(w, GREETING);
        ASSERT_CONTAINS(heard(w), "qmp_capabilities");
        say(w, "{\"return\": {}, \"id\": 1}\r\n");
        ASSERT_EQ(w->ready, 1);
}

TEST(conversation)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        ASSERT_EQ(qmp_state(w.q), QMP_GREETING);
        say(&w, "{\"QMP\": {}}\r\n{\"event\": \"EARLY\"}\r\n");
        ASSERT_STREQ(heard(&w), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
        ASSERT_EQ(w.ready, 0);
        say(&w, "{\"return\": {}, \"id\": 1}\r\n");
        ASSERT_EQ(w.ready, 1);
        ASSERT_EQ(w.events, 0);

        ASSERT_OK(qmp_command(w.q, "query-status", NULL, USEC_PER_SEC, on_reply, &w));
        settle(&w);
        ASSERT_STREQ(heard(&w), "{\"execute\":\"query-status\",\"id\":2}\n");
        /* In pieces, with an event between. */
        say(&w, "{\"event\": \"RESU");
        say(&w, "ME\"}\r\n{\"return\": {\"status\": \"runn");
        ASSERT_EQ(w.events, 1);
        say(&w, "ing\"}, \"id\": 2}\r\n");
        ASSERT_EQ(w.replies, 1);
        ASSERT_STREQ(w.reply_text, "running");

        ASSERT_OK(qmp_command(
                        w.q, "nonsense", json_object_new_object(), USEC_PER_SEC, on_reply, &w));
        say(&w, "{\"id\": 3, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no "
                "\\u001bsuch\"}}\n");
        ASSERT_EQ(w.reply_error, -EREMOTEIO);
        ASSERT_STREQ(w.reply_text, "no \\x1bsuch");

        say(&w, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
        ASSERT_STREQ(w.event_name, "SHUTDOWN");
        w.peer = safe_close(w.peer);
        settle(&w);
        ASSERT_EQ(w.closed, 1);
        ASSERT_EQ(w.closed_error, 0);
        ASSERT_ERROR(qmp_command(w.q, "cont", NULL, 1, NULL, NULL), ENOTCONN);
}

TEST(commands_wait_for_negotiation)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        ASSERT_OK(qmp_command(w.q, "cont", NULL, USEC_PER_SEC, on_reply, &w));
        settle(&w);
        ASSERT_STREQ(heard(&w), "");
        say(&w, GREETING);
        ASSERT_STREQ(heard(&w), "{\"execute\":\"qmp_capabilities\",\"id\":2}\n");
        say(&w, "{\"return\": {}, \"id\": 2}\n");
        ASSERT_STREQ(heard(&w), "{\"execute\":\"cont\",\"id\":1}\n");
        say(&w, "{\"return\": {}, \"id\": 1}\n");
        ASSERT_EQ(w.replies, 1);
        ASSERT_EQ(w.reply_error, 0);
}

TEST(answers_in_any_order)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        negotiate(&w);
        ASSERT_OK(qmp_command(w.q, "a", NULL, USEC_PER_SEC, on_reply, &w));
        ASSERT_OK(qmp_command(w.q, "b", NULL, USEC_PER_SEC, on_reply, &w));
        say(&w, "{\"return\": {}, \"id\": 3}\n{\"return\": {}, \"id\": 2}\n");
        ASSERT_EQ(w.replies, 2);
        ASSERT_EQ(w.closed, 0);
}

TEST(hostile)
{
        static const struct {
                bool negotiated;
                const char *text, *reason;
        } cases[] = {
                { false, "{\"return\": {}}\n", "did not greet" },
                { false, "[1]\n", "no object" },
                { false, "hello\n", "not JSON" },
                { false, "{\"QMP\": 1}\n", "did not greet" },
                { true, "{\"return\": {}, \"id\": 77}\n", "not asked" },
                { true, "{\"return\": {}, \"id\": -1}\n", "not asked" },
                { true, "{\"return\": {}, \"id\": 0}\n", "not asked" },
                { true, "{\"return\": {}, \"id\": \"2\"}\n", "no number" },
                { true, "{\"foo\": {}}\n", "neither" },
                { true, "{\"return\": {}} trailing\n", "not JSON" },
                { true, "{\"error\": {\"desc\": \"JSON parse error\"}}\n", "JSON parse error" },
                { true, "[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]\n", "not JSON" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(world_done) World w;

                world_init(&w, USEC_PER_SEC);
                if (cases[i].negotiated)
                        negotiate(&w);
                ASSERT_OK(qmp_command(w.q, "query-status", NULL, USEC_PER_SEC, on_reply, &w));
                say(&w, cases[i].text);
                ASSERT_EQ(w.closed, 1);
                ASSERT_EQ(w.closed_error, -EPROTO);
                ASSERT_CONTAINS(w.text, cases[i].reason);
                ASSERT_EQ(w.replies, 1);
                ASSERT_EQ(w.reply_error, -ECONNRESET);
        }
}

/* Greets and exits, with the command for the negotiation on its way. */
TEST(gone_after_greeting)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        ASSERT_OK(write_full(w.peer, GREETING, strlen(GREETING)));
        w.peer = safe_close(w.peer);
        settle(&w);
        ASSERT_EQ(w.closed, 1);
        ASSERT_EQ(w.closed_error, 0);
        ASSERT_EQ(w.ready, 0);
}

TEST(long_line)
{
        _cleanup_free_ char *text = ASSERT_NOT_NULL(malloc(QMP_LINE_MAX + 10));
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        negotiate(&w);
        memset(text, ' ', QMP_LINE_MAX + 10);
        ASSERT_OK(write_full(w.peer, text, QMP_LINE_MAX + 10));
        settle(&w);
        ASSERT_EQ(w.closed, 1);
        ASSERT_CONTAINS(w.text, "too long");
}

TEST(deadlines)
{
        _cleanup_(world_done) World silent, slow;

        world_init(&silent, 20 * USEC_PER_MSEC);
        for (unsigned i = 0; i < 10 && silent.closed == 0; i++)
                ASSERT_OK(sd_event_run(silent.event, 100000));
        ASSERT_EQ(silent.closed_error, -ETIME);
        ASSERT_CONTAINS(silent.text, "did not answer on its control socket");

        world_init(&slow, USEC_PER_SEC);
        negotiate(&slow);
        ASSERT_OK(qmp_command(slow.q, "cont", NULL, 20 * USEC_PER_MSEC, on_reply, &slow));
        for (unsigned i = 0; i < 10 && slow.closed == 0; i++)
                ASSERT_OK(sd_event_run(slow.event, 100000));
        ASSERT_EQ(slow.replies, 1);
        ASSERT_EQ(slow.reply_error, -ETIME);
        ASSERT_EQ(slow.closed_error, -ETIME);
}

TEST(too_many_commands)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        negotiate(&w);
        for (unsigned i = 0; i < QMP_PENDING_MAX; i++)
                ASSERT_OK(qmp_command(w.q, "cont", NULL, USEC_PER_SEC, on_reply, &w));
        ASSERT_ERROR(qmp_command(w.q, "cont", NULL, USEC_PER_SEC, on_reply, &w), EBUSY);
        w.peer = safe_close(w.peer);
        settle(&w);
        ASSERT_EQ(w.replies, QMP_PENDING_MAX);
        ASSERT_EQ(w.closed, 1);
}

/* A QEMU that has written its last event and exited: drain sees it without the loop. */
TEST(drain)
{
        _cleanup_(world_done) World w;

        world_init(&w, USEC_PER_SEC);
        negotiate(&w);
        ASSERT_OK(write_full(w.peer, "{\"event\":\"SHUTDOWN\"}\n", 21));
        w.peer = safe_close(w.peer);
        qmp_drain(w.q);
        ASSERT_EQ(w.events, 1);
        ASSERT_EQ(w.closed, 1);
        qmp_drain(w.q);
        qmp_drain(NULL);
}

DEFINE_TEST_MAIN
