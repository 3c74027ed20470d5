/*
 * AddressAdd, AddressRemove, AddressGet, AddressLookup. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"

#include <string.h>

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "mail.example.com", "hugo");
    add_domain(fx,
               "b\xc3\xbc"
               "cher.example",
               "books");
    OK(ask(fx, &root, "AccountAdd", "account", "bob", "address", "bob@example.org", NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const struct reply *address_add(const char *account, const char *address)
{
    return ask(fx, &root, "AddressAdd", "account", account, "address", address, NULL);
}

static const struct reply *address_remove(const char *address)
{
    return ask(fx, &root, "AddressRemove", "address", address, NULL);
}

static const struct reply *address_get(const char *address)
{
    return ask(fx, &viewer, "AddressGet", "address", address, NULL);
}

static const Mxadm__V1__AddressLookupResponse *lookup(const char *address)
{
    return OK(ask(fx, &viewer, "AddressLookup", "address", address, NULL))->message;
}

#define VIA(name) MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_##name

/* ------------------------------------------------------------------ adding */

static void rule_1_16_03_an_address_is_stored_as_given_and_found_by_its_canonical_form(void **state)
{
    const Mxadm__V1__AddressAddResponse *added =
        OK(address_add("bob", "Rob.ert@EXAMPLE.org"))->message;

    (void) state;
    assert_string_equal(added->address->address, "Rob.ert@example.org");
    assert_string_equal(added->address->canonical_address, "rob.ert@example.org");
    assert_string_equal(added->address->domain, "example.org");
    assert_string_equal(added->address->account, "bob");
    OK(address_get("\"ROB.ert\"@example.org"));
    OK(address_get("rob.ert+tag@example.org")); /* canonical: cut at the separator */
}

static void rule_1_16_02_a_catchall_is_one_for_each_domain(void **state)
{
    const Mxadm__V1__AddressAddResponse *added = OK(address_add("bob", "@Example.ORG"))->message;

    (void) state;
    assert_string_equal(added->address->address, "@example.org");
    assert_int_equal(added->address->kind, MXADM__V1__ADDRESS__KIND__KIND_CATCHALL);
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("alice", "@example.org"));
    OK(address_add("alice", "@xn--bcher-kva.example"));
}

static void rule_1_15_02_an_address_is_taken_in_whatever_spelling(void **state)
{
    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("alice", "ROB.ERT@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("bob", "rob.ert@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("alice", "\"bob\"@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("bob", "tlsreports@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", address_add("bob", "DmarcReports@example.org"));
}

static void rule_1_15_02_the_hosts_own_addresses_are_taken(void **state)
{
    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            address_add("bob", "TLS-reports@mail.example.com"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            address_add("bob", "PostMaster@mail.example.com"));
    OK(address_add("bob", "postmaster@xn--bcher-kva.example"));
}

static void rule_1_16_01_the_account_must_exist(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", address_add("nobody", "x@example.org"));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", address_add("bob", "x@none.example"));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", address_add("bob", "@none.example"));
}

static void an_account_and_a_domain_that_are_missing_are_both_said(void **state)
{
    const struct reply *reply =
        REFUSED(address_add("nobody", "x@none.example"), NOT_FOUND, "ACCOUNT_NOT_FOUND");

    (void) state;
    assert_non_null(strstr(reply->words, "none.example"));
}

static void names_are_checked_and_the_wrong_one_is_named(void **state)
{
    const struct {
        const char *account, *address, *field;
    } cases[] = {
        { "bob", "", "address" },
        { "bob", "@", "address" },
        { "bob", "@@example.org", "address" },
        { "bob", "x+y@example.org", "address" },
        { "bob", "x\ty@example.org", "address" },
        { "bob", "\"x\\\n\"@example.org", "address" },
        { "bob", "x@example.org\n", "address" },
        { "bob", "x@\xe2\x80\xae.example", "address" },
        { "bob", fixture_text(fx, "%s@example.org", repeated(fx, "\xc3\x84", 65)), "address" },
        { "bob", fixture_text(fx, "%s@example.org", repeated(fx, "\"", 65536)), "address" },
        { "", "x@example.org", "account" },
        { "b/ob", "x@example.org", "account" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *before = fixture_dump(fx);
        const struct reply *reply =
            REFUSED(address_add(cases[i].account, cases[i].address), INVALID_ARGUMENT, NULL);

        if (!has_violation(reply, cases[i].field)) {
            fail_msg("case %zu: '%s' is not named: %s", i, cases[i].field, reply->words);
        }
        assert_true(reply->len < 2048);
        assert_string_equal(fixture_dump(fx), before);
    }
}

static void all_wrong_fields_are_named_at_once(void **state)
{
    const struct reply *reply = REFUSED(address_add("..", "x"), INVALID_ARGUMENT, NULL);

    (void) state;
    assert_true(has_violation(reply, "account"));
    assert_true(has_violation(reply, "address"));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "AddressAdd", "address");
    refuses_hostile_bytes(fx, "AddressAdd", "account");
    refuses_hostile_bytes(fx, "AddressRemove", "address");
    refuses_hostile_bytes(fx, "AddressGet", "address");
    refuses_hostile_bytes(fx, "AddressLookup", "address");
}

/* ------------------------------------------------------------------- roles */

static void who_may_not_change_addresses_changes_none(void **state)
{
    static const struct rpc_peer *const readers[] = { &viewer, &key_reader, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        REFUSES(
            fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask(fx, readers[i], "AddressAdd", "account", "bob", "address", "e@example.org", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, readers[i], "AddressRemove", "address", "bob@example.org", NULL));
    }
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
            ask(fx, &stranger, "AddressRemove", "address", "bob@example.org", NULL));
    REFUSED(ask(fx, &stranger, "AddressLookup", "address", "bob@example.org", NULL),
            UNAUTHENTICATED, "CALLER_UNKNOWN");
}

static void a_domain_administrator_works_in_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "AddressAdd", "account", "bob", "address", "s@example.org", NULL));
    OK(ask(fx, &scoped, "AddressLookup", "address", "s@example.org", NULL));
    OK(ask(fx, &scoped, "AddressGet", "address", "s@example.org", NULL));
    OK(ask(fx, &scoped, "AddressRemove", "address", "s@example.org", NULL));
    REFUSES(
        fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
        ask(fx, &scoped, "AddressAdd", "account", "bob", "address", "s@mail.example.com", NULL));
    /* An address in an own domain would make the account of others one's own to see. */
    OK(ask(fx, &root, "AccountAdd", "account", "foreign", "address", "foreign@mail.example.com",
           NULL));
    REFUSES(fx, PERMISSION_DENIED, "ACCOUNT_OUT_OF_SCOPE",
            ask(fx, &scoped, "AddressAdd", "account", "foreign", "address", "s@example.org", NULL));
    REFUSED(ask(fx, &scoped, "AccountGet", "account", "foreign", NULL), PERMISSION_DENIED,
            "ACCOUNT_OUT_OF_SCOPE");
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AddressRemove", "address", "hugo@mail.example.com", NULL));
    REFUSED(ask(fx, &scoped, "AddressGet", "address", "hugo@mail.example.com", NULL),
            PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "AddressLookup", "address", "hugo@mail.example.com", NULL),
            PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "AddressLookup", "address", "x@none.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
}

/* ---------------------------------------------------------------- removing */

static void rule_1_16_07_an_address_is_removed_in_whatever_spelling(void **state)
{
    (void) state;
    OK(address_add("bob", "Foo.Bar@example.org"));
    OK(address_remove("foo.BAR@EXAMPLE.org"));
    REFUSED(address_get("foo.bar@example.org"), NOT_FOUND, "ADDRESS_NOT_FOUND");
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", address_remove("foo.bar@example.org"));
    OK(address_add("alice", "foo.bar@example.org"));
    OK(address_remove("foo.bar@example.org"));
}

static void rule_1_16_05_what_is_not_there_is_not_found(void **state)
{
    const struct reply *reply = address_remove("none@example.org");

    (void) state;
    REFUSED(reply, NOT_FOUND, "ADDRESS_NOT_FOUND");
    assert_string_equal(reply->envelope->status->resource_info->resource_name, "none@example.org");
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", address_remove("x@none.example"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", address_remove("@mail.example.com"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, address_remove(""));
    /* The catchall gets mail for it, but has not this address. */
    REFUSED(address_get("none@example.org"), NOT_FOUND, "ADDRESS_NOT_FOUND");
}

static void rule_1_16_07_report_addresses_stay(void **state)
{
    (void) state;
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE", address_remove("dmarcreports@example.org"));
    assert_true(has_blocker(address_remove("TLSreports@example.org"), "domain", "example.org"));
}

static void rule_1_16_13_an_account_may_lose_its_last_address(void **state)
{
    const Mxadm__V1__AccountGetResponse *got;

    (void) state;
    OK(ask(fx, &root, "AccountAdd", "account", "lone", "address", "lone@example.org", NULL));
    OK(address_remove("lone@example.org"));
    got = OK(ask(fx, &viewer, "AccountGet", "account", "lone", NULL))->message;
    assert_int_equal(got->address_count, 0);
}

/* -------------------------------------------------------------- looking up */

static void rule_5_5_07_an_address_is_found_by_its_canonical_form(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found = lookup("BOB+anything@Example.Org");

    (void) state;
    assert_int_equal(found->via, VIA(ADDRESS));
    assert_string_equal(found->account, "bob");
    assert_string_equal(found->canonical_address, "bob@example.org");
    assert_string_equal(found->address->address, "bob@example.org");
    assert_false(found->domain_disabled);
}

static void rule_5_5_08_what_nothing_has_goes_to_the_catchall(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found = lookup("nobody@example.org");

    (void) state;
    assert_int_equal(found->via, VIA(CATCHALL));
    assert_string_equal(found->account, "bob");
    assert_string_equal(found->canonical_address, "@example.org");
}

static void rule_5_5_10_the_catchall_comes_before_the_postmaster(void **state)
{
    (void) state;
    assert_int_equal(lookup("postmaster@example.org")->via, VIA(CATCHALL));
    OK(address_remove("@example.org"));
    assert_int_equal(lookup("postmaster@example.org")->via, VIA(POSTMASTER));
    assert_int_equal(lookup("Postmaster+x@example.org")->via, VIA(POSTMASTER));
}

static void rule_5_5_03_postmaster_of_a_host_is_the_settings(void **state)
{
    static const char *const addresses[] = { "postmaster", "POSTMASTER",
                                             "Postmaster@mail.example.com",
                                             "postmaster@mx2.example.com" };

    (void) state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const Mxadm__V1__AddressLookupResponse *found = lookup(addresses[i]);

        assert_int_equal(found->via, VIA(POSTMASTER));
        assert_string_equal(found->account, "postmaster");
        assert_string_equal(found->mailbox, "Postmaster");
        assert_string_equal(found->canonical_address, "postmaster");
        REFUSED(ask(fx, &viewer, "AddressLookup", "address", addresses[i], "exclude_postmaster",
                    "1", NULL),
                NOT_FOUND, "ADDRESS_NOT_FOUND");
    }
}

static void rule_5_5_01_postmaster_has_no_letter_case(void **state)
{
    const char *const domain = "xn--bcher-kva.example"; /* postmaster is bob's here */

    (void) state;
    OK(ask(fx, &root, "DomainSave", "domain.name", domain, "domain.localpart_case_sensitive", "1",
           "update_mask.paths", "localpart_case_sensitive", NULL));
    assert_int_equal(lookup("POSTmaster@xn--bcher-kva.example")->via, VIA(ADDRESS));
    OK(address_get("PostMaster@xn--bcher-kva.example"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            address_add("alice", "PostMaster@xn--bcher-kva.example"));
    OK(ask(fx, &root, "DomainSave", "domain.name", domain, "update_mask.paths",
           "localpart_case_sensitive", NULL));
}

static void rule_5_5_04_the_hosts_tls_reports_go_where_the_settings_say(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found = lookup("tls-reports@mail.example.com");

    (void) state;
    assert_int_equal(found->via, VIA(HOST_REPORT));
    assert_string_equal(found->account, "postmaster");
    assert_string_equal(found->mailbox, "TLSRPT");
}

static void rule_5_5_05_an_unknown_domain_is_another_error_than_an_unknown_address(void **state)
{
    (void) state;
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "x@none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "nobody@example.org", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "", NULL), INVALID_ARGUMENT, NULL);
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "@example.org", NULL), INVALID_ARGUMENT,
            NULL);
}

static void report_addresses_are_found_with_their_mailbox(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found = lookup("dmarcreports@example.org");

    (void) state;
    assert_int_equal(found->via, VIA(ADDRESS));
    assert_int_equal(found->address->kind, MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT);
    assert_string_equal(found->address->mailbox, "DMARC");
    assert_string_equal(found->address->report_domain, "example.org");
    assert_string_equal(found->account, "alice");
}

static void addresses_in_unicode_are_found_in_either_form_of_the_domain(void **state)
{
    const char *address = "J\xc3\xb6rg@b\xc3\xbc"
                          "cher.example";

    (void) state;
    OK(address_add("books", address));
    assert_string_equal(lookup("J\xc3\x96RG@xn--bcher-kva.example")->account, "books");
    /* Decomposed: o and a diaeresis. */
    assert_string_equal(lookup("Jo\xcc\x88rg@xn--bcher-kva.example")->account, "books");
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            address_add("bob", "jo\xcc\x88rg@xn--bcher-kva.example"));
}

static void a_restart_finds_everything_as_it_was(void **state)
{
    const char *before = fixture_dump(fx);

    (void) state;
    fixture_restart(fx);
    assert_string_equal(fixture_dump(fx), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            rule_1_16_03_an_address_is_stored_as_given_and_found_by_its_canonical_form),
        cmocka_unit_test(rule_1_16_02_a_catchall_is_one_for_each_domain),
        cmocka_unit_test(rule_1_15_02_an_address_is_taken_in_whatever_spelling),
        cmocka_unit_test(rule_1_15_02_the_hosts_own_addresses_are_taken),
        cmocka_unit_test(rule_1_16_01_the_account_must_exist),
        cmocka_unit_test(an_account_and_a_domain_that_are_missing_are_both_said),
        cmocka_unit_test(names_are_checked_and_the_wrong_one_is_named),
        cmocka_unit_test(all_wrong_fields_are_named_at_once),
        cmocka_unit_test(hostile_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(who_may_not_change_addresses_changes_none),
        cmocka_unit_test(a_domain_administrator_works_in_the_own_domains_alone),
        cmocka_unit_test(rule_1_16_07_an_address_is_removed_in_whatever_spelling),
        cmocka_unit_test(rule_1_16_05_what_is_not_there_is_not_found),
        cmocka_unit_test(rule_1_16_07_report_addresses_stay),
        cmocka_unit_test(rule_1_16_13_an_account_may_lose_its_last_address),
        cmocka_unit_test(rule_5_5_07_an_address_is_found_by_its_canonical_form),
        cmocka_unit_test(rule_5_5_08_what_nothing_has_goes_to_the_catchall),
        cmocka_unit_test(rule_5_5_10_the_catchall_comes_before_the_postmaster),
        cmocka_unit_test(rule_5_5_03_postmaster_of_a_host_is_the_settings),
        cmocka_unit_test(rule_5_5_01_postmaster_has_no_letter_case),
        cmocka_unit_test(rule_5_5_04_the_hosts_tls_reports_go_where_the_settings_say),
        cmocka_unit_test(rule_5_5_05_an_unknown_domain_is_another_error_than_an_unknown_address),
        cmocka_unit_test(report_addresses_are_found_with_their_mailbox),
        cmocka_unit_test(addresses_in_unicode_are_found_in_either_form_of_the_domain),
        cmocka_unit_test(a_restart_finds_everything_as_it_was),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
