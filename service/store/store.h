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
 *   request    a part of a draft that is kept or rolled back as a whole; a
 *              kept request that changed something durable is one revision.
 *   savepoint  a state of the open request that it can go back to.
 *   view       what can be read: a snapshot or a draft at its present state.
 *   durable    an entry that the backend keeps. The others are *derived*: an
 *              index, made from durable entries by the model, made again at
 *              load and never written anywhere.
 *
 *   sealed     a draft that takes no more requests and waits to be durable. The
 *              next draft starts from it, so that one group of requests is
 *              checked while the one before is being written to the disk.
 *
 * The order of things, which is the promise: a group of requests is made
 * durable by the backend first and published second; in between only memory is
 * written, so that nothing can fail there. A reader never sees what is not
 * durable, nor half a request.
 *
 * Threads: one writer at a time (all that begins, changes, seals and ends
 * drafts), one at a time that makes sealed drafts durable, any number of
 * readers. The two may be the same thread or not, and threads may take turns,
 * each handing on under a lock. store_acquire() holds a lock for the copying of
 * a pointer, never while somebody works.
 *
 * The store knows neither protobuf nor SQL.
 */
#pragma once

#include "base/error.h"
#include "store/backend.h"
#include "store/recent.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Longest key. RFC 5321 allows 64 + 1 + 255 bytes for an address; an index may hold two of them. */
#define STORE_KEY_MAX 2048
/* Largest value: a domain or account with all its lists full fits well. */
#define STORE_VALUE_MAX ((size_t) 8 * 1024 * 1024)

struct store;
struct store_snapshot;
struct store_draft;
struct store_derived; /* where a loader puts derived entries */
struct store_view;    /* borrowed from a snapshot or a draft, valid as long as that */
struct trie_node;     /* within the store only */

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
 * What the model does to derived entries when durable ones come from the backend instead of from
 * itself. Everything is borrowed for the call. An error stops what is going on, and is its error.
 * A function that is NULL has nothing to do.
 */
struct store_loader {
    /* For each entry of an image, in order of keys: names its derived ones (store_derive). On a
     * thread of the store's, while the next entries are being read. */
    enum mx_code (*entry)(void *context, struct store_derived *derived, struct slice key,
                          struct slice value, struct mx_error *err);
    /* For each edit that store_catch_up() finds, in order; the draft has it already. */
    enum mx_code (*edit)(void *context, struct store_draft *draft, const struct backend_edit *edit,
                         struct mx_error *err);
    void *context;
};

/*
 * Reads the whole image from the backend (borrowed, outlives the store) and publishes it.
 * `loader` is copied; NULL: there are no derived entries.
 * MX_DATA_LOSS: what the backend holds is damaged.
 */
MX_MUST_USE enum mx_code store_open(struct backend *backend, const struct store_loader *loader,
                                    struct store **store_out, struct mx_error *err);

/* One derived entry of the entry that the loader was called for; put again, the later one counts.
 */
MX_MUST_USE enum mx_code store_derive(struct store_derived *derived, struct slice key,
                                      struct slice value, struct mx_error *err);

/* All snapshots must have been released, no draft be open or sealed. NULL is fine. */
void store_close(struct store *store);

/* ------------------------------------------------------------------ reading */

/* Pins the newest snapshot. Never NULL. */
struct store_snapshot *store_acquire(struct store *store);
/* Another pin of the same snapshot. */
struct store_snapshot *store_snapshot_pin(struct store_snapshot *snapshot);
void store_release(struct store *store, struct store_snapshot *snapshot);

/* The changes published last; those of a snapshot are there before the snapshot is. Borrowed. */
struct recent *store_recent(struct store *store);

/* Revision of the newest snapshot. */
uint64_t store_revision(struct store *store);

uint64_t store_snapshot_revision(const struct store_snapshot *snapshot);
struct position store_snapshot_position(const struct store_snapshot *snapshot);
const struct store_view *store_snapshot_view(const struct store_snapshot *snapshot);

/* The value under a key; false if there is none. */
bool store_get(const struct store_view *view, struct slice key, struct slice *value_out);

/* How many keys start with the prefix, in O(length of prefix). */
uint64_t store_count(const struct store_view *view, struct slice prefix);

/* A hint, and no more: these few keys or prefixes are looked up next. Waits for their memory all at
 * once, where one lookup after the other would wait for each. */
void store_prefetch(const struct store_view *view, const struct slice *keys, size_t count);

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

/* The draft of the next version, from the newest one sealed or published. At most one is open. NULL
 * when out of memory. */
struct store_draft *store_begin(struct store *store);

/* Everything of the open draft is undone. Sets the caller's pointer to NULL. NULL is fine. */
void store_abort(struct store_draft **draft);

const struct store_view *store_draft_view(const struct store_draft *draft);

/* The revision that the open request will be, if it is kept. */
uint64_t store_draft_revision(const struct store_draft *draft);

/* Opens a request; put and delete belong to it and are legal within one only. One at a time. */
void store_request_begin(struct store_draft *draft);

/*
 * Slices may be borrowed from the draft itself; what is borrowed from the entry that is replaced or
 * removed ends with it. An error leaves the entry as it was; the request can go on or be undone.
 * MX_INVALID_ARGUMENT: beyond STORE_KEY_MAX or STORE_VALUE_MAX.
 */
MX_MUST_USE enum mx_code store_put(struct store_draft *draft, struct slice key, struct slice value,
                                   struct mx_error *err);
/* Deleting what is not there is fine. */
MX_MUST_USE enum mx_code store_delete(struct store_draft *draft, struct slice key,
                                      struct mx_error *err);
/* The same for derived entries. A key is durable or derived as long as it is there; to change or
 * remove it as the other is MX_INTERNAL. */
MX_MUST_USE enum mx_code store_put_derived(struct store_draft *draft, struct slice key,
                                           struct slice value, struct mx_error *err);
MX_MUST_USE enum mx_code store_delete_derived(struct store_draft *draft, struct slice key,
                                              struct mx_error *err);

/* What the open request has done so far to durable entries: each key once, in order of keys,
 * without those that ended as they began. Returns false at the end. `index` starts at 0. */
bool store_request_edit(struct store_draft *draft, size_t index, struct backend_edit *edit_out);

/* Undoes the open request, whatever savepoints it has. */
void store_request_rollback(struct store_draft *draft);

/*
 * A state of the open request to go back to; a value that holds nothing: to keep what came after it
 * is to do nothing. They nest: going back to one ends those set after it, and the one gone back to
 * stays good, as do those before it. All end with the request.
 *
 * What is borrowed from an entry that was there at a savepoint outlives the entry's replacement or
 * removal after it; what is borrowed from an entry put after it ends when the request goes back.
 * The revision is the request's: store_draft_revision() knows no savepoints.
 */
struct store_savepoint {
    struct trie_node *root; /* all of it the store's */
    size_t dead_len;
    size_t changes;
    uint64_t generation;
};

/* Needs no memory: can't fail, neither of them. */
void store_savepoint_set(struct store_draft *draft, struct store_savepoint *savepoint_out);
void store_savepoint_rollback(struct store_draft *draft, const struct store_savepoint *savepoint);

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
 * Keeps the open request. If it changed nothing durable it takes no revision, what it did to
 * derived entries is undone, and `*changed_out` is false (and a named request is still remembered,
 * with its answer).
 *   MX_RESOURCE_EXHAUSTED  with this request the group would be beyond the backend's limits, or
 *                          memory is short. Roll the request back; what was kept before it can be
 *                          committed, and the request be done again in the next draft.
 *   MX_INVALID_ARGUMENT    the id is beyond BACKEND_REQUEST_ID_MAX, or a named request's digest is
 *                          not DIGEST_SIZE long.
 *   MX_ALREADY_EXISTS      the draft has kept a request of this id. Roll back; what the first one
 *                          answered can be asked from the backend after the commit.
 * After an error the request is still open.
 */
MX_MUST_USE enum mx_code store_request_keep(struct store_draft *draft,
                                            const struct store_request *request, bool *changed_out,
                                            struct mx_error *err);

/* How many requests have been kept that the commit will hand to the backend. */
size_t store_draft_requests(const struct store_draft *draft);

/* Of the open draft, with no request open: it takes no more, and store_begin() goes on from it. */
void store_seal(struct store_draft *draft);

/*
 * Makes all kept requests of a sealed draft durable and visible as one new snapshot. Drafts are to
 * be made durable in the order in which they were sealed.
 *   MX_OK           durable and visible.
 *   MX_ABORTED      certainly nothing applied: somebody else was first, or a request id is known.
 *                   Catch up (store_catch_up) and do the requests again.
 *   MX_UNAVAILABLE  it can't be known whether it was applied: the store looked and could not find
 *                   out; it is read-only from now on (store_is_read_only).
 *   others          certainly nothing applied: MX_RESOURCE_EXHAUSTED (beyond the engine's limits,
 *                   or it takes no changes: the disk is full), MX_FAILED_PRECONDITION (the store
 *                   takes no changes), MX_INTERNAL (the engine failed).
 * An "unknown" of the backend is looked into here: what turns out to be applied is MX_OK.
 */
MX_MUST_USE enum mx_code store_make_durable(struct store_draft *draft, struct mx_error *err);

/*
 * The end of a sealed draft, the writer's: frees what is not needed once it was made durable;
 * undoes it otherwise. In the order of sealing; but where one was not made durable, those after it
 * have to be undone before it, the last one first. Sets the caller's pointer to NULL.
 */
void store_end(struct store_draft **draft);

/* The three in one, for who has nothing to do meanwhile. As store_make_durable(); the draft has
 * ended whatever comes out. */
MX_MUST_USE enum mx_code store_commit(struct store *store, struct store_draft **draft,
                                      struct mx_error *err);

/*
 * Applies what others have appended to the backend since, and publishes it as one new snapshot. No
 * draft is open or sealed. If the history in between has been trimmed, the whole image is read
 * again. An error leaves the store where it was: MX_UNAVAILABLE  the backend can't be reached.
 *   MX_DATA_LOSS    its history does not continue ours, or is damaged.
 */
MX_MUST_USE enum mx_code store_catch_up(struct store *store, struct mx_error *err);

/* Whether changes are refused since the backend's state can't be known. Any thread. */
bool store_is_read_only(const struct store *store);

/* Frees what no snapshot needs any more. The writer calls it now and then, as after store_end();
 * store_commit() does it anyway. */
void store_reclaim(struct store *store);

/*
 * Memory in use for entries of all versions, in bytes, for metrics and tests: keys and values with
 * their heads, and the branches above them, as they lie in memory. Not counted is what is free
 * within what was taken from the system for them (little, until much is removed), nor the recent
 * changes.
 */
size_t store_memory(const struct store *store);

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){ (const uint8_t *) data, len };
}

/* The order of keys: of bytes, and what ends goes before what goes on. Less than 0, 0, more. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
