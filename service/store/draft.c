/* The next version: its requests, what they change, and how they are kept. */
#include "store/internal.h"

#include "base/clock.h"
#include "store/change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum mx_code no_memory(struct mx_error *err)
{
    return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
}

/* -------------------------------------------------------------- begin and end */

struct store_draft *store_begin(struct store *store)
{
    struct store_draft *draft = calloc(1, sizeof(*draft));

    assert(store->draft == NULL);
    if (draft == NULL) {
        return NULL;
    }
    draft->store = store;
    draft->followed_end = &draft->followed;
    draft->followed_is_whole = true;
    draft->next = snapshot_create();
    draft->group.arena = arena_create(SIZE_MAX); /* bounded by the backend's limits, in keep */
    if (draft->next == NULL || draft->group.arena == NULL) {
        draft_destroy(draft);
        return NULL;
    }
    draft->base = store->tip; /* freed by the writer only, and that is us: no pin */
    draft->position = draft->base->position;
    draft->trie.root = draft->base->root;
    draft->trie.cells = &store->cells;
    draft->view.root = &draft->trie.root;
    store->draft = draft;
    return draft;
}

void draft_forget_followed(struct store_draft *draft, size_t bytes)
{
    while (draft->followed != NULL && draft->followed_bytes > bytes) {
        struct recent_change *oldest = draft->followed;

        draft->followed = oldest->next;
        if (draft->followed == NULL) {
            draft->followed_end = &draft->followed;
        }
        draft->followed_bytes -= oldest->len;
        recent_change_release(oldest);
    }
}

void draft_destroy(struct store_draft *draft)
{
    if (draft->store->draft == draft) {
        draft->store->draft = NULL;
    }
    draft_forget_followed(draft, 0);
    trie_nodes_fini(&draft->trie.dead);
    arena_destroy(draft->group.arena);
    buffer_fini(&draft->change);
    free(draft->group.at);
    free(draft->edits.at);
    free(draft->next);
    free(draft);
}

void draft_undo(struct store_draft *draft)
{
    trie_rollback(&draft->trie, draft->base->root, 0, draft->base->generation + 1);
}

void store_abort(struct store_draft **draft)
{
    struct store_draft *gone = *draft;

    if (gone == NULL) {
        return;
    }
    *draft = NULL;
    draft_undo(gone);
    draft_destroy(gone);
}

const struct store_view *store_draft_view(const struct store_draft *draft)
{
    return &draft->view;
}

uint64_t store_draft_revision(const struct store_draft *draft)
{
    return draft->position.revision + 1;
}

size_t store_draft_requests(const struct store_draft *draft)
{
    return draft->group.len;
}

/* ------------------------------------------------------------------- requests */

void store_request_begin(struct store_draft *draft)
{
    assert(!draft->request_open);
    draft->request_open = true;
    draft->request_root = draft->trie.root;
    draft->request_dead_len = draft->trie.dead.len;
    draft->trie.generation = ++draft->store->generation;
    draft->request_generation = draft->trie.generation;
    draft->edits.changes = 0;
    draft->edits.collected = false;
}

void store_request_rollback(struct store_draft *draft)
{
    assert(draft->request_open);
    trie_rollback(&draft->trie, draft->request_root, draft->request_dead_len,
                  draft->request_generation);
    draft->request_open = false;
}

/*
 * A savepoint opens a generation of its own, so that what the request did before it is no longer
 * young and thus copied, not changed in place: it is all there to go back to.
 */
void store_savepoint_set(struct store_draft *draft, struct store_savepoint *savepoint_out)
{
    assert(draft->request_open);
    draft->trie.generation = ++draft->store->generation;
    *savepoint_out = (struct store_savepoint){
        .root = draft->trie.root,
        .dead_len = draft->trie.dead.len,
        .changes = draft->edits.changes,
        .generation = draft->trie.generation,
    };
}

/* The open generation may be a later one than the savepoint's: nothing of it is left. */
void store_savepoint_rollback(struct store_draft *draft, const struct store_savepoint *savepoint)
{
    assert(draft->request_open && savepoint->generation >= draft->request_generation);
    trie_rollback(&draft->trie, savepoint->root, savepoint->dead_len, savepoint->generation);
    draft->edits.changes = savepoint->changes;
    draft->edits.collected = false;
}

/* ------------------------------------------------------------------- changing */

enum mx_code entry_check_size(struct slice key, struct slice value, struct mx_error *err)
{
    if (key.len > STORE_KEY_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "a key of %zu bytes is longer than %d", key.len,
                       STORE_KEY_MAX);
    }
    if (value.len > STORE_VALUE_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "a value of %zu bytes is larger than %zu",
                       value.len, STORE_VALUE_MAX);
    }
    return MX_OK;
}

/* A key is of one kind as long as it is there. */
static enum mx_code check_kind(struct store_draft *draft, struct slice key, bool durable,
                               struct mx_error *err)
{
    const struct trie_leaf *leaf = trie_find(draft->trie.root, key);

    if (leaf == NULL || trie_leaf_durable(leaf) == durable) {
        return MX_OK;
    }
    return mx_fail(err, MX_INTERNAL, "a %s entry was to be changed as a %s one",
                   durable ? "derived" : "durable", durable ? "durable" : "derived");
}

enum mx_code draft_put(struct store_draft *draft, struct slice key, struct slice value,
                       bool durable, struct mx_error *err)
{
    enum mx_code code = entry_check_size(key, value, err);

    assert(draft->request_open);
    if (code == MX_OK) {
        code = check_kind(draft, key, durable, err);
    }
    if (code != MX_OK) {
        return code;
    }
    if (trie_put(&draft->trie, key, value, durable) == TRIE_NO_MEMORY) {
        return no_memory(err);
    }
    return MX_OK;
}

enum mx_code draft_delete(struct store_draft *draft, struct slice key, bool durable,
                          struct mx_error *err)
{
    enum mx_code code = check_kind(draft, key, durable, err);

    assert(draft->request_open);
    if (code != MX_OK) {
        return code;
    }
    if (trie_delete(&draft->trie, key) == TRIE_NO_MEMORY) {
        return no_memory(err);
    }
    return MX_OK;
}

/* Makes room for the edit that one more change may lead to. */
static enum mx_code note_change(struct edit_list *edits, struct mx_error *err)
{
    edits->collected = false;
    if (edits->changes == edits->capacity) {
        size_t capacity = edits->capacity == 0 ? 16 : edits->capacity * 2;
        struct backend_edit *at = realloc(edits->at, capacity * sizeof(*at));
        if (at == NULL) {
            return no_memory(err);
        }
        edits->at = at;
        edits->capacity = capacity;
    }
    edits->changes++;
    return MX_OK;
}

enum mx_code store_put(struct store_draft *draft, struct slice key, struct slice value,
                       struct mx_error *err)
{
    enum mx_code code = note_change(&draft->edits, err);

    return code == MX_OK ? draft_put(draft, key, value, true, err) : code;
}

enum mx_code store_delete(struct store_draft *draft, struct slice key, struct mx_error *err)
{
    enum mx_code code = note_change(&draft->edits, err);

    return code == MX_OK ? draft_delete(draft, key, true, err) : code;
}

enum mx_code store_put_derived(struct store_draft *draft, struct slice key, struct slice value,
                               struct mx_error *err)
{
    return draft_put(draft, key, value, false, err);
}

enum mx_code store_delete_derived(struct store_draft *draft, struct slice key, struct mx_error *err)
{
    return draft_delete(draft, key, false, err);
}

/* ---------------------------------------------------------------------- edits */

/*
 * They need no bookkeeping: what the request took away is on the list of the dead since it began,
 * and what it brought was born since. What it brought and, after a savepoint, took away again is on
 * the list too, and is no edit.
 */

/* The value of a durable entry; absent if there is none. */
static struct slice durable_value(const struct trie_node *root, struct slice key)
{
    const struct trie_leaf *leaf = trie_find(root, key);

    return leaf != NULL && trie_leaf_durable(leaf) ? trie_leaf_value(leaf) : slice_of(NULL, 0);
}

static void add_edit(struct edit_list *edits, struct slice key, struct slice before,
                     struct slice after)
{
    assert(edits->len < edits->capacity);
    edits->at[edits->len++] = (struct backend_edit){
        .key = key.data,
        .key_len = key.len,
        .before = before.data,
        .before_len = before.len,
        .after = after.data,
        .after_len = after.len,
    };
}

/* The entry was there before; it may be there still, with another value or the same. */
static void add_if_different(struct store_draft *draft, const struct trie_leaf *leaf)
{
    struct slice key = trie_leaf_key(leaf);
    struct slice before = trie_leaf_value(leaf);
    struct slice after = durable_value(draft->trie.root, key);
    bool same = after.data != NULL && before.len == after.len &&
                memcmp(before.data, after.data, before.len) == 0;

    if (trie_leaf_durable(leaf) && !same) {
        add_edit(&draft->edits, key, before, after);
    }
}

static void add_if_new(void *context, const struct trie_leaf *leaf)
{
    struct store_draft *draft = context;
    struct slice key = trie_leaf_key(leaf);

    if (trie_leaf_durable(leaf) && durable_value(draft->request_root, key).data == NULL) {
        add_edit(&draft->edits, key, slice_of(NULL, 0), trie_leaf_value(leaf));
    }
}

static int compare_edits(const void *one, const void *other)
{
    const struct backend_edit *a = one;
    const struct backend_edit *b = other;

    return slice_compare(slice_of(a->key, a->key_len), slice_of(b->key, b->key_len));
}

static void collect_edits(struct store_draft *draft)
{
    struct edit_list *edits = &draft->edits;

    edits->len = 0;
    edits->collected = true;
    if (edits->changes == 0) {
        return;
    }
    for (size_t i = draft->request_dead_len; i < draft->trie.dead.len; i++) {
        const struct trie_leaf *leaf = trie_nodes_leaf(&draft->trie.dead, i);
        if (leaf != NULL && trie_leaf_birth(leaf) < draft->request_generation) {
            add_if_different(draft, leaf);
        }
    }
    trie_each_young(draft->trie.root, draft->request_generation, add_if_new, draft);
    qsort(edits->at, edits->len, sizeof(edits->at[0]), compare_edits);
}

bool store_request_edit(struct store_draft *draft, size_t index, struct backend_edit *edit_out)
{
    assert(draft->request_open);
    if (!draft->edits.collected) {
        collect_edits(draft);
    }
    if (index >= draft->edits.len) {
        return false;
    }
    *edit_out = draft->edits.at[index];
    return true;
}

/* -------------------------------------------------------------------- keeping */

static bool group_has(const struct group *group, struct slice id)
{
    for (size_t i = 0; i < group->len; i++) {
        const struct backend_request *kept = &group->at[i];
        if (kept->id_len == id.len && memcmp(kept->id, id.data, id.len) == 0) {
            return true;
        }
    }
    return false;
}

static enum mx_code check_request(const struct group *group, const struct store_request *request,
                                  struct mx_error *err)
{
    if (request->id.len > BACKEND_REQUEST_ID_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "a request id of %zu bytes is longer than %d",
                       request->id.len, BACKEND_REQUEST_ID_MAX);
    }
    if (request->id.len > 0 && request->digest.len != DIGEST_SIZE) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "a request's digest has %zu bytes instead of %d",
                       request->digest.len, DIGEST_SIZE);
    }
    if (request->id.len > 0 && group_has(group, request->id)) {
        /* The backend would refuse the whole group for it. */
        return mx_fail(err, MX_ALREADY_EXISTS, "a request with this id waits for the same commit");
    }
    return MX_OK;
}

/* Leaves the packed change in draft->change: empty if nothing changed. */
static enum mx_code pack_change(struct store_draft *draft, struct slice head, struct mx_error *err)
{
    const struct edit_list *edits = &draft->edits;

    if (!edits->collected) {
        collect_edits(draft);
    }
    buffer_clear(&draft->change);
    if (edits->len == 0) {
        return MX_OK;
    }
    change_begin(&draft->change, head.data, head.len, edits->len);
    for (size_t i = 0; i < edits->len; i++) {
        change_put_edit(&draft->change, &edits->at[i]);
    }
    return buffer_failed(&draft->change) ? no_memory(err) : MX_OK;
}

static enum mx_code check_limits(const struct store_draft *draft, size_t bytes,
                                 struct mx_error *err)
{
    struct backend *backend = draft->store->backend;
    struct backend_limits limits;
    size_t bytes_max;

    backend->ops->limits(backend, &limits);
    bytes_max = limits.commit_bytes_max;
    if (draft->group.len == 0 && limits.alone_bytes_max > bytes_max) {
        bytes_max = limits.alone_bytes_max;
    }
    if (draft->group.len >= limits.commit_requests_max) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "one commit takes at most %zu requests",
                       limits.commit_requests_max);
    }
    if (draft->group.bytes > bytes_max || bytes > bytes_max - draft->group.bytes) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED,
                       "a change of %zu bytes, after %zu of the same commit: at most %zu", bytes,
                       draft->group.bytes, bytes_max);
    }
    return MX_OK;
}

static bool group_reserve(struct group *group)
{
    size_t capacity = group->capacity == 0 ? 16 : group->capacity * 2;
    struct backend_request *at;

    if (group->len < group->capacity) {
        return true;
    }
    at = realloc(group->at, capacity * sizeof(*at));
    if (at == NULL) {
        return false;
    }
    group->at = at;
    group->capacity = capacity;
    return true;
}

/* Copies a request into the group's arena. What the edits point to needs no copy: these are nodes
 * of the trie, which live until the draft ends even if a later request replaces them. */
static enum mx_code group_add(struct store_draft *draft, const struct store_request *request,
                              struct mx_error *err)
{
    struct group *group = &draft->group;
    size_t edits_size = draft->edits.len * sizeof(draft->edits.at[0]);
    struct backend_request kept = {
        .id = arena_memdup(group->arena, request->id.data, request->id.len),
        .id_len = request->id.len,
        .answer = arena_memdup(group->arena, request->answer.data, request->answer.len),
        .answer_len = request->answer.len,
        .time_us = clock_wall_us(),
        .change = arena_memdup(group->arena, draft->change.data, draft->change.len),
        .change_len = draft->change.len,
        .edits = arena_memdup(group->arena, draft->edits.at, edits_size),
        .edit_count = draft->edits.len,
    };

    if (kept.id == NULL || kept.answer == NULL || kept.change == NULL || kept.edits == NULL ||
        !group_reserve(group)) {
        return no_memory(err);
    }
    if (request->id.len > 0) {
        memcpy(kept.digest, request->digest.data, DIGEST_SIZE);
    }
    group->at[group->len++] = kept;
    group->bytes += kept.id_len + kept.answer_len + kept.change_len;
    return MX_OK;
}

enum mx_code store_request_keep(struct store_draft *draft, const struct store_request *request,
                                bool *changed_out, struct mx_error *err)
{
    enum mx_code code = check_request(&draft->group, request, err);
    bool changed;

    assert(draft->request_open);
    if (code == MX_OK) {
        code = pack_change(draft, request->head, err);
    }
    changed = code == MX_OK && draft->change.len > 0;
    if (code == MX_OK && (changed || request->id.len > 0)) {
        code = check_limits(draft, request->id.len + request->answer.len + draft->change.len, err);
        if (code == MX_OK) {
            code = group_add(draft, request, err);
        }
    }
    if (code != MX_OK) {
        return code;
    }
    if (changed) {
        draft->position = position_next(&draft->position, draft->change.data, draft->change.len);
        draft->request_open = false;
    } else {
        store_request_rollback(draft);
    }
    *changed_out = changed;
    return MX_OK;
}
