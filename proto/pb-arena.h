/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unpacking of foreign protobuf messages with bounded memory. protobuf-c allocates several times
 * what it reads (a two byte field costs some 40 bytes of bookkeeping), so every message is unpacked
 * out of an arena with a byte budget, and all of it goes away at once.
 *
 * Stands on the trust boundary: the bytes come from the peer.
 */

#include <protobuf-c/protobuf-c.h>

#include "basic/cleanup.h"
#include "basic/limits.h"

typedef struct PbChunk PbChunk;

/* Not to be moved once initialised: the allocator points back at it. */
typedef struct PbArena {
        ProtobufCAllocator allocator;
        PbChunk *chunks;        /* the first one has the free room */
        size_t used, max;       /* bytes taken from malloc(), headers included */
        bool exhausted;         /* an allocation went over max */
} PbArena;

/* max 0 means PB_ARENA_MAX. Allocates nothing yet. */
void pb_arena_init(PbArena *arena, size_t max);
/* Frees everything that came out of it; the arena may be used again. */
void pb_arena_done(PbArena *arena);
#define _cleanup_pb_arena_ _cleanup_(pb_arena_done)

/* 16 byte aligned, not zeroed. NULL over the budget or out of memory. */
void *pb_arena_alloc(PbArena *arena, size_t n);

/*
 * Stores a message of type desc at ret, which is the address of a pointer to the generated
 * structure. It belongs to the arena (never call protobuf_c_message_free_unpacked() on it).
 *
 * Strings must be UTF-8 without NUL: protobuf-c would cut them at the NUL, and other
 * implementations refuse broken UTF-8. -EBADMSG for bytes that are no such message, -ENOBUFS over
 * the budget.
 */
int pb_unpack(const ProtobufCMessageDescriptor *desc, PbArena *arena, const void *data, size_t n,
              void *ret);

/* The wire check of pb_unpack() alone: 0 or -EBADMSG. */
int pb_check(const ProtobufCMessageDescriptor *desc, const void *data, size_t n);
