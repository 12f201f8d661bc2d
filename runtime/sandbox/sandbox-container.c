/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one container as the supervisor sees it: streams, create, start, wait, remove. What the
 * guest answers is checked by the protocol code; its order is checked here.
 */

#include <sysexits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/agent.pb-c.h"
#include "runtime/oci/spec-extension.h"
#include "runtime/sandbox/sandbox-internal.h"

static const char *const stream_names[_STREAM_MAX] = {
        [STREAM_STDOUT] = "stdout",
        [STREAM_STDERR] = "stderr",
};

int sandbox_add_container(Sandbox *s, const char *name, int stop_signal, SandboxContainer **ret)
{
        SandboxContainer *c;

        /* Allocated once for the most there can be: the objects are referenced by pointer. */
        if (!s->containers)
                s->containers = new0(SandboxContainer, CONTAINERS_MAX);
        if (!s->containers || s->n_containers >= CONTAINERS_MAX)
                return s->containers ? -E2BIG : -ENOMEM;

        c = &s->containers[s->n_containers];
        *c = (SandboxContainer) { .sandbox = s, .stop_signal = stop_signal, .name = strdup(name) };
        if (!c->name)
                return -ENOMEM;

        s->n_containers++;
        if (ret)
                *ret = c;
        return 0;
}

void sandbox_container_done(SandboxContainer *c)
{
        oci_spec_free(c->spec);
        free(c->name);
}

SandboxContainer *sandbox_find_container(Sandbox *s, const char *name)
{
        for (size_t i = 0; i < s->n_containers; i++)
                if (streq(s->containers[i].name, name))
                        return &s->containers[i];

        return NULL;
}

static void container_failed(SandboxContainer *c, const char *what, int error, const char *text)
{
        Sandbox *s = c->sandbox;

        /* The connection breaks when the machine does; the machine's own reason is the better one. */
        if (error == -ECONNRESET || error == -ENOTCONN)
                sandbox_agent_lost(s, error_text(text, error));
        else
                sandbox_fail(s, EX_SOFTWARE, "container '%s' can not be %s: %s", c->name, what,
                             error_text(text, error));
}

/* --- exit --- */

void sandbox_container_exited(SandboxContainer *c, int status)
{
        Sandbox *s = c->sandbox;
        char number[16];

        if (c->phase >= CONTAINER_EXITED)
                return;

        c->phase = CONTAINER_EXITED;
        c->status = status;
        snprintf(number, sizeof(number), "%d", status);
        sandbox_event(s->relay, EVENT_CONTAINER_EXITED, c->name,
                      (const char *const[]) { "KATA_EXIT_STATUS", number, NULL },
                      status > 128 ? "Container '%s' was ended by signal %d" :
                                     "Container '%s' exited with status %d",
                      c->name, status > 128 ? status - 128 : status);

        /* Ended by our own stop is no failure. */
        if (status != 0 && s->exit_status == 0 && !s->failed && !s->stop_requested) {
                s->exit_status = status;
                if (asprintf(&s->result, "container '%s' %s %d", c->name,
                             status > 128 ? "was ended by signal" : "exited with status",
                             status > 128 ? status - 128 : status) < 0)
                        s->result = NULL;
        }

        (void) sandbox_save_state(s);
        sandbox_stop_continue(s);
        if (s->phase != PHASE_RUNNING)
                return;

        for (size_t i = 0; i < s->n_containers; i++)
                if (s->containers[i].phase < CONTAINER_EXITED) {
                        sandbox_status(s, "Running, container '%s' has ended", c->name);
                        return;
                }

        sandbox_begin_stop(s);
}

static void on_wait_reply(TtrpcClient *client, int error, const char *text, const void *message,
                          void *userdata)
{
        SandboxContainer *c = userdata;
        const Grpc__WaitProcessResponse *a = message;

        if (error == -ECONNRESET)
                return;
        if (error < 0) {
                container_failed(c, "waited for", error, text);
                return;
        }

        /* The guest may say any number; an exit status has eight bits. */
        sandbox_container_exited(c, a->status & 0xff);
}

void sandbox_wait_container(SandboxContainer *c)
{
        int r = agent_wait_process(c->sandbox->agent, c->name, NULL, on_wait_reply, c);

        if (r < 0)
                container_failed(c, "waited for", r, NULL);
}

static void on_remove_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        SandboxContainer *c = userdata;

        c->removing = false;
        c->phase = CONTAINER_REMOVED;
        if (error < 0 && error != -ECONNRESET)
                log_warning("Container '%s' was not removed cleanly, ignoring: %s", c->name,
                            error_text(text, error));
        sandbox_stop_continue(c->sandbox);
}

void sandbox_remove_container(SandboxContainer *c)
{
        Sandbox *s = c->sandbox;

        if (c->removing || c->phase != CONTAINER_EXITED)
                return;
        if (agent_remove_container(s->agent, c->name, s->node->request_timeout, on_remove_reply, c) >= 0)
                c->removing = true;
        else
                c->phase = CONTAINER_REMOVED;
}

/* --- start --- */

static void start_next(Sandbox *s);

static void on_start_reply(TtrpcClient *client, int error, const char *text, const void *message,
                           void *userdata)
{
        SandboxContainer *c = userdata;
        Sandbox *s = c->sandbox;

        if (s->phase != PHASE_STARTING_CONTAINERS)
                return;
        if (error < 0) {
                container_failed(c, "started", error, text);
                return;
        }

        c->phase = CONTAINER_RUNNING;
        sandbox_event(s->relay, EVENT_CONTAINER_STARTED, c->name, NULL, "Container '%s' started", c->name);
        sandbox_wait_container(c);
        if (s->phase == PHASE_STARTING_CONTAINERS)
                start_next(s);
}

static void on_create_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        _cleanup_free_ char *explained = NULL;
        SandboxContainer *c = userdata;
        Sandbox *s = c->sandbox;
        int r;

        error = agent_explain_extension(error, text, spec_extension_first(c->spec), &explained);
        c->spec = oci_spec_free(c->spec);
        if (s->phase != PHASE_STARTING_CONTAINERS)
                return;
        if (error < 0) {
                container_failed(c, "created", error, explained ?: text);
                return;
        }

        c->phase = CONTAINER_STARTING;
        r = agent_start_container(s->agent, c->name, s->node->request_timeout, on_start_reply, c);
        if (r < 0)
                container_failed(c, "started", r, NULL);
}

static AgentStdio stdio_of(const SandboxContainer *c)
{
        return (AgentStdio) {
                .stdout_port = c->streams[STREAM_STDOUT].port,
                .stderr_port = c->streams[STREAM_STDERR].port,
        };
}

static void create(SandboxContainer *c)
{
        const AgentStdio stdio = stdio_of(c);
        Sandbox *s = c->sandbox;
        int r;

        c->phase = CONTAINER_CREATING;
        r = agent_create_container(s->agent, c->name, c->spec->spec, c->spec->extension, &stdio,
                                   s->node->request_timeout, on_create_reply, c);
        if (r < 0)
                container_failed(c, "created", r, NULL);
}

/* --- streams --- */

static void on_stream_end(void *userdata)
{
        ContainerStream *stream = userdata;

        stream->open = false;
        sandbox_stop_continue(stream->container->sandbox);
}

static void on_stream_open(Transport *t, int error, const char *text, int fd, uint32_t source_port,
                           void *userdata)
{
        ContainerStream *stream = userdata;
        SandboxContainer *c = stream->container;
        Sandbox *s = c->sandbox;
        int r;

        if (error < 0) {
                container_failed(c, "connected", error, text);
                return;
        }
        if (sandbox_phase_is_stopping(s->phase)) {
                safe_close(fd);
                return;
        }

        r = relay_add_output(s->relay, fd, c->name, stream->name, on_stream_end, stream);
        if (r < 0) {
                safe_close(fd);
                container_failed(c, "connected", r, NULL);
                return;
        }

        stream->port = source_port;
        stream->open = true;
        if (--c->opening == 0)
                c->on_open(c);
}

static void open_streams(SandboxContainer *c, void (*on_open)(SandboxContainer *c))
{
        c->opening = _STREAM_MAX;
        c->on_open = on_open;
        for (int i = 0; i < _STREAM_MAX; i++) {
                int r;

                c->streams[i] = (ContainerStream) { .container = c, .name = stream_names[i] };
                r = transport_open(c->sandbox->transport, AGENT_STDIO_PORT, on_stream_open,
                                   &c->streams[i]);
                if (r < 0) {
                        container_failed(c, "connected", r, NULL);
                        return;
                }
        }
}

static void report_start(Sandbox *s)
{
        _cleanup_free_ char *times = phase_times_to_string(&s->times);

        sandbox_event(s->relay, EVENT_SANDBOX_STARTED, NULL, NULL, "Sandbox '%s' runs: %s", s->id,
                      strempty(times));
}

static void start_next(Sandbox *s)
{
        for (size_t i = 0; i < s->n_containers; i++) {
                SandboxContainer *c = &s->containers[i];

                if (c->phase != CONTAINER_PLANNED)
                        continue;

                c->phase = CONTAINER_OPENING;
                sandbox_status(s, "Starting container '%s'", c->name);
                open_streams(c, create);
                return;
        }

        /* All run, or have run. */
        s->started = true;
        sandbox_set_phase(s, PHASE_RUNNING);
        sandbox_disarm_timer(s);
        if (sandbox_save_state(s) < 0) {
                sandbox_fail(s, EX_OSERR, "the state file in '%s' can not be written", s->run_dir);
                return;
        }
        report_start(s);
        if (s->by_caller) {
                sandbox_offer_guest(s, false);
                return;
        }
        s->handlers.on_running(s, s->handlers.userdata);
        sandbox_start_health(s);

        for (size_t i = 0; i < s->n_containers; i++)
                if (s->containers[i].phase < CONTAINER_EXITED)
                        return;
        sandbox_begin_stop(s);
}

void sandbox_start_containers(Sandbox *s)
{
        sandbox_set_phase(s, PHASE_STARTING_CONTAINERS);
        sandbox_limit_cpu(s);
}

void sandbox_continue_containers(Sandbox *s)
{
        start_next(s);
}

/* --- adoption --- */

static void on_attach_reply(TtrpcClient *client, int error, const char *text, const void *message,
                            void *userdata)
{
        SandboxContainer *c = userdata;

        if (error < 0) {
                container_failed(c, "attached", error, text);
                return;
        }

        /* Answers at once with the status if it has exited meanwhile. */
        sandbox_wait_container(c);
}

static void attach(SandboxContainer *c)
{
        const AgentStdio stdio = stdio_of(c);
        Sandbox *s = c->sandbox;
        int r = agent_attach_stdio(s->agent, c->name, NULL, &stdio, s->node->request_timeout, on_attach_reply, c);

        if (r < 0)
                container_failed(c, "attached", r, NULL);
}

void sandbox_attach_container(SandboxContainer *c)
{
        c->phase = CONTAINER_RUNNING;
        open_streams(c, attach);
}
