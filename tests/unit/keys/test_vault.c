#include "unit/keys/fixture.h"

#include "keys/vault.h"

#include <dirent.h>

#define ARENA_LIMIT 65536

struct room {
    char *directory;
    char kek_path[64];
    struct vault *vault;
    struct arena *arena;
    struct key *key;
    struct vault_sealed sealed; /* of `key`, as example.org, 2026a */
};

static struct vault *open_vault(const char *kek_path, const uint8_t *wrapped)
{
    struct vault *vault = NULL;
    struct mx_error err;

    if (vault_open(kek_path, true, wrapped, wrapped == NULL ? 0 : VAULT_WRAPPED_SIZE, &vault,
                   &err) != MX_OK) {
        fail_msg("vault_open: %s", err.message);
    }
    return vault;
}

static struct vault_sealed seal(struct room *room, const struct key *key)
{
    struct vault_sealed sealed;
    struct mx_error err;

    assert_int_equal(
        vault_seal(room->vault, "example.org", "2026a", key, room->arena, &sealed, &err), MX_OK);
    return sealed;
}

static int set_up(void **state)
{
    static struct room room;
    void *directory = NULL;

    if (make_directory(&directory) != 0) {
        return -1;
    }
    room = (struct room){ .directory = directory };
    (void) snprintf(room.kek_path, sizeof(room.kek_path), "%s/kek", room.directory);
    room.vault = open_vault(room.kek_path, NULL);
    room.arena = arena_create(ARENA_LIMIT);
    room.key = make_key(KEY_ED25519);
    room.sealed = seal(&room, room.key);
    *state = &room;
    return 0;
}

static int tear_down(void **state)
{
    struct room *room = *state;
    void *directory = room->directory;

    key_destroy(room->key);
    arena_destroy(room->arena);
    vault_close(room->vault);
    return remove_directory(&directory);
}

static void assert_opens_as(struct vault *vault, const struct vault_sealed *sealed,
                            const struct key *key)
{
    struct key *opened = NULL;
    struct mx_error err;
    size_t len;
    size_t opened_len;
    const uint8_t *der;
    const uint8_t *opened_der;

    assert_int_equal(vault_unseal(vault, "example.org", "2026a", sealed, &opened, &err), MX_OK);
    der = key_private_der(key, &len);
    opened_der = key_private_der(opened, &opened_len);
    assert_int_equal(opened_len, len);
    assert_memory_equal(opened_der, der, len);
    key_destroy(opened);
}

static void assert_stays_shut(struct vault *vault, const char *domain, const char *selector,
                              const struct vault_sealed *sealed, const char *clause)
{
    struct key *opened = NULL;
    struct mx_error err;

    assert_int_equal(vault_unseal(vault, domain, selector, sealed, &opened, &err), MX_DATA_LOSS);
    assert_null(opened);
    assert_non_null(strstr(err.message, clause));
}

static void a_sealed_key_opens_to_itself(void **state)
{
    static const enum key_kind kinds[] = { KEY_RSA2048, KEY_RSA3072, KEY_RSA4096, KEY_ED25519 };
    struct room *room = *state;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct key *key = make_key(kinds[i]);
        struct vault_sealed sealed = seal(room, key);

        assert_opens_as(room->vault, &sealed, key);
        key_destroy(key);
    }
}

static void the_ciphertext_does_not_hold_the_key(void **state)
{
    struct room *room = *state;
    size_t len;
    const uint8_t *der = key_private_der(room->key, &len);

    assert_int_equal(room->sealed.ciphertext_len, len + VAULT_TAG_SIZE);
    assert_null(memmem(room->sealed.ciphertext, room->sealed.ciphertext_len, der, 8));
}

static void a_key_moved_to_another_name_does_not_open(void **state)
{
    struct room *room = *state;

    assert_stays_shut(room->vault, "example.com", "2026a", &room->sealed, "does not open");
    assert_stays_shut(room->vault, "example.org", "2026b", &room->sealed, "does not open");
    /* The same characters, divided otherwise. */
    assert_stays_shut(room->vault, "example.org2", "026a", &room->sealed, "does not open");
    assert_stays_shut(room->vault, "2026a", "example.org", &room->sealed, "does not open");
}

static void a_flipped_bit_anywhere_does_not_open(void **state)
{
    struct room *room = *state;
    struct vault_sealed *sealed = &room->sealed;

    for (size_t bit = 0; bit < sealed->ciphertext_len * 8; bit++) {
        sealed->ciphertext[bit / 8] ^= (uint8_t) (1 << bit % 8);
        assert_stays_shut(room->vault, "example.org", "2026a", sealed, "does not open");
        sealed->ciphertext[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
    for (size_t bit = 0; bit < VAULT_NONCE_SIZE * 8; bit++) {
        sealed->nonce[bit / 8] ^= (uint8_t) (1 << bit % 8);
        assert_stays_shut(room->vault, "example.org", "2026a", sealed, "does not open");
        sealed->nonce[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
    for (size_t bit = 0; bit < VAULT_KEY_ID_SIZE * 8; bit++) {
        sealed->key_id[bit / 8] ^= (uint8_t) (1 << bit % 8);
        assert_stays_shut(room->vault, "example.org", "2026a", sealed, "another data key");
        sealed->key_id[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
    assert_opens_as(room->vault, sealed, room->key);
}

static void a_cut_ciphertext_does_not_open(void **state)
{
    struct room *room = *state;
    struct vault_sealed sealed = room->sealed;

    for (sealed.ciphertext_len = 0; sealed.ciphertext_len < room->sealed.ciphertext_len;
         sealed.ciphertext_len++) {
        assert_stays_shut(room->vault, "example.org", "2026a", &sealed, "example.org");
    }
    sealed.ciphertext_len = SIZE_MAX;
    assert_stays_shut(room->vault, "example.org", "2026a", &sealed, "bytes");
}

static void sealing_twice_never_repeats_a_nonce(void **state)
{
    struct room *room = *state;
    struct vault_sealed sealed[100];

    for (size_t i = 0; i < 100; i++) {
        sealed[i] = seal(room, room->key);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(sealed[i].nonce, sealed[j].nonce, VAULT_NONCE_SIZE);
        }
    }
}

static void sealing_beyond_the_arena_fails(void **state)
{
    struct room *room = *state;
    struct arena *arena = arena_create(16);
    struct vault_sealed sealed;
    struct mx_error err;

    assert_int_equal(vault_seal(room->vault, "a", "b", room->key, arena, &sealed, &err),
                     MX_RESOURCE_EXHAUSTED);
    arena_destroy(arena);
}

static void what_was_sealed_opens_after_reopening(void **state)
{
    struct room *room = *state;
    uint8_t wrapped[VAULT_WRAPPED_SIZE];
    struct vault *again;

    memcpy(wrapped, vault_wrapped(room->vault), sizeof(wrapped));
    vault_close(room->vault);
    room->vault = NULL;
    again = open_vault(room->kek_path, wrapped);
    assert_memory_equal(vault_wrapped(again), wrapped, sizeof(wrapped));
    assert_opens_as(again, &room->sealed, room->key);
    vault_close(again);
}

static void a_new_data_key_does_not_open_what_another_sealed(void **state)
{
    struct room *room = *state;
    struct vault *other = open_vault(room->kek_path, NULL);

    assert_memory_not_equal(vault_wrapped(other), vault_wrapped(room->vault), VAULT_WRAPPED_SIZE);
    assert_stays_shut(other, "example.org", "2026a", &room->sealed, "another data key");
    vault_close(other);
}

static void assert_refused(const char *kek_path, bool create, const uint8_t *wrapped, size_t len,
                           enum mx_code code)
{
    struct vault *vault = NULL;
    struct mx_error err;

    assert_int_equal(vault_open(kek_path, create, wrapped, len, &vault, &err), code);
    assert_null(vault);
    assert_true(len != 0 || strstr(err.message, kek_path) != NULL);
}

static void another_key_encryption_key_is_data_loss(void **state)
{
    struct room *room = *state;
    char other[VAULT_KEK_SIZE] = "thirty-two bytes of another key";

    write_text(path_in(room->directory, "other"), other, sizeof(other), 0600);
    assert_refused(path_in(room->directory, "other"), false, vault_wrapped(room->vault),
                   VAULT_WRAPPED_SIZE, MX_DATA_LOSS);
}

static void a_damaged_data_key_is_data_loss(void **state)
{
    struct room *room = *state;
    uint8_t wrapped[VAULT_WRAPPED_SIZE];

    memcpy(wrapped, vault_wrapped(room->vault), sizeof(wrapped));
    for (size_t i = 0; i < sizeof(wrapped); i++) {
        wrapped[i] ^= 0x10;
        assert_refused(room->kek_path, false, wrapped, sizeof(wrapped), MX_DATA_LOSS);
        wrapped[i] ^= 0x10;
    }
    assert_refused(room->kek_path, false, wrapped, sizeof(wrapped) - 1, MX_DATA_LOSS);
}

static void a_made_key_file_is_private_whole_and_alone(void **state)
{
    struct room *room = *state;
    DIR *stream = opendir(room->directory);
    struct stat info;
    unsigned entries = 0;

    assert_int_equal(stat(room->kek_path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, VAULT_KEK_SIZE);
    while (readdir(stream) != NULL) {
        entries++;
    }
    assert_int_equal(entries, 3); /* ".", "..", and the file */
    assert_int_equal(closedir(stream), 0);
}

static void an_existing_key_file_is_never_made_anew(void **state)
{
    struct room *room = *state;
    size_t len;
    char *before = read_text(room->kek_path, &len);
    char *after;

    vault_close(open_vault(room->kek_path, NULL));
    after = read_text(room->kek_path, &len);
    assert_int_equal(len, VAULT_KEK_SIZE);
    assert_memory_equal(before, after, VAULT_KEK_SIZE);
    free(before);
    free(after);
}

static void a_missing_key_file_is_not_made_for_an_existing_data_key(void **state)
{
    struct room *room = *state;
    const char *path = path_in(room->directory, "lost");

    assert_refused(path, true, vault_wrapped(room->vault), VAULT_WRAPPED_SIZE, MX_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_refused(path, false, NULL, 0, MX_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_key_file_others_may_read_is_refused(void **state)
{
    static const mode_t bad[] = { 0640, 0604, 0660, 0666, 0620, 0601 };
    struct room *room = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(room->kek_path, bad[i]), 0);
        assert_refused(room->kek_path, true, NULL, 0, MX_FAILED_PRECONDITION);
    }
    assert_int_equal(chmod(room->kek_path, 0400), 0);
    vault_close(open_vault(room->kek_path, vault_wrapped(room->vault)));
}

static void a_key_file_of_a_wrong_form_is_refused(void **state)
{
    struct room *room = *state;
    const char *path = path_in(room->directory, "form");
    char text[80];

    memset(text, 'a', sizeof(text));
    for (size_t len = 0; len < 70; len++) {
        if (len == 32 || len == 64) {
            continue;
        }
        write_text(path, text, len, 0600);
        assert_refused(path, true, NULL, 0, MX_INVALID_ARGUMENT);
    }
    text[63] = 'g';
    write_text(path, text, 64, 0600);
    assert_refused(path, true, NULL, 0, MX_INVALID_ARGUMENT);
}

static void a_key_file_may_be_raw_or_hex(void **state)
{
    struct room *room = *state;
    const char *path = path_in(room->directory, "hex");
    char hex[2 * VAULT_KEK_SIZE + 2];
    size_t len;
    char *raw = read_text(room->kek_path, &len);

    for (size_t i = 0; i < VAULT_KEK_SIZE; i++) {
        (void) snprintf(hex + 2 * i, 3, i % 2 == 0 ? "%02x" : "%02X", (unsigned char) raw[i]);
    }
    write_text(path, hex, 64, 0600);
    vault_close(open_vault(path, vault_wrapped(room->vault)));
    hex[64] = '\n';
    write_text(path, hex, 65, 0600);
    vault_close(open_vault(path, vault_wrapped(room->vault)));
    free(raw);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_key_opens_to_itself),
        TEST(the_ciphertext_does_not_hold_the_key),
        TEST(a_key_moved_to_another_name_does_not_open),
        TEST(a_flipped_bit_anywhere_does_not_open),
        TEST(a_cut_ciphertext_does_not_open),
        TEST(sealing_twice_never_repeats_a_nonce),
        TEST(sealing_beyond_the_arena_fails),
        TEST(what_was_sealed_opens_after_reopening),
        TEST(a_new_data_key_does_not_open_what_another_sealed),
        TEST(another_key_encryption_key_is_data_loss),
        TEST(a_damaged_data_key_is_data_loss),
        TEST(a_made_key_file_is_private_whole_and_alone),
        TEST(an_existing_key_file_is_never_made_anew),
        TEST(a_missing_key_file_is_not_made_for_an_existing_data_key),
        TEST(a_key_file_others_may_read_is_refused),
        TEST(a_key_file_of_a_wrong_form_is_refused),
        TEST(a_key_file_may_be_raw_or_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
