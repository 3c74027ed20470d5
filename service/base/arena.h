/*
 * The memory of one request: allocated piece by piece, freed as a whole.
 *
 * An arena has a limit, which is the bound on what one request can make the
 * server allocate. Who owns the arena decides what happens at the limit:
 * normally arena_alloc() returns NULL; with an escape set it does not return
 * at all but jumps there, so that code whose every resource is in the arena
 * (a handler) needs no check behind each allocation. The dispatcher sets the
 * escape around handlers, and only there.
 *
 * One thread at a time. Nothing secret goes in here, unless its owner calls
 * arena_wipe().
 */
#pragma once

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* NULL when out of memory. `limit` is in bytes and counts what is asked for. */
struct arena *arena_create(size_t limit);
/* One for little: its first block has this size, instead of room for a typical request. */
struct arena *arena_create_small(size_t limit, size_t first);
void arena_destroy(struct arena *arena);

/* Frees everything allocated since create, keeps the first block for the next request. */
void arena_reset(struct arena *arena);

/* A place to go back to: what was allocated since is overwritten and freed, what was there before
 * stays. For long walks that need memory for a step at a time. Legal until the arena is reset. */
struct arena_mark {
    void *block;
    size_t block_used;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, const struct arena_mark *mark);

/* Overwrites all that was allocated, before a reset; for the one call whose answer is a secret. */
void arena_wipe(struct arena *arena);

/* Jump to `*escape` when an allocation fails; NULL: return NULL (the default). */
void arena_set_escape(struct arena *arena, jmp_buf *escape);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc(), but never jumps: for libraries that must not be left by a jump. */
void *arena_try_alloc(struct arena *arena, size_t size);

char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len);
void *arena_memdup(struct arena *arena, const void *data, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) MX_PRINTF(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args) MX_PRINTF(2, 0);

/* Bytes allocated since create or reset. */
size_t arena_used(const struct arena *arena);
