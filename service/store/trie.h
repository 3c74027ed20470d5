/*
 * An ordered map from byte keys to byte values in versions that share what they
 * have in common: a qp-trie (a radix tree over half bytes, "nibbles", whose
 * branches hold only the children that exist), changed by path copying.
 *
 * Words:
 *   root        one version of the map; NULL is the empty one. Its shape depends
 *               on its keys alone, not on the way it came to be.
 *   generation  a number that only grows. A node carries the one it was born in.
 *   young       born in the open generation. Only the one version that is being
 *               edited can have such a node, so it is changed in place.
 *   dead        taken out of the edited version, but older than the open
 *               generation: an older version may still have it.
 *
 * Nodes are not counted. A node is pointed to only by nodes born no earlier, so
 * a walk that turns back at an older node sees all of what is younger. What is
 * dead is listed, and whoever knows which versions live frees it from the list.
 *
 * Keys are at most STORE_KEY_MAX and values at most STORE_VALUE_MAX bytes: the
 * caller has looked.
 */
#pragma once

#include "store/cells.h"
#include "store/store.h"

struct trie_node; /* a branch or a leaf */
struct trie_leaf;

/* A list of dead nodes. Zeroed: empty. */
struct trie_nodes {
    struct trie_node **at;
    size_t len;
    size_t capacity;
};

/* A version being edited. */
struct trie {
    struct trie_node *root;
    uint64_t generation; /* the open one; at least 1 */
    struct trie_nodes dead;
    struct cells *cells; /* borrowed; the memory of all nodes, the editing thread's only */
};

enum trie_result {
    TRIE_CHANGED,
    TRIE_SAME,      /* it was so already; nothing was copied */
    TRIE_NO_MEMORY, /* content as before; what was copied so far is in order */
};

/* ------------------------------------------------------------------ reading */

/* The key's leaf, or NULL. */
const struct trie_leaf *trie_find(const struct trie_node *root, struct slice key);

/* The leaf with the least key >= `key`, or > `key` if `after`; NULL if there is none. */
const struct trie_leaf *trie_seek(const struct trie_node *root, struct slice key, bool after);

/* How many keys start with the prefix. */
uint64_t trie_count(const struct trie_node *root, struct slice prefix);

/*
 * Walks the paths of several keys (or prefixes) at once and gives nothing. In a large store each
 * step of a path waits for memory; those of different paths wait together, and the lookups that
 * follow find all of it in the cache. Of more than TRIE_PREFETCH_MAX keys the first ones count.
 */
#define TRIE_PREFETCH_MAX 4
void trie_prefetch(const struct trie_node *root, const struct slice *keys, size_t count);

/* Borrowed from the leaf. The data is never NULL. */
struct slice trie_leaf_key(const struct trie_leaf *leaf);
struct slice trie_leaf_value(const struct trie_leaf *leaf);
bool trie_leaf_durable(const struct trie_leaf *leaf);
/* The generation it was born in. */
uint64_t trie_leaf_birth(const struct trie_leaf *leaf);

/* ------------------------------------------------------------------ writing */

MX_MUST_USE enum trie_result trie_put(struct trie *trie, struct slice key, struct slice value,
                                      bool durable);
MX_MUST_USE enum trie_result trie_delete(struct trie *trie, struct slice key);

/* Takes out everything; every node that is not young is dead. False: out of memory, unchanged. */
MX_MUST_USE bool trie_clear(struct trie *trie);

/*
 * Goes back to an earlier state of the same trie, as it was before the generation `oldest`:
 * its root then, and the length of its list of dead nodes.
 */
void trie_rollback(struct trie *trie, struct trie_node *root, size_t dead_len, uint64_t oldest);

/* Calls `visit` for each leaf born in `oldest` or later, in order of keys. */
void trie_each_young(const struct trie_node *root, uint64_t oldest,
                     void (*visit)(void *context, const struct trie_leaf *leaf), void *context);

/* What the nodes of a version take of the cells. */
size_t trie_memory(const struct trie_node *root);

/* ----------------------------------------------------------------- building */

/*
 * A version made as a whole from leaves in the order of keys: what putting them one by one would
 * give, at a fraction of the cost. When something fails, what there is is good for nothing but for
 * being freed with its cells.
 */
struct trie_builder {
    struct cells *cells; /* of the branches */
    uint64_t generation;
    struct trie_nodes nodes; /* children of the branches on the way to the last leaf */
    struct trie_frame *frames;
    size_t frame_count;
    size_t frame_capacity;
    const struct trie_leaf *last;
};

/* NULL: out of memory. */
struct trie_leaf *trie_leaf_create(struct cells *cells, uint64_t generation, struct slice key,
                                   struct slice value, bool durable);
/* Of one that is in no trie. */
void trie_leaf_free(struct trie_leaf *leaf, struct cells *cells);

/* TRIE_SAME: its key is not greater than the one before; it is not taken. */
MX_MUST_USE enum trie_result trie_builder_add(struct trie_builder *builder, struct trie_leaf *leaf);

/* The root of what was added, NULL if nothing was. False: out of memory. */
MX_MUST_USE bool trie_builder_end(struct trie_builder *builder, struct trie_node **root_out);
void trie_builder_fini(struct trie_builder *builder);

/* Puts leaves in the order of keys. Of those with the same key the last remains among the first
 * `*kept_out`; the others are behind these. False: out of memory, nothing was moved. */
MX_MUST_USE bool trie_leaves_sort(struct trie_leaf **leaves, size_t count, size_t *kept_out);

/* Moves all of `other` into the trie; both were born in its generation. TRIE_SAME: both have one
 * key. When it fails, both are good for nothing. */
MX_MUST_USE enum trie_result trie_merge(struct trie *trie, struct trie_node *other);

/* --------------------------------------------------------------- dead nodes */

/* Frees the nodes born after `generation`; the others stay on the list. */
void trie_nodes_free_born_after(struct trie_nodes *nodes, uint64_t generation, struct cells *cells);

/* Moves all of `from` to `to`. False: out of memory, nothing moved. */
MX_MUST_USE bool trie_nodes_move(struct trie_nodes *to, struct trie_nodes *from);

/* The node as a leaf; NULL: it is a branch. */
const struct trie_leaf *trie_nodes_leaf(const struct trie_nodes *nodes, size_t index);

/* Frees the list, not the nodes. */
void trie_nodes_fini(struct trie_nodes *nodes);
