/*
 * ConfigExport: the document's form, parts, scope, secrets.
 */
#include "rpc_cases.h"

#include <string.h>

#define PASS "correct horse battery"

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "otto");
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "12@example.org", NULL));
    OK(ask(fx, &root, "AddressAdd", "account", "otto", "address", "@example.org", NULL));
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "\"it's: #1 \\\"x\"@example.org",
           NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__ConfigExportResponse *part(const struct rpc_peer *peer, const char *domain,
                                                   const char *passphrase, const char *token)
{
    return OK(ask(fx, peer, "ConfigExport", "domain", domain, "passphrase", passphrase,
                  "page_token", token, NULL))
        ->message;
}

/* All parts joined. */
static const char *export(const struct rpc_peer *peer, const char *domain, const char *passphrase)
{
    const char *text = "";
    const char *token = "";

    do {
        const Mxadm__V1__ConfigExportResponse *answer = part(peer, domain, passphrase, token);

        text = fixture_text(fx, "%s%s", text, answer->yaml);
        token = answer->next_page_token;
    } while (token[0] != '\0');
    return text;
}

static bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

/* -------------------------------------------------------------------- form */

static void a_document_has_its_sections_in_order_and_names_every_record(void **state)
{
    const char *text = export(&viewer, "", "");
    const char *const order[] = { "# mxadm configuration of mail.example.com, revision ",
                                  "\nformat: mxadm.v1\n",
                                  "\nscope: all\n",
                                  "\ndomains:\n  example.org:\n",
                                  "    dkim_selectors:\n      ",
                                  "state: active\n",
                                  "algorithm: rsa2048\n",
                                  "\n  other.example:\n",
                                  "\naccounts:\n  alice:\n",
                                  "\n  otto:\n",
                                  "\naddresses:\n  '@example.org':\n    account: otto\n",
                                  "\n  '\"it''s: #1 \\\"x\"@example.org':\n",
                                  "  12@example.org:\n    account: alice\n",
                                  "  alice@example.org:\n",
                                  "  otto@other.example:\n" };
    const char *at = text;

    (void) state;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const char *found = strstr(at, order[i]);

        if (found == NULL) {
            fail_msg("'%s' is not behind what precedes it in:\n%s", order[i], text);
        }
        at = found;
    }
    assert_false(has(text, "dmarcreports@"));
    assert_false(has(text, "revision:"));
    assert_false(has(text, "create_time"));
    assert_false(has(text, "KEY"));
}

static void two_exports_of_one_revision_are_the_same(void **state)
{
    (void) state;
    assert_string_equal(export(&viewer, "", ""), export(&root, "", ""));
}

/* ------------------------------------------------------------------- scope */

static void a_domain_is_exported_with_what_belongs_to_it_and_no_more(void **state)
{
    const char *text = export(&viewer, "OTHER.example", "");

    (void) state;
    assert_true(has(text, "\nscope:\n- other.example\n"));
    assert_true(has(text, "\ndomains:\n  other.example:\n"));
    assert_true(has(text, "\naccounts:\n  otto:\n"));
    assert_true(has(text, "\naddresses:\n  otto@other.example:\n"));
    assert_false(has(text, "example.org"));
    assert_false(has(text, "alice"));
}

static void accounts_that_have_an_address_in_the_domain_are_part_of_it(void **state)
{
    const char *text = export(&viewer, "example.org", "");

    (void) state;
    assert_true(has(text, "\naccounts:\n  alice:\n"));
    assert_true(has(text, "\n  otto:\n    domain: other.example\n"));
    assert_false(has(text, "otto@other.example"));
}

static void a_domain_administrator_exports_own_domains_one_at_a_time(void **state)
{
    (void) state;
    assert_string_equal(export(&scoped, "example.org", ""), export(&viewer, "example.org", ""));
    REFUSED(ask(fx, &scoped, "ConfigExport", "domain", "other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "ConfigExport", NULL), PERMISSION_DENIED, "ROLE_MISSING");
}

static void a_domain_that_is_none_is_refused(void **state)
{
    (void) state;
    REFUSED(ask(fx, &viewer, "ConfigExport", "domain", "gone.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    assert_true(has_violation(REFUSED(ask(fx, &viewer, "ConfigExport", "domain", "a..b", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "domain"));
    assert_true(has_violation(REFUSED(ask(fx, &viewer, "ConfigExport", "page_token", "AAAA", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "page_token"));
}

/* ----------------------------------------------------------------- secrets */

static void private_keys_are_there_only_sealed_and_for_key_readers(void **state)
{
    const char *text = export(&key_reader, "", PASS);

    (void) state;
    assert_true(has(text, "\nsealing:\n  kdf: scrypt\n  n: 32768\n  r: 8\n  p: 1\n  salt: "));
    assert_true(has(text, "        sealed_private_key: "));
    assert_false(has(text, "PRIVATE KEY"));
    assert_false(has(export(&key_reader, "", ""), "sealed"));
    REFUSED(ask(fx, &viewer, "ConfigExport", "passphrase", PASS, NULL), PERMISSION_DENIED,
            "ROLE_MISSING");
    REFUSED(ask(fx, &admin, "ConfigExport", "passphrase", PASS, NULL), PERMISSION_DENIED,
            "ROLE_MISSING");
}

static void a_passphrase_is_neither_short_nor_endless(void **state)
{
    (void) state;
    assert_true(has_violation(REFUSED(ask(fx, &root, "ConfigExport", "passphrase", "1234567", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "passphrase"));
    (void) part(&root, "", "12345678", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_has_its_sections_in_order_and_names_every_record),
        cmocka_unit_test(two_exports_of_one_revision_are_the_same),
        cmocka_unit_test(a_domain_is_exported_with_what_belongs_to_it_and_no_more),
        cmocka_unit_test(accounts_that_have_an_address_in_the_domain_are_part_of_it),
        cmocka_unit_test(a_domain_administrator_exports_own_domains_one_at_a_time),
        cmocka_unit_test(a_domain_that_is_none_is_refused),
        cmocka_unit_test(private_keys_are_there_only_sealed_and_for_key_readers),
        cmocka_unit_test(a_passphrase_is_neither_short_nor_endless),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
