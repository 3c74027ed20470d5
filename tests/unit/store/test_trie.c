#include "store/trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Keys chosen to be hard, in byte order: prefixes of each other, the empty one, both ends of a
 * byte, and neighbours that differ in one nibble only. */
static const struct slice hard_keys[] = {
#define KEY(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *) (text), sizeof(text) - 1                                                 \
    }
    KEY(""),         KEY("\x00"),     KEY("\x00\x00"), KEY("\x00\x00\x00"),
    KEY("\x00\x01"), KEY("\x00\xff"), KEY("\x01"),     KEY("\x0f"),
    KEY("\x0f\xff"), KEY("\x10"),     KEY("a"),        KEY("a\x00"),
    KEY("a\x00z"),   KEY("aa"),       KEY("aaa"),      KEY("aaaaaaaaa"),
    KEY("ab"),       KEY("b"),        KEY("q"),        KEY("\xf0"),
    KEY("\xff"),     KEY("\xff\x00"), KEY("\xff\xff"), KEY("\xff\xff\xff"),
#undef KEY
};
#define KEY_COUNT (sizeof(hard_keys) / sizeof(hard_keys[0]))

struct fixture {
    struct trie trie;
    struct cells cells;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->trie.cells = &fixture->cells;
    fixture->trie.generation = 1;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    trie_nodes_free_born_after(&fixture->trie.dead, 0, &fixture->cells);
    trie_nodes_fini(&fixture->trie.dead);
    if (cells_used(&fixture->cells) != trie_memory(fixture->trie.root)) {
        return -1; /* something leaked, or was counted wrongly */
    }
    cells_fini(&fixture->cells);
    free(fixture);
    return 0;
}

static struct slice text(const char *string)
{
    return slice_of(string, strlen(string));
}

static void put(struct trie *trie, struct slice key, const char *value)
{
    assert_int_equal(trie_put(trie, key, text(value), true), TRIE_CHANGED);
}

static void put_hard_keys(struct trie *trie, unsigned mask)
{
    /* 7 is coprime to the count's neighbours: an order that is not the keys' own. */
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t at = i * 7 % KEY_COUNT;
        if ((mask >> at & 1) != 0) {
            put(trie, hard_keys[at], "value");
        }
    }
}

static void assert_key(const struct trie_leaf *leaf, struct slice key)
{
    assert_non_null(leaf);
    assert_int_equal(trie_leaf_key(leaf).len, key.len);
    assert_memory_equal(trie_leaf_key(leaf).data, key.data, key.len);
}

static void an_empty_map_has_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_null(trie_find(fixture->trie.root, text("")));
    assert_null(trie_seek(fixture->trie.root, text(""), false));
    assert_int_equal(trie_count(fixture->trie.root, text("")), 0);
    assert_int_equal(trie_delete(&fixture->trie, text("a")), TRIE_SAME);
}

static void what_was_put_is_found(void **state)
{
    struct fixture *fixture = *state;
    const struct trie_leaf *leaf;

    put(&fixture->trie, text("key"), "value");
    assert_int_equal(trie_put(&fixture->trie, text("kez"), text(""), false), TRIE_CHANGED);
    leaf = trie_find(fixture->trie.root, text("key"));
    assert_key(leaf, text("key"));
    assert_int_equal(trie_leaf_value(leaf).len, 5);
    assert_memory_equal(trie_leaf_value(leaf).data, "value", 5);
    assert_true(trie_leaf_durable(leaf));
    leaf = trie_find(fixture->trie.root, text("kez"));
    assert_int_equal(trie_leaf_value(leaf).len, 0);
    assert_false(trie_leaf_durable(leaf));
    assert_null(trie_find(fixture->trie.root, text("ke")));
    assert_null(trie_find(fixture->trie.root, text("keyy")));
}

/* Every subset that leaves out some of the hard keys, against the plain list of them. */
static void hard_keys_come_in_byte_order(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned round = 0; round < 3000; round++) {
        unsigned mask = (round * 2654435761U >> 7) & ((1U << KEY_COUNT) - 1);
        put_hard_keys(&fixture->trie, mask);
        for (size_t from = 0; from < KEY_COUNT; from++) {
            for (int after = 0; after < 2; after++) {
                size_t expected = from + (after != 0 ? 1 : 0);
                const struct trie_leaf *leaf =
                    trie_seek(fixture->trie.root, hard_keys[from], after != 0);
                while (expected < KEY_COUNT && (mask >> expected & 1) == 0) {
                    expected++;
                }
                if (expected == KEY_COUNT) {
                    assert_null(leaf);
                } else {
                    assert_key(leaf, hard_keys[expected]);
                }
            }
            assert_int_equal(trie_find(fixture->trie.root, hard_keys[from]) != NULL,
                             mask >> from & 1);
        }
        for (size_t i = 0; i < KEY_COUNT; i++) {
            assert_int_equal(trie_delete(&fixture->trie, hard_keys[i * 11 % KEY_COUNT]),
                             (mask >> (i * 11 % KEY_COUNT) & 1) != 0 ? TRIE_CHANGED : TRIE_SAME);
        }
        assert_null(fixture->trie.root);
        assert_int_equal(cells_used(&fixture->cells), 0);
    }
}

static void a_prefix_counts_its_keys(void **state)
{
    struct fixture *fixture = *state;
    const struct slice *keys = hard_keys;

    put_hard_keys(&fixture->trie, ~0U);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        uint64_t expected = 0;
        for (size_t j = 0; j < KEY_COUNT; j++) {
            expected +=
                keys[j].len >= keys[i].len && memcmp(keys[j].data, keys[i].data, keys[i].len) == 0;
        }
        assert_int_equal(trie_count(fixture->trie.root, keys[i]), expected);
    }
    assert_int_equal(trie_count(fixture->trie.root, text("ac")), 0);
    assert_int_equal(trie_count(fixture->trie.root, text("aaaa")), 1);
    assert_int_equal(trie_count(fixture->trie.root, text("aaaaaaaaaa")), 0);
    assert_int_equal(trie_count(fixture->trie.root, text("z")), 0);
}

static void the_longest_key_and_its_neighbours_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[STORE_KEY_MAX] = { 0 };
    struct slice key = slice_of(bytes, sizeof(bytes));

    memset(bytes, 0xff, sizeof(bytes));
    put(&fixture->trie, key, "all");
    put(&fixture->trie, slice_of(bytes, sizeof(bytes) - 1), "but one");
    bytes[sizeof(bytes) - 1] = 0xfe;
    put(&fixture->trie, key, "other");
    assert_key(trie_seek(fixture->trie.root, slice_of(bytes, sizeof(bytes) - 1), true), key);
    assert_int_equal(trie_count(fixture->trie.root, slice_of(bytes, sizeof(bytes) - 1)), 3);
    assert_int_equal(trie_count(fixture->trie.root, key), 1);
}

/* One key for each length: as deep as the map can be. */
static void the_deepest_map_works(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[STORE_KEY_MAX] = { 0 };

    for (size_t len = 0; len <= sizeof(bytes); len++) {
        put(&fixture->trie, slice_of(bytes, len), "");
    }
    assert_int_equal(trie_count(fixture->trie.root, slice_of(bytes, 1000)), STORE_KEY_MAX - 999);
    assert_true(trie_clear(&fixture->trie));
    assert_int_equal(cells_used(&fixture->cells), 0);
}

static void the_same_bytes_again_copy_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct trie_node *root;

    put_hard_keys(&fixture->trie, ~0U);
    root = fixture->trie.root;
    fixture->trie.generation++;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_int_equal(trie_put(&fixture->trie, hard_keys[i], text("value"), true), TRIE_SAME);
    }
    assert_int_equal(trie_delete(&fixture->trie, text("not there")), TRIE_SAME);
    assert_ptr_equal(fixture->trie.root, root);
    assert_int_equal(fixture->trie.dead.len, 0);
}

static void an_older_version_stays_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct trie_node *old;

    put_hard_keys(&fixture->trie, 0x555555);
    old = fixture->trie.root;
    fixture->trie.generation++;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (i % 2 == 0) {
            assert_int_equal(trie_delete(&fixture->trie, hard_keys[i]), TRIE_CHANGED);
        } else {
            put(&fixture->trie, hard_keys[i], "new");
        }
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_int_equal(trie_find(old, hard_keys[i]) != NULL, i % 2 == 0);
        assert_int_equal(trie_find(fixture->trie.root, hard_keys[i]) != NULL, i % 2 == 1);
    }
    assert_int_equal(trie_count(old, text("")), KEY_COUNT / 2);
    assert_int_equal(trie_count(fixture->trie.root, text("")), KEY_COUNT / 2);
}

static void a_rollback_restores_the_version_and_frees_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct trie_node *root;
    size_t memory;

    put_hard_keys(&fixture->trie, 0x555555);
    root = fixture->trie.root;
    memory = cells_used(&fixture->cells);
    fixture->trie.generation = 2;
    put_hard_keys(&fixture->trie, 0xaaaaaa);
    fixture->trie.generation = 3;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_int_equal(trie_delete(&fixture->trie, hard_keys[i]), TRIE_CHANGED);
    }
    put(&fixture->trie, text("x"), "young");
    trie_rollback(&fixture->trie, root, 0, 2);
    assert_int_equal(trie_count(fixture->trie.root, text("")), KEY_COUNT / 2);
    assert_int_equal(cells_used(&fixture->cells), memory);
    assert_int_equal(fixture->trie.dead.len, 0);
}

/* A caller that walks and deletes hands in the key that the store gave it. */
static void a_key_borrowed_from_the_map_can_be_deleted(void **state)
{
    struct fixture *fixture = *state;
    const struct trie_leaf *leaf;

    put_hard_keys(&fixture->trie, ~0U);
    while ((leaf = trie_seek(fixture->trie.root, text(""), false)) != NULL) {
        assert_int_equal(trie_delete(&fixture->trie, trie_leaf_key(leaf)), TRIE_CHANGED);
    }
    assert_int_equal(cells_used(&fixture->cells), 0);
}

static void collect(void *context, const struct trie_leaf *leaf)
{
    char *seen = context;

    strncat(seen, (const char *) trie_leaf_key(leaf).data, trie_leaf_key(leaf).len);
}

static void young_leaves_are_seen_in_order(void **state)
{
    struct fixture *fixture = *state;
    char seen[32] = "";

    put(&fixture->trie, text("b"), "");
    put(&fixture->trie, text("d"), "");
    fixture->trie.generation++;
    put(&fixture->trie, text("e"), "");
    put(&fixture->trie, text("a"), "");
    put(&fixture->trie, text("d"), "changed");
    put(&fixture->trie, text("c"), "");
    trie_each_young(fixture->trie.root, fixture->trie.generation, collect, seen);
    assert_string_equal(seen, "acde");
}

/* Under ASan it fails for a step too far; its use is seen in ./bench alone. */
static void prefetching_follows_any_key_to_its_end(void **state)
{
    struct fixture *fixture = *state;

    trie_prefetch(NULL, hard_keys, TRIE_PREFETCH_MAX);
    for (size_t i = 0; i < KEY_COUNT; i += 2) {
        put(&fixture->trie, hard_keys[i], "");
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        trie_prefetch(fixture->trie.root, &hard_keys[i], KEY_COUNT - i);
    }
    trie_prefetch(fixture->trie.root, NULL, 0);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_int_equal(trie_find(fixture->trie.root, hard_keys[i]) != NULL, i % 2 == 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_map_has_nothing),
        TEST(what_was_put_is_found),
        TEST(hard_keys_come_in_byte_order),
        TEST(a_prefix_counts_its_keys),
        TEST(the_longest_key_and_its_neighbours_are_told_apart),
        TEST(the_deepest_map_works),
        TEST(the_same_bytes_again_copy_nothing),
        TEST(an_older_version_stays_as_it_is),
        TEST(a_rollback_restores_the_version_and_frees_the_rest),
        TEST(a_key_borrowed_from_the_map_can_be_deleted),
        TEST(young_leaves_are_seen_in_order),
        TEST(prefetching_follows_any_key_to_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
