/* The store and its backend: opening, committing, catching up. */
#include "store/internal.h"

#include "base/clock.h"
#include "store/change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How long an engine may take to make a group durable before it should say what it knows: far more
 * than a disk needs, less than an operator's patience. */
#define COMMIT_DEADLINE_MS 30000
/* How often to look what has become of a commit. What a reopened engine can't say at the third time
 * is for an operator to find out. */
#define SETTLE_TRIES 3
/* Changes asked for at a time when catching up: a bounded step for the backend. */
#define TAIL_STEP 1000

enum mx_code backend_fail(struct mx_error *err, enum mx_code code, const char *verb,
                          enum backend_result result, const struct mx_error *said)
{
    return mx_fail(err, code, "%s: %s%s%s", verb, backend_result_name(result),
                   said->message[0] == '\0' ? "" : ": ", said->message);
}

/* -------------------------------------------------------------------- opening */

/* What the backend's callbacks work on. */
struct intake {
    struct store_draft *draft;
    struct mx_error *err;
    enum mx_code code; /* not MX_OK: why the callback said no more */
    size_t count;
};

/* Gives the recent changes those that catching up has found. */
static void append_followed(struct store *store, struct store_draft *draft)
{
    if (!draft->followed_is_whole) {
        recent_clear(store->recent);
        return;
    }
    while (draft->followed != NULL) {
        struct recent_change *change = draft->followed;

        draft->followed = change->next;
        draft->followed_bytes -= change->len;
        recent_append(store->recent, change);
    }
}

/* Publishes what came from the backend, or undoes it. Ends the draft. */
static void finish_intake(struct store_draft *draft, enum mx_code code)
{
    struct store *store = draft->store;

    if (code != MX_OK) {
        store_abort(&draft);
        return;
    }
    append_followed(store, draft);
    draft->request_open = false;
    store_seal(draft);
    snapshot_publish(store, draft);
    store_end(&draft);
    store_reclaim(store);
}

static struct store *store_create(struct backend *backend, const struct store_loader *loader)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }
    store->backend = backend;
    if (loader != NULL) {
        store->loader = *loader;
    }
    store->current = snapshot_create();
    store->tip = store->current;
    store->last = store->current;
    store->recent = recent_create(RECENT_BYTES_MAX);
    if (store->current == NULL || store->recent == NULL ||
        pthread_mutex_init(&store->current_lock, NULL) != 0) {
        recent_destroy(store->recent);
        free(store->current);
        free(store);
        return NULL;
    }
    return store;
}

enum mx_code store_open(struct backend *backend, const struct store_loader *loader,
                        struct store **store_out, struct mx_error *err)
{
    struct store *store = store_create(backend, loader);
    struct store_draft *draft = store == NULL ? NULL : store_begin(store);
    enum mx_code code;

    if (draft == NULL) {
        store_close(store);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    store_request_begin(draft);
    code = draft_load(draft, err);
    finish_intake(draft, code);
    if (code != MX_OK) {
        store_close(store);
        return code;
    }
    *store_out = store;
    return MX_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    assert(store->draft == NULL);
    store_reclaim(store);
    snapshot_destroy_last(store);
    recent_destroy(store->recent);
    (void) pthread_mutex_destroy(&store->current_lock);
    free(store);
}

struct recent *store_recent(struct store *store)
{
    return store->recent;
}

bool store_is_read_only(const struct store *store)
{
    return atomic_load(&store->read_only);
}

size_t store_memory(const struct store *store)
{
    return cells_used(&store->cells);
}

/* ----------------------------------------------------------------- committing */

static enum mx_code give_up(struct store *store, const struct mx_error *said, struct mx_error *err)
{
    atomic_store(&store->read_only, true);
    return mx_fail(err, MX_UNAVAILABLE,
                   "it is not known whether the change was applied, the store takes no more: %s",
                   said->message);
}

/* Whether the newest position can be had; then the group is applied or not, by where it is. */
static bool look(struct backend *backend, struct position *position_out, struct mx_error *said)
{
    return backend->ops->reopen(backend, said) == BACKEND_OK &&
           backend->ops->barrier(backend, position_out, said) == BACKEND_OK;
}

/* A group that changes nothing does not move the position, but is remembered, or not, as a whole.
 * All requests of such a group are named. */
static bool look_for_request(struct backend *backend, const struct backend_request *request,
                             bool *applied_out, struct mx_error *said)
{
    struct backend_found found = { .answer = NULL };
    enum backend_result result =
        backend->ops->find(backend, request->id, request->id_len, &found, said);

    if (result == BACKEND_OK) {
        free(found.answer);
    }
    *applied_out = result == BACKEND_OK;
    return result == BACKEND_OK || result == BACKEND_ABSENT;
}

/* Whether it can be said what became of the group. */
static bool find_out(const struct store_draft *draft, bool *applied_out, struct mx_error *said)
{
    struct backend *backend = draft->store->backend;
    const struct position *expected = &draft->base->position;
    struct position position;

    if (!look(backend, &position, said)) {
        return false;
    }
    if (position_equal(expected, &draft->position)) {
        return position_equal(&position, expected) &&
               look_for_request(backend, &draft->group.at[0], applied_out, said);
    }
    *applied_out = position_equal(&position, &draft->position);
    return *applied_out || position_equal(&position, expected);
}

/* Of a commit that was not applied. A full disk is no fault of the server. */
static enum mx_code failed_code(const struct mx_error *cause)
{
    return cause->code == MX_RESOURCE_EXHAUSTED ? MX_RESOURCE_EXHAUSTED : MX_INTERNAL;
}

/* The backend does not know whether it has applied the group: look until it does. */
static enum mx_code settle(struct store_draft *draft, const struct mx_error *cause,
                           struct mx_error *err)
{
    struct mx_error said = *cause;
    bool applied = false;

    for (int i = 0; i < SETTLE_TRIES; i++) {
        if (find_out(draft, &applied, &said)) {
            return applied ? MX_OK
                           : mx_fail(err, failed_code(cause),
                                     "commit failed, nothing was applied: %s", cause->message);
        }
    }
    return give_up(draft->store, &said, err);
}

static enum mx_code commit_code(enum backend_result result)
{
    switch (result) {
    case BACKEND_OK:
        return MX_OK;
    case BACKEND_CONFLICT:
    case BACKEND_REPLAY:
        return MX_ABORTED;
    case BACKEND_TOO_BIG:
    case BACKEND_READ_ONLY: /* a full disk, most of the time */
        return MX_RESOURCE_EXHAUSTED;
    case BACKEND_FAILED:
        return MX_INTERNAL;
    case BACKEND_ABSENT:
    case BACKEND_COMPACTED:
    case BACKEND_DIVERGED:
    case BACKEND_CORRUPT:
    case BACKEND_UNKNOWN:
    case BACKEND_UNAVAILABLE:
        break;
    }
    return MX_UNKNOWN; /* also for what is no answer to a commit: it may be applied */
}

static enum backend_result commit_once(const struct store_draft *draft,
                                       struct position *position_out, struct mx_error *said)
{
    struct backend *backend = draft->store->backend;
    size_t replay_index = 0;

    return backend->ops->commit(backend, &draft->base->position, draft->group.at, draft->group.len,
                                clock_mono_ms() + COMMIT_DEADLINE_MS, position_out, &replay_index,
                                said);
}

static bool was_not_applied(const struct store_draft *draft)
{
    struct mx_error said;
    bool applied = false;

    return find_out(draft, &applied, &said) && !applied;
}

static enum mx_code make_durable(struct store_draft *draft, struct mx_error *err)
{
    struct mx_error said = { .message = "" };
    struct position position;
    enum backend_result result;
    enum mx_code code;

    if (store_is_read_only(draft->store)) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "the store takes no changes since an earlier one's fate is unknown");
    }
    result = commit_once(draft, &position, &said);
    if (result == BACKEND_UNAVAILABLE && was_not_applied(draft)) {
        /* An engine that something else had left in doubt is open again: now it can try. */
        result = commit_once(draft, &position, &said);
    }
    code = commit_code(result);
    if (code == MX_UNKNOWN) {
        return settle(draft, &said, err);
    }
    if (code != MX_OK) {
        return backend_fail(err, code, "commit", result, &said);
    }
    if (!position_equal(&position, &draft->position)) {
        (void) mx_fail(&said, MX_INTERNAL, "the backend's position is not the one meant");
        return give_up(draft->store, &said, err);
    }
    return MX_OK;
}

/* What the group's requests have changed is durable: it may be read now. Without memory for one of
 * them the recent changes begin anew. */
static void append_group(struct store *store, const struct store_draft *draft)
{
    uint64_t revision = draft->base->position.revision;

    for (size_t i = 0; i < draft->group.len; i++) {
        const struct backend_request *request = &draft->group.at[i];

        if (request->change_len > 0) {
            revision++;
            /* One that would not be kept need not be copied. */
            recent_append(store->recent, request->change_len > RECENT_BYTES_MAX
                                             ? NULL
                                             : recent_change_create(revision, request->change,
                                                                    request->change_len));
        }
    }
}

enum mx_code store_make_durable(struct store_draft *draft, struct mx_error *err)
{
    enum mx_code code = draft->group.len > 0 ? make_durable(draft, err) : MX_OK;

    if (code == MX_OK) {
        /* From here on nothing can fail. */
        append_group(draft->store, draft);
        snapshot_publish(draft->store, draft);
    }
    return code;
}

void store_seal(struct store_draft *draft)
{
    assert(draft->store->draft == draft && !draft->request_open);
    snapshot_seal(draft->store, draft);
    draft->store->draft = NULL;
}

void store_end(struct store_draft **draft)
{
    struct store_draft *group = *draft;
    struct store *store = group->store;

    *draft = NULL;
    if (group->is_durable) {
        snapshot_link(store, group);
    } else {
        snapshot_unseal(store, group);
        draft_undo(group);
    }
    draft_destroy(group);
}

enum mx_code store_commit(struct store *store, struct store_draft **draft, struct mx_error *err)
{
    enum mx_code code;

    assert((*draft)->store == store);
    store_seal(*draft);
    code = store_make_durable(*draft, err);
    store_end(draft);
    store_reclaim(store);
    return code;
}

/* ---------------------------------------------------------------- catching up */

static enum mx_code damaged(struct mx_error *err, uint64_t revision, const char *what)
{
    return mx_fail(err, MX_DATA_LOSS, "change %llu of the backend's history %s",
                   (unsigned long long) revision, what);
}

/* The edit says what was there before; it must have been. */
static bool edit_fits(const struct store_draft *draft, const struct backend_edit *edit)
{
    struct slice value;

    if (!store_get(&draft->view, slice_of(edit->key, edit->key_len), &value)) {
        return edit->before == NULL;
    }
    return edit->before != NULL && value.len == edit->before_len &&
           memcmp(value.data, edit->before, value.len) == 0;
}

static enum mx_code apply_edit(struct store_draft *draft, const struct backend_edit *edit,
                               struct mx_error *err)
{
    const struct store_loader *loader = &draft->store->loader;
    struct slice key = slice_of(edit->key, edit->key_len);
    enum mx_code code;

    if (!edit_fits(draft, edit)) {
        return damaged(err, draft->position.revision + 1, "does not fit the one before");
    }
    if (edit->after == NULL) {
        code = draft_delete(draft, key, true, err);
    } else {
        code = draft_put(draft, key, slice_of(edit->after, edit->after_len), true, err);
    }
    if (code == MX_OK && loader->edit != NULL) {
        code = loader->edit(loader->context, draft, edit, err);
    }
    return code;
}

static enum mx_code apply_change(struct store_draft *draft, const struct position *position,
                                 const uint8_t *change, size_t change_len, struct mx_error *err)
{
    struct position next = position_next(&draft->position, change, change_len);
    struct change_reader reader;
    struct backend_edit edit;
    enum mx_code code = MX_OK;
    int more;

    if (!position_equal(&next, position)) {
        return damaged(err, next.revision, "breaks the chain");
    }
    if (!change_open(&reader, change, change_len)) {
        return damaged(err, next.revision, "can't be read");
    }
    do {
        more = change_next(&reader, &edit);
        if (more > 0) {
            code = apply_edit(draft, &edit, err);
        }
    } while (more > 0 && code == MX_OK);
    if (more < 0) {
        return damaged(err, next.revision, "can't be read to its end");
    }
    draft->position = next;
    return code;
}

static void remember(struct store_draft *draft, uint64_t revision, const uint8_t *bytes, size_t len)
{
    struct recent_change *change =
        draft->followed_is_whole ? recent_change_create(revision, bytes, len) : NULL;

    if (change == NULL) {
        draft->followed_is_whole = false;
        return;
    }
    *draft->followed_end = change;
    draft->followed_end = &change->next;
    draft->followed_bytes += len;
    draft_forget_followed(draft, RECENT_BYTES_MAX);
}

static bool take_change(void *context, const struct position *position, const uint8_t *change,
                        size_t change_len, int64_t time_us)
{
    struct intake *intake = context;

    (void) time_us;
    intake->code = apply_change(intake->draft, position, change, change_len, intake->err);
    intake->count++;
    if (intake->code == MX_OK) {
        remember(intake->draft, position->revision, change, change_len);
    }
    return intake->code == MX_OK;
}

/* Follows the history to its end. `*compacted_out`: it was trimmed, nothing is certain. */
static enum mx_code follow(struct store_draft *draft, bool *compacted_out, struct mx_error *err)
{
    struct backend *backend = draft->store->backend;
    struct intake intake = { draft, err, MX_OK, 0 };
    struct mx_error said = { .message = "" };
    enum backend_result result = BACKEND_OK;
    uint64_t floor;

    do {
        struct position after = draft->position;
        intake.count = 0;
        result =
            backend->ops->tail(backend, &after, TAIL_STEP, take_change, &intake, &floor, &said);
    } while (result == BACKEND_OK && intake.code == MX_OK && intake.count == TAIL_STEP);
    *compacted_out = result == BACKEND_COMPACTED;
    if (intake.code != MX_OK) {
        return intake.code;
    }
    if (result == BACKEND_DIVERGED || result == BACKEND_CORRUPT) {
        return backend_fail(err, MX_DATA_LOSS, "tail", result, &said);
    }
    if (result != BACKEND_OK && result != BACKEND_COMPACTED) {
        return backend_fail(err, MX_UNAVAILABLE, "tail", result, &said);
    }
    return MX_OK;
}

/* Reads the whole image in place of what the draft has. */
static enum mx_code load_again(struct store_draft *draft, struct mx_error *err)
{
    draft->followed_is_whole = false;
    store_request_rollback(draft);
    store_request_begin(draft);
    if (!trie_clear(&draft->trie)) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    return draft_load(draft, err);
}

enum mx_code store_catch_up(struct store *store, struct mx_error *err)
{
    struct store_draft *draft = store_begin(store);
    bool compacted;
    enum mx_code code;

    if (draft == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    store_request_begin(draft);
    code = follow(draft, &compacted, err);
    if (code == MX_OK && compacted) {
        code = load_again(draft, err);
    }
    if (code == MX_OK && position_equal(&draft->position, &draft->base->position)) {
        store_abort(&draft);
        return MX_OK;
    }
    finish_intake(draft, code);
    return code;
}
