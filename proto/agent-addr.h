/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two addresses on the guest's kernel command line: where the agent serves (agent.server_addr=)
 * and where it reports (agent.notify=). Guest side; the command line comes from the host.
 *
 *      agent.server_addr=vsock://CID:PORT      CID -1: any
 *      agent.server_addr=serial://NAME         a virtio-serial port, by its name
 *      agent.server_addr=unix:///PATH          or unix://@NAME (abstract): for tests
 *      agent.notify=vsock:CID:PORT             a stream connection of its own for each message
 *      agent.notify=mux:PORT                   a stream of the multiplexer on the serial port
 */

#include "basic/cleanup.h"

#define AGENT_ADDR_CID_ANY UINT32_MAX

/* As in struct sockaddr_un, with the NUL. */
#define AGENT_ADDR_NAME_MAX 108U

typedef enum AgentAddrType {
        AGENT_ADDR_VSOCK,
        AGENT_ADDR_SERIAL,
        AGENT_ADDR_UNIX,
} AgentAddrType;

typedef struct AgentAddr {
        AgentAddrType type;
        uint32_t cid, port;                     /* vsock */
        char name[AGENT_ADDR_NAME_MAX];         /* serial: port name; unix: path, or '@' and name */
} AgentAddr;

typedef enum AgentNotifyType {
        AGENT_NOTIFY_VSOCK,
        AGENT_NOTIFY_MUX,
} AgentNotifyType;

typedef struct AgentNotify {
        AgentNotifyType type;
        uint32_t cid;                           /* vsock */
        uint32_t port;
} AgentNotify;

/* 0, or -EINVAL with a text; -EPROTONOSUPPORT for an unknown scheme. */
int agent_addr_parse(const char *s, AgentAddr *ret, char **reterr_message);
int agent_notify_parse(const char *s, AgentNotify *ret, char **reterr_message);
