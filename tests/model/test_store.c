/*
 * The store against the plainest thing that can do the same: a sorted array,
 * copied whole for each version. A random walk does everything to both and
 * compares what it sees.
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

#define STEPS     500000
#define PINS      12
#define SAVES     3
#define KEY_MAX   5
#define VALUE_MAX 12
/* Makes prefixes of each other, both ends of a byte, and neighbours in one nibble common. */
static const uint8_t alphabet[] = { 0x00, 0x01, 0x10, 'd', 0xff };

struct entry {
    uint8_t key[KEY_MAX];
    uint8_t key_len;
    uint8_t value[VALUE_MAX];
    uint8_t value_len;
};

struct model {
    struct entry *at;
    size_t len;
    size_t capacity;
};

struct pin {
    struct store_snapshot *snapshot; /* NULL: free */
    struct model model;
    uint64_t revision;
};

struct save {
    struct store_savepoint savepoint;
    struct model model;
};

struct walk {
    struct seed seed;
    struct backend *backend;
    struct store *store;
    struct mx_error err;
    struct model newest;
    uint64_t revision;
    struct store_draft *draft; /* NULL: none */
    struct model kept;         /* of the draft: after the kept requests */
    uint64_t kept_revision;
    bool request_open;
    struct model open; /* of the draft with the open request */
    struct save saves[SAVES];
    unsigned save_count; /* set, of the open request */
    struct pin pins[PINS];
    uint64_t names; /* given to requests */
};

/* ------------------------------------------------------------------ the model */

static int compare_keys(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* The first entry that is not before the key. */
static size_t model_place(const struct model *model, struct slice key)
{
    size_t place = 0;
    size_t end = model->len;

    while (place < end) {
        size_t middle = (place + end) / 2;
        const struct entry *at = &model->at[middle];
        if (compare_keys(at->key, at->key_len, key.data, key.len) < 0) {
            place = middle + 1;
        } else {
            end = middle;
        }
    }
    return place;
}

static struct entry *model_find(const struct model *model, struct slice key)
{
    size_t place = model_place(model, key);

    if (place == model->len ||
        compare_keys(model->at[place].key, model->at[place].key_len, key.data, key.len) != 0) {
        return NULL;
    }
    return &model->at[place];
}

static void model_reserve(struct model *model, size_t len)
{
    if (len > model->capacity) {
        model->capacity = len * 2;
        model->at = realloc(model->at, model->capacity * sizeof(struct entry));
        assert_non_null(model->at);
    }
}

static void model_copy(struct model *to, const struct model *from)
{
    model_reserve(to, from->len);
    if (from->len > 0) {
        memcpy(to->at, from->at, from->len * sizeof(struct entry));
    }
    to->len = from->len;
}

static void model_put(struct model *model, struct slice key, struct slice value)
{
    struct entry *entry = model_find(model, key);

    if (entry == NULL) {
        size_t place = model_place(model, key);
        model_reserve(model, model->len + 1);
        entry = &model->at[place];
        memmove(entry + 1, entry, (model->len - place) * sizeof(struct entry));
        model->len++;
        memcpy(entry->key, key.data, key.len);
        entry->key_len = (uint8_t) key.len;
    }
    memcpy(entry->value, value.data, value.len);
    entry->value_len = (uint8_t) value.len;
}

static void model_delete(struct model *model, struct slice key)
{
    struct entry *entry = model_find(model, key);

    if (entry != NULL) {
        memmove(entry, entry + 1,
                (size_t) (model->at + model->len - entry - 1) * sizeof(struct entry));
        model->len--;
    }
}

static bool starts_with(const struct entry *entry, struct slice prefix)
{
    return entry->key_len >= prefix.len && memcmp(entry->key, prefix.data, prefix.len) == 0;
}

/* Every key that begins with this byte is derived. */
static bool is_derived(struct slice key)
{
    return key.len > 0 && key.data[0] == 'd';
}

/* ------------------------------------------------------------------ comparing */

static struct slice random_key(struct walk *walk, uint8_t *room)
{
    size_t len = seed_below(&walk->seed, KEY_MAX + 1);

    for (size_t i = 0; i < len; i++) {
        room[i] = alphabet[seed_below(&walk->seed, sizeof(alphabet))];
    }
    return slice_of(room, len);
}

static void assert_entry(const struct store_entry *seen, const struct entry *entry)
{
    assert_int_equal(seen->key.len, entry->key_len);
    assert_memory_equal(seen->key.data, entry->key, entry->key_len);
    assert_int_equal(seen->value.len, entry->value_len);
    assert_memory_equal(seen->value.data, entry->value, entry->value_len);
    assert_int_equal(seen->durable, !is_derived(seen->key));
}

static void check_get(struct walk *walk, const struct store_view *view, const struct model *model)
{
    uint8_t room[KEY_MAX];
    struct store_entry seen = { .key = random_key(walk, room) };
    const struct entry *entry = model_find(model, seen.key);

    assert_int_equal(store_get(view, seen.key, &seen.value), entry != NULL);
    if (entry != NULL) {
        seen.durable = !is_derived(seen.key);
        assert_entry(&seen, entry);
    }
}

static void check_count(struct walk *walk, const struct store_view *view, const struct model *model)
{
    uint8_t room[KEY_MAX];
    struct slice prefix = random_key(walk, room);
    uint64_t expected = 0;

    for (size_t i = 0; i < model->len; i++) {
        expected += starts_with(&model->at[i], prefix);
    }
    assert_int_equal(store_count(view, prefix), expected);
}

static void check_range_of(const struct store_view *view, const struct model *model,
                           struct slice prefix, struct slice from, bool after, size_t limit)
{
    static struct store_cursor cursor;
    struct store_entry seen;

    store_cursor_init(&cursor, view, prefix, from, after);
    for (size_t i = 0; i < model->len && limit > 0; i++) {
        const struct entry *entry = &model->at[i];
        int order = compare_keys(entry->key, entry->key_len, from.data, from.len);
        bool empty_from = from.len == 0 && prefix.len > 0;
        if (starts_with(entry, prefix) &&
            (order > 0 || (order == 0 && !after) || (order == 0 && empty_from))) {
            assert_true(store_cursor_next(&cursor, &seen));
            assert_entry(&seen, entry);
            limit--;
        }
    }
    if (limit > 0) {
        assert_false(store_cursor_next(&cursor, &seen));
    }
}

static void check_range(struct walk *walk, const struct store_view *view, const struct model *model)
{
    uint8_t prefix_room[KEY_MAX];
    uint8_t from_room[KEY_MAX];
    struct slice prefix = random_key(walk, prefix_room);
    struct slice from = random_key(walk, from_room);

    check_range_of(view, model, prefix, from, seed_below(&walk->seed, 2) == 0,
                   1 + seed_below(&walk->seed, 20));
}

static void check_all(const struct store_view *view, const struct model *model)
{
    check_range_of(view, model, slice_of("", 0), slice_of("", 0), false, SIZE_MAX);
    assert_int_equal(store_count(view, slice_of("", 0)), model->len);
}

/* Looks in one way at the draft, the newest snapshot or one that is pinned. */
static void check_something(struct walk *walk)
{
    void (*const checks[])(struct walk *, const struct store_view *,
                           const struct model *) = { check_get, check_get, check_count,
                                                     check_range };
    unsigned check = seed_below(&walk->seed, 4);
    struct pin *pin = &walk->pins[seed_below(&walk->seed, PINS)];
    struct store_snapshot *newest;

    if (walk->draft != NULL && seed_below(&walk->seed, 2) == 0) {
        checks[check](walk, store_draft_view(walk->draft), &walk->open);
    } else if (pin->snapshot != NULL) {
        checks[check](walk, store_snapshot_view(pin->snapshot), &pin->model);
    } else {
        newest = store_acquire(walk->store);
        assert_int_equal(store_snapshot_revision(newest), walk->revision);
        checks[check](walk, store_snapshot_view(newest), &walk->newest);
        store_release(walk->store, newest);
    }
}

/* ------------------------------------------------------------------- walking */

static void step_put(struct walk *walk)
{
    uint8_t key_room[KEY_MAX];
    uint8_t value_room[VALUE_MAX];
    struct slice key = random_key(walk, key_room);
    struct slice value = slice_of(value_room, seed_below(&walk->seed, VALUE_MAX + 1));
    const struct entry *entry = model_find(&walk->kept, key);
    enum mx_code code;

    for (size_t i = 0; i < value.len; i++) {
        value_room[i] = (uint8_t) seed_next(&walk->seed);
    }
    if (entry != NULL && seed_below(&walk->seed, 3) == 0) {
        value = slice_of(entry->value, entry->value_len); /* as it was when the request began */
    }
    code = is_derived(key) ? store_put_derived(walk->draft, key, value, &walk->err)
                           : store_put(walk->draft, key, value, &walk->err);
    assert_int_equal(code, MX_OK);
    model_put(&walk->open, key, value);
}

static void step_delete(struct walk *walk)
{
    uint8_t room[KEY_MAX];
    struct slice key = random_key(walk, room);
    enum mx_code code;

    code = is_derived(key) ? store_delete_derived(walk->draft, key, &walk->err)
                           : store_delete(walk->draft, key, &walk->err);
    assert_int_equal(code, MX_OK);
    model_delete(&walk->open, key);
}

static void step_delete_prefix(struct walk *walk)
{
    static struct store_cursor cursor;
    uint8_t room[KEY_MAX];
    struct slice prefix = random_key(walk, room);
    struct store_entry seen;

    if (prefix.len < 2) {
        return; /* would keep the map too small */
    }
    store_cursor_init(&cursor, store_draft_view(walk->draft), prefix, slice_of("", 0), false);
    while (store_cursor_next(&cursor, &seen)) {
        model_delete(&walk->open, seen.key);
        assert_int_equal(seen.durable ? store_delete(walk->draft, seen.key, &walk->err)
                                      : store_delete_derived(walk->draft, seen.key, &walk->err),
                         MX_OK);
    }
}

/* Takes the next edit, which must say that `before` became `after`; either may be NULL. */
static void take_edit(struct walk *walk, const struct entry *before, const struct entry *after,
                      size_t *index)
{
    const struct entry *key = before != NULL ? before : after;
    struct backend_edit edit;

    if (is_derived(slice_of(key->key, key->key_len)) ||
        (before != NULL && after != NULL && before->value_len == after->value_len &&
         memcmp(before->value, after->value, before->value_len) == 0)) {
        return;
    }
    assert_true(store_request_edit(walk->draft, (*index)++, &edit));
    assert_int_equal(edit.key_len, key->key_len);
    assert_memory_equal(edit.key, key->key, key->key_len);
    assert_int_equal(edit.before != NULL, before != NULL);
    assert_int_equal(edit.after != NULL, after != NULL);
    if (before != NULL) {
        assert_int_equal(edit.before_len, before->value_len);
        assert_memory_equal(edit.before, before->value, before->value_len);
    }
    if (after != NULL) {
        assert_int_equal(edit.after_len, after->value_len);
        assert_memory_equal(edit.after, after->value, after->value_len);
    }
}

/* Merges both states of the model; returns how many edits there are. */
static size_t check_edits(struct walk *walk)
{
    const struct entry *kept = walk->kept.at;
    const struct entry *kept_end = kept + walk->kept.len;
    const struct entry *open = walk->open.at;
    const struct entry *open_end = open + walk->open.len;
    struct backend_edit edit;
    size_t index = 0;

    while (kept < kept_end || open < open_end) {
        int order = kept == kept_end ? 1
                    : open == open_end
                        ? -1
                        : compare_keys(kept->key, kept->key_len, open->key, open->key_len);
        take_edit(walk, order <= 0 ? kept : NULL, order >= 0 ? open : NULL, &index);
        kept += order <= 0;
        open += order >= 0;
    }
    assert_false(store_request_edit(walk->draft, index, &edit));
    return index;
}

static void end_request(struct walk *walk)
{
    walk->request_open = false;
    walk->save_count = 0;
}

static void step_rollback(struct walk *walk)
{
    store_request_rollback(walk->draft);
    model_copy(&walk->open, &walk->kept);
    end_request(walk);
}

/* One more, or, with all in use, another one instead of the youngest. */
static void step_save(struct walk *walk)
{
    struct save *save;

    if (walk->save_count == SAVES) {
        walk->save_count--;
    }
    save = &walk->saves[walk->save_count++];
    store_savepoint_set(walk->draft, &save->savepoint);
    model_copy(&save->model, &walk->open);
}

/* To any of them; those set after it are no more. */
static void step_back(struct walk *walk)
{
    unsigned to;

    if (walk->save_count == 0) {
        return;
    }
    to = seed_below(&walk->seed, walk->save_count);
    store_savepoint_rollback(walk->draft, &walk->saves[to].savepoint);
    model_copy(&walk->open, &walk->saves[to].model);
    walk->save_count = to + 1;
}

static void step_keep(struct walk *walk)
{
    static const uint8_t digest[DIGEST_SIZE];
    struct store_request request = { .head = slice_of("head", 4) };
    size_t edits = check_edits(walk);
    bool changed;

    if (seed_below(&walk->seed, 3) == 0) {
        walk->names++;
        request.id = slice_of(&walk->names, sizeof(walk->names));
        request.digest = slice_of(digest, sizeof(digest));
    }
    assert_int_equal(store_draft_revision(walk->draft), walk->kept_revision + 1);
    assert_int_equal(store_request_keep(walk->draft, &request, &changed, &walk->err), MX_OK);
    assert_int_equal(changed, edits > 0);
    end_request(walk);
    if (changed) {
        model_copy(&walk->kept, &walk->open);
        walk->kept_revision++;
    } else {
        model_copy(&walk->open, &walk->kept);
    }
}

static void step_commit(struct walk *walk)
{
    static const enum memory_fate fates[] = { FATE_CONFLICT, FATE_FAILED, FATE_UNKNOWN_APPLIED,
                                              FATE_UNKNOWN_LOST };
    enum memory_fate fate =
        seed_below(&walk->seed, 5) != 0 ? FATE_OK : fates[seed_below(&walk->seed, 4)];
    bool applied =
        fate == FATE_OK || fate == FATE_UNKNOWN_APPLIED || store_draft_requests(walk->draft) == 0;
    enum mx_code code;

    backend_memory_set_fate(walk->backend, fate);
    code = store_commit(walk->store, &walk->draft, &walk->err);
    backend_memory_set_fate(walk->backend, FATE_OK);
    assert_null(walk->draft);
    assert_int_equal(code == MX_OK, applied);
    if (applied) {
        model_copy(&walk->newest, &walk->kept);
        walk->revision = walk->kept_revision;
    }
}

static void step_pin(struct walk *walk)
{
    struct pin *pin = &walk->pins[seed_below(&walk->seed, PINS)];

    if (pin->snapshot == NULL) {
        pin->snapshot = store_acquire(walk->store);
        pin->revision = walk->revision;
        model_copy(&pin->model, &walk->newest);
    } else {
        assert_int_equal(store_snapshot_revision(pin->snapshot), pin->revision);
        check_all(store_snapshot_view(pin->snapshot), &pin->model);
        store_release(walk->store, pin->snapshot);
        pin->snapshot = NULL;
    }
}

static void step_begin(struct walk *walk)
{
    walk->draft = store_begin(walk->store);
    assert_non_null(walk->draft);
    model_copy(&walk->kept, &walk->newest);
    model_copy(&walk->open, &walk->newest);
    walk->kept_revision = walk->revision;
}

static void step_in_draft(struct walk *walk)
{
    unsigned dice = seed_below(&walk->seed, 100);

    if (dice < 75) {
        store_request_begin(walk->draft);
        walk->request_open = true;
    } else if (dice < 95) {
        step_commit(walk);
    } else {
        store_abort(&walk->draft);
    }
}

static void step_in_request(struct walk *walk)
{
    unsigned dice = seed_below(&walk->seed, 1000);

    if (dice < 600) {
        step_put(walk);
    } else if (dice < 880) {
        step_delete(walk);
    } else if (dice < 890) {
        step_delete_prefix(walk);
    } else if (dice < 900) {
        (void) check_edits(walk); /* asked for in the middle, as validate_only does */
    } else if (dice < 930) {
        step_save(walk);
    } else if (dice < 950) {
        step_back(walk);
    } else if (dice < 980) {
        step_keep(walk);
    } else if (dice < 995) {
        step_rollback(walk);
    } else {
        store_abort(&walk->draft);
        end_request(walk);
    }
}

static void step(struct walk *walk)
{
    unsigned dice = seed_below(&walk->seed, 100);

    if (dice < 20) {
        check_something(walk);
    } else if (dice < 21) {
        step_pin(walk);
    } else if (dice < 22) {
        store_reclaim(walk->store);
    } else if (walk->draft == NULL) {
        step_begin(walk);
    } else if (!walk->request_open) {
        step_in_draft(walk);
    } else {
        step_in_request(walk);
    }
}

/* ------------------------------------------------------------------ the end */

static void release_all(struct walk *walk)
{
    store_abort(&walk->draft);
    for (size_t i = 0; i < PINS; i++) {
        if (walk->pins[i].snapshot != NULL) {
            check_all(store_snapshot_view(walk->pins[i].snapshot), &walk->pins[i].model);
            store_release(walk->store, walk->pins[i].snapshot);
        }
        free(walk->pins[i].model.at);
    }
    store_reclaim(walk->store);
}

/* What a store needs that has the model's content and no past. */
static size_t memory_of(const struct model *model)
{
    struct backend *backend = backend_memory_create();
    struct store_request request = { .id = slice_of(NULL, 0) };
    struct store *store = NULL;
    struct store_draft *draft;
    struct mx_error err;
    size_t memory;
    bool changed;

    assert_int_equal(store_open(backend, NULL, &store, &err), MX_OK);
    draft = store_begin(store);
    store_request_begin(draft);
    for (size_t i = 0; i < model->len; i++) {
        struct slice key = slice_of(model->at[i].key, model->at[i].key_len);
        struct slice value = slice_of(model->at[i].value, model->at[i].value_len);
        assert_int_equal(is_derived(key) ? store_put_derived(draft, key, value, &err)
                                         : store_put(draft, key, value, &err),
                         MX_OK);
    }
    assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
    assert_int_equal(store_commit(store, &draft, &err), MX_OK);
    memory = store_memory(store);
    store_close(store);
    backend->ops->close(backend);
    return memory;
}

/* The backend has the durable entries, and nothing else. */
static void check_backend(struct walk *walk)
{
    struct model durable = { NULL, 0, 0 };
    struct store *store = NULL;
    struct store_snapshot *snapshot;

    for (size_t i = 0; i < walk->newest.len; i++) {
        struct entry *at = &walk->newest.at[i];
        if (!is_derived(slice_of(at->key, at->key_len))) {
            model_put(&durable, slice_of(at->key, at->key_len), slice_of(at->value, at->value_len));
        }
    }
    assert_int_equal(store_open(walk->backend, NULL, &store, &walk->err), MX_OK);
    snapshot = store_acquire(store);
    assert_int_equal(store_snapshot_revision(snapshot), walk->revision);
    check_all(store_snapshot_view(snapshot), &durable);
    store_release(store, snapshot);
    store_close(store);
    free(durable.at);
}

static void the_store_does_what_a_sorted_array_does(void **state)
{
    struct walk *walk = calloc(1, sizeof(*walk));

    (void) state;
    walk->seed = seed_init();
    walk->backend = backend_memory_create();
    assert_int_equal(store_open(walk->backend, NULL, &walk->store, &walk->err), MX_OK);
    for (int i = 0; i < STEPS; i++) {
        step(walk);
    }
    release_all(walk);
    print_message("%zu entries at revision %llu\n", walk->newest.len,
                  (unsigned long long) walk->revision);
    assert_true(walk->newest.len > 0);
    assert_int_equal(store_memory(walk->store), memory_of(&walk->newest));
    check_backend(walk);
    store_close(walk->store);
    walk->backend->ops->close(walk->backend);
    free(walk->newest.at);
    free(walk->kept.at);
    free(walk->open.at);
    for (size_t i = 0; i < SAVES; i++) {
        free(walk->saves[i].model.at);
    }
    free(walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_does_what_a_sorted_array_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
