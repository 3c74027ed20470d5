/*
 * Sealing under a passphrase, for secrets that leave the daemon in a document:
 * AES-256-GCM under a key derived by scrypt (RFC 7914) from the passphrase and a
 * salt. Each sealed secret is bound to what it belongs to as associated data:
 * moved elsewhere it does not open. Nonces are random, 96 bits.
 *
 * Threads: one at a time.
 */
#pragma once

#include "base/arena.h"
#include "keys/secret.h"

#include <stdbool.h>

#define PASSPHRASE_SALT_SIZE 16
/* Of the passphrase itself. */
#define PASSPHRASE_BYTES_MIN 8
#define PASSPHRASE_BYTES_MAX 1024
/* Parameters of new documents: 32 MiB and about a tenth of a second. */
#define PASSPHRASE_N (UINT64_C(1) << 15)
#define PASSPHRASE_R 8
#define PASSPHRASE_P 1

struct passphrase;

struct passphrase_parameters {
    uint64_t n;
    uint32_t r;
    uint32_t p;
    uint8_t salt[PASSPHRASE_SALT_SIZE];
};

/* A fresh salt. False: there is no randomness. */
bool passphrase_salt(uint8_t salt_out[PASSPHRASE_SALT_SIZE]);
/* Whether a document's parameters are neither careless nor more work than they are worth. */
bool passphrase_parameters_good(uint64_t n, uint32_t r, uint32_t p);

/* Derives the key. Takes its time. */
MX_MUST_USE enum mx_code passphrase_create(const char *text,
                                           const struct passphrase_parameters *parameters,
                                           struct passphrase **passphrase_out,
                                           struct mx_error *err);
void passphrase_destroy(struct passphrase *passphrase); /* wipes; NULL is fine */

/* nonce, ciphertext, tag: in the arena, which does not hold `data` itself. `bound`: what it
 * belongs to. NULL: no memory or no randomness. */
uint8_t *passphrase_seal(struct passphrase *passphrase, struct arena *arena, const char *bound,
                         const void *data, size_t len, size_t *sealed_len_out);
/* False: another passphrase, another `bound`, or damaged. */
bool passphrase_open(struct passphrase *passphrase, const char *bound, const uint8_t *sealed,
                     size_t len, struct secret *secret_out);
