#include "keys/key.h"

#include "keys/crypto.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_END   "-----END PRIVATE KEY-----\n"
/* RFC 7468 section 2: lines of 64 characters, which are 48 bytes. */
#define PEM_LINE_BYTES 48
/* "rsa-2048 dkim private key for <255 of selector and domain>, made by mxadm, <time>". */
#define NOTE_MAX 512
/* The whole public key of RFC 8410 is a fixed head and the 32 bytes that RFC 8463 publishes. */
#define ED25519_PUBLIC_SIZE 32

struct key {
    enum key_kind kind;
    struct secret private_der;
    unsigned char *public_der; /* OpenSSL's memory */
    size_t public_len;
};

static const struct kind {
    const char *name;
    const char *note_name; /* as upstream spells it in notes */
    const char *algorithm; /* OpenSSL's name */
    unsigned rsa_bits;     /* 0: not RSA */
} kinds[KEY_KINDS] = {
    [KEY_RSA2048] = { "rsa2048", "rsa-2048", "RSA", 2048 },
    [KEY_RSA3072] = { "rsa3072", "rsa-3072", "RSA", 3072 },
    [KEY_RSA4096] = { "rsa4096", "rsa-4096", "RSA", 4096 },
    [KEY_ED25519] = { "ed25519", "ed25519", "ED25519", 0 },
};

static bool is_kind(enum key_kind kind)
{
    return (unsigned) kind < KEY_KINDS && kinds[kind].name != NULL;
}

const char *key_kind_name(enum key_kind kind)
{
    return is_kind(kind) ? kinds[kind].name : NULL;
}

/* 0 if it is none of ours. */
static enum key_kind kind_of(const EVP_PKEY *pkey)
{
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        if (EVP_PKEY_is_a(pkey, kinds[i].algorithm) &&
            (kinds[i].rsa_bits == 0 || EVP_PKEY_get_bits(pkey) == (int) kinds[i].rsa_bits)) {
            return (enum key_kind) i;
        }
    }
    return (enum key_kind) 0;
}

/* Takes `private_der` over, also on failure. */
static enum mx_code key_create(enum key_kind kind, struct secret *private_der, const EVP_PKEY *pkey,
                               struct key **key_out, struct mx_error *err)
{
    unsigned char *public_der = NULL;
    int public_len = i2d_PUBKEY(pkey, &public_der);
    struct key *key;

    if (public_len <= 0) {
        secret_free(private_der);
        return crypto_fail(err, "encode a public key");
    }
    key = calloc(1, sizeof(*key));
    if (key == NULL) {
        OPENSSL_free(public_der);
        secret_free(private_der);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a key");
    }
    *key = (struct key){ kind, *private_der, public_der, (size_t) public_len };
    *private_der = (struct secret){ NULL, 0 };
    *key_out = key;
    return MX_OK;
}

void key_destroy(struct key *key)
{
    if (key == NULL) {
        return;
    }
    secret_free(&key->private_der);
    OPENSSL_free(key->public_der);
    free(key);
}

/* Making */

static int go_on(EVP_PKEY_CTX *ctx)
{
    atomic_int *cancel = EVP_PKEY_CTX_get_app_data(ctx);

    return atomic_load(cancel) == 0;
}

static bool set_rsa(EVP_PKEY_CTX *ctx, unsigned bits)
{
    unsigned exponent = RSA_F4;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_BITS, &bits),
        OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent),
        OSSL_PARAM_construct_end(),
    };

    return EVP_PKEY_CTX_set_params(ctx, params) == 1;
}

/* NULL: the reason is in OpenSSL's queue. */
static EVP_PKEY *generate(enum key_kind kind, atomic_int *cancel)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kinds[kind].algorithm, NULL);
    EVP_PKEY *pkey = NULL;

    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1) {
        goto out;
    }
    if (kinds[kind].rsa_bits != 0 && !set_rsa(ctx, kinds[kind].rsa_bits)) {
        goto out;
    }
    if (cancel != NULL) {
        EVP_PKEY_CTX_set_app_data(ctx, cancel);
        EVP_PKEY_CTX_set_cb(ctx, go_on);
    }
    (void) EVP_PKEY_generate(ctx, &pkey);
out:
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* The DER of the first PRIVATE KEY block. */
static bool read_pem(BIO *bio, struct secret *der_out)
{
    unsigned char *der = NULL;
    long len = 0;
    bool copied;

    /* Only this label: "ENCRYPTED PRIVATE KEY" would make OpenSSL ask the terminal. */
    if (PEM_bytes_read_bio_secmem(&der, &len, NULL, PEM_STRING_PKCS8INF, bio, NULL, NULL) != 1) {
        return false;
    }
    copied = secret_copy(der_out, der, (size_t) len);
    OPENSSL_secure_clear_free(der, (size_t) len);
    return copied;
}

/*
 * By way of PEM, in a BIO whose memory is wiped: every way straight to DER (EVP_PKEY2PKCS8(),
 * OSSL_ENCODER with "DER") frees a copy of the private key unwiped in OpenSSL 3.0.
 */
static bool encode_private(const EVP_PKEY *pkey, struct secret *der_out)
{
    OSSL_ENCODER_CTX *encoder =
        OSSL_ENCODER_CTX_new_for_pkey(pkey, EVP_PKEY_KEYPAIR, "PEM", "PrivateKeyInfo", NULL);
    BIO *bio = BIO_new(BIO_s_secmem());
    bool done = encoder != NULL && bio != NULL && OSSL_ENCODER_to_bio(encoder, bio) == 1 &&
                read_pem(bio, der_out);

    BIO_free(bio);
    OSSL_ENCODER_CTX_free(encoder);
    return done;
}

enum mx_code key_make(enum key_kind kind, atomic_int *cancel, struct key **key_out,
                      struct mx_error *err)
{
    struct secret der = { NULL, 0 };
    EVP_PKEY *pkey = NULL;
    enum mx_code code;

    if (!is_kind(kind)) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "there is no kind of key %d", (int) kind);
    }
    if (cancel == NULL || atomic_load(cancel) == 0) {
        pkey = generate(kind, cancel);
    }
    if (pkey == NULL && cancel != NULL && atomic_load(cancel) != 0) {
        ERR_clear_error();
        return mx_fail(err, MX_CANCELLED, "making an %s key was cancelled", kinds[kind].name);
    }
    if (pkey == NULL) {
        return crypto_fail(err, "make a key");
    }
    if (encode_private(pkey, &der)) {
        code = key_create(kind, &der, pkey, key_out, err);
    } else {
        code = crypto_fail(err, "encode a private key");
    }
    EVP_PKEY_free(pkey);
    return code;
}

/* Reading */

/* NULL if `der` is not one PKCS#8 PrivateKeyInfo and nothing behind it. */
static EVP_PKEY *decode_private(const uint8_t *der, size_t len)
{
    const unsigned char *at = der;
    PKCS8_PRIV_KEY_INFO *info;
    EVP_PKEY *pkey = NULL;

    if (len > LONG_MAX) {
        return NULL;
    }
    info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long) len);
    if (info != NULL && at == der + len) {
        pkey = EVP_PKCS82PKEY(info);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

enum mx_code key_from_der(const uint8_t *der, size_t len, struct key **key_out,
                          struct mx_error *err)
{
    struct secret copy = { NULL, 0 };
    EVP_PKEY *pkey = decode_private(der, len);
    enum key_kind kind = pkey == NULL ? (enum key_kind) 0 : kind_of(pkey);
    enum mx_code code;

    /* Decoders leave the errors of what they tried first, also when they succeed. */
    ERR_clear_error();
    if (pkey == NULL) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "not a private key in PKCS#8 form");
    }
    if (kind == 0) {
        code = mx_fail(err, MX_INVALID_ARGUMENT,
                       "a private key of type %s with %d bits; expected RSA with 2048, 3072 or "
                       "4096 bits, or Ed25519",
                       EVP_PKEY_get0_type_name(pkey), EVP_PKEY_get_bits(pkey));
    } else if (!secret_copy(&copy, der, len)) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a key");
    } else {
        code = key_create(kind, &copy, pkey, key_out, err);
    }
    EVP_PKEY_free(pkey);
    return code;
}

enum mx_code key_from_pem(const char *pem, size_t len, struct key **key_out, struct mx_error *err)
{
    struct secret der = { NULL, 0 };
    BIO *bio = len > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int) len);
    bool read = bio != NULL && read_pem(bio, &der);
    enum mx_code code;

    BIO_free(bio);
    if (!read) {
        ERR_clear_error();
        return mx_fail(err, MX_INVALID_ARGUMENT, "no PRIVATE KEY block in PEM form");
    }
    code = key_from_der((const uint8_t *) der.data, der.len, key_out, err);
    secret_free(&der);
    return code;
}

/* Looking */

enum key_kind key_kind(const struct key *key)
{
    return key->kind;
}

const uint8_t *key_private_der(const struct key *key, size_t *len_out)
{
    *len_out = key->private_der.len;
    return (const uint8_t *) key->private_der.data;
}

const uint8_t *key_public_der(const struct key *key, size_t *len_out)
{
    *len_out = key->public_len;
    return key->public_der;
}

void key_fingerprint(const struct key *key, uint8_t out[DIGEST_SIZE])
{
    digest(key->public_der, key->public_len, out);
}

/* Publishing */

/* A control character could end the note's line and begin something that readers take for PEM. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* False: it does not fit. */
static bool write_note(char note[NOTE_MAX], enum key_kind kind, const char *selector,
                       const char *domain, int64_t time_us)
{
    bool named = selector != NULL && domain != NULL;
    time_t seconds = (time_t) (time_us / 1000000);
    struct tm utc;
    char when[sizeof("2026-01-02T03:04:05Z") + 8];
    int len;

    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        return false;
    }
    len = snprintf(note, NOTE_MAX, "%s dkim private key%s%s%s%s, made by mxadm, %s\n",
                   kinds[kind].note_name, named ? " for " : "", named ? selector : "",
                   named ? "._domainkey." : "", named ? domain : "", when);
    return len > 0 && len < NOTE_MAX;
}

/* Straight from the key into the result: no copy in between is left to wipe. */
static char *write_base64_lines(char *at, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t piece = len < PEM_LINE_BYTES ? len : PEM_LINE_BYTES;

        at += EVP_EncodeBlock((unsigned char *) at, data, (int) piece);
        *at++ = '\n';
        data += piece;
        len -= piece;
    }
    return at;
}

enum mx_code key_pem(const struct key *key, const char *selector, const char *domain,
                     int64_t time_us, struct secret *pem_out, struct mx_error *err)
{
    size_t der_len = key->private_der.len;
    size_t lines = (der_len + PEM_LINE_BYTES - 1) / PEM_LINE_BYTES;
    struct secret pem = { NULL, 0 };
    char note[NOTE_MAX];
    char *at;

    if (selector != NULL && domain != NULL && (!is_printable(selector) || !is_printable(domain))) {
        return mx_fail(err, MX_INVALID_ARGUMENT,
                       "selector or domain of a key has characters that are not printable ASCII");
    }
    if (!write_note(note, key->kind, selector, domain, time_us)) {
        return mx_fail(err, MX_INVALID_ARGUMENT,
                       "selector, domain or time of a key is too long for its note");
    }
    if (!secret_alloc(&pem, strlen(note) + strlen(PEM_BEGIN) + 4 * ((der_len + 2) / 3) + lines +
                                strlen(PEM_END))) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a private key's PEM text");
    }
    at = stpcpy(stpcpy(pem.data, note), PEM_BEGIN);
    at = write_base64_lines(at, (const uint8_t *) key->private_der.data, der_len);
    (void) stpcpy(at, PEM_END);
    *pem_out = pem;
    return MX_OK;
}

/* Whether it is the SubjectPublicKeyInfo of a key of that kind. */
static bool is_public_of_kind(enum key_kind kind, const uint8_t *public_der, size_t len)
{
    const unsigned char *at = public_der;
    EVP_PKEY *pkey;
    bool is;

    if (!is_kind(kind) || len > LONG_MAX) {
        return false;
    }
    pkey = d2i_PUBKEY(NULL, &at, (long) len);
    is = pkey != NULL && at == public_der + len && kind_of(pkey) == kind;
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return is;
}

char *key_dkim_record(struct arena *arena, enum key_kind kind, const uint8_t *public_der,
                      size_t len, bool revoked)
{
    const char *tags =
        kind == KEY_ED25519 ? "v=DKIM1;h=sha256;k=ed25519;p=" : "v=DKIM1;h=sha256;p=";
    size_t tags_len = strlen(tags);
    char *record;

    if (!is_public_of_kind(kind, public_der, len)) {
        return NULL;
    }
    record = arena_alloc(arena, tags_len + 4 * ((len + 2) / 3) + 1);
    if (record == NULL) {
        return NULL;
    }
    memcpy(record, tags, tags_len + 1);
    if (revoked) {
        return record;
    }
    if (kind == KEY_ED25519) {
        public_der += len - ED25519_PUBLIC_SIZE;
        len = ED25519_PUBLIC_SIZE;
    }
    (void) EVP_EncodeBlock((unsigned char *) record + tags_len, public_der, (int) len);
    return record;
}
