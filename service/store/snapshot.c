/* Published versions: their pins, their order, and when their memory is freed. */
#include "store/internal.h"

#include <assert.h>
#include <stdlib.h>

struct store_snapshot *snapshot_create(void)
{
    struct store_snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot != NULL) {
        snapshot->view.root = &snapshot->root;
    }
    return snapshot;
}

struct store_snapshot *store_acquire(struct store *store)
{
    struct store_snapshot *snapshot;

    /* Load and pin under one lock: between the two a commit could free what was loaded. */
    (void) pthread_mutex_lock(&store->current_lock);
    snapshot = store->current;
    atomic_fetch_add_explicit(&snapshot->pins, 1, memory_order_relaxed);
    (void) pthread_mutex_unlock(&store->current_lock);
    return snapshot;
}

struct store_snapshot *store_snapshot_pin(struct store_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->pins, 1, memory_order_relaxed);
    return snapshot;
}

void store_release(struct store *store, struct store_snapshot *snapshot)
{
    size_t pins;

    (void) store;
    /* Release, so that all reading comes before the freeing by who sees zero (is_free). */
    pins = atomic_fetch_sub_explicit(&snapshot->pins, 1, memory_order_release);
    assert(pins > 0);
    (void) pins;
}

uint64_t store_snapshot_revision(const struct store_snapshot *snapshot)
{
    return snapshot->position.revision;
}

struct position store_snapshot_position(const struct store_snapshot *snapshot)
{
    return snapshot->position;
}

const struct store_view *store_snapshot_view(const struct store_snapshot *snapshot)
{
    return &snapshot->view;
}

void snapshot_seal(struct store *store, struct store_draft *draft)
{
    struct store_snapshot *next = draft->next;

    assert(store->tip == draft->base);
    next->root = draft->trie.root;
    next->position = draft->position;
    next->generation = store->generation;
    store->tip = next;
}

void snapshot_publish(struct store *store, struct store_draft *draft)
{
    (void) pthread_mutex_lock(&store->current_lock);
    store->current = draft->next;
    (void) pthread_mutex_unlock(&store->current_lock);
    draft->is_durable = true;
}

void snapshot_link(struct store *store, struct store_draft *draft)
{
    struct store_snapshot *old = draft->base;
    struct store_snapshot *next = draft->next;

    assert(store->last == old);
    draft->next = NULL;
    next->older = old;
    old->younger = next;
    trie_nodes_free_born_after(&draft->trie.dead, old->generation, &store->cells);
    old->dead = draft->trie.dead;
    draft->trie.dead = (struct trie_nodes){ NULL, 0, 0 };
    store->last = next;
}

void snapshot_unseal(struct store *store, struct store_draft *draft)
{
    assert(store->tip == draft->next);
    store->tip = draft->base;
}

/* Of one that is older than `last`: nobody can pin it who has no pin of it, since readers get that
 * or a newer one. */
static bool is_free(const struct store_snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->pins, memory_order_acquire) == 0;
}

/* Frees a snapshot that has a younger one, and what only it had. */
static void snapshot_free(struct store *store, struct store_snapshot *snapshot)
{
    struct store_snapshot *older = snapshot->older;

    trie_nodes_free_born_after(&snapshot->dead, older == NULL ? 0 : older->generation,
                               &store->cells);
    if (older != NULL && !trie_nodes_move(&older->dead, &snapshot->dead)) {
        return; /* no memory for the longer list now: it stays until the next time */
    }
    snapshot->younger->older = older;
    if (older != NULL) {
        older->younger = snapshot->younger;
    }
    trie_nodes_fini(&snapshot->dead);
    free(snapshot);
}

void store_reclaim(struct store *store)
{
    struct store_snapshot *snapshot = store->last->older;

    while (snapshot != NULL) {
        struct store_snapshot *older = snapshot->older;
        if (is_free(snapshot)) {
            snapshot_free(store, snapshot);
        }
        snapshot = older;
    }
}

void snapshot_destroy_last(struct store *store)
{
    struct store_snapshot *last = store->last;

    assert(last == store->current && last == store->tip);
    assert(last->older == NULL && is_free(last));
    /* Every node is found from the root, or it is lost. They go all at once. */
    assert(trie_memory(last->root) == cells_used(&store->cells));
    cells_fini(&store->cells);
    trie_nodes_fini(&last->dead);
    free(last);
}

uint64_t store_revision(struct store *store)
{
    struct store_snapshot *newest = store_acquire(store);
    uint64_t revision = store_snapshot_revision(newest);

    store_release(store, newest);
    return revision;
}
