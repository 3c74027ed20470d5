/*
 * A store that runs out of memory: at every allocation, one after the other,
 * that a request needs. Linked with --wrap for malloc and its kin, and for the
 * cells that nodes are made of.
 */
#include "store/cells.h"
#include "store/store.h"
#include "support/backend_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES 40

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_cells_alloc(struct cells *cells, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_cells_alloc(struct cells *cells, size_t size);

/* How many allocations still succeed; negative: all. */
static int allocations_left = -1;

static bool may_allocate(void)
{
    if (allocations_left == 0) {
        return false;
    }
    allocations_left -= allocations_left > 0;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return may_allocate() ? __real_realloc(memory, size) : NULL;
}

void *__wrap_cells_alloc(struct cells *cells, size_t size)
{
    return may_allocate() ? __real_cells_alloc(cells, size) : NULL;
}

static struct slice key_of(char room[16], unsigned entry)
{
    return slice_of(room, (size_t) snprintf(room, 16, "key %u", entry * 37 % 101));
}

static struct store *open_filled(struct backend *backend)
{
    struct store_request request = { .head = slice_of("head", 4) };
    struct store *store = NULL;
    struct store_draft *draft;
    struct mx_error err;
    char room[16];
    bool changed;

    assert_int_equal(store_open(backend, NULL, &store, &err), MX_OK);
    draft = store_begin(store);
    store_request_begin(draft);
    for (unsigned i = 0; i < ENTRIES; i += 2) {
        assert_int_equal(store_put(draft, key_of(room, i), slice_of("old", 3), &err), MX_OK);
    }
    assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
    assert_int_equal(store_commit(store, &draft, &err), MX_OK);
    return store;
}

/* Changes, adds and removes. Returns after how many steps it failed, or all. */
static unsigned work(struct store_draft *draft, struct mx_error *err)
{
    char room[16];
    unsigned done = 0;
    enum mx_code code = MX_OK;

    for (; done < ENTRIES && code == MX_OK; done++) {
        if (done % 4 == 0) {
            code = store_delete(draft, key_of(room, done), err);
        } else {
            code = store_put(draft, key_of(room, done), slice_of("new", 3), err);
        }
    }
    if (code != MX_OK) {
        assert_int_equal(code, MX_RESOURCE_EXHAUSTED);
        done--;
    }
    return done;
}

/* What the draft has after `done` steps of the work. */
static void check_draft(struct store_draft *draft, unsigned done)
{
    const struct store_view *view = store_draft_view(draft);
    uint64_t count = 0;
    char room[16];

    for (unsigned i = 0; i < ENTRIES; i++) {
        bool there = i < done ? i % 4 != 0 : i % 2 == 0;
        struct slice value;
        assert_int_equal(store_get(view, key_of(room, i), &value), there);
        if (there) {
            assert_memory_equal(value.data, i < done ? "new" : "old", 3);
        }
        count += there;
    }
    assert_int_equal(store_count(view, slice_of("", 0)), count);
}

/* Adds a few more, after a savepoint, and goes back. */
static void work_in_vain(struct store_draft *draft)
{
    struct store_savepoint savepoint;
    struct mx_error err;
    char room[16];
    enum mx_code code = MX_OK;

    store_savepoint_set(draft, &savepoint);
    for (unsigned i = 0; i < ENTRIES / 4 && code == MX_OK; i++) {
        code = i % 2 == 0 ? store_put(draft, key_of(room, i), slice_of("vain", 4), &err)
                          : store_delete(draft, key_of(room, i), &err);
    }
    store_savepoint_rollback(draft, &savepoint);
}

/* Returns whether there was memory enough. */
static bool work_with(struct store *store, int allocations)
{
    struct store_request request = { .head = slice_of("head", 4) };
    struct mx_error err;
    struct store_draft *draft;
    bool changed;
    unsigned done;
    enum mx_code code = MX_RESOURCE_EXHAUSTED;

    allocations_left = allocations;
    draft = store_begin(store);
    if (draft == NULL) {
        allocations_left = -1;
        return false;
    }
    store_request_begin(draft);
    done = work(draft, &err);
    work_in_vain(draft);
    if (done == ENTRIES) {
        code = store_request_keep(draft, &request, &changed, &err);
    }
    allocations_left = -1;
    check_draft(draft, done);
    if (code != MX_OK) {
        store_request_rollback(draft);
        check_draft(draft, 0);
    }
    store_abort(&draft);
    return code == MX_OK;
}

static void a_request_without_memory_is_undone_whole(void **state)
{
    struct backend *backend = backend_memory_create();
    struct store *store = open_filled(backend);
    size_t memory = store_memory(store);
    int allocations = 0;

    (void) state;
    while (!work_with(store, allocations)) {
        assert_int_equal(store_memory(store), memory);
        allocations++;
    }
    assert_true(allocations > ENTRIES); /* else nothing was tried */
    store_close(store);
    backend->ops->close(backend);
}

static void an_open_without_memory_fails_cleanly(void **state)
{
    struct backend *backend = backend_memory_create();
    struct store *store = open_filled(backend);
    struct store *again = NULL;
    struct mx_error err;
    enum mx_code code;
    int allocations = 0;

    (void) state;
    do {
        allocations_left = allocations++;
        code = store_open(backend, NULL, &again, &err);
        allocations_left = -1;
    } while (code == MX_RESOURCE_EXHAUSTED);
    assert_int_equal(code, MX_OK);
    assert_int_equal(store_memory(again), store_memory(store));
    store_close(again);
    store_close(store);
    backend->ops->close(backend);
}

/* Freeing may wait, but a commit that is durable is published whatever happens. */
static void a_commit_needs_no_memory_of_the_store(void **state)
{
    struct backend *backend = backend_memory_create();
    struct store *store = open_filled(backend);
    struct store_snapshot *pinned = store_acquire(store);
    struct store_snapshot *newest;
    struct store_request request = { .head = slice_of("head", 4), .id = slice_of("", 0) };
    struct mx_error err;
    char room[16];
    bool changed;

    (void) state;
    for (unsigned i = 0; i < ENTRIES; i += 2) {
        struct store_draft *draft = store_begin(store);
        store_request_begin(draft);
        assert_int_equal(store_delete(draft, key_of(room, i), &err), MX_OK);
        assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
        allocations_left = 3; /* what the test's own backend needs for its history */
        assert_int_equal(store_commit(store, &draft, &err), MX_OK);
        allocations_left = -1;
    }
    newest = store_acquire(store);
    assert_int_equal(store_count(store_snapshot_view(newest), slice_of("", 0)), 0);
    assert_int_equal(store_count(store_snapshot_view(pinned), slice_of("", 0)), ENTRIES / 2);
    store_release(store, newest);
    store_release(store, pinned);
    store_reclaim(store);
    assert_int_equal(store_memory(store), 0);
    store_close(store);
    backend->ops->close(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_memory_is_undone_whole),
        cmocka_unit_test(an_open_without_memory_fails_cleanly),
        cmocka_unit_test(a_commit_needs_no_memory_of_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
