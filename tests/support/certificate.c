#include "support/certificate.h"

#include "support/cmocka.h"

#include <openssl/bn.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

EVP_PKEY *test_key(const char *kind)
{
    EVP_PKEY *key;

    if (strncmp(kind, "rsa:", 4) == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) strtoul(kind + 4, NULL, 10));
    } else if (strncmp(kind, "ec:", 3) == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind + 3);
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    }
    assert_non_null(key);
    return key;
}

static void set_name(X509 *x509, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(x509);

    if (common_name != NULL) {
        /* Not checked: hostile names are wanted, too. */
        X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_NID(
            NULL, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *) common_name, -1);

        assert_non_null(entry);
        assert_int_equal(X509_NAME_add_entry(name, entry, -1, 0), 1);
        X509_NAME_ENTRY_free(entry);
    }
}

static void set_serial(X509 *x509, const char *serial)
{
    BIGNUM *number = NULL;

    assert_true(BN_hex2bn(&number, serial) > 0);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)));
    BN_free(number);
}

static void sign(X509 *x509, EVP_PKEY *key)
{
    EVP_PKEY *signer = key;

    if (EVP_PKEY_is_a(key, "X25519")) {
        signer = test_key("ED25519");
    }
    assert_true(X509_sign(x509, signer,
                          EVP_PKEY_is_a(signer, "ED25519") || EVP_PKEY_is_a(signer, "ED448")
                              ? NULL
                              : EVP_sha256()) > 0);
    if (signer != key) {
        EVP_PKEY_free(signer);
    }
}

struct test_certificate test_certificate(EVP_PKEY *key, const char *common_name, const char *serial)
{
    struct test_certificate made = { NULL, 0 };
    X509 *x509 = X509_new();
    int len;

    assert_non_null(x509);
    set_name(x509, common_name);
    set_serial(x509, serial);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 3600));
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    sign(x509, key);
    len = i2d_X509(x509, &made.der);
    assert_true(len > 0);
    made.len = (size_t) len;
    X509_free(x509);
    return made;
}

struct test_certificate test_certificate_of(const char *kind, const char *common_name)
{
    EVP_PKEY *key = test_key(kind);
    struct test_certificate made = test_certificate(key, common_name, "01");

    EVP_PKEY_free(key);
    return made;
}

void test_certificate_free(struct test_certificate *certificate)
{
    OPENSSL_free(certificate->der);
    certificate->der = NULL;
}
