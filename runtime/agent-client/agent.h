/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The calls of the Kata agent protocol that the supervisor makes, one function each: the request is built
 * here, the answer comes through a TtrpcReplyHandler with the message named beside the function. Any agent
 * that speaks the protocol will do; the extension calls answer -ENOSYS from one that is not ours.
 *
 * All return as ttrpc_client_call() does: at once with an error, then the handler is not called.
 */

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

/* Empty. With the virtio-fs storage of AGENT_SHARE_TAG if share is set. */
int agent_create_sandbox(TtrpcClient *c, const char *sandbox_id, const char *hostname, bool share,
                         usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Empty. The ports are what transport_open() gave for the two output streams; 0: ReadStdout is used. */
int agent_create_container(TtrpcClient *c, const char *id, Grpc__Spec *spec, uint32_t stdout_port,
                           uint32_t stderr_port, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata);

/* Empty */
int agent_start_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                          void *userdata);

/* Empty. all: every process of the container, else its init process. */
int agent_signal_process(TtrpcClient *c, const char *id, bool all, int sig, usec_t timeout,
                         TtrpcReplyHandler handler, void *userdata);

/* Grpc__WaitProcessResponse, when the init process has exited: a long poll. */
int agent_wait_process(TtrpcClient *c, const char *id, TtrpcReplyHandler handler, void *userdata);

/* Empty */
int agent_remove_container(TtrpcClient *c, const char *id, usec_t timeout, TtrpcReplyHandler handler,
                           void *userdata);

/* Empty, if the agent gets to answer before the VM is gone. */
int agent_destroy_sandbox(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Extension: Kata__Systemd__V1__AttachStdioResponse */
int agent_attach_stdio(TtrpcClient *c, const char *id, uint32_t stdout_port, uint32_t stderr_port,
                       usec_t timeout, TtrpcReplyHandler handler, void *userdata);

/* Extension: Kata__Systemd__V1__ListContainersResponse */
int agent_list_containers(TtrpcClient *c, usec_t timeout, TtrpcReplyHandler handler, void *userdata);
