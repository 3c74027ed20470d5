/*
 * AddressSave. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"
#include "save_cases.h"

#include <string.h>

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "bob");
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "@example.org", NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__Address *saved(const struct reply *reply)
{
    return ((const Mxadm__V1__AddressSaveResponse *) OK(reply)->message)->address;
}

static const Mxadm__V1__Address *get(const char *address)
{
    const Mxadm__V1__AddressGetResponse *got =
        OK(ask(fx, &root, "AddressGet", "address", address, NULL))->message;

    return got->address;
}

static const struct save_form all = {
    "AddressSave", "address { address: 'alice@example.org' %s } update_mask { paths: '*' }"
};

static void values_are_held_against_the_contract(void **state)
{
    static const struct save_case cases[] = {
        { "3.6-01", "mailbox: 'Lists/mxadm'", NULL },
        { "3.6-01 NFC", "mailbox: 'e\xcc\x81'", "address.mailbox" },
        { "3.6-01 part", "mailbox: 'a/../b'", "address.mailbox" },
        { "3.6-01 NFC", "rulesets { msg_from_regexp: 'a' mailbox: 'e\xcc\x81' }",
          "address.rulesets[0].mailbox" },
        { "3.6-01 absent", "rulesets { msg_from_regexp: 'a' }", "address.rulesets[0].mailbox" },
        { "3.6-02", "rulesets { msg_from_regexp: '(' mailbox: 'M' }",
          "address.rulesets[0].msg_from_regexp" },
        { "3.6-02", "rulesets { smtp_mail_from_regexp: 'a**' mailbox: 'M' }",
          "address.rulesets[0].smtp_mail_from_regexp" },
        { "3.6-02 newline", "rulesets { msg_from_regexp: 'a\nb' mailbox: 'M' }",
          "address.rulesets[0].msg_from_regexp" },
        { "3.6-03", "rulesets { verified_domain: 'not a domain' mailbox: 'M' }",
          "address.rulesets[0].verified_domain" },
        { "3.6-04 upper", "rulesets { headers_regexp { name: 'Subject' value: 'x' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].name" },
        { "3.6-04 upper", "rulesets { headers_regexp { name: 'x' value: '[A-Z]' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].value" },
        { "3.6-04 upper",
          "rulesets { headers_regexp { name: 'x' value: '\xc3\x84' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].value" },
        { "3.6-04 quoted upper",
          "rulesets { headers_regexp { name: 'x' value: '\\Qa.B\\E' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].value" },
        { "3.6-04 upper in escapes",
          "rulesets { headers_regexp { name: '^\\S+$'"
          " value: '(?P<Name>\\W\\D\\B\\PL\\p{Greek}\\x{4A}\\Q.\\E)' }"
          " mailbox: 'M' }",
          NULL },
        { "3.6-04 upper behind escapes",
          "rulesets { headers_regexp { name: '\\p{Greek}A' value: 'x' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].name" },
        { "3.6-04 upper behind a group",
          "rulesets { headers_regexp { name: '(?i:A)' value: 'x' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].name" },
        { "3.6-04", "rulesets { headers_regexp { name: '(' value: 'x' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].name" },
        { "3.6-04 absent", "rulesets { headers_regexp { name: 'x' } mailbox: 'M' }",
          "address.rulesets[0].headers_regexp[0].value" },
        { "3.6-05", "rulesets { mailbox: 'M' }", "address.rulesets[0]" },
        { "3.6-05 not a condition", "rulesets { list_allow_domain: 'l.example' mailbox: 'M' }",
          "address.rulesets[0]" },
        { "3.6-06",
          "rulesets { smtp_mail_from_regexp: 'a' verified_domain: 'example.net'"
          " is_forward: true mailbox: 'M' }",
          NULL },
        { "3.6-06", "rulesets { smtp_mail_from_regexp: 'a' is_forward: true mailbox: 'M' }",
          "address.rulesets[0].verified_domain" },
        { "3.6-06", "rulesets { verified_domain: 'example.net' is_forward: true mailbox: 'M' }",
          "address.rulesets[0].smtp_mail_from_regexp" },
        { "3.6-06 both",
          "rulesets { smtp_mail_from_regexp: 'a' verified_domain: 'example.net'"
          " is_forward: true list_allow_domain: 'example.net' mailbox: 'M' }",
          "address.rulesets[0].is_forward" },
        { "3.6-06",
          "rulesets { verified_domain: 'example.net' list_allow_domain: 'a b' mailbox: 'M' }",
          "address.rulesets[0].list_allow_domain" },
        { "3.6-07",
          "rulesets { msg_from_regexp: 'a' accept_rejects_to_mailbox: 'INBOX'"
          " mailbox: 'M' }",
          "address.rulesets[0].accept_rejects_to_mailbox" },
        { "3.6-07 NFC",
          "rulesets { msg_from_regexp: 'a' accept_rejects_to_mailbox: 'e\xcc\x81'"
          " mailbox: 'M' }",
          "address.rulesets[0].accept_rejects_to_mailbox" },
        { "3.4-10", "rulesets { msg_from_regexp: 'a' mailbox: 'M' comment: 'a\nb' }",
          "address.rulesets[0].comment" },
        { "3.4-10", "full_name: 'a\rb'", "address.full_name" },
        { "3.6-16", "smtp_error: '550'", NULL },
        { "3.6-16", "smtp_error: '421 try again later'", NULL },
        { "3.6-16 code", "smtp_error: '554 no'", "address.smtp_error" },
        { "3.6-16 code", "smtp_error: '5500'", "address.smtp_error" },
        { "3.6-16 code", "smtp_error: '550-no'", "address.smtp_error" },
        { "3.6-16 ASCII", "smtp_error: '550 n\xc3\xb3'", "address.smtp_error" },
        { "3.6-16 control", "smtp_error: '550 a\nb'", "address.smtp_error" },
        { "3.6-16 together", "smtp_error: '550' mailbox: 'M'", "address.smtp_error" },
        { "3.6-16 together", "smtp_error: '550' rulesets { msg_from_regexp: 'a' mailbox: 'M' }",
          "address.smtp_error" },
        { "3.6-17", "message_auth_required_smtp_error: 'sign it'", NULL },
        { "3.6-17 ASCII", "message_auth_required_smtp_error: '\xc3\xa9'",
          "address.message_auth_required_smtp_error" },
    };

    (void) state;
    TRY(fx, &all, cases);
}

static const struct reply *save_text(const char *field, const char *value)
{
    return ask(fx, &root, "AddressSave", "address.address", "alice@example.org", field, value,
               "update_mask.paths", "*", NULL);
}

static void rule_3_6_17_texts_have_at_most_256_bytes(void **state)
{
    const char *most = repeated(fx, "x", 256);
    const char *more = repeated(fx, "x", 257);

    (void) state;
    OK(save_text("address.message_auth_required_smtp_error", most));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            save_text("address.message_auth_required_smtp_error", more));
    OK(save_text("address.smtp_error", fixture_text(fx, "550 %s", most + 4)));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            save_text("address.smtp_error", fixture_text(fx, "550 %s", most + 3)));
}

/* `count` rulesets with this expression each. */
static const struct reply *save_rulesets(const char *expression, size_t count)
{
    const char *one =
        fixture_text(fx, "rulesets { msg_from_regexp: '%s' mailbox: 'M' } ", expression);

    return ask_text(fx, &root, "AddressSave",
                    fixture_text(fx,
                                 "address { address: 'alice@example.org' %s }"
                                 " update_mask { paths: '*' }",
                                 repeated(fx, one, count)));
}

static void rule_2_9_02_what_takes_long_to_compile_is_refused_uncompiled(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(save_rulesets("^[a-z]+@example\\.org$", 1000));
    assert_true(
        has_violation(REFUSED(save_rulesets("a", 1001), INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                      "address.rulesets"));
    reply =
        REFUSED(save_rulesets("((\\pL{10}){10}){10}", 100), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "address.rulesets"));
    reply = REFUSED(save_rulesets("\\pL", 1000), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "address.rulesets"));
    OK(save_rulesets("(a*)*(a|a)*b", 1000)); /* exponential only for those who go back */
}

static void an_address_is_found_in_any_spelling_and_keeps_its_own(void **state)
{
    const Mxadm__V1__Address *address;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "Rob@other.example", NULL));
    address =
        saved(ask(fx, &root, "AddressSave", "address.address", "\"ROB\"@OTHER.example",
                  "address.account", "alice", "address.kind", "2", "address.domain", "example.org",
                  "address.canonical_address", "x@y.example", "address.report_domain",
                  "example.org", "address.full_name", "Rob", "update_mask.paths", "*", NULL));
    assert_string_equal(address->address, "Rob@other.example");
    assert_string_equal(address->canonical_address, "rob@other.example");
    assert_string_equal(address->account, "bob"); /* `account` can't be changed */
    assert_string_equal(address->domain, "other.example");
    assert_string_equal(address->report_domain, "");
    assert_int_equal(address->kind, MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
    assert_string_equal(address->full_name, "Rob");
    assert_same_message(&address->base, &get("rob@other.example")->base);
}

static void a_catchall_has_settings_too(void **state)
{
    const Mxadm__V1__Address *address =
        saved(ask(fx, &root, "AddressSave", "address.address", "@example.org", "address.mailbox",
                  "All", "update_mask.paths", "mailbox", NULL));

    (void) state;
    assert_string_equal(address->mailbox, "All");
    assert_int_equal(address->kind, MXADM__V1__ADDRESS__KIND__KIND_CATCHALL);
    assert_string_equal(get("@example.org")->mailbox, "All");
}

static void domains_of_rulesets_are_kept_by_name(void **state)
{
    const Mxadm__V1__Address *address =
        saved(ask(fx, &root, "AddressSave", "address.address", "bob@other.example",
                  "address.rulesets[0].verified_domain", "XN--BCHER-KVA.example",
                  "address.rulesets[0].list_allow_domain", "Lists.Example.NET",
                  "address.rulesets[0].mailbox", "Lists", "update_mask.paths", "rulesets", NULL));

    (void) state;
    assert_string_equal(address->rulesets[0]->verified_domain, "b\xc3\xbc"
                                                               "cher.example");
    assert_string_equal(address->rulesets[0]->list_allow_domain, "lists.example.net");
}

static void a_report_address_is_changed_with_its_domain(void **state)
{
    const char *before = fixture_dump(fx);
    const struct reply *reply =
        REFUSED(ask(fx, &root, "AddressSave", "address.address", "dmarcreports@example.org",
                    "address.mailbox", "X", "update_mask.paths", "mailbox", NULL),
                FAILED_PRECONDITION, "REPORT_ADDRESS");

    (void) state;
    assert_true(has_blocker(reply, "domain", "example.org"));
    assert_string_equal(fixture_dump(fx), before);
}

static void what_is_not_there_or_not_named_is_said(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            ask(fx, &root, "AddressSave", "address.address", "nobody@example.org",
                "update_mask.paths", "*", NULL)); /* not its catchall */
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            ask(fx, &root, "AddressSave", "address.address", "alice@elsewhere.example",
                "update_mask.paths", "*", NULL));
    assert_true(has_violation(REFUSED(ask(fx, &root, "AddressSave", "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "address"));
    assert_true(has_violation(REFUSED(ask(fx, &root, "AddressSave", "address.address", "no address",
                                          "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "address.address"));
    assert_true(
        has_violation(REFUSED(ask(fx, &root, "AddressSave", "address.address", "alice@example.org",
                                  "update_mask.paths", "rulesets.mailbox", NULL),
                              INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                      "update_mask.paths[0]"));
}

static void a_domain_administrator_saves_in_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "AddressSave", "address.address", "alice@example.org", "address.full_name",
           "A", "update_mask.paths", "full_name", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AddressSave", "address.address", "bob@other.example",
                "address.full_name", "A", "update_mask.paths", "full_name", NULL));
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask(fx, &viewer, "AddressSave", "address.address", "alice@example.org",
                "address.full_name", "B", "update_mask.paths", "full_name", NULL));
}

static void what_is_saved_again_is_no_revision(void **state)
{
    uint64_t revision;

    (void) state;
    OK(save_text("address.mailbox", "Same"));
    revision = fixture_revision(fx);
    OK(save_text("address.mailbox", "Same"));
    assert_true(fixture_revision(fx) == revision);
}

static void validate_only_changes_nothing(void **state)
{
    const char *before = fixture_dump(fx);
    struct options options = { .validate_only = true };

    (void) state;
    assert_string_equal(
        saved(ask_with(fx, &root, &options, "AddressSave", "address.address", "alice@example.org",
                       "address.mailbox", "Tried", "update_mask.paths", "*", NULL))
            ->mailbox,
        "Tried");
    assert_string_equal(fixture_dump(fx), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_held_against_the_contract),
        cmocka_unit_test(rule_3_6_17_texts_have_at_most_256_bytes),
        cmocka_unit_test(rule_2_9_02_what_takes_long_to_compile_is_refused_uncompiled),
        cmocka_unit_test(an_address_is_found_in_any_spelling_and_keeps_its_own),
        cmocka_unit_test(a_catchall_has_settings_too),
        cmocka_unit_test(domains_of_rulesets_are_kept_by_name),
        cmocka_unit_test(a_report_address_is_changed_with_its_domain),
        cmocka_unit_test(what_is_not_there_or_not_named_is_said),
        cmocka_unit_test(a_domain_administrator_saves_in_the_own_domains_alone),
        cmocka_unit_test(what_is_saved_again_is_no_revision),
        cmocka_unit_test(validate_only_changes_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
