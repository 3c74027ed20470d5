/*
 * SHA-256, for positions and fingerprints. The one file of base that needs more
 * than libc: OpenSSL's libcrypto.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct digest_piece {
    const void *data;
    size_t len;
};

/* SHA-256 over the pieces, one after the other. Can't fail but for lack of memory, which ends
 * the process: nothing built on an unknown digest may go on. */
void digest_pieces(const struct digest_piece *pieces, size_t count, uint8_t out[DIGEST_SIZE]);

void digest(const void *data, size_t len, uint8_t out[DIGEST_SIZE]);
