#include "yaml/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/duration.pb-c.h"

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *) message + offset;
}

static size_t count_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return *(const size_t *) member(message, field->quantifier_offset);
}

static bool is_chosen(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
           *(const uint32_t *) member(message, field->quantifier_offset) == field->id;
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *at = member(message, field->offset);

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return count_of(message, field) > 0;
    }
    if (!is_chosen(message, field)) {
        return false;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *) at != NULL;
    case PROTOBUF_C_TYPE_STRING:
        return *(char *const *) at != NULL && (*(char *const *) at)[0] != '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *) at)->len > 0;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *) at != 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return *(const uint64_t *) at != 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *) at != 0;
    case PROTOBUF_C_TYPE_FLOAT:
        return *(const float *) at != 0;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return *(const uint32_t *) at != 0;
}

/* The fewest digits that are read back as the same number. */
static const char *double_text(struct arena *arena, double number)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        (void) snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    return arena_strdup(arena, text);
}

static void write_message(struct write *write, const ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__duration__descriptor) {
        const Google__Protobuf__Duration *duration = (const void *) message;

        emitter_word(write->emitter,
                     format_duration(write->arena, duration->seconds, duration->nanos));
        return;
    }
    emitter_map(write->emitter);
    write_fields(write, message);
    emitter_map_end(write->emitter);
}

static void write_bytes(struct write *write, const ProtobufCFieldDescriptor *field,
                        const ProtobufCBinaryData *bytes)
{
    emitter_text(write->emitter, format_is_digest(field)
                                     ? format_hex(write->arena, bytes->data, bytes->len)
                                     : format_base64(write->arena, bytes->data, bytes->len));
}

static void write_enum(struct write *write, const ProtobufCFieldDescriptor *field, int value)
{
    const char *word = format_enum_word(write->arena, field->descriptor, value);

    emitter_word(write->emitter, word != NULL ? word : arena_printf(write->arena, "%d", value));
}

static void write_value(struct write *write, const ProtobufCFieldDescriptor *field, const void *at)
{
    struct arena *arena = write->arena;

    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(write, *(const ProtobufCMessage *const *) at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        emitter_text(write->emitter, *(char *const *) at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(write, field, at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        emitter_word(write->emitter, *(const protobuf_c_boolean *) at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(write, field, *(const int *) at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        emitter_word(write->emitter, arena_printf(arena, "%" PRId64, *(const int64_t *) at));
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        emitter_word(write->emitter, arena_printf(arena, "%" PRIu64, *(const uint64_t *) at));
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        emitter_word(write->emitter, arena_printf(arena, "%" PRId32, *(const int32_t *) at));
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        emitter_word(write->emitter, arena_printf(arena, "%" PRIu32, *(const uint32_t *) at));
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        emitter_word(write->emitter, double_text(arena, *(const double *) at));
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        emitter_word(write->emitter, double_text(arena, (double) *(const float *) at));
        break;
    }
}

static void write_list(struct write *write, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    const char *items = *(const char *const *) member(message, field->offset);

    emitter_list(write->emitter);
    for (size_t i = 0; i < count_of(message, field); i++) {
        write_value(write, field, items + i * record_value_size(field->type));
    }
    emitter_list_end(write->emitter);
}

static void write_secret(struct write *write, const ProtobufCFieldDescriptor *field,
                         const char *secret)
{
    const char *sealed;

    if (write->seal == NULL) {
        emitter_text(write->emitter, field->name);
        emitter_text(write->emitter, FORMAT_HIDDEN);
        return;
    }
    sealed = write->seal(write->context, write->path, secret);
    if (sealed != NULL) {
        emitter_text(write->emitter,
                     arena_printf(write->arena, FORMAT_SEALED_PREFIX "%s", field->name));
        emitter_text(write->emitter, sealed);
    }
}

static void write_field(struct write *write, const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    const void *at = member(message, field->offset);

    if (format_is_secret(message->descriptor, field)) {
        write_secret(write, field, *(char *const *) at);
        return;
    }
    emitter_text(write->emitter, field->name);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        write_list(write, message, field);
    } else {
        write_value(write, field, at);
    }
}

void write_fields(struct write *write, const ProtobufCMessage *message)
{
    size_t len = strlen(write->path);

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (!format_has_field(message->descriptor, field) || !is_set(message, field)) {
            continue;
        }
        (void) snprintf(write->path + len, sizeof(write->path) - len, "%s%s", len > 0 ? "." : "",
                        field->name);
        write_field(write, message, field);
        write->path[len] = '\0';
    }
}
