/*
 * Rules of mox-behaviour.md about values of domains, accounts and settings that no noun's own
 * test has: each test is one rule, on a configuration of its own.
 */
#include "rpc_cases.h"

#include "support/message_text.h"

#include <stdlib.h>
#include <string.h>

#define VIA(name) MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_##name

static struct fixture *fx;
static struct fixture *original; /* of which each test has a copy */
static struct fixture_options copy = { .sqlite = true };
static struct arena *arena;

static int setup_all(void **state)
{
    static const struct fixture_options options = { .sqlite = true };

    (void) state;
    original = fixture_create(&options);
    add_domain(original, "example.org", "alice");
    add_domain(original, "other.example", "otto");
    fixture_stop(original);
    copy.copy_of = original;
    return 0;
}

static int teardown_all(void **state)
{
    (void) state;
    fixture_destroy(original);
    return 0;
}

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(&copy);
    arena = arena_create((size_t) 16 * 1024 * 1024);
    assert_non_null(arena);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    arena_destroy(arena);
    fixture_destroy(fx);
    return 0;
}

/* A request as text (support/message_text.h). */
static const struct reply *tell(const char *method, const char *text)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(service, method);
    ProtobufCMessage *request = message_parse(arena, service, found->input, text);
    uint8_t *packed = arena_alloc(arena, protobuf_c_message_get_packed_size(request) + 1);

    return ask_message(fx, &root, method, packed, protobuf_c_message_pack(request, packed));
}

/* Settings of example.org. */
static const struct reply *save_domain(const char *fields, const char *path)
{
    return tell("DomainSave",
                arena_printf(arena, "domain { name: 'example.org' %s } update_mask { paths: '%s' }",
                             fields, path));
}

static const struct reply *save_account(const char *fields, const char *path)
{
    return tell("AccountSave",
                arena_printf(arena, "account { name: 'alice' %s } update_mask { paths: '%s' }",
                             fields, path));
}

static const Mxadm__V1__AddressLookupResponse *lookup(const char *address)
{
    return OK(ask(fx, &viewer, "AddressLookup", "address", address, NULL))->message;
}

/* A value of example.org that is wrong, and the field that is named. */
struct wrong {
    const char *rule;
    const char *fields;
    const char *path;
    const char *field;
};

static void refuse_all(const struct wrong *cases, size_t count,
                       const struct reply *(*save)(const char *fields, const char *path))
{
    const char *before = fixture_dump(fx);

    for (size_t i = 0; i < count; i++) {
        const struct reply *reply = save(cases[i].fields, cases[i].path);

        if (reply->code != MX_INVALID_ARGUMENT || !has_violation(reply, cases[i].field)) {
            fail_msg("%s: %s: %s %s", cases[i].rule, cases[i].fields, mx_code_name(reply->code),
                     reply->words);
        }
    }
    assert_string_equal(fixture_dump(fx), before);
}

#define REFUSE_ALL(cases, save) refuse_all((cases), sizeof(cases) / sizeof((cases)[0]), (save))

/* ------------------------------------------------------------------ domains */

static void rule_1_13_01_the_domain_must_exist_in_whatever_spelling(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            tell("DomainSave", "domain { name: 'none.example' } update_mask { paths: '*' }"));
    OK(tell("DomainSave", "domain { name: 'EXAMPLE.Org' description: 'found' } update_mask {"
                          " paths: 'description' }"));
}

static void rule_1_13_04_a_save_checks_all_before_it_writes(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = save_domain("description: 'good' client_settings_domain: 'a..b'"
                        " routes { transport: 'none' }",
                        "*");
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "domain.client_settings_domain"));
    assert_true(has_violation(reply, "domain.routes[0].transport"));
    REFUSES(fx, INVALID_ARGUMENT, NULL,
            save_domain("description: 'good' client_settings_domain: 'a..b'", "*"));
}

static void rule_1_15_05_none_of_several_separators_is_in_a_localpart(void **state)
{
    (void) state;
    OK(save_domain("localpart_separators: '+' localpart_separators: '-'", "localpart_separators"));
    REFUSES(fx, INVALID_ARGUMENT, NULL,
            ask(fx, &root, "AddressAdd", "address", "a-b@example.org", "account", "alice", NULL));
    REFUSES(fx, INVALID_ARGUMENT, NULL,
            ask(fx, &root, "AddressAdd", "address", "a+b@example.org", "account", "alice", NULL));
    assert_string_equal(lookup("alice-x+y@example.org")->account, "alice");
}

static void rule_2_02_02_a_domain_with_nothing_set_is_good(void **state)
{
    const Mxadm__V1__DomainSaveResponse *saved = OK(save_domain("", "*"))->message;

    (void) state;
    assert_null(saved->domain->dmarc);
    assert_null(saved->domain->tlsrpt);
    assert_null(saved->domain->mta_sts);
    assert_int_equal(saved->domain->n_localpart_separators, 0);
    assert_string_equal(lookup("alice@example.org")->account, "alice");
}

static void rule_3_3_03_separators_are_of_a_list_of_characters(void **state)
{
    static const char *const good[] = { "+", "-", "_", "=", ".", "+-_=" };
    static const struct wrong bad[] = {
        { "3.3-03 a letter", "localpart_separators: 'x'", "localpart_separators",
          "domain.localpart_separators[0]" },
        { "3.3-03 a blank", "localpart_separators: ' '", "localpart_separators",
          "domain.localpart_separators[0]" },
        { "3.3-03 an at", "localpart_separators: '@'", "localpart_separators",
          "domain.localpart_separators[0]" },
        { "3.3-03 a quote", "localpart_separators: '\"'", "localpart_separators",
          "domain.localpart_separators[0]" },
        { "3.3-03 five characters", "localpart_separators: '+++++'", "localpart_separators",
          "domain.localpart_separators[0]" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        OK(save_domain(arena_printf(arena, "localpart_separators: '%s'", good[i]),
                       "localpart_separators"));
    }
    REFUSE_ALL(bad, save_domain);
}

static void rule_3_3_04_no_separator_is_empty_or_there_twice(void **state)
{
    static const struct wrong bad[] = {
        { "3.3-04 empty", "localpart_separators: ''", "localpart_separators",
          "domain.localpart_separators[0]" },
        { "3.3-04 twice", "localpart_separators: '+' localpart_separators: '+'",
          "localpart_separators", "domain.localpart_separators[1]" },
        { "3.3-04 nine",
          "localpart_separators: '+' localpart_separators: '-' localpart_separators: '_'"
          " localpart_separators: '=' localpart_separators: '.' localpart_separators: '++'"
          " localpart_separators: '--' localpart_separators: '__' localpart_separators: '=='",
          "localpart_separators", "domain.localpart_separators" },
    };

    (void) state;
    REFUSE_ALL(bad, save_domain);
}

static void rule_3_3_09_routes_of_a_domain_are_checked(void **state)
{
    static const struct wrong bad[] = {
        { "3.3-09 transport", "routes { transport: 'none' }", "routes",
          "domain.routes[0].transport" },
        { "3.3-09 none", "routes { to_domain: 'example.net' }", "routes",
          "domain.routes[0].transport" },
        { "3.3-09 domain", "routes { from_domain: 'a..b' transport: 'smarthost' }", "routes",
          "domain.routes[0].from_domain[0]" },
        { "3.3-09 attempts", "routes { minimum_attempts: -1 transport: 'smarthost' }", "routes",
          "domain.routes[0].minimum_attempts" },
    };

    (void) state;
    REFUSE_ALL(bad, save_domain);
    OK(save_domain("routes { from_domain: '.example.net' transport: 'smarthost' }", "routes"));
}

static void rule_3_7_02_reports_have_an_ascii_localpart_a_domain_and_a_mailbox(void **state)
{
    static const struct wrong bad[] = {
        { "3.7-02 Unicode", "dmarc { localpart: 'b\xc3\xbc' account: 'alice' mailbox: 'D' }",
          "dmarc", "domain.dmarc.localpart" },
        { "3.7-02 no localpart", "tlsrpt { localpart: 'a..b' account: 'alice' mailbox: 'D' }",
          "tlsrpt", "domain.tlsrpt.localpart" },
        { "3.7-03 no domain",
          "dmarc { localpart: 'd' domain: 'a..b' account: 'alice' mailbox: 'D' }", "dmarc",
          "domain.dmarc.domain" },
        { "3.7-04 no mailbox", "dmarc { localpart: 'd' account: 'alice' }", "dmarc",
          "domain.dmarc.mailbox" },
        { "3.7-04 not NFC", "dmarc { localpart: 'd' account: 'alice' mailbox: 'e\xcc\x81' }",
          "dmarc", "domain.dmarc.mailbox" },
        { "3.7-04 leads elsewhere", "tlsrpt { localpart: 'd' account: 'alice' mailbox: '../x' }",
          "tlsrpt", "domain.tlsrpt.mailbox" },
    };

    (void) state;
    REFUSE_ALL(bad, save_domain);
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND",
            save_domain("dmarc { localpart: 'd' domain: 'none.example' account: 'alice'"
                        " mailbox: 'D' }",
                        "dmarc"));
}

static void rule_3_7_06_reports_arrive_in_whatever_letter_case_and_with_a_tag(void **state)
{
    static const char *const addresses[] = { "DMARC@example.org", "dmarc@example.org",
                                             "Dmarc+2026@EXAMPLE.org" };

    (void) state;
    OK(save_domain("dmarc { localpart: 'DMarc' account: 'alice' mailbox: 'D' }", "dmarc"));
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const Mxadm__V1__AddressLookupResponse *found = lookup(addresses[i]);

        assert_int_equal(found->via, VIA(ADDRESS));
        assert_string_equal(found->address->mailbox, "D");
        assert_int_equal(found->address->kind, MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT);
    }
}

static void rule_5_5_01_postmaster_is_postmaster_in_whatever_letter_case(void **state)
{
    (void) state;
    OK(save_domain("localpart_case_sensitive: true", "localpart_case_sensitive"));
    assert_int_equal(lookup("PostMaster@example.org")->via, VIA(POSTMASTER));
    OK(ask(fx, &root, "AddressAdd", "address", "postmaster@example.org", "account", "alice", NULL));
    assert_string_equal(lookup("PostMaster@example.org")->account, "alice");
}

/* ----------------------------------------------------------------- accounts */

static void rule_1_16_09_logins_go_only_with_what_they_reach_the_account_by(void **state)
{
    const Mxadm__V1__AddressRemoveResponse *removed;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "address", "second@example.org", "account", "alice", NULL));
    OK(ask(fx, &root, "AddressAdd", "address", "@example.org", "account", "alice", NULL));
    OK(save_account("from_id_login_addresses: 'second@example.org'"
                    " from_id_login_addresses: 'alice@example.org'",
                    "from_id_login_addresses"));
    /* The catchall still reaches the account; then only an address of its own does. */
    removed = OK(ask(fx, &root, "AddressRemove", "address", "second@example.org", NULL))->message;
    assert_int_equal(removed->n_from_id_login_addresses, 0);
    removed = OK(ask(fx, &root, "AddressRemove", "address", "@example.org", NULL))->message;
    assert_int_equal(removed->n_from_id_login_addresses, 1);
    assert_string_equal(removed->from_id_login_addresses[0], "second@example.org");
}

static void rule_2_10_02_floats_keep_their_value(void **state)
{
    const Mxadm__V1__AccountSaveResponse *saved =
        OK(save_account("junk_filter { threshold: 0.9500000001 max_power: 1.25e-9 }",
                        "junk_filter"))
            ->message;

    (void) state;
    assert_true(saved->account->junk_filter->threshold > 0.95);
    assert_true(saved->account->junk_filter->max_power > 1.24e-9 &&
                saved->account->junk_filter->max_power < 1.26e-9);
}

static void rule_b07_what_is_there_but_zero_stays(void **state)
{
    const Mxadm__V1__AccountGetResponse *got;

    (void) state;
    OK(save_account("automatic_junk_flags { }", "automatic_junk_flags"));
    fixture_restart(fx);
    got = OK(ask(fx, &viewer, "AccountGet", "account", "alice", NULL))->message;
    assert_non_null(got->account->automatic_junk_flags);
    assert_false(got->account->automatic_junk_flags->enabled);
}

static void rule_b23_a_newline_is_an_error_of_the_field(void **state)
{
    static const struct wrong of_domain[] = {
        { "B23", "description: 'a\nb'", "description", "domain.description" },
    };
    static const struct wrong of_account[] = {
        { "B23", "description: 'a\nb'", "description", "account.description" },
        { "B23", "full_name: 'a\nb'", "full_name", "account.full_name" },
    };

    (void) state;
    REFUSE_ALL(of_domain, save_domain);
    REFUSE_ALL(of_account, save_account);
}

/* ----------------------------------------------------------- DKIM, settings */

static void rule_b19_a_list_of_headers_stays_as_it_was_set(void **state)
{
    static const char defaults[] =
        "headers: 'From' headers: 'To' headers: 'Cc' headers: 'Bcc' headers: 'Reply-To'"
        " headers: 'References' headers: 'In-Reply-To' headers: 'Subject' headers: 'Date'"
        " headers: 'Message-Id' headers: 'Content-Type'";
    const Mxadm__V1__DKIMSaveResponse *saved;

    (void) state;
    OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s", NULL));
    saved = OK(tell("DKIMSave", arena_printf(arena,
                                             "dkim_selector { domain: 'example.org' name: 's' %s }"
                                             " update_mask { paths: 'headers' }",
                                             defaults)))
                ->message;
    assert_int_equal(saved->dkim_selector->n_headers, 11);
    assert_string_equal(saved->dkim_selector->headers[10], "Content-Type");
}

static const struct reply *save_config(const char *fields, const char *path)
{
    return tell("ConfigSave",
                arena_printf(arena, "config { %s } update_mask { paths: '%s' }", fields, path));
}

static void rule_b20_bad_urls_and_paths_are_errors_of_the_field(void **state)
{
#define HANDLER(target) "web_handlers { domain: 'www.example.org' path_regexp: '^/' " target " }"
    static const struct wrong bad[] = {
        { "B20", HANDLER("web_redirect { base_url: 'http://[' }"), "web_handlers",
          "config.web_handlers[0].web_redirect.base_url" },
        { "B20", HANDLER("web_internal { base_path: '' service: 'webmail' }"), "web_handlers",
          "config.web_handlers[0].web_internal.base_path" },
        { "B20", HANDLER("web_static { root: '' }"), "web_handlers",
          "config.web_handlers[0].web_static.root" },
    };

    (void) state;
    REFUSE_ALL(bad, save_config);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(rule_1_13_01_the_domain_must_exist_in_whatever_spelling),
        RULE(rule_1_13_04_a_save_checks_all_before_it_writes),
        RULE(rule_1_15_05_none_of_several_separators_is_in_a_localpart),
        RULE(rule_2_02_02_a_domain_with_nothing_set_is_good),
        RULE(rule_3_3_03_separators_are_of_a_list_of_characters),
        RULE(rule_3_3_04_no_separator_is_empty_or_there_twice),
        RULE(rule_3_3_09_routes_of_a_domain_are_checked),
        RULE(rule_3_7_02_reports_have_an_ascii_localpart_a_domain_and_a_mailbox),
        RULE(rule_3_7_06_reports_arrive_in_whatever_letter_case_and_with_a_tag),
        RULE(rule_5_5_01_postmaster_is_postmaster_in_whatever_letter_case),
        RULE(rule_1_16_09_logins_go_only_with_what_they_reach_the_account_by),
        RULE(rule_2_10_02_floats_keep_their_value),
        RULE(rule_b07_what_is_there_but_zero_stays),
        RULE(rule_b23_a_newline_is_an_error_of_the_field),
        RULE(rule_b19_a_list_of_headers_stays_as_it_was_set),
        RULE(rule_b20_bad_urls_and_paths_are_errors_of_the_field),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
