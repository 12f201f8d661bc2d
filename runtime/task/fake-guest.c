/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of the Task service's tests: see fake-guest.h. */

#include "runtime/task/fake-guest.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"
#include "runtime/agent-client/transport-internal.h"

/* --- agent --- */

static void note(FakeGuest *g, const char *format, ...) _printf_(2, 3);

static void note(FakeGuest *g, const char *format, ...)
{
        size_t n = strlen(g->log);
        va_list ap;

        va_start(ap, format);
        vsnprintf(g->log + n, sizeof(g->log) - n, format, ap);
        va_end(ap);
}

static void answer(FakeGuest *g, TtrpcCall *call, const char *method, const ProtobufCMessage *message)
{
        if (g->fail_method && streq(g->fail_method, method))
                return ttrpc_call_fail(call, g->fail_code, "%s", g->fail_text);
        if (g->hold_method && streq(g->hold_method, method))
                return ttrpc_call_hold(call, &g->held);
        ttrpc_call_reply(call, message);
}

void fake_guest_release(FakeGuest *g)
{
        TtrpcCall *call = ASSERT_NOT_NULL(g->held);

        g->held = NULL;
        g->hold_method = NULL;
        ttrpc_call_reply(call, NULL);
}

static void create_container(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__CreateContainerRequest *q = input;

        note(userdata, "Create %s %s in%d out%d err%d;", q->container_id, q->oci->root->path, q->stdin_port > 0,
             q->stdout_port > 0, q->stderr_port > 0);
        answer(userdata, call, "CreateContainer", NULL);
}

/* The same with what the protocol has no field for. */
static void create_extended(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__CreateContainerRequest *q = input;

        note(userdata, "Umask %03o;", q->extension->umask);
        create_container(userdata, call, q->request);
}

static void start_container(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__StartContainerRequest *q = input;

        note(userdata, "Start %s;", q->container_id);
        answer(userdata, call, "StartContainer", NULL);
}

static void exec_process(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__ExecProcessRequest *q = input;

        note(userdata, "Exec %s %s %s %ux%u;", q->container_id, q->exec_id, q->process->args[0],
             q->process->consolesize ? q->process->consolesize->width : 0,
             q->process->consolesize ? q->process->consolesize->height : 0);
        answer(userdata, call, "ExecProcess", NULL);
}

static void exec_extended(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__ExecProcessRequest *q = input;

        note(userdata, "Umask %03o;", q->extension->umask);
        exec_process(userdata, call, q->request);
}

static void signal_process(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__SignalProcessRequest *q = input;

        note(userdata, "Signal %s '%s' %u;", q->container_id, q->exec_id, q->signal);
        answer(userdata, call, "SignalProcess", NULL);
}

static void wait_process(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__WaitProcessRequest *q = input;
        FakeGuest *g = userdata;

        for (size_t i = 0; i < FAKE_WAITS_MAX; i++)
                if (!g->waits[i].call) {
                        snprintf(g->waits[i].id, sizeof(g->waits[i].id), "%s", q->container_id);
                        snprintf(g->waits[i].exec_id, sizeof(g->waits[i].exec_id), "%s", q->exec_id);
                        ttrpc_call_hold(call, &g->waits[i].call);
                        return;
                }
        TEST_FAIL("too many waits: %s", q->container_id);
}

void fake_guest_exit(FakeGuest *g, const char *id, const char *exec_id, int status)
{
        Grpc__WaitProcessResponse a = GRPC__WAIT_PROCESS_RESPONSE__INIT;
        FakeWait *found = NULL;

        for (size_t i = 0; i < FAKE_WAITS_MAX; i++)
                if (g->waits[i].call && streq(g->waits[i].id, id) &&
                    streq(g->waits[i].exec_id, exec_id ? exec_id : id))
                        found = &g->waits[i];
        ASSERT_NOT_NULL(found);
        a.status = status;
        ttrpc_call_reply(TAKE_PTR(found->call), &a.base);
}

static void get_iptables(void *userdata, TtrpcCall *call, const void *input)
{
        Grpc__GetIPTablesResponse a = GRPC__GET_IPTABLES_RESPONSE__INIT;
        const Grpc__GetIPTablesRequest *q = input;

        note(userdata, "GetIPTables %d;", q->is_ipv6 ? 6 : 4);
        a.data.data = (uint8_t *) (uintptr_t) (q->is_ipv6 ? "rules 6" : "rules 4");
        a.data.len = 7;
        answer(userdata, call, "GetIPTables", &a.base);
}

static void set_iptables(void *userdata, TtrpcCall *call, const void *input)
{
        Grpc__SetIPTablesResponse a = GRPC__SET_IPTABLES_RESPONSE__INIT;
        const Grpc__SetIPTablesRequest *q = input;

        note(userdata, "SetIPTables %d %.*s;", q->is_ipv6 ? 6 : 4, (int) q->data.len, (const char *) q->data.data);
        a.data.data = (uint8_t *) (uintptr_t) "set";
        a.data.len = 3;
        answer(userdata, call, "SetIPTables", &a.base);
}

static void tty_win_resize(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__TtyWinResizeRequest *q = input;

        note(userdata, "Resize %s %s %ux%u;", q->container_id, q->exec_id, q->column, q->row);
        answer(userdata, call, "TtyWinResize", NULL);
}

static void pause_container(void *userdata, TtrpcCall *call, const void *input)
{
        note(userdata, "Pause;");
        answer(userdata, call, "PauseContainer", NULL);
}

static void resume_container(void *userdata, TtrpcCall *call, const void *input)
{
        note(userdata, "Resume;");
        answer(userdata, call, "ResumeContainer", NULL);
}

static void update_container(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__UpdateContainerRequest *q = input;

        note(userdata, "Update %s %d;", q->container_id,
             q->resources && q->resources->memory ? (int) q->resources->memory->limit : -1);
        answer(userdata, call, "UpdateContainer", NULL);
}

static void update_extended(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__UpdateContainerRequest *q = input;

        note(userdata, "Unified %s;", q->extension->unified[0]->key);
        update_container(userdata, call, q->request);
}

static void stats_container(void *userdata, TtrpcCall *call, const void *input)
{
        Grpc__StatsContainerResponse a = GRPC__STATS_CONTAINER_RESPONSE__INIT;
        Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
        Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;

        pids.current = 3;
        cgroup.pids_stats = &pids;
        a.cgroup_stats = &cgroup;
        answer(userdata, call, "StatsContainer", &a.base);
}

static void remove_container(void *userdata, TtrpcCall *call, const void *input)
{
        const Grpc__RemoveContainerRequest *q = input;

        note(userdata, "Remove %s;", q->container_id);
        answer(userdata, call, "RemoveContainer", NULL);
}

static void attach_stdio(void *userdata, TtrpcCall *call, const void *input)
{
        const Kata__Systemd__V1__AttachStdioRequest *q = input;

        note(userdata, "Attach %s %s in%d out%d err%d;", q->container_id, q->exec_id, q->stdin_port > 0,
             q->stdout_port > 0, q->stderr_port > 0);
        answer(userdata, call, "AttachStdio", NULL);
}

static void get_oom_event(void *userdata, TtrpcCall *call, const void *input)
{
        FakeGuest *g = userdata;

        ttrpc_call_hold(call, &g->oom);
}

void fake_guest_oom(FakeGuest *g, const char *id)
{
        Grpc__OOMEvent a = GRPC__OOMEVENT__INIT;

        a.container_id = (char *) (uintptr_t) id;
        ttrpc_call_reply(TAKE_PTR(g->oom), &a.base);
}

#define EXTENSION "kata.systemd.v1.AgentExtension"

static const char *const service_names[] = { "grpc.AgentService", EXTENSION, NULL };

static const TtrpcMethod methods[] = {
        { "CreateContainer", &kata__systemd__v1__create_container_request__descriptor, create_extended, EXTENSION },
        { "ExecProcess", &kata__systemd__v1__exec_process_request__descriptor, exec_extended, EXTENSION },
        { "UpdateContainer", &kata__systemd__v1__update_container_request__descriptor, update_extended, EXTENSION },
        { "GetIPTables", &grpc__get_iptables_request__descriptor, get_iptables },
        { "SetIPTables", &grpc__set_iptables_request__descriptor, set_iptables },
        { "CreateContainer", &grpc__create_container_request__descriptor, create_container },
        { "StartContainer", &grpc__start_container_request__descriptor, start_container },
        { "ExecProcess", &grpc__exec_process_request__descriptor, exec_process },
        { "SignalProcess", &grpc__signal_process_request__descriptor, signal_process },
        { "WaitProcess", &grpc__wait_process_request__descriptor, wait_process },
        { "TtyWinResize", &grpc__tty_win_resize_request__descriptor, tty_win_resize },
        { "PauseContainer", &grpc__pause_container_request__descriptor, pause_container },
        { "ResumeContainer", &grpc__resume_container_request__descriptor, resume_container },
        { "UpdateContainer", &grpc__update_container_request__descriptor, update_container },
        { "StatsContainer", &grpc__stats_container_request__descriptor, stats_container },
        { "GetOOMEvent", &grpc__get_oomevent_request__descriptor, get_oom_event },
        { "RemoveContainer", &grpc__remove_container_request__descriptor, remove_container },
        { "AttachStdio", &kata__systemd__v1__attach_stdio_request__descriptor, attach_stdio },
};

/* --- transport --- */

typedef struct FakeOpen {
        struct FakeOpen *next;
        TransportOpenHandler handler;
        void *userdata;
} FakeOpen;

typedef struct FakeTransport {
        Transport transport;
        FakeGuest *guest;
        sd_event_source *defer;
        FakeOpen *opens;
} FakeTransport;

static FakeTransport *fake_of(Transport *t)
{
        return container_of(t, FakeTransport, transport);
}

static int on_defer(sd_event_source *source, void *userdata)
{
        FakeTransport *f = userdata;
        FakeGuest *g = f->guest;
        FakeOpen *o = f->opens;
        int pair[2];

        if (!o)
                return 0;
        f->opens = o->next;
        if (f->opens)
                ASSERT_OK(sd_event_source_set_enabled(f->defer, SD_EVENT_ONESHOT));
        if (o->handler) {
                uint32_t port = ++g->n_streams;

                ASSERT_TRUE(port < FAKE_STREAMS_MAX);
                ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
                g->streams[port] = pair[0];
                o->handler(&f->transport, 0, NULL, pair[1], port, o->userdata);
        }
        free(o);
        return 0;
}

static int fake_open(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata)
{
        FakeTransport *f = fake_of(t);
        FakeOpen *o = new0(FakeOpen, 1), **p;

        ASSERT_EQ(port, AGENT_STDIO_PORT);
        *o = (FakeOpen) { .handler = handler, .userdata = userdata };
        for (p = &f->opens; *p; p = &(*p)->next)
                ;
        *p = o;
        return sd_event_source_set_enabled(f->defer, SD_EVENT_ONESHOT);
}

static void fake_forget(Transport *t, void *userdata)
{
        for (FakeOpen *o = fake_of(t)->opens; o; o = o->next)
                if (o->userdata == userdata)
                        o->handler = NULL;
}

static void fake_done(Transport *t)
{
        FakeTransport *f = fake_of(t);

        sd_event_source_disable_unref(f->defer);
        while (f->opens) {
                FakeOpen *o = f->opens;

                f->opens = o->next;
                free(o);
        }
}

static const TransportOps transport_ops = {
        .name = "fake", .open = fake_open, .forget = fake_forget, .done = fake_done,
};

static Transport *fake_transport_new(FakeGuest *g)
{
        static const TransportHandlers handlers = {};
        FakeTransport *f = new0(FakeTransport, 1);

        f->guest = g;
        ASSERT_OK(transport_init(&f->transport, &transport_ops, g->event, &handlers));
        ASSERT_OK(sd_event_add_defer(g->event, &f->defer, on_defer, f));
        ASSERT_OK(sd_event_source_set_enabled(f->defer, SD_EVENT_OFF));
        return &f->transport;
}

/* --- all of it --- */

static void open_journal(FakeGuest *g)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        RelayParams params = { .sandbox_id = "sb", .journal_path = a.sun_path };

        snprintf(a.sun_path, sizeof(a.sun_path), "%s/journal", g->dir);
        g->journal = ASSERT_OK(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ASSERT_OK(bind(g->journal, (struct sockaddr *) &a, sizeof(a)));
        ASSERT_OK(relay_new(&g->relay, g->event, &params));
}

void fake_guest_init(FakeGuest *g, sd_event *event)
{
        const TtrpcService service = {
                .names = service_names, .methods = methods, .n_methods = ELEMENTSOF(methods), .userdata = g,
        };
        int pair[2];

        *g = (FakeGuest) { .dir = "/tmp/test-task-XXXXXX", .event = event };
        for (size_t i = 0; i < FAKE_STREAMS_MAX; i++)
                g->streams[i] = -EBADF;
        ASSERT_NOT_NULL(mkdtemp(g->dir));
        open_journal(g);
        ASSERT_OK(ttrpc_server_new(&g->server, event, &service));
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        ASSERT_OK(ttrpc_server_add(g->server, pair[0]));
        ASSERT_OK(ttrpc_client_new(&g->client, event, pair[1], "agent", NULL, NULL));
        g->transport = fake_transport_new(g);
}

void fake_guest_disconnect(FakeGuest *g)
{
        g->client = ttrpc_client_free(g->client);
        g->server = ttrpc_server_free(g->server);
}

void fake_guest_done(FakeGuest *g)
{
        fake_guest_disconnect(g);
        transport_free(g->transport);
        relay_free(g->relay);
        safe_close(g->journal);
        for (size_t i = 0; i < FAKE_STREAMS_MAX; i++)
                safe_close(g->streams[i]);
        ASSERT_OK(rm_rf(g->dir));
}
