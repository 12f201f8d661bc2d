/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the carriers share: the method table and the reading of notify streams. */

#include "runtime/agent-client/transport.h"

typedef struct TransportOps {
        const char *name;
        int (*open)(Transport *t, uint32_t port, TransportOpenHandler handler, void *userdata);
        void (*forget)(Transport *t, void *userdata);
        void (*done)(Transport *t);
} TransportOps;

typedef struct NotifyStream NotifyStream;

struct Transport {
        const TransportOps *ops;
        sd_event *event;
        TransportHandlers handlers;
        NotifyStream *notify_streams;
        unsigned n_notify_streams;
};

int transport_init(Transport *t, const TransportOps *ops, sd_event *event,
                   const TransportHandlers *handlers);

/* Reads one message up to its end of file and hands it to on_notify. Takes fd in any case. */
int transport_add_notify_stream(Transport *t, int fd);

/* The last thing a caller does: the handler may free the transport. */
void transport_report_lost(Transport *t, const char *text);
