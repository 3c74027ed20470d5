/*
 * The store: an ordered map from byte keys to byte values, in versions.
 *
 * Words:
 *   snapshot   one published version, immutable. Any number of readers pin and
 *              release them in constant time and never wait for a writer at
 *              work. What a snapshot gives out (keys, values) is borrowed from
 *              it and valid while it is pinned.
 *   draft      the next version, private to the one writer until published,
 *              made from the newest snapshot by path copying: a change costs
 *              O(length of key), whatever the map's size.
 *   request    a part of a draft that is kept or rolled back as a whole
 *              (a savepoint); a kept request that changed something durable
 *              is one revision.
 *   view       what can be read: a snapshot or a draft at its present state.
 *   durable    an entry that the backend keeps. The others are *derived*: an
 *              index, made from durable entries by the model, made again at
 *              load and never written anywhere.
 *
 * The order of things, which is the promise: a group of requests is made
 * durable by the backend first and published second; in between only memory is
 * written, so that nothing can fail there. A reader never sees what is not
 * durable, nor half a request.
 *
 * Threads: one writer (store_begin ... store_commit), any number of readers.
 * store_acquire() holds a lock for the copying of a pointer, never while
 * somebody works.
 *
 * The store knows neither protobuf nor SQL.
 */
#pragma once

#include "base/error.h"
#include "store/backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest key. RFC 5321 allows 64 + 1 + 255 bytes for an address; an index may hold two of them. */
#define STORE_KEY_MAX 2048
/* Largest value: a domain or account with all its lists full fits well. */
#define STORE_VALUE_MAX ((size_t) 8 * 1024 * 1024)

struct store;
struct store_snapshot;
struct store_draft;
struct store_view; /* borrowed from a snapshot or a draft, valid as long as that */

/* A borrowed run of bytes; data NULL: absent. */
struct slice {
    const uint8_t *data;
    size_t len;
};

struct store_entry {
    struct slice key;
    struct slice value;
    bool durable;
};

/*
 * Called at open for each durable entry, in order of keys, so that the model adds derived entries
 * to the draft. An error stops the open with it.
 */
struct store_loader {
    enum mx_code (*entry)(void *context, struct store_draft *draft, struct slice key,
                          struct slice value, struct mx_error *err);
    void *context;
};

/*
 * Reads the whole image from the backend (borrowed, outlives the store) and publishes it.
 * MX_DATA_LOSS: what it holds is damaged.
 */
MX_MUST_USE enum mx_code store_open(struct backend *backend, const struct store_loader *loader,
                                    struct store **store_out, struct mx_error *err);

/* All snapshots must have been released, no draft be open. NULL is fine. */
void store_close(struct store *store);

/* ------------------------------------------------------------------ reading */

/* Pins the newest snapshot. Never NULL. */
struct store_snapshot *store_acquire(struct store *store);
/* Another pin of the same snapshot. */
struct store_snapshot *store_snapshot_pin(struct store_snapshot *snapshot);
void store_release(struct store *store, struct store_snapshot *snapshot);

uint64_t store_snapshot_revision(const struct store_snapshot *snapshot);
struct position store_snapshot_position(const struct store_snapshot *snapshot);
const struct store_view *store_snapshot_view(const struct store_snapshot *snapshot);

/* The value under a key; false if there is none. */
bool store_get(const struct store_view *view, struct slice key, struct slice *value_out);

/* How many keys start with the prefix, in O(length of prefix). */
uint64_t store_count(const struct store_view *view, struct slice prefix);

/*
 * Walks keys in byte order, from the first that is >= `from`, or > `from` if `after` is set, as
 * long as they start with `prefix`. A cursor is a value; it holds nothing and needs no end.
 */
struct store_cursor {
    const struct store_view *view;
    uint8_t prefix[STORE_KEY_MAX];
    size_t prefix_len;
    uint8_t from[STORE_KEY_MAX];
    size_t from_len;
    bool after;
};

/* `from` empty: the prefix's first. A `from` that does not start with the prefix is legal. */
void store_cursor_init(struct store_cursor *cursor, const struct store_view *view,
                       struct slice prefix, struct slice from, bool after);
bool store_cursor_next(struct store_cursor *cursor, struct store_entry *entry_out);

/* ------------------------------------------------------------------ writing */

/* The draft of the next version. There is at most one. NULL when out of memory. */
struct store_draft *store_begin(struct store *store);

/* Everything of the draft is undone. Sets the caller's pointer to NULL. NULL is fine. */
void store_abort(struct store_draft **draft);

const struct store_view *store_draft_view(const struct store_draft *draft);

/* The revision that the open request will be, if it is kept. */
uint64_t store_draft_revision(const struct store_draft *draft);

/* Opens a request; put and delete belong to it. One at a time. */
void store_request_begin(struct store_draft *draft);

MX_MUST_USE enum mx_code store_put(struct store_draft *draft, struct slice key, struct slice value,
                                   struct mx_error *err);
/* Deleting what is not there is fine. */
MX_MUST_USE enum mx_code store_delete(struct store_draft *draft, struct slice key,
                                      struct mx_error *err);
/* The same for derived entries. A key is durable or derived for all its life. */
MX_MUST_USE enum mx_code store_put_derived(struct store_draft *draft, struct slice key,
                                           struct slice value, struct mx_error *err);
MX_MUST_USE enum mx_code store_delete_derived(struct store_draft *draft, struct slice key,
                                              struct mx_error *err);

/* What the open request has done so far to durable entries: each key once, in order of keys,
 * without those that ended as they began. Returns false at the end. `index` starts at 0. */
bool store_request_edit(struct store_draft *draft, size_t index, struct backend_edit *edit_out);

/* Undoes the open request. */
void store_request_rollback(struct store_draft *draft);

/* What a kept request is to be remembered as. All borrowed, copied by the call. */
struct store_request {
    /* Who made the change and how, opaque to the store: the head of the change's entry. */
    struct slice head;
    /* Name of the request (principal and id), digest of its content, and the answer to repeat.
     * An empty id: not remembered. */
    struct slice id;
    struct slice digest;
    struct slice answer;
};

/*
 * Keeps the open request. If it changed nothing durable it takes no revision and
 * `*changed_out` is false (and a named request is still remembered, with its answer).
 */
MX_MUST_USE enum mx_code store_request_keep(struct store_draft *draft,
                                            const struct store_request *request, bool *changed_out,
                                            struct mx_error *err);

/*
 * Makes all kept requests durable and publishes them as one new snapshot; ends the draft and sets
 * the caller's pointer to NULL whatever comes out.
 *   MX_OK           durable and visible.
 *   MX_ABORTED      certainly nothing applied: somebody else was first, or a request id is known.
 *                   Catch up (store_catch_up) and do the requests again.
 *   MX_UNAVAILABLE  it can't be known whether it was applied: the store looked and could not find
 *                   out; it is read-only from now on (store_is_read_only).
 *   others          certainly nothing applied.
 * An "unknown" of the backend is looked into here: what turns out to be applied is MX_OK.
 */
MX_MUST_USE enum mx_code store_commit(struct store *store, struct store_draft **draft,
                                      struct mx_error *err);

/* Applies what others have appended to the backend since. Of use with a shared engine. */
MX_MUST_USE enum mx_code store_catch_up(struct store *store, struct mx_error *err);

/* Whether changes are refused since the backend's state can't be known. Any thread. */
bool store_is_read_only(const struct store *store);

/* Frees what no snapshot needs any more. The writer calls it when idle; commits do it anyway. */
void store_reclaim(struct store *store);

/* Memory held for entries of all versions, in bytes, for metrics and tests. */
size_t store_memory(const struct store *store);

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){ (const uint8_t *) data, len };
}
