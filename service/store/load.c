/*
 * Reading a whole image: a store of a million entries is to be there about as
 * soon as the backend can name them.
 *
 * Two threads share the work. The *reader* is the caller: the backend calls it
 * with each record, of which it makes a leaf, and it hands leaves on in blocks.
 * The *helper* builds the trie from them and asks the loader for the derived
 * entries. These come in an order of their own: they are collected by the first
 * byte of their keys, and when the last record is read both threads take one
 * such share after the other, put it in order and build its trie. The parts are
 * disjoint most of the time, so that putting them together costs nothing.
 *
 * An image of less than a block needs no helper, and without the memory for one
 * the reader does it all.
 */
#include "store/internal.h"

#include <assert.h>
#include <stdlib.h>

/* Leaves handed on at a time: so many that locks cost nothing, and still in the cache. */
#define BLOCK_LEAVES 512
/* How far the reader may be ahead. */
#define BLOCKS 8
/* A share for each first byte of a key; the empty key goes with the first. */
#define SHARES 256

struct block {
    struct trie_leaf *leaves[BLOCK_LEAVES];
    size_t count;
};

/* Derived entries. */
struct share {
    struct trie_leaf **leaves;
    size_t count;
    size_t capacity;
    size_t kept; /* once in order */
    struct trie_node *root;
};

struct loading {
    struct store_draft *draft;
    uint64_t generation;
    struct share shares[SHARES];
    atomic_uint next_share;
    /* The reader's. */
    struct cells read_cells;
    enum mx_code read_code;
    struct mx_error *err;
    bool helped; /* there is a helper */
    /* The helper's, or the reader's if there is none. */
    struct cells help_cells;
    struct trie_builder builder;
    struct trie_node *root; /* of the durable entries */
    enum mx_code help_code;
    struct mx_error help_err;
    /* Between the two. */
    pthread_t helper;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct block
        blocks[BLOCKS]; /* from `taken` on the helper's, up to `given`; else the reader's */
    size_t given;       /* how many ever; under the lock, like the rest */
    size_t taken;
    bool ended;  /* the reader gives no more */
    bool failed; /* the helper takes no more */
};

struct store_derived {
    struct loading *loading;
};

static enum mx_code no_memory(struct mx_error *err)
{
    return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
}

/* ------------------------------------------------------------ what is derived */

static bool share_reserve(struct share *share)
{
    size_t capacity = share->capacity == 0 ? 64 : share->capacity * 2;
    struct trie_leaf **leaves;

    if (share->count < share->capacity) {
        return true;
    }
    leaves = realloc(share->leaves, capacity * sizeof(struct trie_leaf *));
    if (leaves == NULL) {
        return false;
    }
    share->leaves = leaves;
    share->capacity = capacity;
    return true;
}

enum mx_code store_derive(struct store_derived *derived, struct slice key, struct slice value,
                          struct mx_error *err)
{
    struct loading *loading = derived->loading;
    struct share *share = &loading->shares[key.len == 0 ? 0 : key.data[0]];
    enum mx_code code = entry_check_size(key, value, err);
    struct trie_leaf *leaf;

    if (code != MX_OK) {
        return code;
    }
    if (!share_reserve(share)) {
        return no_memory(err);
    }
    leaf = trie_leaf_create(&loading->help_cells, loading->generation, key, value, false);
    if (leaf == NULL) {
        return no_memory(err);
    }
    share->leaves[share->count++] = leaf;
    return MX_OK;
}

/* Puts a share in order and makes a trie of it. */
static enum mx_code build_share(struct loading *loading, struct share *share, struct cells *cells,
                                struct mx_error *err)
{
    struct trie_builder builder = { .cells = cells, .generation = loading->generation };
    bool enough = trie_leaves_sort(share->leaves, share->count, &share->kept);

    for (size_t i = 0; enough && i < share->kept; i++) {
        enough = trie_builder_add(&builder, share->leaves[i]) == TRIE_CHANGED;
    }
    enough = enough && trie_builder_end(&builder, &share->root);
    trie_builder_fini(&builder);
    return enough ? MX_OK : no_memory(err);
}

/* Both threads do this, each with cells of its own. */
static enum mx_code build_shares(struct loading *loading, struct cells *cells, struct mx_error *err)
{
    enum mx_code code = MX_OK;
    unsigned next;

    while (code == MX_OK && (next = atomic_fetch_add(&loading->next_share, 1)) < SHARES) {
        if (loading->shares[next].count > 0) {
            code = build_share(loading, &loading->shares[next], cells, err);
        }
    }
    return code;
}

/* ----------------------------------------------------------------- the helper */

static enum mx_code take_leaf(struct loading *loading, struct trie_leaf *leaf, struct mx_error *err)
{
    const struct store_loader *loader = &loading->draft->store->loader;
    struct store_derived derived = { loading };

    switch (trie_builder_add(&loading->builder, leaf)) {
    case TRIE_NO_MEMORY:
        return no_memory(err);
    case TRIE_SAME:
        return mx_fail(err, MX_DATA_LOSS, "the backend's records are not in order of keys");
    case TRIE_CHANGED:
        break;
    }
    if (loader->entry == NULL) {
        return MX_OK;
    }
    return loader->entry(loader->context, &derived, trie_leaf_key(leaf), trie_leaf_value(leaf),
                         err);
}

static enum mx_code take_block(struct loading *loading, const struct block *block,
                               struct mx_error *err)
{
    enum mx_code code = MX_OK;

    for (size_t i = 0; code == MX_OK && i < block->count; i++) {
        code = take_leaf(loading, block->leaves[i], err);
    }
    return code;
}

/* The next block, NULL after the last. It is the helper's until the next call. */
static const struct block *next_block(struct loading *loading)
{
    const struct block *block = NULL;

    (void) pthread_mutex_lock(&loading->lock);
    while (loading->taken == loading->given && !loading->ended) {
        (void) pthread_cond_wait(&loading->moved, &loading->lock);
    }
    if (loading->taken < loading->given) {
        block = &loading->blocks[loading->taken % BLOCKS];
    }
    (void) pthread_mutex_unlock(&loading->lock);
    return block;
}

static void block_is_taken(struct loading *loading, bool failed)
{
    (void) pthread_mutex_lock(&loading->lock);
    loading->taken++;
    loading->failed = failed;
    (void) pthread_cond_signal(&loading->moved);
    (void) pthread_mutex_unlock(&loading->lock);
}

/* All records have been taken. */
static enum mx_code end_records(struct loading *loading, struct mx_error *err)
{
    return trie_builder_end(&loading->builder, &loading->root) ? MX_OK : no_memory(err);
}

static void *help(void *argument)
{
    struct loading *loading = argument;
    const struct block *block;
    enum mx_code code = MX_OK;

    while (code == MX_OK && (block = next_block(loading)) != NULL) {
        code = take_block(loading, block, &loading->help_err);
        block_is_taken(loading, code != MX_OK);
    }
    if (code == MX_OK) {
        code = end_records(loading, &loading->help_err);
    }
    if (code == MX_OK) {
        code = build_shares(loading, &loading->help_cells, &loading->help_err);
    }
    loading->help_code = code;
    return NULL;
}

/* ----------------------------------------------------------------- the reader */

/* The block that is being filled. */
static struct block *open_block(struct loading *loading)
{
    return &loading->blocks[loading->given % BLOCKS];
}

/* Waits for room for the next. False: the helper takes no more. */
static bool give_block(struct loading *loading)
{
    bool failed;

    (void) pthread_mutex_lock(&loading->lock);
    loading->given++;
    (void) pthread_cond_signal(&loading->moved);
    while (loading->given - loading->taken == BLOCKS && !loading->failed) {
        (void) pthread_cond_wait(&loading->moved, &loading->lock);
    }
    failed = loading->failed;
    (void) pthread_mutex_unlock(&loading->lock);
    open_block(loading)->count = 0;
    return !failed;
}

/* A full block. False in `read_code`, or the helper's: no more. */
static bool hand_on(struct loading *loading)
{
    if (!loading->helped) {
        loading->helped = pthread_create(&loading->helper, NULL, help, loading) == 0;
    }
    if (loading->helped) {
        return give_block(loading);
    }
    loading->read_code = take_block(loading, open_block(loading), loading->err);
    open_block(loading)->count = 0;
    return loading->read_code == MX_OK;
}

static bool take_record(void *context, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t value_len)
{
    struct loading *loading = context;
    struct slice key_slice = slice_of(key, key_len);
    struct slice value_slice = slice_of(value, value_len);
    struct block *block = open_block(loading);
    struct trie_leaf *leaf;

    loading->read_code = entry_check_size(key_slice, value_slice, loading->err);
    if (loading->read_code != MX_OK) {
        return false;
    }
    leaf =
        trie_leaf_create(&loading->read_cells, loading->generation, key_slice, value_slice, true);
    if (leaf == NULL) {
        loading->read_code = no_memory(loading->err);
        return false;
    }
    block->leaves[block->count++] = leaf;
    return block->count < BLOCK_LEAVES || hand_on(loading);
}

/* Ends the giving, and waits until the helper has taken all, or no more. */
static void end_giving(struct loading *loading)
{
    (void) pthread_mutex_lock(&loading->lock);
    loading->ended = true;
    (void) pthread_cond_signal(&loading->moved);
    while (loading->taken < loading->given && !loading->failed) {
        (void) pthread_cond_wait(&loading->moved, &loading->lock);
    }
    (void) pthread_mutex_unlock(&loading->lock);
}

/* The reader's part of the end, which is the helper's too. */
static enum mx_code finish_helped(struct loading *loading, enum mx_code code)
{
    if (code == MX_OK) {
        (void) give_block(loading);
    } else {
        atomic_store(&loading->next_share, SHARES); /* nothing is worth building */
    }
    end_giving(loading);
    if (code == MX_OK) {
        code = build_shares(loading, &loading->read_cells, loading->err);
    }
    (void) pthread_join(loading->helper, NULL);
    if (code == MX_OK && loading->help_code != MX_OK) {
        *loading->err = loading->help_err;
        code = loading->help_code;
    }
    return code;
}

static enum mx_code finish_alone(struct loading *loading, enum mx_code code)
{
    if (code == MX_OK) {
        code = take_block(loading, open_block(loading), loading->err);
    }
    if (code == MX_OK) {
        code = end_records(loading, loading->err);
    }
    return code == MX_OK ? build_shares(loading, &loading->help_cells, loading->err) : code;
}

/* One trie of all parts, in cells of one set. */
static enum mx_code put_together(struct loading *loading, struct trie *trie)
{
    cells_absorb(&loading->read_cells, &loading->help_cells);
    trie->root = loading->root;
    for (size_t i = 0; i < SHARES; i++) {
        struct share *share = &loading->shares[i];

        for (size_t again = share->kept; again < share->count; again++) {
            trie_leaf_free(share->leaves[again], &loading->read_cells);
        }
        switch (trie_merge(trie, share->root)) {
        case TRIE_NO_MEMORY:
            return no_memory(loading->err);
        case TRIE_SAME:
            return mx_fail(loading->err, MX_INTERNAL,
                           "a derived entry has the key of a durable one");
        case TRIE_CHANGED:
            break;
        }
    }
    return MX_OK;
}

/* -------------------------------------------------------------------- loading */

static enum mx_code read_records(struct loading *loading, struct position *position_out)
{
    struct backend *backend = loading->draft->store->backend;
    struct mx_error said = { .message = "" };
    enum backend_result result =
        backend->ops->load(backend, take_record, loading, position_out, &said);

    if (loading->read_code != MX_OK || result == BACKEND_OK) {
        return loading->read_code;
    }
    return backend_fail(loading->err, result == BACKEND_CORRUPT ? MX_DATA_LOSS : MX_UNAVAILABLE,
                        "load", result, &said);
}

static struct loading *loading_create(struct store_draft *draft, struct mx_error *err)
{
    struct loading *loading = calloc(1, sizeof(*loading));

    if (loading == NULL || pthread_mutex_init(&loading->lock, NULL) != 0) {
        free(loading);
        return NULL;
    }
    if (pthread_cond_init(&loading->moved, NULL) != 0) {
        (void) pthread_mutex_destroy(&loading->lock);
        free(loading);
        return NULL;
    }
    loading->draft = draft;
    loading->generation = draft->trie.generation;
    loading->err = err;
    loading->builder.cells = &loading->help_cells;
    loading->builder.generation = loading->generation;
    return loading;
}

static void loading_destroy(struct loading *loading)
{
    for (size_t i = 0; i < SHARES; i++) {
        free(loading->shares[i].leaves);
    }
    trie_builder_fini(&loading->builder);
    cells_fini(&loading->read_cells);
    cells_fini(&loading->help_cells);
    (void) pthread_cond_destroy(&loading->moved);
    (void) pthread_mutex_destroy(&loading->lock);
    free(loading);
}

enum mx_code draft_load(struct store_draft *draft, struct mx_error *err)
{
    struct loading *loading = loading_create(draft, err);
    struct trie trie = { .generation = draft->trie.generation };
    struct position position;
    enum mx_code code;

    assert(draft->request_open && draft->trie.root == NULL);
    if (loading == NULL) {
        return no_memory(err);
    }
    trie.cells = &loading->read_cells;
    code = read_records(loading, &position);
    code = loading->helped ? finish_helped(loading, code) : finish_alone(loading, code);
    if (code == MX_OK) {
        code = put_together(loading, &trie);
    }
    if (code == MX_OK) {
        cells_absorb(draft->trie.cells, &loading->read_cells);
        draft->trie.root = trie.root;
        draft->position = position;
    }
    loading_destroy(loading);
    return code;
}
