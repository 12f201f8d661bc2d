/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host at the other end of the agent's unix transport, for tests: connects, calls, looks at the answers.
 * One container, whose engine is the double of fake-container.h.
 */

#include "agent/agent.h"
#include "proto/extension.pb-c.h"

#define AGENT_SERVICE "grpc.AgentService"
#define EXTENSION_SERVICE "kata.systemd.v1.AgentExtension"

typedef struct Host {
        Loop *loop;
        Agent agent;
        char dir[64];
        int notify_fd, rpc;
        uint32_t next_id, next_port;
} Host;

extern const AgentCmdline cmdline;

/* Of the last answer: payload, or the text of an error. */
extern uint8_t reply[65536];
extern size_t reply_size;
extern char reply_text[600];
extern char container_name[];

/* n rounds of the loop. */
void run(Host *host, unsigned n);
/* own_port: what a stream is named by; 0 for none. */
int host_connect(Host *host, uint32_t port, uint32_t own_port);
void host_start_with(Host *host, const AgentCmdline *line);
void host_start(Host *host);
void host_stop(Host *host);
uint32_t send_call(Host *host, const char *service, const char *method, const ProtobufCMessage *m);
/* 0 or a status code; -1: no answer yet. The payload is in reply. */
int take_answer(Host *host, uint32_t id);
/* The same without giving the loop a round. */
int read_answer(Host *host, uint32_t id);
int call(Host *host, const char *method, const ProtobufCMessage *m);
int create_sandbox(Host *host);
void fill_create(Grpc__CreateContainerRequest *q, Grpc__Spec *spec, Grpc__Process *process, char **args,
                 const char *command);
int create_container(Host *host, const char *command, uint32_t out_port, uint32_t err_port);
int start_container(Host *host);
int remove_container(Host *host);
uint32_t send_wait(Host *host);
/* What is there to be read; "(nothing)" or "(end)". */
const char *take_text(Host *host, int fd);
