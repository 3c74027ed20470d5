#include "store/change.h"
#include "store/store.h"
#include "support/backend_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct backend *backend;
    struct store *store;
    struct mx_error err;
    size_t entries; /* calls of the loader */
    size_t edits;
};

static struct slice text(const char *string)
{
    return slice_of(string, strlen(string));
}

/* The model of these tests: for each durable entry "k" -> "v" there is a derived one "~v" -> "k".
 */
static struct slice derived_key(uint8_t *room, struct slice value)
{
    room[0] = '~';
    memcpy(room + 1, value.data, value.len);
    return slice_of(room, value.len + 1);
}

static enum mx_code load_entry(void *context, struct store_derived *derived, struct slice key,
                               struct slice value, struct mx_error *err)
{
    struct fixture *fixture = context;
    uint8_t room[64];

    fixture->entries++;
    if (value.len > 32) {
        return mx_fail(err, MX_DATA_LOSS, "a value of the test is too long");
    }
    return store_derive(derived, derived_key(room, value), key, err);
}

static enum mx_code load_edit(void *context, struct store_draft *draft,
                              const struct backend_edit *edit, struct mx_error *err)
{
    struct fixture *fixture = context;
    uint8_t room[64];
    enum mx_code code = MX_OK;

    fixture->edits++;
    if (edit->before != NULL) {
        code = store_delete_derived(
            draft, derived_key(room, slice_of(edit->before, edit->before_len)), err);
    }
    if (code == MX_OK && edit->after != NULL) {
        code = store_put_derived(draft, derived_key(room, slice_of(edit->after, edit->after_len)),
                                 slice_of(edit->key, edit->key_len), err);
    }
    return code;
}

static struct store *open_store(struct fixture *fixture)
{
    struct store_loader loader = { load_entry, load_edit, fixture };
    struct store *store = NULL;

    assert_int_equal(store_open(fixture->backend, &loader, &store, &fixture->err), MX_OK);
    return store;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->backend = backend_memory_create();
    fixture->store = open_store(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    store_close(fixture->store);
    fixture->backend->ops->close(fixture->backend);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, struct store_draft *draft, const char *key,
                const char *value)
{
    assert_int_equal(store_put(draft, text(key), text(value), &fixture->err), MX_OK);
}

static void remove_key(struct fixture *fixture, struct store_draft *draft, const char *key)
{
    assert_int_equal(store_delete(draft, text(key), &fixture->err), MX_OK);
}

/* Keeps the open request, by name if there is one. */
static bool keep(struct fixture *fixture, struct store_draft *draft, const char *id)
{
    static const uint8_t digest[DIGEST_SIZE] = { 1, 2, 3 };
    struct store_request request = {
        .head = text("head"),
        .id = text(id),
        .digest = slice_of(digest, sizeof(digest)),
        .answer = text("answer"),
    };
    bool changed = false;

    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err), MX_OK);
    return changed;
}

/* A draft with one kept request that puts one entry. */
static struct store_draft *draft_of(struct fixture *fixture, struct store *store, const char *key,
                                    const char *value)
{
    struct store_draft *draft = store_begin(store);

    store_request_begin(draft);
    put(fixture, draft, key, value);
    assert_true(keep(fixture, draft, ""));
    return draft;
}

static void commit_one(struct fixture *fixture, struct store *store, const char *key,
                       const char *value)
{
    struct store_draft *draft = draft_of(fixture, store, key, value);

    assert_int_equal(store_commit(store, &draft, &fixture->err), MX_OK);
    assert_null(draft);
}

static void assert_value(const struct store_view *view, const char *key, const char *expected)
{
    struct slice value;

    if (expected == NULL) {
        assert_false(store_get(view, text(key), &value));
        return;
    }
    assert_true(store_get(view, text(key), &value));
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.data, expected, value.len);
}

static void assert_newest(struct store *store, const char *key, const char *expected)
{
    struct store_snapshot *snapshot = store_acquire(store);

    assert_value(store_snapshot_view(snapshot), key, expected);
    store_release(store, snapshot);
}

static uint64_t newest_revision(struct store *store)
{
    struct store_snapshot *snapshot = store_acquire(store);
    uint64_t revision = store_snapshot_revision(snapshot);

    store_release(store, snapshot);
    return revision;
}

/* ------------------------------------------------------------------ versions */

static void an_empty_store_is_at_revision_zero(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(newest_revision(fixture->store), 0);
    assert_newest(fixture->store, "k", NULL);
    assert_int_equal(store_memory(fixture->store), 0);
}

static void a_pinned_snapshot_does_not_see_a_later_commit(void **state)
{
    struct fixture *fixture = *state;
    struct store_snapshot *snapshot;

    commit_one(fixture, fixture->store, "k", "one");
    snapshot = store_acquire(fixture->store);
    commit_one(fixture, fixture->store, "k", "two");
    commit_one(fixture, fixture->store, "l", "three");
    assert_value(store_snapshot_view(snapshot), "k", "one");
    assert_value(store_snapshot_view(snapshot), "l", NULL);
    assert_int_equal(store_snapshot_revision(snapshot), 1);
    assert_newest(fixture->store, "k", "two");
    assert_int_equal(newest_revision(fixture->store), 3);
    store_release(fixture->store, snapshot);
}

static void a_second_pin_outlives_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct store_snapshot *snapshot;

    commit_one(fixture, fixture->store, "k", "one");
    snapshot = store_acquire(fixture->store);
    assert_ptr_equal(store_snapshot_pin(snapshot), snapshot);
    store_release(fixture->store, snapshot);
    commit_one(fixture, fixture->store, "k", "two");
    store_reclaim(fixture->store);
    assert_value(store_snapshot_view(snapshot), "k", "one");
    store_release(fixture->store, snapshot);
}

static void a_draft_is_seen_by_nobody_before_its_commit(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "k", "v");

    assert_value(store_draft_view(draft), "k", "v");
    assert_newest(fixture->store, "k", NULL);
    assert_int_equal(backend_memory_commit_count(fixture->backend), 0);
    store_abort(&draft);
    assert_null(draft);
    assert_newest(fixture->store, "k", NULL);
    assert_int_equal(store_memory(fixture->store), 0);
}

static void a_sealed_draft_is_where_the_next_one_starts(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *first = draft_of(fixture, fixture->store, "k", "one");
    struct store_draft *second;

    store_seal(first);
    second = draft_of(fixture, fixture->store, "l", "two");
    assert_value(store_draft_view(second), "k", "one");
    assert_newest(fixture->store, "k", NULL);
    assert_int_equal(store_make_durable(first, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "one"); /* at once, though its end is still to come */
    assert_newest(fixture->store, "l", NULL);
    store_seal(second);
    store_end(&first);
    assert_null(first);
    assert_int_equal(store_make_durable(second, &fixture->err), MX_OK);
    store_end(&second);
    assert_newest(fixture->store, "k", "one");
    assert_newest(fixture->store, "l", "two");
    assert_int_equal(newest_revision(fixture->store), 2);
}

static void what_was_built_on_a_commit_that_failed_is_undone_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *first;
    struct store_draft *second;
    size_t memory;

    commit_one(fixture, fixture->store, "k", "zero");
    memory = store_memory(fixture->store);
    first = draft_of(fixture, fixture->store, "k", "one");
    store_seal(first);
    second = draft_of(fixture, fixture->store, "k", "two");
    backend_memory_set_fate(fixture->backend, FATE_FAILED);
    assert_int_equal(store_make_durable(first, &fixture->err), MX_INTERNAL);
    store_abort(&second);
    store_end(&first);
    assert_newest(fixture->store, "k", "zero");
    assert_int_equal(newest_revision(fixture->store), 1);
    assert_int_equal(store_memory(fixture->store), memory);
    commit_one(fixture, fixture->store, "k", "three");
    assert_int_equal(newest_revision(fixture->store), 2);
}

/* Readers of all three versions, while two of them have not ended yet. */
static void a_pin_of_a_draft_that_has_not_ended_is_a_pin(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *first = draft_of(fixture, fixture->store, "k", "one");
    struct store_draft *second;
    struct store_snapshot *pinned;

    store_seal(first);
    assert_int_equal(store_make_durable(first, &fixture->err), MX_OK);
    pinned = store_acquire(fixture->store);
    second = draft_of(fixture, fixture->store, "k", "two");
    store_seal(second);
    assert_int_equal(store_make_durable(second, &fixture->err), MX_OK);
    store_end(&first);
    store_end(&second);
    store_reclaim(fixture->store);
    assert_value(store_snapshot_view(pinned), "k", "one");
    assert_newest(fixture->store, "k", "two");
    store_release(fixture->store, pinned);
}

static void a_long_pin_retains_only_what_it_sees(void **state)
{
    struct fixture *fixture = *state;
    struct store_snapshot *snapshot;
    size_t memory;

    commit_one(fixture, fixture->store, "k", "first");
    snapshot = store_acquire(fixture->store);
    commit_one(fixture, fixture->store, "k", "again");
    memory = store_memory(fixture->store);
    for (int i = 0; i < 50; i++) {
        commit_one(fixture, fixture->store, "k", i % 2 == 0 ? "other" : "again");
    }
    assert_int_equal(store_memory(fixture->store), memory);
    store_release(fixture->store, snapshot);
    store_reclaim(fixture->store);
    assert_true(store_memory(fixture->store) < memory);
}

/* ------------------------------------------------------------------- requests */

static void a_rolled_back_request_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "k", "v");

    assert_int_equal(store_draft_revision(draft), 2);
    store_request_begin(draft);
    put(fixture, draft, "k", "changed");
    put(fixture, draft, "l", "new");
    store_request_rollback(draft);
    store_request_begin(draft);
    put(fixture, draft, "m", "kept");
    assert_true(keep(fixture, draft, ""));
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "v");
    assert_newest(fixture->store, "l", NULL);
    assert_newest(fixture->store, "m", "kept");
    assert_int_equal(newest_revision(fixture->store), 2);
}

static void assert_edit(struct store_draft *draft, size_t index, const char *key,
                        const char *before, const char *after)
{
    struct backend_edit edit;

    assert_true(store_request_edit(draft, index, &edit));
    assert_int_equal(edit.key_len, strlen(key));
    assert_memory_equal(edit.key, key, edit.key_len);
    assert_int_equal(edit.before == NULL, before == NULL);
    assert_int_equal(edit.after == NULL, after == NULL);
    if (before != NULL) {
        assert_int_equal(edit.before_len, strlen(before));
        assert_memory_equal(edit.before, before, edit.before_len);
    }
    if (after != NULL) {
        assert_int_equal(edit.after_len, strlen(after));
        assert_memory_equal(edit.after, after, edit.after_len);
    }
}

static void a_request_tells_its_edits_once_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct backend_edit edit;

    store_request_begin(draft);
    put(fixture, draft, "changed", "1");
    put(fixture, draft, "removed", "1");
    put(fixture, draft, "same", "1");
    assert_true(keep(fixture, draft, ""));
    store_request_begin(draft);
    put(fixture, draft, "zz", "new");
    remove_key(fixture, draft, "removed");
    put(fixture, draft, "changed", "2");
    put(fixture, draft, "changed", "3");
    put(fixture, draft, "brief", "x");
    remove_key(fixture, draft, "brief");
    remove_key(fixture, draft, "same");
    put(fixture, draft, "same", "1");
    put(fixture, draft, "a", "");
    assert_int_equal(store_put_derived(draft, text("index"), text("x"), &fixture->err), MX_OK);
    assert_edit(draft, 0, "a", NULL, "");
    assert_edit(draft, 1, "changed", "1", "3");
    assert_edit(draft, 2, "removed", "1", NULL);
    assert_edit(draft, 3, "zz", NULL, "new");
    assert_false(store_request_edit(draft, 4, &edit));
    remove_key(fixture, draft, "zz");
    assert_false(store_request_edit(draft, 3, &edit));
    assert_true(keep(fixture, draft, ""));
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_int_equal(backend_memory_record_count(fixture->backend), 3);
}

/* Gone and come back as the other kind: only the durable one is an edit. */
static void an_entry_that_comes_back_as_the_other_kind_is_told_right(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "x", "1");
    struct mx_error *err = &fixture->err;
    struct backend_edit edit;

    store_request_begin(draft);
    assert_int_equal(store_put_derived(draft, text("y"), text("1"), err), MX_OK);
    put(fixture, draft, "z", "1");
    assert_true(keep(fixture, draft, ""));
    store_request_begin(draft);
    remove_key(fixture, draft, "x");
    assert_int_equal(store_put_derived(draft, text("x"), text("2"), err), MX_OK);
    assert_int_equal(store_delete_derived(draft, text("y"), err), MX_OK);
    put(fixture, draft, "y", "2");
    assert_edit(draft, 0, "x", "1", NULL);
    assert_edit(draft, 1, "y", NULL, "2");
    assert_false(store_request_edit(draft, 2, &edit));
    store_request_rollback(draft);
    store_abort(&draft);
}

/* ----------------------------------------------------------------- savepoints */

static void a_request_goes_back_to_a_savepoint_exactly(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "old", "1");
    struct store_savepoint savepoint;
    struct backend_edit edit;
    size_t memory;

    store_request_begin(draft);
    put(fixture, draft, "old", "2");
    put(fixture, draft, "new", "1");
    store_savepoint_set(draft, &savepoint);
    memory = store_memory(fixture->store);
    put(fixture, draft, "old", "3");
    remove_key(fixture, draft, "new");
    put(fixture, draft, "later", "1");
    store_savepoint_rollback(draft, &savepoint);
    assert_int_equal(store_memory(fixture->store), memory);
    assert_edit(draft, 0, "new", NULL, "1");
    assert_edit(draft, 1, "old", "1", "2");
    assert_false(store_request_edit(draft, 2, &edit));
    assert_value(store_draft_view(draft), "later", NULL);
    assert_true(keep(fixture, draft, ""));
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "old", "2");
    assert_newest(fixture->store, "new", "1");
    assert_newest(fixture->store, "later", NULL);
}

/* What came after a savepoint and is kept is told as a part of the whole request. */
static void edits_are_told_across_savepoints(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "old", "1");
    struct store_savepoint savepoint;
    struct backend_edit edit;

    store_request_begin(draft);
    put(fixture, draft, "old", "2");
    put(fixture, draft, "brief", "1");
    put(fixture, draft, "twice", "1");
    put(fixture, draft, "untouched", "1");
    store_savepoint_set(draft, &savepoint);
    put(fixture, draft, "old", "3");
    remove_key(fixture, draft, "brief");
    put(fixture, draft, "twice", "2");
    store_savepoint_set(draft, &savepoint);
    put(fixture, draft, "twice", "3");
    assert_edit(draft, 0, "old", "1", "3");
    assert_edit(draft, 1, "twice", NULL, "3");
    assert_edit(draft, 2, "untouched", NULL, "1");
    assert_false(store_request_edit(draft, 3, &edit));
    put(fixture, draft, "old", "1");
    assert_edit(draft, 0, "twice", NULL, "3");
    assert_true(keep(fixture, draft, ""));
    assert_int_equal(store_draft_revision(draft), 3);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "twice", "3");
}

static void savepoints_nest_and_stay_good_when_gone_back_to(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct store_savepoint outer;
    struct store_savepoint inner;

    store_request_begin(draft);
    put(fixture, draft, "k", "0");
    store_savepoint_set(draft, &outer);
    put(fixture, draft, "k", "1");
    store_savepoint_set(draft, &inner);
    for (int i = 0; i < 3; i++) {
        put(fixture, draft, "k", "2");
        put(fixture, draft, "l", "2");
        store_savepoint_rollback(draft, &inner);
        assert_value(store_draft_view(draft), "k", "1");
        assert_value(store_draft_view(draft), "l", NULL);
    }
    put(fixture, draft, "k", "3");
    store_savepoint_rollback(draft, &outer);
    assert_value(store_draft_view(draft), "k", "0");
    put(fixture, draft, "k", "4");
    store_savepoint_rollback(draft, &outer);
    assert_value(store_draft_view(draft), "k", "0");
    store_request_rollback(draft);
    assert_value(store_draft_view(draft), "k", NULL);
    assert_int_equal(store_memory(fixture->store), 0);
    store_abort(&draft);
}

/* An answer may point to what a later part of the request replaces. */
static void what_was_there_at_a_savepoint_outlives_its_replacement(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct store_savepoint savepoint;
    struct slice value;

    store_request_begin(draft);
    put(fixture, draft, "k", "first");
    assert_true(store_get(store_draft_view(draft), text("k"), &value));
    store_savepoint_set(draft, &savepoint);
    put(fixture, draft, "k", "other");
    assert_memory_equal(value.data, "first", 5);
    store_savepoint_set(draft, &savepoint);
    remove_key(fixture, draft, "k");
    store_savepoint_rollback(draft, &savepoint);
    assert_memory_equal(value.data, "first", 5);
    store_abort(&draft);
}

static void a_request_that_went_back_to_its_begin_changed_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "k", "v");
    struct store_savepoint savepoint;

    store_request_begin(draft);
    store_savepoint_set(draft, &savepoint);
    put(fixture, draft, "k", "changed");
    store_savepoint_rollback(draft, &savepoint);
    assert_false(keep(fixture, draft, ""));
    assert_int_equal(store_draft_revision(draft), 2);
    store_abort(&draft);
    assert_int_equal(store_memory(fixture->store), 0);
}

static void a_request_that_changes_nothing_takes_no_revision(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft;
    size_t commits;

    commit_one(fixture, fixture->store, "k", "v");
    commits = backend_memory_commit_count(fixture->backend);
    draft = store_begin(fixture->store);
    store_request_begin(draft);
    put(fixture, draft, "k", "w");
    put(fixture, draft, "k", "v");
    assert_int_equal(store_put_derived(draft, text("~"), text("stray"), &fixture->err), MX_OK);
    assert_false(keep(fixture, draft, ""));
    assert_value(store_draft_view(draft), "~", NULL);
    assert_int_equal(store_draft_requests(draft), 0);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_int_equal(newest_revision(fixture->store), 1);
    assert_int_equal(backend_memory_commit_count(fixture->backend), commits);
}

static void a_named_request_is_remembered_even_if_it_changed_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct backend_found found;
    enum backend_result result;

    store_request_begin(draft);
    assert_false(keep(fixture, draft, "name"));
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_int_equal(newest_revision(fixture->store), 0);
    result = fixture->backend->ops->find(fixture->backend, (const uint8_t *) "name", 4, &found,
                                         &fixture->err);
    assert_int_equal(result, BACKEND_OK);
    assert_int_equal(found.revision, 0);
    assert_int_equal(found.digest[1], 2);
    assert_int_equal(found.answer_len, 6);
    assert_memory_equal(found.answer, "answer", 6);
    free(found.answer);
}

static void a_name_is_good_for_one_request_of_a_group(void **state)
{
    static const uint8_t digest[DIGEST_SIZE];
    struct fixture *fixture = *state;
    struct store_request request = { .id = text("name"), .digest = slice_of(digest, DIGEST_SIZE) };
    struct store_draft *draft = store_begin(fixture->store);
    bool changed;

    store_request_begin(draft);
    put(fixture, draft, "k", "v");
    assert_true(keep(fixture, draft, "name"));
    store_request_begin(draft);
    put(fixture, draft, "k", "again");
    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err),
                     MX_ALREADY_EXISTS);
    store_request_rollback(draft);
    store_request_begin(draft);
    assert_false(keep(fixture, draft, "other"));
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "v");
}

static void what_is_too_long_is_refused_by_its_size(void **state)
{
    static uint8_t long_key[STORE_KEY_MAX + 1];
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct store_request request = { .id = slice_of(long_key, BACKEND_REQUEST_ID_MAX + 1) };
    uint8_t *big = calloc(1, STORE_VALUE_MAX + 1);
    bool changed;

    store_request_begin(draft);
    assert_int_equal(
        store_put(draft, slice_of(long_key, STORE_KEY_MAX + 1), text("v"), &fixture->err),
        MX_INVALID_ARGUMENT);
    assert_string_equal(fixture->err.message, "a key of 2049 bytes is longer than 2048");
    assert_int_equal(store_put(draft, text("k"), slice_of(big, STORE_VALUE_MAX + 1), &fixture->err),
                     MX_INVALID_ARGUMENT);
    assert_int_equal(store_put(draft, slice_of(long_key, STORE_KEY_MAX),
                               slice_of(big, STORE_VALUE_MAX), &fixture->err),
                     MX_OK);
    assert_int_equal(store_delete(draft, slice_of(long_key, STORE_KEY_MAX + 1), &fixture->err),
                     MX_OK);
    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err),
                     MX_INVALID_ARGUMENT);
    request.id.len = 4;
    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err),
                     MX_INVALID_ARGUMENT); /* no digest */
    store_request_rollback(draft);
    store_abort(&draft);
    free(big);
}

static void a_key_can_not_change_its_kind(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "durable", "v");
    struct mx_error *err = &fixture->err;

    store_request_begin(draft);
    assert_int_equal(store_put_derived(draft, text("derived"), text("v"), err), MX_OK);
    assert_int_equal(store_put(draft, text("derived"), text("w"), err), MX_INTERNAL);
    assert_int_equal(store_delete(draft, text("derived"), err), MX_INTERNAL);
    assert_int_equal(store_put_derived(draft, text("durable"), text("w"), err), MX_INTERNAL);
    assert_int_equal(store_delete_derived(draft, text("durable"), err), MX_INTERNAL);
    assert_value(store_draft_view(draft), "durable", "v");
    store_request_rollback(draft);
    store_abort(&draft);
}

static void a_group_beyond_the_backends_limits_is_refused_at_keep(void **state)
{
    struct fixture *fixture = *state;
    struct store_request request = { .head = text("head") };
    struct store_draft *draft;
    bool changed;

    backend_memory_set_limits(fixture->backend, 1, 1000);
    draft = draft_of(fixture, fixture->store, "k", "v");
    store_request_begin(draft);
    put(fixture, draft, "l", "v");
    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err),
                     MX_RESOURCE_EXHAUSTED);
    backend_memory_set_limits(fixture->backend, 2, 29);
    assert_int_equal(store_request_keep(draft, &request, &changed, &fixture->err),
                     MX_RESOURCE_EXHAUSTED);
    store_request_rollback(draft);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "v");
    assert_newest(fixture->store, "l", NULL);
}

/* -------------------------------------------------------------------- cursors */

static void assert_walk(const struct store_view *view, const char *prefix, const char *from,
                        bool after, const char *expected)
{
    struct store_cursor cursor;
    struct store_entry entry;
    char seen[64] = "";

    store_cursor_init(&cursor, view, text(prefix), text(from), after);
    while (store_cursor_next(&cursor, &entry)) {
        strncat(seen, (const char *) entry.key.data, entry.key.len);
        strcat(seen, entry.durable ? " " : "~ ");
    }
    assert_string_equal(seen, expected);
    assert_false(store_cursor_next(&cursor, &entry));
}

static void a_cursor_walks_a_prefix_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    const struct store_view *view = store_draft_view(draft);
    static uint8_t long_key[STORE_KEY_MAX + 1];
    struct store_cursor cursor;
    struct store_entry entry;

    store_request_begin(draft);
    put(fixture, draft, "b", "");
    put(fixture, draft, "a2", "");
    put(fixture, draft, "a", "");
    put(fixture, draft, "c", "");
    assert_int_equal(store_put_derived(draft, text("a1"), text(""), &fixture->err), MX_OK);
    assert_walk(view, "", "", false, "a a1~ a2 b c ");
    assert_walk(view, "", "", true, "a a1~ a2 b c ");
    assert_walk(view, "a", "", false, "a a1~ a2 ");
    assert_walk(view, "a", "", true, "a a1~ a2 ");
    assert_walk(view, "a", "a", true, "a1~ a2 ");
    assert_walk(view, "a", "a1", false, "a1~ a2 ");
    assert_walk(view, "a", "a1", true, "a2 ");
    assert_walk(view, "a", "a15", true, "a2 ");
    assert_walk(view, "a", "b", false, "");
    assert_walk(view, "b", "a1", true, "b ");
    assert_walk(view, "d", "", false, "");
    assert_int_equal(store_count(view, text("a")), 3);
    assert_int_equal(store_count(view, text("")), 5);
    memset(long_key, 'b', sizeof(long_key));
    store_cursor_init(&cursor, view, text(""), slice_of(long_key, sizeof(long_key)), false);
    assert_true(store_cursor_next(&cursor, &entry));
    assert_memory_equal(entry.key.data, "c", 1);
    store_cursor_init(&cursor, view, slice_of(long_key, sizeof(long_key)), text(""), false);
    assert_false(store_cursor_next(&cursor, &entry));
    store_request_rollback(draft);
    store_abort(&draft);
}

static void a_walk_may_delete_what_it_meets(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);
    struct store_cursor cursor;
    struct store_entry entry;
    char key[2] = "a";

    store_request_begin(draft);
    for (; key[0] <= 'z'; key[0]++) {
        put(fixture, draft, key, "v");
    }
    store_cursor_init(&cursor, store_draft_view(draft), text(""), text(""), false);
    while (store_cursor_next(&cursor, &entry)) {
        assert_int_equal(store_delete(draft, entry.key, &fixture->err), MX_OK);
    }
    assert_int_equal(store_count(store_draft_view(draft), text("")), 0);
    store_request_rollback(draft);
    store_abort(&draft);
}

/* -------------------------------------------------------------------- commits */

static void a_store_opened_again_has_what_was_committed(void **state)
{
    struct fixture *fixture = *state;
    struct store *again;

    commit_one(fixture, fixture->store, "k", "v");
    commit_one(fixture, fixture->store, "l", "w");
    again = open_store(fixture);
    assert_int_equal(newest_revision(again), 2);
    assert_newest(again, "k", "v");
    assert_newest(again, "~w", "l");
    assert_int_equal(fixture->entries, 2);
    store_close(again);
}

static void an_error_of_the_loader_is_the_error_of_the_open(void **state)
{
    struct fixture *fixture = *state;
    struct store_loader loader = { load_entry, load_edit, fixture };
    struct store *again = NULL;

    commit_one(fixture, fixture->store, "k", "a value that is longer than the test's loader likes");
    assert_int_equal(store_open(fixture->backend, &loader, &again, &fixture->err), MX_DATA_LOSS);
    assert_string_equal(fixture->err.message, "a value of the test is too long");
    assert_null(again);
}

static void a_commit_that_is_certainly_not_applied_changes_nothing(void **state)
{
    static const struct {
        enum memory_fate fate;
        enum mx_code code;
    } rows[] = {
        { FATE_CONFLICT, MX_ABORTED },
        { FATE_REPLAY, MX_ABORTED },
        { FATE_TOO_BIG, MX_RESOURCE_EXHAUSTED },
        { FATE_READ_ONLY, MX_RESOURCE_EXHAUSTED },
        { FATE_FAILED, MX_INTERNAL },
        { FATE_UNKNOWN_LOST, MX_INTERNAL },
    };
    struct fixture *fixture = *state;

    commit_one(fixture, fixture->store, "k", "v");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_draft *draft = draft_of(fixture, fixture->store, "k", "lost");
        size_t memory = store_memory(fixture->store);
        backend_memory_set_fate(fixture->backend, rows[i].fate);
        assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), rows[i].code);
        assert_null(draft);
        assert_newest(fixture->store, "k", "v");
        assert_int_equal(newest_revision(fixture->store), 1);
        assert_true(store_memory(fixture->store) < memory);
        assert_false(store_is_read_only(fixture->store));
    }
    commit_one(fixture, fixture->store, "k", "w");
    assert_newest(fixture->store, "k", "w");
}

static void an_unknown_commit_that_was_applied_is_published(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "k", "v");

    backend_memory_set_fate(fixture->backend, FATE_UNKNOWN_APPLIED);
    backend_memory_set_unreachable(fixture->backend, 2);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "v");
    assert_false(store_is_read_only(fixture->store));
    commit_one(fixture, fixture->store, "k", "w");
}

/* The position can't tell; the request's name can. */
static void an_unknown_commit_that_only_remembers_is_looked_up_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = store_begin(fixture->store);

    store_request_begin(draft);
    assert_false(keep(fixture, draft, "lost"));
    backend_memory_set_fate(fixture->backend, FATE_UNKNOWN_LOST);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_INTERNAL);
    draft = store_begin(fixture->store);
    store_request_begin(draft);
    assert_false(keep(fixture, draft, "applied"));
    backend_memory_set_fate(fixture->backend, FATE_UNKNOWN_APPLIED);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_OK);
}

static void a_commit_whose_fate_stays_unknown_makes_the_store_read_only(void **state)
{
    struct fixture *fixture = *state;
    struct store_draft *draft = draft_of(fixture, fixture->store, "k", "v");
    size_t commits;

    backend_memory_set_fate(fixture->backend, FATE_UNKNOWN_APPLIED);
    backend_memory_set_unreachable(fixture->backend, 1000);
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_UNAVAILABLE);
    assert_true(store_is_read_only(fixture->store));
    assert_newest(fixture->store, "k", NULL);
    commits = backend_memory_commit_count(fixture->backend);
    draft = draft_of(fixture, fixture->store, "l", "v");
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_FAILED_PRECONDITION);
    assert_int_equal(backend_memory_commit_count(fixture->backend), commits);
}

/* --------------------------------------------------------------- catching up */

static void a_store_catches_up_with_another(void **state)
{
    struct fixture *fixture = *state;
    struct store *other = open_store(fixture);
    struct store_draft *draft;

    commit_one(fixture, other, "k", "v");
    commit_one(fixture, other, "k", "w");
    draft = draft_of(fixture, fixture->store, "l", "x");
    assert_int_equal(store_commit(fixture->store, &draft, &fixture->err), MX_ABORTED);
    assert_int_equal(store_catch_up(fixture->store, &fixture->err), MX_OK);
    assert_newest(fixture->store, "k", "w");
    assert_newest(fixture->store, "~v", NULL);
    assert_newest(fixture->store, "~w", "k");
    assert_int_equal(fixture->edits, 2);
    commit_one(fixture, fixture->store, "l", "x");
    assert_int_equal(newest_revision(fixture->store), 3);
    assert_int_equal(store_catch_up(fixture->store, &fixture->err), MX_OK);
    assert_int_equal(newest_revision(fixture->store), 3);
    store_close(other);
}

static void a_store_whose_history_was_trimmed_loads_the_image_again(void **state)
{
    struct fixture *fixture = *state;
    struct store *other;
    struct store_snapshot *snapshot;
    struct store_draft *draft;
    bool more;

    commit_one(fixture, fixture->store, "old", "o");
    commit_one(fixture, fixture->store, "gone", "g");
    snapshot = store_acquire(fixture->store);
    other = open_store(fixture);
    draft = draft_of(fixture, other, "k", "v");
    store_request_begin(draft);
    remove_key(fixture, draft, "gone");
    assert_true(keep(fixture, draft, ""));
    assert_int_equal(store_commit(other, &draft, &fixture->err), MX_OK);
    commit_one(fixture, other, "old", "n");
    assert_int_equal(fixture->backend->ops->trim(fixture->backend, 4, 0, 1000, &more, NULL),
                     BACKEND_OK);
    assert_int_equal(store_catch_up(fixture->store, &fixture->err), MX_OK);
    assert_newest(fixture->store, "gone", NULL);
    assert_newest(fixture->store, "k", "v");
    assert_newest(fixture->store, "old", "n");
    assert_newest(fixture->store, "~n", "old");
    assert_value(store_snapshot_view(snapshot), "old", "o");
    store_release(fixture->store, snapshot);
    store_reclaim(fixture->store);
    store_close(other);
    other = open_store(fixture);
    assert_int_equal(store_memory(fixture->store), store_memory(other));
    commit_one(fixture, fixture->store, "l", "x");
    store_close(other);
}

static void a_damaged_history_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    struct store *other = open_store(fixture);

    commit_one(fixture, other, "k", "v");
    commit_one(fixture, other, "l", "w");
    backend_memory_spoil_history(fixture->backend);
    assert_int_equal(store_catch_up(fixture->store, &fixture->err), MX_DATA_LOSS);
    assert_string_equal(fixture->err.message, "change 2 of the backend's history breaks the chain");
    assert_int_equal(newest_revision(fixture->store), 0);
    assert_int_equal(store_memory(fixture->store), 0);
    store_close(other);
}

/* The chain is right, but the change says that something was there which was not. */
static void a_history_that_does_not_fit_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    const struct backend_ops *ops = fixture->backend->ops;
    struct backend_edit edit = { .key = (const uint8_t *) "k", .key_len = 1 };
    struct backend_request request = { .edits = &edit, .edit_count = 1 };
    struct position head = backend_memory_head(fixture->backend);
    struct buffer change = BUFFER_INIT;
    size_t replay;

    edit.before = (const uint8_t *) "never";
    edit.before_len = 5;
    change_begin(&change, NULL, 0, 1);
    change_put_edit(&change, &edit);
    request.change = change.data;
    request.change_len = change.len;
    assert_int_equal(
        ops->commit(fixture->backend, &head, &request, 1, INT64_MAX, &head, &replay, &fixture->err),
        BACKEND_OK);
    assert_int_equal(store_catch_up(fixture->store, &fixture->err), MX_DATA_LOSS);
    assert_string_equal(fixture->err.message,
                        "change 1 of the backend's history does not fit the one before");
    assert_int_equal(newest_revision(fixture->store), 0);
    buffer_fini(&change);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_is_at_revision_zero),
        TEST(a_pinned_snapshot_does_not_see_a_later_commit),
        TEST(a_second_pin_outlives_the_first),
        TEST(a_draft_is_seen_by_nobody_before_its_commit),
        TEST(a_sealed_draft_is_where_the_next_one_starts),
        TEST(what_was_built_on_a_commit_that_failed_is_undone_with_it),
        TEST(a_pin_of_a_draft_that_has_not_ended_is_a_pin),
        TEST(a_long_pin_retains_only_what_it_sees),
        TEST(a_rolled_back_request_leaves_the_others),
        TEST(a_request_tells_its_edits_once_and_in_order),
        TEST(an_entry_that_comes_back_as_the_other_kind_is_told_right),
        TEST(a_request_goes_back_to_a_savepoint_exactly),
        TEST(edits_are_told_across_savepoints),
        TEST(savepoints_nest_and_stay_good_when_gone_back_to),
        TEST(what_was_there_at_a_savepoint_outlives_its_replacement),
        TEST(a_request_that_went_back_to_its_begin_changed_nothing),
        TEST(a_request_that_changes_nothing_takes_no_revision),
        TEST(a_named_request_is_remembered_even_if_it_changed_nothing),
        TEST(a_name_is_good_for_one_request_of_a_group),
        TEST(what_is_too_long_is_refused_by_its_size),
        TEST(a_key_can_not_change_its_kind),
        TEST(a_group_beyond_the_backends_limits_is_refused_at_keep),
        TEST(a_cursor_walks_a_prefix_in_order),
        TEST(a_walk_may_delete_what_it_meets),
        TEST(a_store_opened_again_has_what_was_committed),
        TEST(an_error_of_the_loader_is_the_error_of_the_open),
        TEST(a_commit_that_is_certainly_not_applied_changes_nothing),
        TEST(an_unknown_commit_that_was_applied_is_published),
        TEST(an_unknown_commit_that_only_remembers_is_looked_up_by_name),
        TEST(a_commit_whose_fate_stays_unknown_makes_the_store_read_only),
        TEST(a_store_catches_up_with_another),
        TEST(a_store_whose_history_was_trimmed_loads_the_image_again),
        TEST(a_damaged_history_is_not_followed),
        TEST(a_history_that_does_not_fit_is_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
