/*
 * Fields of packed messages that we packed ourselves, read in place: for who
 * wants one of them and not the whole message.
 */
#pragma once

#include "store/store.h"

/* A walk over a message's own fields. */
struct packed_walk {
    const uint8_t *at;
    const uint8_t *end;
    unsigned field;
    uint64_t number;    /* of a varint */
    struct slice bytes; /* of a run; else absent */
    struct slice whole; /* tag and all */
};

static inline struct packed_walk packed_walk(struct slice packed)
{
    return (struct packed_walk){ .at = packed.data, .end = packed.data + packed.len };
}

/* False: the end (or, of a damaged message, no further). */
bool packed_next(struct packed_walk *walk);

/* A field's run of bytes; absent if it has none. */
struct slice packed_bytes(struct slice packed, unsigned field);
/* A field's number; 0 if it has none. */
uint64_t packed_number(struct slice packed, unsigned field);
