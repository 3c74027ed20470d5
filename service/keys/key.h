/*
 * DKIM keys: making, encoding, publishing. With vault.c the only place that
 * holds private keys in the clear, and with it the only user of OpenSSL's key
 * types.
 *
 * A `struct key` is one private key; whoever holds it owns it and destroys it,
 * which wipes it. It holds the PKCS#8 DER in wiped memory, not an EVP_PKEY, so
 * that there is one copy and we know where.
 */
#pragma once

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "keys/secret.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of mxadm.v1.DkimSelector.Algorithm. */
enum key_kind {
    KEY_RSA2048 = 1,
    KEY_RSA3072 = 2,
    KEY_RSA4096 = 3,
    KEY_ED25519 = 4,
};
#define KEY_KINDS 5 /* for arrays indexed by kind; 0 is not used */

struct key;

/*
 * Makes a key; takes 0.1 to 1 s of CPU for RSA-2048 and more for larger ones. `*cancel`, if not
 * NULL, is looked at while searching primes: nonzero ends the making with MX_CANCELLED.
 */
MX_MUST_USE enum mx_code key_make(enum key_kind kind, atomic_int *cancel, struct key **key_out,
                                  struct mx_error *err);

/* From PKCS#8 DER; only the four kinds. MX_INVALID_ARGUMENT: it is nothing of that. */
MX_MUST_USE enum mx_code key_from_der(const uint8_t *der, size_t len, struct key **key_out,
                                      struct mx_error *err);
/* From the first "PRIVATE KEY" block of a PEM text, unencrypted; else as key_from_der(). */
MX_MUST_USE enum mx_code key_from_pem(const char *pem, size_t len, struct key **key_out,
                                      struct mx_error *err);
void key_destroy(struct key *key); /* NULL is fine */

enum key_kind key_kind(const struct key *key);
/* Borrowed, valid as long as the key. */
const uint8_t *key_private_der(const struct key *key, size_t *len_out);
const uint8_t *key_public_der(const struct key *key, size_t *len_out);
/* SHA-256 of the DER SubjectPublicKeyInfo. */
void key_fingerprint(const struct key *key, uint8_t out[DIGEST_SIZE]);

/*
 * PKCS#8 PEM with a note above the BEGIN line, where OpenSSL's readers ignore it (mox-behaviour
 * 1.2-05, 1.4): "rsa-2048 dkim private key for SELECTOR._domainkey.DOMAIN, made by mxadm,
 * TIME". selector and domain (ASCII forms): both or the note names neither. `time_us` is the wall
 * clock, written in UTC to the second.
 */
MX_MUST_USE enum mx_code key_pem(const struct key *key, const char *selector, const char *domain,
                                 int64_t time_us, struct secret *pem_out, struct mx_error *err);

/* "rsa2048": as in file names and notes; static. NULL for an unknown kind. */
const char *key_kind_name(enum key_kind kind);

/*
 * Text of the DNS record (mox-behaviour 6.6-02): tags in the order v, h, k, p; defaults left out.
 * `revoked`: with an empty "p=". In the arena. NULL: not a key of that kind, or out of memory.
 */
char *key_dkim_record(struct arena *arena, enum key_kind kind, const uint8_t *public_der,
                      size_t len, bool revoked);
