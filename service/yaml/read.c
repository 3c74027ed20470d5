#include "yaml/read.h"

#include "google/protobuf/duration.pb-c.h"
#include "model/names.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64

/* One message being filled. */
struct fill {
    struct read *read;
    ProtobufCMessage *message;
    uint64_t seen;      /* fields that the document has given, by index */
    const char *prefix; /* path of the message within its record */
    bool is_record;
};

static bool fill_message(struct read *read, ProtobufCMessage *message, const char *prefix,
                         bool is_record);

static void *member(ProtobufCMessage *message, unsigned offset)
{
    return (char *) message + offset;
}

bool read_is_nothing(const struct item *item)
{
    return item->kind == ITEM_TEXT && item->plain &&
           (item->len == 0 || strcmp(item->text, "~") == 0 || strcmp(item->text, "null") == 0);
}

bool read_key(struct read *read, const char **key_out, struct mark *at_out)
{
    struct item item;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    *key_out = NULL;
    *at_out = item.at;
    if (item.kind == ITEM_MAP_END) {
        return true;
    }
    if (item.kind != ITEM_TEXT) {
        parser_problem(read->parser, item.at, "a key must be a text");
        return false;
    }
    *key_out = arena_strndup(read->arena, item.text, item.len);
    return true;
}

bool read_text(struct read *read, const char **text_out, struct mark *at_out)
{
    struct item item;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    *text_out = NULL;
    *at_out = item.at;
    if (item.kind != ITEM_TEXT || read_is_nothing(&item)) {
        parser_problem(read->parser, item.at, "must be a text");
        return parser_skip(read->parser, &item);
    }
    *text_out = arena_strndup(read->arena, item.text, item.len);
    return true;
}

/* ------------------------------------------------------------------ values */

static bool wrong(struct read *read, const struct item *item, const char *what)
{
    parser_problem(read->parser, item->at, "%s is not %s", name_show(read->arena, item->text),
                   what);
    return true;
}

static bool take_signed(struct read *read, const struct item *item, int64_t min, int64_t max,
                        int64_t *number_out)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(item->text, &end, 10);
    *number_out = number;
    if (item->text[0] == '\0' || strchr("-0123456789", item->text[0]) == NULL || *end != '\0' ||
        errno != 0 || number < min || number > max) {
        (void) wrong(read, item, "a whole number in range");
        return false;
    }
    return true;
}

static bool take_unsigned(struct read *read, const struct item *item, uint64_t max,
                          uint64_t *number_out)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(item->text, &end, 10);
    *number_out = number;
    if (item->text[0] < '0' || item->text[0] > '9' || *end != '\0' || errno != 0 || number > max) {
        (void) wrong(read, item, "a whole number in range");
        return false;
    }
    return true;
}

static void take_bool(struct read *read, const struct item *item, protobuf_c_boolean *at)
{
    if (!item->plain || (strcmp(item->text, "true") != 0 && strcmp(item->text, "false") != 0)) {
        (void) wrong(read, item, "true or false");
        return;
    }
    *at = item->text[0] == 't';
}

static void take_double(struct read *read, const struct item *item, double *at)
{
    char *end;
    double number = strtod(item->text, &end);

    if (item->text[0] == '\0' || strchr("-.0123456789", item->text[0]) == NULL || *end != '\0' ||
        !isfinite(number)) {
        (void) wrong(read, item, "a number");
        return;
    }
    *at = number;
}

static const char *words_of(struct arena *arena, const ProtobufCEnumDescriptor *type)
{
    const char *words = "";

    for (unsigned i = 0; i < type->n_values; i++) {
        if (type->values[i].value != 0) {
            words = arena_printf(arena, "%s%s%s", words, words[0] == '\0' ? "" : ", ",
                                 format_enum_word(arena, type, type->values[i].value));
        }
    }
    return words;
}

static void take_enum(struct read *read, const struct item *item,
                      const ProtobufCEnumDescriptor *type, int *at)
{
    if (!format_enum_value(read->arena, type, item->text, at)) {
        parser_problem(read->parser, item->at, "%s is none of: %s",
                       name_show(read->arena, item->text), words_of(read->arena, type));
    }
}

static void take_bytes(struct read *read, const struct item *item,
                       const ProtobufCFieldDescriptor *field, ProtobufCBinaryData *at)
{
    bool digest = format_is_digest(field);
    struct slice bytes;

    if (digest ? !format_parse_hex(read->arena, item->text, &bytes)
               : !format_parse_base64(read->arena, item->text, &bytes)) {
        (void) wrong(read, item, digest ? "hexadecimal" : "base64");
        return;
    }
    at->data = (uint8_t *) bytes.data;
    at->len = bytes.len;
}

static void take_scalar(struct read *read, const struct item *item,
                        const ProtobufCFieldDescriptor *field, void *at)
{
    int64_t number = 0;
    uint64_t natural = 0;
    double fraction = 0;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **) at = arena_strndup(read->arena, item->text, item->len);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        take_bytes(read, item, field, at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        take_bool(read, item, at);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        take_enum(read, item, field->descriptor, at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        if (take_signed(read, item, INT64_MIN, INT64_MAX, &number)) {
            *(int64_t *) at = number;
        }
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        if (take_signed(read, item, INT32_MIN, INT32_MAX, &number)) {
            *(int32_t *) at = (int32_t) number;
        }
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        if (take_unsigned(read, item, UINT64_MAX, &natural)) {
            *(uint64_t *) at = natural;
        }
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        if (take_unsigned(read, item, UINT32_MAX, &natural)) {
            *(uint32_t *) at = (uint32_t) natural;
        }
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        take_double(read, item, at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        take_double(read, item, &fraction);
        *(float *) at = (float) fraction;
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
}

static bool take_duration(struct read *read, const struct item *item,
                          Google__Protobuf__Duration *duration)
{
    if (item->kind != ITEM_TEXT) {
        parser_problem(read->parser, item->at, "must be a duration like 72h or 1h30m");
        return parser_skip(read->parser, item);
    }
    if (!format_parse_duration(item->text, &duration->seconds, &duration->nanos)) {
        (void) wrong(read, item, "a duration like 72h, 1h30m or 90s");
    }
    return true;
}

static bool take_message(struct read *read, const struct item *item,
                         const ProtobufCFieldDescriptor *field, const char *prefix, void *at)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    ProtobufCMessage *message = arena_alloc(read->arena, type->sizeof_message);

    protobuf_c_message_init(type, message);
    *(ProtobufCMessage **) at = message;
    if (type == &google__protobuf__duration__descriptor) {
        return take_duration(read, item, (Google__Protobuf__Duration *) (void *) message);
    }
    if (item->kind != ITEM_MAP) {
        parser_problem(read->parser, item->at, "must be a map");
        return parser_skip(read->parser, item);
    }
    return fill_message(read, message, prefix, false);
}

/* One value of a field: the field's, or an element of its list. */
static bool take_value(struct read *read, const struct item *item,
                       const ProtobufCFieldDescriptor *field, const char *prefix, void *at)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return take_message(read, item, field, prefix, at);
    }
    if (item->kind != ITEM_TEXT) {
        parser_problem(read->parser, item->at, "must be a single value");
        return parser_skip(read->parser, item);
    }
    take_scalar(read, item, field, at);
    return true;
}

/* ------------------------------------------------------------------- lists */

static char *grown(struct arena *arena, char *items, size_t count, size_t *capacity, size_t size)
{
    char *larger;

    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    larger = arena_alloc(arena, *capacity * size);
    if (count > 0) {
        memcpy(larger, items, count * size);
    }
    return larger;
}

static bool take_list(struct fill *fill, const struct item *first,
                      const ProtobufCFieldDescriptor *field, const char *prefix)
{
    struct read *read = fill->read;
    size_t *count = member(fill->message, field->quantifier_offset);
    char **items = member(fill->message, field->offset);
    size_t capacity = 0;
    struct item item;

    if (first->kind != ITEM_LIST) {
        parser_problem(read->parser, first->at, "must be a list");
        return parser_skip(read->parser, first);
    }
    while (parser_next(read->parser, &item)) {
        size_t before;
        bool going;

        if (item.kind == ITEM_LIST_END) {
            return true;
        }
        *items = grown(read->arena, *items, *count, &capacity, record_value_size(field->type));
        before = parser_enter_index(read->parser, *count);
        if (field->type == PROTOBUF_C_TYPE_STRING) {
            ((char **) (void *) *items)[*count] = (char *) protobuf_c_empty_string;
        }
        going = take_value(read, &item, field, prefix,
                           *items + *count * record_value_size(field->type));
        parser_leave(read->parser, before);
        (*count)++;
        if (!going) {
            return false;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ fields */

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(type, name);

    return field != NULL && format_has_field(type, field) ? field : NULL;
}

/* Reports a second value of a field. */
static bool is_first(struct fill *fill, const ProtobufCFieldDescriptor *field, struct mark at)
{
    unsigned index = (unsigned) (field - fill->message->descriptor->fields);
    uint64_t bit = UINT64_C(1) << (index % FIELDS_MAX);

    assert(index < FIELDS_MAX);
    if ((fill->seen & bit) != 0) {
        parser_problem(fill->read->parser, at, "is there twice");
        return false;
    }
    fill->seen |= bit;
    return true;
}

/* Says in the message that the field is there. False: another of its oneof is, reported. */
static bool choose(struct fill *fill, const ProtobufCFieldDescriptor *field, struct mark at)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t *which = member(fill->message, field->quantifier_offset);

        if (*which != 0) {
            parser_problem(fill->read->parser, at, "is there beside another of its kind");
            return false;
        }
        *which = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset != 0) {
        *(protobuf_c_boolean *) member(fill->message, field->quantifier_offset) = 1;
    }
    return true;
}

static bool skip_next(struct read *read)
{
    struct item item;

    return parser_next(read->parser, &item) && parser_skip(read->parser, &item);
}

static bool take_field(struct fill *fill, const ProtobufCFieldDescriptor *field, struct mark at)
{
    struct read *read = fill->read;
    const char *path = arena_printf(read->arena, "%s%s%s", fill->prefix,
                                    fill->prefix[0] == '\0' ? "" : ".", field->name);
    struct item item;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    if (!is_first(fill, field, at)) {
        return parser_skip(read->parser, &item);
    }
    if (read_is_nothing(&item)) {
        return true; /* absent */
    }
    if (!choose(fill, field, at)) {
        return parser_skip(read->parser, &item);
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return take_list(fill, &item, field, path);
    }
    return take_value(read, &item, field, path, member(fill->message, field->offset));
}

static const ProtobufCFieldDescriptor *find_sealed(const ProtobufCMessageDescriptor *type,
                                                   const char *key)
{
    size_t prefix = strlen(FORMAT_SEALED_PREFIX);
    const ProtobufCFieldDescriptor *field;

    if (strncmp(key, FORMAT_SEALED_PREFIX, prefix) != 0) {
        return NULL;
    }
    field = find_field(type, key + prefix);
    return field != NULL && format_is_secret(type, field) ? field : NULL;
}

static bool take_sealed(struct fill *fill, const ProtobufCFieldDescriptor *field, struct mark at)
{
    struct read *read = fill->read;
    const char *path = arena_printf(read->arena, "%s%s%s", fill->prefix,
                                    fill->prefix[0] == '\0' ? "" : ".", field->name);
    const char *sealed;
    struct mark value_at;
    char *secret;

    if (!read_text(read, &sealed, &value_at)) {
        return false;
    }
    if (sealed != NULL && is_first(fill, field, at)) {
        secret = read->open == NULL ? NULL : read->open(read->context, path, value_at, sealed);
        if (secret != NULL) {
            *(char **) member(fill->message, field->offset) = secret;
        }
    }
    return true;
}

static bool take_unknown(struct fill *fill, const char *key, struct mark at)
{
    struct read *read = fill->read;

    if (fill->is_record && read->extra != NULL) {
        switch (read->extra(read->context, read, fill->message, key, at)) {
        case READ_TAKEN:
            return true;
        case READ_STOPPED:
            return false;
        case READ_UNKNOWN:
            break;
        }
    }
    parser_problem(read->parser, at, "unknown key");
    return skip_next(read);
}

static bool take_entry(struct fill *fill, const char *key, struct mark at)
{
    const ProtobufCMessageDescriptor *type = fill->message->descriptor;
    const ProtobufCFieldDescriptor *field = find_field(type, key);

    if (field != NULL) {
        return take_field(fill, field, at);
    }
    field = find_sealed(type, key);
    return field != NULL ? take_sealed(fill, field, at) : take_unknown(fill, key, at);
}

/* The fields of a message whose map has begun. */
static bool fill_message(struct read *read, ProtobufCMessage *message, const char *prefix,
                         bool is_record)
{
    struct fill fill = { read, message, 0, prefix, is_record };
    const char *key;
    struct mark at;

    while (read_key(read, &key, &at)) {
        size_t before;
        bool going;

        if (key == NULL) {
            return true;
        }
        before = parser_enter(read->parser, key);
        going = take_entry(&fill, key, at);
        parser_leave(read->parser, before);
        if (!going) {
            return false;
        }
    }
    return false;
}

bool read_record(struct read *read, const struct item *item, ProtobufCMessage *record)
{
    if (read_is_nothing(item)) {
        return true;
    }
    if (item->kind != ITEM_MAP) {
        parser_problem(read->parser, item->at, "must be a map");
        return parser_skip(read->parser, item);
    }
    return fill_message(read, record, "", true);
}
