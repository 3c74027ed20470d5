/*
 * TLSPublicKeyAdd, TLSPublicKeyUpdate, TLSPublicKeyRemove, TLSPublicKeyGet, TLSPublicKeyList, and
 * what keys and login addresses are to addresses, accounts, domains and aliases. Rule numbers are
 * those of mox-behaviour.
 */
#include "rpc_cases.h"
#include "support/certificate.h"

#include <string.h>

static struct fixture *fx;
static EVP_PKEY *laptop_key;
static struct test_certificate laptop; /* common name "laptop" */
static struct test_certificate phone;  /* another key, no common name, serial 01 */

static int setup_group(void **state)
{
    (void) state;
    laptop_key = test_key("ec:P-256");
    laptop = test_certificate(laptop_key, "laptop", "0a");
    phone = test_certificate_of("ED25519", NULL);
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "otto");
    add_domain(fx, "mail.example.com", "hugo");
    return 0;
}

static int teardown_group(void **state)
{
    (void) state;
    fixture_destroy(fx);
    test_certificate_free(&laptop);
    test_certificate_free(&phone);
    EVP_PKEY_free(laptop_key);
    return 0;
}

/* Each test begins with one account more. */
static int setup(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AccountAdd", "account", "bob", "address", "bob@example.org", NULL));
    return 0;
}

static int teardown(void **state)
{
    const Mxadm__V1__TLSPublicKeyListResponse *all =
        OK(ask(fx, &root, "TLSPublicKeyList", "page_size", "1000", NULL))->message;

    (void) state;
    for (size_t i = 0; i < all->n_tls_public_keys; i++) {
        OK(ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", all->tls_public_keys[i]->fingerprint,
               NULL));
    }
    (void) ask(fx, &root, "AliasRemove", "address", "team@example.org", NULL);
    (void) ask(fx, &root, "AccountRemove", "account", "bob", NULL);
    return 0;
}

static const struct reply *key_add_as(const struct rpc_peer *peer,
                                      const struct test_certificate *certificate, const char *login,
                                      const char *name)
{
    Mxadm__V1__TLSPublicKeyAddRequest request = MXADM__V1__TLSPUBLIC_KEY_ADD_REQUEST__INIT;
    size_t size;
    uint8_t *packed;

    request.certificate.data = certificate->der;
    request.certificate.len = certificate->len;
    request.login_address = (char *) login;
    request.name = (char *) name;
    size = mxadm__v1__tlspublic_key_add_request__get_packed_size(&request);
    packed = (uint8_t *) fixture_text(fx, "%*s", (int) size, "");
    return ask_message(fx, peer, "TLSPublicKeyAdd", packed,
                       mxadm__v1__tlspublic_key_add_request__pack(&request, packed));
}

static const struct reply *key_add(const struct test_certificate *certificate, const char *login)
{
    return key_add_as(&root, certificate, login, "");
}

static const Mxadm__V1__TlsPublicKey *added(const struct reply *reply)
{
    return ((const Mxadm__V1__TLSPublicKeyAddResponse *) OK(reply)->message)->tls_public_key;
}

static const Mxadm__V1__TlsPublicKey *key_get(const char *fingerprint)
{
    const Mxadm__V1__TLSPublicKeyGetResponse *got =
        OK(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", fingerprint, NULL))->message;

    return got->tls_public_key;
}

/* Changes one field. */
static const struct reply *key_update(const char *fingerprint, const char *field, const char *value)
{
    return ask(fx, &root, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", fingerprint,
               fixture_text(fx, "tls_public_key.%s", field), value, "update_mask.paths", field,
               NULL);
}

static const struct reply *certificate_update(const char *fingerprint,
                                              const struct test_certificate *certificate)
{
    Mxadm__V1__TLSPublicKeyUpdateRequest request = MXADM__V1__TLSPUBLIC_KEY_UPDATE_REQUEST__INIT;
    Mxadm__V1__TlsPublicKey key = MXADM__V1__TLS_PUBLIC_KEY__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *path = (char *) "certificate";
    uint8_t *packed;

    mask.paths = &path;
    mask.n_paths = 1;
    key.fingerprint = (char *) fingerprint;
    key.certificate.data = certificate->der;
    key.certificate.len = certificate->len;
    request.tls_public_key = &key;
    request.update_mask = &mask;
    packed = (uint8_t *) fixture_text(
        fx, "%*s", (int) mxadm__v1__tlspublic_key_update_request__get_packed_size(&request), "");
    return ask_message(fx, &root, "TLSPublicKeyUpdate", packed,
                       mxadm__v1__tlspublic_key_update_request__pack(&request, packed));
}

static const struct reply *address_add(const char *account, const char *address)
{
    return ask(fx, &root, "AddressAdd", "account", account, "address", address, NULL);
}

static const struct reply *address_remove(const char *address)
{
    return ask(fx, &root, "AddressRemove", "address", address, NULL);
}

/* `two` may be NULL. */
static const struct reply *from_ids(const char *account, const char *one, const char *two)
{
    return ask(fx, &root, "AccountSave", "account.name", account, "update_mask.paths",
               "from_id_login_addresses", "account.from_id_login_addresses", one,
               two == NULL ? NULL : "account.from_id_login_addresses", two, NULL);
}

/* ------------------------------------------------------------------ adding */

static void rule_7_2_11_a_key_is_of_the_account_that_its_login_address_reaches(void **state)
{
    const Mxadm__V1__TlsPublicKey *key = added(key_add(&laptop, "BOB+x@Example.ORG"));

    (void) state;
    assert_string_equal(key->account, "bob");
    assert_string_equal(key->login_address, "bob@example.org"); /* canonical */
    assert_string_equal(key->type, "ecdsa-p256");
    assert_string_equal(key->name, "laptop"); /* 7.2-01 */
    assert_int_equal(strlen(key->fingerprint), 43);
    assert_int_equal(key->certificate.len, laptop.len);
    assert_string_equal(added(key_add(&phone, "bob@example.org"))->name, "serial 01");
    assert_string_equal(key_get(key->fingerprint)->login_address, "bob@example.org");
}

static void rule_7_2_01_a_common_name_that_is_no_line_is_not_taken(void **state)
{
    struct test_certificate lines = test_certificate_of("ED25519", "two\nlines");
    struct test_certificate separator = test_certificate_of("ED25519", "a\xe2\x80\xa8z");

    (void) state;
    assert_string_equal(added(key_add(&lines, "bob@example.org"))->name, "serial 01");
    assert_string_equal(added(key_add(&separator, "bob@example.org"))->name, "serial 01");
    test_certificate_free(&lines);
    test_certificate_free(&separator);
}

static void rule_7_2_04_a_fingerprint_is_there_once(void **state)
{
    const Mxadm__V1__TlsPublicKey *key = added(key_add(&laptop, "bob@example.org"));
    struct test_certificate renewed = test_certificate(laptop_key, "other", "0b");

    (void) state;
    REFUSES(fx, ALREADY_EXISTS, "FINGERPRINT_EXISTS", key_add(&laptop, "bob@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "FINGERPRINT_EXISTS", key_add(&renewed, "otto@other.example"));
    assert_string_equal(key_get(key->fingerprint)->account, "bob");
    test_certificate_free(&renewed);
}

static void all_wrong_fields_are_named_at_once(void **state)
{
    const struct test_certificate garbage = { (uint8_t *) "garbage", 7 };
    const struct test_certificate none = { NULL, 0 };
    struct test_certificate weak = test_certificate_of("rsa:1024", "laptop");
    const struct reply *reply = REFUSED(key_add_as(&root, &garbage, "@example.org", "a\nb"),
                                        INVALID_ARGUMENT, "INVALID_ARGUMENT");

    (void) state;
    assert_true(has_violation(reply, "certificate"));
    assert_true(has_violation(reply, "login_address"));
    assert_true(has_violation(reply, "name"));
    reply = REFUSED(key_add(&weak, "bob@example.org"), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_non_null(strstr(reply->words, "1024 bits"));
    reply = REFUSED(key_add(&none, "bob@example.org"), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "certificate"));
    test_certificate_free(&weak);
}

static void rule_5_5_11_whom_a_login_address_reaches(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AliasAdd", "address", "team@example.org", "members", "bob@example.org",
           NULL));
    OK(address_add("bob", "@mail.example.com"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", key_add(&laptop, "nobody@example.org"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", key_add(&laptop, "x@none.example"));
    OK(address_add("bob", "@example.org"));
    /* Neither aliases nor what the settings give away, although there are catchalls. */
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", key_add(&laptop, "team@example.org"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", key_add(&laptop, "postmaster@mail.example.com"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", key_add(&laptop, "tls-reports@mail.example.com"));
    assert_string_equal(added(key_add(&laptop, "nobody@example.org"))->account, "bob");
    assert_string_equal(added(key_add(&phone, "dmarcreports@example.org"))->account, "alice");
}

static void an_account_has_a_hundred_keys_at_most(void **state)
{
    struct test_certificate certificate;

    (void) state;
    for (int i = 0; i < 100; i++) {
        certificate = test_certificate_of("ED25519", NULL);
        (void) added(key_add(&certificate, "bob@example.org"));
        test_certificate_free(&certificate);
    }
    REFUSES(fx, RESOURCE_EXHAUSTED, "TLS_PUBLIC_KEY_LIMIT", key_add(&laptop, "bob@example.org"));
    (void) added(key_add(&laptop, "alice@example.org"));
}

/* ---------------------------------------------------------------- updating */

static void rule_7_2_05_all_but_the_public_key_may_change(void **state)
{
    const char *fingerprint = added(key_add(&laptop, "bob@example.org"))->fingerprint;
    struct test_certificate renewed = test_certificate(laptop_key, "renewed", "0c");
    uint64_t revision;

    (void) state;
    OK(key_update(fingerprint, "name", "my laptop"));
    OK(key_update(fingerprint, "no_imap_preauth", "1"));
    assert_string_equal(key_get(fingerprint)->name, "my laptop");
    assert_true(key_get(fingerprint)->no_imap_preauth);
    revision = fixture_revision(fx);
    OK(key_update(fingerprint, "name", "my laptop"));
    OK(key_update(fingerprint, "type", "rsa-2048")); /* the server's */
    OK(key_update(fingerprint, "login_address", "BOB@example.org"));
    assert_int_equal(fixture_revision(fx), revision); /* nothing changed */
    OK(certificate_update(fingerprint, &renewed));
    assert_int_equal(key_get(fingerprint)->certificate.len, renewed.len);
    assert_memory_equal(key_get(fingerprint)->certificate.data, renewed.der, renewed.len);
    OK(key_update(fingerprint, "name", "")); /* cleared: what the certificate says */
    assert_string_equal(key_get(fingerprint)->name, "renewed");
    assert_true(has_violation(
        REFUSED(certificate_update(fingerprint, &phone), INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "tls_public_key.certificate"));
    assert_true(has_violation(
        REFUSED(key_update(fingerprint, "name", "a\nb"), INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "tls_public_key.name"));
    test_certificate_free(&renewed);
}

static void rule_7_2_11_an_update_may_not_cut_the_login_off(void **state)
{
    const char *fingerprint = added(key_add(&laptop, "bob@example.org"))->fingerprint;
    const struct reply *reply;

    (void) state;
    OK(address_add("bob", "rob@example.org"));
    OK(key_update(fingerprint, "login_address", "ROB@example.org"));
    assert_string_equal(key_get(fingerprint)->login_address, "rob@example.org");
    reply = REFUSED(key_update(fingerprint, "login_address", "alice@example.org"),
                    FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE");
    assert_true(has_blocker(reply, "address", "alice@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE",
            key_update(fingerprint, "account", "alice"));
    REFUSES(fx, NOT_FOUND, "ACCOUNT_NOT_FOUND", key_update(fingerprint, "account", "nobody"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND",
            key_update(fingerprint, "login_address", "nobody@example.org"));
    OK(ask(fx, &root, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", fingerprint,
           "tls_public_key.account", "alice", "tls_public_key.login_address", "alice@example.org",
           "update_mask.paths", "account", "update_mask.paths", "login_address", NULL));
    assert_string_equal(key_get(fingerprint)->account, "alice");
}

#define NO_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void rule_7_2_06_what_is_not_there_is_not_found(void **state)
{
    const char *fingerprint = added(key_add(&laptop, "bob@example.org"))->fingerprint;

    (void) state;
    OK(ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    REFUSES(fx, NOT_FOUND, "TLS_PUBLIC_KEY_NOT_FOUND",
            ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    REFUSES(fx, NOT_FOUND, "TLS_PUBLIC_KEY_NOT_FOUND", key_update(fingerprint, "name", "x"));
    REFUSED(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", NO_KEY, NULL), NOT_FOUND,
            "TLS_PUBLIC_KEY_NOT_FOUND"); /* 7.2-03 */
    assert_true(has_violation(REFUSED(ask(fx, &viewer, "TLSPublicKeyGet", "fingerprint", "x", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "fingerprint"));
    assert_true(has_violation(
        REFUSED(ask(fx, &root, "TLSPublicKeyUpdate", NULL), INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "tls_public_key"));
}

/* ------------------------------------------------------------- lists, roles */

static void rule_7_2_02_keys_are_listed_by_account(void **state)
{
    const Mxadm__V1__TLSPublicKeyListResponse *all;
    const Mxadm__V1__ServerInfoResponse *info;

    (void) state;
    (void) added(key_add(&laptop, "bob@example.org"));
    (void) added(key_add(&phone, "otto@other.example"));
    all = OK(ask(fx, &viewer, "TLSPublicKeyList", "page_size", "1", NULL))->message;
    assert_int_equal(all->total, 2);
    assert_int_equal(all->n_tls_public_keys, 1);
    assert_string_not_equal(all->next_page_token, "");
    all = OK(ask(fx, &viewer, "TLSPublicKeyList", "account", "bob", NULL))->message;
    assert_int_equal(all->total, 1);
    assert_string_equal(all->tls_public_keys[0]->account, "bob");
    all = OK(ask(fx, &viewer, "TLSPublicKeyList", "account", "nobody", NULL))->message;
    assert_int_equal(all->total, 0);
    all = OK(ask(fx, &scoped, "TLSPublicKeyList", NULL))->message;
    assert_int_equal(all->total, 1);
    assert_int_equal(all->n_tls_public_keys, 1);
    assert_string_equal(all->tls_public_keys[0]->account, "bob");
    all = OK(ask(fx, &scoped, "TLSPublicKeyList", "account", "otto", NULL))->message;
    assert_int_equal(all->total, 0);
    assert_int_equal(all->n_tls_public_keys, 0);
    info = OK(ask(fx, &viewer, "ServerInfo", NULL))->message;
    assert_int_equal(info->tls_public_key_count, 2);
    assert_int_equal(info->alias_count, 0);
}

static void who_may_not_change_keys_changes_none(void **state)
{
    const char *fingerprint = added(key_add(&laptop, "bob@example.org"))->fingerprint;

    (void) state;
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            key_add_as(&viewer, &phone, "bob@example.org", ""));
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask(fx, &viewer, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
            ask(fx, &viewer, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", fingerprint,
                "tls_public_key.name", "x", "update_mask.paths", "name", NULL));
    REFUSED(ask(fx, &stranger, "TLSPublicKeyList", NULL), UNAUTHENTICATED, "CALLER_UNKNOWN");
}

static void a_domain_administrator_learns_of_a_foreign_key_only_that_it_is_there(void **state)
{
    const char *foreign = added(key_add(&laptop, "otto@other.example"))->fingerprint;
    const struct reply *reply;
    const char *own;

    (void) state;
    reply = REFUSED(key_add_as(&scoped, &laptop, "bob@example.org", ""), ALREADY_EXISTS,
                    "FINGERPRINT_EXISTS");
    assert_null(strstr(reply->words, "otto"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            key_add_as(&scoped, &phone, "otto@other.example", ""));
    reply = REFUSED(ask(fx, &scoped, "TLSPublicKeyGet", "fingerprint", foreign, NULL),
                    PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE");
    assert_null(strstr(reply->words, "other.example"));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "TLSPublicKeyRemove", "fingerprint", foreign, NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", foreign,
                "tls_public_key.name", "x", "update_mask.paths", "name", NULL));
    own = added(key_add_as(&scoped, &phone, "bob@example.org", "phone"))->fingerprint;
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "TLSPublicKeyUpdate", "tls_public_key.fingerprint", own,
                "tls_public_key.login_address", "otto@other.example", "update_mask.paths",
                "login_address", NULL));
    OK(ask(fx, &scoped, "TLSPublicKeyRemove", "fingerprint", own, NULL));
}

/* --------------------------------------------------- what removals do to them */

static void rule_1_16_10_an_address_stays_that_a_key_needs(void **state)
{
    const char *fingerprint = added(key_add(&laptop, "bob@example.org"))->fingerprint;
    const struct reply *reply;

    (void) state;
    OK(address_add("bob", "bob@other.example"));
    OK(address_remove("bob@other.example")); /* the same localpart elsewhere is no matter */
    reply = REFUSED(address_remove("BOB@example.org"), FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE", address_remove("bob@example.org"));
    OK(address_add("alice", "@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE", address_remove("bob@example.org"));
    OK(address_remove("@example.org"));
    OK(address_add("bob", "@example.org"));
    OK(address_remove("bob@example.org")); /* the login goes on, through the own catchall */
}

static void rule_1_16_10_a_catchall_stays_that_a_key_needs(void **state)
{
    const char *fingerprint;
    const struct reply *reply;

    (void) state;
    OK(address_add("bob", "@example.org"));
    (void) added(key_add(&laptop, "bob@example.org"));
    OK(address_remove("@example.org")); /* that one has its own address */
    OK(address_add("bob", "@example.org"));
    fingerprint = added(key_add(&phone, "anything@example.org"))->fingerprint;
    reply = REFUSED(address_remove("@example.org"), FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    assert_int_equal(reply->envelope->status->precondition_failure->total, 1);
}

static void rule_1_16_09_exactly_the_login_addresses_that_reach_nobody_are_dropped(void **state)
{
    const Mxadm__V1__AddressRemoveResponse *removed;
    const Mxadm__V1__AccountGetResponse *bob;

    (void) state;
    OK(address_add("bob", "rob@example.org"));
    OK(from_ids("bob", "bob@example.org", "rob@example.org"));
    OK(address_add("bob", "@example.org"));
    removed = OK(address_remove("rob@example.org"))->message;
    assert_int_equal(removed->n_from_id_login_addresses, 0); /* through the catchall */
    removed = OK(address_remove("@example.org"))->message;
    assert_int_equal(removed->n_from_id_login_addresses, 1); /* bob@ is an address */
    assert_string_equal(removed->from_id_login_addresses[0], "rob@example.org");
    bob = OK(ask(fx, &viewer, "AccountGet", "account", "bob", NULL))->message;
    assert_int_equal(bob->account->n_from_id_login_addresses, 1);
    assert_string_equal(bob->account->from_id_login_addresses[0], "bob@example.org");
    removed = OK(address_remove("bob@example.org"))->message;
    assert_string_equal(removed->from_id_login_addresses[0], "bob@example.org");
}

static void rule_b14_login_addresses_are_the_accounts_own(void **state)
{
    (void) state;
    REFUSES(fx, FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE",
            from_ids("bob", "bob@example.org", "alice@example.org"));
    OK(address_add("alice", "@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE",
            from_ids("bob", "any@example.org", NULL));
    OK(address_remove("@example.org"));
}

static void rule_1_19_05_keys_go_with_their_account(void **state)
{
    const Mxadm__V1__AccountRemoveResponse *removed;
    const Mxadm__V1__TLSPublicKeyListResponse *left;

    (void) state;
    (void) added(key_add(&laptop, "bob@example.org"));
    (void) added(key_add(&phone, "alice@example.org"));
    removed = OK(ask(fx, &root, "AccountRemove", "account", "bob", NULL))->message;
    assert_int_equal(removed->removed_tls_public_keys, 1);
    assert_int_equal(removed->removed_addresses, 1);
    left = OK(ask(fx, &root, "TLSPublicKeyList", NULL))->message;
    assert_int_equal(left->total, 1);
}

static void rule_1_11_02_a_domain_stays_that_is_logged_in_at(void **state)
{
    const char *fingerprint;
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "DomainAdd", "domain", "gone.example", "account", "bob", NULL));
    OK(address_remove("postmaster@gone.example"));
    fingerprint = added(key_add(&laptop, "dmarcreports@gone.example"))->fingerprint;
    OK(from_ids("bob", "tlsreports@gone.example", "bob@example.org"));
    reply = REFUSED(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL),
                    FAILED_PRECONDITION, "DOMAIN_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    assert_true(has_blocker(reply, "account", "bob")); /* 1.11-04 */
    assert_int_equal(reply->envelope->status->precondition_failure->total, 2);
    REFUSES(fx, FAILED_PRECONDITION, "DOMAIN_IN_USE",
            ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
    /* All of it at once: who logs in is named beside an address of an account. */
    OK(address_add("bob", "b@gone.example"));
    reply = REFUSED(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL),
                    FAILED_PRECONDITION, "DOMAIN_IN_USE");
    assert_true(has_blocker(reply, "address", "b@gone.example"));
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    assert_int_equal(reply->envelope->status->precondition_failure->total, 3);
    OK(address_remove("b@gone.example"));
    OK(ask(fx, &root, "TLSPublicKeyRemove", "fingerprint", fingerprint, NULL));
    OK(from_ids("bob", "bob@example.org", NULL));
    OK(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
}

/* ----------------------------------------------------- what additions would do */

static void an_address_that_somebody_logs_in_with_is_not_taken_away(void **state)
{
    const char *fingerprint;
    const struct reply *reply;

    (void) state;
    OK(address_add("bob", "@example.org"));
    fingerprint = added(key_add(&laptop, "desk@example.org"))->fingerprint;
    OK(from_ids("bob", "shop@example.org", NULL));
    reply =
        REFUSED(address_add("alice", "DESK@example.org"), FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "tls public key", fingerprint));
    reply =
        REFUSED(address_add("alice", "shop@example.org"), FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "account", "bob"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE", address_add("alice", "desk@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AccountAdd", "account", "new", "address", "shop@example.org", NULL));
    /* An alias is nobody's to log in as: not even when the key's own account is its member. */
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AliasAdd", "address", "desk@example.org", "members", "bob@example.org",
                NULL));
    OK(address_add("bob", "desk@example.org")); /* the own account's all the same */
    OK(address_add("bob", "shop@example.org"));
    OK(address_add("alice", "free@example.org"));
    OK(address_remove("free@example.org"));
}

static void a_restart_finds_keys_as_they_were(void **state)
{
    const Mxadm__V1__TlsPublicKey *key = added(key_add(&laptop, "bob@example.org"));

    (void) state;
    fixture_restart(fx);
    assert_same_message(&key_get(key->fingerprint)->base, &key->base);
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE", address_remove("bob@example.org"));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "TLSPublicKeyAdd", "login_address");
    refuses_hostile_bytes(fx, "TLSPublicKeyRemove", "fingerprint");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rule_7_2_11_a_key_is_of_the_account_that_its_login_address_reaches),
        TEST(rule_7_2_01_a_common_name_that_is_no_line_is_not_taken),
        TEST(rule_7_2_04_a_fingerprint_is_there_once),
        TEST(all_wrong_fields_are_named_at_once),
        TEST(rule_5_5_11_whom_a_login_address_reaches),
        TEST(an_account_has_a_hundred_keys_at_most),
        TEST(rule_7_2_05_all_but_the_public_key_may_change),
        TEST(rule_7_2_11_an_update_may_not_cut_the_login_off),
        TEST(rule_7_2_06_what_is_not_there_is_not_found),
        TEST(rule_7_2_02_keys_are_listed_by_account),
        TEST(who_may_not_change_keys_changes_none),
        TEST(a_domain_administrator_learns_of_a_foreign_key_only_that_it_is_there),
        TEST(rule_1_16_10_an_address_stays_that_a_key_needs),
        TEST(rule_1_16_10_a_catchall_stays_that_a_key_needs),
        TEST(rule_1_16_09_exactly_the_login_addresses_that_reach_nobody_are_dropped),
        TEST(rule_b14_login_addresses_are_the_accounts_own),
        TEST(rule_1_19_05_keys_go_with_their_account),
        TEST(rule_1_11_02_a_domain_stays_that_is_logged_in_at),
        TEST(an_address_that_somebody_logs_in_with_is_not_taken_away),
        TEST(a_restart_finds_keys_as_they_were),
        TEST(hostile_bytes_are_refused_and_change_nothing),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
