/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Client of the QEMU machine protocol over a UNIX socket: greeting, capabilities, commands with
 * replies in any order, events. Host side; what QEMU says is treated as hostile, because a guest
 * may have taken it over: lines, depth, number of open commands and queued output are bounded, and
 * anything out of order ends the connection.
 *
 *      greeting → negotiating → ready → closed         (every state may go to closed)
 *
 * Commands given before "ready" wait. Nothing blocks.
 */

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "basic/parse.h"

typedef struct QmpClient QmpClient;

typedef enum QmpState {
        QMP_GREETING,
        QMP_NEGOTIATING,
        QMP_READY,
        QMP_CLOSED,
        _QMP_STATE_MAX,
} QmpState;

typedef struct QmpHandlers {
        void (*on_ready)(QmpClient *q, void *userdata);
        /* data may be NULL; valid during the call. Only while ready: not before the negotiation. */
        void (*on_event)(QmpClient *q, const char *name, struct json_object *data, void *userdata);
        /*
         * Once, last. error 0: the peer closed in order. Open commands have been answered before.
         */
        void (*on_closed)(QmpClient *q, int error, const char *text, void *userdata);
} QmpHandlers;

/*
 * error 0: result is the "return" object (valid during the call). -EREMOTEIO: text is QEMU's
 * description. -ETIME: no answer within the deadline, the connection is closed after this.
 * -ECONNRESET: closed before.
 */
typedef void (*QmpReply)(QmpClient *q, int error, struct json_object *result, const char *text,
                         void *userdata);

/*
 * Takes fd on success. handshake: time for greeting and negotiation. The handlers must not free
 * the client.
 */
int qmp_new(sd_event *event, int fd, usec_t handshake, const QmpHandlers *handlers, void *userdata,
            QmpClient **ret);
QmpClient *qmp_free(QmpClient *q);
DEFINE_CLEANUP_FUNC(QmpClient *, qmp_free)

QmpState qmp_state(const QmpClient *q);

/*
 * arguments (may be NULL) is taken in any case. reply may be NULL. -EBUSY over QMP_PENDING_MAX open
 * commands, -ENOTCONN once closed.
 */
int qmp_command(QmpClient *q, const char *name, struct json_object *arguments, usec_t timeout,
                QmpReply reply, void *userdata);

/*
 * Handles what has arrived already, up to STREAM_DRAIN_MAX: last events of a QEMU that has exited.
 */
void qmp_drain(QmpClient *q);
