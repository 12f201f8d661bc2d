/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's parts put together: see agent.h. */

#include "agent/agent.h"

#include "agent/cgroup.h"
#include "agent/services.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

/* After DestroySandbox: how long the host may take for the last bytes, and how often that is checked. The
 * transports buffer behind the sockets that we see, so the last bytes get a moment of their own. */
#define END_MAX_USEC (2 * USEC_PER_SEC)
#define END_CHECK_USEC (10 * USEC_PER_MSEC)
#define END_GRACE_USEC (30 * USEC_PER_MSEC)

static void on_accept(uint32_t port, uint32_t source_port, int fd, void *userdata)
{
        _cleanup_close_ int c = fd;
        Agent *agent = userdata;
        int r;

        if (port == agent->cmdline.log_port)
                r = log_port_attach(&agent->log_port, &c);
        else if (port == agent->cmdline.passfd_port) {
                stream_table_add(agent->streams, source_port, TAKE_FD(c));
                r = 0;
        } else if (port == agent->cmdline.debug_port)
                r = debug_console_accept(agent->debug_console, &c);
        else
                r = server_add_connection(agent->server, &c);

        if (r < 0)
                log_warning_errno(r, "Refused a connection to port %u", port);
}

static void on_failed(int error, const char *message, void *userdata)
{
        Agent *agent = userdata;

        free(agent->failure);
        agent->failure = strdup(message);
        loop_exit(agent->loop, error);
}

TransportHandlers agent_transport_handlers(Agent *agent)
{
        return (TransportHandlers) {
                .on_accept = on_accept, .on_failed = on_failed, .userdata = agent,
        };
}

static void on_end_time(LoopSource *source, void *userdata)
{
        Agent *agent = userdata;
        usec_t now = now_usec();
        bool idle = server_is_flushed(agent->server) && log_port_is_idle(&agent->log_port) &&
                    !sandbox_has_lingering(agent->sandbox);

        if (!idle)
                agent->end_grace = 0;
        else if (agent->end_grace == 0)
                agent->end_grace = now + END_GRACE_USEC;

        if (now >= agent->end_deadline || (idle && now >= agent->end_grace))
                loop_exit(agent->loop, 0);
        else
                (void) loop_source_set_time(source, now + END_CHECK_USEC);
}

static void on_destroyed(void *userdata)
{
        Agent *agent = userdata;

        agent->end_deadline = now_usec() + END_MAX_USEC;
        if (loop_add_time(agent->loop, &agent->end_timer, 0, on_end_time, agent) < 0)
                loop_exit(agent->loop, 0);
}

int agent_init(Agent *agent, Loop *loop, const AgentCmdline *cmdline)
{
        const Method *methods;
        size_t n;
        int r;

        *agent = (Agent) { .loop = loop, .cmdline = *cmdline };
        /* On the serial transport the ttrpc port is not on the command line but a part of the protocol. */
        if (agent->cmdline.server_port == 0)
                agent->cmdline.server_port = 1024;

        r = log_ring_init(&agent->log, LOG_RING_SIZE);
        if (r < 0)
                return r;
        log_port_init(&agent->log_port, loop, &agent->log);
        log_set_max_level(cmdline->log_level);
        log_ring_install(&agent->log);

        r = stream_table_new(&agent->streams, loop);
        if (r >= 0 && cmdline->debug_port != 0)
                r = debug_console_new(&agent->debug_console, loop,
                                      &(const DebugConsoleParams) { .cgroup_root = CGROUP_ROOT });
        if (r >= 0)
                r = sandbox_new(&agent->sandbox, loop, agent->streams, on_destroyed, agent);
        methods = agent_methods(&n);
        if (r >= 0)
                r = server_new(&agent->server, loop, methods, n, agent->sandbox);
        if (r < 0)
                agent_done(agent);
        else
                server_set_guard(agent->server, service_guard);
        return r;
}

void agent_done(Agent *agent)
{
        /* Pending requests are cancelled before what they wait for goes. */
        agent->server = server_free(agent->server);
        agent->transport = transport_free(agent->transport);
        agent->debug_console = debug_console_free(agent->debug_console);
        agent->sandbox = sandbox_free(agent->sandbox);
        agent->streams = stream_table_free(agent->streams);
        agent->end_timer = loop_source_free(agent->end_timer);
        log_ring_install(NULL);
        agent->log_port.kmsg = NULL;
        agent->kmsg = kmsg_free(agent->kmsg);
        log_port_done(&agent->log_port);
        log_ring_done(&agent->log);
        agent->failure = mfree(agent->failure);
}

int agent_start(Agent *agent, Transport *transport, char **reterr_message)
{
        const uint32_t ports[] = {
                agent->cmdline.server_port, agent->cmdline.log_port, agent->cmdline.passfd_port,
                agent->cmdline.debug_port,
        };
        int r;

        agent->transport = transport;
        for (size_t i = 0; i < ELEMENTSOF(ports); i++) {
                if (ports[i] == 0)
                        continue;
                r = transport_listen(transport, ports[i], reterr_message);
                if (r < 0)
                        return r;
        }

        log_info("kata-agent " PROJECT_VERSION " ready on %s", transport->ops->name);
        r = transport_notify(transport, "READY=1\nSTATUS=agent ready\nX_KATA_AGENT_VERSION="
                                        PROJECT_VERSION "\n");
        if (r < 0)
                return error_prefixf(reterr_message, r, "notifying the host");
        return 0;
}

int agent_read_kmsg(Agent *agent, int *fd)
{
        int r = kmsg_new(&agent->kmsg, agent->loop, &agent->log, fd);

        if (r >= 0)
                agent->log_port.kmsg = agent->kmsg;
        return r;
}
