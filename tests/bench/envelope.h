/*
 * The request that goes over the wire: what a client library would send with a
 * call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a request id is made from: calls that differ in one of them have different ids. */
struct envelope_id {
    uint64_t number;
    uint64_t kind;
};

/* Packs the envelope; its length. `id` NULL: a read, which has none. */
size_t envelope_pack(const char *method, const uint8_t *message, size_t message_len,
                     const struct envelope_id *id, uint8_t room[]);
