#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for a typical request, so that it needs no second block. */
#define BLOCK_SIZE ((size_t) 16 * 1024)
#define ALIGNMENT  alignof(max_align_t)

struct block {
    struct block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct block *first; /* kept over resets */
    struct block *current;
    size_t limit;
    size_t used;
    jmp_buf *escape;
};

static struct block *block_create(size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);

    if (block == NULL) {
        return NULL;
    }
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}

struct arena *arena_create(size_t limit)
{
    return arena_create_small(limit, BLOCK_SIZE);
}

struct arena *arena_create_small(size_t limit, size_t first)
{
    struct arena *arena = calloc(1, sizeof(*arena));

    if (arena == NULL) {
        return NULL;
    }
    arena->first = block_create(first);
    if (arena->first == NULL) {
        free(arena);
        return NULL;
    }
    arena->current = arena->first;
    arena->limit = limit;
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_blocks(arena->first);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    free_blocks(arena->first->next);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
    arena->used = 0;
    arena->escape = NULL;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){ arena->current, arena->current->used, arena->used };
}

void arena_rewind(struct arena *arena, const struct arena_mark *mark)
{
    struct block *block = mark->block;

    for (struct block *gone = block->next; gone != NULL; gone = gone->next) {
        explicit_bzero(gone->data, gone->used);
    }
    free_blocks(block->next);
    explicit_bzero(block->data + mark->block_used, block->used - mark->block_used);
    block->next = NULL;
    block->used = mark->block_used;
    arena->current = block;
    arena->used = mark->used;
}

void arena_wipe(struct arena *arena)
{
    for (struct block *block = arena->first; block != NULL; block = block->next) {
        explicit_bzero(block->data, block->used);
    }
}

void arena_set_escape(struct arena *arena, jmp_buf *escape)
{
    arena->escape = escape;
}

void *arena_try_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct block *block = arena->current;
    void *memory;

    if (rounded < size || rounded > arena->limit - arena->used) {
        return NULL;
    }
    if (rounded > block->size - block->used) {
        block = block_create(rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE);
        if (block == NULL) {
            return NULL;
        }
        arena->current->next = block;
        arena->current = block;
    }
    memory = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    memset(memory, 0, rounded);
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *memory = arena_try_alloc(arena, size);

    if (memory == NULL && arena->escape != NULL) {
        longjmp(*arena->escape, 1);
    }
    return memory;
}

void *arena_memdup(struct arena *arena, const void *data, size_t len)
{
    void *copy = arena_alloc(arena, len);

    if (copy != NULL && len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    if (copy != NULL && len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) {
        return NULL;
    }
    text = arena_alloc(arena, (size_t) len + 1);
    if (text != NULL) {
        (void) vsnprintf(text, (size_t) len + 1, format, args);
    }
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
