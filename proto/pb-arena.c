/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arena allocator and checked unpacking for foreign protobuf messages; see the header.
 */

#include "proto/pb-arena.h"

#include "basic/parse.h"

#define CHUNK_MIN KIB(4)
#define CHUNK_MAX KIB(64)
#define ALIGNMENT 16U

struct PbChunk {
        PbChunk *next;
        size_t size, used;      /* of data */
        _Alignas(ALIGNMENT) uint8_t data[];
};

static PbChunk *chunk_new(PbArena *arena, size_t n)
{
        PbChunk *chunk;
        size_t room;

        if (arena->max - arena->used < sizeof(PbChunk))
                goto exhausted;
        room = arena->max - arena->used - sizeof(PbChunk);
        if (n > room)
                goto exhausted;

        /* Doubles with use, so that a small message costs one small chunk. */
        size_t size = MAX(arena->used, CHUNK_MIN);
        size = MIN(size, CHUNK_MAX) - sizeof(PbChunk);
        size = MAX(size, n);
        size = MIN(size, room);

        chunk = malloc(sizeof(PbChunk) + size);
        if (!chunk)
                return NULL;

        *chunk = (PbChunk) { .size = size };
        arena->used += sizeof(PbChunk) + size;
        return chunk;

exhausted:
        arena->exhausted = true;
        return NULL;
}

void *pb_arena_alloc(PbArena *arena, size_t n)
{
        PbChunk *chunk = arena->chunks;

        if (n > arena->max) {
                arena->exhausted = true;
                return NULL;
        }

        n = MAX((n + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1), (size_t) ALIGNMENT);

        if (!chunk || chunk->size - chunk->used < n) {
                size_t left = chunk ? chunk->size - chunk->used : 0;

                chunk = chunk_new(arena, n);
                if (!chunk)
                        return NULL;

                /* A chunk for one big object goes behind the first if that has more room left. */
                if (arena->chunks && left > chunk->size - n) {
                        chunk->next = arena->chunks->next;
                        arena->chunks->next = chunk;
                } else {
                        chunk->next = arena->chunks;
                        arena->chunks = chunk;
                }
        }

        void *p = chunk->data + chunk->used;
        chunk->used += n;
        return p;
}

static void *arena_alloc(void *userdata, size_t n)
{
        return pb_arena_alloc(userdata, n);
}

static void arena_free(void *userdata, void *p)
{
        /* Everything goes at once in pb_arena_done(). */
}

void pb_arena_init(PbArena *arena, size_t max)
{
        *arena = (PbArena) {
                .allocator = {
                        .alloc = arena_alloc,
                        .free = arena_free,
                        .allocator_data = arena,
                },
                .max = max > 0 ? max : PB_ARENA_MAX,
        };
}

void pb_arena_done(PbArena *arena)
{
        while (arena->chunks) {
                PbChunk *chunk = arena->chunks;

                arena->chunks = chunk->next;
                free(chunk);
        }
        arena->used = 0;
        arena->exhausted = false;
}

typedef struct Cursor {
        const uint8_t *p, *end;
} Cursor;

static int read_varint(Cursor *c, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 70; shift += 7) {
                uint8_t b;

                if (c->p == c->end)
                        return -EBADMSG;
                b = *c->p++;
                v |= (uint64_t) (b & 0x7f) << shift;
                if (!(b & 0x80)) {
                        *ret = v;
                        return 0;
                }
        }

        return -EBADMSG;
}

static int skip(Cursor *c, uint64_t n)
{
        if (n > (uint64_t) (c->end - c->p))
                return -EBADMSG;
        c->p += n;
        return 0;
}

static int check_message(const ProtobufCMessageDescriptor *desc, Cursor c, unsigned depth)
{
        int r;

        if (depth == 0)
                return -EBADMSG;

        while (c.p < c.end) {
                const ProtobufCFieldDescriptor *field;
                uint64_t tag, n;

                r = read_varint(&c, &tag);
                if (r < 0)
                        return r;
                if (tag > UINT32_MAX || tag >> 3 == 0)
                        return -EBADMSG;

                switch (tag & 7) {
                case PROTOBUF_C_WIRE_TYPE_VARINT:
                        r = read_varint(&c, &n);
                        break;

                case PROTOBUF_C_WIRE_TYPE_64BIT:
                        r = skip(&c, 8);
                        break;

                case PROTOBUF_C_WIRE_TYPE_32BIT:
                        r = skip(&c, 4);
                        break;

                case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
                        const uint8_t *start;

                        r = read_varint(&c, &n);
                        if (r < 0)
                                return r;
                        start = c.p;
                        r = skip(&c, n);
                        if (r < 0)
                                return r;

                        field = protobuf_c_message_descriptor_get_field(desc,
                                                                        (unsigned) (tag >> 3));
                        if (!field)
                                break;
                        if (field->type == PROTOBUF_C_TYPE_STRING &&
                            !utf8_is_valid((const char *) start, n))
                                return -EBADMSG;
                        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
                                r = check_message(field->descriptor,
                                                  (Cursor) { .p = start, .end = c.p }, depth - 1);
                        break;
                }

                default:
                        return -EBADMSG;
                }
                if (r < 0)
                        return r;
        }

        return 0;
}

int pb_check(const ProtobufCMessageDescriptor *desc, const void *data, size_t n)
{
        static const uint8_t nothing[1];
        const uint8_t *p = data ?: nothing;

        return check_message(desc, (Cursor) { .p = p, .end = p + n }, PB_DEPTH_MAX);
}

int pb_unpack(const ProtobufCMessageDescriptor *desc, PbArena *arena, const void *data, size_t n,
              void *ret)
{
        static const uint8_t nothing[1];
        ProtobufCMessage *message;
        int r;

        r = pb_check(desc, data, n);
        if (r < 0)
                return r;

        message = protobuf_c_message_unpack(desc, &arena->allocator, n, data ?: nothing);
        if (!message)
                return arena->exhausted ? -ENOBUFS : -EBADMSG;

        memcpy(ret, &message, sizeof(message));
        return 0;
}
