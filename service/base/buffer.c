#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof(*buffer));
}

void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t len)
{
    uint8_t *room;

    if (buffer->failed || len > SIZE_MAX / 4 - buffer->len) {
        buffer->failed = true;
        return NULL;
    }
    if (buffer->len + len > buffer->capacity) {
        size_t capacity = (buffer->len + len) * 2 < 256 ? 256 : (buffer->len + len) * 2;
        uint8_t *data = realloc(buffer->data, capacity);

        if (data == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    room = buffer->data + buffer->len;
    buffer->len += len;
    return room;
}

void buffer_put(struct buffer *buffer, const void *data, size_t len)
{
    uint8_t *room = buffer_reserve(buffer, len);

    if (room != NULL && len > 0) {
        memcpy(room, data, len);
    }
}

void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
    buffer_put(buffer, &value, 1);
}

size_t varint_size(uint64_t value)
{
    size_t size = 1;

    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

uint8_t *varint_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t) (value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t) value;
    return at;
}

void buffer_put_varint(struct buffer *buffer, uint64_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX];

    buffer_put(buffer, bytes, (size_t) (varint_put(bytes, value) - bytes));
}

bool varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *value_out)
{
    const uint8_t *at = *cursor;
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at == end) {
            return false;
        }
        if (shift == 63 && *at > 1) {
            return false;
        }
        value |= (uint64_t) (*at & 0x7f) << shift;
        if ((*at++ & 0x80) == 0) {
            *cursor = at;
            *value_out = value;
            return true;
        }
    }
    return false;
}
