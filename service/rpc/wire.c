#include "rpc/wire.h"

#include "base/buffer.h"

#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };

struct walk {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *cursor;
    const uint8_t *end;
    const char *prefix;       /* path of the message at the top */
    const struct walk *outer; /* NULL at the top; else this is element `index` of its `field` */
    const ProtobufCFieldDescriptor *field;
    uint32_t index;
    unsigned depth;
    uint32_t counts[WIRE_FIELDS_MAX]; /* elements seen, by field index */
    uint32_t unknown;                 /* fields seen that the descriptor does not have */
};

struct item {
    enum wire_type type;
    uint64_t number; /* WIRE_VARINT */
    const uint8_t *data;
    size_t len; /* WIRE_LENGTH */
};

/* Length of a well-formed UTF-8 sequence at `at`, 0 if there is none. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t lead_from, lead_to, second_from, second_to, length;
    } forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (at[0] < forms[i].lead_from || at[0] > forms[i].lead_to) {
            continue;
        }
        if (left < forms[i].length || at[1] < forms[i].second_from || at[1] > forms[i].second_to) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].length; k++) {
            if ((at[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

bool wire_is_text(const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t step = 1;

        if (bytes[at] == 0) {
            return false;
        }
        if (bytes[at] >= 0x80) {
            step = sequence_length(bytes + at, len - at);
            if (step == 0) {
                return false;
            }
        }
        at += step;
    }
    return true;
}

static const char *path_of(const struct walk *walk, const ProtobufCFieldDescriptor *field,
                           uint32_t index, struct status *status);

static const char *message_path(const struct walk *walk, struct status *status)
{
    if (walk->outer == NULL) {
        return walk->prefix;
    }
    return path_of(walk->outer, walk->field, walk->index, status);
}

/* Paths are made when there is something to report: most requests are well-formed. As deep as
 * messages nest, at most. */
static const char *path_of(const struct walk *walk, const ProtobufCFieldDescriptor *field,
                           uint32_t index, struct status *status)
{
    const char *prefix = message_path(walk, status);
    const char *path =
        arena_printf(status->arena, "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", field->name);

    if (path != NULL && field->label == PROTOBUF_C_LABEL_REPEATED) {
        path = arena_printf(status->arena, "%s[%u]", path, index);
    }
    return path == NULL ? field->name : path;
}

static bool read_bytes(struct walk *walk, uint64_t len, struct item *item)
{
    if (len > (uint64_t) (walk->end - walk->cursor)) {
        return false;
    }
    item->data = walk->cursor;
    item->len = (size_t) len;
    walk->cursor += len;
    return true;
}

static bool read_item(struct walk *walk, struct item *item)
{
    uint64_t len;

    switch (item->type) {
    case WIRE_VARINT:
        return varint_get(&walk->cursor, walk->end, &item->number);
    case WIRE_64:
        return read_bytes(walk, 8, item);
    case WIRE_LENGTH:
        return varint_get(&walk->cursor, walk->end, &len) && read_bytes(walk, len, item);
    case WIRE_32:
        return read_bytes(walk, 4, item);
    }
    return false; /* groups and what no version of protobuf knows */
}

static enum wire_type type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return WIRE_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_LENGTH;
    }
    return WIRE_VARINT;
}

static void check_message(struct walk *walk, struct status *status);

static void check_nested(const struct walk *walk, const ProtobufCFieldDescriptor *field,
                         uint32_t index, const struct item *item, struct status *status)
{
    struct walk nested;

    if (walk->depth + 1 >= WIRE_DEPTH_MAX) {
        status_field(status, path_of(walk, field, index, status), "messages nest deeper than %d",
                     WIRE_DEPTH_MAX);
        return;
    }
    memset(&nested, 0, sizeof(nested));
    nested.descriptor = field->descriptor;
    nested.cursor = item->data;
    nested.end = item->data + item->len;
    nested.outer = walk;
    nested.field = field;
    nested.index = index;
    nested.depth = walk->depth + 1;
    check_message(&nested, status);
}

/* A packed run of varints: the contract has no packed field, but protobuf lets a client pack any
 * repeated scalar. Each element counts. */
static void check_packed(struct walk *walk, const ProtobufCFieldDescriptor *field,
                         const struct item *item, struct status *status)
{
    const uint8_t *cursor = item->data;
    const uint8_t *end = item->data + item->len;
    uint32_t *count = &walk->counts[field - walk->descriptor->fields];
    uint64_t number;

    while (cursor < end) {
        if (type_of(field) != WIRE_VARINT || !varint_get(&cursor, end, &number) ||
            ++*count > WIRE_ELEMENTS_MAX) {
            status_field(status, path_of(walk, field, *count, status),
                         "is not a list of at most %d numbers", WIRE_ELEMENTS_MAX);
            return;
        }
    }
}

static void check_enum(const struct walk *walk, const ProtobufCFieldDescriptor *field,
                       uint32_t index, const struct item *item, struct status *status)
{
    const ProtobufCEnumDescriptor *values = field->descriptor;

    if (item->number > INT32_MAX ||
        protobuf_c_enum_descriptor_get_value(values, (int) item->number) == NULL) {
        status_field(status, path_of(walk, field, index, status), "%llu is not a value of %s",
                     (unsigned long long) item->number, values->name);
    }
}

static void check_field(struct walk *walk, const ProtobufCFieldDescriptor *field,
                        const struct item *item, struct status *status)
{
    uint32_t index = walk->counts[field - walk->descriptor->fields]++;

    /* Also of what is no list, where the last one counts: each takes time and memory. */
    if (index >= WIRE_ELEMENTS_MAX) {
        status_field(status, path_of(walk, field, index, status), "a list has at most %d elements",
                     WIRE_ELEMENTS_MAX);
        walk->cursor = walk->end;
        return;
    }
    if (item->type != type_of(field)) {
        if (field->label == PROTOBUF_C_LABEL_REPEATED && item->type == WIRE_LENGTH) {
            walk->counts[field - walk->descriptor->fields]--;
            check_packed(walk, field, item, status);
            return;
        }
        status_field(status, path_of(walk, field, index, status), "is of another type");
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        if (!wire_is_text(item->data, item->len)) {
            status_field(status, path_of(walk, field, index, status),
                         "is not valid UTF-8 without U+0000");
        }
    } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
        check_enum(walk, field, index, item, status);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        check_nested(walk, field, index, item, status);
    }
}

static bool check_next(struct walk *walk, struct status *status)
{
    const ProtobufCFieldDescriptor *field;
    struct item item = { .type = WIRE_VARINT };
    uint64_t tag;

    if (!varint_get(&walk->cursor, walk->end, &tag) || tag >> 3 == 0 || tag >> 32 != 0) {
        return false;
    }
    item.type = (enum wire_type)(tag & 7);
    if (!read_item(walk, &item)) {
        return false;
    }
    field = protobuf_c_message_descriptor_get_field(walk->descriptor, (unsigned) (tag >> 3));
    if (field != NULL && field - walk->descriptor->fields < WIRE_FIELDS_MAX) {
        check_field(walk, field, &item, status);
    } else if (walk->unknown++ == WIRE_ELEMENTS_MAX) {
        const char *path = message_path(walk, status);

        status_field(status, path[0] == '\0' ? "message" : path,
                     "has more than %d fields that are not known", WIRE_ELEMENTS_MAX);
        walk->cursor = walk->end;
    }
    return true;
}

static void check_message(struct walk *walk, struct status *status)
{
    /* A message that is full of faults needs not all of them listed to be refused. */
    while (walk->cursor < walk->end && status->violation_count < STATUS_VIOLATIONS_MAX) {
        if (!check_next(walk, status)) {
            const char *path = message_path(walk, status);

            status_field(status, path[0] == '\0' ? "message" : path, "is not a packed %s",
                         walk->descriptor->name);
            return;
        }
    }
}

enum mx_code wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                        size_t len, const char *prefix, struct status *status)
{
    struct walk walk;

    memset(&walk, 0, sizeof(walk));
    walk.descriptor = descriptor;
    walk.cursor = bytes;
    walk.end = bytes + len;
    walk.prefix = prefix;
    if (bytes != NULL) {
        check_message(&walk, status);
    }
    return status->code;
}
