/*
 * A growing run of bytes on the heap, for building what is stored or sent.
 *
 * Writing never fails visibly: out of memory marks the buffer as failed,
 * further writes do nothing, and the one who takes the result asks
 * buffer_failed() once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    bool failed;
};

#define BUFFER_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0, false                                                                          \
    }

void buffer_fini(struct buffer *buffer);

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Room for `len` more bytes, to be written by the caller; NULL when out of memory. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t len);

void buffer_put(struct buffer *buffer, const void *data, size_t len);
void buffer_put_u8(struct buffer *buffer, uint8_t value);

/* Base-128, least significant group first, as protobuf's varint. */
void buffer_put_varint(struct buffer *buffer, uint64_t value);

static inline bool buffer_failed(const struct buffer *buffer)
{
    return buffer->failed;
}

/* Longest varint. */
#define VARINT_SIZE_MAX 10
size_t varint_size(uint64_t value);
/* Writes a varint where there is room for it; returns what is behind it. */
uint8_t *varint_put(uint8_t *at, uint64_t value);

/*
 * Reads a varint at `*cursor`, which moves behind it. False, and nothing moved,
 * if it is cut off at `end` or longer than 64 bits.
 */
bool varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *value_out);
