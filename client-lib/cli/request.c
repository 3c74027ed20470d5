#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "memory.h"
#include "message.h"
#include "value.h"

/* The one record in a request: "domain" in DomainSaveRequest. NULL: none, or several. */
static const ProtobufCFieldDescriptor *only_record(const ProtobufCMessageDescriptor *request)
{
    const ProtobufCFieldDescriptor *record = NULL;
    for (unsigned i = 0; i < request->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &request->fields[i];
        if (!value_has_text(field)) {
            if (record != NULL || field->label == PROTOBUF_C_LABEL_REPEATED) {
                return NULL;
            }
            record = field;
        }
    }
    return record;
}

static const ProtobufCFieldDescriptor *find_path(const ProtobufCMessageDescriptor *message,
                                                 const char *name, char *path, size_t size)
{
    size_t len = strcspn(name, ".");
    const ProtobufCFieldDescriptor *field = message_field(message, name, len);
    if (field == NULL) {
        return NULL;
    }
    bool last = name[len] == '\0';
    int written = snprintf(path, size, "%s%s", field->name, last ? "" : ".");
    if (written < 0 || (size_t) written >= size) {
        return NULL;
    }
    if (last) {
        return field;
    }
    if (value_has_text(field) || field->label == PROTOBUF_C_LABEL_REPEATED) {
        return NULL;
    }
    return find_path(field->descriptor, name + len + 1, path + written, size - (size_t) written);
}

const ProtobufCFieldDescriptor *request_find(const ProtobufCMessageDescriptor *request,
                                             const char *name, char path[REQUEST_PATH_MAX])
{
    const ProtobufCFieldDescriptor *field = find_path(request, name, path, REQUEST_PATH_MAX);
    const ProtobufCFieldDescriptor *record = only_record(request);
    if (field == NULL && record != NULL) {
        char *full = memory_print("%s.%s", record->name, name);
        field = find_path(request, full, path, REQUEST_PATH_MAX);
        free(full);
    }
    return field;
}

char *request_read_file(const char *name, size_t *len_out, struct problem *problem)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL) {
        problem_say(problem, "can't open '%.200s': %s", name, strerror(errno));
        return NULL;
    }
    char *text = NULL;
    size_t len = 0;
    size_t got = 0;
    do {
        text = memory_resize(text, len + 65536);
        got = fread(text + len, 1, 65536, file);
        len += got;
    } while (got > 0 && len <= REQUEST_FILE_BYTES_MAX);
    bool failed = ferror(file) != 0;
    if (file != stdin) {
        (void) fclose(file);
    }
    if (failed || len > REQUEST_FILE_BYTES_MAX) {
        free(text);
        problem_say(problem, "can't read '%.200s': %s", name,
                    failed ? strerror(errno) : "it has more than 16 MiB");
        return NULL;
    }
    text[len] = '\0';
    *len_out = len;
    return text;
}

static bool set_value(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      const char *text, struct problem *problem)
{
    const ProtobufCFieldDescriptor *rival = message_rival(message, field);
    if (rival != NULL) {
        return problem_say(problem, "%s: can't be set together with %s", field->name, rival->name);
    }
    if (!value_has_text(field)) {
        ProtobufCMessage *inner = field->label == PROTOBUF_C_LABEL_REPEATED
                                      ? (*(ProtobufCMessage **) message_place(message, field) =
                                             message_new(field->descriptor))
                                      : message_sub(message, field);
        return json_read_message(text, strlen(text), inner, problem);
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES && text[0] == '@') {
        ProtobufCBinaryData *bytes = message_place(message, field);
        bytes->data = (uint8_t *) request_read_file(text + 1, &bytes->len, problem);
        return bytes->data != NULL;
    }
    return value_read(field, text, message_place(message, field), problem);
}

bool request_set(ProtobufCMessage *request, const char *path, const char *text,
                 struct problem *problem)
{
    size_t len = strcspn(path, ".");
    const ProtobufCFieldDescriptor *field = message_field(request->descriptor, path, len);
    if (path[len] == '\0') {
        return set_value(request, field, text, problem);
    }
    return request_set(message_sub(request, field), path + len + 1, text, problem);
}

bool request_read_json(ProtobufCMessage *request, const char *source, struct problem *problem)
{
    if (source[0] != '@' && strcmp(source, "-") != 0) {
        return json_read_message(source, strlen(source), request, problem);
    }
    size_t len;
    char *text = request_read_file(source[0] == '@' ? source + 1 : source, &len, problem);
    if (text == NULL) {
        return false;
    }
    bool good = json_read_message(text, len, request, problem);
    explicit_bzero(text, len); /* it may hold a passphrase */
    free(text);
    return good;
}

void request_note_update(ProtobufCMessage *request, const char *path)
{
    const ProtobufCMessageDescriptor *descriptor = request->descriptor;
    const ProtobufCFieldDescriptor *mask =
        message_field(descriptor, "update_mask", strlen("update_mask"));
    const ProtobufCFieldDescriptor *record = only_record(descriptor);
    if (mask == NULL || record == NULL) {
        return;
    }
    size_t len = strlen(record->name);
    if (strncmp(path, record->name, len) != 0 || path[len] != '.') {
        return;
    }
    ProtobufCMessage *message = message_sub(request, mask);
    *(char **) message_place(message, &message->descriptor->fields[0]) =
        memory_copy(path + len + 1);
}
