/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The calls of the Kata agent protocol that the supervisor makes, one function each: the request is built
 * here, the answer comes through a TtrpcReplyHandler with the message named beside the function. Any agent
 * that speaks the protocol will do; one that is not ours answers the extension calls with an error.
 *
 * All return as ttrpc_client_call() does: at once with an error, then the handler is not called.
 */

#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"
#include "proto/oci.pb-c.h"
#include "runtime/agent-client/ttrpc-client.h"

#define AGENT_SHARE_TAG "kataShared"
#define AGENT_SHARE_MOUNT_POINT "/run/kata-containers/shared/containers/"

/* Grpc__HealthCheckResponse */
int agent_check(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Grpc__VersionCheckResponse */
int agent_version(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Empty. From then on the agent refuses what the policy does not allow. */
int agent_set_policy(TtrpcClient *c, const char *policy, usec_t timeout, TtrpcReplyHandler handler,
                     void *userdata);

/*
 * Empty. With the virtio-fs storage of AGENT_SHARE_TAG if share is set. kernel_modules as kernel_modules_split() takes
 * them; NULL: none.
 */
int agent_create_sandbox(TtrpcClient *c, const char *sandbox_id, const char *hostname, bool share,
                         const char *kernel_modules, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/*
 * The guest's network, in this order. Interfaces are found by their MAC address and get the name, addresses and MTU of
 * the message; the routes replace all that the guest's kernel did not make itself.
 */

/* Grpc__GetIPTablesResponse, Grpc__SetIPTablesResponse: rules as iptables-save(8) prints them. Any time. */
int agent_get_iptables(TtrpcClient *c, bool ipv6, usec_t timeout, TtrpcReplyHandler handler, void *userdata);
int agent_set_iptables(TtrpcClient *c, bool ipv6, const uint8_t *rules, size_t n, usec_t timeout,
                       TtrpcReplyHandler handler, void *userdata);

/* Types__Interface: as it is then. */
int agent_update_interface(TtrpcClient *c, Types__Interface *interface, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata);

/* Grpc__Routes: as they are then. */
int agent_update_routes(TtrpcClient *c, Grpc__Routes *routes, usec_t timeout, TtrpcReplyHandler handler,
                        void *userdata);

/* Empty */
int agent_add_neighbors(TtrpcClient *c, Grpc__ARPNeighbors *neighbors, usec_t timeout, TtrpcReplyHandler handler,
                        void *userdata);

/*
 * What transport_open() gave for the streams of a process; 0: the process has no such stream. Without any, an
 * agent that speaks the protocol keeps all three for WriteStdin, ReadStdout and ReadStderr.
 */
typedef struct AgentStdio {
        uint32_t stdin_port, stdout_port, stderr_port;
} AgentStdio;

/*
 * What a configuration has beyond Kata's messages goes with the call as extension; NULL or an empty one makes it the
 * published method, which every agent has. An agent without the extension answers with an error before it has done
 * anything, which this recognizes: -EOPNOTSUPP with a text that names property, as in "process.user.umask". In any
 * other case error, and *reterr_message is untouched.
 */
typedef Kata__Systemd__V1__SpecExtension AgentExtension;

int agent_explain_extension(int error, const char *text, const char *property, char **reterr_message);

/* Empty. Of the extension without exec_cpu_affinity, which a configuration has for further processes. */
int agent_create_container(TtrpcClient *c, const char *id, Grpc__Spec *spec, AgentExtension *extension,
                           const AgentStdio *stdio, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Empty */
int agent_start_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata);

/* Empty, once the program runs. */
int agent_exec_process(TtrpcClient *c, const char *id, const char *exec_id, Grpc__Process *process,
                       AgentExtension *extension, const AgentStdio *stdio, usec_t timeout,
                       TtrpcReplyHandler handler, void *userdata);

/*
 * Processes of a container are named by exec_id; that of its init process is the container's id, for which NULL
 * will do here.
 */

/* Empty. exec_id "": every process of the container. */
int agent_signal_process(TtrpcClient *c, const char *id, const char *exec_id, int sig, usec_t timeout,
                         TtrpcReplyHandler handler, void *userdata);

/* Grpc__WaitProcessResponse, when the process has exited: a long poll. The first answer ends an exec. */
int agent_wait_process(TtrpcClient *c, const char *id, const char *exec_id, TtrpcReplyHandler handler,
                       void *userdata);

/* Empty */
int agent_resize(TtrpcClient *c, const char *id, const char *exec_id, uint32_t rows, uint32_t columns,
                 usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Empty. For the freezer of the container; the machine runs on. */
int agent_pause_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata);
int agent_resume_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata);

/* Empty */
int agent_update_container(TtrpcClient *c, const char *id, Grpc__LinuxResources *resources, AgentExtension *extension,
                           usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Grpc__StatsContainerResponse */
int agent_stats_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata);

/* Grpc__OOMEvent, when a process of some container was killed for lack of memory: a long poll, one event a call. */
int agent_get_oom_event(TtrpcClient *c, TtrpcReplyHandler handler, void *userdata);

/* Empty */
int agent_remove_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata);

/* Empty, if the agent gets to answer before the VM is gone. */
int agent_destroy_sandbox(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Extension: Kata__Systemd__V1__AttachStdioResponse. Streams of port 0 stay as they are. */
int agent_attach_stdio(TtrpcClient *c, const char *id, const char *exec_id, const AgentStdio *stdio,
                       usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Extension: Empty. The guest's interface that has one MAC address ("02:…") gets another one. */
int agent_set_interface_address(TtrpcClient *c, const char *address, const char *new_address, usec_t timeout,
                                TtrpcReplyHandler handler, void *userdata);

/* Extension: Kata__Systemd__V1__ListContainersResponse */
int agent_list_containers(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);
