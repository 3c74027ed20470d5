/*
 * DomainAdd, DomainRemove, DomainGet, DomainRecords, DomainTemplate. Rule numbers are those of
 * mox-behaviour.
 */
#include "support/rpc_fixture.h"

#include "rpc_cases.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct fixture *fx;

static int setup(void **state)
{
    static const struct fixture_options options = { .key_directory = true };

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

static const struct reply *domain_add(const char *domain, const char *account,
                                      const char *localpart)
{
    return ask(fx, &root, "DomainAdd", "domain", domain, "account", account, "localpart", localpart,
               NULL);
}

/* ------------------------------------------------------------------ adding */

static void check_selector(const Mxadm__V1__DkimSelector *selector, char letter, int state)
{
    time_t now = time(NULL);
    struct tm utc;
    char name[16];

    (void) gmtime_r(&now, &utc);
    (void) snprintf(name, sizeof(name), "%d%c", utc.tm_year + 1900, letter);
    assert_string_equal(selector->name, name);
    assert_string_equal(selector->ascii_name, name);
    assert_string_equal(selector->domain, "new.example");
    assert_int_equal(selector->state, state);
    assert_int_equal(selector->algorithm, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048);
    assert_int_equal(selector->hash, MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256);
    assert_int_equal(selector->expiration->seconds, 72 * 3600);
    assert_int_equal(selector->n_headers, 0);
    assert_true(selector->public_key.len > 256);
    assert_int_equal(selector->public_key_sha256.len, 32);
    assert_non_null(strstr(fixture_key_files(fx), selector->key_file));
}

static void rule_1_07_09_a_new_domain_has_two_rsa_selectors_and_the_first_signs(void **state)
{
    const struct reply *reply = OK(domain_add("new.example", "nina", "nina"));
    const Mxadm__V1__DomainAddResponse *response = reply->message;

    (void) state;
    assert_int_equal(response->n_dkim_selectors, 2);
    check_selector(response->dkim_selectors[0], 'a', MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE);
    check_selector(response->dkim_selectors[1], 'b',
                   MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING);
    assert_memory_not_equal(response->dkim_selectors[0]->public_key_sha256.data,
                            response->dkim_selectors[1]->public_key_sha256.data, 32);
    assert_int_equal(response->dkim_selectors[0]->revision, reply->revision);
}

static void rule_1_07_05_a_new_domain_has_the_settings_of_the_template(void **state)
{
    const Mxadm__V1__DomainGetResponse *response =
        OK(ask(fx, &viewer, "DomainGet", "domain", "new.example", NULL))->message;
    const Mxadm__V1__Domain *domain = response->domain;

    (void) state;
    assert_string_equal(domain->client_settings_domain, "mail.new.example");
    assert_int_equal(domain->n_localpart_separators, 1);
    assert_string_equal(domain->localpart_separators[0], "+");
    assert_false(domain->localpart_case_sensitive);
    assert_false(domain->disabled);
    assert_string_equal(domain->dmarc->localpart, "dmarcreports");
    assert_string_equal(domain->dmarc->account, "nina");
    assert_string_equal(domain->dmarc->mailbox, "DMARC");
    assert_string_equal(domain->tlsrpt->localpart, "tlsreports");
    assert_string_equal(domain->tlsrpt->account, "nina");
    assert_string_equal(domain->tlsrpt->mailbox, "TLSRPT");
    assert_int_equal(domain->mta_sts->mode, MXADM__V1__MTA_STS__MODE__MODE_ENFORCE);
    assert_int_equal(domain->mta_sts->max_age->seconds, 24 * 3600);
    assert_int_equal(domain->mta_sts->n_mx, 1);
    assert_string_equal(domain->mta_sts->mx[0], "mail.example.com");
    assert_int_equal(strlen(domain->mta_sts->policy_id), strlen("20260102T030405"));
    assert_int_equal(domain->revision, fixture_revision(fx));
    assert_non_null(domain->create_time);
    assert_int_equal(response->address_count, 3);
    assert_int_equal(response->alias_count, 0);
}

static void the_template_is_what_adding_adds(void **state)
{
    const Mxadm__V1__DomainTemplateResponse *template =
        OK(ask(fx, &viewer, "DomainTemplate", "domain", "new.example", "account", "nina", NULL))
            ->message;
    const Mxadm__V1__DomainGetResponse *got =
        OK(ask(fx, &viewer, "DomainGet", "domain", "new.example", NULL))->message;

    (void) state;
    /* Made by the server, or by the second. */
    template->domain->revision = got->domain->revision;
    template->domain->create_time = got->domain->create_time;
    template->domain->update_time = got->domain->update_time;
    template->domain->mta_sts->policy_id = got->domain->mta_sts->policy_id;
    assert_same_message(&template->domain->base, &got->domain->base);
    assert_int_equal(template->n_dkim_selectors, 2);
    assert_int_equal(template->dkim_selectors[0]->public_key.len, 0);
}

static void a_domain_may_be_added_out_of_service(void **state)
{
    const Mxadm__V1__DomainAddResponse *response;

    (void) state;
    response = OK(ask(fx, &root, "DomainAdd", "domain", "idle.example", "account", "ida",
                      "localpart", "ida", "disabled", "1", NULL))
                   ->message;
    assert_true(response->domain->disabled);
    REFUSES(fx, FAILED_PRECONDITION, "DOMAIN_DISABLED",
            ask(fx, &viewer, "AddressLookup", "address", "ida@idle.example", "refuse_disabled", "1",
                NULL));
}

static void rule_1_10_01_a_domain_is_not_added_twice_in_any_spelling(void **state)
{
    const Mxadm__V1__DomainAddResponse *response;

    (void) state;
    response = OK(domain_add("B\xc3\xbc"
                             "cher.Example",
                             "books", "books"))
                   ->message;
    assert_string_equal(response->domain->name, "b\xc3\xbc"
                                                "cher.example");
    assert_string_equal(response->domain->ascii_name, "xn--bcher-kva.example");
    REFUSES(fx, ALREADY_EXISTS, "DOMAIN_EXISTS", domain_add("xn--bcher-kva.example", "alice", ""));
    REFUSES(fx, ALREADY_EXISTS, "DOMAIN_EXISTS",
            domain_add("b\xc3\xbc"
                       "cher.example",
                       "alice", ""));
    REFUSES(fx, ALREADY_EXISTS, "DOMAIN_EXISTS", domain_add("EXAMPLE.org", "alice", ""));
}

static void rule_1_10_04_a_localpart_is_for_a_new_account_only(void **state)
{
    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "ACCOUNT_EXISTS", domain_add("x.example", "alice", "someone"));
}

static void rule_1_10_04_without_a_localpart_the_account_must_exist(void **state)
{
    const struct reply *reply = domain_add("x.example", "nobody", "");

    (void) state;
    REFUSED(reply, NOT_FOUND, "ACCOUNT_NOT_FOUND");
    assert_string_equal(reply->envelope->status->resource_info->resource_name, "nobody");
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", domain_add("x.example", "nobody", ""));
}

static void a_domain_that_exists_and_an_account_that_does_not_are_both_said(void **state)
{
    const struct reply *reply = domain_add("example.org", "nobody", "");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "DOMAIN_EXISTS");
    assert_non_null(strstr(reply->words, "nobody"));
}

static void rule_1_10_07_a_new_account_gets_the_given_address_alone(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found;

    (void) state;
    REFUSED(ask(fx, &viewer, "AddressGet", "address", "postmaster@example.org", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    found =
        OK(ask(fx, &viewer, "AddressLookup", "address", "postmaster@example.org", NULL))->message;
    assert_int_equal(found->via, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_POSTMASTER);
    assert_string_equal(found->account, "postmaster");
}

static void rule_1_10_08_an_existing_account_gets_postmaster(void **state)
{
    const Mxadm__V1__DomainAddResponse *response =
        OK(domain_add("second.example", "alice", ""))->message;

    (void) state;
    assert_null(response->account);
    assert_string_equal(response->address->address, "postmaster@second.example");
    assert_string_equal(response->address->account, "alice");
    OK(ask(fx, &viewer, "AddressGet", "address", "POSTMASTER@second.example", NULL));
}

static void rule_1_10_09_the_postmaster_account_needs_no_postmaster_address(void **state)
{
    const Mxadm__V1__DomainAddResponse *response;

    (void) state;
    OK(ask(fx, &root, "AccountAdd", "account", "postmaster", "address", "pm@example.org", NULL));
    response = OK(domain_add("third.example", "postmaster", ""))->message;
    assert_null(response->account);
    assert_null(response->address);
    REFUSED(ask(fx, &viewer, "AddressGet", "address", "postmaster@third.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
}

static void rule_1_10_11_a_failed_add_leaves_what_follows_working(void **state)
{
    const struct reply *reply = domain_add("plus.example", "paula", "pau+la");

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "localpart"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, domain_add("plus.example", "paula", "pau+la"));
    OK(ask(fx, &root, "AccountAdd", "account", "paula", "address", "paula@example.org", NULL));
}

static void a_domain_whose_commit_fails_leaves_no_key_file_and_no_account(void **state)
{
    const struct backend_sim_faults faults = { .failed = 1000 };

    (void) state;
    /* Its keys are taken and its records written by then. */
    backend_sim_set_faults(fixture_sim(fx), &faults);
    REFUSES(fx, INTERNAL, "COMMIT_FAILED", domain_add("late.example", "max", "max"));
    backend_sim_set_faults(fixture_sim(fx), NULL);
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "max", NULL), NOT_FOUND, "ACCOUNT_NOT_FOUND");
    assert_null(strstr(fixture_key_files(fx), "late"));
    /* Nobody got to see the keys: they wait for the next. */
    assert_int_equal(fixture_spare_keys(fx, MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048),
                     2);
}

/* The postmaster of a host is the settings' matter. */
static void all_that_stands_in_the_way_of_a_domain_is_said_at_once(void **state)
{
    const struct reply *reply = domain_add("mx2.example.com", "alice", "postmaster");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "ACCOUNT_EXISTS");
    assert_non_null(strstr(reply->words, "'alice'"));
    assert_non_null(strstr(reply->words, "'postmaster@mx2.example.com'"));
}

static void rule_1_07_10_report_addresses_of_the_new_domain_are_taken(void **state)
{
    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, NULL, domain_add("x.example", "xaver", "DmarcReports"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, domain_add("x.example", "xaver", "tlsreports"));
}

static void rule_1_10_12_names_are_checked_and_the_wrong_one_is_named(void **state)
{
    const struct {
        const char *domain, *account, *localpart, *field;
    } cases[] = {
        { "", "xaver", "xaver", "domain" },
        { "a..b", "xaver", "xaver", "domain" },
        { "example.org.", "xaver", "xaver", "domain" },
        { "192.0.2.1", "xaver", "xaver", "domain" },
        { "[192.0.2.1]", "xaver", "xaver", "domain" },
        { "exa mple.org", "xaver", "xaver", "domain" },
        { "-x.example", "xaver", "xaver", "domain" },
        { "x_y.example", "xaver", "xaver", "domain" },
        { "a\nb.example", "xaver", "xaver", "domain" },
        { repeated(fx, "a", 64), "xaver", "xaver", "domain" },
        { repeated(fx, "abcdefghi.", 25), "xaver", "xaver", "domain" },
        { repeated(fx, "x", 65536), "xaver", "xaver", "domain" },
        { "x.example", "", "xaver", "account" },
        { "x.example", "../../x", "xaver", "account" },
        { "x.example", ".", "xaver", "account" },
        { "x.example", "a/b", "xaver", "account" },
        { "x.example", "a\nb", "xaver", "account" },
        { "x.example",
          "\xe2\x80\xae"
          "abc",
          "xaver", "account" },
        { "x.example", repeated(fx, "x", 65), "xaver", "account" },
        { "x.example", repeated(fx, "x", 65536), "xaver", "account" },
        { "x.example", "xaver", "a b", "localpart" },
        { "x.example", "xaver", "a@b", "localpart" },
        { "x.example", "xaver", "\"", "localpart" },
        { "x.example", "xaver",
          "a\x01"
          "b",
          "localpart" },
        { "x.example", "xaver", repeated(fx, "x", 129), "localpart" },
        { "x.example", "xaver", repeated(fx, "x", 65536), "localpart" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *before = fixture_dump(fx);
        const struct reply *reply =
            REFUSED(domain_add(cases[i].domain, cases[i].account, cases[i].localpart),
                    INVALID_ARGUMENT, NULL);

        if (!has_violation(reply, cases[i].field)) {
            fail_msg("case %zu: '%s' is not named: %s", i, cases[i].field, reply->words);
        }
        assert_true(reply->len < 2048); /* a long value is not sent back */
        assert_string_equal(fixture_dump(fx), before);
    }
}

static void a_domain_whose_dns_names_would_not_fit_is_refused(void **state)
{
    /* 238 bytes: a legal domain, but "_submissions._tcp." before it is longer than 253. */
    const char *domain = fixture_text(fx, "%sexample1", repeated(fx, "abcdefghi.", 23));
    const struct reply *reply =
        REFUSED(domain_add(domain, "xaver", "xaver"), INVALID_ARGUMENT, NULL);

    (void) state;
    assert_true(has_violation(reply, "domain"));
}

static void all_wrong_fields_are_named_at_once(void **state)
{
    const struct reply *reply = REFUSED(domain_add("a..b", "../x", "a b"), INVALID_ARGUMENT, NULL);

    (void) state;
    assert_int_equal(reply->envelope->status->bad_request->n_field_violations, 3);
    assert_true(has_violation(reply, "domain"));
    assert_true(has_violation(reply, "account"));
    assert_true(has_violation(reply, "localpart"));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "DomainAdd", "domain");
    refuses_hostile_bytes(fx, "DomainRemove", "domain");
    refuses_hostile_bytes(fx, "DomainGet", "domain");
    refuses_hostile_bytes(fx, "DomainRecords", "domain");
    refuses_hostile_bytes(fx, "DomainTemplate", "account");
}

/* ------------------------------------------------------------------- roles */

static void only_administrators_add_and_remove_domains(void **state)
{
    static const struct rpc_peer *const others[] = { &viewer, &key_reader, &scoped, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, others[i], "DomainAdd", "domain", "own.example", "account", "eve",
                    "localpart", "eve", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, others[i], "DomainRemove", "domain", "third.example", NULL));
    }
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
            ask(fx, &stranger, "DomainRemove", "domain", "third.example", NULL));
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
            ask(fx, &stranger, "DomainGet", "domain", "third.example", NULL));
}

static void a_domain_administrator_sees_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "DomainGet", "domain", "EXAMPLE.org", NULL));
    OK(ask(fx, &scoped, "DomainRecords", "domain", "example.org", NULL));
    REFUSED(ask(fx, &scoped, "DomainGet", "domain", "third.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "DomainRecords", "domain", "third.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    /* Nothing is said of whether it exists. */
    REFUSED(ask(fx, &scoped, "DomainGet", "domain", "none.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
}

/* ---------------------------------------------------------------- removing */

static void rule_1_11_01_a_domain_that_is_gone_is_not_found(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            ask(fx, &root, "DomainRemove", "domain", "none.example", NULL));
    REFUSED(ask(fx, &viewer, "DomainGet", "domain", "none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "DomainRecords", "domain", "none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
}

static void rule_1_11_04_a_domain_with_addresses_stays_and_they_are_named(void **state)
{
    const struct reply *reply;

    (void) state;
    for (int i = 0; i < 24; i++) {
        OK(ask(fx, &root, "AddressAdd", "account", "alice", "address",
               fixture_text(fx, "a%02d@second.example", i), NULL));
    }
    REFUSES(fx, FAILED_PRECONDITION, "DOMAIN_IN_USE",
            ask(fx, &root, "DomainRemove", "domain", "second.example", NULL));
    reply = ask(fx, &root, "DomainRemove", "domain", "second.example", NULL);
    assert_int_equal(reply->envelope->status->precondition_failure->n_violations, 20);
    assert_int_equal(reply->envelope->status->precondition_failure->total, 25);
    assert_true(has_blocker(reply, "address", "a00@second.example"));
    assert_false(has_blocker(reply, "domain", "second.example"));
}

static void rule_1_11_05_a_removed_domain_takes_its_selectors_and_reports_along(void **state)
{
    const Mxadm__V1__DomainAddResponse *added =
        OK(domain_add("gone.example", "gus", "gus"))->message;
    const char *file = added->dkim_selectors[0]->key_file;
    const char *base = strrchr(file, '/') + 1;
    const Mxadm__V1__DomainRemoveResponse *removed;

    (void) state;
    OK(ask(fx, &root, "AddressRemove", "address", "gus@gone.example", NULL));
    removed = OK(ask(fx, &root, "DomainRemove", "domain", "GONE.example", NULL))->message;
    assert_int_equal(removed->removed, 4);
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
    REFUSED(ask(fx, &root, "DKIMList", "domain", "gone.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &root, "AddressGet", "address", "dmarcreports@gone.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    assert_null(strstr(fixture_key_files(fx), file));
    assert_non_null(strstr(fixture_key_files(fx), fixture_text(fx, "dkim/old/%s", base)));
    OK(ask(fx, &root, "AccountGet", "account", "gus", NULL));
}

static void a_domain_added_again_gets_selectors_of_new_names(void **state)
{
    const Mxadm__V1__DomainAddResponse *added = OK(domain_add("gone.example", "gus", ""))->message;

    (void) state;
    assert_int_equal(added->dkim_selectors[0]->name[4], 'c');
    assert_int_equal(added->dkim_selectors[1]->name[4], 'd');
}

/* ------------------------------------------------------------------- files */

static void each_selector_has_its_key_in_a_file_of_mode_0600(void **state)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", NULL))->message;

    (void) state;
    assert_int_equal(list->n_dkim_selectors, 2);
    for (size_t i = 0; i < list->n_dkim_selectors; i++) {
        struct stat info;

        assert_int_equal(stat(fixture_key_path(fx, list->dkim_selectors[i]->key_file), &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
}

static void a_restart_finds_everything_as_it_was(void **state)
{
    const char *before = fixture_dump(fx);

    (void) state;
    fixture_restart(fx);
    assert_string_equal(fixture_dump(fx), before);
}

/* ----------------------------------------------------------------- records */

static const Mxadm__V1__DnsRecord *find_record(const Mxadm__V1__DomainRecordsResponse *response,
                                               const char *type, const char *name)
{
    for (size_t i = 0; i < response->n_records; i++) {
        if (strcmp(response->records[i]->type, type) == 0 &&
            strcmp(response->records[i]->name, name) == 0) {
            return response->records[i];
        }
    }
    fail_msg("no %s record of '%s' in:\n%s", type, name, response->zone);
    return NULL;
}

static void the_records_of_a_domain_point_to_the_host_and_publish_its_selectors(void **state)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", NULL))->message;
    const Mxadm__V1__DomainRecordsResponse *records =
        OK(ask(fx, &viewer, "DomainRecords", "domain", "example.org", NULL))->message;

    (void) state;
    assert_non_null(strstr(find_record(records, "MX", "example.org")->data, "mail.example.com"));
    assert_non_null(strstr(find_record(records, "TXT", "_dmarc.example.org")->data,
                           "dmarcreports@example.org"));
    for (size_t i = 0; i < list->n_dkim_selectors; i++) {
        const Mxadm__V1__DkimSelector *selector = list->dkim_selectors[i];
        const char *owner = fixture_text(fx, "%s._domainkey.example.org", selector->ascii_name);
        const Mxadm__V1__DnsRecord *record = find_record(records, "TXT", owner);

        assert_non_null(strstr(record->data, base64(fx, &selector->public_key)));
        assert_non_null(strstr(records->zone, owner));
    }
}

static void an_acme_account_that_is_no_uri_is_refused(void **state)
{
    const struct reply *reply =
        ask(fx, &viewer, "DomainRecords", "domain", "example.org", "acme_account_uri", "x y", NULL);

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "acme_account_uri"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_1_07_09_a_new_domain_has_two_rsa_selectors_and_the_first_signs),
        cmocka_unit_test(rule_1_07_05_a_new_domain_has_the_settings_of_the_template),
        cmocka_unit_test(the_template_is_what_adding_adds),
        cmocka_unit_test(a_domain_may_be_added_out_of_service),
        cmocka_unit_test(rule_1_10_01_a_domain_is_not_added_twice_in_any_spelling),
        cmocka_unit_test(rule_1_10_04_a_localpart_is_for_a_new_account_only),
        cmocka_unit_test(rule_1_10_04_without_a_localpart_the_account_must_exist),
        cmocka_unit_test(a_domain_that_exists_and_an_account_that_does_not_are_both_said),
        cmocka_unit_test(rule_1_10_07_a_new_account_gets_the_given_address_alone),
        cmocka_unit_test(rule_1_10_08_an_existing_account_gets_postmaster),
        cmocka_unit_test(rule_1_10_09_the_postmaster_account_needs_no_postmaster_address),
        cmocka_unit_test(rule_1_10_11_a_failed_add_leaves_what_follows_working),
        cmocka_unit_test(a_domain_whose_commit_fails_leaves_no_key_file_and_no_account),
        cmocka_unit_test(all_that_stands_in_the_way_of_a_domain_is_said_at_once),
        cmocka_unit_test(rule_1_07_10_report_addresses_of_the_new_domain_are_taken),
        cmocka_unit_test(rule_1_10_12_names_are_checked_and_the_wrong_one_is_named),
        cmocka_unit_test(a_domain_whose_dns_names_would_not_fit_is_refused),
        cmocka_unit_test(all_wrong_fields_are_named_at_once),
        cmocka_unit_test(hostile_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(only_administrators_add_and_remove_domains),
        cmocka_unit_test(a_domain_administrator_sees_the_own_domains_alone),
        cmocka_unit_test(rule_1_11_01_a_domain_that_is_gone_is_not_found),
        cmocka_unit_test(rule_1_11_04_a_domain_with_addresses_stays_and_they_are_named),
        cmocka_unit_test(rule_1_11_05_a_removed_domain_takes_its_selectors_and_reports_along),
        cmocka_unit_test(a_domain_added_again_gets_selectors_of_new_names),
        cmocka_unit_test(each_selector_has_its_key_in_a_file_of_mode_0600),
        cmocka_unit_test(a_restart_finds_everything_as_it_was),
        cmocka_unit_test(the_records_of_a_domain_point_to_the_host_and_publish_its_selectors),
        cmocka_unit_test(an_acme_account_that_is_no_uri_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
