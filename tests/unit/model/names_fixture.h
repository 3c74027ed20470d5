/*
 * An arena for each test of names, and ways to make long and hostile text.
 */
#pragma once

/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

#define ARENA_LIMIT ((size_t) 1024 * 1024)

static inline int arena_setup(void **state)
{
    *state = arena_create(ARENA_LIMIT);
    return *state == NULL;
}

static inline int arena_teardown(void **state)
{
    arena_destroy(*state);
    return 0;
}

/* `piece` times `count`, then `end`. */
static inline char *repeated(struct arena *arena, const char *piece, size_t count, const char *end)
{
    size_t len = strlen(piece);
    char *text = arena_alloc(arena, len * count + strlen(end) + 1);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * len, piece, len);
    }
    strcpy(text + len * count, end);
    return text;
}

/* Bytes 1 to 255 in no order, the same on each run. */
static inline char *noise(struct arena *arena, size_t len, uint32_t seed)
{
    char *text = arena_alloc(arena, len + 1);

    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char) (1 + (seed >> 16) % 255);
    }
    return text;
}

/* Refused everywhere: truncated, overlong, surrogate, beyond U+10FFFF, stray continuation. */
static const char *const invalid_utf8[] = {
    "a\xff",        "a\x80",    "a\xc3",         "a\xe2\x82",        "a\xf0\x9f\x92",
    "\xc0\x80",     "\xc1\xa1", "\xe0\x80\xaf",  "\xf0\x80\x80\xaf", "\xed\xa0\x80",
    "\xed\xbf\xbf", "\xf5\x80", "\xf4\x90\x80.", "\xfe\xfe\xff\xff", "\xc3(",
};
#define INVALID_UTF8_COUNT (sizeof(invalid_utf8) / sizeof(*invalid_utf8))
