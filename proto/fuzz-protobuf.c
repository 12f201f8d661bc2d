/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The biggest message of the protocol through the arena: what unpacks can be packed, and unpacks
 * again.
 */

#include "proto/agent.pb-c.h"
#include "proto/pb-arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const ProtobufCMessageDescriptor *desc = &grpc__create_container_request__descriptor;
        _cleanup_pb_arena_ PbArena arena = {}, second = {};
        _cleanup_free_ uint8_t *packed = NULL;
        Grpc__CreateContainerRequest *c, *d;
        size_t n;
        int r;

        pb_arena_init(&arena, MIB(1));
        r = pb_unpack(desc, &arena, data, size, &c);
        assert(arena.used <= MIB(1));
        if (r < 0) {
                assert(r != -ENOBUFS || arena.exhausted);
                return 0;
        }

        assert(protobuf_c_message_check(&c->base));
        n = protobuf_c_message_get_packed_size(&c->base);
        packed = malloc(n > 0 ? n : 1);
        if (!packed)
                return 0;
        assert(protobuf_c_message_pack(&c->base, packed) == n);

        pb_arena_init(&second, MIB(4));
        r = pb_unpack(desc, &second, packed, n, &d);
        assert(r >= 0 || r == -ENOBUFS);
        if (r < 0)
                return 0;
        assert(strcmp(c->container_id, d->container_id) == 0);
        assert(c->n_storages == d->n_storages);
        assert(!c->oci == !d->oci);
        return 0;
}
