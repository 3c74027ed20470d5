/*
 * Single values as text, as the command line takes and shows them and as JSON
 * strings hold them: numbers, names of enum values, base64, and the three
 * messages that have a text form (Timestamp, Duration, FieldMask).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "problem.h"

/* Whether values of the field are single values: all but messages without a text form. */
bool value_has_text(const ProtobufCFieldDescriptor *field);

/* Reads a value into an empty place. Takes "rsa2048" for ALGORITHM_RSA2048, "1h30m" for a duration.
 * Problems name the field, and the value unless it may be a secret. */
bool value_read(const ProtobufCFieldDescriptor *field, const char *text, void *place,
                struct problem *problem);

/* How a reader of text wants it. */
enum value_form {
    VALUE_JSON,  /* as proto3 JSON has it */
    VALUE_HUMAN, /* "rsa2048", "3d", snake_case paths */
};

/* Allocated; the caller frees it. */
char *value_write(const ProtobufCFieldDescriptor *field, const void *place, enum value_form form);

/* Milliseconds of a duration, rounded up. */
bool value_read_duration_ms(const char *text, int64_t *ms_out);

/* Whole number without sign; no blanks, no more. */
bool value_read_uint64(const char *text, uint64_t *value_out);

/* Standard alphabet, padded; base64url is read too. */
char *value_base64(const uint8_t *bytes, size_t len);
bool value_read_base64(const char *text, ProtobufCBinaryData *bytes_out);

/* "RSA2048" of ALGORITHM_RSA2048: what follows the prefix that all names of the enum share. */
const char *value_enum_short(const ProtobufCEnumDescriptor *descriptor, const char *name);

/* "rsa2048, rsa3072": the names to choose from, all but the unspecified one. Allocated. */
char *value_enum_names(const ProtobufCEnumDescriptor *descriptor);

/* "localpartSeparators" of "localpart_separators", allocated. */
char *value_camel(const char *snake);

/* Valid UTF-8 (RFC 3629). */
bool value_is_utf8(const char *text);
