/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ttrpc frames without I/O: a 10 byte header (payload length and stream id big-endian, type,
 * flags), then one protobuf message of at most TTRPC_PAYLOAD_MAX bytes. Unary calls only. Facts:
 * containerd/ttrpc PROTOCOL.md.
 *
 * Stands on the trust boundary on both sides: the reader takes bytes of a peer.
 */

#include "basic/cleanup.h"
#include "basic/limits.h"
#include "proto/pb-arena.h"
#include "proto/ttrpc.pb-c.h"

#define TTRPC_HEADER_SIZE 10U

enum {
        TTRPC_REQUEST = 1,
        TTRPC_RESPONSE = 2,
        TTRPC_DATA = 3,         /* streaming calls: refused */
};

enum {
        TTRPC_FLAG_REMOTE_CLOSED = 0x01,
        TTRPC_FLAG_REMOTE_OPEN = 0x02,
        TTRPC_FLAG_NO_DATA = 0x04,
};

/* Status codes, the same as gRPC's. */
typedef enum TtrpcCode {
        TTRPC_OK = 0,
        TTRPC_CANCELLED = 1,
        TTRPC_UNKNOWN = 2,
        TTRPC_INVALID_ARGUMENT = 3,
        TTRPC_DEADLINE_EXCEEDED = 4,
        TTRPC_NOT_FOUND = 5,
        TTRPC_ALREADY_EXISTS = 6,
        TTRPC_PERMISSION_DENIED = 7,
        TTRPC_RESOURCE_EXHAUSTED = 8,
        TTRPC_FAILED_PRECONDITION = 9,
        TTRPC_ABORTED = 10,
        TTRPC_OUT_OF_RANGE = 11,
        TTRPC_UNIMPLEMENTED = 12,
        TTRPC_INTERNAL = 13,
        TTRPC_UNAVAILABLE = 14,
        TTRPC_DATA_LOSS = 15,
        TTRPC_UNAUTHENTICATED = 16,
} TtrpcCode;

/* "not found", ...; "unknown code" for anything else. */
const char *ttrpc_code_to_string(int code);
/* The errno that says the same (positive code, returns -errno); -EIO for codes without one. */
int ttrpc_code_to_errno(int code);
/*
 * The code for a negative errno that a method returned; TTRPC_INTERNAL unless there is a better
 * one.
 */
TtrpcCode ttrpc_code_from_errno(int error);

typedef struct TtrpcHeader {
        uint32_t length, stream_id;
        uint8_t type, flags;
} TtrpcHeader;

void ttrpc_header_encode(const TtrpcHeader *header, uint8_t ret[static TTRPC_HEADER_SIZE]);
/* Takes the numbers as they are; the reader judges them. */
TtrpcHeader ttrpc_header_decode(const uint8_t data[static TTRPC_HEADER_SIZE]);

typedef struct TtrpcFrame {
        uint32_t stream_id;
        const uint8_t *payload; /* inside the reader, until its next call */
        size_t size;
} TtrpcFrame;

/*
 * One direction of one connection. expect is TTRPC_REQUEST on the server and TTRPC_RESPONSE on the
 * client. Memory follows the bytes received, never the length announced.
 */
typedef struct TtrpcReader {
        uint8_t expect;
        uint8_t header[TTRPC_HEADER_SIZE];
        size_t n_header;
        uint8_t *payload;
        size_t n_payload, allocated;
        uint32_t last_stream_id;
        bool delivered;         /* the frame in payload was handed out */
        int error;              /* sticky */
} TtrpcReader;

void ttrpc_reader_init(TtrpcReader *reader, uint8_t expect);
void ttrpc_reader_done(TtrpcReader *reader);

/*
 * Consumes bytes from *data (advanced, with *n) up to the end of one frame. 1 with a frame, 0 when
 * all bytes are consumed and none is complete. Call again until it is 0.
 *
 * Errors end the connection, each later call gives the same one: -EMSGSIZE over TTRPC_PAYLOAD_MAX;
 * -EPROTO for another type than expected, for streaming flags, for stream ids that are even or
 * (requests) do not grow; -ENOMEM.
 */
int ttrpc_reader_push(TtrpcReader *reader, const uint8_t **data, size_t *n, TtrpcFrame *ret,
                      char **reterr_message);

/* True between frames: an end of file here is orderly. */
bool ttrpc_reader_is_idle(const TtrpcReader *reader);

/*
 * "grpc.AgentService": identifiers joined by dots; a method is one identifier. TTRPC_NAME_MAX
 * bytes.
 */
bool ttrpc_service_is_valid(const char *s);
bool ttrpc_method_is_valid(const char *s);

/*
 * Whole frames, to be freed by the caller. A NULL message is google.protobuf.Empty. timeout_nano 0
 * means none. -EMSGSIZE if the peer would refuse the frame, -EINVAL for invalid names or an even
 * stream id.
 */
int ttrpc_build_request(uint32_t stream_id, const char *service, const char *method,
                        const ProtobufCMessage *message, int64_t timeout_nano, uint8_t **ret,
                        size_t *ret_size);
int ttrpc_build_response(uint32_t stream_id, const ProtobufCMessage *message, uint8_t **ret,
                         size_t *ret_size);
/* The text is made valid UTF-8 and cut to TTRPC_ERROR_TEXT_MAX. code must not be TTRPC_OK. */
int ttrpc_build_error(uint32_t stream_id, TtrpcCode code, const char *text, uint8_t **ret,
                      size_t *ret_size);

/* The envelope of a request frame with service and method validated. It lives in the arena. */
int ttrpc_parse_request(const TtrpcFrame *frame, PbArena *arena, Ttrpc__Request **ret,
                        char **reterr_message);

/*
 * The answer in a response frame, unpacked as desc (ret as in pb_unpack()). A status that is not OK
 * gives -EREMOTEIO, *ret_code and the peer's text, made fit for one line, in *reterr_message;
 * ret_code is 0 for every other outcome.
 */
int ttrpc_parse_response(const TtrpcFrame *frame, PbArena *arena,
                         const ProtobufCMessageDescriptor *desc, void *ret, int *ret_code,
                         char **reterr_message);
