/*
 * Certificates: what certificate_parse() takes, and what it finds. Rule numbers are those of
 * mox-behaviour.
 */
#include "keys/certificate.h"

#include "base/digest.h"
#include "support/certificate.h"
#include "support/cmocka.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static struct certificate parsed(const struct test_certificate *certificate)
{
    struct certificate found;
    struct mx_error err;

    if (certificate_parse(certificate->der, certificate->len, &found, &err) != MX_OK) {
        fail_msg("not taken: %s", err.message);
    }
    return found;
}

/* Refused, with words in the error. */
static void refuses(const uint8_t *der, size_t len, const char *words)
{
    struct certificate found;
    struct mx_error err;

    assert_int_equal(certificate_parse(der, len, &found, &err), MX_INVALID_ARGUMENT);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, words);
    }
}

static void rule_7_2_01_types_of_keys_have_names(void **state)
{
    static const struct {
        const char *kind, *type;
    } cases[] = {
        { "rsa:2048", "rsa-2048" },   { "ec:P-256", "ecdsa-p256" }, { "ec:P-384", "ecdsa-p384" },
        { "ec:P-521", "ecdsa-p521" }, { "ED25519", "ed25519" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_certificate certificate = test_certificate_of(cases[i].kind, "laptop");
        struct certificate found = parsed(&certificate);

        assert_string_equal(found.type, cases[i].type);
        assert_string_equal(found.common_name, "laptop");
        assert_string_equal(found.serial, "01");
        test_certificate_free(&certificate);
    }
}

static void rule_7_2_01_other_keys_are_refused(void **state)
{
    static const struct {
        const char *kind, *words;
    } cases[] = {
        { "rsa:1024", "RSA key of 1024 bits" },    { "ec:P-224", "another curve" },
        { "ec:secp256k1", "another curve" },       { "ED448", "not RSA, ECDSA or Ed25519" },
        { "X25519", "not RSA, ECDSA or Ed25519" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_certificate certificate = test_certificate_of(cases[i].kind, "laptop");

        refuses(certificate.der, certificate.len, cases[i].words);
        test_certificate_free(&certificate);
    }
}

/* Computed another way: by OpenSSL's own PEM-ish base64 of the digest, with the two characters that
 * base64url has otherwise. */
static void rule_7_1_the_fingerprint_is_of_the_public_key_alone(void **state)
{
    EVP_PKEY *key = test_key("ED25519");
    struct test_certificate one = test_certificate(key, "one", "01");
    struct test_certificate two = test_certificate(key, "two", "02");
    struct certificate found = parsed(&one);
    struct certificate again = parsed(&two);
    unsigned char *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    uint8_t sha256[DIGEST_SIZE];
    unsigned char decoded[48];
    char standard[45];

    (void) state;
    assert_string_equal(found.fingerprint, again.fingerprint);
    assert_int_equal(strlen(found.fingerprint), 43);
    for (size_t i = 0; i < 43; i++) {
        char c = found.fingerprint[i];

        assert_true(c != '+' && c != '/' && c != '=');
        standard[i] = (char) (c == '-' ? '+' : c == '_' ? '/' : c);
    }
    memcpy(standard + 43, "=", 2);
    assert_int_equal(EVP_DecodeBlock(decoded, (const unsigned char *) standard, 44), 33);
    assert_true(len > 0);
    digest(spki, (size_t) len, sha256);
    assert_memory_equal(decoded, sha256, DIGEST_SIZE);
    OPENSSL_free(spki);
    test_certificate_free(&one);
    test_certificate_free(&two);
    EVP_PKEY_free(key);
}

static void names_that_are_absent_or_too_long_are_left_out(void **state)
{
    char longest[CERTIFICATE_NAME_MAX + 2];
    EVP_PKEY *key = test_key("ED25519");
    struct test_certificate none = test_certificate(key, NULL, "00ff0102");
    struct test_certificate fits;
    struct test_certificate too_long;

    (void) state;
    assert_string_equal(parsed(&none).common_name, "");
    assert_string_equal(parsed(&none).serial, "ff0102");
    memset(longest, 'x', sizeof(longest));
    longest[CERTIFICATE_NAME_MAX + 1] = '\0';
    too_long = test_certificate(key, longest, "01");
    assert_string_equal(parsed(&too_long).common_name, "");
    longest[CERTIFICATE_NAME_MAX] = '\0';
    fits = test_certificate(key, longest, "01");
    assert_string_equal(parsed(&fits).common_name, longest);
    test_certificate_free(&none);
    test_certificate_free(&fits);
    test_certificate_free(&too_long);
    EVP_PKEY_free(key);
}

static void a_long_serial_number_is_cut(void **state)
{
    EVP_PKEY *key = test_key("ED25519");
    struct test_certificate twenty =
        test_certificate(key, NULL, "0102030405060708090a0b0c0d0e0f1011121314");
    struct test_certificate more =
        test_certificate(key, NULL, "0102030405060708090a0b0c0d0e0f101112131415");

    (void) state;
    assert_string_equal(parsed(&twenty).serial, "0102030405060708090a0b0c0d0e0f1011121314");
    assert_string_equal(parsed(&more).serial, "0102030405060708090a0b0c0d0e0f1011121314...");
    test_certificate_free(&twenty);
    test_certificate_free(&more);
    EVP_PKEY_free(key);
}

static void only_a_whole_certificate_is_one(void **state)
{
    struct test_certificate certificate = test_certificate_of("ED25519", "laptop");
    size_t len = certificate.len;
    uint8_t *longer = malloc(len + 1);
    uint8_t *huge = calloc(1, CERTIFICATE_BYTES_MAX + 1);

    (void) state;
    assert_non_null(longer);
    assert_non_null(huge);
    memcpy(longer, certificate.der, len);
    longer[len] = 0;
    refuses(longer, len + 1, "behind");
    for (size_t cut = 0; cut < len; cut++) {
        refuses(certificate.der, cut, "no X.509 certificate");
    }
    refuses((const uint8_t *) "-----BEGIN CERTIFICATE-----\n", 28, "no X.509 certificate");
    refuses(huge, CERTIFICATE_BYTES_MAX + 1, "longer than 65536 bytes");
    free(longer);
    free(huge);
    test_certificate_free(&certificate);
}

/* Whatever a byte of it becomes: taken or refused, never a crash (the sanitizers look on). */
static void a_certificate_with_a_wrong_byte_does_no_harm(void **state)
{
    struct test_certificate certificate = test_certificate_of("ec:P-256", "laptop");
    struct certificate found;
    struct mx_error err;

    (void) state;
    for (size_t i = 0; i < certificate.len; i++) {
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            enum mx_code code;

            certificate.der[i] ^= (uint8_t) flip;
            code = certificate_parse(certificate.der, certificate.len, &found, &err);
            assert_true(code == MX_OK || code == MX_INVALID_ARGUMENT);
            certificate.der[i] ^= (uint8_t) flip;
        }
    }
    test_certificate_free(&certificate);
}

/* Adds one to the length of the element; returns where its first element begins. */
static uint8_t *grow(uint8_t *element)
{
    size_t more = element[1] == 0x82 ? 2 : element[1] == 0x81 ? 1 : 0; /* bytes of the length */

    element[1 + more]++;
    return element + 2 + more;
}

/* The same key with a length in more bytes than needed: OpenSSL reads that, DER has it not. */
static void a_public_key_that_is_not_in_der_is_refused(void **state)
{
    struct test_certificate certificate = test_certificate_of("ED25519", NULL);
    /* SEQUENCE of 42 { SEQUENCE of 5 { OID 1.3.101.112 } BIT STRING of 33: RFC 8410. */
    static const uint8_t head[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03 };
    uint8_t *at = memmem(certificate.der, certificate.len, head, sizeof(head));
    uint8_t *longer = malloc(certificate.len + 1);
    size_t before;

    (void) state;
    assert_non_null(at);
    assert_non_null(longer);
    before = (size_t) (at - certificate.der);
    memcpy(longer, certificate.der, before + 1);
    longer[before + 1] = 0x81; /* the length follows in one byte */
    memcpy(longer + before + 2, at + 1, certificate.len - before - 1);
    grow(grow(longer)); /* the certificate, and what is signed of it */
    refuses(longer, certificate.len + 1, "not in DER");
    free(longer);
    test_certificate_free(&certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_7_2_01_types_of_keys_have_names),
        cmocka_unit_test(rule_7_2_01_other_keys_are_refused),
        cmocka_unit_test(rule_7_1_the_fingerprint_is_of_the_public_key_alone),
        cmocka_unit_test(names_that_are_absent_or_too_long_are_left_out),
        cmocka_unit_test(a_long_serial_number_is_cut),
        cmocka_unit_test(only_a_whole_certificate_is_one),
        cmocka_unit_test(a_certificate_with_a_wrong_byte_does_no_harm),
        cmocka_unit_test(a_public_key_that_is_not_in_der_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
