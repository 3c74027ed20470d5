/*
 * Reading an image: whatever the backend has and the loader derives, the store is what putting the
 * same entries one by one gives, and what can't be is refused whole.
 */
#include "store/store.h"
#include "support/backend_memory.h"
#include "support/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Several times what the two threads of a load have between them. */
#define MANY    20000
#define KEY_MAX 40

struct record {
    uint8_t key[KEY_MAX];
    size_t len;
    uint8_t value[8];
    size_t value_len;
};

/* A backend that can be read only. */
struct image {
    struct backend backend;
    struct record *records;
    size_t count;
    enum backend_result result;
};

static enum backend_result load(struct backend *backend, backend_record_fn record, void *context,
                                struct position *position_out, struct mx_error *err)
{
    struct image *image = (struct image *) backend;

    for (size_t i = 0; i < image->count; i++) {
        const struct record *at = &image->records[i];
        if (!record(context, at->key, at->len, at->value, at->value_len)) {
            return BACKEND_OK;
        }
    }
    *position_out = (struct position){ .revision = 7 };
    (void) mx_fail(err, MX_UNAVAILABLE, "the test's engine says so");
    return image->result;
}

static const struct backend_ops image_ops = { .name = "image", .load = load };

static int compare_records(const void *one, const void *other)
{
    const struct record *a = one;
    const struct record *b = other;
    int order = memcmp(a->key, b->key, a->len < b->len ? a->len : b->len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Random records of keys over few letters: many prefixes of each other, long runs in common. The
 * last letter is the largest, so that all derived keys, which begin otherwise, are others. */
static void fill(struct image *image, struct seed *seed, size_t count)
{
    static const uint8_t letters[] = { 0x00, 0x01, 0x10, 'a', 'b', 0xef };
    size_t kept = 0;

    image->backend.ops = &image_ops;
    image->records = calloc(count, sizeof(image->records[0]));
    for (size_t i = 0; i < count; i++) {
        struct record *record = &image->records[i];
        record->len = seed_below(seed, count < 100 ? 6 : KEY_MAX);
        for (size_t j = 0; j < record->len; j++) {
            record->key[j] = letters[seed_below(seed, sizeof(letters))];
        }
        record->value_len = seed_below(seed, sizeof(record->value));
        memset(record->value, (int) i, record->value_len);
    }
    qsort(image->records, count, sizeof(image->records[0]), compare_records);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || compare_records(&image->records[i], &image->records[i + 1]) != 0) {
            image->records[kept++] = image->records[i];
        }
    }
    image->count = kept;
}

/* For each record derived ones: its key turned about, under two letters, and its length, which is
 * that of many. */
static void each_derived(struct slice key, void (*each)(void *context, struct slice derived),
                         void *context)
{
    uint8_t room[KEY_MAX + 1];

    for (size_t i = 0; i < key.len; i++) {
        room[1 + i] = key.data[key.len - 1 - i];
    }
    room[0] = 'X';
    each(context, slice_of(room, key.len + 1));
    room[0] = 0xf0; /* shares a nibble with a letter */
    each(context, slice_of(room, key.len + 1));
    room[0] = 0xee;
    room[1] = (uint8_t) key.len;
    each(context, slice_of(room, 2));
}

struct target {
    struct store_draft *draft;     /* either */
    struct store_derived *derived; /* or */
    struct slice value;
    enum mx_code code;
    struct mx_error *err;
};

static void put_derived(void *context, struct slice derived)
{
    struct target *target = context;

    if (target->code == MX_OK) {
        target->code = target->draft != NULL
                           ? store_put_derived(target->draft, derived, target->value, target->err)
                           : store_derive(target->derived, derived, target->value, target->err);
    }
}

static enum mx_code derive(void *context, struct store_derived *derived, struct slice key,
                           struct slice value, struct mx_error *err)
{
    struct target target = { .derived = derived, .value = value, .code = MX_OK, .err = err };

    (void) context;
    each_derived(key, put_derived, &target);
    return target.code;
}

static const struct store_loader deriving = { .entry = derive };

/* The same entries, put one by one, from the last on but for what is said twice. */
static struct store *put_all(const struct image *image, struct backend *backend)
{
    struct store_request request = { .id = slice_of(NULL, 0) };
    struct store *store = NULL;
    struct store_draft *draft;
    struct mx_error err;
    bool changed;

    assert_int_equal(store_open(backend, NULL, &store, &err), MX_OK);
    draft = store_begin(store);
    store_request_begin(draft);
    for (size_t i = 0; i < image->count; i++) {
        const struct record *at = &image->records[image->count - 1 - i];
        assert_int_equal(
            store_put(draft, slice_of(at->key, at->len), slice_of(at->value, at->value_len), &err),
            MX_OK);
    }
    for (size_t i = 0; i < image->count; i++) {
        const struct record *at = &image->records[i];
        struct target target = {
            .draft = draft, .value = slice_of(at->value, at->value_len), .code = MX_OK, .err = &err
        };
        each_derived(slice_of(at->key, at->len), put_derived, &target);
        assert_int_equal(target.code, MX_OK);
    }
    assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
    assert_int_equal(store_commit(store, &draft, &err), MX_OK);
    return store;
}

static void assert_slice(struct slice is, struct slice should)
{
    assert_int_equal(is.len, should.len);
    assert_memory_equal(is.data, should.data, should.len);
}

static void assert_same(struct store *store, struct store *other)
{
    struct store_snapshot *snapshot = store_acquire(store);
    struct store_snapshot *other_snapshot = store_acquire(other);
    const struct store_view *view = store_snapshot_view(snapshot);
    const struct store_view *other_view = store_snapshot_view(other_snapshot);
    struct store_cursor cursor;
    struct store_cursor other_cursor;
    struct store_entry entry;
    struct store_entry other_entry;
    struct slice value;

    store_cursor_init(&cursor, view, slice_of("", 0), slice_of("", 0), false);
    store_cursor_init(&other_cursor, other_view, slice_of("", 0), slice_of("", 0), false);
    while (store_cursor_next(&other_cursor, &other_entry)) {
        assert_true(store_cursor_next(&cursor, &entry));
        assert_slice(entry.key, other_entry.key);
        assert_slice(entry.value, other_entry.value);
        assert_int_equal(entry.durable, other_entry.durable);
        assert_true(store_get(view, entry.key, &value));
        for (size_t len = 0; len <= entry.key.len; len++) {
            struct slice prefix = slice_of(entry.key.data, len);
            assert_int_equal(store_count(view, prefix), store_count(other_view, prefix));
        }
    }
    assert_false(store_cursor_next(&cursor, &entry));
    /* The same nodes, no larger than they need be. */
    assert_int_equal(store_memory(store), store_memory(other));
    store_release(store, snapshot);
    store_release(other, other_snapshot);
}

static void check_against_putting(struct seed *seed, size_t count)
{
    struct backend *backend = backend_memory_create();
    struct image image = { .result = BACKEND_OK };
    struct store *store = NULL;
    struct store *other;
    struct mx_error err;

    fill(&image, seed, count);
    assert_int_equal(store_open(&image.backend, &deriving, &store, &err), MX_OK);
    assert_int_equal(store_revision(store), 7);
    other = put_all(&image, backend);
    assert_same(store, other);
    store_close(store);
    store_close(other);
    backend->ops->close(backend);
    free(image.records);
}

static void a_load_is_what_putting_one_by_one_gives(void **state)
{
    struct seed seed = seed_init();

    (void) state;
    for (unsigned round = 0; round < 300; round++) {
        check_against_putting(&seed, 1 + round % 60);
    }
    for (unsigned round = 0; round < 10; round++) {
        check_against_putting(&seed, 500 + seed_below(&seed, 1000));
    }
    check_against_putting(&seed, MANY);
}

/* What was loaded can be changed like what was put. */
static void a_loaded_store_is_emptied_to_nothing(void **state)
{
    struct seed seed = seed_init();
    struct image image = { .result = BACKEND_OK };
    struct store *store = NULL;
    struct store_draft *draft;
    struct mx_error err;

    (void) state;
    fill(&image, &seed, MANY);
    assert_int_equal(store_open(&image.backend, NULL, &store, &err), MX_OK);
    draft = store_begin(store);
    store_request_begin(draft);
    for (size_t i = 0; i < image.count; i++) {
        const struct record *at = &image.records[i * 7919 % image.count];
        assert_int_equal(store_delete(draft, slice_of(at->key, at->len), &err), MX_OK);
    }
    for (size_t i = 0; i < image.count; i++) {
        struct slice value;
        const struct record *at = &image.records[i];
        assert_false(store_get(store_draft_view(draft), slice_of(at->key, at->len), &value));
    }
    store_request_rollback(draft);
    store_abort(&draft);
    store_close(store);
    free(image.records);
}

/* Fails at the record that it is told, and derives nothing. */
static enum mx_code fail_at(void *context, struct store_derived *derived, struct slice key,
                            struct slice value, struct mx_error *err)
{
    size_t *left = context;

    (void) derived;
    (void) key;
    (void) value;
    if (*left == 0) {
        return mx_fail(err, MX_DATA_LOSS, "the test's loader says no");
    }
    (*left)--;
    return MX_OK;
}

static void an_error_of_the_loader_ends_the_load_wherever_it_comes(void **state)
{
    struct seed seed = seed_init();
    struct image image = { .result = BACKEND_OK };

    (void) state;
    fill(&image, &seed, MANY);
    for (size_t at = 0; at < image.count; at = at * 3 + 1) {
        size_t left = at;
        struct store_loader loader = { .entry = fail_at, .context = &left };
        struct store *store = NULL;
        struct mx_error err;

        assert_int_equal(store_open(&image.backend, &loader, &store, &err), MX_DATA_LOSS);
        assert_string_equal(err.message, "the test's loader says no");
    }
    free(image.records);
}

/* The image can't be loaded, for this reason and in words like these. */
static void assert_not_loaded(const struct image *image, const struct store_loader *loader,
                              enum mx_code code, const char *words)
{
    struct store *store = NULL;
    struct mx_error err;

    assert_int_equal(store_open((struct backend *) &image->backend, loader, &store, &err), code);
    assert_non_null(strstr(err.message, words));
}

static void an_error_of_the_backend_ends_the_load(void **state)
{
    struct seed seed = seed_init();
    struct image image = { .result = BACKEND_CORRUPT };

    (void) state;
    fill(&image, &seed, MANY);
    assert_not_loaded(&image, &deriving, MX_DATA_LOSS, "the test's engine says so");
    image.result = BACKEND_UNAVAILABLE;
    image.count = 3;
    assert_not_loaded(&image, &deriving, MX_UNAVAILABLE, "");
    free(image.records);
}

static void records_out_of_order_are_damage(void **state)
{
    struct seed seed = seed_init();
    struct image image = { .result = BACKEND_OK };

    (void) state;
    fill(&image, &seed, MANY);
    for (size_t at = 1; at < image.count; at = at * 3 + 1) {
        struct record right = image.records[at];

        image.records[at] = image.records[at - 1]; /* twice */
        assert_not_loaded(&image, &deriving, MX_DATA_LOSS, "");
        image.records[at] = right;
    }
    free(image.records);
}

/* Every record's own key. */
static enum mx_code derive_itself(void *context, struct store_derived *derived, struct slice key,
                                  struct slice value, struct mx_error *err)
{
    (void) context;
    return store_derive(derived, key, value, err);
}

static void a_key_is_not_durable_and_derived(void **state)
{
    static const struct store_loader loader = { .entry = derive_itself };
    struct seed seed = seed_init();
    struct image image = { .result = BACKEND_OK };

    (void) state;
    fill(&image, &seed, MANY);
    assert_not_loaded(&image, &loader, MX_INTERNAL, "");
    image.count = 1;
    assert_not_loaded(&image, &loader, MX_INTERNAL, "");
    free(image.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_is_what_putting_one_by_one_gives),
        cmocka_unit_test(a_loaded_store_is_emptied_to_nothing),
        cmocka_unit_test(an_error_of_the_loader_ends_the_load_wherever_it_comes),
        cmocka_unit_test(an_error_of_the_backend_ends_the_load),
        cmocka_unit_test(records_out_of_order_are_damage),
        cmocka_unit_test(a_key_is_not_durable_and_derived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
