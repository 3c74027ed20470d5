/*
 * What the files of the store share: nobody else includes this.
 *
 * The life of a node of the trie: born in a request of a draft, in a generation
 * that the request or a savepoint of it opened; published with
 * it, or freed with it. When a later version does without it, it is dead, and
 * goes on the list of the snapshot that was the last to have it. When that
 * snapshot is freed, what the next older one can't have (born after it) is
 * freed with it, and the rest is the next older one's from then on. So a
 * snapshot that is pinned for long retains what it needs and nothing else.
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "store/store.h"
#include "store/trie.h"

#include <pthread.h>
#include <stdatomic.h>

struct store_view {
    struct trie_node *const *root; /* of the trie or snapshot whose view it is */
};

struct store_snapshot {
    struct store_view view;
    struct trie_node *root;
    struct position position;
    atomic_size_t pins;
    /* The rest is the writer's. */
    uint64_t generation;          /* no node of it was born later */
    struct trie_nodes dead;       /* what the next younger one does without */
    struct store_snapshot *older; /* NULL: this is the oldest that lives */
    struct store_snapshot *younger;
};

struct store {
    struct backend *backend;
    struct store_loader loader;
    struct recent *recent;
    atomic_bool read_only;
    pthread_mutex_t current_lock;
    struct store_snapshot *current; /* the newest published; written under current_lock */
    /* The rest is the writer's. */
    struct cells cells;          /* of all nodes; its counts are anybody's */
    struct store_snapshot *tip;  /* the newest sealed or published: where the next draft begins */
    struct store_snapshot *last; /* the newest whose draft has ended: those older may be freed */
    struct store_draft *draft;   /* the open one, or NULL */
    uint64_t generation;         /* the newest */
};

/* The edits of the open request. */
struct edit_list {
    struct backend_edit *at;
    size_t len;
    size_t capacity; /* at least `changes`, so that collecting needs no memory */
    size_t changes;  /* of durable entries, since the request began */
    bool collected;  /* `at` is up to date */
};

/* The kept requests. Everything they point to is in the arena or in nodes of the trie. */
struct group {
    struct arena *arena;
    struct backend_request *at;
    size_t len;
    size_t capacity;
    size_t bytes;
};

struct store_draft {
    struct store *store;
    struct store_view view;
    struct trie trie;
    struct position position;    /* after the kept requests */
    struct store_snapshot *base; /* the tip when it began; as the writer's, not pinned */
    struct store_snapshot *next; /* what it becomes, allocated before anything can be lost */
    bool is_durable;             /* and published: set by store_make_durable() */
    struct group group;
    struct buffer change; /* the change being packed */
    /* Of catching up: the changes to publish. */
    struct recent_change *followed;
    struct recent_change **followed_end;
    size_t followed_bytes;
    bool followed_is_whole; /* else what was published before does not go on with them */
    struct edit_list edits;
    /* How things were when the open request began. */
    bool request_open;
    struct trie_node *request_root;
    uint64_t request_generation; /* its first; each savepoint opens another */
    size_t request_dead_len;
};

/* ------------------------------------------------------------------ snapshot.c */

/* An empty map at position zero. NULL: out of memory. */
struct store_snapshot *snapshot_create(void);

/* The draft's state becomes its next snapshot, where the next draft begins. None of these can
 * fail. */
void snapshot_seal(struct store *store, struct store_draft *draft);
/* What is durable, readers get from now on. */
void snapshot_publish(struct store *store, struct store_draft *draft);
/* The writer's part of it: what the snapshot before it had alone may be freed some day. */
void snapshot_link(struct store *store, struct store_draft *draft);
/* The draft's state is no snapshot any more, but the draft's. */
void snapshot_unseal(struct store *store, struct store_draft *draft);

/* Frees the newest and only snapshot. */
void snapshot_destroy_last(struct store *store);

/* ---------------------------------------------------------------------- load.c */

/* Reads the image into the draft, whose map is empty and whose request is open. */
enum mx_code draft_load(struct store_draft *draft, struct mx_error *err);

/* --------------------------------------------------------------------- store.c */

/* Puts the store's code before what the backend said, which may be nothing. */
enum mx_code backend_fail(struct mx_error *err, enum mx_code code, const char *verb,
                          enum backend_result result, const struct mx_error *said);

/* --------------------------------------------------------------------- draft.c */

/* Whether a key and a value are within STORE_KEY_MAX and STORE_VALUE_MAX. */
enum mx_code entry_check_size(struct slice key, struct slice value, struct mx_error *err);

/* Put without a record of the change, for images and histories: these are durable already. */
enum mx_code draft_put(struct store_draft *draft, struct slice key, struct slice value,
                       bool durable, struct mx_error *err);
enum mx_code draft_delete(struct store_draft *draft, struct slice key, bool durable,
                          struct mx_error *err);

/* Drops the oldest followed changes until the rest has no more than `bytes`. */
void draft_forget_followed(struct store_draft *draft, size_t bytes);

/* Takes back all that it did to the trie: nothing began from it. */
void draft_undo(struct store_draft *draft);
/* Frees the draft after publication or undoing. */
void draft_destroy(struct store_draft *draft);
