/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc frames: bounded reader, builders and envelopes; see the header.
 */

#include "proto/ttrpc.h"

#include "basic/error.h"
#include "basic/parse.h"

/* A payload buffer up to this size is kept for the next frame. */
#define KEEP_MAX KIB(64)

static const struct {
        const char *name;
        int error;
} code_table[] = {
        [TTRPC_OK]                  = { "ok",                  0 },
        [TTRPC_CANCELLED]           = { "cancelled",           ECANCELED },
        [TTRPC_UNKNOWN]             = { "unknown error",       EIO },
        [TTRPC_INVALID_ARGUMENT]    = { "invalid argument",    EINVAL },
        [TTRPC_DEADLINE_EXCEEDED]   = { "deadline exceeded",   ETIMEDOUT },
        [TTRPC_NOT_FOUND]           = { "not found",           ENOENT },
        [TTRPC_ALREADY_EXISTS]      = { "already exists",      EEXIST },
        [TTRPC_PERMISSION_DENIED]   = { "permission denied",   EPERM },
        [TTRPC_RESOURCE_EXHAUSTED]  = { "resource exhausted",  ENOBUFS },
        [TTRPC_FAILED_PRECONDITION] = { "failed precondition", EBUSY },
        [TTRPC_ABORTED]             = { "aborted",             ECONNABORTED },
        [TTRPC_OUT_OF_RANGE]        = { "out of range",        ERANGE },
        [TTRPC_UNIMPLEMENTED]       = { "unimplemented",       EOPNOTSUPP },
        [TTRPC_INTERNAL]            = { "internal error",      EIO },
        [TTRPC_UNAVAILABLE]         = { "unavailable",         EAGAIN },
        [TTRPC_DATA_LOSS]           = { "data loss",           EIO },
        [TTRPC_UNAUTHENTICATED]     = { "unauthenticated",     EACCES },
};

const char *ttrpc_code_to_string(int code)
{
        if (code < 0 || (size_t) code >= ELEMENTSOF(code_table))
                return "unknown code";
        return code_table[code].name;
}

int ttrpc_code_to_errno(int code)
{
        if (code < 0 || (size_t) code >= ELEMENTSOF(code_table))
                return -EIO;
        return -code_table[code].error;
}

TtrpcCode ttrpc_code_from_errno(int error)
{
        error = abs(error);
        if (error == 0)
                return TTRPC_OK;
        if (error == ESRCH)
                return TTRPC_NOT_FOUND;

        for (size_t i = 0; i < ELEMENTSOF(code_table); i++)
                if (code_table[i].error == error && error != EIO)
                        return (TtrpcCode) i;

        return TTRPC_INTERNAL;
}

static void write_be32(uint8_t *p, uint32_t v)
{
        p[0] = (uint8_t) (v >> 24);
        p[1] = (uint8_t) (v >> 16);
        p[2] = (uint8_t) (v >> 8);
        p[3] = (uint8_t) v;
}

static uint32_t read_be32(const uint8_t *p)
{
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

void ttrpc_header_encode(const TtrpcHeader *header, uint8_t ret[static TTRPC_HEADER_SIZE])
{
        write_be32(ret, header->length);
        write_be32(ret + 4, header->stream_id);
        ret[8] = header->type;
        ret[9] = header->flags;
}

TtrpcHeader ttrpc_header_decode(const uint8_t data[static TTRPC_HEADER_SIZE])
{
        return (TtrpcHeader) {
                .length = read_be32(data),
                .stream_id = read_be32(data + 4),
                .type = data[8],
                .flags = data[9],
        };
}

void ttrpc_reader_init(TtrpcReader *reader, uint8_t expect)
{
        assert(expect == TTRPC_REQUEST || expect == TTRPC_RESPONSE);

        *reader = (TtrpcReader) { .expect = expect };
}

void ttrpc_reader_done(TtrpcReader *reader)
{
        reader->payload = mfree(reader->payload);
        reader->allocated = 0;
}

static int check_header(TtrpcReader *reader, const TtrpcHeader *h, char **reterr_message)
{
        if (h->type != reader->expect)
                return error_setf(reterr_message, EPROTO,
                                  "ttrpc frame of type %u where type %u is expected", h->type,
                                  reader->expect);

        /*
         * A unary request may say that nothing follows; everything else belongs to streaming calls.
         */
        if (h->flags & ~TTRPC_FLAG_REMOTE_CLOSED)
                return error_setf(reterr_message, EPROTO,
                                  "ttrpc frame with flags 0x%02x: no streaming calls here",
                                  h->flags);

        if (h->length > TTRPC_PAYLOAD_MAX)
                return error_setf(reterr_message, EMSGSIZE,
                                  "ttrpc frame of %u bytes is over the maximum of %zu", h->length,
                                  TTRPC_PAYLOAD_MAX);

        if (h->stream_id % 2 == 0)
                return error_setf(reterr_message, EPROTO, "ttrpc stream id %u is even",
                                  h->stream_id);

        if (reader->expect == TTRPC_REQUEST) {
                if (h->stream_id <= reader->last_stream_id)
                        return error_setf(reterr_message, EPROTO,
                                          "ttrpc stream id %u after %u: ids must grow",
                                          h->stream_id, reader->last_stream_id);
                reader->last_stream_id = h->stream_id;
        }

        return 0;
}

static int append_payload(TtrpcReader *reader, size_t length, const uint8_t **data, size_t *n)
{
        size_t k = MIN(length - reader->n_payload, *n);

        if (reader->allocated - reader->n_payload < k) {
                size_t size = MAX(reader->n_payload + k, reader->allocated * 2);
                uint8_t *p;

                size = MIN(size, length);
                size = MAX(size, KIB(4));

                p = realloc(reader->payload, size);
                if (!p)
                        return -ENOMEM;
                reader->payload = p;
                reader->allocated = size;
        }

        if (k > 0)
                memcpy(reader->payload + reader->n_payload, *data, k);
        reader->n_payload += k;
        *data += k;
        *n -= k;
        return 0;
}

int ttrpc_reader_push(TtrpcReader *reader, const uint8_t **data, size_t *n, TtrpcFrame *ret,
                      char **reterr_message)
{
        TtrpcHeader h;
        int r;

        if (reader->error < 0)
                return error_setf(reterr_message, reader->error,
                                  "the ttrpc connection has failed before");

        if (reader->delivered) {
                reader->delivered = false;
                reader->n_header = reader->n_payload = 0;
                if (reader->allocated > KEEP_MAX) {
                        reader->payload = mfree(reader->payload);
                        reader->allocated = 0;
                }
        }

        if (reader->n_header < TTRPC_HEADER_SIZE) {
                size_t k = MIN(TTRPC_HEADER_SIZE - reader->n_header, *n);

                if (k > 0)
                        memcpy(reader->header + reader->n_header, *data, k);
                reader->n_header += k;
                *data += k;
                *n -= k;
                if (reader->n_header < TTRPC_HEADER_SIZE)
                        return 0;

                h = ttrpc_header_decode(reader->header);
                r = check_header(reader, &h, reterr_message);
                if (r < 0)
                        return reader->error = r;
        } else
                h = ttrpc_header_decode(reader->header);

        r = append_payload(reader, h.length, data, n);
        if (r < 0) {
                (void) error_setf(reterr_message, r, "no memory for a ttrpc frame");
                return reader->error = r;
        }
        if (reader->n_payload < h.length)
                return 0;

        reader->delivered = true;
        *ret = (TtrpcFrame) {
                .stream_id = h.stream_id,
                .payload = reader->payload,
                .size = reader->n_payload,
        };
        return 1;
}

bool ttrpc_reader_is_idle(const TtrpcReader *reader)
{
        return reader->delivered || reader->n_header == 0;
}

static bool name_is_valid(const char *s, bool dots)
{
        bool start = true;
        size_t n = 0;

        for (; *s; s++) {
                bool letter = (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') || *s == '_';

                if (++n > TTRPC_NAME_MAX)
                        return false;
                if (*s == '.') {
                        if (!dots || start)
                                return false;
                        start = true;
                        continue;
                }
                if (!letter && (start || *s < '0' || *s > '9'))
                        return false;
                start = false;
        }

        return !start;
}

bool ttrpc_service_is_valid(const char *s)
{
        return name_is_valid(s, true);
}

bool ttrpc_method_is_valid(const char *s)
{
        return name_is_valid(s, false);
}

static int build_frame(uint8_t type, uint32_t stream_id, const ProtobufCMessage *envelope,
                       uint8_t **ret, size_t *ret_size)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t size;

        if (stream_id % 2 == 0)
                return -EINVAL;

        size = protobuf_c_message_get_packed_size(envelope);
        if (size > TTRPC_PAYLOAD_MAX)
                return -EMSGSIZE;

        frame = malloc(TTRPC_HEADER_SIZE + size);
        if (!frame)
                return -ENOMEM;

        ttrpc_header_encode(&(TtrpcHeader) {
                        .length = (uint32_t) size,
                        .stream_id = stream_id,
                        .type = type,
                }, frame);
        protobuf_c_message_pack(envelope, frame + TTRPC_HEADER_SIZE);

        *ret = TAKE_PTR(frame);
        *ret_size = TTRPC_HEADER_SIZE + size;
        return 0;
}

/* NULL is an empty payload. The caller frees ret->data. */
static int pack_payload(const ProtobufCMessage *message, ProtobufCBinaryData *ret)
{
        size_t size;
        uint8_t *p;

        *ret = (ProtobufCBinaryData) {};
        if (!message)
                return 0;

        size = protobuf_c_message_get_packed_size(message);
        if (size > TTRPC_PAYLOAD_MAX)
                return -EMSGSIZE;
        if (size == 0)
                return 0;

        p = malloc(size);
        if (!p)
                return -ENOMEM;
        protobuf_c_message_pack(message, p);

        *ret = (ProtobufCBinaryData) { .len = size, .data = p };
        return 0;
}

int ttrpc_build_request(uint32_t stream_id, const char *service, const char *method,
                        const ProtobufCMessage *message, int64_t timeout_nano, uint8_t **ret,
                        size_t *ret_size)
{
        Ttrpc__Request request = TTRPC__REQUEST__INIT;
        int r;

        if (!ttrpc_service_is_valid(service) || !ttrpc_method_is_valid(method) || timeout_nano < 0)
                return -EINVAL;

        r = pack_payload(message, &request.payload);
        if (r < 0)
                return r;

        request.service = (char *) service;
        request.method = (char *) method;
        request.timeout_nano = timeout_nano;
        r = build_frame(TTRPC_REQUEST, stream_id, &request.base, ret, ret_size);
        free(request.payload.data);
        return r;
}

int ttrpc_build_response(uint32_t stream_id, const ProtobufCMessage *message, uint8_t **ret,
                         size_t *ret_size)
{
        Ttrpc__Response response = TTRPC__RESPONSE__INIT;
        int r;

        r = pack_payload(message, &response.payload);
        if (r < 0)
                return r;

        r = build_frame(TTRPC_RESPONSE, stream_id, &response.base, ret, ret_size);
        free(response.payload.data);
        return r;
}

int ttrpc_build_error(uint32_t stream_id, TtrpcCode code, const char *text, uint8_t **ret,
                      size_t *ret_size)
{
        Ttrpc__Response response = TTRPC__RESPONSE__INIT;
        Ttrpc__Status status = TTRPC__STATUS__INIT;
        _cleanup_free_ char *escaped = NULL;

        if (code == TTRPC_OK)
                return -EINVAL;

        if (isempty(text))
                text = ttrpc_code_to_string(code);
        escaped = text_escape(text, strlen(text), TTRPC_ERROR_TEXT_MAX);
        if (!escaped)
                return -ENOMEM;

        status.code = code;
        status.message = escaped;
        response.status = &status;
        return build_frame(TTRPC_RESPONSE, stream_id, &response.base, ret, ret_size);
}

int ttrpc_parse_request(const TtrpcFrame *frame, PbArena *arena, Ttrpc__Request **ret,
                        char **reterr_message)
{
        Ttrpc__Request *request;
        int r;

        r = pb_unpack(&ttrpc__request__descriptor, arena, frame->payload, frame->size, &request);
        if (r < 0)
                return error_setf(reterr_message, r, "stream %u carries no ttrpc request",
                                  frame->stream_id);

        if (!ttrpc_service_is_valid(request->service) || !ttrpc_method_is_valid(request->method))
                return error_setf(reterr_message, EBADMSG,
                                  "request on stream %u has no valid service and method",
                                  frame->stream_id);

        *ret = request;
        return 0;
}

int ttrpc_parse_response(const TtrpcFrame *frame, PbArena *arena,
                         const ProtobufCMessageDescriptor *desc, void *ret, int *ret_code,
                         char **reterr_message)
{
        Ttrpc__Response *response;
        int r;

        *ret_code = TTRPC_OK;

        r = pb_unpack(&ttrpc__response__descriptor, arena, frame->payload, frame->size, &response);
        if (r < 0)
                return error_setf(reterr_message, r, "stream %u carries no ttrpc response",
                                  frame->stream_id);

        if (response->status && response->status->code != TTRPC_OK) {
                _cleanup_free_ char *escaped = NULL;
                const char *text = response->status->message;

                escaped = text_escape(text, strlen(text), TTRPC_ERROR_TEXT_MAX);
                if (!escaped)
                        return -ENOMEM;
                *ret_code = response->status->code;
                return error_setf(reterr_message, EREMOTEIO, "%s%s%s",
                                  ttrpc_code_to_string(*ret_code), *escaped ? ": " : "", escaped);
        }

        r = pb_unpack(desc, arena, response->payload.data, response->payload.len, ret);
        if (r < 0)
                return error_setf(reterr_message, r, "the answer is no valid %s", desc->name);

        return 0;
}
