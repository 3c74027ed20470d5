/* Memory for nodes: cells keep what is in them, and go back to where they came from. */
#include "store/cells.h"
#include "support/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CELLS     4096
#define STEPS     200000
#define SIZE_MOST (CELLS_SIZE_MAX + 300)

void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);

static bool system_is_short;

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    return system_is_short ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);
}

struct piece {
    uint8_t *cell;
    size_t size;
    uint8_t mark;
};

static void fill(struct cells *cells, struct piece *piece, size_t size, uint8_t mark)
{
    piece->cell = cells_alloc(cells, size);
    piece->size = size;
    piece->mark = mark;
    assert_non_null(piece->cell);
    assert_int_equal((uintptr_t) piece->cell % CELLS_STEP, 0);
    memset(piece->cell, mark, size);
}

static void check(const struct piece *piece)
{
    for (size_t i = 0; i < piece->size; i++) {
        assert_int_equal(piece->cell[i], piece->mark);
    }
}

static void drop(struct cells *cells, struct piece *piece)
{
    check(piece);
    cells_free(cells, piece->cell, piece->size);
    piece->cell = NULL;
}

static void cells_keep_what_is_in_them(void **state)
{
    static struct piece pieces[CELLS];
    struct seed seed = seed_init();
    struct cells cells = { 0 };
    size_t used = 0;

    (void) state;
    for (size_t i = 0; i < STEPS; i++) {
        struct piece *piece = &pieces[seed_below(&seed, CELLS)];
        if (piece->cell == NULL) {
            fill(&cells, piece, 1 + seed_below(&seed, SIZE_MOST), (uint8_t) i);
            used += cells_size(piece->size);
        } else {
            used -= cells_size(piece->size);
            drop(&cells, piece);
        }
        assert_int_equal(cells_used(&cells), used);
        assert_true(cells_held(&cells) >= used);
    }
    for (size_t i = 0; i < CELLS; i++) {
        if (pieces[i].cell != NULL) {
            drop(&cells, &pieces[i]);
        }
    }
    assert_int_equal(cells_used(&cells), 0);
    cells_fini(&cells);
}

static void what_is_emptied_is_given_back(void **state)
{
    static struct piece pieces[64 * 1024];
    struct cells cells = { 0 };
    size_t count = sizeof(pieces) / sizeof(pieces[0]);
    size_t few;

    (void) state;
    fill(&cells, &pieces[0], 100, 1);
    few = cells_held(&cells);
    drop(&cells, &pieces[0]);
    for (size_t i = 0; i < count; i++) {
        fill(&cells, &pieces[i], 16 + i % 200, (uint8_t) i);
    }
    assert_true(cells_held(&cells) >= 3 * few);
    /* Little is lost to the order and to what is not full. */
    assert_true(cells_held(&cells) < cells_used(&cells) + cells_used(&cells) / 5 + few);
    for (size_t i = 0; i < count; i++) {
        drop(&cells, &pieces[i * 7919 % count]);
    }
    assert_int_equal(cells_used(&cells), 0);
    assert_true(cells_held(&cells) <= few);
    cells_fini(&cells);
    assert_int_equal(cells_held(&cells), 0);
}

/* A run of one size serves another when it is empty. */
static void memory_of_one_size_is_used_for_another(void **state)
{
    static struct piece pieces[20000];
    struct cells cells = { 0 };
    size_t count = sizeof(pieces) / sizeof(pieces[0]);
    size_t held = 0;

    (void) state;
    for (size_t size = 8; size <= CELLS_SIZE_MAX; size *= 2) {
        size_t cells_now = count * 8 / size;
        for (size_t i = 0; i < cells_now; i++) {
            fill(&cells, &pieces[i], size, (uint8_t) i);
        }
        held = held > cells_held(&cells) ? held : cells_held(&cells);
        for (size_t i = 0; i < cells_now; i++) {
            drop(&cells, &pieces[i]);
        }
    }
    assert_true(held <= 4 * count * 8 + ((size_t) 2 << 20));
    cells_fini(&cells);
}

static void absorbed_cells_are_the_others(void **state)
{
    static struct piece pieces[2][CELLS];
    struct cells one = { 0 };
    struct cells other = { 0 };
    size_t used;

    (void) state;
    for (size_t i = 0; i < CELLS; i++) {
        fill(&one, &pieces[0][i], 1 + i % SIZE_MOST, 1);
        fill(&other, &pieces[1][i], 1 + i * 31 % SIZE_MOST, 2);
    }
    used = cells_used(&one) + cells_used(&other);
    cells_absorb(&one, &other);
    assert_int_equal(cells_used(&one), used);
    assert_int_equal(cells_used(&other), 0);
    assert_int_equal(cells_held(&other), 0);
    cells_fini(&other); /* of which nothing is left */
    for (size_t i = 0; i < CELLS; i++) {
        drop(&one, &pieces[0][i]);
        drop(&one, &pieces[1][CELLS - 1 - i]);
        fill(&one, &pieces[0][i], 1 + i % 77, 3);
    }
    for (size_t i = 0; i < CELLS; i++) {
        drop(&one, &pieces[0][i]);
    }
    assert_int_equal(cells_used(&one), 0);
    cells_fini(&one);
}

static void a_system_without_memory_is_told(void **state)
{
    struct cells cells = { 0 };
    struct piece last = { NULL, 0, 0 };
    size_t given = 0;

    (void) state;
    fill(&cells, &last, 1000, 7);
    system_is_short = true;
    while (given < 10000 && cells_alloc(&cells, 1000) != NULL) {
        given++;
    }
    system_is_short = false;
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(given > 1000 && given < 10000); /* the rest of a chunk */
#endif
    check(&last);
    assert_int_equal(cells_used(&cells), (given + 1) * 1000);
    fill(&cells, &last, 1000, 8);
    check(&last);
    cells_fini(&cells); /* the others too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_keep_what_is_in_them),
        cmocka_unit_test(what_is_emptied_is_given_back),
        cmocka_unit_test(memory_of_one_size_is_used_for_another),
        cmocka_unit_test(absorbed_cells_are_the_others),
        cmocka_unit_test(a_system_without_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
