/*
 * Rules of mox-behaviour.md that no noun's own test has: each test is one rule, on a configuration
 * of its own. tests/rules.txt lists all rules and what proves them.
 */
#include "rpc_cases.h"

#include <stdlib.h>
#include <string.h>

#define VIA(name) MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_##name

static struct fixture *fx;

/* Domains example.org and other.example, each with an account and an address of its name. */
static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "otto");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__AddressLookupResponse *lookup(const char *address)
{
    return OK(ask(fx, &viewer, "AddressLookup", "address", address, NULL))->message;
}

static const struct reply *address_add(const char *address, const char *account)
{
    return ask(fx, &root, "AddressAdd", "address", address, "account", account, NULL);
}

/* --------------------------------------------------------------------- DKIM */

static const struct reply *dkim_add(const char *selector, const char *field, const char *value)
{
    static const struct options plan = { .validate_only = true };

    return ask_with(fx, &root, &plan, "DKIMAdd", "domain", "example.org", "selector", selector,
                    field, value, NULL);
}

static void rule_1_08_01_only_known_hashes(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added = OK(dkim_add("s", "hash", "0"))->message;

    (void) state;
    assert_int_equal(added->dkim_selector->hash, MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256);
    OK(dkim_add("s", "hash", "1"));
    assert_true(has_violation(REFUSED(dkim_add("s", "hash", "2"), INVALID_ARGUMENT, NULL), "hash"));
    assert_true(has_violation(REFUSED(dkim_add("s", "hash", "3"), INVALID_ARGUMENT, NULL), "hash"));
}

static void rule_1_08_02_only_known_algorithms(void **state)
{
    static const char *const known[] = { "0", "1", "2", "3", "4" };

    (void) state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        OK(dkim_add("s", "algorithm", known[i]));
    }
    assert_true(has_violation(REFUSED(dkim_add("s", "algorithm", "5"), INVALID_ARGUMENT, NULL),
                              "algorithm"));
}

static void rule_1_08_10_what_no_key_could_mend_is_refused_before_one_is_made(void **state)
{
    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, NULL,
            ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s", "algorithm", "4",
                "hash", "2", NULL));
    REFUSES(
        fx, INVALID_ARGUMENT, NULL,
        ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s", "headers", "To", NULL));
}

/* ------------------------------------------------------------------ domains */

static void rule_1_10_02_without_a_listener_for_it_a_domain_has_no_mta_sts(void **state)
{
    static const struct fixture_options without = { .no_mta_sts = true };
    const Mxadm__V1__DomainAddResponse *added;

    (void) state;
    fixture_destroy(fx);
    fx = fixture_create(&without);
    added = OK(ask(fx, &root, "DomainAdd", "domain", "new.example", "account", "nina", "localpart",
                   "nina", NULL))
                ->message;
    assert_null(added->domain->mta_sts);
}

static void rule_1_11_06_the_last_domain_may_go(void **state)
{
    const Mxadm__V1__DomainListResponse *list;

    (void) state;
    OK(ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
    OK(ask(fx, &root, "DomainRemove", "domain", "example.org", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", "otto@other.example", NULL));
    OK(ask(fx, &root, "DomainRemove", "domain", "other.example", NULL));
    fixture_restart(fx);
    list = OK(ask(fx, &viewer, "DomainList", NULL))->message;
    assert_int_equal(list->total, 0);
    add_domain(fx, "new.example", "nina");
}

/* ---------------------------------------------------------------- addresses */

static void rule_1_15_06_postmaster_is_an_ordinary_localpart(void **state)
{
    (void) state;
    OK(address_add("postmaster@example.org", "otto"));
    assert_string_equal(lookup("Postmaster@example.org")->account, "otto");
    assert_int_equal(lookup("Postmaster@example.org")->via, VIA(ADDRESS));
}

static void rule_1_16_04_a_new_address_has_no_settings(void **state)
{
    const Mxadm__V1__AddressAddResponse *added =
        OK(address_add("Bob@example.org", "alice"))->message;
    const Mxadm__V1__Address *address = added->address;

    (void) state;
    assert_string_equal(address->address, "Bob@example.org");
    assert_string_equal(address->canonical_address, "bob@example.org");
    assert_string_equal(address->mailbox, "");
    assert_string_equal(address->smtp_error, "");
    assert_string_equal(address->message_auth_required_smtp_error, "");
    assert_string_equal(address->full_name, "");
    assert_int_equal(address->n_rulesets, 0);
}

static void rule_1_16_08_an_address_of_an_unknown_domain_is_not_found(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            ask(fx, &root, "AddressRemove", "address", "alice@none.example", NULL));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            ask(fx, &root, "AddressRemove", "address", "@none.example", NULL));
    REFUSES(fx, INVALID_ARGUMENT, NULL, ask(fx, &root, "AddressRemove", "address", "alice@", NULL));
}

static void rule_1_16_14_the_last_address_of_a_domain_may_go(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
    /* Upstream's domain would not be local any more (5.6-02). */
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "alice@example.org", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    OK(address_add("alice@example.org", "alice"));
}

/* ------------------------------------------------------------------- lookup */

static void rule_5_5_02_a_host_is_the_settings_name_or_that_of_a_listener_with_smtp(void **state)
{
    (void) state;
    assert_int_equal(lookup("postmaster")->via, VIA(POSTMASTER));
    assert_int_equal(lookup("postmaster@mail.example.com")->via, VIA(POSTMASTER));
    assert_int_equal(lookup("postmaster@mx2.example.com")->via, VIA(POSTMASTER));
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "postmaster@mx3.example.com", NULL),
            NOT_FOUND, "DOMAIN_NOT_FOUND");
}

static void rule_5_5_09_postmaster_of_any_domain_also_with_a_tag_is_the_settings(void **state)
{
    static const char *const addresses[] = { "postmaster@example.org", "postmaster+x@example.org",
                                             "POSTMASTER+x@example.org" };

    (void) state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const Mxadm__V1__AddressLookupResponse *found = lookup(addresses[i]);

        assert_int_equal(found->via, VIA(POSTMASTER));
        assert_string_equal(found->account, "postmaster");
        assert_string_equal(found->canonical_address, "postmaster");
        REFUSED(ask(fx, &viewer, "AddressLookup", "address", addresses[i], "exclude_postmaster",
                    "1", NULL),
                NOT_FOUND, "ADDRESS_NOT_FOUND");
    }
}

/* --------------------------------------------------------------- bugs, 12 */

static void rule_b05_what_a_file_could_not_hold_is_stored_and_read_back(void **state)
{
    static const char *const addresses[] = {
        "\"a:b\"@example.org", "#x@example.org",         "\"\"@example.org",
        "\" a \"@example.org", "\"a\\\"b\"@example.org", "nil@example.org",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        OK(address_add(addresses[i], "alice"));
    }
    fixture_restart(fx);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const Mxadm__V1__AddressGetResponse *got =
            OK(ask(fx, &viewer, "AddressGet", "address", addresses[i], NULL))->message;

        assert_string_equal(got->address->address, addresses[i]);
        assert_string_equal(got->address->account, "alice");
    }
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(rule_1_08_01_only_known_hashes),
        RULE(rule_1_08_02_only_known_algorithms),
        RULE(rule_1_08_10_what_no_key_could_mend_is_refused_before_one_is_made),
        RULE(rule_1_10_02_without_a_listener_for_it_a_domain_has_no_mta_sts),
        RULE(rule_1_11_06_the_last_domain_may_go),
        RULE(rule_1_15_06_postmaster_is_an_ordinary_localpart),
        RULE(rule_1_16_04_a_new_address_has_no_settings),
        RULE(rule_1_16_08_an_address_of_an_unknown_domain_is_not_found),
        RULE(rule_1_16_14_the_last_address_of_a_domain_may_go),
        RULE(rule_5_5_02_a_host_is_the_settings_name_or_that_of_a_listener_with_smtp),
        RULE(rule_5_5_09_postmaster_of_any_domain_also_with_a_tag_is_the_settings),
        RULE(rule_b05_what_a_file_could_not_hold_is_stored_and_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
