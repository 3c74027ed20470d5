/*
 * AccountAdd, AccountRemove, AccountGet, AccountTemplate. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"

#include <string.h>

static struct fixture *fx;

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

static const struct reply *account_add(const char *account, const char *address)
{
    return ask(fx, &root, "AccountAdd", "account", account, "address", address, NULL);
}

static const struct reply *account_remove(const char *account)
{
    return ask(fx, &root, "AccountRemove", "account", account, NULL);
}

/* ------------------------------------------------------------------ adding */

static void rule_1_14_04_a_new_account_has_the_settings_of_the_template(void **state)
{
    const struct reply *reply = OK(account_add("bob", "Bob.Smith@EXAMPLE.org"));
    const Mxadm__V1__AccountAddResponse *added = reply->message;
    const Mxadm__V1__AccountTemplateResponse *template =
        OK(ask(fx, &viewer, "AccountTemplate", "account", "bob", "address", "Bob.Smith@example.org",
               NULL))
            ->message;

    (void) state;
    assert_int_equal(added->account->revision, reply->revision);
    assert_int_equal(added->address->revision, reply->revision);
    template->account->revision = reply->revision;
    template->account->create_time = added->account->create_time;
    template->account->update_time = added->account->update_time;
    template->address->revision = reply->revision;
    template->address->create_time = added->address->create_time;
    template->address->update_time = added->address->update_time;
    assert_same_message(&template->account->base, &added->account->base);
    assert_same_message(&template->address->base, &added->address->base);
}

static void rule_1_05_01_the_template_is_upstreams(void **state)
{
    const Mxadm__V1__AccountTemplateResponse *template =
        OK(ask(fx, &viewer, "AccountTemplate", "account", "carol", "address", "carol@any.example",
               NULL))
            ->message;
    const Mxadm__V1__Account *account = template->account;

    (void) state;
    assert_string_equal(account->domain, "any.example");
    assert_string_equal(account->rejects_mailbox, "Rejects");
    assert_true(account->automatic_junk_flags->enabled);
    assert_string_equal(account->automatic_junk_flags->junk_mailbox_regexp, "^(junk|spam)");
    assert_string_equal(account->automatic_junk_flags->neutral_mailbox_regexp,
                        "^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)");
    assert_string_equal(account->automatic_junk_flags->not_junk_mailbox_regexp, "");
    assert_true(account->junk_filter->threshold > 0.949 && account->junk_filter->threshold < 0.951);
    assert_true(account->junk_filter->onegrams);
    assert_false(account->junk_filter->twograms);
    assert_int_equal(account->junk_filter->top_words, 10);
    assert_int_equal(account->junk_filter->rare_words, 2);
    assert_int_equal(account->subject_pass_period->seconds, 12 * 3600);
    assert_true(account->no_custom_password);
}

static void rule_1_05_02_the_address_keeps_the_case_it_was_given_in(void **state)
{
    const Mxadm__V1__AddressGetResponse *got =
        OK(ask(fx, &viewer, "AddressGet", "address", "BOB.smith@example.org", NULL))->message;

    (void) state;
    assert_string_equal(got->address->address, "Bob.Smith@example.org");
    assert_string_equal(got->address->canonical_address, "bob.smith@example.org");
    assert_string_equal(got->address->account, "bob");
    assert_int_equal(got->address->kind, MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
}

static void rule_1_14_02_an_account_is_not_added_twice(void **state)
{
    const struct reply *reply = account_add("bob", "bob2@example.org");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "ACCOUNT_EXISTS");
    assert_string_equal(reply->envelope->status->resource_info->resource_type, "account");
    assert_string_equal(reply->envelope->status->resource_info->resource_name, "bob");
    REFUSES(fx, ALREADY_EXISTS, "ACCOUNT_EXISTS", account_add("bob", "bob2@example.org"));
}

static void rule_1_14_02_names_of_accounts_differ_by_case(void **state)
{
    (void) state;
    OK(account_add("Bob", "bob2@example.org"));
}

static void rule_1_14_03_an_address_that_is_taken_makes_no_account(void **state)
{
    const struct reply *reply = account_add("carol", "bob.SMITH@example.org");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "ADDRESS_IN_USE");
    assert_non_null(strstr(reply->words, "'bob'"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", account_add("carol", "bob.smith@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", account_add("carol", "DMARCreports@example.org"));
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "carol", NULL), NOT_FOUND,
            "ACCOUNT_NOT_FOUND");
}

static void an_account_and_an_address_that_exist_are_both_said(void **state)
{
    const struct reply *reply = account_add("bob", "alice@example.org");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "ACCOUNT_EXISTS");
    assert_non_null(strstr(reply->words, "alice@example.org"));
}

static void rule_1_15_01_the_domain_must_be_configured(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", account_add("carol", "carol@none.example"));
}

static void rule_1_15_03_a_localpart_with_the_separator_is_refused(void **state)
{
    const struct reply *reply = account_add("carol", "carol+x@example.org");

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "address"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, account_add("carol", "carol+x@example.org"));
}

static void rule_1_14_01_a_catchall_is_no_first_address(void **state)
{
    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, NULL, account_add("carol", "@example.org"));
}

static void rule_1_13_06_names_are_checked_and_the_wrong_one_is_named(void **state)
{
    const struct {
        const char *account, *address, *field;
    } cases[] = {
        { "", "carol@example.org", "account" },
        { "..", "carol@example.org", "account" },
        { "../../../x", "carol@example.org", "account" },
        { "-carol", "carol@example.org", "account" },
        { "ca rol", "carol@example.org", "account" },
        { "carol\x7f", "carol@example.org", "account" },
        { "ca\xe2\x80\x8brol", "carol@example.org", "account" },
        { repeated(fx, "\xc3\xa4", 65), "carol@example.org", "account" },
        { repeated(fx, "x", 65536), "carol@example.org", "account" },
        { "carol", "", "address" },
        { "carol", "carol", "address" },
        { "carol", "carol@", "address" },
        { "carol", "carol@example..org", "address" },
        { "carol", "ca rol@example.org", "address" },
        { "carol", "\"ca\nrol\"@example.org", "address" },
        { "carol", "carol@[192.0.2.1]", "address" },
        { "carol", "carol@example.org ", "address" },
        { "carol", fixture_text(fx, "%s@example.org", repeated(fx, "x", 129)), "address" },
        { "carol", fixture_text(fx, "x@%s", repeated(fx, "x", 65536)), "address" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *before = fixture_dump(fx);
        const struct reply *reply =
            REFUSED(account_add(cases[i].account, cases[i].address), INVALID_ARGUMENT, NULL);

        if (!has_violation(reply, cases[i].field)) {
            fail_msg("case %zu: '%s' is not named: %s", i, cases[i].field, reply->words);
        }
        assert_true(reply->len < 2048);
        assert_string_equal(fixture_dump(fx), before);
    }
}

static void all_wrong_fields_are_named_at_once(void **state)
{
    const struct reply *reply = REFUSED(account_add("../x", "@"), INVALID_ARGUMENT, NULL);

    (void) state;
    assert_int_equal(reply->envelope->status->bad_request->n_field_violations, 2);
    assert_true(has_violation(reply, "account"));
    assert_true(has_violation(reply, "address"));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "AccountAdd", "account");
    refuses_hostile_bytes(fx, "AccountAdd", "address");
    refuses_hostile_bytes(fx, "AccountRemove", "account");
    refuses_hostile_bytes(fx, "AccountGet", "account");
    refuses_hostile_bytes(fx, "AccountTemplate", "address");
}

/* ------------------------------------------------------------------- roles */

static void who_may_not_change_accounts_changes_none(void **state)
{
    static const struct rpc_peer *const readers[] = { &viewer, &key_reader, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, readers[i], "AccountAdd", "account", "eve", "address", "eve@example.org",
                    NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, readers[i], "AccountRemove", "account", "bob", NULL));
    }
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask(fx, &scoped, "AccountRemove", "account", "bob", NULL));
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
            ask(fx, &stranger, "AccountAdd", "account", "eve", "address", "eve@example.org", NULL));
    REFUSED(ask(fx, &stranger, "AccountGet", "account", "bob", NULL), UNAUTHENTICATED,
            "CALLER_UNKNOWN");
}

static void a_domain_administrator_adds_accounts_in_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "AccountAdd", "account", "dora", "address", "dora@example.org", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AccountAdd", "account", "eve", "address", "eve@other.example", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AccountAdd", "account", "eve", "address", "eve@none.example", NULL));
}

static void a_domain_administrator_sees_accounts_of_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "AccountGet", "account", "alice", NULL));
    REFUSED(ask(fx, &scoped, "AccountGet", "account", "otto", NULL), PERMISSION_DENIED,
            "ACCOUNT_OUT_OF_SCOPE");
}

/* ----------------------------------------------------------------- getting */

static void an_account_tells_how_many_addresses_it_has(void **state)
{
    const Mxadm__V1__AccountGetResponse *got =
        OK(ask(fx, &viewer, "AccountGet", "account", "alice", NULL))->message;

    (void) state;
    assert_string_equal(got->account->name, "alice");
    assert_string_equal(got->account->domain, "example.org");
    assert_int_equal(got->address_count, 3); /* its own, two for reports */
}

static void an_account_that_is_not_there_is_not_found(void **state)
{
    (void) state;
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "nobody", NULL), NOT_FOUND,
            "ACCOUNT_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AccountGet", NULL), INVALID_ARGUMENT, NULL);
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", account_remove("nobody"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, account_remove(""));
}

/* ---------------------------------------------------------------- removing */

static void an_account_goes_with_its_addresses(void **state)
{
    const Mxadm__V1__AccountRemoveResponse *removed;

    (void) state;
    OK(account_add("gus", "gus@example.org"));
    OK(ask(fx, &root, "AddressAdd", "account", "gus", "address", "gus@other.example", NULL));
    OK(ask(fx, &root, "AddressAdd", "account", "gus", "address", "@other.example", NULL));
    removed = OK(account_remove("gus"))->message;
    assert_int_equal(removed->removed_addresses, 3);
    REFUSED(ask(fx, &viewer, "AddressGet", "address", "gus@example.org", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AddressGet", "address", "@other.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", account_remove("gus"));
    OK(account_add("gus", "gus@example.org"));
}

static void rule_1_19_02_what_needs_the_account_is_named(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(account_add("postmaster", "pm@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ACCOUNT_IN_USE", account_remove("postmaster"));
    reply = account_remove("postmaster");
    assert_true(has_blocker(reply, "setting", "postmaster.account"));
    assert_true(has_blocker(reply, "setting", "host_tls_reports.account"));
    assert_int_equal(reply->envelope->status->precondition_failure->total, 2);

    REFUSES(fx, FAILED_PRECONDITION, "ACCOUNT_IN_USE", account_remove("alice"));
    reply = account_remove("alice");
    assert_true(has_blocker(reply, "domain", "example.org"));
    assert_int_equal(reply->envelope->status->precondition_failure->total, 2);
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
        cmocka_unit_test(rule_1_14_04_a_new_account_has_the_settings_of_the_template),
        cmocka_unit_test(rule_1_05_01_the_template_is_upstreams),
        cmocka_unit_test(rule_1_05_02_the_address_keeps_the_case_it_was_given_in),
        cmocka_unit_test(rule_1_14_02_an_account_is_not_added_twice),
        cmocka_unit_test(rule_1_14_02_names_of_accounts_differ_by_case),
        cmocka_unit_test(rule_1_14_03_an_address_that_is_taken_makes_no_account),
        cmocka_unit_test(an_account_and_an_address_that_exist_are_both_said),
        cmocka_unit_test(rule_1_15_01_the_domain_must_be_configured),
        cmocka_unit_test(rule_1_15_03_a_localpart_with_the_separator_is_refused),
        cmocka_unit_test(rule_1_14_01_a_catchall_is_no_first_address),
        cmocka_unit_test(rule_1_13_06_names_are_checked_and_the_wrong_one_is_named),
        cmocka_unit_test(all_wrong_fields_are_named_at_once),
        cmocka_unit_test(hostile_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(who_may_not_change_accounts_changes_none),
        cmocka_unit_test(a_domain_administrator_adds_accounts_in_the_own_domains_alone),
        cmocka_unit_test(a_domain_administrator_sees_accounts_of_the_own_domains_alone),
        cmocka_unit_test(an_account_tells_how_many_addresses_it_has),
        cmocka_unit_test(an_account_that_is_not_there_is_not_found),
        cmocka_unit_test(an_account_goes_with_its_addresses),
        cmocka_unit_test(rule_1_19_02_what_needs_the_account_is_named),
        cmocka_unit_test(a_restart_finds_everything_as_it_was),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
