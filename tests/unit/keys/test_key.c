#include "unit/keys/fixture.h"

#include <malloc.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <spawn.h>
#include <sys/wait.h>

#define TIME_US ((int64_t) 1767323045 * 1000000) /* 2026-01-02T03:04:05Z */

extern char **environ;

static const enum key_kind all_kinds[] = { KEY_RSA2048, KEY_RSA3072, KEY_RSA4096, KEY_ED25519 };
#define ALL_KINDS (sizeof(all_kinds) / sizeof(all_kinds[0]))

/* One of each, made once: the large ones take seconds. */
static struct key *keys[KEY_KINDS];

static int make_keys(void **state)
{
    (void) state;
    for (size_t i = 0; i < ALL_KINDS; i++) {
        keys[all_kinds[i]] = make_key(all_kinds[i]);
    }
    return 0;
}

static int destroy_keys(void **state)
{
    (void) state;
    for (size_t i = 0; i < KEY_KINDS; i++) {
        key_destroy(keys[i]);
    }
    return 0;
}

/* What OpenSSL makes of the public part. */
static EVP_PKEY *public_of(const struct key *key)
{
    size_t len;
    const unsigned char *der = key_public_der(key, &len);
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long) len);

    assert_non_null(pkey);
    return pkey;
}

static void a_made_key_is_of_its_kind(void **state)
{
    static const int bits[KEY_KINDS] = { 0, 2048, 3072, 4096, 256 };

    (void) state;
    for (size_t i = 0; i < ALL_KINDS; i++) {
        EVP_PKEY *pkey = public_of(keys[all_kinds[i]]);

        assert_int_equal(key_kind(keys[all_kinds[i]]), all_kinds[i]);
        assert_int_equal(EVP_PKEY_get_bits(pkey), bits[all_kinds[i]]);
        EVP_PKEY_free(pkey);
    }
}

static void an_rsa_key_has_the_exponent_65537(void **state)
{
    EVP_PKEY *pkey = public_of(keys[KEY_RSA2048]);
    BIGNUM *exponent = NULL;

    (void) state;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent), 1);
    assert_true(BN_is_word(exponent, 65537));
    BN_free(exponent);
    EVP_PKEY_free(pkey);
}

static void an_unknown_kind_is_refused(void **state)
{
    struct key *key = NULL;
    struct mx_error err;

    (void) state;
    assert_int_equal(key_make((enum key_kind) 0, NULL, &key, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_make((enum key_kind) 9, NULL, &key, &err), MX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "9"));
    assert_null(key);
    assert_null(key_kind_name((enum key_kind) 9));
}

static void a_cancelled_making_ends_with_nothing(void **state)
{
    atomic_int cancel = 1;
    struct mx_error err;

    (void) state;
    for (size_t i = 0; i < ALL_KINDS; i++) {
        struct key *key = NULL;

        assert_int_equal(key_make(all_kinds[i], &cancel, &key, &err), MX_CANCELLED);
        assert_null(key);
    }
}

static void two_made_keys_differ(void **state)
{
    struct key *other = make_key(KEY_ED25519);
    uint8_t one[DIGEST_SIZE];
    uint8_t two[DIGEST_SIZE];

    (void) state;
    key_fingerprint(keys[KEY_ED25519], one);
    key_fingerprint(other, two);
    assert_memory_not_equal(one, two, DIGEST_SIZE);
    key_destroy(other);
}

static void the_fingerprint_is_the_digest_of_the_public_der(void **state)
{
    uint8_t expected[DIGEST_SIZE];
    uint8_t found[DIGEST_SIZE];
    size_t len;
    const uint8_t *der = key_public_der(keys[KEY_RSA2048], &len);

    (void) state;
    digest(der, len, expected);
    key_fingerprint(keys[KEY_RSA2048], found);
    assert_memory_equal(found, expected, DIGEST_SIZE);
}

static void assert_same_key(const struct key *one, const struct key *two)
{
    size_t one_len;
    size_t two_len;
    const uint8_t *one_der = key_private_der(one, &one_len);
    const uint8_t *two_der = key_private_der(two, &two_len);

    assert_int_equal(key_kind(one), key_kind(two));
    assert_int_equal(one_len, two_len);
    assert_memory_equal(one_der, two_der, one_len);
    one_der = key_public_der(one, &one_len);
    two_der = key_public_der(two, &two_len);
    assert_int_equal(one_len, two_len);
    assert_memory_equal(one_der, two_der, one_len);
}

static void a_key_is_read_back_from_its_der(void **state)
{
    (void) state;
    for (size_t i = 0; i < ALL_KINDS; i++) {
        struct mx_error err;
        struct key *copy = NULL;
        size_t len;
        const uint8_t *der = key_private_der(keys[all_kinds[i]], &len);

        assert_int_equal(key_from_der(der, len, &copy, &err), MX_OK);
        assert_same_key(keys[all_kinds[i]], copy);
        key_destroy(copy);
    }
}

static void damaged_der_is_refused(void **state)
{
    struct key *key = NULL;
    struct mx_error err;
    size_t len;
    const uint8_t *der = key_private_der(keys[KEY_ED25519], &len);
    uint8_t longer[64] = { 0 };

    (void) state;
    assert_int_equal(key_from_der(der, len - 1, &key, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_from_der(der, 0, &key, &err), MX_INVALID_ARGUMENT);
    assert_true(len < sizeof(longer));
    memcpy(longer, der, len);
    assert_int_equal(key_from_der(longer, len + 1, &key, &err), MX_INVALID_ARGUMENT);
    assert_null(key);
}

/* PKCS#8 of a key that we don't handle. */
static struct secret foreign_der(const char *algorithm, size_t bits)
{
    EVP_PKEY *pkey = bits == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, algorithm)
                               : EVP_PKEY_Q_keygen(NULL, NULL, algorithm, bits);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    unsigned char *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    struct secret secret = { NULL, 0 };

    assert_true(len > 0);
    assert_true(secret_copy(&secret, der, (size_t) len));
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pkey);
    return secret;
}

static void other_kinds_of_key_are_refused_by_name(void **state)
{
    struct secret weak = foreign_der("RSA", 1024);
    struct secret other = foreign_der("X25519", 0);
    struct key *key = NULL;
    struct mx_error err;

    (void) state;
    assert_int_equal(key_from_der((uint8_t *) weak.data, weak.len, &key, &err),
                     MX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "1024"));
    assert_int_equal(key_from_der((uint8_t *) other.data, other.len, &key, &err),
                     MX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "X25519"));
    secret_free(&weak);
    secret_free(&other);
}

static struct secret pem_of(const struct key *key, const char *selector, const char *domain)
{
    struct secret pem = { NULL, 0 };
    struct mx_error err;

    assert_int_equal(key_pem(key, selector, domain, TIME_US, &pem, &err), MX_OK);
    assert_int_equal(strlen(pem.data), pem.len);
    return pem;
}

/* The exit status of `openssl pkey -in path -check -noout`. */
static int openssl_check(const char *path)
{
    const char *const arguments[] = { "openssl", "pkey", "-in", path, "-check", "-noout", NULL };
    posix_spawn_file_actions_t actions;
    int status;
    pid_t pid;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawnp(&pid, "openssl", &actions, NULL,
                                  (char *const *) (uintptr_t) arguments, environ),
                     0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void openssl_accepts_the_file_of_a_key(void **state)
{
    const char *path = path_in(*state, "key.pem");

    for (size_t i = 0; i < ALL_KINDS; i++) {
        struct secret pem = pem_of(keys[all_kinds[i]], "2026a", "example.org");

        write_text(path, pem.data, pem.len, 0600);
        assert_int_equal(openssl_check(path), 0);
        secret_free(&pem);
    }
}

static void the_note_stands_above_the_pem_block(void **state)
{
    struct secret named = pem_of(keys[KEY_RSA2048], "2026a", "xn--bcher-kva.example");
    struct secret bare = pem_of(keys[KEY_ED25519], "2026a", NULL);
    static const char named_head[] =
        "rsa-2048 dkim private key for 2026a._domainkey.xn--bcher-kva.example, made by mxadm, "
        "2026-01-02T03:04:05Z\n-----BEGIN PRIVATE KEY-----\nMII";
    static const char bare_head[] =
        "ed25519 dkim private key, made by mxadm, 2026-01-02T03:04:05Z\n"
        "-----BEGIN PRIVATE KEY-----\nMC4";
    static const char tail[] = "\n-----END PRIVATE KEY-----\n";

    (void) state;
    assert_memory_equal(named.data, named_head, strlen(named_head));
    assert_memory_equal(bare.data, bare_head, strlen(bare_head));
    assert_string_equal(named.data + named.len - strlen(tail), tail);
    assert_string_equal(bare.data + bare.len - strlen(tail), tail);
    secret_free(&named);
    secret_free(&bare);
}

static void a_name_that_would_break_the_note_is_refused(void **state)
{
    struct secret pem = { NULL, 0 };
    struct mx_error err;
    char huge[600];

    (void) state;
    memset(huge, 'a', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    assert_int_equal(key_pem(keys[KEY_ED25519], "a", "b\nc", TIME_US, &pem, &err),
                     MX_INVALID_ARGUMENT);
    assert_int_equal(key_pem(keys[KEY_ED25519], "a", huge, TIME_US, &pem, &err),
                     MX_INVALID_ARGUMENT);
    assert_null(pem.data);
}

static void a_key_is_read_back_from_its_pem(void **state)
{
    (void) state;
    for (size_t i = 0; i < ALL_KINDS; i++) {
        struct secret pem = pem_of(keys[all_kinds[i]], "2026a", "example.org");
        struct key *copy = NULL;
        struct mx_error err;

        assert_int_equal(key_from_pem(pem.data, pem.len, &copy, &err), MX_OK);
        assert_same_key(keys[all_kinds[i]], copy);
        key_destroy(copy);
        secret_free(&pem);
    }
}

static void text_that_is_no_pem_is_refused(void **state)
{
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct secret pem = pem_of(keys[KEY_RSA2048], "a", "b");
    struct key *key = NULL;
    struct mx_error err;

    (void) state;
    assert_int_equal(key_from_pem("", 0, &key, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_from_pem("nonsense\n", 9, &key, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_from_pem(pem.data, pem.len / 2, &key, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_from_pem(encrypted, strlen(encrypted), &key, &err), MX_INVALID_ARGUMENT);
    secret_free(&pem);
}

static char *record_of(struct arena *arena, enum key_kind kind, bool revoked)
{
    size_t len;
    const uint8_t *der = key_public_der(keys[kind], &len);

    return key_dkim_record(arena, kind, der, len, revoked);
}

/* Standard base64 back into bytes, without OpenSSL, which wrote it. */
static size_t decode_base64(const char *text, uint8_t *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t len = 0;

    for (; *text != '\0' && *text != '='; text++) {
        const char *at = strchr(alphabet, *text);

        assert_non_null(at);
        bits = bits << 6 | (uint32_t) (at - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[len++] = (uint8_t) (bits >> count);
        }
    }
    return len;
}

static void an_ed25519_record_has_the_32_raw_bytes(void **state)
{
    static const char head[] = "v=DKIM1;h=sha256;k=ed25519;p=";
    struct arena *arena = arena_create(65536);
    char *record = record_of(arena, KEY_ED25519, false);
    EVP_PKEY *pkey = public_of(keys[KEY_ED25519]);
    uint8_t raw[32];
    uint8_t found[64];
    size_t raw_len = sizeof(raw);

    (void) state;
    assert_non_null(record);
    assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, raw, &raw_len), 1);
    assert_memory_equal(record, head, strlen(head));
    assert_int_equal(strlen(record + strlen(head)), 44);
    assert_int_equal(decode_base64(record + strlen(head), found), 32);
    assert_memory_equal(found, raw, 32);
    EVP_PKEY_free(pkey);
    arena_destroy(arena);
}

static void an_rsa_record_has_the_public_der_and_no_k(void **state)
{
    static const char head[] = "v=DKIM1;h=sha256;p=";
    static const size_t lengths[KEY_KINDS] = { 0, 392, 564, 736, 0 };
    struct arena *arena = arena_create(65536);

    (void) state;
    for (enum key_kind kind = KEY_RSA2048; kind <= KEY_RSA4096; kind++) {
        char *record = record_of(arena, kind, false);
        uint8_t found[1024];
        size_t len;
        const uint8_t *der = key_public_der(keys[kind], &len);

        assert_non_null(record);
        assert_memory_equal(record, head, strlen(head));
        assert_int_equal(strlen(record + strlen(head)), lengths[kind]);
        assert_int_equal(decode_base64(record + strlen(head), found), len);
        assert_memory_equal(found, der, len);
    }
    arena_destroy(arena);
}

static void a_revoked_record_has_an_empty_p(void **state)
{
    struct arena *arena = arena_create(65536);

    (void) state;
    assert_string_equal(record_of(arena, KEY_ED25519, true), "v=DKIM1;h=sha256;k=ed25519;p=");
    assert_string_equal(record_of(arena, KEY_RSA2048, true), "v=DKIM1;h=sha256;p=");
    arena_destroy(arena);
}

static void a_record_of_another_kind_is_refused(void **state)
{
    struct arena *arena = arena_create(65536);
    size_t len;
    const uint8_t *der = key_public_der(keys[KEY_RSA2048], &len);

    (void) state;
    assert_null(key_dkim_record(arena, KEY_RSA3072, der, len, false));
    assert_null(key_dkim_record(arena, KEY_ED25519, der, len, false));
    assert_null(key_dkim_record(arena, KEY_RSA2048, der, len - 1, false));
    assert_null(key_dkim_record(arena, KEY_RSA2048, der, 0, false));
    assert_null(key_dkim_record(arena, (enum key_kind) 77, der, len, false));
    arena_destroy(arena);
}

/*
 * OpenSSL's memory, watched: what is in a block when it is freed is what a core dump or a later
 * reader of the heap could find.
 */
static struct {
    struct {
        void *data;
        size_t len;
    } freed[100000];
    size_t count;
    bool on;
    atomic_int *cancel; /* set by the next allocation */
} watch;

static void *watched_malloc(size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    if (watch.cancel != NULL) {
        atomic_store(watch.cancel, 1);
    }
    /* Zeroed, so that nothing old counts as left behind. */
    return calloc(1, size);
}

static void watched_free(void *block, const char *file, int line)
{
    (void) file;
    (void) line;
    if (block != NULL && watch.on && watch.count < sizeof(watch.freed) / sizeof(watch.freed[0])) {
        size_t len = malloc_usable_size(block);

        watch.freed[watch.count].data = malloc(len);
        assert_non_null(watch.freed[watch.count].data);
        memcpy(watch.freed[watch.count].data, block, len);
        watch.freed[watch.count++].len = len;
    }
    free(block);
}

static void *watched_realloc(void *block, size_t size, const char *file, int line)
{
    void *grown = watched_malloc(size, file, line);

    if (block != NULL && grown != NULL) {
        size_t len = malloc_usable_size(block);

        memcpy(grown, block, len < size ? len : size);
        watched_free(block, file, line);
    }
    return grown;
}

static size_t count_left_behind(const uint8_t *bytes, size_t len)
{
    size_t found = 0;

    for (size_t i = 0; i < watch.count; i++) {
        found += memmem(watch.freed[i].data, watch.freed[i].len, bytes, len) != NULL;
        free(watch.freed[i].data);
    }
    watch.count = 0;
    return found;
}

/* A piece of the private number: the seed of Ed25519, a part of the last one of RSA. */
static void assert_life_leaves_nothing(enum key_kind kind)
{
    uint8_t piece[24];
    struct secret pem;
    struct key *key;
    const uint8_t *der;
    size_t len;

    watch.on = true;
    key = make_key(kind);
    der = key_private_der(key, &len);
    memcpy(piece, der + len - 32, sizeof(piece));
    pem = pem_of(key, "a", "b");
    secret_free(&pem);
    key_destroy(key);
    watch.on = false;
    assert_true(watch.count > 0);
    assert_int_equal(count_left_behind(piece, sizeof(piece)), 0);
}

static void making_and_encoding_leave_no_private_byte_in_freed_memory(void **state)
{
    (void) state;
    assert_life_leaves_nothing(KEY_ED25519);
    assert_life_leaves_nothing(KEY_RSA2048);
}

static void a_making_is_cancelled_while_it_searches(void **state)
{
    struct key *key = NULL;
    struct mx_error err;
    atomic_int cancel = 0;

    (void) state;
    watch.cancel = &cancel;
    assert_int_equal(key_make(KEY_RSA2048, &cancel, &key, &err), MX_CANCELLED);
    watch.cancel = NULL;
    assert_int_equal(atomic_load(&cancel), 1);
    assert_null(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_key_is_of_its_kind),
        cmocka_unit_test(an_rsa_key_has_the_exponent_65537),
        cmocka_unit_test(an_unknown_kind_is_refused),
        cmocka_unit_test(a_cancelled_making_ends_with_nothing),
        cmocka_unit_test(a_making_is_cancelled_while_it_searches),
        cmocka_unit_test(two_made_keys_differ),
        cmocka_unit_test(the_fingerprint_is_the_digest_of_the_public_der),
        cmocka_unit_test(a_key_is_read_back_from_its_der),
        cmocka_unit_test(damaged_der_is_refused),
        cmocka_unit_test(other_kinds_of_key_are_refused_by_name),
        cmocka_unit_test_setup_teardown(openssl_accepts_the_file_of_a_key, make_directory,
                                        remove_directory),
        cmocka_unit_test(the_note_stands_above_the_pem_block),
        cmocka_unit_test(a_name_that_would_break_the_note_is_refused),
        cmocka_unit_test(a_key_is_read_back_from_its_pem),
        cmocka_unit_test(text_that_is_no_pem_is_refused),
        cmocka_unit_test(an_ed25519_record_has_the_32_raw_bytes),
        cmocka_unit_test(an_rsa_record_has_the_public_der_and_no_k),
        cmocka_unit_test(a_revoked_record_has_an_empty_p),
        cmocka_unit_test(a_record_of_another_kind_is_refused),
        cmocka_unit_test(making_and_encoding_leave_no_private_byte_in_freed_memory),
    };

    /* Before OpenSSL's first allocation, or it refuses. */
    if (CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, make_keys, destroy_keys);
}
