/*
 * DKIMAdd, DKIMRemove, DKIMList, DKIMKeyMake, DKIMKeyExport. Rule numbers are those of
 * mox-behaviour. What the keys are is asked of OpenSSL, not of our own code.
 */
#include "rpc_cases.h"

#include "support/history.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ED25519 "4"
#define SHA1    "2"

static struct fixture *fx;

static int setup(void **state)
{
    static const struct fixture_options options = { .key_directory = true };

    (void) state;
    fx = fixture_create(&options);
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

static const struct reply *dkim_add(const char *domain, const char *selector)
{
    return ask(fx, &root, "DKIMAdd", "domain", domain, "selector", selector, "algorithm", ED25519,
               NULL);
}

static const struct reply *dkim_remove(const char *domain, const char *selector)
{
    return ask(fx, &root, "DKIMRemove", "domain", domain, "selector", selector, NULL);
}

/* ------------------------------------------------------------------ OpenSSL */

/* The public half of a private key in PEM must be this SubjectPublicKeyInfo. */
static void assert_belongs(const char *pem, const ProtobufCBinaryData *public_key)
{
    BIO *bio = BIO_new_mem_buf(pem, (int) strlen(pem));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int len;

    assert_non_null(key);
    len = i2d_PUBKEY(key, &der);
    assert_int_equal(len, public_key->len);
    assert_memory_equal(der, public_key->data, public_key->len);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

/* The raw key of an Ed25519 SubjectPublicKeyInfo: what its record holds (RFC 8463). */
static ProtobufCBinaryData raw_of(const ProtobufCBinaryData *public_key)
{
    return (ProtobufCBinaryData){ 32, public_key->data + public_key->len - 32 };
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 16384);

    assert_non_null(file);
    assert_non_null(text);
    text[fread(text, 1, 16383, file)] = 0;
    (void) fclose(file);
    return text;
}

/* ------------------------------------------------------------------- adding */

static void rule_1_08_08_a_selector_is_added_pending_unless_enabled(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added = OK(dkim_add("Example.ORG", "K1"))->message;

    (void) state;
    assert_string_equal(added->dkim_selector->name, "k1");
    assert_string_equal(added->dkim_selector->domain, "example.org");
    assert_int_equal(added->dkim_selector->state, MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING);
    assert_int_equal(added->dkim_selector->algorithm,
                     MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519);
    assert_int_equal(added->dkim_selector->hash, MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256);
    added = OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "k2", "algorithm",
                   ED25519, "enable", "1", NULL))
                ->message;
    assert_int_equal(added->dkim_selector->state, MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE);
}

static void rule_1_08_07_the_settings_given_are_those_stored(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added;

    (void) state;
    added = OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "k3", "algorithm",
                   ED25519, "header_relaxed", "1", "body_relaxed", "1", "headers", "From",
                   "headers", "Subject", "dont_seal_headers", "1", "expiration", "3600", NULL))
                ->message;
    assert_true(added->dkim_selector->header_relaxed);
    assert_true(added->dkim_selector->body_relaxed);
    assert_true(added->dkim_selector->dont_seal_headers);
    assert_int_equal(added->dkim_selector->n_headers, 2);
    assert_string_equal(added->dkim_selector->headers[1], "Subject");
    assert_int_equal(added->dkim_selector->expiration->seconds, 3600);
}

static void the_record_to_publish_holds_the_public_key(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added = OK(dkim_add("example.org", "k4"))->message;
    ProtobufCBinaryData raw = raw_of(&added->dkim_selector->public_key);

    (void) state;
    assert_string_equal(added->record->name, "k4._domainkey.example.org");
    assert_string_equal(added->record->type, "TXT");
    assert_non_null(strstr(added->record->data, "k=ed25519"));
    assert_non_null(strstr(added->record->data, base64(fx, &raw)));
}

static void the_default_algorithm_is_rsa_2048(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added =
        OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "2024", NULL))->message;

    (void) state;
    assert_int_equal(added->dkim_selector->algorithm,
                     MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048);
    assert_non_null(strstr(added->record->data, base64(fx, &added->dkim_selector->public_key)));
    assert_int_equal(added->dkim_selector->public_key.len, 294);
}

static void rule_1_08_05_a_selector_is_not_added_twice(void **state)
{
    const struct reply *reply = dkim_add("example.org", "k1");

    (void) state;
    REFUSED(reply, ALREADY_EXISTS, "SELECTOR_EXISTS");
    assert_string_equal(reply->envelope->status->resource_info->resource_name,
                        "k1._domainkey.example.org");
    REFUSES(fx, ALREADY_EXISTS, "SELECTOR_EXISTS", dkim_add("EXAMPLE.org", "K1"));
    OK(dkim_add("other.example", "k1"));
}

static void rule_1_08_04_the_domain_must_be_configured(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", dkim_add("none.example", "k1"));
}

static void rule_1_08_12_sha1_is_refused(void **state)
{
    const struct reply *reply =
        ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "k9", "hash", SHA1, NULL);

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "hash"));
}

static void rule_1_08_11_all_that_is_wrong_is_said_before_a_key_is_taken(void **state)
{
    const char *before = fixture_dump(fx);
    const struct reply *reply =
        ask(fx, &root, "DKIMAdd", "domain", "a..b", "selector", "_x", "hash", SHA1, "headers", "To",
            "headers", "to", "headers", "a b", "headers", "", "expiration", "-1", NULL);

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "domain"));
    assert_true(has_violation(reply, "selector"));
    assert_true(has_violation(reply, "hash"));
    assert_true(has_violation(reply, "headers"));
    assert_true(has_violation(reply, "headers[1]"));
    assert_true(has_violation(reply, "headers[2]"));
    assert_true(has_violation(reply, "headers[3]"));
    assert_true(has_violation(reply, "expiration"));
    assert_string_equal(fixture_dump(fx), before);
}

static void values_beyond_their_limits_are_refused(void **state)
{
    const struct {
        const char *selector, *field, *value, *wrong;
    } cases[] = {
        { "", "algorithm", ED25519, "selector" },
        { "a..b", "algorithm", ED25519, "selector" },
        { "a b", "algorithm", ED25519, "selector" },
        { repeated(fx, "x", 64), "algorithm", ED25519, "selector" },
        { repeated(fx, "abcdefghi.", 23), "algorithm", ED25519, "selector" },
        { fixture_text(fx, "%sx", repeated(fx, "abcdefghi.", 23)), "algorithm", ED25519,
          "selector" },
        { repeated(fx, "x", 65536), "algorithm", ED25519, "selector" },
        { "k9", "expiration", "0", "expiration" },
        { "k9", "expiration", "99999999999", "expiration" },
        { "k9", "headers", "Fr:om", "headers[0]" },
        { "k9", "algorithm", "5", "algorithm" },
        { "k9", "algorithm", "4294967295", "algorithm" },
        { "k9", "hash", "3", "hash" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *before = fixture_dump(fx);
        const struct reply *reply = ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector",
                                        cases[i].selector, cases[i].field, cases[i].value, NULL);

        REFUSED(reply, INVALID_ARGUMENT, NULL);
        if (!has_violation(reply, cases[i].wrong)) {
            fail_msg("case %zu: '%s' is not named: %s", i, cases[i].wrong, reply->words);
        }
        assert_true(reply->len < 2048);
        assert_string_equal(fixture_dump(fx), before);
    }
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "DKIMAdd", "selector");
    refuses_hostile_bytes(fx, "DKIMAdd", "headers");
    refuses_hostile_bytes(fx, "DKIMRemove", "domain");
    refuses_hostile_bytes(fx, "DKIMList", "page_token");
    refuses_hostile_bytes(fx, "DKIMKeyMake", "domain");
    refuses_hostile_bytes(fx, "DKIMKeyExport", "selector");
}

static void a_domain_has_at_most_100_selectors(void **state)
{
    (void) state;
    /* It has two of its own, and k1. */
    for (int i = 0; i < 97; i++) {
        OK(dkim_add("other.example", fixture_text(fx, "n%d", i)));
    }
    REFUSES(fx, RESOURCE_EXHAUSTED, "SELECTOR_LIMIT", dkim_add("other.example", "n99"));
}

/* -------------------------------------------------------------------- roles */

static void who_may_not_change_selectors_changes_none(void **state)
{
    static const struct rpc_peer *const readers[] = { &viewer, &key_reader, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, readers[i], "DKIMAdd", "domain", "example.org", "selector", "e", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, readers[i], "DKIMRemove", "domain", "example.org", "selector", "k1", NULL));
    }
    REFUSES(fx, UNAUTHENTICATED, "CALLER_UNKNOWN",
            ask(fx, &stranger, "DKIMRemove", "domain", "example.org", "selector", "k1", NULL));
}

static void a_domain_administrator_works_in_the_own_domains_alone(void **state)
{
    (void) state;
    OK(ask(fx, &scoped, "DKIMAdd", "domain", "example.org", "selector", "own", "algorithm", ED25519,
           NULL));
    OK(ask(fx, &scoped, "DKIMRemove", "domain", "example.org", "selector", "own", NULL));
    OK(ask(fx, &scoped, "DKIMList", "domain", "example.org", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "DKIMAdd", "domain", "other.example", "selector", "own", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "DKIMRemove", "domain", "other.example", "selector", "k1", NULL));
    REFUSED(ask(fx, &scoped, "DKIMList", "domain", "other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
}

static void private_keys_are_shown_to_key_readers_alone(void **state)
{
    static const struct rpc_peer *const others[] = { &admin, &viewer, &scoped, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        REFUSED(
            ask(fx, others[i], "DKIMKeyExport", "domain", "example.org", "selector", "k1", NULL),
            PERMISSION_DENIED, "ROLE_MISSING");
        REFUSED(ask(fx, others[i], "DKIMKeyMake", NULL), PERMISSION_DENIED, "ROLE_MISSING");
    }
    REFUSED(ask(fx, &stranger, "DKIMKeyMake", NULL), UNAUTHENTICATED, "CALLER_UNKNOWN");
    OK(ask(fx, &key_reader, "DKIMKeyExport", "domain", "example.org", "selector", "k1", NULL));
}

/* ------------------------------------------------------------- private keys */

static void an_exported_key_is_the_one_that_is_published(void **state)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", NULL))->message;

    (void) state;
    assert_true(list->n_dkim_selectors >= 5);
    for (size_t i = 0; i < list->n_dkim_selectors; i++) {
        const Mxadm__V1__DkimSelector *selector = list->dkim_selectors[i];
        const Mxadm__V1__DKIMKeyExportResponse *exported =
            OK(ask(fx, &key_reader, "DKIMKeyExport", "domain", "example.org", "selector",
                   selector->name, NULL))
                ->message;
        char *file = read_whole(fixture_key_path(fx, selector->key_file));

        assert_belongs(exported->private_key, &selector->public_key);
        assert_belongs(file, &selector->public_key);
        assert_int_equal(exported->public_key.len, selector->public_key.len);
        assert_memory_equal(exported->public_key.data, selector->public_key.data,
                            selector->public_key.len);
        free(file);
    }
}

static void a_key_made_is_stored_nowhere_and_never_made_again(void **state)
{
    const char *before = fixture_dump(fx);
    const Mxadm__V1__DKIMKeyMakeResponse *made[8];

    (void) state;
    for (size_t i = 0; i < 8; i++) {
        made[i] = OK(ask(fx, &key_reader, "DKIMKeyMake", "algorithm", ED25519, "domain",
                         "any.example", "selector", "s", NULL))
                      ->message;
        assert_belongs(made[i]->private_key, &made[i]->public_key);
        assert_non_null(strstr(made[i]->private_key, "s._domainkey.any.example"));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(made[i]->public_key.data, made[k]->public_key.data,
                                    made[i]->public_key.len);
        }
    }
    assert_string_equal(fixture_dump(fx), before);
}

static void names_for_a_made_key_are_checked(void **state)
{
    const struct reply *reply =
        ask(fx, &key_reader, "DKIMKeyMake", "domain", "a..b", "selector", "_", NULL);

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, NULL);
    assert_true(has_violation(reply, "domain"));
    assert_true(has_violation(reply, "selector"));
}

static void what_is_not_there_is_not_exported(void **state)
{
    (void) state;
    REFUSED(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "none", NULL),
            NOT_FOUND, "SELECTOR_NOT_FOUND");
    REFUSED(ask(fx, &root, "DKIMKeyExport", "domain", "none.example", "selector", "k1", NULL),
            NOT_FOUND, "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &root, "DKIMKeyExport", NULL), INVALID_ARGUMENT, NULL);
}

/* Written by nobody but a broken disk: behind the daemon's back. */
static void damage_private_key(const char *key, size_t key_len)
{
    struct group group;

    group_init(&group);
    group_request(&group, NULL);
    group_put(&group, key, key_len, "", 0);
    backend_sim_append(fixture_disk(fx), group_pack(&group));
    group_fini(&group);
}

static void a_damaged_private_key_keeps_no_other_from_its_file(void **state)
{
    static const char damaged[] = "sexample.org\0broken";
    const Mxadm__V1__DKIMAddResponse *broken = OK(dkim_add("example.org", "broken"))->message;
    const Mxadm__V1__DKIMAddResponse *sound = OK(dkim_add("example.org", "sound"))->message;

    (void) state;
    damage_private_key(damaged, sizeof(damaged) - 1);
    assert_int_equal(unlink(fixture_key_path(fx, broken->dkim_selector->key_file)), 0);
    fixture_restart(fx);
    REFUSED(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "broken", NULL),
            DATA_LOSS, "PRIVATE_KEY_DAMAGED");
    OK(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "sound", NULL));
    assert_non_null(strstr(fixture_key_files(fx), sound->dkim_selector->key_file));
    OK(dkim_remove("example.org", "broken"));
    OK(dkim_remove("example.org", "sound"));
}

/* ----------------------------------------------------------------- removing */

static void rule_1_09_02_a_removed_selector_is_gone_and_its_file_away(void **state)
{
    const Mxadm__V1__DKIMAddResponse *added = OK(dkim_add("example.org", "gone"))->message;
    const char *file = added->dkim_selector->key_file;
    const Mxadm__V1__DKIMRemoveResponse *removed;

    (void) state;
    assert_non_null(strstr(fixture_key_files(fx), file));
    removed = OK(dkim_remove("example.org", "GONE"))->message;
    assert_int_equal(removed->active, 2); /* the domain's first, and k2 */
    assert_null(strstr(fixture_key_files(fx), file));
    assert_non_null(
        strstr(fixture_key_files(fx), fixture_text(fx, "dkim/old/%s", strrchr(file, '/') + 1)));
    REFUSES(fx, NOT_FOUND, "SELECTOR_NOT_FOUND", dkim_remove("example.org", "gone"));
    REFUSED(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "gone", NULL),
            NOT_FOUND, "SELECTOR_NOT_FOUND");
}

static void the_name_of_a_removed_selector_is_never_used_again(void **state)
{
    (void) state;
    REFUSES(fx, FAILED_PRECONDITION, "SELECTOR_USED", dkim_add("example.org", "gone"));
    assert_true(has_blocker(dkim_add("example.org", "gone"), "used selector",
                            "gone._domainkey.example.org"));
}

static void rule_1_09_01_what_is_not_there_is_not_found(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "SELECTOR_NOT_FOUND", dkim_remove("example.org", "none"));
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", dkim_remove("none.example", "k1"));
    REFUSES(fx, INVALID_ARGUMENT, NULL, dkim_remove("", ""));
}

static void rule_1_09_03_the_last_that_signs_may_go_and_the_answer_says_so(void **state)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", NULL))->message;
    uint32_t active = 2;

    (void) state;
    for (size_t i = 0; i < list->n_dkim_selectors; i++) {
        const Mxadm__V1__DKIMRemoveResponse *removed =
            OK(dkim_remove("example.org", list->dkim_selectors[i]->name))->message;

        active -= list->dkim_selectors[i]->state == MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE;
        assert_int_equal(removed->active, active);
    }
    assert_int_equal(active, 0);
    list = OK(ask(fx, &viewer, "DKIMList", "domain", "example.org", NULL))->message;
    assert_int_equal(list->total, 0);
}

static void after_a_restart_keys_open_and_names_stay_used(void **state)
{
    const char *before = fixture_dump(fx);

    (void) state;
    fixture_restart(fx);
    assert_string_equal(fixture_dump(fx), before);
    OK(ask(fx, &key_reader, "DKIMKeyExport", "domain", "other.example", "selector", "k1", NULL));
    REFUSES(fx, FAILED_PRECONDITION, "SELECTOR_USED", dkim_add("example.org", "gone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_1_08_08_a_selector_is_added_pending_unless_enabled),
        cmocka_unit_test(rule_1_08_07_the_settings_given_are_those_stored),
        cmocka_unit_test(the_record_to_publish_holds_the_public_key),
        cmocka_unit_test(the_default_algorithm_is_rsa_2048),
        cmocka_unit_test(rule_1_08_05_a_selector_is_not_added_twice),
        cmocka_unit_test(rule_1_08_04_the_domain_must_be_configured),
        cmocka_unit_test(rule_1_08_12_sha1_is_refused),
        cmocka_unit_test(rule_1_08_11_all_that_is_wrong_is_said_before_a_key_is_taken),
        cmocka_unit_test(values_beyond_their_limits_are_refused),
        cmocka_unit_test(hostile_bytes_are_refused_and_change_nothing),
        cmocka_unit_test(a_domain_has_at_most_100_selectors),
        cmocka_unit_test(who_may_not_change_selectors_changes_none),
        cmocka_unit_test(a_domain_administrator_works_in_the_own_domains_alone),
        cmocka_unit_test(private_keys_are_shown_to_key_readers_alone),
        cmocka_unit_test(an_exported_key_is_the_one_that_is_published),
        cmocka_unit_test(a_key_made_is_stored_nowhere_and_never_made_again),
        cmocka_unit_test(names_for_a_made_key_are_checked),
        cmocka_unit_test(what_is_not_there_is_not_exported),
        cmocka_unit_test(a_damaged_private_key_keeps_no_other_from_its_file),
        cmocka_unit_test(rule_1_09_02_a_removed_selector_is_gone_and_its_file_away),
        cmocka_unit_test(the_name_of_a_removed_selector_is_never_used_again),
        cmocka_unit_test(rule_1_09_01_what_is_not_there_is_not_found),
        cmocka_unit_test(rule_1_09_03_the_last_that_signs_may_go_and_the_answer_says_so),
        cmocka_unit_test(after_a_restart_keys_open_and_names_stay_used),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
