/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QMP client against arbitrary bytes of a QEMU: no crash, every command answered exactly once.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/vmm/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Seen {
        unsigned replies, closed;
} Seen;

static void on_reply(QmpClient *q, int error, struct json_object *result, const char *text,
                void *userdata)
{
        ((Seen *) userdata)->replies++;
}

static void on_closed(QmpClient *q, int error, const char *text, void *userdata)
{
        ((Seen *) userdata)->closed++;
}

static void on_event(QmpClient *q, const char *name, struct json_object *event_data, void *userdata)
{
        struct json_object *v;

        if (event_data && json_object_object_get_ex(event_data, "reason", &v))
                (void) json_object_get_string(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const QmpHandlers handlers = { .on_event = on_event, .on_closed = on_closed };
        static sd_event *event;
        _cleanup_(qmp_freep) QmpClient *q = NULL;
        _cleanup_close_ int peer = -EBADF;
        Seen seen = {};
        int pair[2];

        /* One loop for the whole run: making one costs a hundred times the parsing. */
        if (!event && sd_event_new(&event) < 0)
                abort();
        if (size > STREAM_DRAIN_MAX / 4 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return 0;
        peer = pair[1];
        if (qmp_new(event, pair[0], 10 * USEC_PER_SEC, &handlers, &seen, &q) < 0) {
                safe_close(pair[0]);
                return 0;
        }

        if (qmp_command(q, "query-status", NULL, 10 * USEC_PER_SEC, on_reply, &seen) < 0)
                abort();
        (void) write_full(peer, data, size);
        (void) shutdown(peer, SHUT_WR);
        qmp_drain(q);
        qmp_drain(q);

        if (qmp_state(q) != QMP_CLOSED || seen.closed != 1 || seen.replies != 1)
                abort();
        return 0;
}
