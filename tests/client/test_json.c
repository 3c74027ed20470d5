/* Messages as proto3 JSON and as text: every type of the contract there and back, and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <mxadm/mxadm.h>

#include "commands.h"
#include "json.h"
#include "layout.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "request.h"
#include "value.h"

/* Enough for a document of any message here, all fields set. */
#define PACKED_MAX (1 << 20)

/* ------------------------------------------------------------- there and back */

static void fill(ProtobufCMessage *message, unsigned variant);

/* A value unlike zero, different from variant to variant; of a message with text, a valid one. */
static void fill_value(const ProtobufCFieldDescriptor *field, void *place, unsigned variant)
{
    struct problem problem;
    static const char *const durations[] = { "1.5s", "-3.000000001s", "315576000000s" };
    static const char *const times[] = { "1970-01-01T00:00:01Z", "2026-02-28T23:59:59.123456789Z",
                                         "0001-01-01T00:00:00.5Z" };
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *) place = variant % 2 == 0 ? INT32_MIN : INT32_MAX;
        break;
    case PROTOBUF_C_TYPE_INT64:
        *(int64_t *) place = variant % 2 == 0 ? INT64_MIN : INT64_MAX;
        break;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *) place = UINT32_MAX - variant;
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *) place = UINT64_MAX - variant;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *) place = variant % 2 == 0 ? 0.1 : -1.7976931348623157e308;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) place = 1;
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *descriptor = field->descriptor;
        *(int *) place = descriptor->values[1 + variant % (descriptor->n_values - 1)].value;
        break;
    }
    case PROTOBUF_C_TYPE_STRING:
        *(char **) place =
            memory_print("%s \"\\/\n\xe2\x82\xac\xf0\x9f\x93\xa7 %u", field->name, variant);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *bytes = place;
        bytes->len = 1 + variant % 5;
        bytes->data = memory_get(bytes->len);
        memset(bytes->data, 0xfb + (int) variant % 5, bytes->len);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!value_has_text(field)) {
            *(ProtobufCMessage **) place = message_new(field->descriptor);
            fill(*(ProtobufCMessage **) place, variant);
        } else if (strstr(((const ProtobufCMessageDescriptor *) field->descriptor)->name, "Mask")) {
            assert_true(value_read(field, "full_name,dmarc.account", place, &problem));
        } else if (!value_read(field, durations[variant % 3], place, &problem)) {
            assert_true(value_read(field, times[variant % 3], place, &problem));
        }
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
        fail_msg("the contract has got a type that this test does not know: %s", field->name);
    }
}

/* Sets all fields; of a oneof, one after the other by variant. */
static void fill(ProtobufCMessage *message, unsigned variant)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
        if (oneof && field->id % 9 != variant % 9 && message_rival(message, field) != NULL) {
            continue;
        }
        unsigned times = field->label == PROTOBUF_C_LABEL_REPEATED ? 1 + variant % 2 : 1;
        for (unsigned j = 0; j < times; j++) {
            fill_value(field, message_place(message, field), variant + j);
        }
    }
}

static void assert_survives(const ProtobufCMessageDescriptor *descriptor, unsigned variant)
{
    ProtobufCMessage *message = message_new(descriptor);
    fill(message, variant);
    json_t *json = json_of_message(message);
    char *text = json_dumps(json, 0);
    ProtobufCMessage *back = message_new(descriptor);
    struct problem problem;
    if (!json_read_message(text, strlen(text), back, &problem)) {
        fail_msg("%s: %s", descriptor->name, problem.words);
    }
    size_t len = protobuf_c_message_get_packed_size(message);
    assert_true(len < PACKED_MAX);
    assert_int_equal(protobuf_c_message_get_packed_size(back), len);
    uint8_t *packed = memory_get(2 * len);
    protobuf_c_message_pack(message, packed);
    protobuf_c_message_pack(back, packed + len);
    assert_memory_equal(packed, packed + len, len);
    free(packed);
    free(text);
    json_decref(json);
    protobuf_c_message_free_unpacked(message, NULL);
    protobuf_c_message_free_unpacked(back, NULL);
}

static void every_message_of_the_contract_survives_json(void **state)
{
    (void) state;
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        for (unsigned variant = 0; variant < 9; variant++) {
            assert_survives(commands[i].method->input, variant);
            assert_survives(commands[i].method->output, variant);
        }
    }
    for (unsigned variant = 0; variant < 9; variant++) {
        assert_survives(&mxadm__v1__record__descriptor, variant);
        assert_survives(&mxadm__v1__web_handler__descriptor, variant);
    }
}

static void fields_without_a_value_are_left_out(void **state)
{
    (void) state;
    Mxadm__V1__Domain domain = MXADM__V1__DOMAIN__INIT;
    json_t *json = json_of_message(&domain.base);
    assert_int_equal(json_object_size(json), 0);
    json_decref(json);
}

static void json_is_written_as_proto3_says(void **state)
{
    (void) state;
    Mxadm__V1__DkimSelector selector = MXADM__V1__DKIM_SELECTOR__INIT;
    Google__Protobuf__Duration expiration = GOOGLE__PROTOBUF__DURATION__INIT;
    expiration.seconds = 3;
    expiration.nanos = 20000000;
    selector.ascii_name = (char *) "a";
    selector.algorithm = MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519;
    selector.expiration = &expiration;
    selector.revision = 9007199254740993;
    selector.public_key.data = (uint8_t *) "\xff\xfe";
    selector.public_key.len = 2;
    selector.header_relaxed = 1;
    json_t *json = json_of_message(&selector.base);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"algorithm\":\"ALGORITHM_ED25519\",\"asciiName\":\"a\","
                              "\"expiration\":\"3.020s\",\"headerRelaxed\":true,"
                              "\"publicKey\":\"//4=\",\"revision\":\"9007199254740993\"}");
    free(text);
    json_decref(json);
}

/* ------------------------------------------------------------------- reading */

/* Reads JSON into a message of the type; NULL: `problem` says why. */
static ProtobufCMessage *read_json(const ProtobufCMessageDescriptor *descriptor, const char *text,
                                   struct problem *problem)
{
    ProtobufCMessage *message = message_new(descriptor);
    if (json_read_message(text, strlen(text), message, problem)) {
        return message;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return NULL;
}

static void both_spellings_of_names_and_short_enum_names_are_read(void **state)
{
    (void) state;
    struct problem problem;
    const char *const texts[] = {
        "{\"algorithm\":\"ALGORITHM_ED25519\",\"header_relaxed\":true,\"expiration\":\"90s\"}",
        "{\"algorithm\":\"ed25519\",\"headerRelaxed\":true,\"expiration\":\"1m30s\"}",
        "{\"algorithm\":4,\"headerRelaxed\":true,\"expiration\":\"90.000s\",\"headers\":null}",
    };
    for (size_t i = 0; i < 3; i++) {
        Mxadm__V1__DKIMAddRequest *request = (Mxadm__V1__DKIMAddRequest *) read_json(
            &mxadm__v1__dkimadd_request__descriptor, texts[i], &problem);
        assert_non_null(request);
        assert_int_equal(request->algorithm,
                         MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519);
        assert_true(request->header_relaxed);
        assert_int_equal(request->expiration->seconds, 90);
        protobuf_c_message_free_unpacked(&request->base, NULL);
    }
}

/* In any order of names, with the method in full or short. */
static void a_call_of_a_batch_has_its_request_as_json(void **state)
{
    (void) state;
    struct problem problem = { "" };
    Mxadm__V1__BatchRequest *batch = (Mxadm__V1__BatchRequest *) read_json(
        &mxadm__v1__batch_request__descriptor,
        "{\"atomic\":true,\"calls\":["
        "{\"request\":{\"account\":\"bob\",\"address\":\"b@example.org\"},\"method\":"
        "\"AccountAdd\"},"
        "{\"method\":\"mxadm.v1.Admin/DKIMAdd\",\"request\":{\"algorithm\":\"ed25519\"}},"
        "{\"method\":\"AccountRemove\",\"message\":\"CgNib2I=\"},"
        "{\"method\":\"NoSuch\"}]}",
        &problem);
    if (batch == NULL) {
        fail_msg("%s", problem.words);
        return;
    }
    assert_int_equal(batch->n_calls, 4);
    assert_string_equal(batch->calls[0]->method, "mxadm.v1.Admin/AccountAdd");
    assert_int_equal(batch->calls[0]->message.len, 20);
    assert_memory_equal(batch->calls[0]->message.data, "\n\3bob\x12\rb@example.org", 20);
    assert_string_equal(batch->calls[1]->method, "mxadm.v1.Admin/DKIMAdd");
    assert_int_equal(batch->calls[1]->message.len, 2);
    assert_string_equal(batch->calls[2]->method, "mxadm.v1.Admin/AccountRemove");
    assert_int_equal(batch->calls[2]->message.len, 5);
    assert_string_equal(batch->calls[3]->method, "NoSuch");
    protobuf_c_message_free_unpacked(&batch->base, NULL);
}

static void wrong_json_is_refused_and_the_field_named(void **state)
{
    (void) state;
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *json;
        const char *words;
    } cases[] = {
        { &mxadm__v1__domain_add_request__descriptor, "{\"domian\":\"x\"}", "domian: there is no" },
        { &mxadm__v1__domain_add_request__descriptor, "{\"domain\":5}", "domain: a value of" },
        { &mxadm__v1__domain_add_request__descriptor, "{\"disabled\":\"yes\"}", "disabled: a" },
        { &mxadm__v1__domain_add_request__descriptor, "[]", "a JSON object" },
        { &mxadm__v1__domain_add_request__descriptor, "{\"domain\":\"x\"", "line 1" },
        { &mxadm__v1__domain_add_request__descriptor, "{\"domain\":\"a\",\"domain\":\"b\"}",
          "line 1" },
        { &mxadm__v1__domain_add_request__descriptor, "{\"domain\":\"a\\u0000b\"}", "line 1" },
        { &mxadm__v1__domain_list_request__descriptor, "{\"pageSize\":1,\"page_size\":2}",
          "page_size: given twice" },
        { &mxadm__v1__domain_list_request__descriptor, "{\"pageSize\":-1}", "page_size: '-1'" },
        { &mxadm__v1__domain_list_request__descriptor, "{\"pageSize\":4294967296}",
          "page_size: '4294967296'" },
        { &mxadm__v1__domain_list_request__descriptor, "{\"pageSize\":1.5}", "page_size: '1.5'" },
        { &mxadm__v1__junk_filter__descriptor, "{\"threshold\":\"NaN\"}", "threshold: 'NaN'" },
        { &mxadm__v1__junk_filter__descriptor, "{\"threshold\":\"1e999\"}", "threshold: '1e999'" },
        { &mxadm__v1__dkimadd_request__descriptor, "{\"algorithm\":\"rsa1024\"}",
          "algorithm: 'rsa1024'" },
        { &mxadm__v1__dkimadd_request__descriptor, "{\"algorithm\":99}", "algorithm: 99" },
        { &mxadm__v1__dkimadd_request__descriptor, "{\"headers\":[\"From\",7]}", "headers[1]: a" },
        { &mxadm__v1__dkimadd_request__descriptor, "{\"expiration\":\"soon\"}",
          "expiration: 'soon'" },
        { &mxadm__v1__change__descriptor, "{\"time\":\"2026-13-01T00:00:00Z\"}", "time: '2026-13" },
        { &mxadm__v1__tlspublic_key_add_request__descriptor, "{\"certificate\":\"a\"}",
          "certificate: the value is not base64" },
        { &mxadm__v1__domain_save_request__descriptor, "{\"domain\":{\"dmarc\":{\"account\":[]}}}",
          "domain.dmarc.account: a" },
        { &mxadm__v1__web_handler__descriptor, "{\"webStatic\":{},\"webForward\":{}}",
          "web_forward: can't be set together with web_static" },
        { &mxadm__v1__batch_request__descriptor,
          "{\"calls\":[{\"method\":\"AccountAdd\",\"request\":{\"adress\":\"x\"}}]}",
          "calls[0].request.adress: there is no" },
        { &mxadm__v1__batch_request__descriptor, "{\"calls\":[{\"request\":{}}]}",
          "calls[0].request: its type" },
        { &mxadm__v1__batch_request__descriptor,
          "{\"calls\":[{\"method\":\"AccountAdd\",\"request\":[]}]}",
          "calls[0].request.a JSON object is expected" },
        { &mxadm__v1__batch_request__descriptor,
          "{\"calls\":[{\"method\":\"AccountAdd\",\"request\":{},\"message\":\"AAAA\"}]}",
          "calls[0].request: can't be set together with message" },
        { &mxadm__v1__account_add_request__descriptor, "{\"request\":{}}", "request: there is no" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct problem problem = { "" };
        if (read_json(cases[i].type, cases[i].json, &problem) != NULL) {
            fail_msg("%s is accepted", cases[i].json);
        }
        if (strstr(problem.words, cases[i].words) == NULL) {
            fail_msg("%s: '%s' does not say '%s'", cases[i].json, problem.words, cases[i].words);
        }
    }
}

static void secrets_are_not_shown_when_json_is_wrong(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "{\"passphrase\": \"hunter2\" \"x\"}",
        "{\"passphrase\": hunter2}",
        "{\"passphrase\": [\"hunter2\"]}",
    };
    for (size_t i = 0; i < 3; i++) {
        struct problem problem = { "" };
        assert_null(read_json(&mxadm__v1__config_apply_request__descriptor, texts[i], &problem));
        assert_null(strstr(problem.words, "hunter2"));
    }
}

static void json_that_is_too_deep_or_too_long_is_refused(void **state)
{
    (void) state;
    struct problem problem;
    size_t len = 100000;
    char *deep = memory_get(len);
    memset(deep, '[', len);
    assert_null(read_json(&mxadm__v1__domain_add_request__descriptor, deep, &problem));
    free(deep);
    char *blank = memory_get(JSON_BYTES_MAX + 1);
    memset(blank, ' ', JSON_BYTES_MAX + 1);
    assert_null(read_json(&mxadm__v1__domain_add_request__descriptor, blank, &problem));
    free(blank);
}

static void base64_is_read_as_it_is_written(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *bytes;
    } cases[] = { { "", "" },
                  { "Zg==", "f" },
                  { "Zm8=", "fo" },
                  { "Zm9v", "foo" },
                  { "Zm9vYg", "foob" },
                  { "-_-_", "\xfb\xff\xbf" },
                  { "+/+/", "\xfb\xff\xbf" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ProtobufCBinaryData bytes;
        assert_true(value_read_base64(cases[i].text, &bytes));
        assert_int_equal(bytes.len, strlen(cases[i].bytes));
        assert_memory_equal(bytes.data, cases[i].bytes, bytes.len);
        free(bytes.data);
    }
    static const char *const wrong[] = {
        "Z", "Zg=", "Zg===", "Zm 9v", "====", "Zm9v=", "Z\xc3\xa4"
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ProtobufCBinaryData bytes;
        assert_false(value_read_base64(wrong[i], &bytes));
    }
}

static void only_valid_utf8_is_a_string(void **state)
{
    (void) state;
    assert_true(value_is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"));
    static const char *const wrong[] = { "\x80",         "\xc0\x80",         "\xc3", "\xe0\x80\x80",
                                         "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(value_is_utf8(wrong[i]));
    }
}

static void times_are_read_with_their_offset(void **state)
{
    (void) state;
    struct problem problem;
    Mxadm__V1__Change *change = (Mxadm__V1__Change *) read_json(
        &mxadm__v1__change__descriptor, "{\"time\":\"1970-01-01T02:00:00.25+02:00\"}", &problem);
    assert_non_null(change);
    assert_int_equal(change->time->seconds, 0);
    assert_int_equal(change->time->nanos, 250000000);
    protobuf_c_message_free_unpacked(&change->base, NULL);
}

/* ----------------------------------------------------------------- commands */

static void operations_have_the_nouns_and_verbs_of_their_names(void **state)
{
    (void) state;
    static const struct {
        const char *noun;
        const char *verb;
        const char *name;
    } cases[] = {
        { "domain", "add", "mxadm.v1.Admin/DomainAdd" },
        { "dkim", "key-make", "mxadm.v1.Admin/DKIMKeyMake" },
        { "tls-public-key", "add", "mxadm.v1.Admin/TLSPublicKeyAdd" },
        { "alias", "addresses-add", "mxadm.v1.Admin/AliasAddressesAdd" },
        { "server", "info", "mxadm.v1.Admin/ServerInfo" },
        { "change", "list", "mxadm.v1.Admin/ChangeList" },
        { "health", "check", "grpc.health.v1.Health/Check" },
        { "batch", "", "mxadm.v1.Admin/Batch" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct command *command = command_find(cases[i].noun, cases[i].verb);
        assert_non_null(command);
        assert_string_equal(command->name, cases[i].name);
    }
}

static void no_two_operations_are_the_same_command(void **state)
{
    (void) state;
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(command_find(commands[i].noun, commands[i].verb), &commands[i]);
    }
}

static void no_field_is_hidden_by_an_option(void **state)
{
    (void) state;
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; options_name(j) != NULL; j++) {
            const char *name = options_name(j);
            if (message_field(commands[i].method->input, name, strlen(name)) != NULL) {
                fail_msg("%s has a field '%s', as the option", commands[i].name, name);
            }
        }
    }
}

static void positional_arguments_are_fields_that_exist(void **state)
{
    (void) state;
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        const char *buffer[LAYOUT_FIELDS_MAX];
        const char *const *fields = layout_positionals(commands[i].method, buffer);
        for (; *fields != NULL; fields++) {
            char path[REQUEST_PATH_MAX];
            if (request_find(commands[i].method->input, *fields, path) == NULL) {
                fail_msg("%s has no field '%s'", commands[i].name, *fields);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_of_the_contract_survives_json),
        cmocka_unit_test(fields_without_a_value_are_left_out),
        cmocka_unit_test(json_is_written_as_proto3_says),
        cmocka_unit_test(both_spellings_of_names_and_short_enum_names_are_read),
        cmocka_unit_test(a_call_of_a_batch_has_its_request_as_json),
        cmocka_unit_test(wrong_json_is_refused_and_the_field_named),
        cmocka_unit_test(secrets_are_not_shown_when_json_is_wrong),
        cmocka_unit_test(json_that_is_too_deep_or_too_long_is_refused),
        cmocka_unit_test(base64_is_read_as_it_is_written),
        cmocka_unit_test(only_valid_utf8_is_a_string),
        cmocka_unit_test(times_are_read_with_their_offset),
        cmocka_unit_test(operations_have_the_nouns_and_verbs_of_their_names),
        cmocka_unit_test(no_two_operations_are_the_same_command),
        cmocka_unit_test(no_field_is_hidden_by_an_option),
        cmocka_unit_test(positional_arguments_are_fields_that_exist),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
