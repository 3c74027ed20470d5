#include "message.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

ProtobufCMessage *message_new(const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = memory_get(descriptor->sizeof_message);
    descriptor->message_init(message);
    return message;
}

/* Whether `name` spells the snake_case `field` in one of the accepted ways. */
static bool spells(const char *name, size_t len, const char *field)
{
    size_t i = 0;
    for (; *field != '\0' && i < len; field++) {
        if (*field != '_') {
            if (name[i++] != *field) {
                return false;
            }
        } else if (name[i] == '_' || name[i] == '-') {
            i++;
        } else if (isupper((unsigned char) name[i]) && field[1] == tolower(name[i])) {
            i++;
            field++;
        } else {
            return false;
        }
    }
    return *field == '\0' && i == len;
}

const ProtobufCFieldDescriptor *message_field(const ProtobufCMessageDescriptor *descriptor,
                                              const char *name, size_t len)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (spells(name, len, descriptor->fields[i].name)) {
            return &descriptor->fields[i];
        }
    }
    return NULL;
}

static void *member(const ProtobufCMessage *message, size_t offset)
{
    return (char *) message + offset;
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
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
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    }
    return 0;
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *place)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *string = *(char *const *) place;
        return string == NULL || string[0] == '\0';
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        return ((const ProtobufCBinaryData *) place)->len == 0;
    }
    return memcmp(place, zeros, message_value_size(field)) == 0;
}

size_t message_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return *(size_t *) member(message, field->quantifier_offset);
    }
    if (is_oneof(field)) {
        return *(int *) member(message, field->quantifier_offset) == (int) field->id ? 1 : 0;
    }
    return is_default(field, member(message, field->offset)) ? 0 : 1;
}

const void *message_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        size_t index)
{
    char *place = member(message, field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        place = *(char **) place;
    }
    return place + index * message_value_size(field);
}

const ProtobufCFieldDescriptor *message_rival(const ProtobufCMessage *message,
                                              const ProtobufCFieldDescriptor *field)
{
    if (!is_oneof(field)) {
        return NULL;
    }
    int set = *(int *) member(message, field->quantifier_offset);
    if (set == 0 || set == (int) field->id) {
        return NULL;
    }
    return protobuf_c_message_descriptor_get_field(message->descriptor, (unsigned) set);
}

void message_free_string(char *string)
{
    if (string != (char *) protobuf_c_empty_string) {
        free(string);
    }
}

static void clear(const ProtobufCFieldDescriptor *field, void *place)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        message_free_string(*(char **) place);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        free(((ProtobufCBinaryData *) place)->data);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **) place != NULL) {
        protobuf_c_message_free_unpacked(*(ProtobufCMessage **) place, NULL);
    }
    memset(place, 0, message_value_size(field));
}

void *message_place(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *place = member(message, field->offset);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t *count = member(message, field->quantifier_offset);
        size_t size = message_value_size(field);
        char *elements = memory_resize(*(char **) place, (*count + 1) * size);
        *(char **) place = elements;
        place = elements + (*count)++ * size;
        memset(place, 0, size);
        return place;
    }
    const ProtobufCFieldDescriptor *rival = message_rival(message, field);
    if (rival != NULL) {
        clear(rival, place);
    } else if (!is_oneof(field) || message_count(message, field) > 0) {
        clear(field, place);
    }
    if (is_oneof(field)) {
        *(int *) member(message, field->quantifier_offset) = (int) field->id;
    }
    return place;
}

ProtobufCMessage *message_sub(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (message_count(message, field) == 0) {
        *(ProtobufCMessage **) message_place(message, field) = message_new(field->descriptor);
    }
    return *(ProtobufCMessage *const *) message_get(message, field, 0);
}
