#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* Most answers fit into one block; larger objects get a block of their own. */
#define BLOCK_SIZE 4096

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

static struct arena_block *block_add(struct arena *arena, size_t need)
{
    size_t size = need > BLOCK_SIZE ? need : BLOCK_SIZE;
    if (size > arena->limit - arena->reserved) {
        return NULL;
    }
    struct arena_block *block = malloc(sizeof(*block) + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    arena->reserved += size;
    return block;
}

static void *arena_alloc(void *data, size_t size)
{
    struct arena *arena = data;
    size_t mask = alignof(max_align_t) - 1;
    if (size > arena->limit) {
        return NULL;
    }
    size_t need = (size + mask) & ~mask;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < need) {
        block = block_add(arena, need);
        if (block == NULL) {
            return NULL;
        }
    }
    void *bytes = block->bytes + block->used;
    block->used += need;
    return bytes;
}

static void arena_free(void *data, void *pointer)
{
    (void) data;
    (void) pointer;
}

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){
        .limit = limit,
        .allocator = { .alloc = arena_alloc, .free = arena_free, .allocator_data = arena },
    };
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        explicit_bzero(block->bytes, block->used); /* it may have held a private key */
        free(block);
    }
    arena->reserved = 0;
}
