/*
 * Lists: order, pages over one snapshot, page tokens, filters, scope.
 */
#include "rpc_cases.h"

#include <string.h>

#define ACCOUNTS 25

static struct fixture *fx;

static int setup(void **state)
{
    static const struct fixture_options options = { .limits = "  pinned_lists: 2\n" };

    (void) state;
    fx = fixture_create(&options);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "own.example", "olaf");
    add_domain(fx, "other.example", "otto");
    for (int i = 0; i < ACCOUNTS; i++) {
        OK(ask(fx, &root, "AccountAdd", "account", fixture_text(fx, "u%02d", i), "address",
               fixture_text(fx, "u%02d@example.org", i), NULL));
    }
    OK(ask(fx, &root, "AddressAdd", "account", "u03", "address", "second@example.org", NULL));
    OK(ask(fx, &root, "AddressAdd", "account", "u03", "address", "@other.example", NULL));
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

#define TOTAL_ACCOUNTS (ACCOUNTS + 3)

static const Mxadm__V1__AccountListResponse *accounts(const char *size, const char *token)
{
    return OK(ask(fx, &viewer, "AccountList", "page_size", size, "page_token", token, NULL))
        ->message;
}

/* ------------------------------------------------------------------- pages */

static void a_list_comes_in_order_of_names_over_as_many_pages_as_it_takes(void **state)
{
    const char *token = "";
    const char *last = "";
    size_t seen = 0;
    size_t pages = 0;

    (void) state;
    do {
        const Mxadm__V1__AccountListResponse *page = accounts("10", token);

        assert_true(page->n_accounts <= 10);
        assert_int_equal(page->total, TOTAL_ACCOUNTS);
        for (size_t i = 0; i < page->n_accounts; i++) {
            assert_true(strcmp(last, page->accounts[i]->name) < 0);
            last = page->accounts[i]->name;
            seen++;
        }
        token = page->next_page_token;
        pages++;
    } while (token[0] != '\0');
    assert_int_equal(seen, TOTAL_ACCOUNTS);
    assert_int_equal(pages, 3);
}

static void without_a_size_a_page_has_a_hundred_and_never_more_than_a_thousand(void **state)
{
    (void) state;
    assert_int_equal(accounts("0", "")->n_accounts, TOTAL_ACCOUNTS);
    assert_int_equal(accounts("4294967295", "")->n_accounts, TOTAL_ACCOUNTS);
    assert_int_equal(accounts("1", "")->n_accounts, 1);
}

static void later_pages_do_not_see_what_changed_meanwhile(void **state)
{
    const struct reply *first = OK(ask(fx, &viewer, "AccountList", "page_size", "20", NULL));
    const Mxadm__V1__AccountListResponse *page = first->message;
    const struct reply *second;
    const Mxadm__V1__AccountListResponse *rest;

    (void) state;
    OK(ask(fx, &root, "AccountRemove", "account", "u24", NULL));
    OK(ask(fx, &root, "AccountAdd", "account", "zoe", "address", "zoe@example.org", NULL));
    second = OK(ask(fx, &viewer, "AccountList", "page_size", "20", "page_token",
                    page->next_page_token, NULL));
    rest = second->message;
    assert_int_equal(second->revision, first->revision);
    assert_int_equal(rest->total, TOTAL_ACCOUNTS);
    assert_int_equal(page->n_accounts + rest->n_accounts, TOTAL_ACCOUNTS);
    assert_string_equal(rest->accounts[rest->n_accounts - 1]->name, "u24");
    /* A list begun now does. */
    assert_string_equal(accounts("1000", "")->accounts[TOTAL_ACCOUNTS - 1]->name, "zoe");
    OK(ask(fx, &root, "AccountRemove", "account", "zoe", NULL));
    OK(ask(fx, &root, "AccountAdd", "account", "u24", "address", "u24@example.org", NULL));
}

static void a_page_asked_for_twice_is_the_same(void **state)
{
    const char *token = accounts("7", "")->next_page_token;
    const struct reply *once =
        OK(ask(fx, &viewer, "AccountList", "page_size", "7", "page_token", token, NULL));
    const struct reply *twice =
        OK(ask(fx, &viewer, "AccountList", "page_size", "7", "page_token", token, NULL));

    (void) state;
    assert_int_equal(once->len, twice->len);
    assert_memory_equal(once->bytes, twice->bytes, once->len);
}

/* ------------------------------------------------------------------ tokens */

static void bytes_that_are_no_token_are_refused(void **state)
{
    const char *good = accounts("7", "")->next_page_token;
    const char *const bad[] = {
        "x",
        "====",
        "AAAA",
        "not a token",
        "+/+/",
        fixture_text(fx, "%.*s", (int) strlen(good) - 4, good),
        fixture_text(fx, "%.*s", 20, good),
        fixture_text(fx, "%s=", good),
        repeated(fx, "A", 65536),
    };

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct reply *reply =
            ask(fx, &viewer, "AccountList", "page_size", "7", "page_token", bad[i], NULL);

        /* What is cut in the name alone is another place in the list, and harmless. */
        if (reply->code != MX_OK && reply->code != MX_INVALID_ARGUMENT &&
            reply->code != MX_OUT_OF_RANGE) {
            fail_msg("'%s': %s %s", bad[i], mx_code_name(reply->code), reply->words);
        }
        if (i < 5 || i == 8) {
            assert_true(has_violation(REFUSED(reply, INVALID_ARGUMENT, NULL), "page_token"));
        }
    }
}

static void a_token_of_another_list_is_refused(void **state)
{
    const char *token = accounts("7", "")->next_page_token;

    (void) state;
    REFUSED(ask(fx, &viewer, "AccountList", "page_token", token, "prefix", "u", NULL),
            INVALID_ARGUMENT, NULL);
    REFUSED(ask(fx, &viewer, "AddressList", "page_token", token, NULL), INVALID_ARGUMENT, NULL);
    REFUSED(ask(fx, &root, "AccountList", "page_token", token, NULL), INVALID_ARGUMENT, NULL);
    /* The size may change from page to page. */
    OK(ask(fx, &viewer, "AccountList", "page_token", token, "page_size", "3", NULL));
}

static void a_token_expires_when_too_many_lists_are_open(void **state)
{
    const char *token = accounts("7", "")->next_page_token;

    (void) state;
    for (int i = 0; i < 2; i++) { /* the setting pinned_lists */
        OK(ask(fx, &root, "AddressAdd", "account", "u03", "address",
               fixture_text(fx, "pin%d@example.org", i), NULL));
        (void) accounts("7", "");
    }
    REFUSED(ask(fx, &viewer, "AccountList", "page_size", "7", "page_token", token, NULL),
            OUT_OF_RANGE, "PAGE_TOKEN_EXPIRED");
}

static void a_token_expires_with_a_restart(void **state)
{
    const char *token = accounts("7", "")->next_page_token;

    (void) state;
    fixture_restart(fx);
    REFUSED(ask(fx, &viewer, "AccountList", "page_size", "7", "page_token", token, NULL),
            OUT_OF_RANGE, "PAGE_TOKEN_EXPIRED");
}

/* ----------------------------------------------------------------- filters */

static void accounts_are_filtered_by_prefix(void **state)
{
    const Mxadm__V1__AccountListResponse *list =
        OK(ask(fx, &viewer, "AccountList", "prefix", "u1", NULL))->message;

    (void) state;
    assert_int_equal(list->n_accounts, 10);
    assert_int_equal(list->total, 10);
    assert_string_equal(list->accounts[0]->name, "u10");
    REFUSED(ask(fx, &viewer, "AccountList", "prefix", repeated(fx, "x", 65536), NULL),
            INVALID_ARGUMENT, NULL);
}

static void accounts_are_filtered_by_domain_each_once(void **state)
{
    const char *token = "";
    size_t count = 0;
    const Mxadm__V1__AccountListResponse *list;

    (void) state;
    list = OK(ask(fx, &viewer, "AccountList", "domain", "OTHER.example", NULL))->message;
    assert_int_equal(list->n_accounts, 2);
    assert_string_equal(list->accounts[0]->name, "otto");
    assert_string_equal(list->accounts[1]->name, "u03");
    do {
        list = OK(ask(fx, &viewer, "AccountList", "domain", "example.org", "prefix", "u0",
                      "page_size", "3", "page_token", token, NULL))
                   ->message;
        count += list->n_accounts;
        token = list->next_page_token;
    } while (token[0] != '\0');
    assert_int_equal(count, 10);
    REFUSED(ask(fx, &viewer, "AccountList", "domain", "none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AccountList", "domain", "a..b", NULL), INVALID_ARGUMENT, NULL);
}

static void addresses_are_filtered_by_account_domain_and_prefix(void **state)
{
    const Mxadm__V1__AddressListResponse *list;

    (void) state;
    list = OK(ask(fx, &viewer, "AddressList", "domain", "other.example", NULL))->message;
    assert_int_equal(list->total, 4);
    assert_string_equal(list->addresses[0]->address, "@other.example"); /* catchall first */
    list = OK(ask(fx, &viewer, "AddressList", "account", "u03", NULL))->message;
    assert_int_equal(list->total, list->n_addresses);
    assert_int_equal(list->n_addresses, 5);
    list = OK(ask(fx, &viewer, "AddressList", "account", "u03", "domain", "other.example", NULL))
               ->message;
    assert_int_equal(list->n_addresses, 1);
    list =
        OK(ask(fx, &viewer, "AddressList", "domain", "example.org", "prefix", "u0", NULL))->message;
    assert_int_equal(list->n_addresses, 10);
    assert_int_equal(list->total, 10);
    list = OK(ask(fx, &viewer, "AddressList", "account", "u03", "domain", "example.org", "prefix",
                  "s", NULL))
               ->message;
    assert_int_equal(list->n_addresses, 1);
    assert_string_equal(list->addresses[0]->address, "second@example.org");
}

static void filters_that_are_wrong_are_named(void **state)
{
    const struct reply *reply = ask(fx, &viewer, "AddressList", "prefix", "x", NULL);

    (void) state;
    assert_true(has_violation(REFUSED(reply, INVALID_ARGUMENT, NULL), "prefix"));
    REFUSED(ask(fx, &viewer, "AddressList", "account", "nobody", NULL), NOT_FOUND,
            "ACCOUNT_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AddressList", "domain", "none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    reply = ask(fx, &viewer, "AddressList", "domain", "..", "account", "..", NULL);
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "domain"));
    assert_true(has_violation(reply, "account"));
}

static void a_prefix_is_no_pattern_and_ends_with_its_domain(void **state)
{
    const Mxadm__V1__DomainListResponse *domains;
    const Mxadm__V1__AddressListResponse *list;

    (void) state;
    domains = OK(ask(fx, &viewer, "DomainList", "prefix", "o", NULL))->message;
    assert_int_equal(domains->total, 2);
    assert_string_equal(domains->domains[0]->name, "other.example");
    domains = OK(ask(fx, &viewer, "DomainList", "prefix", "*", NULL))->message;
    assert_int_equal(domains->total, 0);
    /* "own.example" begins with "own", and "u0" with "u0": nothing of another domain slips in. */
    list = OK(ask(fx, &viewer, "AddressList", "domain", "own.example", NULL))->message;
    assert_int_equal(list->n_addresses, 3);
}

static void selectors_are_listed_in_pages(void **state)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", "page_size", "1", NULL))->message;
    const char *first = list->dkim_selectors[0]->name;

    (void) state;
    assert_int_equal(list->n_dkim_selectors, 1);
    assert_int_equal(list->total, 2);
    list = OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", "page_size", "1", "page_token",
                  list->next_page_token, NULL))
               ->message;
    assert_int_equal(list->n_dkim_selectors, 1);
    assert_string_not_equal(list->dkim_selectors[0]->name, first);
    assert_string_equal(list->next_page_token, "");
}

/* ------------------------------------------------------------------- scope */

static void a_domain_administrator_sees_what_is_own(void **state)
{
    const Mxadm__V1__DomainListResponse *domains =
        OK(ask(fx, &scoped, "DomainList", NULL))->message;
    const Mxadm__V1__AccountListResponse *list = OK(ask(fx, &scoped, "AccountList", NULL))->message;
    const Mxadm__V1__AddressListResponse *addresses =
        OK(ask(fx, &scoped, "AddressList", "page_size", "1000", NULL))->message;

    (void) state;
    assert_int_equal(domains->n_domains, 2);
    assert_int_equal(domains->total, 2);
    assert_string_equal(domains->domains[0]->name, "example.org");
    assert_string_equal(domains->domains[1]->name, "own.example");
    domains = OK(ask(fx, &scoped, "DomainList", "prefix", "own", NULL))->message;
    assert_int_equal(domains->total, 1);
    assert_int_equal(list->n_accounts, TOTAL_ACCOUNTS - 1);
    for (size_t i = 0; i < list->n_accounts; i++) {
        assert_string_not_equal(list->accounts[i]->name, "otto");
    }
    assert_true(addresses->n_addresses > ACCOUNTS);
    for (size_t i = 0; i < addresses->n_addresses; i++) {
        assert_string_not_equal(addresses->addresses[i]->domain, "other.example");
    }
    addresses = OK(ask(fx, &scoped, "AddressList", "account", "u03", NULL))->message;
    assert_int_equal(addresses->n_addresses, 4);
    REFUSED(ask(fx, &scoped, "AddressList", "domain", "other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "AccountList", "domain", "other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_in_order_of_names_over_as_many_pages_as_it_takes),
        cmocka_unit_test(without_a_size_a_page_has_a_hundred_and_never_more_than_a_thousand),
        cmocka_unit_test(later_pages_do_not_see_what_changed_meanwhile),
        cmocka_unit_test(a_page_asked_for_twice_is_the_same),
        cmocka_unit_test(bytes_that_are_no_token_are_refused),
        cmocka_unit_test(a_token_of_another_list_is_refused),
        cmocka_unit_test(a_token_expires_when_too_many_lists_are_open),
        cmocka_unit_test(a_token_expires_with_a_restart),
        cmocka_unit_test(accounts_are_filtered_by_prefix),
        cmocka_unit_test(accounts_are_filtered_by_domain_each_once),
        cmocka_unit_test(addresses_are_filtered_by_account_domain_and_prefix),
        cmocka_unit_test(filters_that_are_wrong_are_named),
        cmocka_unit_test(a_prefix_is_no_pattern_and_ends_with_its_domain),
        cmocka_unit_test(selectors_are_listed_in_pages),
        cmocka_unit_test(a_domain_administrator_sees_what_is_own),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
