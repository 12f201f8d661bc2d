/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The host's log connection (port 1025): sends the log ring, one connection at a time, a new one replaces
 * the old. See ring-stream.h for acknowledgements and replay.
 */

#include "agent/kmsg.h"
#include "agent/log-ring.h"
#include "agent/ring-stream.h"

typedef struct LogPort {
        Loop *loop;
        LogRing *log;
        Kmsg *kmsg;             /* may be NULL; resumed when there is room */
        RingStream *stream;
} LogPort;

/* Registers itself as the consumer of the ring. */
void log_port_init(LogPort *port, Loop *loop, LogRing *log);
void log_port_done(LogPort *port);

/* Takes fd on success. */
int log_port_attach(LogPort *port, int *fd);

/* Nothing left to send, or nobody to send it to. */
bool log_port_is_idle(const LogPort *port);
