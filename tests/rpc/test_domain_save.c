/* DomainSave: values, report addresses, separators, letter case, and what depends on them. */
#include "base/status.h"
#include "support/rpc_fixture.h"

#include <string.h>

static struct fixture *fx;

/* Three domains, a host's among them; "scoped" administers the first two. */
static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "own.example", "oscar");
    add_domain(fx, "far.example", "fred");
    OK(ask(fx, &root, "AccountAdd", "account", "bob", "address", "bob@far.example", NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

/* DomainSave of one domain with the mask's path and pairs of its fields. */
#define SAVE(domain, path, ...)                                                                    \
    ask(fx, &root, "DomainSave", "domain.name", (domain), "update_mask.paths", (path),             \
        __VA_ARGS__, NULL)
#define CLEAR(domain, path)                                                                        \
    ask(fx, &root, "DomainSave", "domain.name", (domain), "update_mask.paths", (path), NULL)

static const Mxadm__V1__Domain *saved(const struct reply *reply)
{
    return ((const Mxadm__V1__DomainSaveResponse *) OK(reply)->message)->domain;
}

static const Mxadm__V1__Domain *get(const char *domain)
{
    const struct reply *reply = OK(ask(fx, &viewer, "DomainGet", "domain", domain, NULL));

    return ((const Mxadm__V1__DomainGetResponse *) reply->message)->domain;
}

static const Mxadm__V1__Address *address(const char *text)
{
    const struct reply *reply = OK(ask(fx, &viewer, "AddressGet", "address", text, NULL));

    return ((const Mxadm__V1__AddressGetResponse *) reply->message)->address;
}

static void address_add(const char *account, const char *text)
{
    OK(ask(fx, &root, "AddressAdd", "account", account, "address", text, NULL));
}

static void address_remove(const char *text)
{
    OK(ask(fx, &root, "AddressRemove", "address", text, NULL));
}

static void no_address(const char *text)
{
    REFUSED(ask(fx, &viewer, "AddressGet", "address", text, NULL), NOT_FOUND, "ADDRESS_NOT_FOUND");
}

static const char *from_id(const char *account)
{
    const struct reply *reply = OK(ask(fx, &viewer, "AccountGet", "account", account, NULL));
    const Mxadm__V1__Account *record =
        ((const Mxadm__V1__AccountGetResponse *) reply->message)->account;

    return record->n_from_id_login_addresses == 1 ? record->from_id_login_addresses[0] : "";
}

static void set_from_id(const char *account, const char *text)
{
    if (text == NULL) {
        OK(ask(fx, &root, "AccountSave", "account.name", account, "update_mask.paths",
               "from_id_login_addresses", NULL));
    } else {
        OK(ask(fx, &root, "AccountSave", "account.name", account, "update_mask.paths",
               "from_id_login_addresses", "account.from_id_login_addresses", text, NULL));
    }
}

/* ------------------------------------------------------------------- values */

static void the_mask_says_what_changes_and_the_record_is_returned(void **state)
{
    const Mxadm__V1__Domain *before = get("example.org");
    const Mxadm__V1__Domain *after;

    (void) state;
    after =
        saved(ask(fx, &root, "DomainSave", "domain.name", "EXAMPLE.org", "domain.description",
                  "A domain", "domain.disabled", "1", "update_mask.paths", "description", NULL));
    assert_string_equal(after->description, "A domain");
    assert_false(after->disabled);
    assert_string_equal(after->dmarc->localpart, before->dmarc->localpart);
    assert_string_equal(after->name, "example.org");
    assert_true(after->revision > before->revision);
    assert_int_equal(after->create_time->seconds, before->create_time->seconds);
    assert_string_equal(get("example.org")->description, "A domain");
    OK(CLEAR("example.org", "description"));
    assert_string_equal(get("example.org")->description, "");
}

static void what_changes_nothing_raises_no_revision(void **state)
{
    uint64_t revision = fixture_revision(fx);

    (void) state;
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+"));
    OK(SAVE("example.org", "dmarc.mailbox", "domain.dmarc.mailbox", "DMARC"));
    OK(SAVE("example.org", "name", "domain.ascii_name", "x.example"));
    assert_int_equal(fixture_revision(fx), revision);
}

static void the_domain_the_mask_and_its_paths_are_needed(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = REFUSED(ask(fx, &root, "DomainSave", "update_mask.paths", "*", NULL), INVALID_ARGUMENT,
                    "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "domain"));
    reply = REFUSED(ask(fx, &root, "DomainSave", "domain.name", "example.org", NULL),
                    INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "update_mask"));
    reply = REFUSED(CLEAR("example.org", "dmarc.colour"), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "update_mask.paths[0]"));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", CLEAR("none.example", "description"));
}

static void every_wrong_value_is_named(void **state)
{
    static const char *const fields[] = {
        "domain.description",
        "domain.client_settings_domain",
        "domain.localpart_separators[1]",
        "domain.localpart_separators[2]",
        "domain.dmarc.localpart",
        "domain.dmarc.account",
        "domain.dmarc.mailbox",
        "domain.tlsrpt.localpart",
        "domain.tlsrpt.domain",
        "domain.routes[0].transport",
    };
    const struct reply *reply;

    (void) state;
    reply =
        REFUSED(ask(fx, &root, "DomainSave", "domain.name", "example.org", "update_mask.paths", "*",
                    "domain.description", "two\nlines", "domain.client_settings_domain", "10.0.0.1",
                    "domain.localpart_separators", "+", "domain.localpart_separators", "x",
                    "domain.localpart_separators", "+", "domain.dmarc.domain", "example.org",
                    "domain.tlsrpt.localpart", "b\xc3\xbc", "domain.tlsrpt.domain", "-",
                    "domain.tlsrpt.account", "alice", "domain.tlsrpt.mailbox", "M",
                    "domain.routes[0].transport", "nowhere", NULL),
                INVALID_ARGUMENT, "INVALID_ARGUMENT");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!has_violation(reply, fields[i])) {
            fail_msg("no violation of %s", fields[i]);
        }
    }
}

static void rule_3_3_02_the_client_settings_domain_is_stored_as_a_name(void **state)
{
    (void) state;
    assert_string_equal(saved(SAVE("example.org", "client_settings_domain",
                                   "domain.client_settings_domain", "Mail.XN--BCHER-KVA.Example"))
                            ->client_settings_domain,
                        "mail.b\xc3\xbc"
                        "cher.example");
    OK(CLEAR("example.org", "client_settings_domain"));
}

static void rule_3_3_08_an_mta_sts_policy_is_checked_and_served_in_ascii(void **state)
{
    static const struct {
        const char *id, *mode, *age, *mx, *field;
    } bad[] = {
        { "", "1", "60", "mx.example", "domain.mta_sts.policy_id" },
        { "2026-01", "1", "60", "mx.example", "domain.mta_sts.policy_id" },
        { "123456789012345678901234567890123", "1", "60", "mx.example",
          "domain.mta_sts.policy_id" },
        { "1", "0", "60", "mx.example", "domain.mta_sts.mode" },
        { "1", "4", "60", "mx.example", "domain.mta_sts.mode" },
        { "1", "1", "-1", "mx.example", "domain.mta_sts.max_age" },
        { "1", "1", "31557601", "mx.example", "domain.mta_sts.max_age" },
        { "1", "1", "60", "*.*.example", "domain.mta_sts.mx[0]" },
        { "1", "1", "60", "192.0.2.1", "domain.mta_sts.mx[0]" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct reply *reply =
            REFUSED(SAVE("example.org", "mta_sts", "domain.mta_sts.policy_id", bad[i].id,
                         "domain.mta_sts.mode", bad[i].mode, "domain.mta_sts.max_age", bad[i].age,
                         "domain.mta_sts.mx", bad[i].mx),
                    INVALID_ARGUMENT, "INVALID_ARGUMENT");
        if (!has_violation(reply, bad[i].field)) {
            fail_msg("row %zu: no violation of %s", i, bad[i].field);
        }
    }
    assert_string_equal(saved(SAVE("example.org", "mta_sts.mx", "domain.mta_sts.mx",
                                   "*.b\xc3\xbc"
                                   "cher.example"))
                            ->mta_sts->mx[0],
                        "*.xn--bcher-kva.example");
    OK(CLEAR("example.org", "mta_sts"));
    assert_null(get("example.org")->mta_sts);
}

/* --------------------------------------------------------- report addresses */

/* The one with the same localpart at another domain is not to be taken for the one here. */
static void what_holds_a_domain_is_counted_without_its_own_report_addresses(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.localpart",
           "reports", "domain.dmarc.domain", "far.example", "domain.tlsrpt.localpart", "reports",
           "update_mask.paths", "dmarc.localpart", "update_mask.paths", "dmarc.domain",
           "update_mask.paths", "tlsrpt.localpart", NULL));
    reply = REFUSED(ask(fx, &root, "DomainRemove", "domain", "example.org", NULL),
                    FAILED_PRECONDITION, "DOMAIN_IN_USE");
    assert_true(has_blocker(reply, "address", "alice@example.org"));
    assert_int_equal(reply->envelope->status->precondition_failure->total, 1);
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.localpart",
           "dmarcreports", "domain.tlsrpt.localpart", "tlsreports", "update_mask.paths",
           "dmarc.localpart", "update_mask.paths", "dmarc.domain", "update_mask.paths",
           "tlsrpt.localpart", NULL));
}

static void rule_3_7_a_report_address_moves_with_the_settings(void **state)
{
    (void) state;
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "Reports"));
    no_address("dmarcreports@example.org");
    assert_int_equal(address("reports@example.org")->kind,
                     MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT);
    OK(SAVE("example.org", "dmarc.domain", "domain.dmarc.domain", "far.example"));
    no_address("reports@example.org");
    assert_string_equal(address("reports@far.example")->report_domain, "example.org");
    OK(SAVE("example.org", "dmarc.account", "domain.dmarc.account", "bob"));
    assert_string_equal(address("reports@far.example")->account, "bob");
    OK(SAVE("example.org", "dmarc.mailbox", "domain.dmarc.mailbox", "Other"));
    assert_string_equal(address("reports@far.example")->mailbox, "Other");
    OK(CLEAR("example.org", "dmarc"));
    no_address("reports@far.example");
    OK(SAVE("example.org", "dmarc", "domain.dmarc.localpart", "dmarcreports",
            "domain.dmarc.account", "alice", "domain.dmarc.mailbox", "DMARC"));
    assert_string_equal(address("dmarcreports@example.org")->account, "alice");
}

static void rule_3_7_01_and_03_account_and_domain_of_reports_exist(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND",
            SAVE("example.org", "dmarc.account", "domain.dmarc.account", "nobody"));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            SAVE("example.org", "dmarc.domain", "domain.dmarc.domain", "none.example"));
}

static void rule_3_7_05_a_report_address_takes_nobody_elses(void **state)
{
    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "ALICE"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "tlsreports"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            SAVE("example.org", "tlsrpt.domain", "domain.tlsrpt.domain", "far.example"));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "dmarc+reports"));
}

static void the_report_addresses_of_a_domain_may_change_places(void **state)
{
    (void) state;
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.localpart",
           "tlsreports", "domain.tlsrpt.localpart", "dmarcreports", "update_mask.paths",
           "dmarc.localpart", "update_mask.paths", "tlsrpt.localpart", NULL));
    assert_int_equal(address("tlsreports@example.org")->kind,
                     MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT);
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.localpart",
           "dmarcreports", "domain.tlsrpt.localpart", "tlsreports", "update_mask.paths",
           "dmarc.localpart", "update_mask.paths", "tlsrpt.localpart", NULL));
}

static void a_report_address_that_an_account_logs_in_by_stays(void **state)
{
    const struct reply *reply;

    (void) state;
    set_from_id("alice", "DmarcReports@example.org");
    reply = CLEAR("example.org", "dmarc");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "account", "alice"));
    reply = SAVE("example.org", "dmarc.account", "domain.dmarc.account", "bob");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "account", "alice"));
    /* By the catchall it still arrives. */
    address_add("alice", "@example.org");
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "elsewhere"));
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "dmarcreports"));
    set_from_id("alice", NULL);
    address_remove("@example.org");
}

/* --------------------------------------------------------------- separators */

static void rule_3_5_07_a_new_separator_is_in_no_address(void **state)
{
    const struct reply *reply;

    (void) state;
    address_add("alice", "a-b@example.org");
    address_add("alice", "a==b@example.org");
    address_add("alice", "a=b@example.org");
    reply = SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+",
                 "domain.localpart_separators", "-");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_true(has_blocker(reply, "address", "a-b@example.org"));
    assert_false(has_blocker(reply, "address", "a=b@example.org"));
    reply = SAVE("example.org", "localpart_separators", "domain.localpart_separators", "==");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_true(has_blocker(reply, "address", "a==b@example.org"));
    assert_false(has_blocker(reply, "address", "a=b@example.org"));
    address_remove("a==b@example.org");
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "=="));
    address_remove("a=b@example.org");
    address_remove("a-b@example.org");
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+"));
}

static void the_count_of_addresses_in_the_way_is_exact(void **state)
{
    const struct reply *reply;

    (void) state;
    for (int i = 0; i < STATUS_BLOCKERS_MAX + 3; i++) {
        address_add("alice", fixture_text(fx, "a_%d@example.org", i));
    }
    reply = SAVE("example.org", "localpart_separators", "domain.localpart_separators", "_");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_int_equal(reply->envelope->status->precondition_failure->total, STATUS_BLOCKERS_MAX + 3);
    assert_int_equal(reply->envelope->status->precondition_failure->n_violations,
                     STATUS_BLOCKERS_MAX);
    for (int i = 0; i < STATUS_BLOCKERS_MAX + 3; i++) {
        address_remove(fixture_text(fx, "a_%d@example.org", i));
    }
}

static void a_report_address_may_make_room_for_a_separator_in_the_same_call(void **state)
{
    (void) state;
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "dmarc-reports"));
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.localpart",
           "dmarcreports", "domain.localpart_separators", "-", "update_mask.paths",
           "dmarc.localpart", "update_mask.paths", "localpart_separators", NULL));
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+"));
}

static void rule_3_4_07_the_last_separator_stays_while_logins_need_one(void **state)
{
    const struct reply *reply;

    (void) state;
    set_from_id("alice", "alice@example.org");
    reply = CLEAR("example.org", "localpart_separators");
    REFUSED(reply, FAILED_PRECONDITION, "SEPARATOR_IN_USE");
    assert_true(has_blocker(reply, "account", "alice"));
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "-"));
    set_from_id("alice", NULL);
    OK(CLEAR("example.org", "localpart_separators"));
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+"));
}

static void a_new_separator_cuts_logins_by_the_catchall(void **state)
{
    const struct reply *reply;

    (void) state;
    address_add("alice", "@example.org");
    set_from_id("alice", "any-tag@example.org");
    address_add("bob", "any@example.org");
    reply = SAVE("example.org", "localpart_separators", "domain.localpart_separators", "-");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "account", "alice"));
    address_remove("any@example.org");
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "-"));
    assert_string_equal(from_id("alice"), "any@example.org");
    set_from_id("alice", NULL);
    address_remove("@example.org");
    OK(SAVE("example.org", "localpart_separators", "domain.localpart_separators", "+"));
}

/* ---------------------------------------------------------------------- case */

static void case_sensitive(const char *domain, bool sensitive)
{
    OK(SAVE(domain, "localpart_case_sensitive", "domain.localpart_case_sensitive",
            sensitive ? "1" : "0"));
}

static void rule_4_5_with_the_case_rule_canonical_forms_and_references_change(void **state)
{
    (void) state;
    address_add("bob", "Big.Name@example.org");
    set_from_id("bob", "big.name+x@example.org");
    assert_string_equal(address("BIG.NAME@example.org")->canonical_address, "big.name@example.org");
    case_sensitive("example.org", true);
    assert_string_equal(address("Big.Name@example.org")->canonical_address, "Big.Name@example.org");
    assert_string_equal(from_id("bob"), "Big.Name@example.org");
    no_address("big.name@example.org");
    case_sensitive("example.org", false);
    assert_string_equal(address("big.name@example.org")->address, "Big.Name@example.org");
    assert_string_equal(from_id("bob"), "big.name@example.org");
    set_from_id("bob", NULL);
    address_remove("big.name@example.org");
}

static void rule_3_5_07_addresses_that_become_equal_are_named(void **state)
{
    const struct reply *reply;

    (void) state;
    case_sensitive("example.org", true);
    address_add("alice", "Same@example.org");
    address_add("alice", "same@example.org");
    address_add("bob", "sAme@example.org");
    reply = SAVE("example.org", "localpart_case_sensitive", "domain.localpart_case_sensitive", "0");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_true(has_blocker(reply, "address", "Same@example.org"));
    assert_true(has_blocker(reply, "address", "sAme@example.org"));
    assert_non_null(strstr(reply->words, "same@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_CONFLICT",
            CLEAR("example.org", "localpart_case_sensitive"));
    address_remove("Same@example.org");
    address_remove("sAme@example.org");
    case_sensitive("example.org", false);
    address_remove("same@example.org");
}

static void logins_by_the_catchall_follow_the_case_rule_or_stand_in_its_way(void **state)
{
    const struct reply *reply;

    (void) state;
    case_sensitive("example.org", true);
    address_add("alice", "@example.org");
    set_from_id("alice", "Any@example.org");
    address_add("bob", "any@example.org");
    reply = SAVE("example.org", "localpart_case_sensitive", "domain.localpart_case_sensitive", "0");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "account", "alice"));
    address_remove("any@example.org");
    case_sensitive("example.org", false);
    assert_string_equal(from_id("alice"), "any@example.org");
    set_from_id("alice", NULL);
    address_remove("@example.org");
}

static void a_report_address_is_respelled_with_its_domain(void **state)
{
    (void) state;
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "Reports"));
    case_sensitive("example.org", true);
    assert_string_equal(address("Reports@example.org")->canonical_address, "Reports@example.org");
    case_sensitive("example.org", false);
    assert_string_equal(address("reports@example.org")->canonical_address, "reports@example.org");
    OK(SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "dmarcreports"));
}

/* ------------------------------------------------------------------- aliases */

/* The only member of an alias. */
static const Mxadm__V1__AliasMember *member(const char *alias)
{
    const struct reply *reply = OK(ask(fx, &viewer, "AliasList", "members_of", alias, NULL));
    const Mxadm__V1__AliasListResponse *response = reply->message;

    assert_int_equal(response->n_members, 1);
    return response->members[0];
}

static void members_follow_the_account_of_a_report_address_and_hold_it(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "AliasAdd", "address", "team@far.example", "members",
           "dmarcreports@example.org", NULL));
    OK(SAVE("example.org", "dmarc.account", "domain.dmarc.account", "bob"));
    assert_string_equal(member("team@far.example")->account, "bob");
    OK(SAVE("example.org", "dmarc.account", "domain.dmarc.account", "alice"));
    reply = CLEAR("example.org", "dmarc");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "alias", "team@far.example"));
    OK(ask(fx, &root, "AliasRemove", "address", "team@far.example", NULL));
}

static void aliases_and_members_are_respelled(void **state)
{
    (void) state;
    address_add("bob", "Bob@example.org");
    OK(ask(fx, &root, "AliasAdd", "address", "Team@example.org", "members", "bob@example.org",
           NULL));
    case_sensitive("example.org", true);
    assert_string_equal(member("Team@example.org")->alias, "Team@example.org");
    assert_string_equal(member("Team@example.org")->address, "Bob@example.org");
    REFUSED(ask(fx, &viewer, "AliasGet", "address", "team@example.org", NULL), NOT_FOUND,
            "ALIAS_NOT_FOUND");
    case_sensitive("example.org", false);
    assert_string_equal(member("team@example.org")->alias, "team@example.org");
    assert_string_equal(member("team@example.org")->address, "bob@example.org");
    OK(ask(fx, &root, "AliasRemove", "address", "team@example.org", NULL));
    address_remove("bob@example.org");
}

static void rule_3_5_07_aliases_count_as_addresses(void **state)
{
    const struct reply *reply;

    (void) state;
    case_sensitive("example.org", true);
    address_add("bob", "same@example.org");
    OK(ask(fx, &root, "AliasAdd", "address", "Same@example.org", "members", "same@example.org",
           NULL));
    OK(ask(fx, &root, "AliasAdd", "address", "a-team@example.org", "members", "same@example.org",
           NULL));
    reply = SAVE("example.org", "localpart_case_sensitive", "domain.localpart_case_sensitive", "0");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_true(has_blocker(reply, "alias", "Same@example.org"));
    reply = SAVE("example.org", "localpart_separators", "domain.localpart_separators", "-");
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_CONFLICT");
    assert_true(has_blocker(reply, "alias", "a-team@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            SAVE("example.org", "dmarc.localpart", "domain.dmarc.localpart", "Same"));
    OK(ask(fx, &root, "AliasRemove", "address", "Same@example.org", NULL));
    OK(ask(fx, &root, "AliasRemove", "address", "a-team@example.org", NULL));
    case_sensitive("example.org", false);
    address_remove("same@example.org");
}

/* --------------------------------------------------------------------- roles */

static const struct reply *as(const struct rpc_peer *peer, const char *domain, const char *path,
                              const char *value)
{
    return ask(fx, peer, "DomainSave", "domain.name", domain, "update_mask.paths", path,
               fixture_text(fx, "domain.%s", path), value, NULL);
}

static void a_domain_administrator_saves_own_domains_alone(void **state)
{
    (void) state;
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING", as(&viewer, "example.org", "disabled", "1"));
    OK(as(&scoped, "example.org", "disabled", "1"));
    OK(as(&scoped, "example.org", "disabled", "0"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            as(&scoped, "far.example", "disabled", "1"));
    OK(as(&scoped, "example.org", "dmarc.localpart", "mine"));
    OK(as(&scoped, "example.org", "dmarc.domain", "own.example"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            as(&scoped, "example.org", "dmarc.domain", "far.example"));
    REFUSES(fx, PERMISSION_DENIED, "ACCOUNT_OUT_OF_SCOPE",
            as(&scoped, "example.org", "dmarc.account", "fred"));
    OK(as(&root, "example.org", "dmarc.domain", "far.example"));
    OK(as(&root, "example.org", "dmarc.account", "fred"));
    OK(as(&scoped, "example.org", "description", "what another set may stay"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            as(&scoped, "example.org", "dmarc.domain", "example.org"));
    OK(as(&root, "example.org", "dmarc.domain", ""));
    OK(as(&root, "example.org", "dmarc.account", "alice"));
    OK(as(&root, "example.org", "dmarc.localpart", "dmarcreports"));
}

static void validating_only_changes_nothing(void **state)
{
    const char *before = fixture_dump(fx);
    struct options options = { .validate_only = true };

    (void) state;
    OK(ask_with(fx, &root, &options, "DomainSave", "domain.name", "example.org",
                "domain.localpart_case_sensitive", "1", "domain.dmarc.localpart", "Moved",
                "update_mask.paths", "localpart_case_sensitive", "update_mask.paths",
                "dmarc.localpart", NULL));
    assert_string_equal(fixture_dump(fx), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mask_says_what_changes_and_the_record_is_returned),
        cmocka_unit_test(what_changes_nothing_raises_no_revision),
        cmocka_unit_test(the_domain_the_mask_and_its_paths_are_needed),
        cmocka_unit_test(every_wrong_value_is_named),
        cmocka_unit_test(rule_3_3_02_the_client_settings_domain_is_stored_as_a_name),
        cmocka_unit_test(rule_3_3_08_an_mta_sts_policy_is_checked_and_served_in_ascii),
        cmocka_unit_test(what_holds_a_domain_is_counted_without_its_own_report_addresses),
        cmocka_unit_test(rule_3_7_a_report_address_moves_with_the_settings),
        cmocka_unit_test(rule_3_7_01_and_03_account_and_domain_of_reports_exist),
        cmocka_unit_test(rule_3_7_05_a_report_address_takes_nobody_elses),
        cmocka_unit_test(the_report_addresses_of_a_domain_may_change_places),
        cmocka_unit_test(a_report_address_that_an_account_logs_in_by_stays),
        cmocka_unit_test(rule_3_5_07_a_new_separator_is_in_no_address),
        cmocka_unit_test(the_count_of_addresses_in_the_way_is_exact),
        cmocka_unit_test(a_report_address_may_make_room_for_a_separator_in_the_same_call),
        cmocka_unit_test(rule_3_4_07_the_last_separator_stays_while_logins_need_one),
        cmocka_unit_test(a_new_separator_cuts_logins_by_the_catchall),
        cmocka_unit_test(rule_4_5_with_the_case_rule_canonical_forms_and_references_change),
        cmocka_unit_test(rule_3_5_07_addresses_that_become_equal_are_named),
        cmocka_unit_test(logins_by_the_catchall_follow_the_case_rule_or_stand_in_its_way),
        cmocka_unit_test(a_report_address_is_respelled_with_its_domain),
        cmocka_unit_test(members_follow_the_account_of_a_report_address_and_hold_it),
        cmocka_unit_test(aliases_and_members_are_respelled),
        cmocka_unit_test(rule_3_5_07_aliases_count_as_addresses),
        cmocka_unit_test(a_domain_administrator_saves_own_domains_alone),
        cmocka_unit_test(validating_only_changes_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
