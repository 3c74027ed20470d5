#include "model/mask.h"

#include <stddef.h>
#include <string.h>

static bool is_fixed(const char *const *fixed, const char *name)
{
    for (; *fixed != NULL; fixed++) {
        if (strcmp(*fixed, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Records have no oneof at a level that a path can reach. */
static void copy_field(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *from,
                       ProtobufCMessage *to)
{
    const char *source = (const char *) from + field->offset;
    char *target = (char *) to + field->offset;
    bool list = field->label == PROTOBUF_C_LABEL_REPEATED;

    memcpy(target, source, list ? sizeof(void *) : record_value_size(field->type));
    if (list) {
        memcpy((char *) to + field->quantifier_offset,
               (const char *) from + field->quantifier_offset, sizeof(size_t));
    }
}

static ProtobufCMessage *empty_message(struct model *model,
                                       const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(model->arena, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, message);
    return message;
}

/* Takes over the field at a path that was checked. */
static void copy_path(struct model *model, const char *path, const ProtobufCMessage *from,
                      ProtobufCMessage *to)
{
    size_t len = strcspn(path, ".");
    const char *name = arena_strndup(model->arena, path, len);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(to->descriptor, name);
    ProtobufCMessage *source;
    ProtobufCMessage **target;

    if (path[len] == '\0') {
        copy_field(field, from, to);
        return;
    }
    source = *(ProtobufCMessage *const *) (const void *) ((const char *) from + field->offset);
    target = (ProtobufCMessage **) (void *) ((char *) to + field->offset);
    if (source == NULL && *target == NULL) {
        return;
    }
    if (source == NULL) {
        source = empty_message(model, field->descriptor);
    }
    *target = *target == NULL
                  ? empty_message(model, field->descriptor)
                  : arena_memdup(model->arena, *target, (*target)->descriptor->sizeof_message);
    copy_path(model, path + len + 1, source, *target);
}

/* NULL: the path is one; else what is wrong with it. */
static const char *check_path(struct model *model, const ProtobufCMessageDescriptor *type,
                              const char *path)
{
    size_t len = strcspn(path, ".");
    const char *name = arena_strndup(model->arena, path, len);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(type, name);

    if (field == NULL) {
        return arena_printf(model->arena, "there is no field %s in %s",
                            name_show(model->arena, name), type->short_name);
    }
    if (path[len] == '\0') {
        return NULL;
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED) {
        return arena_printf(model->arena, "'%s' has no fields that a path can name", name);
    }
    return check_path(model, field->descriptor, path + len + 1);
}

static bool check_mask(struct model *model, const Google__Protobuf__FieldMask *mask,
                       const ProtobufCMessageDescriptor *type)
{
    if (mask == NULL || mask->n_paths == 0) {
        status_field(model->status, "update_mask",
                     "is required: name the fields to change, or \"*\" for all");
        return false;
    }
    if (mask->n_paths > MASK_PATHS_MAX) {
        status_field(model->status, "update_mask", "has %zu paths, at most %d are allowed",
                     mask->n_paths, MASK_PATHS_MAX);
        return false;
    }
    for (size_t i = 0; i < mask->n_paths; i++) {
        const char *wrong =
            strcmp(mask->paths[i], "*") == 0 ? NULL : check_path(model, type, mask->paths[i]);

        if (wrong != NULL) {
            status_field(model->status, arena_printf(model->arena, "update_mask.paths[%zu]", i),
                         "%s: %s", name_show(model->arena, mask->paths[i]), wrong);
        }
    }
    return status_ok(model->status);
}

static void copy_all(const char *const *fixed, const ProtobufCMessage *from, ProtobufCMessage *to)
{
    for (unsigned i = 0; i < to->descriptor->n_fields; i++) {
        if (!is_fixed(fixed, to->descriptor->fields[i].name)) {
            copy_field(&to->descriptor->fields[i], from, to);
        }
    }
}

bool mask_apply(struct model *model, const Google__Protobuf__FieldMask *mask,
                const char *const *fixed, const ProtobufCMessage *from, ProtobufCMessage *to)
{
    if (!check_mask(model, mask, to->descriptor)) {
        return false;
    }
    for (size_t i = 0; i < mask->n_paths; i++) {
        const char *path = mask->paths[i];
        const char *first = arena_strndup(model->arena, path, strcspn(path, "."));

        if (strcmp(path, "*") == 0) {
            copy_all(fixed, from, to);
        } else if (!is_fixed(fixed, first)) {
            copy_path(model, path, from, to);
        }
    }
    return true;
}
