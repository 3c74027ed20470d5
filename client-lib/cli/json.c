#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "memory.h"
#include "message.h"
#include "value.h"

/* Whole numbers up to here are exact in a double. */
#define EXACT_DOUBLE_MAX 9007199254740992.0

/* ------------------------------------------------------------------ writing */

static json_t *must(json_t *json)
{
    if (json == NULL) {
        memory_get(SIZE_MAX / 2); /* says so and ends */
    }
    return json;
}

static json_t *string_of(const ProtobufCFieldDescriptor *field, const void *place)
{
    char *text = value_write(field, place, VALUE_JSON);
    json_t *json = json_string(text);
    if (json == NULL) {
        json = json_string_nocheck("invalid UTF-8");
    }
    free(text);
    return json;
}

static json_t *value_of(const ProtobufCFieldDescriptor *field, const void *place)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *) place);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *) place);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double) *(const float *) place);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *) place);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *) place);
    case PROTOBUF_C_TYPE_ENUM:
        if (protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *) place) == NULL) {
            return json_integer(*(const int *) place);
        }
        return string_of(field, place);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!value_has_text(field)) {
            return json_of_message(*(ProtobufCMessage *const *) place);
        }
        return string_of(field, place);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return string_of(field, place);
    }
    return NULL;
}

json_t *json_of_message(const ProtobufCMessage *message)
{
    json_t *object = must(json_object());
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        size_t count = message_count(message, field);
        if (count == 0) {
            continue;
        }
        json_t *value = NULL;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            value = must(json_array());
            for (size_t j = 0; j < count; j++) {
                json_array_append_new(value, must(value_of(field, message_get(message, field, j))));
            }
        } else {
            value = must(value_of(field, message_get(message, field, 0)));
        }
        char *name = value_camel(field->name);
        json_object_set_new(object, name, value);
        free(name);
    }
    return object;
}

/* ------------------------------------------------------------------ reading */

static bool wrong_type(const ProtobufCFieldDescriptor *field, struct problem *problem)
{
    return problem_say(problem, "%s: a value of another type is expected", field->name);
}

/* A JSON number for a field that takes whole numbers; "1.0" is one. */
static bool read_number(const ProtobufCFieldDescriptor *field, const json_t *json, void *place,
                        struct problem *problem)
{
    char text[64];
    if (json_is_integer(json)) {
        (void) snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    } else {
        double number = json_real_value(json);
        bool whole = number == trunc(number) && fabs(number) <= EXACT_DOUBLE_MAX;
        (void) snprintf(text, sizeof(text), whole ? "%.0f" : "%.17g", number);
    }
    return value_read(field, text, place, problem);
}

static bool read_enum_number(const ProtobufCFieldDescriptor *field, const json_t *json, int *place,
                             struct problem *problem)
{
    json_int_t number = json_integer_value(json);
    if (number < INT32_MIN || number > INT32_MAX ||
        protobuf_c_enum_descriptor_get_value(field->descriptor, (int) number) == NULL) {
        return problem_say(problem, "%s: %" JSON_INTEGER_FORMAT " is not one of its values",
                           field->name, number);
    }
    *place = (int) number;
    return true;
}

static bool read_value(const ProtobufCFieldDescriptor *field, const json_t *json, void *place,
                       struct problem *problem)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && !value_has_text(field)) {
        if (!json_is_object(json)) {
            return wrong_type(field, problem);
        }
        *(ProtobufCMessage **) place = message_new(field->descriptor);
        return json_to_message(json, *(ProtobufCMessage **) place, problem);
    }
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        *(protobuf_c_boolean *) place = json_is_true(json);
        return json_is_boolean(json) || wrong_type(field, problem);
    }
    if (json_is_string(json)) {
        return value_read(field, json_string_value(json), place, problem);
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM && json_is_integer(json)) {
        return read_enum_number(field, json, place, problem);
    }
    if (json_is_number(json) && field->type < PROTOBUF_C_TYPE_BOOL) {
        return read_number(field, json, place, problem);
    }
    return wrong_type(field, problem);
}

/* Puts the path's front before what an inner message said. */
static bool fail_inside(const ProtobufCFieldDescriptor *field, size_t index,
                        struct problem *problem)
{
    char inner[sizeof(problem->words)];
    memcpy(inner, problem->words, sizeof(inner));
    bool nested = field->type == PROTOBUF_C_TYPE_MESSAGE && !value_has_text(field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const char *rest = nested ? inner : inner + strlen(field->name);
        return problem_say(problem, "%s[%zu]%s%.400s", field->name, index, nested ? "." : "", rest);
    }
    if (nested) {
        return problem_say(problem, "%s.%.400s", field->name, inner);
    }
    return false;
}

static bool read_field(const ProtobufCFieldDescriptor *field, const json_t *json,
                       ProtobufCMessage *message, struct problem *problem)
{
    const ProtobufCFieldDescriptor *rival = message_rival(message, field);
    if (rival != NULL) {
        return problem_say(problem, "%s: can't be set together with %s", field->name, rival->name);
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && !value_has_text(field) &&
            !json_is_object(json)) {
            return wrong_type(field, problem);
        }
        return read_value(field, json, message_place(message, field), problem) ||
               (json_is_object(json) && fail_inside(field, 0, problem));
    }
    if (!json_is_array(json)) {
        return wrong_type(field, problem);
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!read_value(field, json_array_get(json, i), message_place(message, field), problem)) {
            return fail_inside(field, i, problem);
        }
    }
    return true;
}

bool json_to_message(const json_t *json, ProtobufCMessage *message, struct problem *problem)
{
    if (!json_is_object(json)) {
        return problem_say(problem, "a JSON object is expected");
    }
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    bool *seen = memory_get(descriptor->n_fields * sizeof(*seen));
    bool good = true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *) json, name, value)
    {
        const ProtobufCFieldDescriptor *field = message_field(descriptor, name, strlen(name));
        if (field == NULL && batch_has_request(descriptor, name)) {
            continue;
        }
        if (field == NULL) {
            good = problem_say(problem, "%.100s: there is no such field in %s", name,
                               descriptor->name);
        } else if (seen[field - descriptor->fields]) {
            good = problem_say(problem, "%s: given twice", field->name);
        } else if (!json_is_null(value)) {
            seen[field - descriptor->fields] = true;
            good = read_field(field, value, message, problem);
        }
        if (!good) {
            break;
        }
    }
    free(seen);
    return good && batch_complete(json, message, problem);
}

bool json_read_message(const char *text, size_t len, ProtobufCMessage *message,
                       struct problem *problem)
{
    if (len > JSON_BYTES_MAX) {
        return problem_say(problem, "the JSON text has more than %zu bytes", JSON_BYTES_MAX);
    }
    json_error_t error;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        /* jansson's own words quote the text, which may hold a secret. */
        return problem_say(problem, "the JSON text is wrong in line %d, column %d", error.line,
                           error.column);
    }
    bool good = json_to_message(json, message, problem);
    json_decref(json);
    return good;
}
