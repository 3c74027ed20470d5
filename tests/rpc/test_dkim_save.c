/*
 * DKIMSave. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"
#include "save_cases.h"

#include "model/dkim.h"

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "bob");
    OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "sel", "algorithm", "4",
           NULL));
    OK(ask(fx, &root, "DKIMAdd", "domain", "other.example", "selector",
           "b\xc3\xbc"
           "cher",
           "algorithm", "4", NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__DkimSelector *saved(const struct reply *reply)
{
    return ((const Mxadm__V1__DKIMSaveResponse *) OK(reply)->message)->dkim_selector;
}

static const struct save_form all = {
    "DKIMSave", "dkim_selector { domain: 'example.org' name: 'sel' %s } update_mask { paths: '*' }"
};

static void values_are_held_against_the_contract(void **state)
{
    static const struct save_case cases[] = {
        { "3.3-06 hash by default", "state: STATE_PENDING", NULL },
        { "3.3-06 state absent", "", "dkim_selector.state" },
        { "3.3-06 expiration", "state: STATE_PENDING expiration { seconds: 0 }",
          "dkim_selector.expiration" },
        { "3.3-06 expiration", "state: STATE_PENDING expiration { seconds: -1 }",
          "dkim_selector.expiration" },
        { "3.3-06 expiration", "state: STATE_PENDING expiration { seconds: 1 nanos: 1 }",
          "dkim_selector.expiration" },
        { "3.3-06 expiration", "state: STATE_PENDING expiration { seconds: 316224001 }",
          "dkim_selector.expiration" },
        { "3.3-06 expiration", "state: STATE_PENDING expiration { seconds: 316224000 }", NULL },
        { "3.3-06 sha1", "state: STATE_PENDING hash: HASH_SHA1", "dkim_selector.hash" },
        { "3.3-06 From", "state: STATE_PENDING headers: 'Subject'", "dkim_selector.headers" },
        { "3.3-06 From", "state: STATE_PENDING headers: 'fROM' headers: 'Subject'", NULL },
        { "3.3-06 twice", "state: STATE_PENDING headers: 'From' headers: 'from'",
          "dkim_selector.headers[1]" },
        { "3.3-06 name", "state: STATE_PENDING headers: 'From' headers: 'A:'",
          "dkim_selector.headers[1]" },
        { "3.3-06 name", "state: STATE_PENDING headers: 'From' headers: 'A b'",
          "dkim_selector.headers[1]" },
        { "3.3-06 name", "state: STATE_PENDING headers: 'From' headers: ''",
          "dkim_selector.headers[1]" },
    };

    (void) state;
    TRY(fx, &all, cases);
}

/* -------------------------------------------------------------------- life */

#define STATES 5

static const struct reply *move_to(const char *name, int to)
{
    return ask(fx, &root, "DKIMSave", "dkim_selector.domain", "example.org", "dkim_selector.name",
               name, "dkim_selector.state", fixture_text(fx, "%d", to), "update_mask.paths",
               "state", NULL);
}

/* A new selector in a state. */
static const char *selector_in(int state)
{
    static int number;
    const char *name = fixture_text(fx, "s%d", number++);

    OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", name, "algorithm", "4",
           NULL));
    OK(move_to(name, state));
    return name;
}

static void a_selector_moves_as_its_table_says(void **state)
{
    (void) state;
    for (int from = 1; from < STATES; from++) {
        for (int to = 1; to < STATES; to++) {
            const char *name = selector_in(from);

            if (dkim_may_move((Mxadm__V1__DkimSelector__State) from,
                              (Mxadm__V1__DkimSelector__State) to)) {
                assert_int_equal(saved(move_to(name, to))->state, to);
            } else {
                assert_true(has_blocker(
                    REFUSED(move_to(name, to), FAILED_PRECONDITION, "STATE_TRANSITION"),
                    "dkim selector", fixture_text(fx, "%s._domainkey.example.org", name)));
            }
            OK(ask(fx, &root, "DKIMRemove", "domain", "example.org", "selector", name, NULL));
        }
    }
}

static unsigned reachable_from(unsigned states)
{
    for (int from = 1; from < STATES; from++) {
        for (int to = 1; (states & 1U << from) != 0 && to < STATES; to++) {
            if (dkim_may_move((Mxadm__V1__DkimSelector__State) from,
                              (Mxadm__V1__DkimSelector__State) to)) {
                states |= 1U << to;
            }
        }
    }
    return states;
}

static void every_state_can_be_reached_and_only_the_last_is_final(void **state)
{
    unsigned all_states = 1U << 1 | 1U << 2 | 1U << 3 | 1U << 4;

    (void) state;
    assert_int_equal(reachable_from(reachable_from(1U << 1)), all_states);
    for (int from = 1; from < STATES - 1; from++) {
        assert_true((reachable_from(1U << from) & 1U << (STATES - 1)) != 0);
    }
    assert_int_equal(reachable_from(1U << (STATES - 1)), 1U << (STATES - 1));
    /* The design's line, and the way back of who changed their mind; never back to pending. */
    assert_true(dkim_may_move(MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRING,
                              MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE));
    assert_false(dkim_may_move(MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE,
                               MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING));
    assert_false(dkim_may_move(MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRED,
                               MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE));
    assert_false(dkim_may_move(MXADM__V1__DKIM_SELECTOR__STATE__STATE_UNSPECIFIED,
                               MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE));
}

/* ------------------------------------------------------------------ saving */

static void a_selector_is_found_in_any_spelling_and_keeps_its_key(void **state)
{
    const Mxadm__V1__DkimSelector *first =
        saved(ask(fx, &root, "DKIMSave", "dkim_selector.domain", "other.example",
                  "dkim_selector.name", "XN--BCHER-KVA", "dkim_selector.body_relaxed", "1",
                  "update_mask.paths", "body_relaxed", NULL));
    const Mxadm__V1__DkimSelector *second = saved(
        ask(fx, &root, "DKIMSave", "dkim_selector.domain", "OTHER.example", "dkim_selector.name",
            "b\xc3\xbc"
            "cher",
            "dkim_selector.state", "2", "dkim_selector.hash", "1", "dkim_selector.algorithm", "1",
            "dkim_selector.key_file", "../x", "dkim_selector.ascii_name", "x", "update_mask.paths",
            "*", NULL));

    (void) state;
    assert_true(first->body_relaxed);
    assert_string_equal(second->name, "b\xc3\xbc"
                                      "cher");
    assert_string_equal(second->ascii_name, "xn--bcher-kva");
    assert_int_equal(second->algorithm, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519);
    assert_string_equal(second->key_file, first->key_file);
    assert_int_equal(second->public_key.len, first->public_key.len);
    assert_memory_equal(second->public_key.data, first->public_key.data, first->public_key.len);
    assert_int_equal(second->state, MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE);
    assert_false(second->body_relaxed); /* "*" takes what is absent, too */
}

static void what_is_not_there_or_not_named_is_said(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "SELECTOR_NOT_FOUND", move_to("nothing", 2));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            ask(fx, &root, "DKIMSave", "dkim_selector.domain", "elsewhere.example",
                "dkim_selector.name", "sel", "update_mask.paths", "*", NULL));
    assert_true(has_violation(REFUSED(ask(fx, &root, "DKIMSave", "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "dkim_selector"));
    assert_true(has_violation(REFUSED(ask(fx, &root, "DKIMSave", "dkim_selector.domain", "a b",
                                          "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "dkim_selector.domain"));
}

static const struct reply *save_seal(const struct rpc_peer *peer, const struct options *options,
                                     const char *domain, const char *selector, const char *value)
{
    return ask_with(fx, peer, options, "DKIMSave", "dkim_selector.domain", domain,
                    "dkim_selector.name", selector, "dkim_selector.dont_seal_headers", value,
                    "update_mask.paths", "dont_seal_headers", NULL);
}

static void a_domain_administrator_saves_in_the_own_domains_alone(void **state)
{
    (void) state;
    OK(save_seal(&scoped, NULL, "example.org", "sel", "1"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            save_seal(&scoped, NULL, "other.example", "xn--bcher-kva", "1"));
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            save_seal(&viewer, NULL, "example.org", "sel", "0"));
}

static void what_is_saved_again_or_only_tried_is_no_revision(void **state)
{
    struct options tried = { .validate_only = true };
    const char *before;
    uint64_t revision;

    (void) state;
    OK(save_seal(&root, NULL, "example.org", "sel", "1"));
    revision = fixture_revision(fx);
    OK(save_seal(&root, NULL, "example.org", "sel", "1"));
    assert_true(fixture_revision(fx) == revision);
    before = fixture_dump(fx);
    assert_false(saved(save_seal(&root, &tried, "example.org", "sel", "0"))->dont_seal_headers);
    assert_string_equal(fixture_dump(fx), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_held_against_the_contract),
        cmocka_unit_test(a_selector_moves_as_its_table_says),
        cmocka_unit_test(every_state_can_be_reached_and_only_the_last_is_final),
        cmocka_unit_test(a_selector_is_found_in_any_spelling_and_keeps_its_key),
        cmocka_unit_test(what_is_not_there_or_not_named_is_said),
        cmocka_unit_test(a_domain_administrator_saves_in_the_own_domains_alone),
        cmocka_unit_test(what_is_saved_again_or_only_tried_is_no_revision),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
