/* The library against a server that does what it is told: retries, deadlines, failover, callbacks.
 */
#include <mxadm/mxadm.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_server.h"

/* A time that no call here needs: what waits for it has failed. */
#define LONG_MS 30000

/* A time that is meant to pass. */
#define SHORT_MS 60

struct fixture {
    char directory[64];
    char url[128];
    char other_url[128];
    struct fake_server *server;
    mxadm_client *client;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/mxadm-client-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->url, sizeof(fixture->url), "ipc://%s/one", fixture->directory);
    snprintf(fixture->other_url, sizeof(fixture->other_url), "ipc://%s/two", fixture->directory);
    fixture->server = fake_server_start(fixture->url);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client_close(fixture->client);
    fake_server_stop(fixture->server);
    unlink(fixture->url + strlen("ipc://"));
    unlink(fixture->other_url + strlen("ipc://"));
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

/* Opens the fixture's client; `options` may leave out urls and backoff. */
static mxadm_client *open_client(struct fixture *fixture, mxadm_client_options options)
{
    const char *const one[] = { fixture->url };
    if (options.url_count == 0) {
        options.urls = one;
        options.url_count = 1;
    }
    if (options.backoff_initial_ms == 0) {
        options.backoff_initial_ms = 1;
    }
    assert_int_equal(mxadm_client_open(&options, &fixture->client), MXADM_OK);
    return fixture->client;
}

static mxadm_client_options defaults(void)
{
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    return options;
}

static mxadm_client *open_two_urls(struct fixture *fixture)
{
    const char *const both[] = { fixture->url, fixture->other_url };
    mxadm_client_options options = defaults();
    options.urls = both;
    options.url_count = 2;
    return open_client(fixture, options);
}

static mxadm_result *get_account(mxadm_client *client, const char *name,
                                 const mxadm_call_options *options)
{
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    request.account = (char *) name;
    mxadm_result *result;
    mxadm_call(client, "AccountGet", &request.base, options, &result);
    return result;
}

static void script_one(struct fake_server *server, struct fake_step step)
{
    fake_server_script(server, &step, 1);
}

static void script_status(struct fake_server *server, mxadm_code code, int64_t retry_ms)
{
    script_one(server, (struct fake_step){ .kind = FAKE_RESPONSE,
                                           .response = fake_status(code, "SCRIPTED", retry_ms) });
}

/* Answers AccountGet with an account of the name asked for. */
static void echo_account(void *data, const Mxadm__V1__Request *request,
                         Mxadm__V1__Response *response)
{
    (void) data;
    Mxadm__V1__AccountGetRequest *get =
        mxadm__v1__account_get_request__unpack(NULL, request->message.len, request->message.data);
    assert_non_null(get);
    Mxadm__V1__Account account = MXADM__V1__ACCOUNT__INIT;
    account.name = get->account;
    Mxadm__V1__AccountGetResponse answer = MXADM__V1__ACCOUNT_GET_RESPONSE__INIT;
    answer.account = &account;
    answer.address_count = 3;
    fake_respond(response, &answer.base);
    response->revision = 42;
    mxadm__v1__account_get_request__free_unpacked(get, NULL);
}

static const char *account_name(const mxadm_result *result)
{
    const Mxadm__V1__AccountGetResponse *response =
        (const Mxadm__V1__AccountGetResponse *) mxadm_result_response(result);
    assert_non_null(response);
    return response->account->name;
}

static bool same_request_id(struct fake_server *server, size_t a, size_t b)
{
    const Mxadm__V1__Request *first = fake_server_request(server, a);
    const Mxadm__V1__Request *second = fake_server_request(server, b);
    assert_int_equal(first->request_id.len, MXADM_REQUEST_ID_SIZE);
    assert_int_equal(second->request_id.len, MXADM_REQUEST_ID_SIZE);
    return memcmp(first->request_id.data, second->request_id.data, MXADM_REQUEST_ID_SIZE) == 0;
}

/* ------------------------------------------------------------------- a call */

static void a_call_returns_the_response_and_the_revision(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, echo_account, NULL);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_string_equal(account_name(result), "alice");
    assert_int_equal(mxadm_result_revision(result), 42);
    assert_int_equal(mxadm_result_attempts(result), 1);
    assert_string_equal(mxadm_result_message(result), "");
    assert_null(mxadm_result_status(result));
    mxadm_result_free(result);
    assert_string_equal(fake_server_request(fixture->server, 0)->method,
                        "mxadm.v1.Admin/AccountGet");
}

static void each_call_has_a_request_id_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client *client = open_client(fixture, defaults());
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_memory_equal(mxadm_result_request_id(result),
                        fake_server_request(fixture->server, 0)->request_id.data,
                        MXADM_REQUEST_ID_SIZE);
    mxadm_result_free(result);
    mxadm_result_free(get_account(client, "alice", NULL));
    assert_false(same_request_id(fixture->server, 0, 1));
}

static void the_options_of_a_call_reach_the_server(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t id[MXADM_REQUEST_ID_SIZE] = "sixteen bytes id";
    const mxadm_metadata metadata[] = { { "x-request-tag", "spring" }, { "b", "2" } };
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.request_id = id;
    options.metadata = metadata;
    options.metadata_count = 2;
    options.if_revision = 5;
    options.min_revision = 6;
    options.timeout_ms = LONG_MS;
    options.validate_only = 1;
    mxadm_result_free(get_account(open_client(fixture, defaults()), "alice", &options));
    const Mxadm__V1__Request *request = fake_server_request(fixture->server, 0);
    assert_memory_equal(request->request_id.data, id, sizeof(id));
    assert_int_equal(request->n_metadata, 2);
    assert_string_equal(request->metadata[0]->key, "x-request-tag");
    assert_string_equal(request->metadata[1]->value, "2");
    assert_true(request->options->validate_only);
    assert_int_equal(request->options->if_revision, 5);
    assert_int_equal(request->options->min_revision, 6);
    assert_in_range(request->timeout->seconds, 1, LONG_MS / 1000);
}

static void a_dry_run_tells_what_would_change(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__PlannedChange change = MXADM__V1__PLANNED_CHANGE__INIT;
    change.action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    change.kind = (char *) "account";
    change.name = (char *) "alice";
    Mxadm__V1__PlannedChange *changes[] = { &change };
    Mxadm__V1__Response response = MXADM__V1__RESPONSE__INIT;
    response.changes = changes;
    response.n_changes = 1;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_RESPONSE, .response = &response });
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_change_count(result), 1);
    assert_string_equal(mxadm_result_change(result, 0)->name, "alice");
    assert_null(mxadm_result_change(result, 1));
    mxadm_result_free(result);
}

static void a_refusal_is_not_tried_again_and_has_its_details(void **state)
{
    struct fixture *fixture = *state;
    script_status(fixture->server, MXADM_NOT_FOUND, 0);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_NOT_FOUND);
    assert_string_equal(mxadm_result_reason(result), "SCRIPTED");
    assert_string_equal(mxadm_result_message(result), "as the script says");
    assert_int_equal(mxadm_result_revision(result), 7);
    assert_null(mxadm_result_response(result));
    assert_int_equal(mxadm_result_attempts(result), 1);
    assert_false(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
    assert_int_equal(fake_server_count(fixture->server), 1);
}

static void a_wrong_request_or_operation_is_refused_unsent(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client *client = open_client(fixture, defaults());
    Mxadm__V1__DomainGetRequest request = MXADM__V1__DOMAIN_GET_REQUEST__INIT;
    mxadm_result *result;
    assert_int_equal(mxadm_call(client, "AccountGet", &request.base, NULL, &result),
                     MXADM_INVALID_ARGUMENT);
    assert_string_equal(mxadm_result_reason(result), "BAD_CALL");
    mxadm_result_free(result);
    assert_int_equal(mxadm_call(client, "AccountBurn", &request.base, NULL, NULL),
                     MXADM_UNIMPLEMENTED);
    assert_int_equal(mxadm_call(client, "nobody.v1.Nothing/Get", &request.base, NULL, NULL),
                     MXADM_UNIMPLEMENTED);
    assert_int_equal(fake_server_count(fixture->server), 0);
}

static void the_health_check_is_called_by_its_full_name(void **state)
{
    struct fixture *fixture = *state;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    assert_int_equal(mxadm_call(open_client(fixture, defaults()), "grpc.health.v1.Health/Check",
                                &request.base, NULL, NULL),
                     MXADM_OK);
    assert_string_equal(fake_server_request(fixture->server, 0)->method,
                        "grpc.health.v1.Health/Check");
}

/* ------------------------------------------------------------------ retries */

static void unavailable_is_tried_again_under_the_same_request_id(void **state)
{
    struct fixture *fixture = *state;
    script_status(fixture->server, MXADM_UNAVAILABLE, 0);
    script_status(fixture->server, MXADM_UNAVAILABLE, 0);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 3);
    mxadm_result_free(result);
    assert_true(same_request_id(fixture->server, 0, 1));
    assert_true(same_request_id(fixture->server, 0, 2));
}

static void a_lost_connection_is_made_again_and_the_request_id_kept(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_DROP });
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_DROP });
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 3);
    mxadm_result_free(result);
    assert_true(same_request_id(fixture->server, 0, 2));
}

static void a_connection_lost_for_good_leaves_the_change_in_doubt(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client_options options = defaults();
    options.max_attempts = 1;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_DROP });
    mxadm_result *result = get_account(open_client(fixture, options), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_UNAVAILABLE);
    assert_string_equal(mxadm_result_reason(result), "CONNECTION_LOST");
    assert_true(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
}

static void a_refusal_after_a_lost_connection_leaves_no_doubt(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_DROP });
    script_status(fixture->server, MXADM_ALREADY_EXISTS, 0);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_ALREADY_EXISTS);
    assert_false(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
}

static void a_full_server_is_asked_again_when_it_says_when(void **state)
{
    struct fixture *fixture = *state;
    script_status(fixture->server, MXADM_RESOURCE_EXHAUSTED, 1);
    mxadm_client *client = open_client(fixture, defaults());
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 2);
    mxadm_result_free(result);
    script_status(fixture->server, MXADM_RESOURCE_EXHAUSTED, 0);
    result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_RESOURCE_EXHAUSTED);
    assert_int_equal(mxadm_result_attempts(result), 1);
    mxadm_result_free(result);
}

static void a_pause_beyond_the_deadline_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    script_status(fixture->server, MXADM_RESOURCE_EXHAUSTED, 3600 * 1000);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_RESOURCE_EXHAUSTED);
    assert_int_equal(mxadm_result_attempts(result), 1);
    mxadm_result_free(result);
}

static void the_pause_between_attempts_grows_no_longer_than_its_limit(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client_options options = defaults();
    options.backoff_initial_ms = 1;
    options.backoff_max_ms = 2;
    /* Doubled without limit, the thirtieth pause would be twelve days. */
    for (int i = 0; i < 30; i++) {
        script_status(fixture->server, MXADM_UNAVAILABLE, 0);
    }
    mxadm_result *result = get_account(open_client(fixture, options), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 31);
    mxadm_result_free(result);
}

static void attempts_end_at_their_limit(void **state)
{
    struct fixture *fixture = *state;
    const char *const urls[] = { fixture->other_url };
    mxadm_client_options options = defaults();
    options.urls = urls;
    options.url_count = 1;
    options.max_attempts = 3;
    mxadm_result *result = get_account(open_client(fixture, options), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_UNAVAILABLE);
    assert_string_equal(mxadm_result_reason(result), "CONNECTION_FAILED");
    assert_non_null(strstr(mxadm_result_message(result), fixture->other_url));
    assert_int_equal(mxadm_result_attempts(result), 3);
    assert_false(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
}

static void a_server_that_is_not_there_ends_the_call_within_its_time(void **state)
{
    struct fixture *fixture = *state;
    const char *const urls[] = { fixture->other_url };
    mxadm_client_options options = defaults();
    options.urls = urls;
    options.url_count = 1;
    options.timeout_ms = SHORT_MS;
    mxadm_result *result = get_account(open_client(fixture, options), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_UNAVAILABLE);
    assert_true(mxadm_result_attempts(result) > 1);
    mxadm_result_free(result);
}

/* ---------------------------------------------------------------- deadlines */

static void free_result(mxadm_result *result, void *payload)
{
    (void) payload;
    mxadm_result_free(result);
}

static void a_call_without_answer_ends_at_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = SHORT_MS;
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", &options);
    assert_int_equal(mxadm_result_code(result), MXADM_DEADLINE_EXCEEDED);
    assert_string_equal(mxadm_result_reason(result), "TIMED_OUT");
    assert_true(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
}

static void a_late_answer_does_not_reach_the_next_call(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, echo_account, NULL);
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    mxadm_client_options client_options = defaults();
    client_options.connections = 1;
    mxadm_client *client = open_client(fixture, client_options);
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = SHORT_MS;
    mxadm_result_free(get_account(client, "early", &options));
    mxadm_result_free(get_account(client, "second", &options));
    fake_server_release(fixture->server);
    mxadm_result *result = get_account(client, "late", NULL);
    assert_string_equal(account_name(result), "late");
    mxadm_result_free(result);
}

static void an_attempt_without_answer_is_made_again(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    mxadm_client_options options = defaults();
    options.attempt_timeout_ms = SHORT_MS;
    mxadm_result *result = get_account(open_client(fixture, options), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_true(mxadm_result_attempts(result) >= 2);
    mxadm_result_free(result);
    assert_true(same_request_id(fixture->server, 0, 1));
}

static int64_t timeout_ns(const Mxadm__V1__Request *request)
{
    return request->timeout->seconds * INT64_C(1000000000) + request->timeout->nanos;
}

static void each_attempt_carries_the_time_that_is_left(void **state)
{
    struct fixture *fixture = *state;
    script_status(fixture->server, MXADM_UNAVAILABLE, 20);
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = LONG_MS;
    mxadm_result_free(get_account(open_client(fixture, defaults()), "alice", &options));
    int64_t first = timeout_ns(fake_server_request(fixture->server, 0));
    int64_t second = timeout_ns(fake_server_request(fixture->server, 1));
    assert_in_range(first, 1, LONG_MS * INT64_C(1000000));
    assert_in_range(second, 1, first - 1);
}

static void a_call_that_finds_no_free_connection_ends_at_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    mxadm_client_options client_options = defaults();
    client_options.connections = 1;
    mxadm_client *client = open_client(fixture, client_options);
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    assert_int_equal(mxadm_call_async(client, "AccountGet", &request.base, NULL, free_result, NULL),
                     MXADM_OK);
    fake_server_await(fixture->server, 1);
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = SHORT_MS;
    mxadm_result *result = get_account(client, "alice", &options);
    assert_int_equal(mxadm_result_code(result), MXADM_DEADLINE_EXCEEDED);
    assert_int_equal(mxadm_result_attempts(result), 0);
    assert_false(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);
}

static void answer_unavailable(void *data, const Mxadm__V1__Request *request,
                               Mxadm__V1__Response *response)
{
    static Mxadm__V1__Status status = MXADM__V1__STATUS__INIT;
    (void) data;
    (void) request;
    status.code = MXADM__V1__CODE__UNAVAILABLE;
    response->status = &status;
}

static void keep_result(mxadm_result *result, void *payload)
{
    *(mxadm_result **) payload = result;
}

/* The one connection is another call's by then. */
static void a_call_that_is_not_tried_again_in_time_says_why_it_failed(void **state)
{
    struct fixture *fixture = *state;
    const struct fake_step hold = { .kind = FAKE_HOLD };
    mxadm_client_options client_options = defaults();
    client_options.connections = 1;
    mxadm_client *client = open_client(fixture, client_options);
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = 1000;
    mxadm_result *result = NULL;
    fake_server_handle(fixture->server, answer_unavailable, NULL);
    fake_server_script(fixture->server, (struct fake_step[]){ hold, hold }, 2);
    assert_int_equal(
        mxadm_call_async(client, "AccountGet", &request.base, &options, keep_result, &result),
        MXADM_OK);
    fake_server_await(fixture->server, 1);
    assert_int_equal(mxadm_call_async(client, "AccountGet", &request.base, NULL, free_result, NULL),
                     MXADM_OK);
    fake_server_release(fixture->server);
    mxadm_result_free(get_account(client, "alice", &options)); /* ends behind the first's end */
    assert_non_null(result);
    assert_int_equal(mxadm_result_code(result), MXADM_UNAVAILABLE);
    assert_int_equal(mxadm_result_attempts(result), 1);
    mxadm_result_free(result);
}

/* ----------------------------------------------------------------- failover */

static void the_next_url_is_used_when_the_first_has_no_server(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->server);
    fixture->server = fake_server_start(fixture->other_url);
    mxadm_result *result = get_account(open_two_urls(fixture), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 2);
    mxadm_result_free(result);
}

static void the_next_url_is_used_when_the_first_is_unavailable(void **state)
{
    struct fixture *fixture = *state;
    struct fake_server *other = fake_server_start(fixture->other_url);
    script_status(fixture->server, MXADM_UNAVAILABLE, 0);
    mxadm_client *client = open_two_urls(fixture);
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    mxadm_result_free(result);
    assert_int_equal(fake_server_count(fixture->server), 1);
    assert_int_equal(fake_server_count(other), 1);
    assert_memory_equal(fake_server_request(fixture->server, 0)->request_id.data,
                        fake_server_request(other, 0)->request_id.data, MXADM_REQUEST_ID_SIZE);
    fake_server_stop(other);
}

struct killing {
    struct fixture *fixture;
    struct fake_server *victim;
};

static void *kill_server(void *arg)
{
    struct killing *killing = arg;
    fake_server_await(killing->victim, 1);
    fake_server_stop(killing->victim);
    return NULL;
}

static void a_call_survives_its_server_being_killed_under_it(void **state)
{
    struct fixture *fixture = *state;
    struct fake_server *victim = fixture->server;
    script_one(victim, (struct fake_step){ .kind = FAKE_HOLD });
    fixture->server = fake_server_start(fixture->other_url);
    struct killing killing = { fixture, victim };
    pthread_t killer;
    assert_int_equal(pthread_create(&killer, NULL, kill_server, &killing), 0);
    mxadm_result *result = get_account(open_two_urls(fixture), "alice", NULL);
    pthread_join(killer, NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    assert_int_equal(mxadm_result_attempts(result), 2);
    mxadm_result_free(result);
    assert_int_equal(fake_server_count(fixture->server), 1);
}

static void a_server_that_comes_back_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client *client = open_client(fixture, defaults());
    mxadm_result_free(get_account(client, "alice", NULL));
    fake_server_stop(fixture->server);
    fixture->server = fake_server_start(fixture->url);
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    mxadm_result_free(result);
}

/* ------------------------------------------------------------- wrong answers */

static void an_answer_that_is_none_is_an_internal_error(void **state)
{
    struct fixture *fixture = *state;
    uint8_t garbage[64];
    memset(garbage, 0xff, sizeof(garbage));
    script_one(fixture->server,
               (struct fake_step){ .kind = FAKE_BYTES, .bytes = garbage, .len = sizeof(garbage) });
    mxadm_client *client = open_client(fixture, defaults());
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_INTERNAL);
    assert_string_equal(mxadm_result_reason(result), "BAD_ANSWER");
    assert_true(mxadm_result_may_have_happened(result));
    mxadm_result_free(result);

    Mxadm__V1__Response response = MXADM__V1__RESPONSE__INIT;
    response.message.data = garbage;
    response.message.len = sizeof(garbage);
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_RESPONSE, .response = &response });
    result = get_account(client, "alice", NULL);
    assert_string_equal(mxadm_result_reason(result), "BAD_ANSWER");
    mxadm_result_free(result);
}

static void an_answer_beyond_the_limit_is_not_taken(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client_options options = defaults();
    options.answer_bytes_limit = 1000;
    options.max_attempts = 1;
    mxadm_client *client = open_client(fixture, options);
    static const uint8_t large[2000];
    script_one(fixture->server,
               (struct fake_step){ .kind = FAKE_BYTES, .bytes = large, .len = sizeof(large) });
    mxadm_result *result = get_account(client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_UNAVAILABLE);
    assert_string_equal(mxadm_result_reason(result), "CONNECTION_LOST");
    mxadm_result_free(result);
}

static void an_answer_that_unpacks_to_too_much_is_not_taken(void **state)
{
    struct fixture *fixture = *state;
    /* Tag 4 (changes), length 0: two bytes that unpack to a struct. Here four million of them. */
    size_t len = 8000000;
    uint8_t *bomb = malloc(len);
    for (size_t i = 0; i < len; i += 2) {
        bomb[i] = 4 << 3 | 2;
        bomb[i + 1] = 0;
    }
    struct fake_step step = { .kind = FAKE_BYTES, .bytes = bomb, .len = len };
    fake_server_script(fixture->server, &step, 1);
    free(bomb);
    mxadm_result *result = get_account(open_client(fixture, defaults()), "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_INTERNAL);
    assert_string_equal(mxadm_result_reason(result), "BAD_ANSWER");
    mxadm_result_free(result);
}

/* ------------------------------------------------------- threads and callbacks */

#define THREADS          8
#define CALLS_PER_THREAD 200

static void *call_many(void *arg)
{
    mxadm_client *client = arg;
    intptr_t wrong = 0;
    for (int i = 0; i < CALLS_PER_THREAD; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%d-%p", i, (void *) &wrong);
        mxadm_result *result = get_account(client, name, NULL);
        if (mxadm_result_code(result) != MXADM_OK || strcmp(account_name(result), name) != 0) {
            wrong++;
        }
        mxadm_result_free(result);
    }
    return (void *) wrong;
}

static void threads_that_share_a_client_get_their_own_answers(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, echo_account, NULL);
    mxadm_client *client = open_client(fixture, defaults());
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, client), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(fake_server_count(fixture->server), THREADS * CALLS_PER_THREAD);
}

#define CALLBACKS 500

struct tally {
    atomic_int calls[CALLBACKS];
    atomic_int codes[MXADM_UNAUTHENTICATED + 1];
};

struct ticket {
    struct tally *tally;
    int number;
};

static void count_callback(mxadm_result *result, void *payload)
{
    struct ticket *ticket = payload;
    atomic_fetch_add(&ticket->tally->calls[ticket->number], 1);
    atomic_fetch_add(&ticket->tally->codes[mxadm_result_code(result)], 1);
    mxadm_result_free(result);
}

static void begin_counted(mxadm_client *client, struct tally *tally, struct ticket *tickets,
                          int count)
{
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    for (int i = 0; i < count; i++) {
        tickets[i] = (struct ticket){ tally, i };
        assert_int_equal(mxadm_call_async(client, "AccountGet", &request.base, NULL, count_callback,
                                          &tickets[i]),
                         MXADM_OK);
    }
}

static void assert_once_each(struct tally *tally, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(atomic_load(&tally->calls[i]), 1);
    }
}

static void each_callback_comes_once_whatever_happens_to_its_call(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 40; i++) {
        script_one(fixture->server,
                   (struct fake_step){ .kind = i % 2 == 0 ? FAKE_DROP : FAKE_HANDLE });
        script_status(fixture->server, i % 3 == 0 ? MXADM_UNAVAILABLE : MXADM_NOT_FOUND, 0);
    }
    static struct tally tally;
    static struct ticket tickets[CALLBACKS];
    mxadm_client *client = open_client(fixture, defaults());
    begin_counted(client, &tally, tickets, CALLBACKS);
    /* 14 answers of 40 ask to come again, and 20 connections are cut. */
    fake_server_await(fixture->server, CALLBACKS + 14 + 20);
    mxadm_client_close(client);
    fixture->client = NULL;
    assert_once_each(&tally, CALLBACKS);
    assert_int_equal(atomic_load(&tally.codes[MXADM_NOT_FOUND]), 26);
}

static void closing_cancels_what_is_under_way_and_what_waits(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    }
    mxadm_client_options options = defaults();
    options.connections = 2;
    mxadm_client *client = open_client(fixture, options);
    static struct tally tally;
    static struct ticket tickets[10];
    begin_counted(client, &tally, tickets, 10);
    fake_server_await(fixture->server, 2);
    mxadm_client_close(client);
    fixture->client = NULL;
    assert_once_each(&tally, 10);
    assert_int_equal(atomic_load(&tally.codes[MXADM_CANCELLED]), 10);
    assert_int_equal(fake_server_count(fixture->server), 2);
}

static void *call_once(void *arg)
{
    mxadm_result *result = get_account(arg, "alice", NULL);
    intptr_t code = mxadm_result_code(result);
    mxadm_result_free(result);
    return (void *) code;
}

static void closing_ends_a_call_that_waits_in_another_thread(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    mxadm_client *client = open_client(fixture, defaults());
    pthread_t caller;
    assert_int_equal(pthread_create(&caller, NULL, call_once, client), 0);
    fake_server_await(fixture->server, 1);
    mxadm_client_close(client);
    fixture->client = NULL;
    void *code;
    pthread_join(caller, &code);
    assert_int_equal((intptr_t) code, MXADM_CANCELLED);
}

static void closing_ends_a_pause_between_attempts(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client_options options = defaults();
    options.backoff_initial_ms = LONG_MS / 2;
    options.backoff_max_ms = LONG_MS / 2;
    script_status(fixture->server, MXADM_UNAVAILABLE, 0);
    mxadm_client *client = open_client(fixture, options);
    static struct tally tally;
    static struct ticket tickets[1];
    begin_counted(client, &tally, tickets, 1);
    fake_server_await(fixture->server, 1);
    mxadm_client_close(client);
    fixture->client = NULL;
    assert_once_each(&tally, 1);
}

struct order {
    pthread_mutex_t lock;
    char names[8][16];
    size_t count;
};

static void note_order(void *data, const Mxadm__V1__Request *request, Mxadm__V1__Response *response)
{
    struct order *order = data;
    Mxadm__V1__AccountGetRequest *get =
        mxadm__v1__account_get_request__unpack(NULL, request->message.len, request->message.data);
    snprintf(order->names[order->count++], sizeof(order->names[0]), "%s", get->account);
    mxadm__v1__account_get_request__free_unpacked(get, NULL);
    (void) response;
}

static void calls_beyond_the_connections_go_in_order(void **state)
{
    struct fixture *fixture = *state;
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HOLD });
    static struct order order;
    fake_server_handle(fixture->server, note_order, &order);
    mxadm_client_options options = defaults();
    options.connections = 1;
    mxadm_client *client = open_client(fixture, options);
    const char *const names[] = { "a", "b", "c", "d" };
    for (size_t i = 0; i < 4; i++) {
        Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
        request.account = (char *) names[i];
        assert_int_equal(
            mxadm_call_async(client, "AccountGet", &request.base, NULL, free_result, NULL),
            MXADM_OK);
    }
    fake_server_await(fixture->server, 1);
    assert_int_equal(fake_server_count(fixture->server), 1);
    fake_server_release(fixture->server);
    fake_server_await(fixture->server, 4);
    mxadm_client_close(client);
    fixture->client = NULL;
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(order.names[i], names[i]);
    }
}

struct chain {
    mxadm_client *client;
    mxadm_code waiting_call; /* how a waiting call from the callback ended */
    atomic_int left;
};

static void call_on(mxadm_result *result, void *payload)
{
    struct chain *chain = payload;
    mxadm_result_free(result);
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    chain->waiting_call = mxadm_call(chain->client, "AccountGet", &request.base, NULL, NULL);
    if (atomic_fetch_sub(&chain->left, 1) > 1) {
        mxadm_call_async(chain->client, "AccountGet", &request.base, NULL, call_on, chain);
    }
}

static void a_callback_may_begin_calls_but_not_wait_for_one(void **state)
{
    struct fixture *fixture = *state;
    struct chain chain = { .client = open_client(fixture, defaults()), .left = 50 };
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    assert_int_equal(
        mxadm_call_async(chain.client, "AccountGet", &request.base, NULL, call_on, &chain),
        MXADM_OK);
    fake_server_await(fixture->server, 50);
    mxadm_client_close(chain.client);
    fixture->client = NULL;
    assert_int_equal(chain.waiting_call, MXADM_FAILED_PRECONDITION);
    assert_int_equal(atomic_load(&chain.left), 0);
    assert_int_equal(fake_server_count(fixture->server), 50);
}

static void a_child_process_is_refused(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client *client = open_client(fixture, defaults());
    mxadm_result_free(get_account(client, "alice", NULL));
    pid_t child = fork();
    if (child == 0) {
        Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
        mxadm_code code = mxadm_call(client, "AccountGet", &request.base, NULL, NULL);
        mxadm_client_close(client);
        _exit(code);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), MXADM_FAILED_PRECONDITION);
}

/* ------------------------------------------------------------------ options */

static void an_older_programs_shorter_options_are_accepted(void **state)
{
    struct fixture *fixture = *state;
    const char *const urls[] = { fixture->url };
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    options.urls = urls;
    options.url_count = 1;
    options.timeout_ms = LONG_MS;
    options.size = offsetof(mxadm_client_options, connect_timeout_ms);
    options.connections = 1000000; /* not its field: it must not be read */
    assert_int_equal(mxadm_client_open(&options, &fixture->client), MXADM_OK);
    mxadm_result *result = get_account(fixture->client, "alice", NULL);
    assert_int_equal(mxadm_result_code(result), MXADM_OK);
    mxadm_result_free(result);
}

static void a_newer_programs_unknown_field_is_refused_if_set(void **state)
{
    (void) state;
    struct {
        mxadm_client_options known;
        uint64_t unknown;
    } newer = { MXADM_CLIENT_OPTIONS_INIT, 0 };
    newer.known.size = sizeof(newer);
    mxadm_client *client = NULL;
    assert_int_equal(mxadm_client_open(&newer.known, &client), MXADM_OK);
    mxadm_client_close(client);
    client = NULL;
    newer.unknown = 1;
    assert_int_equal(mxadm_client_open(&newer.known, &client), MXADM_INVALID_ARGUMENT);
    assert_null(client);
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct fixture *fixture = *state;
    mxadm_client *client;
    mxadm_client_options options = { 0 };
    assert_int_equal(mxadm_client_open(&options, &client), MXADM_INVALID_ARGUMENT);
    options = defaults();
    options.url_count = 1;
    assert_int_equal(mxadm_client_open(&options, &client), MXADM_INVALID_ARGUMENT);
    options = defaults();
    options.timeout_ms = 3600001;
    assert_int_equal(mxadm_client_open(&options, &client), MXADM_INVALID_ARGUMENT);
    options = defaults();
    options.connections = 1025;
    assert_int_equal(mxadm_client_open(&options, &client), MXADM_INVALID_ARGUMENT);

    client = open_client(fixture, defaults());
    mxadm_call_options call_options = { 0 };
    mxadm_result *result = get_account(client, "alice", &call_options);
    assert_int_equal(mxadm_result_code(result), MXADM_INVALID_ARGUMENT);
    mxadm_result_free(result);
    assert_int_equal(fake_server_count(fixture->server), 0);
}

/* ----------------------------------------------------------------- services */

static void keep_address_count(const ProtobufCMessage *message, void *data)
{
    const Mxadm__V1__AccountGetResponse *response = (const Mxadm__V1__AccountGetResponse *) message;
    *(int64_t *) data = response != NULL ? (int64_t) response->address_count : -1;
}

static void a_service_object_drives_the_generated_functions(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, echo_account, NULL);
    script_one(fixture->server, (struct fake_step){ .kind = FAKE_HANDLE });
    script_status(fixture->server, MXADM_NOT_FOUND, 0);
    ProtobufCService *service;
    assert_int_equal(mxadm_service_open(open_client(fixture, defaults()), NULL, NULL, &service),
                     MXADM_OK);
    assert_null(mxadm_service_result(service));
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    request.account = (char *) "alice";
    int64_t count = 0;
    mxadm__v1__admin__account_get(
        service, &request, (Mxadm__V1__AccountGetResponse_Closure) keep_address_count, &count);
    assert_int_equal(count, 3);
    assert_int_equal(mxadm_result_revision(mxadm_service_result(service)), 42);
    mxadm__v1__admin__account_get(
        service, &request, (Mxadm__V1__AccountGetResponse_Closure) keep_address_count, &count);
    assert_int_equal(count, -1);
    assert_int_equal(mxadm_result_code(mxadm_service_result(service)), MXADM_NOT_FOUND);
    protobuf_c_service_destroy(service);
}

static void getters_speak_of_memory_when_there_is_no_result(void **state)
{
    (void) state;
    assert_int_equal(mxadm_result_code(NULL), MXADM_RESOURCE_EXHAUSTED);
    assert_string_equal(mxadm_result_message(NULL), "out of memory");
    assert_null(mxadm_result_response(NULL));
    assert_int_equal(mxadm_result_change_count(NULL), 0);
    mxadm_result_free(NULL);
    mxadm_client_close(NULL);
}

static void codes_have_the_names_of_grpc(void **state)
{
    (void) state;
    assert_string_equal(mxadm_code_name(MXADM_OK), "OK");
    assert_string_equal(mxadm_code_name(MXADM_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(mxadm_code_name((mxadm_code) 99), "UNKNOWN");
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_call_returns_the_response_and_the_revision),
        TEST(each_call_has_a_request_id_of_its_own),
        TEST(the_options_of_a_call_reach_the_server),
        TEST(a_dry_run_tells_what_would_change),
        TEST(a_refusal_is_not_tried_again_and_has_its_details),
        TEST(a_wrong_request_or_operation_is_refused_unsent),
        TEST(the_health_check_is_called_by_its_full_name),
        TEST(unavailable_is_tried_again_under_the_same_request_id),
        TEST(a_lost_connection_is_made_again_and_the_request_id_kept),
        TEST(a_connection_lost_for_good_leaves_the_change_in_doubt),
        TEST(a_refusal_after_a_lost_connection_leaves_no_doubt),
        TEST(a_full_server_is_asked_again_when_it_says_when),
        TEST(a_pause_beyond_the_deadline_is_not_waited_for),
        TEST(the_pause_between_attempts_grows_no_longer_than_its_limit),
        TEST(attempts_end_at_their_limit),
        TEST(a_server_that_is_not_there_ends_the_call_within_its_time),
        TEST(a_call_without_answer_ends_at_its_deadline),
        TEST(a_late_answer_does_not_reach_the_next_call),
        TEST(an_attempt_without_answer_is_made_again),
        TEST(each_attempt_carries_the_time_that_is_left),
        TEST(a_call_that_finds_no_free_connection_ends_at_its_deadline),
        TEST(a_call_that_is_not_tried_again_in_time_says_why_it_failed),
        TEST(the_next_url_is_used_when_the_first_has_no_server),
        TEST(the_next_url_is_used_when_the_first_is_unavailable),
        TEST(a_call_survives_its_server_being_killed_under_it),
        TEST(a_server_that_comes_back_is_found_again),
        TEST(an_answer_that_is_none_is_an_internal_error),
        TEST(an_answer_beyond_the_limit_is_not_taken),
        TEST(an_answer_that_unpacks_to_too_much_is_not_taken),
        TEST(threads_that_share_a_client_get_their_own_answers),
        TEST(each_callback_comes_once_whatever_happens_to_its_call),
        TEST(closing_cancels_what_is_under_way_and_what_waits),
        TEST(closing_ends_a_call_that_waits_in_another_thread),
        TEST(closing_ends_a_pause_between_attempts),
        TEST(calls_beyond_the_connections_go_in_order),
        TEST(a_callback_may_begin_calls_but_not_wait_for_one),
        TEST(a_child_process_is_refused),
        TEST(an_older_programs_shorter_options_are_accepted),
        TEST(a_newer_programs_unknown_field_is_refused_if_set),
        TEST(options_that_cannot_be_are_refused),
        TEST(a_service_object_drives_the_generated_functions),
        TEST(getters_speak_of_memory_when_there_is_no_result),
        TEST(codes_have_the_names_of_grpc),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
