/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests: "kata-agent --listen" as a process of its own, and a client of it that makes one call after the
 * other. Containers run busybox-static. A call that fails where it must not ends the test.
 */

#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc.h"

#define AGENT_SERVICE "grpc.AgentService"
#define EXTENSION_SERVICE "kata.systemd.v1.AgentExtension"
#define BUSYBOX "/bin/busybox"

typedef struct AgentClient {
        char dir[64];                   /* root file system of containers in rootfs/ */
        char socket_path[80];
        pid_t agent;
        int fd;
        bool sandbox_pidns;             /* containers are in the sandbox's pid namespace */
        uint32_t next_id;
        uint8_t reply[65536];           /* payload of the last answer */
        size_t reply_size;
        char text[600];                 /* or the text of its error */
} AgentClient;

/* What is missing on this machine, for "skipped: needs ..."; NULL: nothing. */
const char *agent_client_needs(const char *program);
/* Where cgroup v2 is mounted; NULL: nowhere. */
const char *agent_client_cgroup_mount(void);
/* Of the agent's containers: the cgroup that it was started in (host-mode.h). */
void agent_client_cgroup(const AgentClient *c, char *ret, size_t n);
/* What agents have left there for their next start; in a scope it goes with that. */
void agent_client_remove_cgroups(const char *cgroup);

/* Makes the directory, starts program, connects, makes a root file system and a sandbox. */
void agent_client_start(AgentClient *c, const char *program);
/* Ends the agent, which must obey and have its socket removed, and removes the directory and its cgroups. */
void agent_client_stop(AgentClient *c);

/* The steps of agent_client_start(), for those who take them in another way. */
void agent_client_init(AgentClient *c);
void agent_client_serve(AgentClient *c, const char *program);
/* program --listen address, whose messages go to log_path; ends with its parent. */
pid_t agent_client_spawn(const char *program, const char *address, const char *log_path);
int agent_client_connect(const AgentClient *c);
void agent_client_make_rootfs(const AgentClient *c);

/* 0 or the status code of an error. */
int agent_client_try(AgentClient *c, const char *method, const ProtobufCMessage *m);
int agent_client_try_service(AgentClient *c, const char *service, const char *method,
                             const ProtobufCMessage *m);
void agent_client_call(AgentClient *c, const char *method, const ProtobufCMessage *m);
/* The two halves of it, for a call that takes its time; one at a time on a connection. */
void agent_client_send(AgentClient *c, const char *service, const char *method, const ProtobufCMessage *m);
int agent_client_answer(AgentClient *c);

/* A container that runs "sh -c script"; created and started. */
void agent_client_run(AgentClient *c, const char *id, const char *script);
/* Executes "sh -c script" in it. */
void agent_client_exec(AgentClient *c, const char *id, const char *exec_id, const char *script);
/* Exit status. exec_id: "" for the init process. */
int agent_client_wait(AgentClient *c, const char *id, const char *exec_id);
void agent_client_remove(AgentClient *c, const char *id);
