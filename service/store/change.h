/*
 * A change in bytes, as backends keep it and as it is chained: a version byte,
 * the head (opaque: who, when, how), and the edits, each key once in order of
 * keys.
 *
 *   change := 0x01 varint(head length) head varint(edits) edit*
 *   edit   := varint(key length) key flags [varint(length) before] [varint(length) after]
 *   flags  := 0x01 has before, 0x02 has after
 */
#pragma once

#include "base/buffer.h"
#include "store/backend.h"

/* A reader over a packed change; nothing to free. All that it gives is borrowed from the bytes. */
struct change_reader {
    const uint8_t *head;
    size_t head_len;
    const uint8_t *cursor;
    const uint8_t *end;
    uint64_t left; /* edits not yet read */
};

/* Appends head and number of edits; `edit_count` calls of change_put_edit() must follow. */
void change_begin(struct buffer *buffer, const uint8_t *head, size_t head_len, size_t edit_count);
void change_put_edit(struct buffer *buffer, const struct backend_edit *edit);

/* False: not a change (damaged, or of a newer version). */
bool change_open(struct change_reader *reader, const uint8_t *change, size_t change_len);

/* 1: an edit; 0: the end; -1: damaged. */
int change_next(struct change_reader *reader, struct backend_edit *edit_out);
