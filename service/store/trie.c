/* Reading a trie. */
#include "store/trie_node.h"

#define CACHE_LINE     64
#define PREFETCH_LINES 3

/* How many bytes are the same for certain, by words: the first word that differs is left. */
static size_t shared_words(const uint8_t *a, const uint8_t *b, size_t len)
{
    size_t at = 0;

    while (len - at >= sizeof(uint64_t) && memcmp(a + at, b + at, sizeof(uint64_t)) == 0) {
        at += sizeof(uint64_t);
    }
    return at;
}

size_t first_difference(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    size_t at = shared_words(a.data, b.data, shared);

    while (at < shared && a.data[at] == b.data[at]) {
        at++;
    }
    if (at == shared) {
        return a.len == b.len ? NOWHERE : 2 * at;
    }
    return 2 * at + ((a.data[at] ^ b.data[at]) < 0x10 ? 1 : 0);
}

const struct trie_node *first_leaf(const struct trie_node *node)
{
    while (node != NULL && !is_leaf(node)) {
        node = branch_of(node)->child[0];
    }
    return node;
}

const struct trie_node *nearest_leaf(const struct trie_node *root, struct slice key)
{
    const struct trie_node *node = root;

    while (!is_leaf(node)) {
        const struct branch *branch = branch_of(node);
        unsigned slot = slot_at(key, branch->index);
        node = branch->child[has_slot(branch, slot) ? position_of(branch, slot) : 0];
    }
    return node;
}

struct slice trie_leaf_key(const struct trie_leaf *leaf)
{
    return slice_of(leaf->bytes, leaf->key_len);
}

struct slice trie_leaf_value(const struct trie_leaf *leaf)
{
    return slice_of(leaf->bytes + leaf->key_len, leaf->value_len);
}

bool trie_leaf_durable(const struct trie_leaf *leaf)
{
    return leaf->durable;
}

uint64_t trie_leaf_birth(const struct trie_leaf *leaf)
{
    return leaf->birth;
}

const struct trie_leaf *trie_find(const struct trie_node *root, struct slice key)
{
    const struct trie_node *node = root;

    if (node == NULL) {
        return NULL;
    }
    while (!is_leaf(node)) {
        const struct branch *branch = branch_of(node);
        unsigned slot = slot_at(key, branch->index);
        if (!has_slot(branch, slot)) {
            return NULL;
        }
        node = branch->child[position_of(branch, slot)];
    }
    return bytes_equal(key_of(node), key) ? leaf_of(node) : NULL;
}

/* Asks for the memory of a node: what a branch has of children, what a leaf has of key and value,
 * is mostly within so many lines. */
static void prefetch_node(const struct trie_node *node)
{
    const char *at = (const char *) ((uintptr_t) node & ~LEAF_TAG);

    for (int line = 0; line < PREFETCH_LINES; line++) {
        __builtin_prefetch(at + line * CACHE_LINE);
    }
}

/* One step on the path of a key, in the way of nearest_leaf(). False: it is at its end. */
static bool prefetch_step(const struct trie_node **node, struct slice key)
{
    const struct branch *branch;
    unsigned slot;

    if (*node == NULL || is_leaf(*node)) {
        return false;
    }
    branch = branch_of(*node);
    slot = slot_at(key, branch->index);
    *node = branch->child[has_slot(branch, slot) ? position_of(branch, slot) : 0];
    prefetch_node(*node);
    return true;
}

void trie_prefetch(const struct trie_node *root, const struct slice *keys, size_t count)
{
    const struct trie_node *nodes[TRIE_PREFETCH_MAX];
    size_t kept = count < TRIE_PREFETCH_MAX ? count : TRIE_PREFETCH_MAX;
    bool more = true;

    for (size_t i = 0; i < kept; i++) {
        nodes[i] = root;
    }
    while (more) {
        more = false;
        for (size_t i = 0; i < kept; i++) {
            more = prefetch_step(&nodes[i], keys[i]) || more;
        }
    }
}

static const struct trie_leaf *first_leaf_or_null(const struct trie_node *node)
{
    const struct trie_node *leaf = first_leaf(node);

    return leaf == NULL ? NULL : leaf_of(leaf);
}

const struct trie_leaf *trie_seek(const struct trie_node *root, struct slice key, bool after)
{
    const struct trie_node *node = root;
    const struct trie_node *greater = NULL; /* next to the path, on its right, nearest to its end */
    struct slice nearest;
    size_t difference;

    if (root == NULL) {
        return NULL;
    }
    nearest = key_of(nearest_leaf(root, key));
    difference = first_difference(nearest, key);
    while (!is_leaf(node) && branch_of(node)->index < difference) {
        const struct branch *branch = branch_of(node);
        unsigned at = position_of(branch, slot_at(key, branch->index));
        if (at + 1 < children_of(branch)) {
            greater = branch->child[at + 1];
        }
        node = branch->child[at];
    }
    if (difference == NOWHERE) {
        return after ? first_leaf_or_null(greater) : leaf_of(node);
    }
    if (!is_leaf(node) && branch_of(node)->index == difference) {
        /* No child has the key's slot; those from its place on are greater. */
        const struct branch *branch = branch_of(node);
        unsigned at = position_of(branch, slot_at(key, difference));
        return first_leaf_or_null(at < children_of(branch) ? branch->child[at] : greater);
    }
    /* All keys below differ from the key in this one nibble, in the same way. */
    return first_leaf_or_null(slot_at(nearest, difference) > slot_at(key, difference) ? node
                                                                                      : greater);
}

uint64_t trie_count(const struct trie_node *root, struct slice prefix)
{
    const struct trie_node *node = root;
    struct slice key;

    if (node == NULL) {
        return 0;
    }
    while (!is_leaf(node) && branch_of(node)->index < 2 * prefix.len) {
        const struct branch *branch = branch_of(node);
        unsigned slot = slot_at(prefix, branch->index);
        if (!has_slot(branch, slot)) {
            return 0;
        }
        node = branch->child[position_of(branch, slot)];
    }
    key = key_of(first_leaf(node));
    if (key.len < prefix.len || !bytes_equal(slice_of(key.data, prefix.len), prefix)) {
        return 0;
    }
    return count_of(node);
}

void trie_each_young(const struct trie_node *root, uint64_t oldest,
                     void (*visit)(void *context, const struct trie_leaf *leaf), void *context)
{
    if (root == NULL || birth_of(root) < oldest) {
        return;
    }
    if (is_leaf(root)) {
        visit(context, leaf_of(root));
        return;
    }
    /* As deep as a key has nibbles, at most. */
    for (unsigned i = 0; i < children_of(branch_of(root)); i++) {
        trie_each_young(branch_of(root)->child[i], oldest, visit, context);
    }
}
