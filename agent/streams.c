/* SPDX-License-Identifier: Apache-2.0 */
/* Streams waiting for the request that names them: see streams.h. Opened by the host. */

#include "agent/streams.h"

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

#define STREAM_UNCLAIMED_USEC (60 * USEC_PER_SEC)

typedef struct Stream {
        struct Stream *next;
        uint32_t port;
        int fd;
        usec_t since;
} Stream;

struct StreamClaim {
        StreamTable *table;
        StreamClaim *prev, *next;
        uint32_t port;
        LoopSource *timer;
        usec_t end;
        StreamHandler handler;
        void *userdata;
};

struct StreamTable {
        Loop *loop;
        Stream *streams;        /* oldest first */
        size_t n_streams;
        StreamClaim *claims;
};

int stream_table_new(StreamTable **ret, Loop *loop)
{
        StreamTable *table = new0(StreamTable, 1);

        if (!table)
                return -ENOMEM;

        table->loop = loop;
        *ret = table;
        return 0;
}

static void stream_drop(StreamTable *table, Stream **at)
{
        Stream *stream = *at;

        *at = stream->next;
        table->n_streams--;
        safe_close(stream->fd);
        free(stream);
}

StreamTable *stream_table_free(StreamTable *table)
{
        if (!table)
                return NULL;

        while (table->claims)
                stream_claim_free(table->claims);
        while (table->streams)
                stream_drop(table, &table->streams);
        free(table);
        return NULL;
}

static int stream_take(StreamTable *table, uint32_t port)
{
        for (Stream **at = &table->streams; *at; at = &(*at)->next)
                if ((*at)->port == port) {
                        int fd = TAKE_FD((*at)->fd);

                        stream_drop(table, at);
                        return fd;
                }

        return -ENOENT;
}

void stream_table_add(StreamTable *table, uint32_t port, int fd)
{
        usec_t now = now_usec();
        Stream *stream = new0(Stream, 1), **at;

        while (table->streams && (table->n_streams >= STREAMS_UNCLAIMED_MAX ||
                                  now - table->streams->since > STREAM_UNCLAIMED_USEC)) {
                log_warning("Closing an output stream (port %u) that no request has named",
                            table->streams->port);
                stream_drop(table, &table->streams);
        }

        if (!stream) {
                log_oom();
                safe_close(fd);
                return;
        }

        /* A port number comes back only after its first connection is gone. */
        safe_close(stream_take(table, port));

        *stream = (Stream) { .port = port, .fd = fd, .since = now };
        for (at = &table->streams; *at; at = &(*at)->next)
                ;
        *at = stream;
        table->n_streams++;

        for (StreamClaim *c = table->claims; c; c = c->next)
                if (c->port == port)
                        (void) loop_source_set_time(c->timer, 0);
}

static void on_claim_time(LoopSource *source, void *userdata)
{
        StreamClaim *claim = userdata;
        StreamHandler handler = claim->handler;
        void *data = claim->userdata;
        int fd = stream_take(claim->table, claim->port);

        if (fd < 0 && now_usec() < claim->end) {
                (void) loop_source_set_time(claim->timer, claim->end);
                return;
        }

        stream_claim_free(claim);
        handler(fd < 0 ? -ETIMEDOUT : fd, data);
}

int stream_table_claim(StreamTable *table, StreamClaim **ret, uint32_t port, usec_t timeout,
                       StreamHandler handler, void *userdata)
{
        StreamClaim *claim = new0(StreamClaim, 1);
        int r;

        if (!claim)
                return -ENOMEM;

        *claim = (StreamClaim) {
                .table = table, .next = table->claims, .port = port, .end = now_usec() + timeout,
                .handler = handler, .userdata = userdata,
        };
        r = loop_add_time(table->loop, &claim->timer, 0, on_claim_time, claim);
        if (r < 0) {
                free(claim);
                return r;
        }

        if (claim->next)
                claim->next->prev = claim;
        table->claims = claim;
        *ret = claim;
        return 0;
}

StreamClaim *stream_claim_free(StreamClaim *claim)
{
        if (!claim)
                return NULL;

        if (claim->prev)
                claim->prev->next = claim->next;
        else
                claim->table->claims = claim->next;
        if (claim->next)
                claim->next->prev = claim->prev;
        loop_source_free(claim->timer);
        free(claim);
        return NULL;
}
