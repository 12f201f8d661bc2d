/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Messages against published field numbers. A number or type that is wrong in a .proto file would go unnoticed
 * by every test that encodes and decodes with the same file. A line has all fields of one message, as
 * NUMBER=NAME:TYPE. "[]" is repeated, "?" has presence of its own, map<K,V> is a repeated message of 1 key and 2
 * value. A mistake ends the test.
 */

#include <protobuf-c/protobuf-c.h>

typedef struct MessageFields {
        const ProtobufCMessageDescriptor *message;
        const char *fields;
} MessageFields;

/* "0=NAME 1=NAME": all values. */
typedef struct EnumValues {
        const ProtobufCEnumDescriptor *type;
        const char *values;
} EnumValues;

void check_message_fields(const MessageFields *messages, size_t n_messages);
void check_enum_values(const EnumValues *enums, size_t n_enums);
