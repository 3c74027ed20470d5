#include "keys/passphrase.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE   32
#define NONCE_SIZE 12
#define TAG_SIZE   16
/* What scrypt may take; the parameters are bounded to need less. */
#define SCRYPT_MEMORY_MAX (UINT64_C(160) * 1024 * 1024)

struct passphrase {
    struct secret key;
};

bool passphrase_salt(uint8_t salt_out[PASSPHRASE_SALT_SIZE])
{
    return RAND_bytes(salt_out, PASSPHRASE_SALT_SIZE) == 1;
}

bool passphrase_parameters_good(uint64_t n, uint32_t r, uint32_t p)
{
    return n >= PASSPHRASE_N && n <= PASSPHRASE_N * 4 && (n & (n - 1)) == 0 && r == PASSPHRASE_R &&
           p >= 1 && p <= 4;
}

static bool derive(const char *text, const struct passphrase_parameters *parameters,
                   struct secret *key)
{
    uint64_t n = parameters->n;
    uint64_t memory = SCRYPT_MEMORY_MAX;
    uint32_t r = parameters->r;
    uint32_t p = parameters->p;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *) text, strlen(text)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *) parameters->salt,
                                          PASSPHRASE_SALT_SIZE),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end(),
    };
    bool done =
        context != NULL && EVP_KDF_derive(context, (uint8_t *) key->data, key->len, params) == 1;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

enum mx_code passphrase_create(const char *text, const struct passphrase_parameters *parameters,
                               struct passphrase **passphrase_out, struct mx_error *err)
{
    struct passphrase *passphrase = calloc(1, sizeof(*passphrase));

    if (passphrase == NULL || !secret_alloc(&passphrase->key, KEY_SIZE) ||
        !derive(text, parameters, &passphrase->key)) {
        passphrase_destroy(passphrase);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "no key can be derived from the passphrase now");
    }
    *passphrase_out = passphrase;
    return MX_OK;
}

void passphrase_destroy(struct passphrase *passphrase)
{
    if (passphrase != NULL) {
        secret_free(&passphrase->key);
        free(passphrase);
    }
}

static const uint8_t *key_of(const struct passphrase *passphrase)
{
    return (const uint8_t *) passphrase->key.data;
}

static bool encrypt(EVP_CIPHER_CTX *context, const struct passphrase *passphrase, const char *bound,
                    const void *data, size_t len, uint8_t *out)
{
    int used;

    return EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key_of(passphrase), out) == 1 &&
           EVP_EncryptUpdate(context, NULL, &used, (const uint8_t *) bound, (int) strlen(bound)) ==
               1 &&
           EVP_EncryptUpdate(context, out + NONCE_SIZE, &used, data, (int) len) == 1 &&
           EVP_EncryptFinal_ex(context, out + NONCE_SIZE + len, &used) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + NONCE_SIZE + len) ==
               1;
}

uint8_t *passphrase_seal(struct passphrase *passphrase, struct arena *arena, const char *bound,
                         const void *data, size_t len, size_t *sealed_len_out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t *out = arena_try_alloc(arena, NONCE_SIZE + len + TAG_SIZE);
    bool done = context != NULL && out != NULL && RAND_bytes(out, NONCE_SIZE) == 1 &&
                encrypt(context, passphrase, bound, data, len, out);

    EVP_CIPHER_CTX_free(context);
    *sealed_len_out = NONCE_SIZE + len + TAG_SIZE;
    return done ? out : NULL;
}

static bool decrypt(EVP_CIPHER_CTX *context, const struct passphrase *passphrase, const char *bound,
                    const uint8_t *sealed, size_t len, uint8_t *out)
{
    const uint8_t *tag = sealed + NONCE_SIZE + len;
    int used;

    return EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key_of(passphrase), sealed) == 1 &&
           EVP_DecryptUpdate(context, NULL, &used, (const uint8_t *) bound, (int) strlen(bound)) ==
               1 &&
           EVP_DecryptUpdate(context, out, &used, sealed + NONCE_SIZE, (int) len) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, (void *) tag) == 1 &&
           EVP_DecryptFinal_ex(context, out + len, &used) == 1;
}

bool passphrase_open(struct passphrase *passphrase, const char *bound, const uint8_t *sealed,
                     size_t len, struct secret *secret_out)
{
    struct secret secret;
    EVP_CIPHER_CTX *context;
    bool done;

    if (len < NONCE_SIZE + TAG_SIZE || len > INT32_MAX ||
        !secret_alloc(&secret, len - NONCE_SIZE - TAG_SIZE)) {
        return false;
    }
    context = EVP_CIPHER_CTX_new();
    done = context != NULL &&
           decrypt(context, passphrase, bound, sealed, secret.len, (uint8_t *) secret.data);
    EVP_CIPHER_CTX_free(context);
    if (!done) {
        secret_free(&secret);
        return false;
    }
    *secret_out = secret;
    return true;
}
