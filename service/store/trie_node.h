/*
 * How the nodes of a trie look, for trie.c (reading) and trie_edit.c only.
 */
#pragma once

#include "store/trie.h"

#include <string.h>

/* A leaf's pointer is told from a branch's by its lowest bit. */
#define LEAF_TAG ((uintptr_t) 1)
/* What fits the fields of a branch. */
#define COUNT_MASK  ((UINT64_C(1) << 35) - 1)
#define INDEX_MASK  ((1U << 12) - 1)
#define BITMAP_MASK ((1U << 17) - 1)
/* Where two keys differ, if they don't. */
#define NOWHERE SIZE_MAX

struct trie_leaf {
    uint64_t birth;
    uint32_t value_len;
    uint16_t key_len;
    bool durable;
    uint8_t bytes[]; /* the key, then the value */
};

/* All keys below share the nibbles before `index`. A child's slot is 0 for the key that ends
 * there, else its nibble + 1, so that slots are in the order of keys. */
struct branch {
    uint64_t birth;
    uint64_t count : 35;  /* leaves below */
    uint64_t index : 12;  /* of the nibble that tells the children apart */
    uint64_t bitmap : 17; /* which slots there are */
    struct trie_node *child[];
};

_Static_assert(2 * STORE_KEY_MAX <= INDEX_MASK + 1,
               "the nibbles of a key don't fit a branch's index");
_Static_assert(STORE_KEY_MAX <= UINT16_MAX, "a key's length doesn't fit a leaf");
_Static_assert(STORE_VALUE_MAX <= UINT32_MAX, "a value's length doesn't fit a leaf");
_Static_assert(sizeof(struct branch) == 16, "a branch's header is two words");

static inline bool is_leaf(const struct trie_node *node)
{
    return ((uintptr_t) node & LEAF_TAG) != 0;
}

static inline struct trie_leaf *leaf_of(const struct trie_node *node)
{
    return (struct trie_leaf *) ((uintptr_t) node - LEAF_TAG);
}

static inline struct branch *branch_of(const struct trie_node *node)
{
    return (struct branch *) (uintptr_t) node;
}

static inline struct trie_node *node_of_leaf(struct trie_leaf *leaf)
{
    return (struct trie_node *) ((uintptr_t) leaf + LEAF_TAG);
}

static inline struct trie_node *node_of_branch(struct branch *branch)
{
    return (struct trie_node *) branch;
}

static inline uint64_t birth_of(const struct trie_node *node)
{
    return is_leaf(node) ? leaf_of(node)->birth : branch_of(node)->birth;
}

static inline uint64_t count_of(const struct trie_node *node)
{
    return is_leaf(node) ? 1 : branch_of(node)->count;
}

static inline struct slice key_of(const struct trie_node *node)
{
    return trie_leaf_key(leaf_of(node));
}

/* ------------------------------------------------------------ slots and keys */

static inline unsigned slot_at(struct slice key, size_t index)
{
    size_t at = index / 2;

    if (at >= key.len) {
        return 0;
    }
    return 1 + (index % 2 == 0 ? key.data[at] >> 4 : key.data[at] & 0x0f);
}

static inline bool has_slot(const struct branch *branch, unsigned slot)
{
    return (branch->bitmap >> slot & 1) != 0;
}

/* By hand: the compiler's own calls a function, on processors that may lack the instruction. */
static inline unsigned bits_of(uint32_t word)
{
    word -= word >> 1 & 0x55555555;
    word = (word & 0x33333333) + (word >> 2 & 0x33333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f;
    return word * 0x01010101 >> 24;
}

/* How many children come before the slot. */
static inline unsigned position_of(const struct branch *branch, unsigned slot)
{
    return bits_of((uint32_t) branch->bitmap & ((1U << slot) - 1));
}

static inline unsigned children_of(const struct branch *branch)
{
    return bits_of((uint32_t) branch->bitmap);
}

static inline bool bytes_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Index of the first nibble in which two keys differ; where one ends and the other goes on they
 * differ too. */
size_t first_difference(struct slice a, struct slice b);

/* The leaf with the least key. */
const struct trie_node *first_leaf(const struct trie_node *node);

/* A leaf that shares as many nibbles with the key as any. The root is not NULL. */
const struct trie_node *nearest_leaf(const struct trie_node *root, struct slice key);

/* ------------------------------------------------------------- life of nodes */

struct branch *branch_create(struct cells *cells, uint64_t generation, unsigned children);
void node_free(struct trie_node *node, struct cells *cells);

/* Makes room on a list for so many more. */
bool nodes_reserve(struct trie_nodes *nodes, size_t count);

static inline void copy_nodes(struct trie_node **to, struct trie_node *const *from, size_t count)
{
    memcpy(to, from, count * sizeof(struct trie_node *));
}
