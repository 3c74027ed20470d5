/* Putting leaves in the order of their keys. */
#include "store/trie_node.h"

#include <endian.h>
#include <stdlib.h>

/* So few are faster put in order one by one. */
#define FEW 24
/* Bytes of a key that are compared at once. */
#define WORD_BYTES 7

/*
 * Seven bytes of a key from some place on, as a number, and behind them how many there were, up to
 * one more than there is room for. So words are in the order of keys, and where they are the same
 * and less than eight the keys end there and are the same.
 */
struct item {
    uint64_t word;
    struct trie_leaf *leaf;
};

static uint64_t word_at(struct slice key, size_t at)
{
    size_t left = key.len > at ? key.len - at : 0;
    uint64_t word = 0;

    if (left > WORD_BYTES) {
        memcpy(&word, key.data + at, sizeof(word));
        return (be64toh(word) & ~UINT64_C(0xff)) | (WORD_BYTES + 1);
    }
    for (size_t i = 0; i < WORD_BYTES; i++) {
        word = word << 8 | (i < left ? key.data[at + i] : 0);
    }
    return word << 8 | left;
}

static bool key_ends(uint64_t word)
{
    return (word & 0xff) <= WORD_BYTES;
}

static int compare(const struct trie_leaf *a, const struct trie_leaf *b)
{
    return slice_compare(trie_leaf_key(a), trie_leaf_key(b));
}

static void sort_few(struct item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct item item = items[i];
        size_t at = i;

        for (; at > 0 && compare(items[at - 1].leaf, item.leaf) > 0; at--) {
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

/* Puts them in the order of one byte of the words, else as they were. */
static void pass(const struct item *from, struct item *to, size_t count, unsigned shift)
{
    size_t starts[257] = { 0 };

    for (size_t i = 0; i < count; i++) {
        starts[(from[i].word >> shift & 0xff) + 1]++;
    }
    for (unsigned i = 1; i < 257; i++) {
        starts[i] += starts[i - 1];
    }
    for (size_t i = 0; i < count; i++) {
        to[starts[from[i].word >> shift & 0xff]++] = from[i];
    }
}

static void sort_by_words(struct item *items, struct item *spare, size_t count)
{
    struct item *from = items;
    struct item *to = spare;
    uint64_t different = 0;

    for (size_t i = 1; i < count; i++) {
        different |= items[i].word ^ items[0].word;
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((different >> shift & 0xff) != 0) {
            pass(from, to, count, shift);
            to = from;
            from = from == items ? spare : items;
        }
    }
    if (from != items) {
        memcpy(items, from, count * sizeof(*items));
    }
}

/* The keys are the same before `at`. Goes as deep as a key has words, at most. */
static void sort(struct item *items, struct item *spare, size_t count, size_t at)
{
    size_t end;

    if (count <= FEW) {
        sort_few(items, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].word = word_at(trie_leaf_key(items[i].leaf), at);
    }
    sort_by_words(items, spare, count);
    for (size_t i = 0; i < count; i = end) {
        for (end = i + 1; end < count && items[end].word == items[i].word;) {
            end++;
        }
        if (end - i > 1 && !key_ends(items[i].word)) {
            sort(items + i, spare + i, end - i, at + WORD_BYTES);
        }
    }
}

static bool is_sorted(struct trie_leaf *const *leaves, size_t count)
{
    size_t i = 1;

    while (i < count && compare(leaves[i - 1], leaves[i]) < 0) {
        i++;
    }
    return i >= count;
}

/* Takes the leaves back in order; of those with the same key, which are in the order they came in,
 * the last remains and the others go to the end. */
static size_t take_back(struct trie_leaf **leaves, struct item *items, size_t count)
{
    size_t kept = 0;
    size_t dropped = 0;

    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && compare(items[i].leaf, items[i + 1].leaf) == 0) {
            items[dropped++].leaf = items[i].leaf;
        } else {
            leaves[kept++] = items[i].leaf;
        }
    }
    for (size_t i = 0; i < dropped; i++) {
        leaves[kept + i] = items[i].leaf;
    }
    return kept;
}

bool trie_leaves_sort(struct trie_leaf **leaves, size_t count, size_t *kept_out)
{
    struct item *items;

    *kept_out = count;
    if (is_sorted(leaves, count)) {
        return true;
    }
    items = malloc(2 * count * sizeof(*items));
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].leaf = leaves[i];
    }
    sort(items, items + count, count, 0);
    *kept_out = take_back(leaves, items, count);
    free(items);
    return true;
}
