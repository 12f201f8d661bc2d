/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The running agent: what main() puts together, apart from being PID 1. Owns every part and decides what a
 * connection to each port is, and when the machine ends.
 */

#include "agent/cmdline.h"
#include "agent/debug-console.h"
#include "agent/log-port.h"
#include "agent/sandbox.h"
#include "agent/server.h"
#include "agent/streams.h"
#include "agent/transport.h"

typedef struct Agent {
        Loop *loop;
        AgentCmdline cmdline;
        LogRing log;
        LogPort log_port;
        Kmsg *kmsg;
        Transport *transport;
        Server *server;
        StreamTable *streams;
        Sandbox *sandbox;
        DebugConsole *debug_console;    /* NULL unless the command line asks for it */
        LoopSource *end_timer;
        usec_t end_deadline, end_grace;
        char *failure;          /* why loop_run() ended, NULL if the host wanted it */
} Agent;

/* The log ring takes the program log from here on. */
int agent_init(Agent *agent, Loop *loop, const AgentCmdline *cmdline);
void agent_done(Agent *agent);

/* For transport_new(). */
TransportHandlers agent_transport_handlers(Agent *agent);

/*
 * Takes the transport in any case: listens on the ports of the command line and tells the host. Afterwards
 * loop_run() goes on until the sandbox was destroyed (0) or nothing can go on (negative, see failure).
 */
int agent_start(Agent *agent, Transport *transport, char **reterr_message);

/* Forwards this kernel log; takes fd on success. */
int agent_read_kmsg(Agent *agent, int *fd);
