/*
 * Rules of mox-behaviour.md that no noun's own test has: each test is one rule, on a configuration
 * of its own. tests/rules.txt lists all rules and what proves them.
 */
#include "rpc_cases.h"

#include <stdlib.h>
#include <string.h>

#define VIA(name) MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_##name

static struct fixture *fx;
static struct fixture *original; /* of which each test has a copy */
static struct fixture_options copy = { .sqlite = true };

/* Domains example.org and other.example, each with an account and an address of its name. */
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

/* ------------------------------------------------------- aliases and TLS keys */

/* A certificate with an Ed25519 key, and what the daemon calls it. */
static const uint8_t certificate[] = {
    0x30, 0x82, 0x01, 0x38, 0x30, 0x81, 0xeb, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x14, 0x57, 0x85,
    0x80, 0x9a, 0x66, 0x2d, 0xe0, 0x15, 0x47, 0x0b, 0xaf, 0x60, 0x07, 0xf9, 0xbb, 0x3e, 0x58, 0x1f,
    0x69, 0xb1, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06,
    0x03, 0x55, 0x04, 0x03, 0x0c, 0x06, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x30, 0x20, 0x17, 0x0d,
    0x32, 0x36, 0x31, 0x31, 0x32, 0x35, 0x30, 0x34, 0x30, 0x35, 0x30, 0x33, 0x5a, 0x18, 0x0f, 0x32,
    0x31, 0x32, 0x36, 0x31, 0x31, 0x30, 0x31, 0x30, 0x34, 0x30, 0x35, 0x30, 0x33, 0x5a, 0x30, 0x11,
    0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x06, 0x63, 0x6c, 0x69, 0x65, 0x6e,
    0x74, 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x1b, 0xfa, 0x93,
    0x41, 0x28, 0xd8, 0x4d, 0x92, 0x45, 0x6d, 0x18, 0x97, 0xef, 0x68, 0xbb, 0xe8, 0x5b, 0xe2, 0x22,
    0x13, 0x93, 0x0f, 0x8b, 0x64, 0xb9, 0x4e, 0x25, 0x67, 0xde, 0x13, 0x68, 0x9c, 0xa3, 0x53, 0x30,
    0x51, 0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16, 0x04, 0x14, 0xeb, 0x3a, 0x83, 0x87,
    0xf6, 0x3d, 0x6a, 0xce, 0xe1, 0x2d, 0x32, 0x6b, 0x62, 0xe8, 0xc3, 0xef, 0x25, 0xef, 0xdd, 0x7a,
    0x30, 0x1f, 0x06, 0x03, 0x55, 0x1d, 0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14, 0xeb, 0x3a, 0x83,
    0x87, 0xf6, 0x3d, 0x6a, 0xce, 0xe1, 0x2d, 0x32, 0x6b, 0x62, 0xe8, 0xc3, 0xef, 0x25, 0xef, 0xdd,
    0x7a, 0x30, 0x0f, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x05, 0x30, 0x03, 0x01,
    0x01, 0xff, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00, 0x1b, 0xd4, 0x08, 0x13,
    0xe2, 0x26, 0x1c, 0x56, 0xd3, 0x0d, 0x29, 0x67, 0xcf, 0xc4, 0x35, 0xd3, 0xc9, 0x2c, 0xc7, 0x6b,
    0x9f, 0x0c, 0x9b, 0xc3, 0xc1, 0xe7, 0x96, 0xa6, 0x15, 0x13, 0xc8, 0x32, 0xa2, 0xfc, 0xf8, 0x49,
    0x35, 0x59, 0xd3, 0x3e, 0x30, 0x5a, 0xef, 0xdd, 0xda, 0x7e, 0xf2, 0xda, 0x0d, 0x9e, 0x59, 0x8f,
    0x55, 0xee, 0x31, 0x9d, 0x10, 0xf6, 0x94, 0xf7, 0xd7, 0xde, 0xa1, 0x0e,
};
static const char fingerprint[] = "U01QDcDmhtUBOHtXuRRFCSLy6S90bKl-G6dFdCll-M4";

static const struct reply *tls_key_add(const char *login_address)
{
    Mxadm__V1__TLSPublicKeyAddRequest request = MXADM__V1__TLSPUBLIC_KEY_ADD_REQUEST__INIT;
    uint8_t packed[1024];

    request.certificate.data = (uint8_t *) certificate;
    request.certificate.len = sizeof(certificate);
    request.login_address = (char *) login_address;
    return ask_message(fx, &root, "TLSPublicKeyAdd", packed,
                       mxadm__v1__tlspublic_key_add_request__pack(&request, packed));
}

static const struct reply *alias_add(const char *address, const char *member)
{
    return ask(fx, &root, "AliasAdd", "address", address, "members", member, NULL);
}

static void rule_1_11_02_a_tls_key_keeps_the_domain_of_its_login_address(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(address_add("@other.example", "alice"));
    OK(ask(fx, &root, "AddressRemove", "address", "otto@other.example", NULL));
    OK(tls_key_add("anybody@other.example"));
    OK(ask(fx, &root, "AddressList", "domain", "other.example", NULL));
    reply = ask(fx, &root, "DomainRemove", "domain", "other.example", NULL);
    REFUSED(reply, FAILED_PRECONDITION, "DOMAIN_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    assert_true(has_blocker(reply, "address", "@other.example"));
}

static void rule_1_11_03_a_domain_goes_with_its_aliases_and_accounts_stay(void **state)
{
    (void) state;
    OK(alias_add("team@other.example", "alice@example.org"));
    OK(ask(fx, &root, "AddressRemove", "address", "otto@other.example", NULL));
    OK(ask(fx, &root, "DomainRemove", "domain", "other.example", NULL));
    OK(ask(fx, &viewer, "AccountGet", "account", "otto", NULL));
    REFUSED(ask(fx, &viewer, "AliasGet", "address", "team@other.example", NULL), NOT_FOUND, NULL);
    OK(ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
}

static void rule_5_3_01_addresses_and_aliases_of_a_domain_are_listed(void **state)
{
    const Mxadm__V1__AddressListResponse *addresses;
    const Mxadm__V1__AliasListResponse *aliases;

    (void) state;
    OK(alias_add("team@example.org", "otto@other.example"));
    OK(address_add("@example.org", "otto"));
    addresses = OK(ask(fx, &viewer, "AddressList", "domain", "example.org", NULL))->message;
    assert_int_equal(addresses->total, 4); /* and the two for reports */
    assert_string_equal(addresses->addresses[0]->address, "@example.org");
    assert_string_equal(addresses->addresses[0]->account, "otto");
    assert_string_equal(addresses->addresses[1]->address, "alice@example.org");
    aliases = OK(ask(fx, &viewer, "AliasList", "domain", "example.org", NULL))->message;
    assert_int_equal(aliases->total, 1);
    assert_string_equal(aliases->aliases[0]->address, "team@example.org");
}

static const Mxadm__V1__AliasListResponse *aliases_of(const char *member)
{
    return OK(ask(fx, &viewer, "AliasList", "member", member, NULL))->message;
}

static void rule_5_4_01_an_address_tells_whose_member_it_is(void **state)
{
    (void) state;
    OK(alias_add("b@example.org", "alice@example.org"));
    OK(alias_add("a@other.example", "alice@example.org"));
    OK(alias_add("c@other.example", "otto@other.example"));
    assert_int_equal(aliases_of("Alice+x@example.org")->n_aliases, 2);
    assert_int_equal(aliases_of("otto@other.example")->n_aliases, 1);
}

static void rule_5_4_02_an_account_may_be_a_member_by_several_addresses(void **state)
{
    const Mxadm__V1__AliasListResponse *members;

    (void) state;
    OK(address_add("second@example.org", "alice"));
    OK(ask(fx, &root, "AliasAdd", "address", "team@example.org", "members", "alice@example.org",
           "members", "second@example.org", NULL));
    members = OK(ask(fx, &viewer, "AliasList", "members_of", "team@example.org", NULL))->message;
    assert_int_equal(members->n_members, 2);
    assert_string_equal(members->members[0]->account, "alice");
    assert_string_equal(members->members[1]->account, "alice");
    assert_int_equal(aliases_of("second@example.org")->n_aliases, 1);
}

static void rule_5_4_04_memberships_are_in_order_of_the_aliases(void **state)
{
    static const char *const names[] = { "c@example.org", "a@example.org", "b@example.org" };
    const Mxadm__V1__AliasListResponse *list;

    (void) state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        OK(alias_add(names[i], "alice@example.org"));
    }
    list = aliases_of("alice@example.org");
    assert_int_equal(list->n_aliases, 3);
    assert_string_equal(list->aliases[0]->address, "a@example.org");
    assert_string_equal(list->aliases[1]->address, "b@example.org");
    assert_string_equal(list->aliases[2]->address, "c@example.org");
}

static void rule_5_4_05_a_removed_address_leaves_its_aliases(void **state)
{
    const Mxadm__V1__AddressRemoveResponse *removed;

    (void) state;
    OK(address_add("second@example.org", "alice"));
    OK(ask(fx, &root, "AliasAdd", "address", "team@example.org", "members", "alice@example.org",
           "members", "second@example.org", NULL));
    removed = OK(ask(fx, &root, "AddressRemove", "address", "Second@example.org", NULL))->message;
    assert_int_equal(removed->n_aliases, 1);
    assert_string_equal(removed->aliases[0], "team@example.org");
}

static void rule_5_4_06_a_refused_alias_leaves_no_membership(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            ask(fx, &root, "AliasAdd", "address", "team@example.org", "members",
                "alice@example.org", "members", "nobody@example.org", NULL));
    assert_int_equal(aliases_of("alice@example.org")->n_aliases, 0);
    OK(ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
}

static void rule_5_5_11_who_logs_in_finds_neither_postmaster_nor_aliases(void **state)
{
    static const char *const refused[] = { "postmaster@example.org", "team@example.org" };
    static const char *const found[] = { "alice+x@example.org", "dmarcreports@example.org",
                                         "anybody@other.example" };

    (void) state;
    OK(alias_add("team@example.org", "alice@example.org"));
    OK(address_add("@other.example", "otto"));
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        REFUSED(ask(fx, &viewer, "AddressLookup", "address", refused[i], "exclude_postmaster", "1",
                    "exclude_aliases", "1", NULL),
                NOT_FOUND, "ADDRESS_NOT_FOUND");
    }
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        OK(ask(fx, &viewer, "AddressLookup", "address", found[i], "exclude_postmaster", "1",
               "exclude_aliases", "1", NULL));
    }
}

static void rule_5_6_03_a_domain_of_aliases_alone_takes_mail(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found;

    (void) state;
    OK(alias_add("team@other.example", "alice@example.org"));
    OK(ask(fx, &root, "AddressRemove", "address", "otto@other.example", NULL));
    found = lookup("team@other.example");
    assert_int_equal(found->via, VIA(ALIAS));
    assert_string_equal(found->alias->address, "team@other.example");
}

static void rule_8_01_all_that_stands_in_the_way_is_named_at_once(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "DomainAdd", "domain", "third.example", "account", "otto", NULL));
    OK(alias_add("one@example.org", "otto@other.example"));
    OK(alias_add("two@example.org", "otto@other.example"));
    reply = ask(fx, &root, "AccountRemove", "account", "otto", NULL);
    REFUSED(reply, FAILED_PRECONDITION, "ACCOUNT_IN_USE");
    assert_true(has_blocker(reply, "alias", "one@example.org"));
    assert_true(has_blocker(reply, "alias", "two@example.org"));
    assert_true(has_blocker(reply, "domain", "other.example"));
    assert_true(has_blocker(reply, "domain", "third.example"));
    REFUSES(fx, FAILED_PRECONDITION, "ACCOUNT_IN_USE",
            ask(fx, &root, "AccountRemove", "account", "otto", NULL));
}

static void rule_1_16_12_members_are_found_in_whatever_spelling(void **state)
{
    const Mxadm__V1__AddressRemoveResponse *removed;

    (void) state;
    OK(address_add("second@example.org", "alice"));
    OK(ask(fx, &root, "AliasAdd", "address", "team@example.org", "members", "alice@example.org",
           "members", "SECOND+x@EXAMPLE.org", NULL));
    removed = OK(ask(fx, &root, "AddressRemove", "address", "second@example.org", NULL))->message;
    assert_int_equal(removed->n_aliases, 1);
}

static void rule_1_17_04_what_is_derived_is_made_by_the_server(void **state)
{
    const Mxadm__V1__AliasUpdateResponse *updated;

    (void) state;
    OK(alias_add("Team@example.org", "alice@example.org"));
    updated = OK(ask(fx, &root, "AliasUpdate", "alias.address", "team@example.org",
                     "alias.canonical_address", "other@other.example", "alias.domain",
                     "other.example", "alias.post_public", "1", "update_mask.paths", "*", NULL))
                  ->message;
    assert_string_equal(updated->alias->address, "Team@example.org");
    assert_string_equal(updated->alias->canonical_address, "team@example.org");
    assert_string_equal(updated->alias->domain, "example.org");
    assert_true(updated->alias->post_public);
}

static void rule_1_18_01_at_least_one_member_of_an_alias_that_exists(void **state)
{
    static const char *const methods[] = { "AliasAddressesAdd", "AliasAddressesRemove" };

    (void) state;
    OK(alias_add("team@example.org", "alice@example.org"));
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct reply *reply = ask(fx, &root, methods[i], "address", "team@example.org", NULL);

        REFUSED(reply, INVALID_ARGUMENT, NULL);
        assert_true(has_violation(reply, "members"));
        REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
                ask(fx, &root, methods[i], "address", "none@example.org", "members",
                    "alice@example.org", NULL));
        REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
                ask(fx, &root, methods[i], "address", "team@none.example", "members",
                    "alice@example.org", NULL));
    }
}

static void rule_1_18_04_members_are_compared_in_canonical_form(void **state)
{
    const Mxadm__V1__AliasAddressesRemoveResponse *left;

    (void) state;
    OK(ask(fx, &root, "AliasAdd", "address", "team@example.org", "members", "alice@example.org",
           "members", "OTTO@Other.example", NULL));
    REFUSES(fx, ALREADY_EXISTS, "MEMBER_EXISTS",
            ask(fx, &root, "AliasAddressesAdd", "address", "team@example.org", "members",
                "otto+x@other.example", NULL));
    left = OK(ask(fx, &root, "AliasAddressesRemove", "address", "TEAM@example.org", "members",
                  "Otto+y@other.example", NULL))
               ->message;
    assert_int_equal(left->member_count, 1);
}

static void rule_3_8_01_the_address_of_an_alias_is_an_address(void **state)
{
    static const char *const bad[] = {
        "", "team", "@example.org", "a b@example.org", "a..b@example.org", "team@a..b"
    };

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct reply *reply = alias_add(bad[i], "alice@example.org");

        REFUSED(reply, INVALID_ARGUMENT, NULL);
        assert_true(has_violation(reply, "address"));
    }
}

static void rule_5_2_01_an_alias_is_found_by_its_canonical_form(void **state)
{
    const Mxadm__V1__AliasGetResponse *got;

    (void) state;
    OK(alias_add("Team@example.org", "alice@example.org"));
    got = OK(ask(fx, &viewer, "AliasGet", "address", "tEAM+x@EXAMPLE.org", NULL))->message;
    assert_string_equal(got->alias->address, "Team@example.org");
    assert_int_equal(lookup("TEAM+x@example.org")->via, VIA(ALIAS));
}

static void rule_1_19_05_tls_keys_go_with_their_account(void **state)
{
    const Mxadm__V1__AccountRemoveResponse *removed;

    (void) state;
    OK(ask(fx, &root, "AccountAdd", "account", "bob", "address", "bob@example.org", NULL));
    OK(tls_key_add("bob@example.org"));
    removed = OK(ask(fx, &root, "AccountRemove", "account", "bob", NULL))->message;
    assert_int_equal(removed->removed_addresses, 1);
    assert_int_equal(removed->removed_tls_public_keys, 1);
    REFUSED(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", fingerprint, NULL), NOT_FOUND,
            "TLS_PUBLIC_KEY_NOT_FOUND");
}

static const Mxadm__V1__TLSPublicKeyListResponse *tls_keys_of(const char *account)
{
    return OK(ask(fx, &viewer, "TLSPublicKeyList", "account", account, NULL))->message;
}

static void rule_7_2_02_keys_are_listed_of_all_or_of_one_account(void **state)
{
    (void) state;
    OK(tls_key_add("alice@example.org"));
    assert_int_equal(tls_keys_of("")->n_tls_public_keys, 1);
    assert_int_equal(tls_keys_of("alice")->n_tls_public_keys, 1);
    assert_int_equal(tls_keys_of("otto")->n_tls_public_keys, 0);
}

static void rule_7_2_03_a_key_is_got_by_its_fingerprint(void **state)
{
    const Mxadm__V1__TLSPublicKeyGetResponse *got;

    (void) state;
    REFUSED(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", fingerprint, NULL), NOT_FOUND,
            "TLS_PUBLIC_KEY_NOT_FOUND");
    OK(tls_key_add("alice@example.org"));
    got = OK(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", fingerprint, NULL))->message;
    assert_string_equal(got->tls_public_key->account, "alice");
    assert_string_equal(got->tls_public_key->type, "ed25519");
    assert_string_equal(got->tls_public_key->name, "client"); /* the common name */
}

static void rule_7_2_04_a_key_is_added_once_with_an_address_in_canonical_form(void **state)
{
    const Mxadm__V1__TLSPublicKeyAddResponse *added;

    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, NULL, tls_key_add(""));
    REFUSES(fx, INVALID_ARGUMENT, NULL, tls_key_add("alice"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", tls_key_add("nobody@example.org"));
    added = OK(tls_key_add("ALICE+x@Example.org"))->message;
    assert_string_equal(added->tls_public_key->login_address, "alice@example.org");
    REFUSES(fx, ALREADY_EXISTS, "FINGERPRINT_EXISTS", tls_key_add("otto@other.example"));
}

static const struct reply *tls_key_update(const char *key, const char *path, const char *value)
{
    return ask(fx, &root, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", key,
               fixture_text(fx, "tls_public_key.%s", path), value, "update_mask.paths", path, NULL);
}

static void rule_7_2_05_a_key_that_is_there_is_updated(void **state)
{
    const Mxadm__V1__TLSPublicKeyUpdateResponse *updated;

    (void) state;
    REFUSES(fx, NOT_FOUND, "TLS_PUBLIC_KEY_NOT_FOUND", tls_key_update(fingerprint, "name", "new"));
    OK(tls_key_add("alice@example.org"));
    updated = OK(tls_key_update(fingerprint, "name", "new"))->message;
    assert_string_equal(updated->tls_public_key->name, "new");
    assert_string_equal(updated->tls_public_key->login_address, "alice@example.org");
}

static void rule_7_2_06_a_key_that_is_there_is_removed(void **state)
{
    (void) state;
    OK(tls_key_add("alice@example.org"));
    OK(ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    REFUSES(fx, NOT_FOUND, "TLS_PUBLIC_KEY_NOT_FOUND",
            ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
}

static void rule_7_2_08_a_login_address_reaches_an_account(void **state)
{
    (void) state;
    OK(alias_add("team@example.org", "alice@example.org"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", tls_key_add("nobody@example.org"));
    /* Who logs in finds no aliases (5.5-11). */
    assert_int_not_equal(tls_key_add("team@example.org")->code, MX_OK);
    assert_int_not_equal(tls_key_add("postmaster@example.org")->code, MX_OK);
    assert_int_equal(tls_keys_of("")->n_tls_public_keys, 0);
}

static void rule_7_2_11_an_update_is_checked_as_an_addition_is(void **state)
{
    (void) state;
    OK(tls_key_add("alice@example.org"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            tls_key_update(fingerprint, "login_address", "nobody@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE",
            tls_key_update(fingerprint, "account", "otto"));
}

/* --------------------------------------------------------------- bugs, 12 */

static void rule_b10_a_tls_key_is_resolved_in_the_new_configuration(void **state)
{
    const struct reply *reply;

    (void) state;
    /* Another domain's address of the same localpart is no obstacle, a catchall in use is. */
    OK(address_add("alice@other.example", "alice"));
    OK(address_add("@example.org", "alice"));
    OK(tls_key_add("alice@other.example"));
    OK(ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
    reply = ask(fx, &root, "AddressRemove", "address", "alice@other.example", NULL);
    REFUSED(reply, FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    OK(ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    OK(tls_key_add("anybody@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AddressRemove", "address", "@example.org", NULL));
}

static void rule_b24_errors_are_of_the_right_kind(void **state)
{
    (void) state;
    OK(alias_add("team@example.org", "alice@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AddressRemove", "address", "alice@example.org", NULL));
    REFUSES(fx, FAILED_PRECONDITION, "LAST_MEMBER",
            ask(fx, &root, "AliasAddressesRemove", "address", "team@example.org", "members",
                "alice@example.org", NULL));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
            ask(fx, &root, "AliasRemove", "address", "none@example.org", NULL));
    REFUSES(fx, INVALID_ARGUMENT, NULL,
            ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "", NULL));
}

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
        RULE(rule_1_11_02_a_tls_key_keeps_the_domain_of_its_login_address),
        RULE(rule_1_11_03_a_domain_goes_with_its_aliases_and_accounts_stay),
        RULE(rule_5_3_01_addresses_and_aliases_of_a_domain_are_listed),
        RULE(rule_5_4_01_an_address_tells_whose_member_it_is),
        RULE(rule_5_4_02_an_account_may_be_a_member_by_several_addresses),
        RULE(rule_5_4_04_memberships_are_in_order_of_the_aliases),
        RULE(rule_5_4_05_a_removed_address_leaves_its_aliases),
        RULE(rule_5_4_06_a_refused_alias_leaves_no_membership),
        RULE(rule_5_5_11_who_logs_in_finds_neither_postmaster_nor_aliases),
        RULE(rule_5_6_03_a_domain_of_aliases_alone_takes_mail),
        RULE(rule_8_01_all_that_stands_in_the_way_is_named_at_once),
        RULE(rule_1_16_12_members_are_found_in_whatever_spelling),
        RULE(rule_1_17_04_what_is_derived_is_made_by_the_server),
        RULE(rule_1_18_01_at_least_one_member_of_an_alias_that_exists),
        RULE(rule_1_18_04_members_are_compared_in_canonical_form),
        RULE(rule_3_8_01_the_address_of_an_alias_is_an_address),
        RULE(rule_5_2_01_an_alias_is_found_by_its_canonical_form),
        RULE(rule_1_19_05_tls_keys_go_with_their_account),
        RULE(rule_7_2_02_keys_are_listed_of_all_or_of_one_account),
        RULE(rule_7_2_03_a_key_is_got_by_its_fingerprint),
        RULE(rule_7_2_04_a_key_is_added_once_with_an_address_in_canonical_form),
        RULE(rule_7_2_05_a_key_that_is_there_is_updated),
        RULE(rule_7_2_06_a_key_that_is_there_is_removed),
        RULE(rule_7_2_08_a_login_address_reaches_an_account),
        RULE(rule_7_2_11_an_update_is_checked_as_an_addition_is),
        RULE(rule_b10_a_tls_key_is_resolved_in_the_new_configuration),
        RULE(rule_b24_errors_are_of_the_right_kind),
        RULE(rule_b05_what_a_file_could_not_hold_is_stored_and_read_back),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
