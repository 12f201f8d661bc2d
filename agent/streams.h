/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Connections to the stdio listener, kept by the peer's port until a request names them (pass-fd stdio, as
 * in Kata). Either side may come first: the stream over its own connection, the request over another.
 */

#include "agent/loop.h"

typedef struct StreamTable StreamTable;
typedef struct StreamClaim StreamClaim;

/* fd: the stream, the handler's; or a negative errno (-ETIMEDOUT). The claim is gone. */
typedef void (*StreamHandler)(int fd, void *userdata);

int stream_table_new(StreamTable **ret, Loop *loop);
StreamTable *stream_table_free(StreamTable *table);
DEFINE_CLEANUP_FUNC(StreamTable *, stream_table_free)

/*
 * Takes fd. A stream that nobody claims is closed after STREAM_UNCLAIMED_USEC; over STREAMS_UNCLAIMED_MAX
 * the oldest goes.
 */
void stream_table_add(StreamTable *table, uint32_t port, int fd);

/* Calls the handler from the loop, never from here. */
int stream_table_claim(StreamTable *table, StreamClaim **ret, uint32_t port, usec_t timeout,
                       StreamHandler handler, void *userdata);
/* The handler is not called. */
StreamClaim *stream_claim_free(StreamClaim *claim);
