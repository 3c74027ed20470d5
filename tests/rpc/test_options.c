/*
 * What may be asked of any call: request_id, validate_only, if_revision, the deadline,
 * min_revision.
 */
#include "rpc_cases.h"

#include "rpc_plan.h"

#include <string.h>
#include <time.h>

#define RSA4096 "3"
#define ED25519 "4"

static struct fixture *fx;
static unsigned ids;

static int setup(void **state)
{
    static const struct fixture_options options = { .sqlite = true,
                                                    .key_directory = true,
                                                    .keys = "  ed25519: { low: 2, high: 2 }\n",
                                                    .limits = "  waiting_reads: 2\n" };

    (void) state;
    fx = fixture_create(&options);
    add_domain(fx, "example.org", "alice");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const char *new_id(void)
{
    return fixture_text(fx, "id-%013u", ids++);
}

static const struct reply *account_add(const struct options *options, const char *name)
{
    return ask_with(fx, &root, options, "AccountAdd", "account", name, "address",
                    fixture_text(fx, "%s@example.org", name), NULL);
}

static void assert_same_answer(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

/* -------------------------------------------------------------- request_id */

static void a_change_sent_again_is_not_done_again_and_gets_the_first_answer(void **state)
{
    const struct options options = { .id = new_id() };
    const struct reply *first = OK(account_add(&options, "bob"));
    uint64_t revision;

    (void) state;
    OK(account_add(NULL, "later"));
    revision = fixture_revision(fx);
    assert_same_answer(account_add(&options, "bob"), first);
    assert_int_equal(fixture_revision(fx), revision);
    fixture_restart(fx);
    assert_same_answer(account_add(&options, "bob"), first);
    assert_int_equal(fixture_revision(fx), revision);
    /* Also when what it added is gone since. */
    OK(ask(fx, &root, "AccountRemove", "account", "bob", NULL));
    assert_same_answer(account_add(&options, "bob"), first);
    REFUSED(ask(fx, &root, "AccountGet", "account", "bob", NULL), NOT_FOUND, "ACCOUNT_NOT_FOUND");
}

static void an_id_used_for_another_change_is_refused(void **state)
{
    const char *id = new_id();
    const struct options options = { .id = id };
    const struct options conditional = { .id = id, .if_revision = 1 };
    const struct reply *first = OK(account_add(&options, "carol"));

    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "REQUEST_ID_REUSED", account_add(&options, "carla"));
    REFUSES(fx, ALREADY_EXISTS, "REQUEST_ID_REUSED", account_add(&conditional, "carol"));
    REFUSES(fx, ALREADY_EXISTS, "REQUEST_ID_REUSED",
            ask_with(fx, &root, &options, "AccountRemove", "account", "carol", NULL));
    assert_same_answer(account_add(&options, "carol"), first);
}

static void an_id_belongs_to_who_made_it(void **state)
{
    const struct options options = { .id = new_id() };

    (void) state;
    OK(account_add(&options, "dora"));
    OK(ask_with(fx, &admin, &options, "AccountAdd", "account", "doris", "address",
                "doris@example.org", NULL));
}

static void a_refused_change_may_be_tried_again_under_its_id(void **state)
{
    const struct options options = { .id = new_id() };
    const struct reply *first;

    (void) state;
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND",
            ask_with(fx, &root, &options, "AddressAdd", "account", "erik", "address",
                     "e@example.org", NULL));
    OK(account_add(NULL, "erik"));
    first = OK(ask_with(fx, &root, &options, "AddressAdd", "account", "erik", "address",
                        "e@example.org", NULL));
    assert_same_answer(ask_with(fx, &root, &options, "AddressAdd", "account", "erik", "address",
                                "e@example.org", NULL),
                       first);
    /* Or become another change. */
    {
        const struct options other = { .id = new_id() };

        REFUSED(account_add(&other, "erik"), ALREADY_EXISTS, "ACCOUNT_EXISTS");
        OK(account_add(&other, "erika"));
    }
}

static void calls_in_flight_with_one_id_are_done_once(void **state)
{
    const struct options options = { .id = new_id() };
    struct pending *blocker;
    struct pending *same[8];
    uint64_t revision = fixture_revision(fx);

    (void) state;
    backend_gate_shut(fixture_gate(fx));
    blocker = ask_later(fx, &root, NULL, "AccountAdd", "account", "frank", "address",
                        "frank@example.org", NULL);
    assert_true(backend_gate_await(fixture_gate(fx)));
    for (size_t i = 0; i < 8; i++) {
        same[i] = ask_later(fx, &root, &options, "AccountAdd", "account", "frida", "address",
                            "frida@example.org", NULL);
    }
    backend_gate_open(fixture_gate(fx));
    OK(await(blocker));
    for (size_t i = 0; i < 8; i++) {
        assert_same_answer(OK(await(same[i])), await(same[0]));
    }
    assert_int_equal(fixture_revision(fx), revision + 2);
}

static void calls_in_flight_with_one_id_that_wait_for_keys_are_done_once(void **state)
{
    const struct options options = { .id = new_id() };
    struct pending *same[3];
    uint64_t revision = fixture_revision(fx);

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        same[i] = ask_later(fx, &root, &options, "DomainAdd", "domain", "keys.example", "account",
                            "kim", "localpart", "kim", NULL);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_same_answer(OK(await(same[i])), await(same[0]));
    }
    assert_int_equal(fixture_revision(fx), revision + 1);
}

static void reads_take_no_notice_of_an_id(void **state)
{
    const struct options options = { .id = new_id() };

    (void) state;
    OK(ask_with(fx, &root, &options, "AccountGet", "account", "alice", NULL));
    OK(ask_with(fx, &root, &options, "AccountGet", "account", "carol", NULL));
    OK(account_add(&options, "gerd"));
}

/* ----------------------------------------------------------- validate_only */

static const struct options validate = { .validate_only = true };

/* Asks with validate_only, then for real, and compares the plan with what happened. */
#define FOLLOWS_PLAN(method, ...)                                                                  \
    do {                                                                                           \
        const char *before_ = fixture_dump(fx);                                                    \
        const struct reply *plan_ = OK(ask_with(fx, &root, &validate, method, __VA_ARGS__, NULL)); \
        assert_true(plan_->envelope->n_changes > 0);                                               \
        assert_string_equal(fixture_dump(fx), before_);                                            \
        assert_int_equal(OK(ask(fx, &root, method, __VA_ARGS__, NULL))->envelope->n_changes, 0);   \
        assert_string_equal(plan_text(fx, plan_), plan_of_dumps(fx, before_, fixture_dump(fx)));   \
    } while (0)

static void the_plan_is_what_the_change_then_does(void **state)
{
    (void) state;
    FOLLOWS_PLAN("AccountAdd", "account", "hans", "address", "Hans.H@example.org");
    FOLLOWS_PLAN("AddressAdd", "account", "hans", "address", "h@example.org");
    FOLLOWS_PLAN("AddressAdd", "account", "hans", "address", "@example.org");
    FOLLOWS_PLAN("AddressRemove", "address", "H@example.org");
    FOLLOWS_PLAN("AddressRemove", "address", "@example.org");
    FOLLOWS_PLAN("DKIMAdd", "domain", "example.org", "selector", "p1", "algorithm", ED25519);
    FOLLOWS_PLAN("DKIMRemove", "domain", "example.org", "selector", "p1");
    FOLLOWS_PLAN("DomainAdd", "domain", "plan.example", "account", "paul", "localpart", "p");
    FOLLOWS_PLAN("DomainAdd", "domain", "plan2.example", "account", "hans");
    FOLLOWS_PLAN("AddressRemove", "address", "postmaster@plan2.example");
    FOLLOWS_PLAN("DomainRemove", "domain", "plan2.example");
    FOLLOWS_PLAN("AccountRemove", "account", "hans");
}

static void the_first_domain_plans_the_vaults_key_too(void **state)
{
    struct fixture *main_fixture = fx;

    (void) state;
    fx = fixture_create(NULL);
    FOLLOWS_PLAN("DomainAdd", "domain", "first.example", "account", "fay", "localpart", "fay");
    fixture_destroy(fx);
    fx = main_fixture;
}

static void a_validated_change_answers_as_the_real_one_would(void **state)
{
    const struct reply *planned = OK(account_add(&validate, "ida"));
    const Mxadm__V1__AccountAddResponse *plan = planned->message;
    const Mxadm__V1__AccountAddResponse *done = OK(account_add(NULL, "ida"))->message;

    (void) state;
    assert_int_equal(plan->account->revision, done->account->revision);
    plan->account->create_time = done->account->create_time;
    plan->account->update_time = done->account->update_time;
    assert_same_message(&plan->account->base, &done->account->base);
}

static void a_plan_has_no_key_material_and_takes_no_key(void **state)
{
    const time_t until = time(NULL) + 60;
    const Mxadm__V1__DKIMAddResponse *plan;

    (void) state;
    while (fixture_spare_keys(fx, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519) < 2) {
        assert_true(time(NULL) < until);
    }
    for (int i = 0; i < 10; i++) {
        plan = OK(ask_with(fx, &root, &validate, "DKIMAdd", "domain", "example.org", "selector",
                           "p9", "algorithm", ED25519, NULL))
                   ->message;
        assert_int_equal(plan->dkim_selector->public_key.len, 0);
        assert_int_equal(plan->dkim_selector->public_key_sha256.len, 0);
        assert_null(plan->record);
        assert_int_equal(
            fixture_spare_keys(fx, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519), 2);
    }
}

static void what_would_be_refused_is_refused(void **state)
{
    const struct options both = { .id = new_id(), .validate_only = true };

    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "ACCOUNT_EXISTS", account_add(&validate, "alice"));
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask_with(fx, &viewer, &validate, "AccountRemove", "account", "alice", NULL));
    REFUSES(fx, FAILED_PRECONDITION, "ACCOUNT_IN_USE",
            ask_with(fx, &root, &validate, "AccountRemove", "account", "alice", NULL));
    /* And is not remembered under an id. */
    OK(account_add(&both, "ines"));
    {
        const struct options real = { .id = both.id };

        OK(account_add(&real, "inge"));
    }
}

/* ------------------------------------------------------------- if_revision */

static void a_record_that_is_newer_than_believed_is_not_written(void **state)
{
    struct options options = { 0 };
    const struct reply *reply;
    uint64_t added = OK(account_add(NULL, "jan"))->revision;

    (void) state;
    OK(account_add(NULL, "jana"));
    options.if_revision = added - 1;
    REFUSES(fx, ABORTED, "REVISION_CHANGED",
            ask_with(fx, &root, &options, "AddressRemove", "address", "jan@example.org", NULL));
    reply = ask_with(fx, &root, &options, "AddressRemove", "address", "jan@example.org", NULL);
    assert_int_equal(reply->revision, fixture_revision(fx));
    assert_true(reply->revision > added);
    options.if_revision = added;
    OK(ask_with(fx, &root, &options, "AddressRemove", "address", "jan@example.org", NULL));
}

static void an_account_with_a_newer_address_is_not_removed(void **state)
{
    struct options options = { .if_revision = fixture_revision(fx) };

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "jana", "address", "j2@example.org", NULL));
    REFUSES(fx, ABORTED, "REVISION_CHANGED",
            ask_with(fx, &root, &options, "AccountRemove", "account", "jana", NULL));
    options.if_revision = fixture_revision(fx);
    OK(ask_with(fx, &root, &options, "AccountRemove", "account", "jana", NULL));
}

static void a_record_that_is_new_is_newer_than_nothing(void **state)
{
    const struct options options = { .if_revision = 1 };

    (void) state;
    OK(account_add(&options, "kaya"));
}

/* ---------------------------------------------------------------- deadline */

static void a_change_under_way_is_finished_whatever_the_time(void **state)
{
    const struct options options = { .timeout_ms = 50 };
    struct pending *slow;

    (void) state;
    backend_gate_shut(fixture_gate(fx));
    slow = ask_later(fx, &root, &options, "AccountAdd", "account", "lena", "address",
                     "lena@example.org", NULL);
    assert_true(backend_gate_await(fixture_gate(fx)));
    fixture_pass_time(fx, 100);
    assert_false(is_answered(slow));
    backend_gate_open(fixture_gate(fx));
    OK(await(slow));
}

static void a_wait_for_keys_ends_at_the_deadline(void **state)
{
    const struct options patient = { .timeout_ms = 3600 * 1000 };
    const struct options options = { .timeout_ms = 20 };
    struct pending *busy[4];
    const struct reply *reply;
    const char *before;

    (void) state;
    /* Both threads of the pool are at work for seconds, and more wait. */
    for (size_t i = 0; i < 4; i++) {
        busy[i] = ask_later(fx, &root, &patient, "DKIMKeyMake", "algorithm", RSA4096, NULL);
    }
    before = fixture_dump(fx);
    reply = ask_with(fx, &root, &options, "DomainAdd", "domain", "late.example", "account", "lasse",
                     "localpart", "lasse", NULL);
    REFUSED(reply, RESOURCE_EXHAUSTED, "KEY_POOL_EMPTY");
    assert_non_null(reply->envelope->status->retry_info);
    assert_int_equal(reply->revision, fixture_revision(fx));
    assert_string_equal(fixture_dump(fx), before);
    /* Stopping does not wait for them. */
    fixture_restart(fx);
    for (size_t i = 0; i < 4; i++) {
        assert_true(is_answered(busy[i]));
        if (await(busy[i])->code != MX_OK) {
            REFUSED(await(busy[i]), UNAVAILABLE, "DRAINING");
        }
    }
}

/* ------------------------------------------------------------ min_revision */

static void a_read_waits_for_the_revision_it_wants(void **state)
{
    const struct options options = { .min_revision = fixture_revision(fx) + 1 };
    struct pending *waiting =
        ask_later(fx, &viewer, &options, "AccountGet", "account", "mia", NULL);
    const struct reply *added;

    (void) state;
    assert_false(is_answered(waiting));
    added = OK(account_add(NULL, "mia"));
    assert_true(OK(await(waiting))->revision >= added->revision);
}

static void a_read_that_need_not_wait_is_answered_at_once(void **state)
{
    const struct options options = { .min_revision = fixture_revision(fx) };

    (void) state;
    assert_true(is_answered(ask_later(fx, &viewer, &options, "ServerInfo", NULL)));
    assert_true(is_answered(ask_later(fx, &viewer, NULL, "ServerInfo", NULL)));
}

static void a_revision_that_does_not_come_ends_with_the_deadline(void **state)
{
    const struct options options = { .min_revision = UINT64_MAX, .timeout_ms = 10 };
    const struct reply *reply = ask_with(fx, &viewer, &options, "ServerInfo", NULL);

    (void) state;
    REFUSED(reply, DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
    assert_int_equal(reply->revision, fixture_revision(fx));
}

static void not_more_reads_wait_than_the_setting_says(void **state)
{
    const struct options options = { .min_revision = fixture_revision(fx) + 1 };
    struct pending *waiting[2];

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        waiting[i] = ask_later(fx, &viewer, &options, "ServerInfo", NULL);
    }
    REFUSED(ask_with(fx, &viewer, &options, "ServerInfo", NULL), RESOURCE_EXHAUSTED,
            "TOO_MANY_WAITING");
    OK(account_add(NULL, "nora"));
    OK(await(waiting[0]));
    OK(await(waiting[1]));
}

static void changes_take_no_notice_of_min_revision(void **state)
{
    const struct options options = { .min_revision = UINT64_MAX };

    (void) state;
    OK(account_add(&options, "olga"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_sent_again_is_not_done_again_and_gets_the_first_answer),
        cmocka_unit_test(an_id_used_for_another_change_is_refused),
        cmocka_unit_test(an_id_belongs_to_who_made_it),
        cmocka_unit_test(a_refused_change_may_be_tried_again_under_its_id),
        cmocka_unit_test(calls_in_flight_with_one_id_are_done_once),
        cmocka_unit_test(calls_in_flight_with_one_id_that_wait_for_keys_are_done_once),
        cmocka_unit_test(reads_take_no_notice_of_an_id),
        cmocka_unit_test(the_plan_is_what_the_change_then_does),
        cmocka_unit_test(the_first_domain_plans_the_vaults_key_too),
        cmocka_unit_test(a_validated_change_answers_as_the_real_one_would),
        cmocka_unit_test(a_plan_has_no_key_material_and_takes_no_key),
        cmocka_unit_test(what_would_be_refused_is_refused),
        cmocka_unit_test(a_record_that_is_newer_than_believed_is_not_written),
        cmocka_unit_test(an_account_with_a_newer_address_is_not_removed),
        cmocka_unit_test(a_record_that_is_new_is_newer_than_nothing),
        cmocka_unit_test(a_change_under_way_is_finished_whatever_the_time),
        cmocka_unit_test(a_wait_for_keys_ends_at_the_deadline),
        cmocka_unit_test(a_read_waits_for_the_revision_it_wants),
        cmocka_unit_test(a_read_that_need_not_wait_is_answered_at_once),
        cmocka_unit_test(a_revision_that_does_not_come_ends_with_the_deadline),
        cmocka_unit_test(not_more_reads_wait_than_the_setting_says),
        cmocka_unit_test(changes_take_no_notice_of_min_revision),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
