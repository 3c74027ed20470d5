/*
 * The server itself: ServerInfo, Health/Check, which operations there are, and envelopes that no
 * client library makes.
 */
#include "rpc_cases.h"

#include "base/buffer.h"
#include "base/log.h"
#include "grpc/health/v1/health.pb-c.h"
#include "mxadm/version.h"
#include "rpc/rpc.h"
#include "store/backend.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

/* ---------------------------------------------------------------- operations */

static void every_operation_of_the_contract_is_built(void **state)
{
    (void) state;
    assert_null(rpc_unbuilt(fixture_rpc(fx), 0));
}

static void every_operation_refuses_strangers(void **state)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;

    (void) state;
    for (unsigned i = 0; i < service->n_methods; i++) {
        REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
                ask(fx, &stranger, service->methods[i].name, NULL));
    }
}

static void a_method_that_is_none_is_unimplemented(void **state)
{
    static const char *const names[] = {
        "",
        "/",
        "DomainGet",
        "mxadm.v1.Admin",
        "mxadm.v1.Admin/",
        "mxadm.v1.Admin/domainget",
        "mxadm.v1.Admin/DomainGet/",
        "/mxadm.v1.Admin/DomainGet",
        "mxadm.v1.Admi/DomainGet",
        "mxadm.v1.Admin2/DomainGet",
        "grpc.health.v1.Health/Watch",
        "mxadm.v1.Admin/\n\x1b[2Jforged",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
        const struct reply *reply;

        envelope.method = (char *) names[i];
        reply = REFUSED(ask_envelope(fx, &root, &envelope), UNIMPLEMENTED, "METHOD_UNKNOWN");
        assert_null(strchr(reply->words, '\n'));
        assert_null(strchr(reply->words, '\x1b'));
    }
}

/* ----------------------------------------------------------------- ServerInfo */

static void the_server_says_what_it_is_and_what_it_holds(void **state)
{
    const struct reply *reply = OK(ask(fx, &loopback, "ServerInfo", NULL));
    const Mxadm__V1__ServerInfoResponse *info = reply->message;

    (void) state;
    assert_string_equal(info->version, MXADM_VERSION_STRING);
    assert_string_equal(info->host_name, "mail.example.com");
    assert_int_equal(info->revision, 0);
    assert_int_equal(info->revision_chain.len, DIGEST_SIZE);
    assert_int_equal(info->message_bytes_limit, 4 * 1024 * 1024);
    assert_int_equal(info->n_key_pools, 4);
    assert_int_equal(info->descriptor_set.len, 0);
    assert_non_null(info->start_time);
    add_domain(fx, "example.org", "alice");
    reply = OK(ask(fx, &viewer, "ServerInfo", "descriptor_set", "1", NULL));
    info = reply->message;
    assert_int_equal(info->revision, 1);
    assert_int_equal(reply->revision, 1);
    assert_int_equal(info->domain_count, 1);
    assert_int_equal(info->account_count, 1);
    assert_int_equal(info->address_count, 3);
    assert_true(info->descriptor_set.len > 0);
}

static void the_chain_moves_with_each_change_and_is_kept(void **state)
{
    const Mxadm__V1__ServerInfoResponse *before = OK(ask(fx, &viewer, "ServerInfo", NULL))->message;
    const Mxadm__V1__ServerInfoResponse *after;
    const Mxadm__V1__ServerInfoResponse *later;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "a2@example.org", NULL));
    after = OK(ask(fx, &viewer, "ServerInfo", NULL))->message;
    assert_memory_not_equal(before->revision_chain.data, after->revision_chain.data, DIGEST_SIZE);
    fixture_restart(fx);
    later = OK(ask(fx, &viewer, "ServerInfo", NULL))->message;
    assert_int_equal(later->revision, after->revision);
    assert_memory_equal(later->revision_chain.data, after->revision_chain.data, DIGEST_SIZE);
}

/* --------------------------------------------------------------------- health */

static void health_is_told_to_everybody(void **state)
{
    (void) state;
    assert_true(fixture_serves(fx));
    OK(ask(fx, &stranger, "grpc.health.v1.Health/Check", "service", "mxadm.v1.Admin", NULL));
    REFUSED(ask(fx, &stranger, "grpc.health.v1.Health/Check", "service", "none", NULL), NOT_FOUND,
            "SERVICE_UNKNOWN");
}

static void a_transport_that_failed_is_not_serving(void **state)
{
    (void) state;
    rpc_transport_failed(fixture_rpc(fx), "tested");
    assert_false(fixture_serves(fx));
    fixture_restart(fx);
    assert_true(fixture_serves(fx));
}

/* ------------------------------------------------------------------ envelopes */

static void bytes_that_are_no_envelope_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "\xff", 1 },
        { "\x0a", 1 },
        { "\x0a\xff\xff\xff\xff\x0f", 6 },
        { "\x00\x00", 2 },
        { "\x0b\x0c", 2 },
        { "\x08\x01", 2 }, /* method as a number */
        { "\x0a\x02"
          "a\0",
          4 },                     /* U+0000 in method */
        { "\x0a\x02\xc3\x28", 4 }, /* no UTF-8 */
        { "\x1a\x01\x08", 3 },     /* a cut timeout */
        { "\x2a\x02\x08", 3 },     /* cut options */
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11 },
        { "\xfa\xff\xff\xff\xff\x0f\x00", 7 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct reply *reply = ask_bytes(fx, &root, NULL, cases[i].bytes, cases[i].len);

        if (reply->code != MX_INVALID_ARGUMENT) {
            fail_msg("case %zu: %s %s", i, mx_code_name(reply->code), reply->words);
        }
    }
    /* An empty request is a legal envelope of no method. */
    REFUSED(ask_bytes(fx, &root, NULL, "", 0), UNIMPLEMENTED, "METHOD_UNKNOWN");
}

static void unknown_fields_are_ignored(void **state)
{
    /* AccountGet of alice with a field 99, and the same in the envelope. */
    static const char message[] = "\x0a\x05"
                                  "alice"
                                  "\x9a\x06\x03"
                                  "new";
    struct buffer bytes = BUFFER_INIT;
    const char *method = "mxadm.v1.Admin/AccountGet";

    (void) state;
    buffer_put_u8(&bytes, 0x0a);
    buffer_put_varint(&bytes, strlen(method));
    buffer_put(&bytes, method, strlen(method));
    buffer_put_u8(&bytes, 0x32);
    buffer_put_varint(&bytes, sizeof(message) - 1);
    buffer_put(&bytes, message, sizeof(message) - 1);
    buffer_put(&bytes, "\x98\x06\x01", 3);
    OK(ask_bytes(fx, &viewer, "AccountGet", bytes.data, bytes.len));
    buffer_fini(&bytes);
}

static const struct reply *ask_info(Mxadm__V1__Request *envelope)
{
    envelope->method = (char *) "mxadm.v1.Admin/ServerInfo";
    return ask_envelope(fx, &viewer, envelope);
}

static void a_request_id_has_16_bytes(void **state)
{
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;

    (void) state;
    envelope.request_id.data = (uint8_t *) "0123456789abcdef0";
    envelope.request_id.len = 17;
    assert_true(has_violation(REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL), "request_id"));
    envelope.request_id.len = 15;
    assert_true(has_violation(REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL), "request_id"));
    envelope.request_id.len = 16;
    OK(ask_info(&envelope));
}

static void a_timeout_is_above_zero_and_at_most_an_hour(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        bool legal;
    } cases[] = {
        { 0, 0, false },         { -1, 0, false },         { 0, -1, false },
        { 1, -1, false },        { 0, 1000000000, false }, { 3600, 1, false },
        { INT64_MAX, 0, false }, { INT64_MIN, 0, false },  { INT64_MAX, INT32_MAX, false },
        { 3600, 0, true },       { 0, 1, true },           { 3599, 999999999, true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
        Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
        const struct reply *reply;

        timeout.seconds = cases[i].seconds;
        timeout.nanos = cases[i].nanos;
        envelope.timeout = &timeout;
        reply = ask_info(&envelope);
        if (cases[i].legal) {
            OK(reply);
        } else {
            assert_true(has_violation(REFUSED(reply, INVALID_ARGUMENT, NULL), "timeout"));
        }
    }
}

static void metadata_is_checked(void **state)
{
    Mxadm__V1__Metadata entry = MXADM__V1__METADATA__INIT;
    Mxadm__V1__Metadata *entries[33];
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;

    (void) state;
    for (size_t i = 0; i < 33; i++) {
        entries[i] = &entry;
    }
    envelope.metadata = entries;
    entry.key = (char *) "x-request-tag";
    envelope.n_metadata = 33;
    assert_true(has_violation(REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL), "metadata"));
    envelope.n_metadata = 32;
    OK(ask_info(&envelope));
    envelope.n_metadata = 1;
    entry.key = (char *) "X-Upper";
    assert_true(has_violation(REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL), "metadata"));
    entry.key = (char *) "";
    REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL);
    entry.key = (char *) repeated(fx, "x", 65);
    REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL);
    entry.key = (char *) "x";
    entry.value = (char *) repeated(fx, "x", 4097);
    REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL);
    entry.value = (char *) repeated(fx, "x", 4096);
    OK(ask_info(&envelope));
}

/* What a call writes into the log, whatever its level is for the other tests. */
static const char *log_of(Mxadm__V1__Request *envelope)
{
    char *text = fixture_text(fx, "%4096s", "");
    int saved = dup(STDERR_FILENO);
    int ends[2];
    ssize_t len;

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_configure(LOG_DEBUG, false);
    (void) ask_info(envelope);
    log_configure(LOG_ERROR, false);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void) close(ends[1]);
    (void) close(saved);
    len = read(ends[0], text, 4096);
    (void) close(ends[0]);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void a_request_tag_stands_in_the_log_line_of_its_call(void **state)
{
    Mxadm__V1__Metadata tag = MXADM__V1__METADATA__INIT;
    Mxadm__V1__Metadata *entries[] = { &tag };
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;

    (void) state;
    envelope.metadata = entries;
    envelope.n_metadata = 1;
    tag.key = (char *) "x-request-tag";
    tag.value = (char *) repeated(fx, "t", 128);
    assert_non_null(strstr(log_of(&envelope), fixture_text(fx, "tag=\"%s\"", tag.value)));
    tag.value = (char *) repeated(fx, "t", 129);
    assert_true(has_violation(REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL), "metadata"));
}

static void options_and_request_are_named_all_at_once(void **state)
{
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    const struct reply *reply;

    (void) state;
    envelope.timeout = &timeout;
    envelope.request_id.data = (uint8_t *) "x";
    envelope.request_id.len = 1;
    reply = REFUSED(ask_info(&envelope), INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "timeout"));
    assert_true(has_violation(reply, "request_id"));
}

/* ---------------------------------------------------------------------- limits */

/* DKIMAdd with this many header names. */
static const struct reply *add_with_headers(size_t count)
{
    struct buffer message = BUFFER_INIT;
    const struct reply *reply;

    for (size_t i = 0; i < count; i++) {
        buffer_put(&message, "\x3a\x01x", 3);
    }
    reply = ask_message(fx, &root, "DKIMAdd", message.data, message.len);
    buffer_fini(&message);
    return reply;
}

static void a_list_of_10001_elements_is_refused_before_it_is_unpacked(void **state)
{
    (void) state;
    /* 10,000 pass the wire, and are too many for the operation. */
    assert_true(has_violation(REFUSED(add_with_headers(10000), INVALID_ARGUMENT, NULL), "headers"));
    assert_true(
        has_violation(REFUSED(add_with_headers(10001), INVALID_ARGUMENT, NULL), "headers[10000]"));
    REFUSED(add_with_headers(1000000), INVALID_ARGUMENT, NULL);
}

static void a_message_full_of_faults_is_answered_with_a_hundred(void **state)
{
    struct buffer message = BUFFER_INIT;
    const struct reply *reply;

    (void) state;
    for (size_t i = 0; i < 5000; i++) {
        buffer_put(&message, "\x3a\x01\xff", 3);
    }
    reply = ask_message(fx, &root, "DKIMAdd", message.data, message.len);
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_int_equal(reply->envelope->status->bad_request->n_field_violations, 100);
    assert_true(reply->len < 64 * 1024);
    buffer_fini(&message);
}

/* An envelope of this field, that many times. */
static const struct reply *ask_field_times(const char field[2], size_t times)
{
    struct buffer bytes = BUFFER_INIT;
    const struct reply *reply;

    for (size_t i = 0; i < times; i++) {
        buffer_put(&bytes, field, 2);
    }
    reply = ask_bytes(fx, &root, NULL, bytes.data, bytes.len);
    buffer_fini(&bytes);
    return reply;
}

/* The last one would count: but each takes memory, which a call may then keep for an hour. */
static void a_field_that_is_no_list_comes_10000_times_at_most(void **state)
{
    (void) state;
    REFUSED(ask_field_times("\x1a\x00", 10000), UNIMPLEMENTED, "METHOD_UNKNOWN");
    assert_true(has_violation(REFUSED(ask_field_times("\x1a\x00", 10001), INVALID_ARGUMENT, NULL),
                              "timeout"));
    REFUSED(ask_field_times("\x1a\x00", 1000000), INVALID_ARGUMENT, NULL);
}

static void unknown_fields_are_ignored_up_to_10000(void **state)
{
    (void) state;
    REFUSED(ask_field_times("\x78\x00", 10000), UNIMPLEMENTED, "METHOD_UNKNOWN");
    assert_true(has_violation(REFUSED(ask_field_times("\x78\x00", 10001), INVALID_ARGUMENT, NULL),
                              "message"));
    REFUSED(ask_field_times("\x78\x00", 1000000), INVALID_ARGUMENT, NULL);
}

static void a_flood_of_submessages_is_refused_within_the_memory_of_a_call(void **state)
{
    struct buffer bytes = BUFFER_INIT;

    (void) state;
    for (size_t i = 0; i < 2000000; i++) {
        buffer_put(&bytes, "\x22\x00", 2);
    }
    REFUSED(ask_bytes(fx, &root, NULL, bytes.data, bytes.len), INVALID_ARGUMENT, NULL);
    buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_of_the_contract_is_built),
        cmocka_unit_test(every_operation_refuses_strangers),
        cmocka_unit_test(a_method_that_is_none_is_unimplemented),
        cmocka_unit_test(the_server_says_what_it_is_and_what_it_holds),
        cmocka_unit_test(the_chain_moves_with_each_change_and_is_kept),
        cmocka_unit_test(health_is_told_to_everybody),
        cmocka_unit_test(a_transport_that_failed_is_not_serving),
        cmocka_unit_test(bytes_that_are_no_envelope_are_refused),
        cmocka_unit_test(unknown_fields_are_ignored),
        cmocka_unit_test(a_request_id_has_16_bytes),
        cmocka_unit_test(a_timeout_is_above_zero_and_at_most_an_hour),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(a_request_tag_stands_in_the_log_line_of_its_call),
        cmocka_unit_test(options_and_request_are_named_all_at_once),
        cmocka_unit_test(a_list_of_10001_elements_is_refused_before_it_is_unpacked),
        cmocka_unit_test(a_message_full_of_faults_is_answered_with_a_hundred),
        cmocka_unit_test(a_field_that_is_no_list_comes_10000_times_at_most),
        cmocka_unit_test(unknown_fields_are_ignored_up_to_10000),
        cmocka_unit_test(a_flood_of_submessages_is_refused_within_the_memory_of_a_call),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
