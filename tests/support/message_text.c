#include "support/message_text.h"

#include "support/cmocka.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct arena *arena;
    const ProtobufCServiceDescriptor *service;
    const char *at;
    const char *text; /* the whole, for words */
};

void *message_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *) message + field->offset;
}

void *message_quantifier(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *) message + field->quantifier_offset;
}

size_t message_value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

static void wrong(const struct reader *reader, const char *what)
{
    fail_msg("%s: at \"%.40s\" of: %s", what, reader->at, reader->text);
}

static void skip_blanks(struct reader *reader)
{
    while (isspace((unsigned char) *reader->at)) {
        reader->at++;
    }
}

static bool take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (*reader->at != c) {
        return false;
    }
    reader->at++;
    return true;
}

static void expect(struct reader *reader, char c)
{
    if (!take(reader, c)) {
        wrong(reader, "another character is expected");
    }
}

static const char *take_word(struct reader *reader)
{
    const char *begin;

    skip_blanks(reader);
    begin = reader->at;
    while (isalnum((unsigned char) *reader->at) || strchr("_.-+", *reader->at) != NULL) {
        if (*reader->at == '\0') {
            break;
        }
        reader->at++;
    }
    return arena_strndup(reader->arena, begin, (size_t) (reader->at - begin));
}

static char *take_quoted(struct reader *reader)
{
    const char *begin;
    const char *end;

    expect(reader, '\'');
    begin = reader->at;
    end = strchr(begin, '\'');
    if (end == NULL) {
        wrong(reader, "a text has no end");
        return NULL;
    }
    reader->at = end + 1;
    return arena_strndup(reader->arena, begin, (size_t) (end - begin));
}

static ProtobufCMessage *read_message(struct reader *reader,
                                      const ProtobufCMessageDescriptor *descriptor, char until);

static ProtobufCBinaryData read_packed(struct reader *reader)
{
    const char *method = take_word(reader);
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(reader->service, method);
    ProtobufCMessage *message;
    ProtobufCBinaryData bytes = { 0, NULL };

    if (found == NULL) {
        wrong(reader, "no such operation");
        return bytes;
    }
    message = read_message(reader, found->input, '>');
    bytes.data = arena_alloc(reader->arena, protobuf_c_message_get_packed_size(message) + 1);
    bytes.len = protobuf_c_message_pack(message, bytes.data);
    return bytes;
}

static ProtobufCBinaryData read_bytes(struct reader *reader)
{
    ProtobufCBinaryData bytes = { 0, NULL };
    const char *digits;

    if (take(reader, '<')) {
        return read_packed(reader);
    }
    digits = take_word(reader);
    bytes.data = arena_alloc(reader->arena, strlen(digits) / 2 + 1);
    for (; digits[0] != '\0' && digits[1] != '\0'; digits += 2) {
        char pair[] = { digits[0], digits[1], '\0' };

        bytes.data[bytes.len++] = (uint8_t) strtoul(pair, NULL, 16);
    }
    return bytes;
}

static int read_enum(struct reader *reader, const ProtobufCEnumDescriptor *descriptor)
{
    const char *name = take_word(reader);
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);

    if (value == NULL) {
        wrong(reader, "no such value");
        return 0;
    }
    return value->value;
}

static void read_value(struct reader *reader, const ProtobufCFieldDescriptor *field, void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **) value = take_quoted(reader);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *) value = read_bytes(reader);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        expect(reader, '{');
        *(ProtobufCMessage **) value = read_message(reader, field->descriptor, '}');
        break;
    case PROTOBUF_C_TYPE_ENUM:
        *(int *) value = read_enum(reader, field->descriptor);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) value = strcmp(take_word(reader), "true") == 0;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *) value = strtod(take_word(reader), NULL);
        break;
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *) value = (int32_t) strtol(take_word(reader), NULL, 10);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *) value = (uint32_t) strtoul(take_word(reader), NULL, 10);
        break;
    case PROTOBUF_C_TYPE_INT64:
        *(int64_t *) value = strtoll(take_word(reader), NULL, 10);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *) value = strtoull(take_word(reader), NULL, 10);
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
        wrong(reader, "the contract has no fields of this type");
        break;
    }
}

/* Room for one more at the end of the list. */
static void *append(struct reader *reader, ProtobufCMessage *message,
                    const ProtobufCFieldDescriptor *field)
{
    size_t size = message_value_size(field);
    size_t *count = message_quantifier(message, field);
    char **list = message_field(message, field);
    char *longer = arena_alloc(reader->arena, (*count + 1) * size);

    if (*count > 0) {
        memcpy(longer, *list, *count * size);
    }
    *list = longer;
    return longer + size * (*count)++;
}

static void read_field(struct reader *reader, ProtobufCMessage *message)
{
    const char *name = take_word(reader);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

    if (field == NULL) {
        wrong(reader, "no such field");
        return;
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        expect(reader, ':');
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        *(uint32_t *) message_quantifier(message, field) = field->id;
    }
    read_value(reader, field,
               field->label == PROTOBUF_C_LABEL_REPEATED ? append(reader, message, field)
                                                         : message_field(message, field));
}

static ProtobufCMessage *read_message(struct reader *reader,
                                      const ProtobufCMessageDescriptor *descriptor, char until)
{
    ProtobufCMessage *message = arena_alloc(reader->arena, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, message);
    for (skip_blanks(reader); *reader->at != until; skip_blanks(reader)) {
        if (*reader->at == '\0') {
            wrong(reader, "a message has no end");
        }
        read_field(reader, message);
    }
    if (until != '\0') {
        reader->at++;
    }
    return message;
}

ProtobufCMessage *message_parse(struct arena *arena, const ProtobufCServiceDescriptor *service,
                                const ProtobufCMessageDescriptor *descriptor, const char *text)
{
    struct reader reader = { .arena = arena, .service = service, .at = text, .text = text };

    return read_message(&reader, descriptor, '\0');
}
