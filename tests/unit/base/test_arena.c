#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 100000

static void memory_is_zeroed_and_aligned_for_any_type(void **state)
{
    struct arena *arena = arena_create(LIMIT);
    static const uint8_t zeroes[64];

    (void) state;
    for (int round = 0; round < 2; round++) {
        for (size_t size = 1; size <= sizeof(zeroes); size++) {
            uint8_t *memory = arena_alloc(arena, size);
            assert_int_equal((uintptr_t) memory % _Alignof(max_align_t), 0);
            assert_memory_equal(memory, zeroes, size);
            memset(memory, 0xff, size); /* for the second round to find */
        }
        arena_reset(arena);
    }
    arena_destroy(arena);
}

static void beyond_the_limit_there_is_nothing_until_the_reset(void **state)
{
    struct arena *arena = arena_create(LIMIT);

    (void) state;
    assert_null(arena_alloc(arena, LIMIT + 1));
    assert_int_equal(arena_used(arena), 0);
    while (arena_alloc(arena, 1000) != NULL) {
        assert_true(arena_used(arena) <= LIMIT);
    }
    assert_true(arena_used(arena) > LIMIT - 1100);
    assert_null(arena_alloc(arena, 1000));
    assert_null(arena_alloc(arena, SIZE_MAX));
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    assert_non_null(arena_alloc(arena, LIMIT - 64));
    arena_destroy(arena);
}

static void with_an_escape_an_allocation_succeeds_or_does_not_return(void **state)
{
    struct arena *arena = arena_create(LIMIT);
    volatile bool escaped = false;
    jmp_buf escape;

    (void) state;
    if (setjmp(escape) == 0) {
        arena_set_escape(arena, &escape);
        for (;;) {
            assert_non_null(arena_alloc(arena, 1000));
        }
    } else {
        escaped = true;
    }
    assert_true(escaped);
    assert_null(arena_try_alloc(arena, LIMIT)); /* never jumps */
    arena_set_escape(arena, NULL);
    assert_null(arena_alloc(arena, LIMIT));
    arena_destroy(arena);
}

static void a_reset_forgets_the_escape(void **state)
{
    struct arena *arena = arena_create(LIMIT);
    jmp_buf escape;

    (void) state;
    if (setjmp(escape) != 0) {
        fail_msg("jumped to where the last request was");
    }
    arena_set_escape(arena, &escape);
    arena_reset(arena);
    assert_null(arena_alloc(arena, LIMIT + 1));
    arena_destroy(arena);
}

static void texts_are_copied_and_ended(void **state)
{
    struct arena *arena = arena_create(LIMIT);
    char source[] = "source";
    char *whole = arena_strdup(arena, source);
    char *part = arena_strndup(arena, source, 3);
    void *bytes = arena_memdup(arena, source, 2);

    (void) state;
    memset(source, 'x', sizeof(source) - 1);
    assert_string_equal(whole, "source");
    assert_string_equal(part, "sou");
    assert_memory_equal(bytes, "so", 2);
    assert_string_equal(arena_printf(arena, "%s-%d", part, 7), "sou-7");
    assert_non_null(arena_memdup(arena, NULL, 0));
    arena_destroy(arena);
    arena_destroy(NULL);
}

static void going_back_to_a_mark_frees_what_came_after_it_alone(void **state)
{
    struct arena *arena = arena_create(LIMIT);
    char *kept = arena_strdup(arena, "kept");
    struct arena_mark mark = arena_mark(arena);
    size_t used = arena_used(arena);

    (void) state;
    for (int round = 0; round < 100; round++) {
        while (arena_alloc(arena, 1000) != NULL) {
        }
        arena_rewind(arena, &mark);
        assert_int_equal(arena_used(arena), used);
    }
    assert_string_equal(kept, "kept");
    assert_string_equal(arena_strdup(arena, "next"), "next");
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned_for_any_type),
        cmocka_unit_test(beyond_the_limit_there_is_nothing_until_the_reset),
        cmocka_unit_test(with_an_escape_an_allocation_succeeds_or_does_not_return),
        cmocka_unit_test(a_reset_forgets_the_escape),
        cmocka_unit_test(texts_are_copied_and_ended),
        cmocka_unit_test(going_back_to_a_mark_frees_what_came_after_it_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
