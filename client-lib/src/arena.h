/*
 * The memory of one result: answers are unpacked into it and freed with it.
 *
 * It has a limit, because a small answer can unpack into a large one: each
 * empty submessage is two bytes on the wire and a whole struct here.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t reserved;            /* sum of the blocks' sizes */
    size_t limit;
    ProtobufCAllocator allocator; /* allocates from this arena; its free does nothing */
};

void arena_init(struct arena *arena, size_t limit);

/* Frees everything; the arena is then as after arena_init(). */
void arena_reset(struct arena *arena);
