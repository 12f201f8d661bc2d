/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors against tables of published field numbers: see test-fields.h. */

#include "proto/test-fields.h"

#include "basic/parse.h"
#include "basic/test.h"

static const struct {
        const char *name;
        ProtobufCType type;
} scalars[] = {
        { "string", PROTOBUF_C_TYPE_STRING }, { "bytes", PROTOBUF_C_TYPE_BYTES },
        { "bool", PROTOBUF_C_TYPE_BOOL },     { "int32", PROTOBUF_C_TYPE_INT32 },
        { "int64", PROTOBUF_C_TYPE_INT64 },   { "uint32", PROTOBUF_C_TYPE_UINT32 },
        { "uint64", PROTOBUF_C_TYPE_UINT64 },
};

static bool cut(char *s, const char *end)
{
        size_t n = strlen(s), k = strlen(end);

        if (n < k || strcmp(s + n - k, end) != 0)
                return false;
        s[n - k] = '\0';
        return true;
}

static const char *last_part(const char *name)
{
        const char *dot = strrchr(name, '.');

        return dot ? dot + 1 : name;
}

static void check_type(const ProtobufCFieldDescriptor *f, const char *type, const char *what)
{
        for (size_t i = 0; i < ELEMENTSOF(scalars); i++)
                if (streq(scalars[i].name, type)) {
                        if (f->type != scalars[i].type)
                                TEST_FAIL("%s: not of type %s", what, type);
                        return;
                }

        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                const ProtobufCMessageDescriptor *m = f->descriptor;

                ASSERT_STREQ(m->short_name, last_part(type));
        } else if (f->type == PROTOBUF_C_TYPE_ENUM) {
                const ProtobufCEnumDescriptor *e = f->descriptor;

                ASSERT_STREQ(e->short_name, last_part(type));
        } else
                TEST_FAIL("%s: a scalar instead of %s", what, type);
}

static void check_map(const ProtobufCFieldDescriptor *f, char *types, const char *what)
{
        char *value = strchr(types, ',');
        const ProtobufCMessageDescriptor *m;

        ASSERT_NOT_NULL(value);
        *value++ = '\0';
        ASSERT_TRUE(cut(value, ">"));
        if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label != PROTOBUF_C_LABEL_REPEATED)
                TEST_FAIL("%s: not a map", what);
        m = f->descriptor;
        ASSERT_EQ(m->n_fields, 2);
        check_type(protobuf_c_message_descriptor_get_field(m, 1), types, what);
        check_type(protobuf_c_message_descriptor_get_field(m, 2), value, what);
}

static void check_field(const ProtobufCMessageDescriptor *m, char *text)
{
        char *name = strchr(text, '='), *type = strchr(text, ':');
        const ProtobufCFieldDescriptor *f;
        char what[200];
        uint32_t number;

        ASSERT_TRUE(name && type);
        *name++ = *type++ = '\0';
        ASSERT_OK(parse_u32(text, &number));
        snprintf(what, sizeof(what), "%s.%s", m->name, name);
        f = protobuf_c_message_descriptor_get_field(m, number);
        if (!f)
                TEST_FAIL("%s: no field %u", what, number);
        ASSERT_STREQ(f->name, name);

        if (startswith(type, "map<"))
                return check_map(f, type + strlen("map<"), what);
        if (cut(type, "[]"))
                ASSERT_EQ(f->label, PROTOBUF_C_LABEL_REPEATED);
        else if (cut(type, "?"))
                /* "optional" of proto3, or the only member of a oneof. */
                ASSERT_TRUE(f->label == PROTOBUF_C_LABEL_OPTIONAL || (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF));
        else
                ASSERT_TRUE(f->label == PROTOBUF_C_LABEL_NONE || f->type == PROTOBUF_C_TYPE_MESSAGE);
        check_type(f, type, what);
}

void check_message_fields(const MessageFields *messages, size_t n_messages)
{
        for (size_t i = 0; i < n_messages; i++) {
                _cleanup_free_ char *copy = strdup(messages[i].fields);
                unsigned n = 0;

                ASSERT_NOT_NULL(copy);
                for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "), n++)
                        check_field(messages[i].message, p);
                if (messages[i].message->n_fields != n)
                        TEST_FAIL("%s has %u fields instead of %u", messages[i].message->name,
                                  messages[i].message->n_fields, n);
        }
}

void check_enum_values(const EnumValues *enums, size_t n_enums)
{
        for (size_t i = 0; i < n_enums; i++) {
                _cleanup_free_ char *copy = strdup(enums[i].values);
                unsigned n = 0;

                ASSERT_NOT_NULL(copy);
                for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "), n++) {
                        char *name = strchr(p, '=');
                        const ProtobufCEnumValue *v;
                        uint32_t number;

                        ASSERT_NOT_NULL(name);
                        *name++ = '\0';
                        ASSERT_OK(parse_u32(p, &number));
                        v = protobuf_c_enum_descriptor_get_value(enums[i].type, (int) number);
                        ASSERT_NOT_NULL(v);
                        ASSERT_STREQ(v->name, name);
                }
                ASSERT_EQ(enums[i].type->n_value_names, n);
        }
}
