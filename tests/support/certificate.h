/*
 * Certificates for tests, made when they are needed.
 */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

struct test_certificate {
    uint8_t *der; /* OpenSSL's memory */
    size_t len;
};

/* "rsa:2048", "ec:P-256", or the name of an algorithm without parameters ("ED25519"). The caller
 * frees it. */
EVP_PKEY *test_key(const char *kind);

/* Signed with the key itself (what can't sign: with an Ed25519 key). `common_name` may be NULL; its
 * bytes go in as V_ASN1_UTF8STRING, whatever they are. `serial` in hex. */
struct test_certificate test_certificate(EVP_PKEY *key, const char *common_name,
                                         const char *serial);
/* The same with a key of its own. */
struct test_certificate test_certificate_of(const char *kind, const char *common_name);
void test_certificate_free(struct test_certificate *certificate);
