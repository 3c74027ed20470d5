#include "store/change.h"

#define CHANGE_VERSION 0x01
#define HAS_BEFORE     0x01
#define HAS_AFTER      0x02

static void put_bytes(struct buffer *buffer, const uint8_t *data, size_t len)
{
    buffer_put_varint(buffer, len);
    buffer_put(buffer, data, len);
}

void change_begin(struct buffer *buffer, const uint8_t *head, size_t head_len, size_t edit_count)
{
    buffer_put_u8(buffer, CHANGE_VERSION);
    put_bytes(buffer, head, head_len);
    buffer_put_varint(buffer, edit_count);
}

void change_put_edit(struct buffer *buffer, const struct backend_edit *edit)
{
    unsigned flags = 0;

    flags |= edit->before != NULL ? HAS_BEFORE : 0;
    flags |= edit->after != NULL ? HAS_AFTER : 0;
    put_bytes(buffer, edit->key, edit->key_len);
    buffer_put_u8(buffer, (uint8_t) flags);
    if (edit->before != NULL) {
        put_bytes(buffer, edit->before, edit->before_len);
    }
    if (edit->after != NULL) {
        put_bytes(buffer, edit->after, edit->after_len);
    }
}

static bool get_bytes(struct change_reader *reader, const uint8_t **data_out, size_t *len_out)
{
    uint64_t len;

    if (!varint_get(&reader->cursor, reader->end, &len) ||
        len > (uint64_t) (reader->end - reader->cursor)) {
        return false;
    }
    *data_out = reader->cursor;
    *len_out = (size_t) len;
    reader->cursor += len;
    return true;
}

bool change_open(struct change_reader *reader, const uint8_t *change, size_t change_len)
{
    if (change_len == 0 || change[0] != CHANGE_VERSION) {
        return false;
    }
    reader->cursor = change + 1;
    reader->end = change + change_len;
    return get_bytes(reader, &reader->head, &reader->head_len) &&
           varint_get(&reader->cursor, reader->end, &reader->left);
}

static bool get_edit(struct change_reader *reader, struct backend_edit *edit)
{
    unsigned flags;

    if (!get_bytes(reader, &edit->key, &edit->key_len) || reader->cursor == reader->end) {
        return false;
    }
    flags = *reader->cursor++;
    if (flags == 0 || (flags & ~(unsigned) (HAS_BEFORE | HAS_AFTER)) != 0) {
        return false;
    }
    if ((flags & HAS_BEFORE) != 0 && !get_bytes(reader, &edit->before, &edit->before_len)) {
        return false;
    }
    return (flags & HAS_AFTER) == 0 || get_bytes(reader, &edit->after, &edit->after_len);
}

int change_next(struct change_reader *reader, struct backend_edit *edit_out)
{
    struct backend_edit edit = { .key = NULL };

    if (reader->left == 0) {
        return reader->cursor == reader->end ? 0 : -1;
    }
    if (!get_edit(reader, &edit)) {
        return -1;
    }
    reader->left--;
    *edit_out = edit;
    return 1;
}
