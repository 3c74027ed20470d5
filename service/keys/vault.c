#include "keys/vault.h"

#include "base/buffer.h"
#include "keys/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_KEY_SIZE 32
#define KEK_HEX_SIZE  (2 * VAULT_KEK_SIZE)
/* An RSA-4096 key takes 2.4 kB; what is longer was not sealed here. */
#define SEALED_MAX 16384

/* What is bound into a seal begins with one of these, so that neither passes for the other, nor
 * for one of a later form. */
#define BIND_DATA_KEY    "mxadm vault v1 data key"
#define BIND_PRIVATE_KEY "mxadm vault v1 private key"

struct vault {
    struct secret data_key;
    uint8_t key_id[VAULT_KEY_ID_SIZE];
    uint8_t wrapped[VAULT_WRAPPED_SIZE];
    EVP_CIPHER *cipher;
};

/* AES-256-GCM */

struct gcm {
    EVP_CIPHER *cipher;
    const uint8_t *key;
    const uint8_t *nonce;
    const struct buffer *bound; /* associated data */
};

static EVP_CIPHER_CTX *gcm_begin(const struct gcm *gcm, bool seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;

    if (ctx == NULL ||
        EVP_CipherInit_ex2(ctx, gcm->cipher, gcm->key, gcm->nonce, seal ? 1 : 0, NULL) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &len, gcm->bound->data, (int) gcm->bound->len) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* `out` has room for the tag too. */
static bool gcm_seal(const struct gcm *gcm, const void *plain, size_t plain_len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = gcm_begin(gcm, true);
    int len;
    bool sealed =
        ctx != NULL && EVP_CipherUpdate(ctx, out, &len, plain, (int) plain_len) == 1 &&
        EVP_CipherFinal_ex(ctx, out + len, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, VAULT_TAG_SIZE, out + plain_len) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return sealed;
}

/* `sealed_len` counts the tag. False: does not open; `plain` then holds what must not be used. */
static bool gcm_open(const struct gcm *gcm, const uint8_t *sealed, size_t sealed_len, void *plain)
{
    size_t plain_len = sealed_len - VAULT_TAG_SIZE;
    uint8_t tag[VAULT_TAG_SIZE];
    EVP_CIPHER_CTX *ctx = gcm_begin(gcm, false);
    int len;
    bool opened;

    memcpy(tag, sealed + plain_len, VAULT_TAG_SIZE);
    opened = ctx != NULL && EVP_CipherUpdate(ctx, plain, &len, sealed, (int) plain_len) == 1 &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, VAULT_TAG_SIZE, tag) == 1 &&
             EVP_CipherFinal_ex(ctx, (uint8_t *) plain + len, &len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return opened;
}

/* The key-encryption key's file */

static enum mx_code fail_errno(struct mx_error *err, const char *what, const char *path)
{
    enum mx_code code = errno == ENOENT                     ? MX_NOT_FOUND
                        : errno == EACCES || errno == EPERM ? MX_PERMISSION_DENIED
                                                            : MX_UNAVAILABLE;

    return mx_fail(err, code, "%s key-encryption key file '%s': %s", what, path, strerror(errno));
}

/* A new file `name` of the directory with 32 random bytes, all of it on disk. */
static bool write_new_kek(int dir_fd, const char *name)
{
    uint8_t kek[VAULT_KEK_SIZE];
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool written;

    if (fd < 0) {
        return false;
    }
    written = RAND_priv_bytes(kek, sizeof(kek)) == 1 && fchmod(fd, 0600) == 0 &&
              secret_write(fd, kek, sizeof(kek)) && fsync(fd) == 0;
    OPENSSL_cleanse(kek, sizeof(kek));
    return close(fd) == 0 && written;
}

/*
 * By a link under the final name of what is whole already: unlike a rename it never replaces a
 * file, and a crash leaves all of the key or none.
 */
static bool create_kek_in(int dir_fd, const char *name)
{
    char temporary[sizeof(".mxadm.0123456789abcdef.kek")];
    uint64_t random;
    bool created;
    int reason;

    if (RAND_bytes((unsigned char *) &random, sizeof(random)) != 1) {
        errno = EIO;
        return false;
    }
    (void) snprintf(temporary, sizeof(temporary), ".mxadm.%016llx.kek",
                    (unsigned long long) random);
    created = write_new_kek(dir_fd, temporary) &&
              (linkat(dir_fd, temporary, dir_fd, name, 0) == 0 || errno == EEXIST);
    reason = errno;
    (void) unlinkat(dir_fd, temporary, 0);
    errno = reason;
    return created && fsync(dir_fd) == 0;
}

static enum mx_code create_kek(const char *path, struct mx_error *err)
{
    char *dir_copy = strdup(path);
    char *name_copy = strdup(path);
    enum mx_code code = MX_OK;
    int dir_fd = -1;

    if (dir_copy == NULL || name_copy == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a path");
        goto out;
    }
    dir_fd = open(dirname(dir_copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || !create_kek_in(dir_fd, basename(name_copy))) {
        code = fail_errno(err, "create", path);
    }
out:
    if (dir_fd >= 0) {
        (void) close(dir_fd);
    }
    free(name_copy);
    free(dir_copy);
    return code;
}

/* Reads up to `room` bytes; -1 with errno. */
static ssize_t read_all(int fd, uint8_t *data, size_t room)
{
    size_t len = 0;

    while (len < room) {
        ssize_t got = read(fd, data + len, room - len);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        len += (size_t) got;
    }
    return (ssize_t) len;
}

static bool decode_hex(const uint8_t *text, uint8_t kek[VAULT_KEK_SIZE])
{
    for (size_t i = 0; i < VAULT_KEK_SIZE; i++) {
        int high = OPENSSL_hexchar2int(text[2 * i]);
        int low = OPENSSL_hexchar2int(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        kek[i] = (uint8_t) (high << 4 | low);
    }
    return true;
}

static enum mx_code decode_kek(const char *path, const uint8_t *data, size_t len,
                               uint8_t kek[VAULT_KEK_SIZE], struct mx_error *err)
{
    if (len == VAULT_KEK_SIZE) {
        memcpy(kek, data, len);
        return MX_OK;
    }
    if ((len == KEK_HEX_SIZE || (len == KEK_HEX_SIZE + 1 && data[KEK_HEX_SIZE] == '\n')) &&
        decode_hex(data, kek)) {
        return MX_OK;
    }
    return mx_fail(err, MX_INVALID_ARGUMENT,
                   "key-encryption key file '%s' holds neither %d raw bytes nor %d hex digits",
                   path, VAULT_KEK_SIZE, KEK_HEX_SIZE);
}

static enum mx_code read_kek_from(int fd, const char *path, uint8_t kek[VAULT_KEK_SIZE],
                                  struct mx_error *err)
{
    uint8_t data[KEK_HEX_SIZE + 2]; /* one more than any good file has */
    struct stat info;
    enum mx_code code;
    ssize_t len;

    if (fstat(fd, &info) != 0) {
        return fail_errno(err, "read", path);
    }
    if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "key-encryption key file '%s' has mode %04o: others than its owner may use "
                       "it; expected 0600 or 0400",
                       path, (unsigned) info.st_mode & 07777);
    }
    len = read_all(fd, data, sizeof(data));
    code = len < 0 ? fail_errno(err, "read", path) : decode_kek(path, data, (size_t) len, kek, err);
    OPENSSL_cleanse(data, sizeof(data));
    return code;
}

static enum mx_code read_kek(const char *path, bool create, uint8_t kek[VAULT_KEK_SIZE],
                             struct mx_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum mx_code code;

    if (fd < 0 && errno == ENOENT && create) {
        code = create_kek(path, err);
        if (code != MX_OK) {
            return code;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    code = read_kek_from(fd, path, kek, err);
    (void) close(fd);
    return code;
}

/* The data key */

static bool bind_data_key(struct buffer *bound)
{
    buffer_put(bound, BIND_DATA_KEY, sizeof(BIND_DATA_KEY));
    return !buffer_failed(bound);
}

static enum mx_code make_data_key(struct vault *vault, const uint8_t kek[VAULT_KEK_SIZE],
                                  struct mx_error *err)
{
    struct buffer bound = BUFFER_INIT;
    struct gcm gcm = { vault->cipher, kek, vault->wrapped, &bound };
    bool made =
        bind_data_key(&bound) &&
        RAND_priv_bytes((uint8_t *) vault->data_key.data, DATA_KEY_SIZE) == 1 &&
        RAND_bytes(vault->wrapped, VAULT_NONCE_SIZE) == 1 &&
        gcm_seal(&gcm, vault->data_key.data, DATA_KEY_SIZE, vault->wrapped + VAULT_NONCE_SIZE);

    buffer_fini(&bound);
    return made ? MX_OK : crypto_fail(err, "make a data key");
}

static enum mx_code unwrap_data_key(struct vault *vault, const uint8_t kek[VAULT_KEK_SIZE],
                                    const char *kek_path, struct mx_error *err)
{
    struct buffer bound = BUFFER_INIT;
    struct gcm gcm = { vault->cipher, kek, vault->wrapped, &bound };
    bool opened = bind_data_key(&bound) &&
                  gcm_open(&gcm, vault->wrapped + VAULT_NONCE_SIZE,
                           VAULT_WRAPPED_SIZE - VAULT_NONCE_SIZE, vault->data_key.data);

    buffer_fini(&bound);
    return opened ? MX_OK
                  : mx_fail(err, MX_DATA_LOSS,
                            "the stored data key does not open with the key-encryption key of "
                            "file '%s'",
                            kek_path);
}

static void name_data_key(struct vault *vault)
{
    uint8_t fingerprint[DIGEST_SIZE];

    digest(vault->data_key.data, DATA_KEY_SIZE, fingerprint);
    memcpy(vault->key_id, fingerprint, VAULT_KEY_ID_SIZE);
}

static struct vault *vault_create(void)
{
    struct vault *vault = calloc(1, sizeof(*vault));

    if (vault == NULL) {
        return NULL;
    }
    vault->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (vault->cipher == NULL || !secret_alloc(&vault->data_key, DATA_KEY_SIZE)) {
        vault_close(vault);
        return NULL;
    }
    return vault;
}

enum mx_code vault_open(const char *kek_path, bool create, const uint8_t *wrapped,
                        size_t wrapped_len, struct vault **vault_out, struct mx_error *err)
{
    uint8_t kek[VAULT_KEK_SIZE];
    struct vault *vault;
    enum mx_code code;

    if (wrapped != NULL && wrapped_len != VAULT_WRAPPED_SIZE) {
        return mx_fail(err, MX_DATA_LOSS, "the stored data key has %zu bytes; expected %d",
                       wrapped_len, VAULT_WRAPPED_SIZE);
    }
    /* A key-encryption key made now can't open what is wrapped already: then it must be there. */
    code = read_kek(kek_path, create && wrapped == NULL, kek, err);
    if (code != MX_OK) {
        return code;
    }
    vault = vault_create();
    if (vault == NULL) {
        code = crypto_fail(err, "open the vault");
    } else if (wrapped == NULL) {
        code = make_data_key(vault, kek, err);
    } else {
        memcpy(vault->wrapped, wrapped, wrapped_len);
        code = unwrap_data_key(vault, kek, kek_path, err);
    }
    OPENSSL_cleanse(kek, sizeof(kek));
    if (code != MX_OK) {
        vault_close(vault);
        return code;
    }
    name_data_key(vault);
    *vault_out = vault;
    return MX_OK;
}

void vault_close(struct vault *vault)
{
    if (vault == NULL) {
        return;
    }
    secret_free(&vault->data_key);
    EVP_CIPHER_free(vault->cipher);
    free(vault);
}

const uint8_t *vault_wrapped(const struct vault *vault)
{
    return vault->wrapped;
}

/* Private keys */

/* Each name behind its length: no other pair of names gives the same bytes. */
static bool bind_names(struct buffer *bound, const char *domain, const char *selector)
{
    buffer_put(bound, BIND_PRIVATE_KEY, sizeof(BIND_PRIVATE_KEY));
    buffer_put_varint(bound, strlen(domain));
    buffer_put(bound, domain, strlen(domain));
    buffer_put_varint(bound, strlen(selector));
    buffer_put(bound, selector, strlen(selector));
    return !buffer_failed(bound);
}

enum mx_code vault_seal(struct vault *vault, const char *domain, const char *selector,
                        const struct key *key, struct arena *arena, struct vault_sealed *sealed_out,
                        struct mx_error *err)
{
    struct vault_sealed sealed = { .ciphertext = NULL };
    struct buffer bound = BUFFER_INIT;
    struct gcm gcm = { vault->cipher, (const uint8_t *) vault->data_key.data, sealed.nonce,
                       &bound };
    size_t len;
    const uint8_t *der = key_private_der(key, &len);
    bool done;

    /* First, with nothing to lose: an arena may jump away. */
    sealed.ciphertext_len = len + VAULT_TAG_SIZE;
    sealed.ciphertext = arena_alloc(arena, sealed.ciphertext_len);
    if (sealed.ciphertext == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a sealed key");
    }
    memcpy(sealed.key_id, vault->key_id, VAULT_KEY_ID_SIZE);
    /* Random nonces are good for 2^32 seals under one data key (NIST SP 800-38D, section 8.3). */
    done = RAND_bytes(sealed.nonce, VAULT_NONCE_SIZE) == 1 &&
           bind_names(&bound, domain, selector) && gcm_seal(&gcm, der, len, sealed.ciphertext);
    buffer_fini(&bound);
    if (!done) {
        return crypto_fail(err, "seal a private key");
    }
    *sealed_out = sealed;
    return MX_OK;
}

/* The plain DER. */
static enum mx_code open_sealed(struct vault *vault, const char *domain, const char *selector,
                                const struct vault_sealed *sealed, struct secret *der_out,
                                struct mx_error *err)
{
    struct buffer bound = BUFFER_INIT;
    struct gcm gcm = { vault->cipher, (const uint8_t *) vault->data_key.data, sealed->nonce,
                       &bound };
    struct secret der = { NULL, 0 };
    bool opened;

    if (!bind_names(&bound, domain, selector) ||
        !secret_alloc(&der, sealed->ciphertext_len - VAULT_TAG_SIZE)) {
        buffer_fini(&bound);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a sealed key");
    }
    opened = gcm_open(&gcm, sealed->ciphertext, sealed->ciphertext_len, der.data);
    buffer_fini(&bound);
    if (!opened) {
        secret_free(&der);
        return mx_fail(err, MX_DATA_LOSS,
                       "the private key of selector '%s' of domain '%s' does not open: damaged, or "
                       "sealed under another name",
                       selector, domain);
    }
    *der_out = der;
    return MX_OK;
}

enum mx_code vault_unseal(struct vault *vault, const char *domain, const char *selector,
                          const struct vault_sealed *sealed, struct key **key_out,
                          struct mx_error *err)
{
    struct secret der = { NULL, 0 };
    enum mx_code code;

    if (memcmp(sealed->key_id, vault->key_id, VAULT_KEY_ID_SIZE) != 0) {
        return mx_fail(err, MX_DATA_LOSS,
                       "the private key of selector '%s' of domain '%s' is sealed under another "
                       "data key",
                       selector, domain);
    }
    if (sealed->ciphertext_len <= VAULT_TAG_SIZE || sealed->ciphertext_len > SEALED_MAX) {
        return mx_fail(err, MX_DATA_LOSS,
                       "the sealed private key of selector '%s' of domain '%s' has %zu bytes; "
                       "expected %d to %d",
                       selector, domain, sealed->ciphertext_len, VAULT_TAG_SIZE + 1, SEALED_MAX);
    }
    code = open_sealed(vault, domain, selector, sealed, &der, err);
    if (code != MX_OK) {
        return code;
    }
    code = key_from_der((const uint8_t *) der.data, der.len, key_out, err);
    secret_free(&der);
    if (code == MX_INVALID_ARGUMENT) {
        /* The seal was whole, so this is not the caller's doing. */
        code = mx_fail(err, MX_DATA_LOSS,
                       "the private key of selector '%s' of domain '%s' opens, but is no key",
                       selector, domain);
    }
    return code;
}
