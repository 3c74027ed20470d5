/*
 * Batch: many changes as one, all or none or each on its own. Private keys and key files are
 * watched as closely as records: a part that came to nothing has used none.
 */
#include "rpc_cases.h"

#include "rpc_plan.h"

#include <stdlib.h>
#include <string.h>

#define ED25519       "4"
#define RSA4096       "3"
#define SPARE_ED25519 fixture_spare_keys(fx, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519)
#define SPARE_RSA2048 fixture_spare_keys(fx, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048)
#define MANY          1000

/* Keys are made with what others leave of the processor. */
static const struct options patient = { .timeout_ms = 3600 * 1000 };

static struct fixture *fx;
static unsigned ids;

static int setup_with(const char *keys)
{
    const struct fixture_options options = { .sqlite = true, .key_directory = true, .keys = keys };

    fx = fixture_create(&options);
    add_domain(fx, "example.org", "alice");
    return 0;
}

static int setup(void **state)
{
    (void) state;
    return setup_with(NULL);
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

#define CALLS(...)                                                                                 \
    (Mxadm__V1__BatchCall *[])                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define COUNT(...) (sizeof(CALLS(__VA_ARGS__)) / sizeof(Mxadm__V1__BatchCall *))
/* All or none; each on its own. */
#define ATOMIC(...)   ask_batch(fx, &root, &patient, true, CALLS(__VA_ARGS__), COUNT(__VA_ARGS__))
#define EACH(...)     ask_batch(fx, &root, &patient, false, CALLS(__VA_ARGS__), COUNT(__VA_ARGS__))
#define CALL(...)     batch_call(fx, __VA_ARGS__, NULL)
#define ACCOUNT(name) account_call(name)

static Mxadm__V1__BatchCall *account_call(const char *name)
{
    return CALL("AccountAdd", "account", name, "address", fixture_text(fx, "%s@example.org", name));
}

static Mxadm__V1__BatchCall *dkim_call(const char *domain, const char *selector)
{
    return CALL("DKIMAdd", "domain", domain, "selector", selector, "algorithm", ED25519);
}

static Mxadm__V1__BatchCall *bytes_call(const char *method, const char *bytes)
{
    Mxadm__V1__BatchCall *call = CALL("AccountAdd");

    call->method = fixture_text(fx, "%s", method);
    call->message.data = (uint8_t *) fixture_text(fx, "%s", bytes);
    call->message.len = strlen(bytes);
    return call;
}

static const char *new_id(void)
{
    return fixture_text(fx, "id-%013u", ids++);
}

static const Mxadm__V1__BatchResult *result(const struct reply *reply, size_t index)
{
    const Mxadm__V1__BatchResponse *response = reply->message;

    assert_true(index < response->n_results);
    return response->results[index];
}

static void assert_results(const struct reply *reply, size_t count)
{
    const Mxadm__V1__BatchResponse *response = reply->message;

    assert_int_equal(response->n_results, count);
}

/* This part ended so; and what fails has no message. */
static const Mxadm__V1__Status *assert_failed(const struct reply *reply, size_t index,
                                              const char *reason)
{
    const Mxadm__V1__Status *status = result(reply, index)->status;

    assert_non_null(status);
    assert_string_equal(status->error_info->reason, reason);
    assert_int_equal(result(reply, index)->message.len, 0);
    return status;
}

static void assert_done(const struct reply *reply, size_t index)
{
    assert_null(result(reply, index)->status);
}

static const char *metadata(const struct reply *reply, const char *key)
{
    const Mxadm__V1__ErrorInfo *info = reply->envelope->status->error_info;

    for (size_t i = 0; i < info->n_metadata; i++) {
        if (strcmp(info->metadata[i]->key, key) == 0) {
            return info->metadata[i]->value;
        }
    }
    return "";
}

static bool exists(const char *account)
{
    return ask(fx, &viewer, "AccountGet", "account", account, NULL)->code == MX_OK;
}

/* ------------------------------------------------------------------ together */

static void a_batch_is_one_revision_made_by_batch(void **state)
{
    uint64_t revision = fixture_revision(fx);
    const struct reply *reply;
    const Mxadm__V1__AccountAddResponse *added;

    (void) state;
    reply = OK(ATOMIC(ACCOUNT("bob"), ACCOUNT("carol"),
                      CALL("AddressAdd", "account", "bob", "address", "b@example.org")));
    assert_results(reply, 3);
    assert_int_equal(reply->revision, revision + 1);
    assert_int_equal(fixture_revision(fx), revision + 1);
    for (size_t i = 0; i < 3; i++) {
        assert_done(reply, i);
    }
    added = batch_message(fx, "AccountAdd", result(reply, 1));
    assert_string_equal(added->account->name, "carol");
    assert_int_equal(added->account->revision, revision + 1);
    OK(ask(fx, &viewer, "AddressGet", "address", "b@example.org", NULL));
}

/* The same answers as one after the other. */
static void a_part_answers_what_the_operation_alone_answers(void **state)
{
    const struct options dry = { .validate_only = true };
    const struct reply *alone = OK(ask_with(fx, &root, &dry, "AccountAdd", "account", "bob",
                                            "address", "bob@example.org", NULL));
    Mxadm__V1__BatchCall *calls[] = { ACCOUNT("bob"), ACCOUNT("bob") };
    const struct reply *reply = OK(ask_batch(fx, &root, &dry, false, calls, 2));
    Mxadm__V1__AccountAddResponse *in_batch =
        (Mxadm__V1__AccountAddResponse *) batch_message(fx, "AccountAdd", result(reply, 0));
    Mxadm__V1__AccountAddResponse *other = (Mxadm__V1__AccountAddResponse *) alone->message;

    (void) state;
    in_batch->account->create_time = other->account->create_time;
    in_batch->account->update_time = other->account->update_time;
    in_batch->address->create_time = other->address->create_time;
    in_batch->address->update_time = other->address->update_time;
    assert_same_message(&in_batch->base, &other->base);
    assert_failed(reply, 1, "ACCOUNT_EXISTS");
}

static void later_parts_see_what_earlier_ones_did(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = OK(ATOMIC(
        CALL("DomainAdd", "domain", "new.example", "account", "nora", "localpart", "nora"),
        CALL("AccountAdd", "account", "nils", "address", "nils@new.example"),
        CALL("AddressAdd", "account", "nora", "address", "sales@new.example"),
        dkim_call("new.example", "extra"), CALL("AddressRemove", "address", "sales@new.example"),
        CALL("AddressAdd", "account", "nils", "address", "sales@new.example"),
        CALL("AccountRemove", "account", "nils"),
        CALL("AliasAdd", "address", "team@new.example", "members", "nora@new.example")));
    assert_results(reply, 8);
    assert_true(exists("nora"));
    assert_false(exists("nils"));
    OK(ask(fx, &viewer, "AliasGet", "address", "team@new.example", NULL));
    REFUSED(ask(fx, &viewer, "AddressGet", "address", "sales@new.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    assert_non_null(strstr(fixture_key_files(fx), "extra._domainkey.new.example"));
}

static void what_a_batch_adds_and_removes_again_leaves_no_change(void **state)
{
    uint64_t revision = fixture_revision(fx);
    const struct reply *reply;

    (void) state;
    reply = OK(ATOMIC(ACCOUNT("bob"), CALL("AccountRemove", "account", "bob")));
    assert_results(reply, 2);
    assert_int_equal(fixture_revision(fx), revision);
}

#define STEPS 6

/* A batch of STEPS good calls with one that fails before call number `at`. */
static const struct reply *failing_at(size_t at)
{
    Mxadm__V1__BatchCall *good[STEPS] = {
        CALL("DomainAdd", "domain", "new.example", "account", "alice"),
        CALL("AccountAdd", "account", "nils", "address", "nils@new.example"),
        dkim_call("new.example", "extra"),
        dkim_call("example.org", "extra"),
        CALL("DKIMRemove", "domain", "new.example", "selector", "extra"),
        CALL("AddressAdd", "account", "alice", "address", "a@new.example"),
    };
    Mxadm__V1__BatchCall *calls[STEPS + 1];

    for (size_t i = 0; i <= STEPS; i++) {
        calls[i] = i == at ? ACCOUNT("alice") : good[i < at ? i : i - 1];
    }
    return ask_batch(fx, &root, &patient, true, calls, STEPS + 1);
}

static void a_failing_part_undoes_the_whole_atomic_batch_wherever_it_stands(void **state)
{
    (void) state;
    (void) failing_at(STEPS); /* makes the keys that come back to the pool each time */
    assert_int_equal(SPARE_RSA2048, 2);
    assert_int_equal(SPARE_ED25519, 2);
    for (size_t at = 0; at <= STEPS; at++) {
        const char *index = fixture_text(fx, "%zu", at);
        const struct reply *reply = NULL;

        REFUSES(fx, ALREADY_EXISTS, "ACCOUNT_EXISTS", reply = failing_at(at));
        assert_string_equal(metadata(reply, "index"), index);
        assert_string_equal(metadata(reply, "method"), "mxadm.v1.Admin/AccountAdd");
        assert_non_null(strstr(reply->words, fixture_text(fx, "calls[%zu]", at)));
        assert_int_equal(SPARE_RSA2048, 2);
        assert_int_equal(SPARE_ED25519, 2);
    }
}

static void an_atomic_batch_names_wrong_fields_by_the_part(void **state)
{
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply =
                ATOMIC(ACCOUNT("bob"), CALL("AccountAdd", "account", "", "address", "no address")));
    assert_true(has_violation(reply, "calls[1].account"));
    assert_true(has_violation(reply, "calls[1].address"));
    assert_string_equal(metadata(reply, "index"), "1");
}

/* ------------------------------------------------------------- each on its own */

static void a_failing_part_of_an_independent_batch_leaves_the_others(void **state)
{
    uint64_t revision = fixture_revision(fx);
    const struct reply *reply;

    (void) state;
    reply = OK(EACH(ACCOUNT("bob"), ACCOUNT("alice"), ACCOUNT("carol"),
                    CALL("AccountAdd", "account", "", "address", "d@example.org"),
                    CALL("AddressAdd", "account", "nobody", "address", "n@example.org"),
                    CALL("AddressAdd", "account", "bob", "address", "b@example.org")));
    assert_results(reply, 6);
    assert_done(reply, 0);
    assert_failed(reply, 1, "ACCOUNT_EXISTS");
    assert_done(reply, 2);
    assert_string_equal(
        assert_failed(reply, 3, "INVALID_ARGUMENT")->bad_request->field_violations[0]->field,
        "calls[3].account");
    assert_failed(reply, 4, "ACCOUNT_NOT_FOUND");
    assert_done(reply, 5);
    assert_int_equal(reply->revision, revision + 1);
    assert_int_equal(fixture_revision(fx), revision + 1);
    assert_true(exists("bob"));
    assert_true(exists("carol"));
}

/* What it did before it failed is gone for the parts behind it, too. */
static void what_a_failed_part_did_is_undone_for_the_parts_after_it(void **state)
{
    const struct reply *reply;
    const char *expected;
    const char *before;

    (void) state;
    OK(EACH(ACCOUNT("bob")));
    before = fixture_dump(fx);
    reply = OK(EACH(ACCOUNT("bob"), dkim_call("example.org", "s1"), dkim_call("example.org", "s1"),
                    dkim_call("nowhere.example", "s1"), dkim_call("example.org", "s2")));
    assert_failed(reply, 0, "ACCOUNT_EXISTS");
    assert_failed(reply, 2, "SELECTOR_EXISTS");
    assert_failed(reply, 3, "DOMAIN_NOT_FOUND");
    expected = "+kexample.org\\x00s1\n+kexample.org\\x00s2\n+sexample.org\\x00s1\n"
               "+sexample.org\\x00s2\n+uexample.org\\x00s1\n+uexample.org\\x00s2\n";
    assert_string_equal(plan_of_dumps(fx, before, fixture_dump(fx)), expected);
    /* Four were wanted, two used. */
    assert_int_equal(SPARE_ED25519, 2);
    assert_non_null(strstr(fixture_key_files(fx), "s1._domainkey.example.org"));
    assert_non_null(strstr(fixture_key_files(fx), "s2._domainkey.example.org"));
}

static void a_batch_all_of_which_fails_changes_nothing_and_is_ok(void **state)
{
    const char *before = fixture_dump(fx);
    const struct reply *reply;

    (void) state;
    reply = OK(EACH(ACCOUNT("alice"), CALL("AccountRemove", "account", "nobody")));
    assert_failed(reply, 0, "ACCOUNT_EXISTS");
    assert_failed(reply, 1, "ACCOUNT_NOT_FOUND");
    assert_string_equal(fixture_dump(fx), before);
    assert_int_equal(reply->revision, fixture_revision(fx));
}

/* -------------------------------------------------------------------- bounds */

static Mxadm__V1__BatchCall **many_accounts(size_t count)
{
    Mxadm__V1__BatchCall **calls = calloc(count, sizeof(*calls));

    assert_non_null(calls);
    for (size_t i = 0; i < count; i++) {
        calls[i] = ACCOUNT(fixture_text(fx, "u%04zu", i));
    }
    return calls;
}

static void a_batch_has_up_to_a_thousand_calls(void **state)
{
    Mxadm__V1__BatchCall **calls = many_accounts(MANY + 1);
    uint64_t revision = fixture_revision(fx);
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply = ask_batch(fx, &root, NULL, false, calls, MANY + 1));
    assert_true(has_violation(reply, "calls"));
    assert_non_null(strstr(reply->words, "1000"));
    reply = OK(ask_batch(fx, &root, NULL, true, calls, MANY));
    assert_results(reply, MANY);
    assert_int_equal(fixture_revision(fx), revision + 1);
    assert_true(exists("u0000"));
    assert_true(exists("u0999"));
    /* The worst answer: a thousand refusals. */
    reply = OK(ask_batch(fx, &root, NULL, false, calls, MANY));
    assert_failed(reply, MANY - 1, "ACCOUNT_EXISTS");
    free(calls);
}

static void an_empty_batch_is_refused(void **state)
{
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply = ask_batch(fx, &root, NULL, true, NULL, 0));
    assert_true(has_violation(reply, "calls"));
}

static void only_changes_that_are_no_batches_can_be_in_a_batch(void **state)
{
    static const char *const methods[] = {
        "mxadm.v1.Admin/AccountGet",
        "mxadm.v1.Admin/Batch",
        "mxadm.v1.Admin/NoSuch",
        "grpc.health.v1.Health/Check",
        "AccountAdd",
        "",
        "mxadm.v1.Admin/ConfigApply",
        "mxadm.v1.Admin/ConfigRollback",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        for (int atomic = 0; atomic < 2; atomic++) {
            Mxadm__V1__BatchCall *calls[] = { ACCOUNT("bob"), bytes_call(methods[i], "") };
            const struct reply *reply = NULL;

            REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
                    reply = ask_batch(fx, &root, NULL, atomic != 0, calls, 2));
            assert_true(has_violation(reply, "calls[1].method"));
            assert_false(has_violation(reply, "calls[0].method"));
        }
    }
}

static void all_methods_that_can_not_be_are_named_at_once(void **state)
{
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply = EACH(bytes_call("x", ""), ACCOUNT("bob"), bytes_call("y", "")));
    assert_true(has_violation(reply, "calls[0].method"));
    assert_true(has_violation(reply, "calls[2].method"));
}

static void a_part_of_bad_bytes_fails_before_anything_is_done(void **state)
{
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply = ATOMIC(ACCOUNT("bob"), bytes_call("mxadm.v1.Admin/AccountAdd", "\xff")));
    assert_true(has_violation(reply, "calls[1].message"));
    assert_string_equal(metadata(reply, "index"), "1");
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            reply = ATOMIC(ACCOUNT("bob"), bytes_call("mxadm.v1.Admin/AccountAdd", "\n\1\xff")));
    assert_true(has_violation(reply, "calls[1].account"));
    reply = OK(EACH(bytes_call("mxadm.v1.Admin/AccountAdd", "\xff"), ACCOUNT("bob")));
    assert_failed(reply, 0, "INVALID_ARGUMENT");
    assert_done(reply, 1);
}

static void hostile_batches_are_refused(void **state)
{
    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask_message(fx, &root, "Batch", "\x0a\xff\xff\xff\xff\x0f", 6));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask_message(fx, &root, "Batch", "\x0a\x03\x0a\x01\xff", 5));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask_message(fx, &root, "Batch", "\x0a\x00", 2));
}

/* -------------------------------------------------------------------- roles */

static void each_part_needs_its_own_role(void **state)
{
    Mxadm__V1__BatchCall *calls[] = { dkim_call("example.org", "s1"), ACCOUNT("bob"),
                                      CALL("DomainAdd", "domain", "new.example", "account",
                                           "alice") };
    const struct reply *reply = NULL;

    (void) state;
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            reply = ask_batch(fx, &viewer, NULL, true, calls, 3));
    assert_string_equal(metadata(reply, "index"), "0");
    reply = OK(ask_batch(fx, &viewer, NULL, false, calls, 3));
    for (size_t i = 0; i < 3; i++) {
        assert_failed(reply, i, "ROLE_MISSING");
    }
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            reply = ask_batch(fx, &scoped, NULL, true, calls, 3));
    assert_string_equal(metadata(reply, "index"), "2");
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN", ask_batch(fx, &stranger, NULL, false, calls, 3));
    /* For what nobody may have no key is taken. */
    assert_int_equal(SPARE_ED25519, 0);
}

static void a_domain_administrator_changes_the_own_domains_only(void **state)
{
    Mxadm__V1__BatchCall *calls[] = { dkim_call("example.org", "s1"),
                                      dkim_call("other.example", "s1") };
    const struct reply *reply = NULL;

    (void) state;
    add_domain(fx, "other.example", "otto");
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            reply = ask_batch(fx, &scoped, NULL, true, calls, 2));
    assert_string_equal(metadata(reply, "index"), "1");
    reply = OK(ask_batch(fx, &scoped, NULL, false, calls, 2));
    assert_done(reply, 0);
    assert_failed(reply, 1, "DOMAIN_OUT_OF_SCOPE");
    assert_int_equal(SPARE_ED25519, 1);
}

/* ------------------------------------------------------------------- options */

static void validate_only_says_what_the_whole_batch_would_do(void **state)
{
    const struct options dry = { .validate_only = true };
    Mxadm__V1__BatchCall *calls[] = {
        CALL("DomainAdd", "domain", "new.example", "account", "nora", "localpart", "nora"),
        dkim_call("new.example", "extra"),
        CALL("AddressAdd", "account", "nora", "address", "n@new.example"),
        ACCOUNT("alice"), /* fails */
        ACCOUNT("bob"),
    };
    const char *before = fixture_dump(fx);
    const struct reply *reply = OK(ask_batch(fx, &root, &dry, false, calls, 5));

    (void) state;
    assert_string_equal(fixture_dump(fx), before);
    assert_int_equal(SPARE_ED25519, 0); /* none was made, let alone used */
    assert_results(reply, 5);
    assert_failed(reply, 3, "ACCOUNT_EXISTS");
    OK(ask_batch(fx, &root, NULL, false, calls, 5));
    assert_string_equal(plan_text(fx, reply), plan_of_dumps(fx, before, fixture_dump(fx)));
    REFUSES(fx, ALREADY_EXISTS, "DOMAIN_EXISTS", ask_batch(fx, &root, &dry, true, calls, 5));
}

static void if_revision_is_for_all_that_the_batch_writes(void **state)
{
    struct options options = { .if_revision = fixture_revision(fx) };
    Mxadm__V1__BatchCall *calls[] = { ACCOUNT("carol"), CALL("AccountRemove", "account", "bob") };

    (void) state;
    OK(EACH(ACCOUNT("bob")));
    REFUSES(fx, ABORTED, "REVISION_CHANGED", ask_batch(fx, &root, &options, false, calls, 2));
    REFUSES(fx, ABORTED, "REVISION_CHANGED", ask_batch(fx, &root, &options, true, calls, 2));
    options.if_revision = fixture_revision(fx);
    OK(ask_batch(fx, &root, &options, true, calls, 2));
}

static void a_batch_sent_again_gets_the_first_answer_after_a_restart_too(void **state)
{
    const struct options options = { .id = new_id() };
    Mxadm__V1__BatchCall *calls[] = { ACCOUNT("bob"), ACCOUNT("alice"),
                                      dkim_call("example.org", "s1") };
    const struct reply *first = OK(ask_batch(fx, &root, &options, false, calls, 3));

    (void) state;
    for (int i = 0; i < 2; i++) {
        const char *before = fixture_dump(fx);
        const struct reply *again = OK(ask_batch(fx, &root, &options, false, calls, 3));

        assert_int_equal(again->len, first->len);
        assert_memory_equal(again->bytes, first->bytes, first->len);
        assert_string_equal(fixture_dump(fx), before);
        assert_int_equal(SPARE_ED25519, 0); /* nobody made a key for it */
        fixture_restart(fx);
    }
    REFUSES(fx, ALREADY_EXISTS, "REQUEST_ID_REUSED",
            ask_batch(fx, &root, &options, true, calls, 3));
}

static void a_refused_batch_may_be_tried_again_under_its_id(void **state)
{
    const struct options options = { .id = new_id() };
    Mxadm__V1__BatchCall *calls[] = { ACCOUNT("bob"), CALL("AccountRemove", "account", "carol") };

    (void) state;
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", ask_batch(fx, &root, &options, true, calls, 2));
    OK(EACH(ACCOUNT("carol")));
    OK(ask_batch(fx, &root, &options, true, calls, 2));
}

/* ---------------------------------------------------------------------- keys */

static void a_batch_has_its_keys_before_it_is_begun(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = OK(ATOMIC(dkim_call("example.org", "s1"), dkim_call("example.org", "s2"),
                      CALL("DKIMAdd", "domain", "example.org", "selector", "s3"),
                      CALL("DomainAdd", "domain", "new.example", "account", "alice")));
    assert_results(reply, 4);
    assert_int_equal(SPARE_ED25519, 0);
    assert_int_equal(SPARE_RSA2048, 0);
}

/* Twenty RSA-4096 keys are not found in this time by any machine. */
#define SOON_MS 300

static Mxadm__V1__BatchCall **hungry(size_t count)
{
    Mxadm__V1__BatchCall **calls = calloc(count, sizeof(*calls));

    assert_non_null(calls);
    calls[0] = dkim_call("example.org", "quick");
    for (size_t i = 1; i < count; i++) {
        calls[i] = CALL("DKIMAdd", "domain", "example.org", "selector",
                        fixture_text(fx, "slow%zu", i), "algorithm", RSA4096);
    }
    return calls;
}

static void
a_batch_whose_keys_do_not_come_in_time_is_refused_and_gives_back_what_it_has(void **state)
{
    const struct options options = { .timeout_ms = SOON_MS };
    Mxadm__V1__BatchCall **calls = hungry(40);
    const struct reply *reply = NULL;

    (void) state;
    OK(ask(fx, &root, "AccountGet", "account", "alice", NULL));
    REFUSES(fx, RESOURCE_EXHAUSTED, "KEY_POOL_EMPTY",
            reply = ask_batch(fx, &root, &options, false, calls, 40));
    assert_non_null(reply->envelope->status->retry_info);
    free(calls);
    OK(ATOMIC(dkim_call("example.org", "other")));
}

static void who_waits_for_keys_keeps_no_other_change_waiting(void **state)
{
    Mxadm__V1__BatchCall **calls = hungry(100);
    struct pending *waiting = ask_batch_later(fx, &root, &patient, true, calls, 100);

    (void) state;
    OK(EACH(ACCOUNT("bob")));
    OK(EACH(ACCOUNT("carol"), dkim_call("example.org", "other")));
    assert_false(is_answered(waiting));
    fixture_restart(fx);
    REFUSED(await(waiting), UNAVAILABLE, "DRAINING");
    REFUSED(ask(fx, &root, "DKIMRemove", "domain", "example.org", "selector", "quick", NULL),
            NOT_FOUND, "SELECTOR_NOT_FOUND");
    free(calls);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_one_revision_made_by_batch),
        TEST(a_part_answers_what_the_operation_alone_answers),
        TEST(later_parts_see_what_earlier_ones_did),
        TEST(what_a_batch_adds_and_removes_again_leaves_no_change),
        TEST(a_failing_part_undoes_the_whole_atomic_batch_wherever_it_stands),
        TEST(an_atomic_batch_names_wrong_fields_by_the_part),
        TEST(a_failing_part_of_an_independent_batch_leaves_the_others),
        TEST(what_a_failed_part_did_is_undone_for_the_parts_after_it),
        TEST(a_batch_all_of_which_fails_changes_nothing_and_is_ok),
        TEST(a_batch_has_up_to_a_thousand_calls),
        TEST(an_empty_batch_is_refused),
        TEST(only_changes_that_are_no_batches_can_be_in_a_batch),
        TEST(all_methods_that_can_not_be_are_named_at_once),
        TEST(a_part_of_bad_bytes_fails_before_anything_is_done),
        TEST(hostile_batches_are_refused),
        TEST(each_part_needs_its_own_role),
        TEST(a_domain_administrator_changes_the_own_domains_only),
        TEST(validate_only_says_what_the_whole_batch_would_do),
        TEST(if_revision_is_for_all_that_the_batch_writes),
        TEST(a_batch_sent_again_gets_the_first_answer_after_a_restart_too),
        TEST(a_refused_batch_may_be_tried_again_under_its_id),
        TEST(a_batch_has_its_keys_before_it_is_begun),
        TEST(a_batch_whose_keys_do_not_come_in_time_is_refused_and_gives_back_what_it_has),
        TEST(who_waits_for_keys_keeps_no_other_change_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
