/* Changing a trie, and the life of its nodes. */
#include "store/trie_node.h"

#include <assert.h>
#include <stdlib.h>

/* ------------------------------------------------------------- life of nodes */

static size_t leaf_size(const struct trie_leaf *leaf)
{
    return sizeof(*leaf) + leaf->key_len + leaf->value_len;
}

static size_t branch_size(unsigned children)
{
    return sizeof(struct branch) + children * sizeof(struct trie_node *);
}

static size_t node_size(const struct trie_node *node)
{
    return is_leaf(node) ? leaf_size(leaf_of(node)) : branch_size(children_of(branch_of(node)));
}

void node_free(struct trie_node *node, struct cells *cells)
{
    size_t size = node_size(node);

    cells_free(cells, is_leaf(node) ? (void *) leaf_of(node) : (void *) branch_of(node), size);
}

struct trie_leaf *trie_leaf_create(struct cells *cells, uint64_t generation, struct slice key,
                                   struct slice value, bool durable)
{
    struct trie_leaf *leaf = cells_alloc(cells, sizeof(*leaf) + key.len + value.len);

    if (leaf == NULL) {
        return NULL;
    }
    leaf->birth = generation;
    leaf->key_len = (uint16_t) key.len;
    leaf->value_len = (uint32_t) value.len;
    leaf->durable = durable;
    if (key.len > 0) {
        memcpy(leaf->bytes, key.data, key.len);
    }
    if (value.len > 0) {
        memcpy(leaf->bytes + key.len, value.data, value.len);
    }
    return leaf;
}

void trie_leaf_free(struct trie_leaf *leaf, struct cells *cells)
{
    node_free(node_of_leaf(leaf), cells);
}

struct branch *branch_create(struct cells *cells, uint64_t generation, unsigned children)
{
    struct branch *branch = cells_alloc(cells, branch_size(children));

    if (branch != NULL) {
        branch->birth = generation;
    }
    return branch;
}

bool nodes_reserve(struct trie_nodes *nodes, size_t count)
{
    struct trie_node **at;
    size_t capacity = nodes->capacity == 0 ? 32 : nodes->capacity;

    while (capacity - nodes->len < count) {
        capacity *= 2;
    }
    if (capacity == nodes->capacity) {
        return true;
    }
    at = realloc(nodes->at, capacity * sizeof(struct trie_node *));
    if (at == NULL) {
        return false;
    }
    nodes->at = at;
    nodes->capacity = capacity;
    return true;
}

/* Takes leave of a node that the version no longer has. Room on the list has been reserved. */
static void bury(struct trie *trie, struct trie_node *node)
{
    if (birth_of(node) == trie->generation) {
        node_free(node, trie->cells);
        return;
    }
    assert(trie->dead.len < trie->dead.capacity);
    trie->dead.at[trie->dead.len++] = node;
}

/* ------------------------------------------------------------------ changing */

/* Sees to it that the branch in `*place` is young. NULL: out of memory. */
static struct branch *own(struct trie *trie, struct trie_node **place)
{
    struct branch *old = branch_of(*place);
    struct branch *copy;

    if (old->birth == trie->generation) {
        return old;
    }
    if (!nodes_reserve(&trie->dead, 1)) {
        return NULL;
    }
    copy = branch_create(trie->cells, trie->generation, children_of(old));
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, old, branch_size(children_of(old)));
    copy->birth = trie->generation;
    bury(trie, *place);
    *place = node_of_branch(copy);
    return copy;
}

/*
 * Follows the key through the branches before nibble `end`, which all have a child for it, and
 * makes them young. Returns the place of what comes behind them. NULL: out of memory; the copies
 * made until then stand in for their originals, and nothing else has changed.
 */
static struct trie_node **descend(struct trie *trie, struct slice key, size_t end)
{
    struct trie_node **place = &trie->root;

    while (!is_leaf(*place) && branch_of(*place)->index < end) {
        struct branch *branch = own(trie, place);
        if (branch == NULL) {
            return NULL;
        }
        place = &branch->child[position_of(branch, slot_at(key, branch->index))];
    }
    return place;
}

/* Counts one key more or less in the branches before nibble `end`, which are young. */
static void recount(struct trie *trie, struct slice key, size_t end, bool more)
{
    struct trie_node *node = trie->root;

    while (node != NULL && !is_leaf(node) && branch_of(node)->index < end) {
        struct branch *branch = branch_of(node);
        branch->count = (more ? branch->count + 1 : branch->count - 1) & COUNT_MASK;
        node = branch->child[position_of(branch, slot_at(key, branch->index))];
    }
}

static bool replace_leaf(struct trie *trie, struct trie_leaf *leaf)
{
    struct trie_node **place = descend(trie, trie_leaf_key(leaf), NOWHERE);

    if (place == NULL || !nodes_reserve(&trie->dead, 1)) {
        return false;
    }
    bury(trie, *place);
    *place = node_of_leaf(leaf);
    return true;
}

/* Puts a branch over `*place` with what is there, whose slot is `slot`, and the leaf. */
static bool fork_off(struct trie *trie, struct trie_node **place, unsigned slot,
                     struct trie_leaf *leaf, size_t index)
{
    unsigned leaf_slot = slot_at(trie_leaf_key(leaf), index);
    struct branch *branch = branch_create(trie->cells, trie->generation, 2);

    if (branch == NULL) {
        return false;
    }
    branch->count = (count_of(*place) + 1) & COUNT_MASK;
    branch->index = index & INDEX_MASK;
    branch->bitmap = (1U << slot | 1U << leaf_slot) & BITMAP_MASK;
    branch->child[slot < leaf_slot ? 0 : 1] = *place;
    branch->child[slot < leaf_slot ? 1 : 0] = node_of_leaf(leaf);
    *place = node_of_branch(branch);
    return true;
}

/* Replaces the branch in `*place` by one that has the leaf too. */
static bool widen(struct trie *trie, struct trie_node **place, struct trie_leaf *leaf)
{
    const struct branch *old = branch_of(*place);
    unsigned slot = slot_at(trie_leaf_key(leaf), old->index);
    unsigned at = position_of(old, slot);
    unsigned children = children_of(old);
    struct branch *wide;

    if (!nodes_reserve(&trie->dead, 1)) {
        return false;
    }
    wide = branch_create(trie->cells, trie->generation, children + 1);
    if (wide == NULL) {
        return false;
    }
    wide->count = old->count + 1;
    wide->index = old->index;
    wide->bitmap = (old->bitmap | 1U << slot) & BITMAP_MASK;
    copy_nodes(wide->child, old->child, at);
    wide->child[at] = node_of_leaf(leaf);
    copy_nodes(wide->child + at + 1, old->child + at, children - at);
    bury(trie, *place);
    *place = node_of_branch(wide);
    return true;
}

/* The leaf's key differs from that of its `nearest` in the nibble `index`. */
static bool insert_leaf(struct trie *trie, struct trie_leaf *leaf, struct slice nearest,
                        size_t index)
{
    struct slice key = trie_leaf_key(leaf);
    unsigned slot = slot_at(nearest, index); /* now: the nearest leaf may be freed below */
    struct trie_node **place = descend(trie, key, index);
    bool done;

    if (place == NULL) {
        return false;
    }
    if (!is_leaf(*place) && branch_of(*place)->index == index) {
        done = widen(trie, place, leaf);
    } else {
        done = fork_off(trie, place, slot, leaf, index);
    }
    if (done) {
        recount(trie, key, index, true);
    }
    return done;
}

static bool leaf_equals(const struct trie_leaf *leaf, struct slice value, bool durable)
{
    return leaf->durable == durable && bytes_equal(trie_leaf_value(leaf), value);
}

enum trie_result trie_put(struct trie *trie, struct slice key, struct slice value, bool durable)
{
    const struct trie_node *nearest = NULL;
    size_t difference = 0;
    struct trie_leaf *leaf;
    bool done;

    if (trie->root != NULL) {
        nearest = nearest_leaf(trie->root, key);
        difference = first_difference(key_of(nearest), key);
        if (difference == NOWHERE && leaf_equals(leaf_of(nearest), value, durable)) {
            return TRIE_SAME;
        }
    }
    leaf = trie_leaf_create(trie->cells, trie->generation, key, value, durable);
    if (leaf == NULL) {
        return TRIE_NO_MEMORY;
    }
    if (nearest == NULL) {
        trie->root = node_of_leaf(leaf);
        return TRIE_CHANGED;
    }
    if (difference == NOWHERE) {
        done = replace_leaf(trie, leaf);
    } else {
        done = insert_leaf(trie, leaf, key_of(nearest), difference);
    }
    if (!done) {
        trie_leaf_free(leaf, trie->cells);
        return TRIE_NO_MEMORY;
    }
    return TRIE_CHANGED;
}

/* Replaces the branch in `*place` by one without the child `at`, or by its only other child. */
static bool narrow(struct trie *trie, struct trie_node **place, unsigned slot)
{
    const struct branch *old = branch_of(*place);
    unsigned at = position_of(old, slot);
    unsigned children = children_of(old);
    struct trie_node *leaf = old->child[at];
    struct trie_node *rest = old->child[1 - (at & 1)];

    if (children > 2) {
        struct branch *small = branch_create(trie->cells, trie->generation, children - 1);
        if (small == NULL) {
            return false;
        }
        small->count = old->count - 1;
        small->index = old->index;
        small->bitmap = old->bitmap & ~(1U << slot) & BITMAP_MASK;
        copy_nodes(small->child, old->child, at);
        copy_nodes(small->child + at, old->child + at + 1, children - at - 1);
        rest = node_of_branch(small);
    }
    bury(trie, *place);
    bury(trie, leaf);
    *place = rest;
    return true;
}

/* Index of the last branch on the way to a key that is there; the root is a branch. */
static size_t last_index(const struct trie_node *root, struct slice key)
{
    const struct trie_node *node = root;
    size_t index = 0;

    while (!is_leaf(node)) {
        const struct branch *branch = branch_of(node);
        index = branch->index;
        node = branch->child[position_of(branch, slot_at(key, index))];
    }
    return index;
}

enum trie_result trie_delete(struct trie *trie, struct slice key)
{
    struct trie_node **place;
    size_t index;

    if (trie_find(trie->root, key) == NULL) {
        return TRIE_SAME;
    }
    if (is_leaf(trie->root)) {
        if (!nodes_reserve(&trie->dead, 1)) {
            return TRIE_NO_MEMORY;
        }
        bury(trie, trie->root);
        trie->root = NULL;
        return TRIE_CHANGED;
    }
    index = last_index(trie->root, key);
    place = descend(trie, key, index);
    if (place == NULL || !nodes_reserve(&trie->dead, 2)) {
        return TRIE_NO_MEMORY;
    }
    /* Counted before, since the key may be borrowed from the very leaf that goes. */
    recount(trie, key, index, false);
    if (!narrow(trie, place, slot_at(key, index))) {
        recount(trie, key, index, true);
        return TRIE_NO_MEMORY;
    }
    return TRIE_CHANGED;
}

/* ---------------------------------------------------------- going back, ending */

/* Frees what was born in `oldest` or later. */
static void free_young(struct trie_node *node, uint64_t oldest, struct cells *cells)
{
    if (birth_of(node) < oldest) {
        return;
    }
    /* As deep as a key has nibbles, at most. */
    for (unsigned i = 0; !is_leaf(node) && i < children_of(branch_of(node)); i++) {
        free_young(branch_of(node)->child[i], oldest, cells);
    }
    node_free(node, cells);
}

void trie_rollback(struct trie *trie, struct trie_node *root, size_t dead_len, uint64_t oldest)
{
    assert(dead_len <= trie->dead.len);
    if (trie->root != NULL) {
        free_young(trie->root, oldest, trie->cells);
    }
    /* Those dead nodes that are not of the earlier state either: born and dead since. */
    for (size_t i = dead_len; i < trie->dead.len; i++) {
        if (birth_of(trie->dead.at[i]) >= oldest) {
            node_free(trie->dead.at[i], trie->cells);
        }
    }
    trie->dead.len = dead_len;
    trie->root = root;
}

static size_t nodes_below(const struct trie_node *node)
{
    size_t nodes = 1;

    for (unsigned i = 0; !is_leaf(node) && i < children_of(branch_of(node)); i++) {
        nodes += nodes_below(branch_of(node)->child[i]);
    }
    return nodes;
}

static void bury_all(struct trie *trie, struct trie_node *node)
{
    for (unsigned i = 0; !is_leaf(node) && i < children_of(branch_of(node)); i++) {
        bury_all(trie, branch_of(node)->child[i]);
    }
    bury(trie, node);
}

bool trie_clear(struct trie *trie)
{
    if (trie->root == NULL) {
        return true;
    }
    if (!nodes_reserve(&trie->dead, nodes_below(trie->root))) {
        return false;
    }
    bury_all(trie, trie->root);
    trie->root = NULL;
    return true;
}

size_t trie_memory(const struct trie_node *root)
{
    size_t memory = root == NULL ? 0 : cells_size(node_size(root));

    for (unsigned i = 0; root != NULL && !is_leaf(root) && i < children_of(branch_of(root)); i++) {
        memory += trie_memory(branch_of(root)->child[i]);
    }
    return memory;
}

void trie_nodes_free_born_after(struct trie_nodes *nodes, uint64_t generation, struct cells *cells)
{
    size_t kept = 0;

    for (size_t i = 0; i < nodes->len; i++) {
        if (birth_of(nodes->at[i]) > generation) {
            node_free(nodes->at[i], cells);
        } else {
            nodes->at[kept++] = nodes->at[i];
        }
    }
    nodes->len = kept;
}

bool trie_nodes_move(struct trie_nodes *to, struct trie_nodes *from)
{
    if (from->len == 0) {
        return true;
    }
    if (!nodes_reserve(to, from->len)) {
        return false;
    }
    copy_nodes(to->at + to->len, from->at, from->len);
    to->len += from->len;
    from->len = 0;
    return true;
}

const struct trie_leaf *trie_nodes_leaf(const struct trie_nodes *nodes, size_t index)
{
    return is_leaf(nodes->at[index]) ? leaf_of(nodes->at[index]) : NULL;
}

void trie_nodes_fini(struct trie_nodes *nodes)
{
    free(nodes->at);
    memset(nodes, 0, sizeof(*nodes));
}
