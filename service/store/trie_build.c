/* Building a trie from leaves in order, and of two tries one. */
#include "store/trie_node.h"

#include <assert.h>
#include <stdlib.h>

/*
 * The branches that may still get a child are those on the way to the last leaf, and each is known
 * by its index alone: no two keys differ in a nibble before they have both come. So a branch is
 * made when all its children are there, with room for just these, and is never touched again.
 */
struct trie_frame {
    size_t index;
    size_t first; /* of its children among the nodes; they go to the end, or to the next frame's */
    uint32_t bitmap;
};

static bool reserve_frame(struct trie_builder *builder)
{
    size_t capacity = builder->frame_capacity == 0 ? 64 : builder->frame_capacity * 2;
    struct trie_frame *frames;

    if (builder->frames != NULL && builder->frame_count < builder->frame_capacity) {
        return true;
    }
    frames = realloc(builder->frames, capacity * sizeof(*frames));
    if (frames == NULL) {
        return false;
    }
    builder->frames = frames;
    builder->frame_capacity = capacity;
    return true;
}

static struct trie_frame *last_frame(const struct trie_builder *builder)
{
    return builder->frame_count == 0 ? NULL : &builder->frames[builder->frame_count - 1];
}

/* Makes the branch of the last frame, which stands in for its children then. */
static bool close_frame(struct trie_builder *builder)
{
    const struct trie_frame *frame = last_frame(builder);
    struct trie_node **children = builder->nodes.at + frame->first;
    size_t count = builder->nodes.len - frame->first;
    struct branch *branch = branch_create(builder->cells, builder->generation, (unsigned) count);
    uint64_t leaves = 0;

    if (branch == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        leaves += count_of(children[i]);
    }
    branch->count = leaves & COUNT_MASK;
    branch->index = frame->index & INDEX_MASK;
    branch->bitmap = frame->bitmap & BITMAP_MASK;
    copy_nodes(branch->child, children, count);
    children[0] = node_of_branch(branch);
    builder->nodes.len = frame->first + 1;
    builder->frame_count--;
    return true;
}

/* Makes a place for a key that differs in this nibble from the last one. */
static bool open_frame(struct trie_builder *builder, size_t index)
{
    struct trie_frame *frame = last_frame(builder);

    while (frame != NULL && frame->index > index) {
        if (!close_frame(builder)) {
            return false;
        }
        frame = last_frame(builder);
    }
    if (frame != NULL && frame->index == index) {
        return true;
    }
    if (!reserve_frame(builder)) {
        return false;
    }
    builder->frames[builder->frame_count++] = (struct trie_frame){
        .index = index,
        .first = builder->nodes.len - 1,
        .bitmap = 1U << slot_at(trie_leaf_key(builder->last), index),
    };
    return true;
}

enum trie_result trie_builder_add(struct trie_builder *builder, struct trie_leaf *leaf)
{
    struct slice key = trie_leaf_key(leaf);

    if (!nodes_reserve(&builder->nodes, 1)) {
        return TRIE_NO_MEMORY;
    }
    if (builder->last != NULL) {
        struct slice last = trie_leaf_key(builder->last);
        size_t index = first_difference(last, key);

        if (index == NOWHERE || slot_at(last, index) > slot_at(key, index)) {
            return TRIE_SAME;
        }
        if (!open_frame(builder, index)) {
            return TRIE_NO_MEMORY;
        }
        last_frame(builder)->bitmap |= 1U << slot_at(key, index);
    }
    builder->nodes.at[builder->nodes.len++] = node_of_leaf(leaf);
    builder->last = leaf;
    return TRIE_CHANGED;
}

bool trie_builder_end(struct trie_builder *builder, struct trie_node **root_out)
{
    while (builder->frame_count > 0) {
        if (!close_frame(builder)) {
            return false;
        }
    }
    assert(builder->nodes.len <= 1);
    *root_out = builder->nodes.len == 0 ? NULL : builder->nodes.at[0];
    builder->nodes.len = 0;
    builder->last = NULL;
    return true;
}

void trie_builder_fini(struct trie_builder *builder)
{
    trie_nodes_fini(&builder->nodes);
    free(builder->frames);
    builder->frames = NULL;
    builder->frame_count = 0;
    builder->frame_capacity = 0;
}

/* -------------------------------------------------------------------- merging */

static size_t index_of(const struct trie_node *node)
{
    return is_leaf(node) ? NOWHERE : branch_of(node)->index;
}

/* A branch over two nodes whose keys all differ in the nibble `index` in the same way. */
static bool join(struct trie *trie, struct trie_node **place, struct trie_node *other, size_t index)
{
    unsigned slot = slot_at(key_of(first_leaf(*place)), index);
    unsigned other_slot = slot_at(key_of(first_leaf(other)), index);
    struct branch *branch = branch_create(trie->cells, trie->generation, 2);

    if (branch == NULL) {
        return false;
    }
    branch->count = (count_of(*place) + count_of(other)) & COUNT_MASK;
    branch->index = index & INDEX_MASK;
    branch->bitmap = (1U << slot | 1U << other_slot) & BITMAP_MASK;
    branch->child[slot < other_slot ? 0 : 1] = *place;
    branch->child[slot < other_slot ? 1 : 0] = other;
    *place = node_of_branch(branch);
    return true;
}

static enum trie_result merge(struct trie *trie, struct trie_node **place, struct trie_node *other);

/* The branch that has the children of both, in place of the two. */
static enum trie_result unite(struct trie *trie, struct trie_node **place, struct branch *other)
{
    struct branch *branch = branch_of(*place);
    uint32_t bitmap = (uint32_t) branch->bitmap | (uint32_t) other->bitmap;
    struct branch *both = branch_create(trie->cells, trie->generation, bits_of(bitmap));
    enum trie_result result = both == NULL ? TRIE_NO_MEMORY : TRIE_CHANGED;
    unsigned at = 0;

    for (unsigned slot = 0; result == TRIE_CHANGED && slot < 17; slot++) {
        struct trie_node *extra =
            has_slot(other, slot) ? other->child[position_of(other, slot)] : NULL;

        if (has_slot(branch, slot)) {
            both->child[at] = branch->child[position_of(branch, slot)];
            if (extra != NULL) {
                result = merge(trie, &both->child[at], extra);
            }
            at++;
        } else if (extra != NULL) {
            both->child[at++] = extra;
        }
    }
    if (result != TRIE_CHANGED) {
        return result;
    }
    both->count = (branch->count + other->count) & COUNT_MASK;
    both->index = branch->index;
    both->bitmap = bitmap & BITMAP_MASK;
    node_free(*place, trie->cells);
    node_free(node_of_branch(other), trie->cells);
    *place = node_of_branch(both);
    return TRIE_CHANGED;
}

/* The node's place is below the branch, or beside its children. */
static enum trie_result take_in(struct trie *trie, struct trie_node **place,
                                struct trie_node *other)
{
    struct branch *branch = branch_of(*place);
    unsigned slot = slot_at(key_of(first_leaf(other)), branch->index);
    unsigned at = position_of(branch, slot);
    unsigned children = children_of(branch);
    struct branch *wide;

    if (has_slot(branch, slot)) {
        branch->count = (branch->count + count_of(other)) & COUNT_MASK;
        return merge(trie, &branch->child[at], other);
    }
    wide = branch_create(trie->cells, trie->generation, children + 1);
    if (wide == NULL) {
        return TRIE_NO_MEMORY;
    }
    wide->count = (branch->count + count_of(other)) & COUNT_MASK;
    wide->index = branch->index;
    wide->bitmap = (branch->bitmap | 1U << slot) & BITMAP_MASK;
    copy_nodes(wide->child, branch->child, at);
    wide->child[at] = other;
    copy_nodes(wide->child + at + 1, branch->child + at, children - at);
    node_free(*place, trie->cells);
    *place = node_of_branch(wide);
    return TRIE_CHANGED;
}

/* As deep as a key has nibbles, at most. */
static enum trie_result merge(struct trie *trie, struct trie_node **place, struct trie_node *other)
{
    size_t index = index_of(*place);
    size_t other_index = index_of(other);
    size_t difference = first_difference(key_of(first_leaf(*place)), key_of(first_leaf(other)));

    if (difference < index && difference < other_index) {
        return join(trie, place, other, difference) ? TRIE_CHANGED : TRIE_NO_MEMORY;
    }
    if (index == other_index) {
        return index == NOWHERE ? TRIE_SAME : unite(trie, place, branch_of(other));
    }
    if (index > other_index) {
        struct trie_node *node = *place;
        *place = other;
        other = node;
    }
    return take_in(trie, place, other);
}

enum trie_result trie_merge(struct trie *trie, struct trie_node *other)
{
    if (other == NULL) {
        return TRIE_CHANGED;
    }
    if (trie->root == NULL) {
        trie->root = other;
        return TRIE_CHANGED;
    }
    return merge(trie, &trie->root, other);
}
