/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc reader and envelopes. First byte: bit 0 the direction, the rest the size of the pieces (0:
 * all at once). Then the bytes of the connection.
 */

#include "basic/fd.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(const TtrpcFrame *frame, PbArena *arena)
{
        _cleanup_free_ uint8_t *again = NULL;
        Grpc__ExecProcessRequest *exec;
        Ttrpc__Request *r;
        size_t n;

        if (ttrpc_parse_request(frame, arena, &r, NULL) < 0)
                return;

        assert(ttrpc_service_is_valid(r->service) && ttrpc_method_is_valid(r->method));
        (void) pb_unpack(&grpc__exec_process_request__descriptor, arena, r->payload.data,
                         r->payload.len, &exec);
        if (r->timeout_nano >= 0)
                assert(ttrpc_build_request(frame->stream_id, r->service, r->method, NULL,
                                           r->timeout_nano, &again, &n) >= 0);
}

static void response(const TtrpcFrame *frame, PbArena *arena)
{
        _cleanup_free_ char *text = NULL;
        Grpc__GuestDetailsResponse *details;
        int code, r;

        r = ttrpc_parse_response(frame, arena, &grpc__guest_details_response__descriptor, &details,
                                 &code, &text);
        assert((r == -EREMOTEIO) == (code != 0));
        assert(r >= 0 || text);
        assert(!text || !strpbrk(text, "\n\r\t\x1b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(ttrpc_reader_done) TtrpcReader reader = {};
        bool requests;
        size_t piece;
        int r = 0;

        if (size < 1)
                return 0;
        requests = data[0] & 1;
        piece = data[0] >> 1 ?: size;
        data++;
        size--;

        ttrpc_reader_init(&reader, requests ? TTRPC_REQUEST : TTRPC_RESPONSE);
        while (size > 0 && r >= 0) {
                size_t n = MIN(piece, size);
                const uint8_t *p = data;
                TtrpcFrame frame;

                data += n;
                size -= n;
                while ((r = ttrpc_reader_push(&reader, &p, &n, &frame, NULL)) > 0) {
                        _cleanup_pb_arena_ PbArena arena = {};

                        pb_arena_init(&arena, MIB(1));
                        assert(frame.stream_id % 2 == 1);
                        (requests ? request : response)(&frame, &arena);
                        assert(arena.used <= MIB(1));
                }
                assert(r < 0 || n == 0);
        }

        return 0;
}
