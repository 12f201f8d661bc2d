/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to protobuf by descriptor: see json-pb.h. Hostile input, bounded memory, no side effects. */

#include "runtime/oci/json-pb.h"

#include <inttypes.h>
#include <stdarg.h>
#include <strings.h>

#include "basic/error.h"
#include "basic/parse.h"

/* An error with file and current path in front. */
static int fail(JsonPb *ctx, int error, const char *format, ...) _printf_(3, 4);

static int fail(JsonPb *ctx, int error, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        return error_setf(ctx->reterr_message, error, "%s: %s%s%s",
                          ctx->file, ctx->path, ctx->path_len > 0 ? ": " : "", strempty(text));
}

static int no_memory(JsonPb *ctx)
{
        return ctx->arena->exhausted ? fail(ctx, -ENOBUFS, "too large") : -ENOMEM;
}

static int note(JsonPb *ctx, const char *text)
{
        if (ctx->notes->n >= OCI_NOTES_MAX)
                return 0;

        return strv_addf(ctx->notes, "%s: %s: %s", ctx->file, ctx->path, text);
}

/*
 * Paths: names are escaped, since they are foreign text. A path that gets too long is cut with
 * "...".
 */
static void append(char *buffer, size_t *len, const char *text)
{
        size_t n = strlen(text);

        if (*len + n >= OCI_PATH_MAX)
                return;
        memcpy(buffer + *len, text, n + 1);
        *len += n;
}

typedef struct Mark {
        size_t path_len, pattern_len;
} Mark;

static Mark enter_key(JsonPb *ctx, const char *key)
{
        _cleanup_free_ char *shown = text_escape(key, strlen(key), 64);
        Mark mark = { ctx->path_len, ctx->pattern_len };

        if (ctx->path_len > 0) {
                append(ctx->path, &ctx->path_len, ".");
                append(ctx->pattern, &ctx->pattern_len, ".");
        }
        append(ctx->path, &ctx->path_len, shown ?: "?");
        append(ctx->pattern, &ctx->pattern_len, shown ?: "?");
        return mark;
}

static Mark enter_index(JsonPb *ctx, size_t i)
{
        Mark mark = { ctx->path_len, ctx->pattern_len };
        char text[32];

        snprintf(text, sizeof(text), "[%zu]", i);
        append(ctx->path, &ctx->path_len, text);
        append(ctx->pattern, &ctx->pattern_len, "[]");
        return mark;
}

static void leave(JsonPb *ctx, Mark mark)
{
        ctx->path_len = mark.path_len;
        ctx->path[mark.path_len] = '\0';
        ctx->pattern_len = mark.pattern_len;
        ctx->pattern[mark.pattern_len] = '\0';
}

static const char *type_name(json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return "null";
        case json_type_boolean:
                return "a boolean";
        case json_type_double:
                return "a fraction";
        case json_type_int:
                return "a number";
        case json_type_object:
                return "an object";
        case json_type_array:
                return "a list";
        case json_type_string:
                return "a string";
        default:
                return "something else";
        }
}

static int expect(JsonPb *ctx, json_object *value, json_type type, const char *what)
{
        if (json_object_is_type(value, type))
                return 0;

        return fail(ctx, -EINVAL, "expected %s, found %s", what, type_name(value));
}

static int read_string(JsonPb *ctx, json_object *value, char **ret)
{
        const char *s;
        size_t n;
        char *copy;
        int r;

        r = expect(ctx, value, json_type_string, "a string");
        if (r < 0)
                return r;

        s = json_object_get_string(value);
        n = (size_t) json_object_get_string_len(value);
        if (!utf8_is_valid(s, n))
                return fail(ctx, -EINVAL, "string with a NUL character or broken UTF-8");

        copy = pb_arena_alloc(ctx->arena, n + 1);
        if (!copy)
                return no_memory(ctx);
        memcpy(copy, s, n);
        copy[n] = '\0';
        *ret = copy;
        return 0;
}

static int read_unsigned(JsonPb *ctx, json_object *value, uint64_t max, uint64_t *ret)
{
        bool bad;

        /* json-c turns a negative number into 0 here and a large one into INT64_MAX there. */
        bad = !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
                json_object_get_uint64(value) > max;
        if (bad)
                return fail(ctx, -EINVAL, "expected a number from 0 to %" PRIu64 ", found %s", max,
                            json_object_is_type(value, json_type_int)
                                            ? json_object_to_json_string(value)
                                            : type_name(value));

        *ret = json_object_get_uint64(value);
        return 0;
}

static int read_signed(JsonPb *ctx, json_object *value, int64_t min, int64_t max, int64_t *ret)
{
        int64_t v = json_object_get_int64(value);
        bool bad;

        bad = !json_object_is_type(value, json_type_int) || v < min || v > max ||
                (v > 0 && json_object_get_uint64(value) > (uint64_t) max);
        if (bad)
                return fail(ctx, -EINVAL,
                            "expected a number from %" PRIi64 " to %" PRIi64 ", found %s", min, max,
                            json_object_is_type(value, json_type_int)
                                            ? json_object_to_json_string(value)
                                            : type_name(value));

        *ret = v;
        return 0;
}

static size_t element_size(const ProtobufCFieldDescriptor *f)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_UINT32:
                return sizeof(uint32_t);
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_UINT64:
                return sizeof(uint64_t);
        default:
                return 0; /* not in our messages */
        }
}

/* member: where the value (or the pointer to it) goes; nothing is stored on failure. */
static int read_value(JsonPb *ctx, json_object *value, const ProtobufCFieldDescriptor *f,
                      void *member)
{
        uint64_t u = 0;
        int64_t i = 0;
        int r;

        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
                return read_string(ctx, value, member);
        case PROTOBUF_C_TYPE_MESSAGE:
                return json_pb_object(ctx, value, f->descriptor, member);
        case PROTOBUF_C_TYPE_BOOL:
                r = expect(ctx, value, json_type_boolean, "true or false");
                if (r >= 0)
                        *(protobuf_c_boolean *) member = json_object_get_boolean(value);
                return r;
        case PROTOBUF_C_TYPE_UINT32:
                r = read_unsigned(ctx, value, UINT32_MAX, &u);
                if (r >= 0)
                        *(uint32_t *) member = (uint32_t) u;
                return r;
        case PROTOBUF_C_TYPE_UINT64:
                r = read_unsigned(ctx, value, UINT64_MAX, &u);
                if (r >= 0)
                        *(uint64_t *) member = u;
                return r;
        case PROTOBUF_C_TYPE_INT32:
                r = read_signed(ctx, value, INT32_MIN, INT32_MAX, &i);
                if (r >= 0)
                        *(int32_t *) member = (int32_t) i;
                return r;
        case PROTOBUF_C_TYPE_INT64:
                r = read_signed(ctx, value, INT64_MIN, INT64_MAX, &i);
                if (r >= 0)
                        *(int64_t *) member = i;
                return r;
        default:
                return fail(ctx, -EINVAL, "type without a JSON form");
        }
}

static bool is_map_entry(const ProtobufCFieldDescriptor *f)
{
        const ProtobufCMessageDescriptor *d = f->descriptor;

        return f->type == PROTOBUF_C_TYPE_MESSAGE && d->n_fields == 2 &&
               streq(d->fields[0].name, "key") && streq(d->fields[1].name, "value");
}

static int read_map(
                JsonPb *ctx,
                json_object *value,
                const ProtobufCFieldDescriptor *f,
                void ***ret,
                size_t *ret_n)
{
        const ProtobufCMessageDescriptor *d = f->descriptor;
        struct json_object_iterator it, end;
        void **v;
        size_t n;
        int r;

        r = expect(ctx, value, json_type_object, "an object");
        if (r < 0)
                return r;
        n = (size_t) json_object_object_length(value);
        if (n > OCI_LIST_MAX)
                return fail(ctx, -E2BIG, "more than %u entries", OCI_LIST_MAX);
        v = pb_arena_alloc(ctx->arena, (n > 0 ? n : 1) * sizeof(*v));
        if (!v)
                return no_memory(ctx);

        n = 0;
        it = json_object_iter_begin(value);
        end = json_object_iter_end(value);
        for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
                const char *key = json_object_iter_peek_name(&it);
                Mark mark = enter_key(ctx, key);
                ProtobufCMessage *entry;
                char *copy, *text;

                if (!utf8_is_valid(key, strlen(key)))
                        return fail(ctx, -EINVAL, "name with broken UTF-8");

                r = read_string(ctx, json_object_iter_peek_value(&it), &text);
                if (r < 0)
                        return r;

                entry = pb_arena_alloc(ctx->arena, d->sizeof_message);
                copy = pb_arena_alloc(ctx->arena, strlen(key) + 1);
                if (!entry || !copy)
                        return no_memory(ctx);
                protobuf_c_message_init(d, entry);
                memcpy(copy, key, strlen(key) + 1);
                *(char **) (void *) ((char *) entry + d->fields[0].offset) = copy;
                *(char **) (void *) ((char *) entry + d->fields[1].offset) = text;
                v[n++] = entry;
                leave(ctx, mark);
        }

        *ret = v;
        *ret_n = n;
        return 0;
}

static int read_list(
                JsonPb *ctx,
                json_object *value,
                const ProtobufCFieldDescriptor *f,
                void **ret,
                size_t *ret_n)
{
        size_t n, size = element_size(f);
        char *v;
        int r;

        r = expect(ctx, value, json_type_array, "a list");
        if (r < 0)
                return r;
        n = json_object_array_length(value);
        if (n > OCI_LIST_MAX)
                return fail(ctx, -E2BIG, "more than %u elements", OCI_LIST_MAX);
        if (n == 0)
                return 0;
        v = pb_arena_alloc(ctx->arena, n * size);
        if (!v)
                return no_memory(ctx);

        for (size_t i = 0; i < n; i++) {
                Mark mark = enter_index(ctx, i);

                r = read_value(ctx, json_object_array_get_idx(value, i), f, v + i * size);
                if (r < 0)
                        return r;
                leave(ctx, mark);
        }

        *ret = v;
        *ret_n = n;
        return 0;
}

static bool is_set(json_object *value, int64_t harmless)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return false;
        case json_type_boolean:
                return json_object_get_boolean(value);
        case json_type_int:
                return json_object_get_int64(value) != 0 &&
                       json_object_get_int64(value) != harmless;
        case json_type_object:
                return json_object_object_length(value) > 0;
        case json_type_array:
                return json_object_array_length(value) > 0;
        case json_type_string:
                return json_object_get_string_len(value) > 0;
        default:
                return true;
        }
}

static const JsonRule *find_rule(const JsonPb *ctx)
{
        for (const JsonRule *rule = ctx->rules; rule->path; rule++)
                if (streq(rule->path, ctx->pattern))
                        return rule;

        return NULL;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *desc,
                                                  const char *name)
{
        for (unsigned i = 0; i < desc->n_fields; i++)
                if (strcasecmp(desc->fields[i].name, name) == 0)
                        return &desc->fields[i];

        return NULL;
}

static int without_field(JsonPb *ctx, const JsonRule *rule, json_object *value)
{
        if (!is_set(value, rule ? rule->value : 0) || (rule && rule->action == JSON_RULE_IGNORE))
                return 0;
        if (!rule)
                return note(ctx, "unknown property, ignored");
        if (rule->action == JSON_RULE_NOTE)
                return note(ctx, "not supported, ignored");

        return fail(ctx, -EOPNOTSUPP, "not supported");
}

static int read_field(JsonPb *ctx, json_object *value, const ProtobufCFieldDescriptor *f,
                      void *message)
{
        void *member = (char *) message + f->offset;
        int r;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                size_t *n = (void *) ((char *) message + f->quantifier_offset);

                return is_map_entry(f) ? read_map(ctx, value, f, member, n)
                                       : read_list(ctx, value, f, member, n);
        }

        r = read_value(ctx, value, f, member);
        if (r >= 0 && (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
                *(uint32_t *) (void *) ((char *) message + f->quantifier_offset) = f->id;
        return r;
}

int json_pb_object(JsonPb *ctx, json_object *object, const ProtobufCMessageDescriptor *desc,
                   void *ret)
{
        struct json_object_iterator it, end;
        ProtobufCMessage *message;
        uint64_t seen = 0;
        int r;

        r = expect(ctx, object, json_type_object, "an object");
        if (r < 0)
                return r;

        message = pb_arena_alloc(ctx->arena, desc->sizeof_message);
        if (!message)
                return no_memory(ctx);
        protobuf_c_message_init(desc, message);
        if (ctx->init)
                ctx->init(message);

        it = json_object_iter_begin(object);
        end = json_object_iter_end(object);
        for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
                const char *key = json_object_iter_peek_name(&it);
                json_object *value = json_object_iter_peek_value(&it);
                Mark mark = enter_key(ctx, key);
                const JsonRule *rule = find_rule(ctx);
                const ProtobufCFieldDescriptor *f;

                f = rule && rule->action != JSON_RULE_ALIAS ? NULL
                        : find_field(desc, rule ? rule->field : key);
                if (f) {
                        uint64_t bit = UINT64_C(1) << (f - desc->fields);

                        /* "uid" and "UID": one of them would be lost. */
                        if (seen & bit)
                                r = fail(ctx, -EINVAL, "given twice");
                        else if (json_object_is_type(value, json_type_null))
                                r = 0;
                        else
                                r = read_field(ctx, value, f, message);
                        seen |= bit;
                } else
                        r = without_field(ctx, rule, value);
                if (r < 0)
                        return r;
                leave(ctx, mark);
        }

        *(ProtobufCMessage **) ret = message;
        return 0;
}
