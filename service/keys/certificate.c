#include "keys/certificate.h"

#include "base/digest.h"
#include "keys/crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define RSA_BITS_MIN 2048
/* OpenSSL and Go refuse signatures of larger ones: nobody could log in. */
#define RSA_BITS_MAX 16384
/* RFC 5280 section 4.1.2.2. */
#define SERIAL_BYTES_MAX 20

static const struct {
    const char *group; /* OpenSSL's name */
    const char *type;
} curves[] = {
    { "prime256v1", "ecdsa-p256" },
    { "secp384r1", "ecdsa-p384" },
    { "secp521r1", "ecdsa-p521" },
};

/* 32 bytes are 43 characters and one of padding, which is left out. */
static void base64url(const uint8_t sha256[DIGEST_SIZE], char out[CERTIFICATE_FINGERPRINT_SIZE + 1])
{
    unsigned char text[CERTIFICATE_FINGERPRINT_SIZE + 2];

    (void) EVP_EncodeBlock(text, sha256, DIGEST_SIZE);
    for (int i = 0; i < CERTIFICATE_FINGERPRINT_SIZE; i++) {
        out[i] = (char) (text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    }
    out[CERTIFICATE_FINGERPRINT_SIZE] = '\0';
}

/* ---------------------------------------------------------------- the key */

static enum mx_code rsa_type(const EVP_PKEY *pkey, struct certificate *out, struct mx_error *err)
{
    int bits = EVP_PKEY_get_bits(pkey);

    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "has an RSA key of %d bits, not %d to %d", bits,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    }
    (void) snprintf(out->type, sizeof(out->type), "rsa-%d", bits);
    return MX_OK;
}

static enum mx_code ec_type(const EVP_PKEY *pkey, struct certificate *out, struct mx_error *err)
{
    char group[64] = "";

    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1) {
        for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
            if (strcmp(group, curves[i].group) == 0) {
                (void) snprintf(out->type, sizeof(out->type), "%s", curves[i].type);
                return MX_OK;
            }
        }
    }
    return mx_fail(err, MX_INVALID_ARGUMENT,
                   "has an elliptic-curve key on another curve than P-256, P-384 and P-521");
}

static enum mx_code key_type(const EVP_PKEY *pkey, struct certificate *out, struct mx_error *err)
{
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        return rsa_type(pkey, out, err);
    }
    if (EVP_PKEY_is_a(pkey, "EC")) {
        return ec_type(pkey, out, err);
    }
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        (void) snprintf(out->type, sizeof(out->type), "ed25519");
        return MX_OK;
    }
    return mx_fail(err, MX_INVALID_ARGUMENT, "has a key that is not RSA, ECDSA or Ed25519");
}

/*
 * A login compares the digest of the bytes that the client's certificate has. OpenSSL reads some
 * encodings that are not DER; what it would write then is not what stands there.
 */
static enum mx_code fingerprint(const X509 *x509, const uint8_t *der, size_t der_len,
                                struct certificate *out, struct mx_error *err)
{
    unsigned char *spki = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &spki);
    uint8_t sha256[DIGEST_SIZE];
    bool there;

    if (len <= 0) {
        return crypto_fail(err, "encode a public key");
    }
    there = memmem(der, der_len, spki, (size_t) len) != NULL;
    digest(spki, (size_t) len, sha256);
    OPENSSL_free(spki);
    if (!there) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "has a public key that is not in DER");
    }
    base64url(sha256, out->fingerprint);
    return MX_OK;
}

/* --------------------------------------------------------------- the names */

/* The last of several, as Go's crypto/x509 has it. */
static void common_name(const X509 *x509, struct certificate *out)
{
    const X509_NAME *subject = X509_get_subject_name(x509);
    unsigned char *utf8 = NULL;
    int at = -1;
    int last = -1;
    int len;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        last = at;
    }
    if (last < 0) {
        return;
    }
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    if (len > 0 && len <= CERTIFICATE_NAME_MAX && memchr(utf8, 0, (size_t) len) == NULL) {
        memcpy(out->common_name, utf8, (size_t) len);
        out->common_name[len] = '\0';
    }
    OPENSSL_free(utf8);
}

static void serial(const X509 *x509, struct certificate *out)
{
    static const char digits[] = "0123456789abcdef";
    const ASN1_INTEGER *number = X509_get0_serialNumber(x509);
    const unsigned char *bytes = ASN1_STRING_get0_data(number);
    int len = ASN1_STRING_length(number);
    int shown = len < SERIAL_BYTES_MAX ? len : SERIAL_BYTES_MAX;
    char *to = out->serial;

    for (int i = 0; i < shown; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    (void) snprintf(to, 4, "%s", shown < len ? "..." : "");
}

/* ----------------------------------------------------------------- parsing */

static enum mx_code describe(const X509 *x509, const uint8_t *der, size_t len,
                             struct certificate *out, struct mx_error *err)
{
    const EVP_PKEY *pkey = X509_get0_pubkey(x509);
    enum mx_code code;

    if (pkey == NULL) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "has a public key that can't be read");
    }
    code = key_type(pkey, out, err);
    if (code == MX_OK) {
        code = fingerprint(x509, der, len, out, err);
    }
    common_name(x509, out);
    serial(x509, out);
    return code;
}

enum mx_code certificate_parse(const uint8_t *der, size_t len, struct certificate *out,
                               struct mx_error *err)
{
    const unsigned char *at = der;
    struct certificate found = { 0 };
    enum mx_code code;
    X509 *x509;

    if (len > CERTIFICATE_BYTES_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "is longer than %zu bytes", CERTIFICATE_BYTES_MAX);
    }
    x509 = len == 0 ? NULL : d2i_X509(NULL, &at, (long) len);
    if (x509 == NULL) {
        code = mx_fail(err, MX_INVALID_ARGUMENT, "is no X.509 certificate in DER");
    } else if (at != der + len) {
        code = mx_fail(err, MX_INVALID_ARGUMENT, "has something behind the certificate");
    } else {
        code = describe(x509, der, len, &found, err);
    }
    X509_free(x509);
    ERR_clear_error(); /* what a certificate that was taken left, too */
    if (code == MX_OK) {
        *out = found;
    }
    return code;
}
