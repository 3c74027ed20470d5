/*
 * The vault: private keys sealed with AES-256-GCM under a data key, which is
 * itself wrapped (AES-256-GCM too) by the key-encryption key of a file. So that
 * a stolen database without that file gives no key away, and changing the file
 * means wrapping one key again.
 *
 * Each sealed key is bound to its domain and selector as associated data: moved
 * to another name, it does not open. Nonces are random, 96 bits.
 *
 * Threads: any, after vault_open().
 */
#pragma once

#include "base/arena.h"
#include "keys/key.h"

struct vault;

#define VAULT_KEK_SIZE    32
#define VAULT_NONCE_SIZE  12
#define VAULT_TAG_SIZE    16
#define VAULT_KEY_ID_SIZE 8
/* nonce, the 32 byte data key, tag */
#define VAULT_WRAPPED_SIZE (VAULT_NONCE_SIZE + 32 + VAULT_TAG_SIZE)

/*
 * Reads the key-encryption key from `kek_path` (32 raw bytes, or 64 hex digits and a newline);
 * refused if others than the owner may read it (mode & 077), unless it is not a regular file.
 * `create`: if it does not exist and `wrapped` is NULL, make one, with mode 0600, durable before
 * this returns (with a wrapped data key a new one would be of no use: MX_NOT_FOUND).
 * `wrapped`: the wrapped data key as vault_wrapped() gave it; NULL: make a new data key.
 * MX_DATA_LOSS: the data key does not open with this key-encryption key.
 */
MX_MUST_USE enum mx_code vault_open(const char *kek_path, bool create, const uint8_t *wrapped,
                                    size_t wrapped_len, struct vault **vault_out,
                                    struct mx_error *err);
void vault_close(struct vault *vault); /* wipes; NULL is fine */

/* The wrapped data key, VAULT_WRAPPED_SIZE bytes, to be stored beside what it seals. Borrowed. */
const uint8_t *vault_wrapped(const struct vault *vault);

struct vault_sealed {
    uint8_t nonce[VAULT_NONCE_SIZE];
    uint8_t key_id[VAULT_KEY_ID_SIZE]; /* first bytes of the SHA-256 of the data key */
    uint8_t *ciphertext;               /* with the tag; in the arena given */
    size_t ciphertext_len;
};

/* domain and selector: names, as stored. */
MX_MUST_USE enum mx_code vault_seal(struct vault *vault, const char *domain, const char *selector,
                                    const struct key *key, struct arena *arena,
                                    struct vault_sealed *sealed_out, struct mx_error *err);

/* MX_DATA_LOSS: does not open: wrong data key, wrong name, damaged. */
MX_MUST_USE enum mx_code vault_unseal(struct vault *vault, const char *domain, const char *selector,
                                      const struct vault_sealed *sealed, struct key **key_out,
                                      struct mx_error *err);
