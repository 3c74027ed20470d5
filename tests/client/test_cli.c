/* The command line as its user sees it: the real program against a server that does what it is
 * told. The program's path is the first argument. */
#include <mxadm/mxadm.h>

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_server.h"

#define OUTPUT_MAX    65536
#define ARGUMENTS_MAX 32

static const char *program;

struct fixture {
    char directory[64];
    char url[128];
    struct fake_server *server;
    char out[OUTPUT_MAX]; /* what the program printed */
    char err[OUTPUT_MAX];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/mxadm-cli-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->url, sizeof(fixture->url), "ipc://%s/socket", fixture->directory);
    setenv("MXADM_URL", fixture->url, 1);
    fixture->server = fake_server_start(fixture->url);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->server);
    char command[128];
    unlink(fixture->url + strlen("ipc://"));
    snprintf(command, sizeof(command), "%s/out", fixture->directory);
    unlink(command);
    snprintf(command, sizeof(command), "%s/err", fixture->directory);
    unlink(command);
    snprintf(command, sizeof(command), "%s/in", fixture->directory);
    unlink(command);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

static void path_in(const struct fixture *fixture, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", fixture->directory, name);
}

static void slurp(const struct fixture *fixture, const char *name, char *text)
{
    char path[128];
    path_in(fixture, name, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, OUTPUT_MAX - 1, file)] = '\0';
    fclose(file);
}

/* Runs the program with these words, NULL-terminated, and returns its exit code. What it says on
 * stderr goes into the log of the test. */
static int run(struct fixture *fixture, ...)
{
    char *argv[ARGUMENTS_MAX] = { (char *) program };
    va_list words;
    va_start(words, fixture);
    for (size_t i = 1; (argv[i] = va_arg(words, char *)) != NULL; i++) {
        assert_true(i + 1 < ARGUMENTS_MAX);
    }
    va_end(words);
    char out[128];
    char err[128];
    path_in(fixture, "out", out);
    path_in(fixture, "err", err);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    slurp(fixture, "out", fixture->out);
    slurp(fixture, "err", fixture->err);
    print_message("%s", fixture->err);
    return WEXITSTATUS(status);
}

static void assert_says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, text);
    }
}

/* The request message of the only call, unpacked; free it with protobuf_c_message_free_unpacked().
 */
static ProtobufCMessage *request_of(struct fixture *fixture, size_t index)
{
    const Mxadm__V1__Request *request = fake_server_request(fixture->server, index);
    const ProtobufCMethodDescriptor *method = mxadm_method_find(request->method);
    assert_non_null(method);
    ProtobufCMessage *message =
        protobuf_c_message_unpack(method->input, NULL, request->message.len, request->message.data);
    assert_non_null(message);
    return message;
}

static void script_message(struct fixture *fixture, const ProtobufCMessage *message)
{
    Mxadm__V1__Response response = MXADM__V1__RESPONSE__INIT;
    fake_respond(&response, message);
    struct fake_step step = { .kind = FAKE_RESPONSE, .response = &response };
    fake_server_script(fixture->server, &step, 1);
    free(response.message.data);
}

/* ---------------------------------------------------------------- arguments */

static void arguments_and_flags_make_the_request(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "domain", "add", "example.org", "--account", "alice",
                         "--localpart=a", "--disabled", NULL),
                     0);
    assert_string_equal(fake_server_request(fixture->server, 0)->method,
                        "mxadm.v1.Admin/DomainAdd");
    Mxadm__V1__DomainAddRequest *request = (Mxadm__V1__DomainAddRequest *) request_of(fixture, 0);
    assert_string_equal(request->domain, "example.org");
    assert_string_equal(request->account, "alice");
    assert_string_equal(request->localpart, "a");
    assert_true(request->disabled);
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void flags_take_enums_durations_and_lists(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "dkim", "add", "example.org", "s1", "--algorithm", "ED25519",
                         "--expiration", "24h", "--headers", "From", "--headers", "To",
                         "--enable=false", NULL),
                     0);
    Mxadm__V1__DKIMAddRequest *request = (Mxadm__V1__DKIMAddRequest *) request_of(fixture, 0);
    assert_string_equal(request->selector, "s1");
    assert_int_equal(request->algorithm, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519);
    assert_int_equal(request->expiration->seconds, 86400);
    assert_int_equal(request->n_headers, 2);
    assert_string_equal(request->headers[1], "To");
    assert_false(request->enable);
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void a_repeated_argument_takes_all_that_are_left(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "alias", "add", "all@example.org", "a@example.org", "--",
                         "--b@example.org", NULL),
                     0);
    Mxadm__V1__AliasAddRequest *request = (Mxadm__V1__AliasAddRequest *) request_of(fixture, 0);
    assert_string_equal(request->address, "all@example.org");
    assert_int_equal(request->n_members, 2);
    assert_string_equal(request->members[1], "--b@example.org");
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void what_a_save_sets_is_in_its_update_mask(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "domain", "save", "example.org", "--description", "x",
                         "--domain.dmarc.account", "alice", NULL),
                     0);
    Mxadm__V1__DomainSaveRequest *request = (Mxadm__V1__DomainSaveRequest *) request_of(fixture, 0);
    assert_string_equal(request->domain->name, "example.org");
    assert_string_equal(request->domain->description, "x");
    assert_string_equal(request->domain->dmarc->account, "alice");
    assert_int_equal(request->update_mask->n_paths, 2);
    assert_string_equal(request->update_mask->paths[0], "description");
    assert_string_equal(request->update_mask->paths[1], "dmarc.account");
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void a_request_may_come_as_json_with_flags_on_top(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "account", "add", "--request",
                         "{\"account\": \"alice\", \"address\": \"a@example.org\"}", "--address",
                         "b@example.org", NULL),
                     0);
    Mxadm__V1__AccountAddRequest *request = (Mxadm__V1__AccountAddRequest *) request_of(fixture, 0);
    assert_string_equal(request->account, "alice");
    assert_string_equal(request->address, "b@example.org");
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void bytes_come_from_a_file(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    char argument[160];
    path_in(fixture, "in", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite("a\0b", 1, 3, file);
    fclose(file);
    snprintf(argument, sizeof(argument), "@%s", path);
    assert_int_equal(run(fixture, "tls-public-key", "add", argument, "a@example.org", NULL), 0);
    Mxadm__V1__TLSPublicKeyAddRequest *request =
        (Mxadm__V1__TLSPublicKeyAddRequest *) request_of(fixture, 0);
    assert_int_equal(request->certificate.len, 3);
    assert_memory_equal(request->certificate.data, "a\0b", 3);
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void options_of_the_call_reach_the_server(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "--if-revision=7", "account", "remove", "alice", "--timeout",
                         "1m30s", "--request-id", "000102030405060708090a0b0c0d0e0f", NULL),
                     0);
    const Mxadm__V1__Request *request = fake_server_request(fixture->server, 0);
    assert_int_equal(request->options->if_revision, 7);
    assert_int_equal(request->request_id.data[15], 15);
    assert_in_range(request->timeout->seconds, 60, 90);
}

static void wrong_usage_sends_nothing_and_guesses(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "domian", "add", NULL), 2);
    assert_says(fixture->err, "did you mean 'domain'?");
    assert_int_equal(run(fixture, "domain", "lst", NULL), 2);
    assert_says(fixture->err, "did you mean 'list'?");
    assert_int_equal(run(fixture, "domain", "add", "example.org", "--acount", "a", NULL), 2);
    assert_says(fixture->err, "did you mean '--account'?");
    assert_int_equal(run(fixture, "domain", "add", "a", "b", NULL), 2);
    assert_says(fixture->err, "one argument too many: 'b'");
    assert_int_equal(run(fixture, "domain", "add", "--account", NULL), 2);
    assert_says(fixture->err, "--account: a value is missing");
    assert_int_equal(run(fixture, "domain", "list", "--page-size", "many", NULL), 2);
    assert_says(fixture->err, "page_size: 'many' is not a whole number");
    assert_int_equal(run(fixture, "domain", "list", "-x", NULL), 2);
    assert_says(fixture->err, "there is no flag '-x'");
    assert_int_equal(run(fixture, "dkim", "add", "--algorithm", "rsa", NULL), 2);
    assert_says(fixture->err, "algorithm: 'rsa' is none of: rsa2048, rsa3072, rsa4096, ed25519");
    assert_int_equal(run(fixture, "domain", NULL), 2);
    assert_int_equal(run(fixture, NULL), 2);
    assert_int_equal(fake_server_count(fixture->server), 0);
}

/* ------------------------------------------------------------------- output */

static void answer_domains(struct fixture *fixture, const char *name, const char *token)
{
    Mxadm__V1__Domain domain = MXADM__V1__DOMAIN__INIT;
    Mxadm__V1__Domain *domains[] = { &domain };
    Mxadm__V1__DomainListResponse response = MXADM__V1__DOMAIN_LIST_RESPONSE__INIT;
    domain.name = (char *) name;
    domain.disabled = 1;
    response.domains = domains;
    response.n_domains = 1;
    response.next_page_token = (char *) token;
    response.total = 2;
    script_message(fixture, &response.base);
}

static void a_list_is_a_table_of_all_pages(void **state)
{
    struct fixture *fixture = *state;
    answer_domains(fixture, "example.org", "more");
    answer_domains(fixture,
                   "b\xc3\xbc"
                   "cher.example",
                   "");
    assert_int_equal(run(fixture, "domain", "list", NULL), 0);
    assert_says(fixture->out, "NAME         DISABLED");
    assert_says(fixture->out, "\nexample.org  yes\n");
    assert_says(fixture->out, "\nb\xc3\xbc"
                              "cher.example  yes");
    Mxadm__V1__DomainListRequest *request = (Mxadm__V1__DomainListRequest *) request_of(fixture, 1);
    assert_string_equal(request->page_token, "more");
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void a_list_ends_at_its_limit(void **state)
{
    struct fixture *fixture = *state;
    answer_domains(fixture, "example.org", "more");
    assert_int_equal(run(fixture, "domain", "list", "--limit", "1", NULL), 0);
    assert_int_equal(fake_server_count(fixture->server), 1);
    Mxadm__V1__DomainListRequest *request = (Mxadm__V1__DomainListRequest *) request_of(fixture, 0);
    assert_int_equal(request->page_size, 1);
    protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void json_output_joins_the_pages(void **state)
{
    struct fixture *fixture = *state;
    answer_domains(fixture, "example.org", "more");
    answer_domains(fixture, "example.net", "");
    assert_int_equal(run(fixture, "domain", "list", "--json", NULL), 0);
    assert_says(fixture->out, "\"name\": \"example.org\"");
    assert_says(fixture->out, "\"name\": \"example.net\"");
    assert_says(fixture->out, "\"total\": \"2\"");
    assert_null(strstr(fixture->out, "nextPageToken"));
}

#define BATCH_JSON                                                                                 \
    "{\"calls\": [{\"method\": \"AccountAdd\", \"request\": {\"account\": \"bob\"}},"              \
    " {\"method\": \"AccountRemove\", \"request\": {\"account\": \"eve\"}}]}"

/* Two results: an account that was added, and a refusal. */
static void answer_batch(struct fixture *fixture)
{
    Mxadm__V1__Account account = MXADM__V1__ACCOUNT__INIT;
    Mxadm__V1__AccountAddResponse added = MXADM__V1__ACCOUNT_ADD_RESPONSE__INIT;
    Mxadm__V1__Status status = MXADM__V1__STATUS__INIT;
    Mxadm__V1__BatchResult results[2] = { MXADM__V1__BATCH_RESULT__INIT,
                                          MXADM__V1__BATCH_RESULT__INIT };
    Mxadm__V1__BatchResult *list[2] = { &results[0], &results[1] };
    Mxadm__V1__BatchResponse response = MXADM__V1__BATCH_RESPONSE__INIT;
    uint8_t packed[64];
    account.name = (char *) "bob";
    added.account = &account;
    results[0].message.data = packed;
    results[0].message.len = mxadm__v1__account_add_response__pack(&added, packed);
    status.code = MXADM__V1__CODE__NOT_FOUND;
    status.message = (char *) "there is no account 'eve'";
    results[1].status = &status;
    response.results = list;
    response.n_results = 2;
    script_message(fixture, &response.base);
}

static void a_batch_is_read_and_shown_call_by_call(void **state)
{
    struct fixture *fixture = *state;
    answer_batch(fixture);
    assert_int_equal(run(fixture, "batch", "--request", BATCH_JSON, NULL), 1);
    Mxadm__V1__BatchRequest *request = (Mxadm__V1__BatchRequest *) request_of(fixture, 0);
    assert_int_equal(request->n_calls, 2);
    assert_string_equal(request->calls[1]->method, "mxadm.v1.Admin/AccountRemove");
    assert_int_equal(request->calls[1]->message.len, 5);
    protobuf_c_message_free_unpacked(&request->base, NULL);
    assert_string_equal(fixture->out, "calls[0] AccountAdd: done\n"
                                      "calls[1] AccountRemove: there is no account 'eve' "
                                      "(NOT_FOUND)\n");
}

static void results_of_a_batch_are_json_in_json(void **state)
{
    struct fixture *fixture = *state;
    answer_batch(fixture);
    assert_int_equal(run(fixture, "batch", "--json", "--request", BATCH_JSON, NULL), 1);
    assert_says(fixture->out, "\"response\": {");
    assert_says(fixture->out, "\"name\": \"bob\"");
    assert_says(fixture->out, "there is no account 'eve'");
}

static void a_record_is_shown_field_by_field(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__Account account = MXADM__V1__ACCOUNT__INIT;
    Mxadm__V1__AccountGetResponse response = MXADM__V1__ACCOUNT_GET_RESPONSE__INIT;
    Google__Protobuf__Duration half_day = GOOGLE__PROTOBUF__DURATION__INIT;
    half_day.seconds = 43200;
    account.name = (char *) "alice";
    account.subject_pass_period = &half_day;
    response.account = &account;
    response.address_count = 3;
    script_message(fixture, &response.base);
    assert_int_equal(run(fixture, "account", "get", "alice", NULL), 0);
    assert_says(fixture->out, "account:\n  name:");
    assert_says(fixture->out, " alice\n");
    assert_says(fixture->out, " 12h\n");
    assert_says(fixture->out, "address-count:");
}

static void records_within_an_answer_are_a_table(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__KeyPoolInfo pool = MXADM__V1__KEY_POOL_INFO__INIT;
    Mxadm__V1__KeyPoolInfo *pools[] = { &pool };
    Mxadm__V1__ServerInfoResponse response = MXADM__V1__SERVER_INFO_RESPONSE__INIT;
    pool.algorithm = MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048;
    pool.low_water = 8;
    response.key_pools = pools;
    response.n_key_pools = 1;
    script_message(fixture, &response.base);
    assert_int_equal(run(fixture, "server", "info", NULL), 0);
    assert_string_equal(fixture->out, "key-pools:\n"
                                      "  ALGORITHM  READY  LOW WATER  HIGH WATER  WAITING\n"
                                      "  rsa2048    0      8          0           0\n");
}

static void an_answer_that_cannot_be_written_is_told(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    char err[128];
    path_in(fixture, "err", err);
    snprintf(command, sizeof(command), "%s --version >/dev/full 2>%s", program, err);
    assert_int_equal(WEXITSTATUS(system(command)), 1);
    slurp(fixture, "err", fixture->err);
    assert_string_equal(fixture->err, "mxadm: can't write: No space left on device\n");
}

static void zone_and_key_are_printed_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__DomainRecordsResponse records = MXADM__V1__DOMAIN_RECORDS_RESPONSE__INIT;
    records.zone = (char *) "; first\nexample.org. 300 MX 10 mail.example.org.\n";
    script_message(fixture, &records.base);
    assert_int_equal(run(fixture, "domain", "records", "example.org", NULL), 0);
    assert_string_equal(fixture->out, records.zone);
    Mxadm__V1__DKIMKeyExportResponse key = MXADM__V1__DKIMKEY_EXPORT_RESPONSE__INIT;
    key.private_key = (char *) "-----BEGIN PRIVATE KEY-----";
    script_message(fixture, &key.base);
    assert_int_equal(run(fixture, "dkim", "key-export", "example.org", "s", NULL), 0);
    assert_string_equal(fixture->out, "-----BEGIN PRIVATE KEY-----\n");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    struct fixture *fixture = *state;
    answer_domains(fixture, "a\x1b[2J\n\xe2\x80\xae\xff", "");
    assert_int_equal(run(fixture, "domain", "list", NULL), 0);
    assert_says(fixture->out, "a\\u001b[2J\\u000a\\u202e\\xff");
}

static void a_dry_run_shows_what_would_change(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__PlannedChange change = MXADM__V1__PLANNED_CHANGE__INIT;
    Mxadm__V1__PlannedChange *changes[] = { &change };
    Mxadm__V1__Response response = MXADM__V1__RESPONSE__INIT;
    change.action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    change.kind = (char *) "domain";
    change.name = (char *) "example.org";
    response.changes = changes;
    response.n_changes = 1;
    struct fake_step steps[] = { { .kind = FAKE_RESPONSE, .response = &response },
                                 { .kind = FAKE_RESPONSE, .response = &response } };
    fake_server_script(fixture->server, steps, 2);
    assert_int_equal(run(fixture, "domain", "add", "example.org", "--validate-only", NULL), 0);
    assert_string_equal(fixture->out, "would add domain example.org\n");
    assert_true(fake_server_request(fixture->server, 0)->options->validate_only);
    assert_int_equal(
        run(fixture, "domain", "add", "example.org", "--validate-only", "--json", NULL), 0);
    assert_says(fixture->out, "\"action\": \"CHANGE_ACTION_ADD\"");
}

/* ----------------------------------------------------------------- failures */

static void a_refusal_says_everything_and_exits_1(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__Response response = *fake_status(MXADM_FAILED_PRECONDITION, "DOMAIN_IN_USE", 0);
    Mxadm__V1__FieldViolation field = MXADM__V1__FIELD_VIOLATION__INIT;
    Mxadm__V1__FieldViolation *fields[] = { &field };
    Mxadm__V1__BadRequest bad = MXADM__V1__BAD_REQUEST__INIT;
    Mxadm__V1__PreconditionViolation blocker = MXADM__V1__PRECONDITION_VIOLATION__INIT;
    Mxadm__V1__PreconditionViolation *blockers[] = { &blocker };
    Mxadm__V1__PreconditionFailure failure = MXADM__V1__PRECONDITION_FAILURE__INIT;
    field.field = (char *) "domain";
    field.description = (char *) "'x' is not a domain name";
    bad.field_violations = fields;
    bad.n_field_violations = 1;
    blocker.type = (char *) "address";
    blocker.subject = (char *) "a@example.org";
    blocker.description = (char *) "is at the domain";
    failure.violations = blockers;
    failure.n_violations = 1;
    failure.total = 21;
    response.status->bad_request = &bad;
    response.status->precondition_failure = &failure;
    struct fake_step step = { .kind = FAKE_RESPONSE, .response = &response };
    fake_server_script(fixture->server, &step, 1);
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "domain", "remove", "example.org", NULL), 1);
    assert_string_equal(fixture->out, "");
    assert_says(fixture->err, "mxadm: as the script says (FAILED_PRECONDITION, DOMAIN_IN_USE)\n");
    assert_says(fixture->err, "domain: 'x' is not a domain name\n");
    assert_says(fixture->err, "in the way: address 'a@example.org': is at the domain\n");
    assert_says(fixture->err, "in the way: 20 more\n");
    assert_int_equal(run(fixture, "domain", "remove", "example.org", "--json", NULL), 1);
    assert_says(fixture->err, "\"reason\": \"DOMAIN_IN_USE\"");
}

/* The daemon's message is made of the details. */
static void a_refusal_says_nothing_twice(void **state)
{
    struct fixture *fixture = *state;
    Mxadm__V1__Response response = *fake_status(MXADM_INVALID_ARGUMENT, "INVALID_ARGUMENT", 0);
    Mxadm__V1__FieldViolation first = MXADM__V1__FIELD_VIOLATION__INIT;
    Mxadm__V1__FieldViolation second = MXADM__V1__FIELD_VIOLATION__INIT;
    Mxadm__V1__FieldViolation *fields[] = { &first, &second };
    Mxadm__V1__BadRequest bad = MXADM__V1__BAD_REQUEST__INIT;
    struct fake_step step = { .kind = FAKE_RESPONSE, .response = &response };
    first.field = (char *) "domain";
    first.description = (char *) "is required";
    second.field = (char *) "account";
    second.description = (char *) "is required";
    bad.field_violations = fields;
    bad.n_field_violations = 1;
    response.status->bad_request = &bad;
    response.status->message = (char *) "domain: is required";
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "domain", "add", NULL), 1);
    assert_string_equal(fixture->err, "mxadm: domain: is required (INVALID_ARGUMENT)\n");
    bad.n_field_violations = 2;
    response.status->message = (char *) "domain: is required; account: is required";
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "domain", "add", NULL), 1);
    assert_string_equal(fixture->err, "mxadm: refused (INVALID_ARGUMENT)\n"
                                      "  domain: is required\n"
                                      "  account: is required\n");
}

static void a_server_that_is_not_there_exits_3(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "server", "info", "--url", "ipc:///nonexistent/socket", NULL), 3);
    assert_says(fixture->err, "can't connect to 'ipc:///nonexistent/socket'");
    assert_null(strstr(fixture->err, "may have happened"));
}

static void an_unknown_outcome_exits_3_and_names_the_request_id(void **state)
{
    struct fixture *fixture = *state;
    struct fake_step step = { .kind = FAKE_DROP };
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "account", "remove", "alice", "--attempts=1", "--request-id",
                         "ffeeddccbbaa99887766554433221100", NULL),
                     3);
    assert_says(fixture->err,
                "may have happened: call again with --request-id ffeeddccbbaa99887766554433221100");
}

static void a_restarting_server_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct fake_step step = { .kind = FAKE_RESPONSE,
                              .response = fake_status(MXADM_UNAVAILABLE, "DRAINING", 0) };
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "account", "remove", "alice", NULL), 0);
    assert_int_equal(fake_server_count(fixture->server), 2);
}

static void the_next_url_is_tried(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "server", "info", "--url", "ipc:///nonexistent/socket", "--url",
                         fixture->url, NULL),
                     0);
    assert_int_equal(fake_server_count(fixture->server), 1);
}

/* --------------------------------------------------------------------- help */

static void help_is_there_on_every_level(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "--help", NULL), 0);
    assert_says(fixture->out, "tls-public-key");
    assert_says(fixture->out, "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server unavailable");
    assert_int_equal(run(fixture, "domain", "--help", NULL), 0);
    assert_says(fixture->out, "Returns a domain");
    assert_int_equal(run(fixture, "dkim", "add", "--help", NULL), 0);
    assert_says(fixture->out, "usage: mxadm dkim add [domain] [selector]");
    assert_says(fixture->out, "Adds a DKIM selector with a new key to a domain.");
    assert_says(fixture->out, "--algorithm NAME");
    assert_says(fixture->out, "One of: rsa2048, rsa3072, rsa4096, ed25519");
    assert_says(fixture->out,
                "How long a signature is valid"); /* not "As DkimSelector.expiration." */
    assert_int_equal(run(fixture, "--version", NULL), 0);
    assert_says(fixture->out, MXADM_VERSION_STRING);
    assert_int_equal(fake_server_count(fixture->server), 0);
}

/* ------------------------------------------------------------- the changes */

/* Answers with two revisions: an account is added, then renamed and given a separator's worth of
 * routes. */
static void answer_two_changes(void *data, const Mxadm__V1__Request *request,
                               Mxadm__V1__Response *response)
{
    (void) data;
    response->revision = 12;
    if (strcmp(request->method, "mxadm.v1.Admin/ServerInfo") == 0) {
        Mxadm__V1__ServerInfoResponse info = MXADM__V1__SERVER_INFO_RESPONSE__INIT;
        info.revision = 12;
        info.oldest_revision = 10;
        fake_respond(response, &info.base);
        return;
    }
    Mxadm__V1__Account before = MXADM__V1__ACCOUNT__INIT;
    Mxadm__V1__Account after = MXADM__V1__ACCOUNT__INIT;
    Mxadm__V1__Record old = MXADM__V1__RECORD__INIT;
    Mxadm__V1__Record new = MXADM__V1__RECORD__INIT;
    char *disabled[] = { (char *) "IMAP4REV1", (char *) "IDLE" };
    before.name = after.name = (char *) "alice";
    before.full_name = (char *) "Alice";
    before.revision = 11;
    after.full_name = (char *) "Alice A.";
    after.keep_rejects = true;
    after.revision = 12;
    before.n_imap_capabilities_disabled = 1;
    before.imap_capabilities_disabled = disabled;
    after.n_imap_capabilities_disabled = 2;
    after.imap_capabilities_disabled = disabled;
    old.record_case = new.record_case = MXADM__V1__RECORD__RECORD_ACCOUNT;
    old.account = &before;
    new.account = &after;
    Mxadm__V1__RecordChange added = MXADM__V1__RECORD_CHANGE__INIT;
    added.action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    added.after = &old;
    Mxadm__V1__RecordChange updated = MXADM__V1__RECORD_CHANGE__INIT;
    updated.action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE;
    updated.before = &old;
    updated.after = &new;
    if (strcmp(request->method, "mxadm.v1.Admin/ConfigDiff") == 0) {
        Mxadm__V1__RecordChange *records[] = { &updated };
        Mxadm__V1__ConfigDiffResponse diff = MXADM__V1__CONFIG_DIFF_RESPONSE__INIT;
        diff.records = records;
        diff.n_records = 1;
        diff.total = 3;
        fake_respond(response, &diff.base);
        return;
    }
    Mxadm__V1__RecordChange *lists[2][1] = { { &added }, { &updated } };
    Mxadm__V1__Change changes[] = { MXADM__V1__CHANGE__INIT, MXADM__V1__CHANGE__INIT };
    Mxadm__V1__Change *list[] = { &changes[0], &changes[1] };
    for (size_t i = 0; i < 2; i++) {
        changes[i].revision = 11 + i;
        changes[i].principal = (char *) "uid:0";
        changes[i].method =
            (char *) (i == 0 ? "mxadm.v1.Admin/AccountAdd" : "mxadm.v1.Admin/AccountSave");
        changes[i].records = lists[i];
        changes[i].n_records = 1;
        changes[i].record_count = 1;
    }
    Mxadm__V1__ChangeListResponse answer = MXADM__V1__CHANGE_LIST_RESPONSE__INIT;
    answer.changes = list;
    answer.n_changes = 2;
    answer.revision = 12;
    fake_respond(response, &answer.base);
}

static const char *const updated_account = "  ~ account alice\n"
                                           "      full-name: \"Alice\" -> \"Alice A.\"\n"
                                           "      keep-rejects: no -> yes\n"
                                           "      imap-capabilities-disabled: + \"IDLE\"\n";

static void a_watch_shows_each_change_and_ends_after_as_many_as_wanted(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, answer_two_changes, NULL);
    assert_int_equal(
        run(fixture, "watch", "--after", "10", "--domain", "a.example", "--count", "2", NULL), 0);
    assert_says(fixture->out, "revision 11  uid:0  AccountAdd\n  + account alice\nrevision 12");
    assert_says(fixture->out, updated_account);
    Mxadm__V1__ChangeListRequest *request = (Mxadm__V1__ChangeListRequest *) request_of(fixture, 0);
    assert_int_equal(request->after_revision, 10);
    assert_string_equal(request->domain, "a.example");
    mxadm__v1__change_list_request__free_unpacked(request, NULL);
    assert_int_equal(run(fixture, "watch", "--after", "10", "--count", "1", "--json", NULL), 0);
    assert_string_equal(fixture->out,
                        "{\"revision\":\"11\",\"principal\":\"uid:0\",\"method\":"
                        "\"mxadm.v1.Admin/AccountAdd\",\"records\":[{\"action\":"
                        "\"CHANGE_ACTION_ADD\",\"after\":{\"account\":{\"name\":\"alice\","
                        "\"fullName\":\"Alice\",\"imapCapabilitiesDisabled\":[\"IMAP4REV1\"],"
                        "\"revision\":\"11\"}}}],\"recordCount\":\"1\"}\n");
}

static void a_watch_that_may_not_be_exits_as_a_call_does(void **state)
{
    struct fixture *fixture = *state;
    struct fake_step step = { .kind = FAKE_RESPONSE,
                              .response = fake_status(MXADM_PERMISSION_DENIED, "ROLE", 0) };
    fake_server_script(fixture->server, &step, 1);
    assert_int_equal(run(fixture, "watch", "--after", "1", NULL), 1);
    assert_says(fixture->err, "PERMISSION_DENIED");
    assert_int_equal(run(fixture, "watch", "--after", "1", "--snapshot", NULL), 2);
    assert_int_equal(run(fixture, "watch", "--count", "some", NULL), 2);
    assert_int_equal(run(fixture, "watch", "all", NULL), 2);
}

static void history_shows_the_newest_first(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, answer_two_changes, NULL);
    assert_int_equal(run(fixture, "history", "--account", "alice", "--principal", "uid:0",
                         "--since", "2026-01-02T03:04:05Z", "--until", "1m ago", NULL),
                     0);
    const char *newest = strstr(fixture->out, "revision 12");
    assert_non_null(newest);
    assert_says(newest, "revision 11");
    Mxadm__V1__ChangeListRequest *request = (Mxadm__V1__ChangeListRequest *) request_of(fixture, 1);
    assert_int_equal(request->after_revision, 0); /* the oldest kept */
    assert_string_equal(request->account, "alice");
    assert_string_equal(request->principal, "uid:0");
    assert_int_equal(request->from_time->seconds, 1767323045);
    assert_true(request->to_time->seconds > request->from_time->seconds);
    mxadm__v1__change_list_request__free_unpacked(request, NULL);
    assert_int_equal(run(fixture, "history", "--limit", "1", NULL), 0);
    assert_null(strstr(fixture->out, "revision 11"));
    assert_int_equal(run(fixture, "history", "--since", "soon", NULL), 2);
}

static void a_diff_shows_the_fields_that_differ(void **state)
{
    struct fixture *fixture = *state;
    fake_server_handle(fixture->server, answer_two_changes, NULL);
    assert_int_equal(run(fixture, "config", "diff", "10", NULL), 0);
    assert_says(fixture->out, updated_account);
    assert_says(fixture->out, "1 of 3 records that differ");
}

/* ------------------------------------------------------------ the documents */

#define LARGE_BYTES 300000

/* A server that takes documents: parts are put together, and one is forgotten once. */
struct documents {
    char staged[LARGE_BYTES + 1];
    size_t staged_len;
    size_t parts;
    bool forgets;
    bool applied;
    bool discarded;
};

static void answer_export(const Mxadm__V1__ConfigExportRequest *request,
                          Mxadm__V1__Response *response)
{
    Mxadm__V1__ConfigExportResponse answer = MXADM__V1__CONFIG_EXPORT_RESPONSE__INIT;
    if (request->page_token[0] == '\0') {
        answer.yaml = (char *) (request->passphrase[0] != '\0' ? "# sealed\n" : "# open\n");
        answer.next_page_token = (char *) "more";
    } else {
        answer.yaml = (char *) "domains: {}\n";
    }
    fake_respond(response, &answer.base);
}

static void answer_stage(struct documents *documents, const Mxadm__V1__ConfigApplyRequest *request,
                         Mxadm__V1__Response *response)
{
    static Mxadm__V1__ErrorMetadata data;
    static Mxadm__V1__ErrorMetadata *list[] = { &data };
    static char text[32];
    if (request->discard) {
        documents->discarded = true;
        return;
    }
    documents->parts++;
    if (documents->forgets && documents->parts == 3) {
        documents->forgets = false; /* all but the first part */
        documents->staged_len = 999;
    }
    if (request->stage_offset != documents->staged_len) {
        Mxadm__V1__Status *status =
            (Mxadm__V1__Status *) fake_status(MXADM_OUT_OF_RANGE, "STAGE_OFFSET", 0)->status;
        mxadm__v1__error_metadata__init(&data);
        snprintf(text, sizeof(text), "%zu", documents->staged_len);
        data.key = (char *) "staged_bytes";
        data.value = text;
        status->error_info->n_metadata = 1;
        status->error_info->metadata = list;
        response->status = status;
        return;
    }
    assert_true(documents->staged_len + strlen(request->yaml) <= LARGE_BYTES);
    strcpy(documents->staged + documents->staged_len, request->yaml);
    documents->staged_len += strlen(request->yaml);
}

static void answer_apply(struct documents *documents, const Mxadm__V1__ConfigApplyRequest *request,
                         Mxadm__V1__Response *response)
{
    static Mxadm__V1__BadRequest bad;
    static Mxadm__V1__FieldViolation violation;
    static Mxadm__V1__FieldViolation *violations[] = { &violation };
    if (request->stage[0] != '\0') {
        answer_stage(documents, request, response);
        return;
    }
    if (strncmp(request->yaml, "wrong", 5) == 0) {
        mxadm__v1__bad_request__init(&bad);
        mxadm__v1__field_violation__init(&violation);
        violation.field = (char *) "accounts.alice";
        violation.description = (char *) "line 3, column 5: is no account";
        bad.n_field_violations = 1;
        bad.field_violations = violations;
        Mxadm__V1__Status *status =
            (Mxadm__V1__Status *) fake_status(MXADM_INVALID_ARGUMENT, "DOCUMENT", 0)->status;
        status->bad_request = &bad;
        response->status = status;
        return;
    }
    Mxadm__V1__ConfigApplyResponse answer = MXADM__V1__CONFIG_APPLY_RESPONSE__INIT;
    Mxadm__V1__PlannedChange changes[] = { MXADM__V1__PLANNED_CHANGE__INIT,
                                           MXADM__V1__PLANNED_CHANGE__INIT };
    Mxadm__V1__PlannedChange *list[] = { &changes[0], &changes[1] };
    changes[0].action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    changes[1].action = MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE;
    changes[0].kind = changes[1].kind = (char *) "account";
    changes[0].name = (char *) "dora";
    changes[1].name = (char *) "emil";
    answer.changes = list;
    answer.n_changes = 2;
    answer.added = 1;
    answer.updated = 2;
    answer.removed = 1;
    answer.unchanged = 7;
    documents->applied = true;
    fake_respond(response, &answer.base);
}

static void take_documents(void *data, const Mxadm__V1__Request *request,
                           Mxadm__V1__Response *response)
{
    if (strcmp(request->method, "mxadm.v1.Admin/ServerInfo") == 0) {
        Mxadm__V1__ServerInfoResponse info = MXADM__V1__SERVER_INFO_RESPONSE__INIT;
        info.message_bytes_limit = 200000;
        fake_respond(response, &info.base);
        return;
    }
    const ProtobufCMethodDescriptor *method = mxadm_method_find(request->method);
    ProtobufCMessage *message =
        protobuf_c_message_unpack(method->input, NULL, request->message.len, request->message.data);
    if (strcmp(method->name, "ConfigExport") == 0) {
        answer_export((const Mxadm__V1__ConfigExportRequest *) message, response);
    } else {
        answer_apply(data, (const Mxadm__V1__ConfigApplyRequest *) message, response);
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

static void write_in(const struct fixture *fixture, const char *text, char path[128])
{
    path_in(fixture, "in", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void a_plan_is_a_line_for_each_change_and_their_number(void **state)
{
    struct fixture *fixture = *state;
    struct documents *documents = calloc(1, sizeof(*documents));
    char path[128];
    fake_server_handle(fixture->server, take_documents, documents);
    write_in(fixture, "accounts: {}\n", path);
    assert_int_equal(run(fixture, "config", "plan", path, "--prune", NULL), 0);
    assert_string_equal(fixture->out, "+ account dora\n- account emil\n... and 2 more\n"
                                      "1 to add, 2 to change, 1 to remove, 7 unchanged\n");
    Mxadm__V1__ConfigApplyRequest *request =
        (Mxadm__V1__ConfigApplyRequest *) request_of(fixture, 1);
    assert_string_equal(request->yaml, "accounts: {}\n");
    assert_true(request->prune);
    mxadm__v1__config_apply_request__free_unpacked(request, NULL);
    assert_true(fake_server_request(fixture->server, 1)->options->validate_only);
    assert_int_equal(run(fixture, "config", "apply", path, NULL), 0);
    assert_says(fixture->out, "1 added, 2 changed, 1 removed, 7 unchanged\n");
    assert_false(fake_server_request(fixture->server, 3)->options->validate_only);
    free(documents);
}

static void problems_of_a_document_are_told_by_line_and_column(void **state)
{
    struct fixture *fixture = *state;
    struct documents *documents = calloc(1, sizeof(*documents));
    char path[128];
    char expected[256];
    fake_server_handle(fixture->server, take_documents, documents);
    write_in(fixture, "wrong\n", path);
    assert_int_equal(run(fixture, "config", "plan", path, NULL), 1);
    snprintf(expected, sizeof(expected), "%s:3:5: accounts.alice: is no account\n", path);
    assert_string_equal(fixture->err, expected);
    assert_int_equal(run(fixture, "config", "plan", "/does/not/exist", NULL), 2);
    assert_int_equal(run(fixture, "config", "plan", NULL), 2);
    write_in(fixture, "\xff\n", path);
    assert_int_equal(run(fixture, "config", "plan", path, NULL), 2);
    assert_says(fixture->err, "not UTF-8");
    free(documents);
}

/* Larger than a message, with characters of three bytes that parts must not cut; the server forgets
 * parts on the way. */
static void a_large_document_is_staged_in_parts_and_resumes(void **state)
{
    struct fixture *fixture = *state;
    struct documents *documents = calloc(1, sizeof(*documents));
    char path[128];
    char *text = calloc(1, LARGE_BYTES + 1);
    documents->forgets = true;
    fake_server_handle(fixture->server, take_documents, documents);
    while (strlen(text) + 3 <= LARGE_BYTES) {
        memcpy(text + strlen(text), "\xe2\x82\xac", 3);
        if (strlen(text) > 1000) {
            break;
        }
    }
    size_t unit = strlen(text);
    for (size_t len = unit; len + unit <= LARGE_BYTES; len += unit) {
        memcpy(text + len, text, unit);
    }
    write_in(fixture, text, path);
    assert_int_equal(run(fixture, "config", "apply", path, NULL), 0);
    assert_string_equal(documents->staged, text);
    assert_true(documents->applied);
    assert_false(documents->discarded); /* applying ends it */
    Mxadm__V1__ConfigApplyRequest *request = (Mxadm__V1__ConfigApplyRequest *) request_of(
        fixture, fake_server_count(fixture->server) - 1);
    assert_memory_equal(request->staged, "mxadm-", 6);
    assert_string_equal(request->yaml, "");
    mxadm__v1__config_apply_request__free_unpacked(request, NULL);
    documents->staged_len = 0;
    assert_int_equal(run(fixture, "config", "plan", path, NULL), 0);
    assert_true(documents->discarded); /* a plan leaves nothing */
    free(text);
    free(documents);
}

static void an_export_is_complete_or_not_there_and_private_with_secrets(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    char secret[128];
    char text[OUTPUT_MAX];
    struct stat stat_out;
    struct documents *documents = calloc(1, sizeof(*documents));
    fake_server_handle(fixture->server, take_documents, documents);
    assert_int_equal(run(fixture, "config", "export", NULL), 0);
    assert_string_equal(fixture->out, "# open\ndomains: {}\n");
    write_in(fixture, "correct horse\nnot this\n", secret);
    path_in(fixture, "yaml", path);
    assert_int_equal(run(fixture, "config", "export", "--domain", "a.example", "--output", path,
                         "--passphrase-file", secret, NULL),
                     0);
    slurp(fixture, "yaml", text);
    assert_string_equal(text, "# sealed\ndomains: {}\n");
    assert_int_equal(stat(path, &stat_out), 0);
    assert_int_equal(stat_out.st_mode & 0777, 0600);
    assert_int_equal(unlink(path), 0);
    Mxadm__V1__ConfigExportRequest *request = (Mxadm__V1__ConfigExportRequest *) request_of(
        fixture, fake_server_count(fixture->server) - 1);
    assert_string_equal(request->passphrase, "correct horse");
    assert_string_equal(request->domain, "a.example");
    mxadm__v1__config_export_request__free_unpacked(request, NULL);
    struct fake_step steps[] = { { .kind = FAKE_HANDLE },
                                 { .kind = FAKE_RESPONSE,
                                   .response = fake_status(MXADM_OUT_OF_RANGE, "EXPIRED", 0) } };
    fake_server_script(fixture->server, steps, 2);
    assert_int_equal(run(fixture, "config", "export", "--output", path, NULL), 1);
    assert_int_equal(access(path, F_OK), -1);
    free(documents);
}

static void with_a_request_the_operation_itself_is_called(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "config", "apply", "--request",
                         "{\"stage\": \"mine\", \"yaml\": \"a\"}", NULL),
                     0);
    Mxadm__V1__ConfigApplyRequest *request =
        (Mxadm__V1__ConfigApplyRequest *) request_of(fixture, 0);
    assert_string_equal(request->stage, "mine");
    mxadm__v1__config_apply_request__free_unpacked(request, NULL);
    assert_int_equal(run(fixture, "config", "--help", NULL), 0);
    assert_says(fixture->out, "plan");
    assert_int_equal(run(fixture, "config", "apply", "--help", NULL), 0);
    assert_says(fixture->out, "usage: mxadm config apply FILE [OPTION]...");
    assert_says(fixture->out, "With --request, the operation itself is called.");
    assert_int_equal(run(fixture, "--help", NULL), 0);
    assert_says(fixture->out, "import");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: test_client_cli PROGRAM [FILTER]\n", stderr);
        return 2;
    }
    program = argv[1];
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(arguments_and_flags_make_the_request),
        TEST(flags_take_enums_durations_and_lists),
        TEST(a_repeated_argument_takes_all_that_are_left),
        TEST(what_a_save_sets_is_in_its_update_mask),
        TEST(a_request_may_come_as_json_with_flags_on_top),
        TEST(bytes_come_from_a_file),
        TEST(options_of_the_call_reach_the_server),
        TEST(wrong_usage_sends_nothing_and_guesses),
        TEST(a_list_is_a_table_of_all_pages),
        TEST(a_list_ends_at_its_limit),
        TEST(json_output_joins_the_pages),
        TEST(a_batch_is_read_and_shown_call_by_call),
        TEST(results_of_a_batch_are_json_in_json),
        TEST(a_record_is_shown_field_by_field),
        TEST(records_within_an_answer_are_a_table),
        TEST(an_answer_that_cannot_be_written_is_told),
        TEST(zone_and_key_are_printed_as_they_are),
        TEST(control_characters_do_not_reach_the_terminal),
        TEST(a_dry_run_shows_what_would_change),
        TEST(a_refusal_says_everything_and_exits_1),
        TEST(a_refusal_says_nothing_twice),
        TEST(a_server_that_is_not_there_exits_3),
        TEST(an_unknown_outcome_exits_3_and_names_the_request_id),
        TEST(a_restarting_server_is_waited_for),
        TEST(the_next_url_is_tried),
        TEST(a_watch_shows_each_change_and_ends_after_as_many_as_wanted),
        TEST(a_watch_that_may_not_be_exits_as_a_call_does),
        TEST(history_shows_the_newest_first),
        TEST(a_diff_shows_the_fields_that_differ),
        TEST(a_plan_is_a_line_for_each_change_and_their_number),
        TEST(problems_of_a_document_are_told_by_line_and_column),
        TEST(a_large_document_is_staged_in_parts_and_resumes),
        TEST(an_export_is_complete_or_not_there_and_private_with_secrets),
        TEST(with_a_request_the_operation_itself_is_called),
        TEST(help_is_there_on_every_level),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
