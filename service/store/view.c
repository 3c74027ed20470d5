/* Reading: what snapshots and drafts have in common. */
#include "store/internal.h"

#include <string.h>

bool store_get(const struct store_view *view, struct slice key, struct slice *value_out)
{
    const struct trie_leaf *leaf = trie_find(*view->root, key);

    if (leaf == NULL) {
        return false;
    }
    *value_out = trie_leaf_value(leaf);
    return true;
}

uint64_t store_count(const struct store_view *view, struct slice prefix)
{
    return trie_count(*view->root, prefix);
}

void store_prefetch(const struct store_view *view, const struct slice *keys, size_t count)
{
    trie_prefetch(*view->root, keys, count);
}

static bool starts_with(struct slice key, const uint8_t *prefix, size_t prefix_len)
{
    return key.len >= prefix_len && (prefix_len == 0 || memcmp(key.data, prefix, prefix_len) == 0);
}

/* Whether `a` comes before `b` in byte order. */
static bool is_before(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    return order < 0 || (order == 0 && a.len < b.len);
}

static void move_to(struct store_cursor *cursor, struct slice from, bool after)
{
    if (from.len > 0) {
        memcpy(cursor->from, from.data, from.len);
    }
    cursor->from_len = from.len;
    cursor->after = after;
}

void store_cursor_init(struct store_cursor *cursor, const struct store_view *view,
                       struct slice prefix, struct slice from, bool after)
{
    cursor->view = view;
    cursor->prefix_len = prefix.len;
    if (prefix.len > STORE_KEY_MAX) {
        cursor->view = NULL; /* no key is that long */
        return;
    }
    if (prefix.len > 0) {
        memcpy(cursor->prefix, prefix.data, prefix.len);
    }
    if (is_before(from, prefix)) {
        move_to(cursor, prefix, false);
    } else if (from.len > STORE_KEY_MAX) {
        /* The longest key that could be the same so far comes before it. */
        move_to(cursor, slice_of(from.data, STORE_KEY_MAX), true);
    } else {
        move_to(cursor, from, after);
    }
}

bool store_cursor_next(struct store_cursor *cursor, struct store_entry *entry_out)
{
    const struct trie_leaf *leaf;
    struct slice key;

    if (cursor->view == NULL) {
        return false;
    }
    leaf = trie_seek(*cursor->view->root, slice_of(cursor->from, cursor->from_len), cursor->after);
    if (leaf == NULL) {
        return false;
    }
    key = trie_leaf_key(leaf);
    if (!starts_with(key, cursor->prefix, cursor->prefix_len)) {
        return false;
    }
    move_to(cursor, key, true);
    *entry_out = (struct store_entry){ key, trie_leaf_value(leaf), trie_leaf_durable(leaf) };
    return true;
}
