/*
 * What a call hears when the backend fails in each way that the seam allows, and what is there
 * afterwards. The backend is the simulator.
 */
#include "rpc_cases.h"

#include "support/history.h"

#include <stdlib.h>
#include <string.h>

#define ALWAYS 1000

static struct fixture *fx;
static unsigned ids;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
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

static const struct reply *account_add(const char *id, const char *name)
{
    const struct options options = { .id = id };

    return ask_with(fx, &root, &options, "AccountAdd", "account", name, "address",
                    fixture_text(fx, "%s@example.org", name), NULL);
}

static const struct reply *account_get(const char *name)
{
    return ask(fx, &viewer, "AccountGet", "account", name, NULL);
}

/* AccountAdd while the backend has these faults. */
static const struct reply *add_amid(const struct backend_sim_faults *faults, const char *id,
                                    const char *name)
{
    const struct reply *reply;

    backend_sim_set_faults(fixture_sim(fx), faults);
    reply = account_add(id, name);
    backend_sim_set_faults(fixture_sim(fx), NULL);
    return reply;
}

/* ------------------------------------------------------------------ unknown */

static void a_commit_of_unknown_fate_that_was_applied_is_done(void **state)
{
    const struct backend_sim_faults faults = { .unknown_applied = ALWAYS };
    uint64_t revision = fixture_revision(fx);

    (void) state;
    assert_int_equal(OK(add_amid(&faults, NULL, "bob"))->revision, revision + 1);
    OK(account_get("bob"));
    assert_true(fixture_serves(fx));
    OK(account_add(NULL, "bob2"));
}

static void a_commit_of_unknown_fate_that_was_not_applied_is_refused(void **state)
{
    const struct backend_sim_faults faults = { .unknown_not_applied = ALWAYS };
    const char *before = fixture_dump(fx);
    const char *id = new_id();
    const struct reply *reply = add_amid(&faults, id, "carol");

    (void) state;
    REFUSED(reply, INTERNAL, "COMMIT_FAILED");
    assert_int_equal(reply->revision, fixture_revision(fx));
    assert_string_equal(fixture_dump(fx), before);
    assert_true(fixture_serves(fx));
    OK(account_add(id, "carol"));
}

static void a_commit_whose_fate_can_not_be_known_makes_the_server_read_only(void **state)
{
    const struct backend_sim_faults faults = { .unknown_applied = ALWAYS,
                                               .reopen_unavailable = ALWAYS };
    const char *id = new_id();
    const char *before = fixture_dump(fx);
    const struct reply *reply = add_amid(&faults, id, "dora");
    const struct reply *again;

    (void) state;
    REFUSED(reply, UNAVAILABLE, "COMMIT_UNKNOWN");
    assert_non_null(reply->envelope->status->retry_info);
    assert_int_equal(reply->revision, fixture_revision(fx));
    assert_false(fixture_serves(fx));
    /* Reads go on with what is certain; changes are not even tried. */
    OK(account_get("alice"));
    REFUSED(account_get("dora"), NOT_FOUND, "ACCOUNT_NOT_FOUND");
    REFUSED(account_add(NULL, "dieter"), UNAVAILABLE, "STORE_READ_ONLY");
    REFUSED(account_add(id, "dora"), UNAVAILABLE, "STORE_READ_ONLY");
    assert_string_equal(fixture_dump(fx), before);

    fixture_restart(fx);
    assert_true(fixture_serves(fx));
    OK(account_get("dora"));
    again = OK(account_add(id, "dora")); /* not a second time: the first answer */
    assert_int_equal(again->revision, fixture_revision(fx));
    REFUSED(account_get("dieter"), NOT_FOUND, "ACCOUNT_NOT_FOUND");
}

/* ------------------------------------------------------- certainly not applied */

static void a_full_disk_is_said_and_the_next_change_works(void **state)
{
    const struct {
        struct backend_sim_faults faults;
        enum mx_code code;
    } cases[] = {
        { { .read_only = ALWAYS }, MX_RESOURCE_EXHAUSTED },
        { { .failed = ALWAYS }, MX_INTERNAL },
        { { .too_big = ALWAYS }, MX_RESOURCE_EXHAUSTED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *name = fixture_text(fx, "erik%zu", i);
        const char *id = new_id();
        const char *before = fixture_dump(fx);
        const struct reply *reply = add_amid(&cases[i].faults, id, name);

        if (reply->code != cases[i].code) {
            fail_msg("case %zu: %s %s", i, mx_code_name(reply->code), reply->words);
        }
        assert_string_equal(reply->reason, "COMMIT_FAILED");
        assert_non_null(strstr(reply->words, "not made"));
        assert_int_equal(reply->revision, fixture_revision(fx));
        assert_string_equal(fixture_dump(fx), before);
        assert_true(fixture_serves(fx));
        OK(account_add(id, name));
    }
}

static void all_of_a_group_hear_that_its_commit_failed(void **state)
{
    const struct backend_sim_faults faults = { .failed = ALWAYS };
    struct pending *calls[10];

    (void) state;
    backend_gate_shut(fixture_gate(fx));
    calls[0] = ask_later(fx, &root, NULL, "AccountAdd", "account", "first", "address",
                         "first@example.org", NULL);
    assert_true(backend_gate_await(fixture_gate(fx)));
    for (int i = 1; i < 10; i++) {
        calls[i] = ask_later(fx, &root, NULL, "AccountAdd", "account", "same", "address",
                             "same@example.org", NULL);
    }
    backend_sim_set_faults(fixture_sim(fx), &faults);
    backend_gate_open(fixture_gate(fx));
    /* Also those that the group's first would have stood in the way of: it is not there. */
    for (int i = 0; i < 10; i++) {
        REFUSED(await(calls[i]), INTERNAL, "COMMIT_FAILED");
    }
    backend_sim_set_faults(fixture_sim(fx), NULL);
    OK(account_add(NULL, "same"));
}

/* ------------------------------------------------------------------ conflict */

static void add_rival(void *context, struct backend_sim_disk *disk)
{
    Mxadm__V1__Account account = MXADM__V1__ACCOUNT__INIT;
    struct group group;
    uint8_t packed[64];

    (void) context;
    account.name = (char *) "rival";
    group_init(&group);
    group_request(&group, NULL);
    group_put(&group, "arival", 6, packed, mxadm__v1__account__pack(&account, packed));
    backend_sim_append(disk, group_pack(&group));
    group_fini(&group);
    /* Once. */
    backend_sim_set_faults(fixture_sim(fx), NULL);
}

static void who_was_second_catches_up_and_is_done_again(void **state)
{
    const struct backend_sim_faults faults = { .conflict = ALWAYS };
    uint64_t revision = fixture_revision(fx);

    (void) state;
    backend_sim_set_rival(fixture_sim(fx), add_rival, NULL);
    assert_int_equal(OK(add_amid(&faults, NULL, "frank"))->revision, revision + 2);
    OK(account_get("rival"));
    OK(account_get("frank"));
    REFUSES(fx, ALREADY_EXISTS, "ACCOUNT_EXISTS", account_add(NULL, "rival"));
}

static void who_is_always_second_gives_up_and_may_come_again(void **state)
{
    const struct backend_sim_faults faults = { .conflict = ALWAYS };
    const char *id = new_id();
    const struct reply *reply;

    (void) state;
    backend_sim_set_rival(fixture_sim(fx), NULL, NULL);
    reply = add_amid(&faults, id, "gerd");
    REFUSED(reply, UNAVAILABLE, "CONTENTION");
    assert_non_null(reply->envelope->status->retry_info);
    assert_int_equal(reply->revision, fixture_revision(fx));
    REFUSED(account_get("gerd"), NOT_FOUND, "ACCOUNT_NOT_FOUND");
    OK(account_add(id, "gerd"));
}

static void a_request_that_another_instance_did_gets_its_answer(void **state)
{
    const struct backend_sim_faults faults = { .replay = ALWAYS };
    const char *id = new_id();
    const struct reply *first = OK(add_amid(&faults, id, "hanna"));
    const struct reply *second = OK(account_add(id, "hanna"));

    (void) state;
    OK(account_get("hanna"));
    assert_int_equal(first->len, second->len);
    assert_memory_equal(first->bytes, second->bytes, first->len);
}

/* A refusal may be the wrong answer to a repeat: where that can't be found out, it is not given. */
static void a_repeat_that_can_not_be_looked_up_now_is_not_refused(void **state)
{
    const struct backend_sim_faults faults = { .find_unavailable = ALWAYS };
    const char *id = new_id();
    const struct reply *first = OK(add_amid(&faults, id, "ida")); /* the commit knows no such id */
    const char *before = fixture_dump(fx);
    const struct reply *reply = add_amid(&faults, id, "ida");

    (void) state;
    REFUSED(reply, UNAVAILABLE, "REQUEST_ID_UNKNOWN");
    assert_int_equal(reply->revision, fixture_revision(fx));
    assert_string_equal(fixture_dump(fx), before);
    assert_int_equal(OK(account_add(id, "ida"))->revision, first->revision);
}

/* As a trim that failed leaves it: the store knows nothing of it. */
static void an_engine_left_in_doubt_is_opened_anew_by_the_next_call(void **state)
{
    const struct backend_sim_faults faults = { .unknown_not_applied = ALWAYS };
    struct backend *sim = fixture_sim(fx);
    struct position head = history_head(sim);
    struct group group;

    (void) state;
    group_init(&group);
    group_request(&group, "nobody's");
    backend_sim_set_faults(sim, &faults);
    assert_int_equal(group_commit_after(&group, sim, &head, &head, NULL), BACKEND_UNKNOWN);
    backend_sim_set_faults(sim, NULL);
    group_fini(&group);
    OK(account_add(new_id(), "ines"));
}

/* ---------------------------------------------------------------------- storm */

/* A client that does as the contract says: again under the same id until it knows. */
static void add_for_sure(const char *name)
{
    const char *id = new_id();
    const struct reply *reply;

    for (int i = 0; i < 200; i++) {
        reply = account_add(id, name);
        if (reply->code == MX_OK) {
            return;
        }
        if (!fixture_serves(fx)) {
            backend_sim_set_faults(fixture_sim(fx), NULL);
            fixture_restart(fx);
        }
    }
    fail_msg("'%s' was not added in 200 tries: %s", name, reply->words);
}

static void in_a_storm_of_faults_everything_is_done_exactly_once(void **state)
{
    static const struct backend_sim_faults storm = {
        .unavailable = 50,
        .replay = 50,
        .conflict = 50,
        .too_big = 30,
        .read_only = 30,
        .failed = 50,
        .unknown_not_applied = 80,
        .unknown_applied = 80,
        .tail_compacted = 50,
        .tail_late = 50,
        .find_unavailable = 30,
        .barrier_unavailable = 200,
        .reopen_unavailable = 200,
    };
    const Mxadm__V1__AccountListResponse *list;
    const char *before;

    (void) state;
    for (int i = 0; i < 200; i++) {
        backend_sim_set_faults(fixture_sim(fx), &storm);
        add_for_sure(fixture_text(fx, "storm%03d", i));
    }
    backend_sim_set_faults(fixture_sim(fx), NULL);
    OK(account_add(NULL, "calm"));
    list =
        OK(ask(fx, &viewer, "AccountList", "prefix", "storm", "page_size", "1000", NULL))->message;
    assert_int_equal(list->n_accounts, 200);
    before = fixture_dump(fx);
    fixture_restart(fx);
    assert_string_equal(fixture_dump(fx), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_of_unknown_fate_that_was_applied_is_done),
        cmocka_unit_test(a_commit_of_unknown_fate_that_was_not_applied_is_refused),
        cmocka_unit_test(a_commit_whose_fate_can_not_be_known_makes_the_server_read_only),
        cmocka_unit_test(a_full_disk_is_said_and_the_next_change_works),
        cmocka_unit_test(all_of_a_group_hear_that_its_commit_failed),
        cmocka_unit_test(who_was_second_catches_up_and_is_done_again),
        cmocka_unit_test(who_is_always_second_gives_up_and_may_come_again),
        cmocka_unit_test(a_request_that_another_instance_did_gets_its_answer),
        cmocka_unit_test(a_repeat_that_can_not_be_looked_up_now_is_not_refused),
        cmocka_unit_test(an_engine_left_in_doubt_is_opened_anew_by_the_next_call),
        cmocka_unit_test(in_a_storm_of_faults_everything_is_done_exactly_once),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
