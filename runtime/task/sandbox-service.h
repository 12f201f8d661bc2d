/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The service kata.systemd.v1.Sandbox (proto/sandbox.proto): requests of root about the guest of a sandbox, whoever
 * made its containers. Each is passed on to the agent, whose answer is passed back; the policy of the sandbox decides
 * as for every other request. The guest is hostile: a frame of it is all that an answer can be, and an answer that it
 * does not give costs the request its deadline.
 */

#include "runtime/agent-client/agent.h"

typedef struct SandboxService SandboxService;

typedef struct SandboxServiceHost {
        sd_event *event;
        TtrpcClient *agent;             /* valid until sandbox_service_guest_gone() */
        usec_t request_timeout;
} SandboxServiceHost;

int sandbox_service_new(SandboxService **ret, const SandboxServiceHost *host);
/* Waiting clients lose their connection. Accepts NULL, returns NULL. */
SandboxService *sandbox_service_free(SandboxService *service);
DEFINE_CLEANUP_FUNC(SandboxService *, sandbox_service_free)

/* Serves on a listening socket, or with a connection; takes it on success. */
int sandbox_service_listen(SandboxService *service, int fd);
int sandbox_service_add_client(SandboxService *service, int fd);

/* The agent's client has been freed: whoever waits is told, and so is who comes later. */
void sandbox_service_guest_gone(SandboxService *service);
