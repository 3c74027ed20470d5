/*
 * Hostile input, for each operation of service Admin: every field of its request, at whatever
 * depth, gets every bad value of its type, one at a time, in a request that is good but for it.
 * The answer is INVALID_ARGUMENT naming the field, another refusal, or OK where hostile_requests.c
 * says that the value is legal; it is never a fault, and what is refused leaves no trace.
 *
 * The fields come from the descriptors: a new operation fails here until it has a good request, a
 * new field is attacked without a line.
 */
#include "hostile_requests.h"

#include "store/store.h"
#include "support/message_text.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX     10000
#define LONG_LEN     ((size_t) 64 * 1024)
#define MEMORY_LIMIT ((size_t) 512 * 1024 * 1024)

static struct fixture *fx;
static struct arena *arena;  /* of one operation */
static char *long_text;      /* LONG_LEN times "a" */
static unsigned wrong_count; /* of one operation */

/* Becomes U+0000 when packed: no text of C can hold it. */
static const char nul_mark[] = "a\x02NUL\x03z";

/* ------------------------------------------------------------------- values */

enum on {
    ON_TEXT,
    ON_BYTES,
    ON_INTEGER,
    ON_DOUBLE,
    ON_ENUM,
    ON_MESSAGE,
    ON_LIST,
};

struct bad {
    const char *what;
    enum on on;
    bool malformed; /* refused by what is true of every call, whatever the field means */
    const char *text;
    int64_t number;
    size_t count; /* of a list */
};

static const struct bad bad_values[BAD_COUNT] = {
    [BAD_EMPTY] = { "an empty text", ON_TEXT, .text = "" },
    [BAD_LONG] = { "64 KiB", ON_TEXT },
    [BAD_NUL] = { "U+0000", ON_TEXT, .malformed = true, .text = nul_mark },
    [BAD_UTF8] = { "no UTF-8", ON_TEXT, .malformed = true, .text = "a\xff" },
    [BAD_CONTROL] = { "control characters", ON_TEXT, .text = "a\x01\x7f" },
    [BAD_NEWLINE] = { "a newline", ON_TEXT, .text = "a\nb" },
    [BAD_UP] = { "../x", ON_TEXT, .text = "../x" },
    [BAD_ROOT] = { "/etc/passwd", ON_TEXT, .text = "/etc/passwd" },
    [BAD_SLASH] = { "a/b", ON_TEXT, .text = "a/b" },
    [BAD_PATTERN] = { "an open parenthesis", ON_TEXT, .text = "(" },
    [BAD_REPEAT] = { "a repeat of repeats", ON_TEXT, .text = "((a{1000}){1000}){1000}" },
    [BAD_EXPONENT] = { "(a*)*(a|a)*b", ON_TEXT, .text = "^(a*)*(a|a)*b" },
    [BAD_NO_BYTES] = { "no bytes", ON_BYTES, .count = 0 },
    [BAD_MANY_BYTES] = { "64 KiB of bytes", ON_BYTES, .count = LONG_LEN },
    [BAD_MINUS_ONE] = { "-1", ON_INTEGER, .number = -1 },
    [BAD_LARGEST] = { "the largest", ON_INTEGER, .number = INT64_MAX },
    [BAD_SMALLEST] = { "the smallest", ON_INTEGER, .number = INT64_MIN },
    [BAD_NAN] = { "NaN", ON_DOUBLE },
    [BAD_INFINITE] = { "infinity", ON_DOUBLE },
    [BAD_HUGE] = { "-1e308", ON_DOUBLE },
    [BAD_ENUM] = { "no value of the enum", ON_ENUM, .malformed = true, .number = 9999 },
    [BAD_ENUM_ZERO] = { "the enum's zero", ON_ENUM, .number = 0 },
    [BAD_MISSING] = { "no message", ON_MESSAGE },
    [BAD_TWICE] = { "the same twice", ON_LIST, .count = 2 },
    [BAD_MANY] = { "10,000 times the same", ON_LIST, .count = LIST_MAX },
    [BAD_TOO_MANY] = { "10,001 times the same", ON_LIST, .malformed = true, .count = LIST_MAX + 1 },
};

static enum on on_what(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return ON_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return ON_BYTES;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FLOAT:
        return ON_DOUBLE;
    case PROTOBUF_C_TYPE_ENUM:
        return ON_ENUM;
    case PROTOBUF_C_TYPE_MESSAGE:
        return ON_MESSAGE;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_BOOL:
        break;
    }
    return ON_INTEGER;
}

static int32_t narrow(enum bad_value which)
{
    return which == BAD_LARGEST ? INT32_MAX : which == BAD_SMALLEST ? INT32_MIN : -1;
}

static void put_bad(enum bad_value which, const ProtobufCFieldDescriptor *field, void *value)
{
    const struct bad *bad = &bad_values[which];
    static const double doubles[] = { NAN, INFINITY, -1e308 };

    switch (bad->on) {
    case ON_TEXT:
        *(char **) value = which == BAD_LONG ? long_text : (char *) bad->text;
        break;
    case ON_BYTES:
        *(ProtobufCBinaryData *) value = (ProtobufCBinaryData){ bad->count, (uint8_t *) long_text };
        break;
    case ON_INTEGER:
        if (message_value_size(field) == sizeof(int32_t)) {
            *(int32_t *) value = narrow(which);
        } else {
            *(int64_t *) value = bad->number;
        }
        break;
    case ON_DOUBLE:
        *(double *) value = doubles[which - BAD_NAN];
        break;
    case ON_ENUM:
        *(int *) value = (int) bad->number;
        break;
    case ON_MESSAGE:
        *(void **) value = NULL;
        break;
    case ON_LIST:
        break;
    }
}

/* -------------------------------------------------------------------- calls */

struct operation {
    const ProtobufCMethodDescriptor *method;
    ProtobufCMessage *request; /* good, but for one value at a time */
};

static ProtobufCBinaryData packed(const ProtobufCMessage *message)
{
    ProtobufCBinaryData bytes = { 0, malloc(protobuf_c_message_get_packed_size(message) + 1) };
    uint8_t *mark;

    assert_non_null(bytes.data);
    bytes.len = protobuf_c_message_pack(message, bytes.data);
    mark = memmem(bytes.data, bytes.len, nul_mark, sizeof(nul_mark) - 1);
    if (mark != NULL) {
        mark[2] = '\0';
    }
    return bytes;
}

static const struct reply *call(const struct operation *operation, bool validate_only)
{
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Mxadm__V1__CallOptions options = MXADM__V1__CALL_OPTIONS__INIT;
    const struct reply *reply;

    options.validate_only = validate_only;
    envelope.method = fixture_text(fx, "mxadm.v1.Admin/%s", operation->method->name);
    envelope.options = &options;
    envelope.message = packed(operation->request);
    reply = ask_envelope(fx, &root, &envelope);
    free(envelope.message.data);
    return reply;
}

/* ------------------------------------------------------------------ verdict */

static bool is_below(const char *path, const char *other)
{
    size_t len = strlen(other);

    return strncmp(path, other, len) == 0 &&
           (path[len] == '\0' || path[len] == '.' || path[len] == '[');
}

/* A violation at the field, within it, or at what the field is a part of. */
static bool names_field(const struct reply *reply, const char *path)
{
    const Mxadm__V1__BadRequest *bad_request = reply->envelope->status->bad_request;

    for (size_t i = 0; bad_request != NULL && i < bad_request->n_field_violations; i++) {
        const char *field = bad_request->field_violations[i]->field;

        if (is_below(field, path) || is_below(path, field)) {
            return true;
        }
    }
    return false;
}

static bool names_other(const struct operation *operation, const struct reply *reply,
                        const char *path)
{
    const char *name = fixture_text(fx, "%s.%s", operation->method->name, path);

    for (size_t i = 0; i < other_fields_count; i++) {
        if (fnmatch(other_fields[i].path, name, FNM_NOESCAPE) == 0 &&
            (other_fields[i].named == NULL || names_field(reply, other_fields[i].named))) {
            return true;
        }
    }
    return false;
}

static bool is_legal(const struct operation *operation, const char *path, enum bad_value which)
{
    const char *name = fixture_text(fx, "%s.%s", operation->method->name, path);

    for (size_t i = 0; i < legal_values_count; i++) {
        if ((legal_values[i].values & 1u << which) != 0 &&
            fnmatch(legal_values[i].path, name, FNM_NOESCAPE) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_right(const struct operation *operation, const char *path, enum bad_value which,
                     const struct reply *reply)
{
    if (reply->code == MX_INVALID_ARGUMENT) {
        return names_field(reply, path) || names_other(operation, reply, path);
    }
    if (bad_values[which].malformed) {
        return false;
    }
    switch (reply->code) {
    case MX_OK:
        return is_legal(operation, path, which);
    case MX_NOT_FOUND:
    case MX_ALREADY_EXISTS:
    case MX_FAILED_PRECONDITION:
    case MX_OUT_OF_RANGE:
        return true;
    case MX_RESOURCE_EXHAUSTED:
        return strcmp(reply->reason, "CALL_TOO_LARGE") == 0 ||
               strstr(reply->reason, "_LIMIT") != NULL;
    case MX_CANCELLED:
    case MX_UNKNOWN:
    case MX_INVALID_ARGUMENT:
    case MX_DEADLINE_EXCEEDED:
    case MX_PERMISSION_DENIED:
    case MX_ABORTED:
    case MX_UNIMPLEMENTED:
    case MX_INTERNAL:
    case MX_UNAVAILABLE:
    case MX_DATA_LOSS:
    case MX_UNAUTHENTICATED:
        break;
    }
    return false;
}

static void complain(const struct operation *operation, const char *path, enum bad_value which,
                     const struct reply *reply, const char *what)
{
    wrong_count++;
    print_error("%s.%s with %s: %s%s %s: %.300s\n", operation->method->name, path,
                bad_values[which].what, what, mx_code_name(reply->code), reply->reason,
                reply->code == MX_OK ? "is not said to be legal" : reply->words);
}

/* What a refused call could leave: cheaper than a whole dump, which would see the same. */
struct trace {
    struct position position;
    size_t memory;
};

static struct trace trace_now(void)
{
    struct store *store = fixture_store(fx);
    struct store_snapshot *snapshot = store_acquire(store);
    struct trace trace = { .position = store_snapshot_position(snapshot),
                           .memory = store_memory(store) };

    store_release(store, snapshot);
    return trace;
}

static bool same_trace(const struct trace *a, const struct trace *b)
{
    return a->position.revision == b->position.revision && a->memory == b->memory &&
           memcmp(a->position.chain, b->position.chain, DIGEST_SIZE) == 0;
}

/* First what it would do: what is legal must not be done, or the next attack would meet another
 * configuration. What is refused must be refused for real, too, and leave nothing. */
static void attack(const struct operation *operation, const char *path, enum bad_value which)
{
    const struct reply *reply = call(operation, true);
    struct trace before;
    struct trace after;

    if (!is_right(operation, path, which, reply)) {
        complain(operation, path, which, reply, "");
    } else if (reply->code != MX_OK) {
        before = trace_now();
        reply = call(operation, false);
        after = trace_now();
        if (!is_right(operation, path, which, reply)) {
            complain(operation, path, which, reply, "for real: ");
        } else if (!same_trace(&before, &after)) {
            complain(operation, path, which, reply, "leaves a trace: ");
        }
    }
    fixture_forget(fx);
}

/* --------------------------------------------------------------------- walk */

static void attack_message(const struct operation *operation, const char *path,
                           ProtobufCMessage *message);

static void attack_value(const struct operation *operation, const char *path,
                         const ProtobufCFieldDescriptor *field, void *value)
{
    unsigned char saved[sizeof(ProtobufCBinaryData)];
    size_t size = message_value_size(field);

    for (unsigned i = 0; i < BAD_COUNT; i++) {
        if (bad_values[i].on != on_what(field) || field->type == PROTOBUF_C_TYPE_BOOL) {
            continue;
        }
        memcpy(saved, value, size);
        put_bad((enum bad_value) i, field, value);
        attack(operation, path, (enum bad_value) i);
        memcpy(value, saved, size);
    }
}

/* A value is there, or is made for the time of the attack: what is in it is attacked, too. */
static void attack_single(const struct operation *operation, const char *path,
                          ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    void *value = message_field(message, field);

    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage **inner = value;

        if (*inner == NULL) {
            const ProtobufCMessageDescriptor *descriptor = field->descriptor;

            /* Those are made by the server; all others stand in the good request. */
            if (descriptor != &google__protobuf__timestamp__descriptor) {
                fail_msg("the good request of %s has no '%s'", operation->method->name, path);
            }
            *inner = arena_alloc(arena, descriptor->sizeof_message);
            protobuf_c_message_init(descriptor, *inner);
            attack_message(operation, path, *inner);
            *inner = NULL;
            return;
        }
        attack_message(operation, path, *inner);
    }
    attack_value(operation, path, field, value);
}

static void attack_elements(const struct operation *operation, const char *path,
                            ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t count = *(size_t *) message_quantifier(message, field);
    char *list = *(char **) message_field(message, field);

    for (size_t i = 0; i < count; i++) {
        void *value = list + i * message_value_size(field);
        const char *at = arena_printf(arena, "%s[%zu]", path, i);

        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            attack_message(operation, at, *(ProtobufCMessage **) value);
        } else {
            attack_value(operation, at, field, value);
        }
    }
}

static void attack_list(const struct operation *operation, const char *path,
                        ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t *count = message_quantifier(message, field);
    char **list = message_field(message, field);
    size_t count_before = *count;
    char *before = *list;
    size_t size = message_value_size(field);
    char *longer = malloc((LIST_MAX + 1) * size);

    if (count_before == 0) {
        fail_msg("the good request of %s has no '%s'", operation->method->name, path);
    }
    assert_non_null(longer);
    for (size_t i = 0; i < LIST_MAX + 1; i++) {
        memcpy(longer + i * size, before, size);
    }
    *list = longer;
    for (unsigned i = 0; i < BAD_COUNT; i++) {
        if (bad_values[i].on == ON_LIST) {
            *count = bad_values[i].count;
            attack(operation, path, (enum bad_value) i);
        }
    }
    *list = before;
    *count = count_before;
    free(longer);
    attack_elements(operation, path, message, field);
}

static bool is_other_of_oneof(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           *(uint32_t *) message_quantifier(message, field) != field->id;
}

static void attack_message(const struct operation *operation, const char *path,
                           ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *at =
            arena_printf(arena, "%s%s%s", path, path[0] == '\0' ? "" : ".", field->name);

        if (is_other_of_oneof(message, field)) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            attack_list(operation, at, message, field);
        } else {
            attack_single(operation, at, message, field);
        }
    }
}

/* -------------------------------------------------------------------- tests */

static const char *good_request(const char *method)
{
    for (size_t i = 0; i < good_requests_count; i++) {
        if (strcmp(good_requests[i].method, method) == 0) {
            return good_requests[i].text;
        }
    }
    fail_msg("%s has no good request in hostile_requests.c", method);
    return "";
}

static void no_bad_value_does_harm(void **state)
{
    const ProtobufCMethodDescriptor *method = *state;
    const char *text = good_request(method->name);
    struct operation operation = { .method = method };

    arena_reset(arena);
    wrong_count = 0;
    operation.request = message_parse(arena, &mxadm__v1__admin__descriptor, method->input, text);
    OK(call(&operation, true));
    attack_message(&operation, "", operation.request);
    if (wrong_count > 0) {
        fail_msg("%s: %u bad values were not answered as they should", method->name, wrong_count);
    }
}

static void every_good_request_is_of_an_operation(void **state)
{
    (void) state;
    for (size_t i = 0; i < good_requests_count; i++) {
        assert_non_null(protobuf_c_service_descriptor_get_method_by_name(
            &mxadm__v1__admin__descriptor, good_requests[i].method));
    }
}

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    arena = arena_create(MEMORY_LIMIT);
    long_text = malloc(LONG_LEN + 1);
    assert_non_null(arena);
    assert_non_null(long_text);
    memset(long_text, 'a', LONG_LEN);
    long_text[LONG_LEN] = '\0';
    add_what_requests_name(fx);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    free(long_text);
    arena_destroy(arena);
    fixture_destroy(fx);
    return 0;
}

/* One test for each operation of the contract, by name. */
int main(void)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;
    struct CMUnitTest *tests = calloc(service->n_methods + 1, sizeof(*tests));
    int failed;

    if (tests == NULL) {
        return 1;
    }
    tests[0] = (struct CMUnitTest) cmocka_unit_test(every_good_request_is_of_an_operation);
    for (unsigned i = 0; i < service->n_methods; i++) {
        tests[i + 1] = (struct CMUnitTest){ .name = service->methods[i].name,
                                            .test_func = no_bad_value_does_harm,
                                            .initial_state = (void *) &service->methods[i] };
    }
    failed =
        _cmocka_run_group_tests("hostile input", tests, service->n_methods + 1, setup, teardown);
    free(tests);
    return failed;
}
