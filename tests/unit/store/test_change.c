#include "store/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const uint8_t *) (text), sizeof(text) - 1

static const struct backend_edit edits[] = {
    { BYTES(""), NULL, 0, BYTES("new") },
    { BYTES("a"), BYTES("before"), BYTES("after") },
    { BYTES("b"), BYTES("gone"), NULL, 0 },
    { BYTES("c"), BYTES("x"), BYTES("") }, /* empty is not absent */
};
#define EDIT_COUNT (sizeof(edits) / sizeof(edits[0]))

static void pack(struct buffer *buffer)
{
    change_begin(buffer, BYTES("head"), EDIT_COUNT);
    for (size_t i = 0; i < EDIT_COUNT; i++) {
        change_put_edit(buffer, &edits[i]);
    }
    assert_false(buffer_failed(buffer));
}

static void assert_bytes(const uint8_t *data, size_t len, const uint8_t *expected,
                         size_t expected_len)
{
    assert_int_equal(data == NULL, expected == NULL);
    assert_int_equal(len, expected_len);
    if (len > 0) {
        assert_memory_equal(data, expected, len);
    }
}

static void what_was_packed_is_read(void **state)
{
    struct buffer buffer = BUFFER_INIT;
    struct change_reader reader;
    struct backend_edit edit;

    (void) state;
    pack(&buffer);
    assert_true(change_open(&reader, buffer.data, buffer.len));
    assert_bytes(reader.head, reader.head_len, BYTES("head"));
    for (size_t i = 0; i < EDIT_COUNT; i++) {
        assert_int_equal(change_next(&reader, &edit), 1);
        assert_bytes(edit.key, edit.key_len, edits[i].key, edits[i].key_len);
        assert_bytes(edit.before, edit.before_len, edits[i].before, edits[i].before_len);
        assert_bytes(edit.after, edit.after_len, edits[i].after, edits[i].after_len);
    }
    assert_int_equal(change_next(&reader, &edit), 0);
    buffer_fini(&buffer);
}

/* The bytes are in databases and in the chain: they may never come out otherwise. */
static void the_form_is_the_documented_one(void **state)
{
    static const uint8_t expected[] = { 0x01, 1, 'h', 2,   1, 'k', 0x03, 1,
                                        'b',  2, 'a', 'a', 1, 'l', 0x01, 0 };
    struct buffer buffer = BUFFER_INIT;

    (void) state;
    change_begin(&buffer, BYTES("h"), 2);
    change_put_edit(&buffer, &(struct backend_edit){ BYTES("k"), BYTES("b"), BYTES("aa") });
    change_put_edit(&buffer, &(struct backend_edit){ BYTES("l"), BYTES(""), NULL, 0 });
    assert_bytes(buffer.data, buffer.len, expected, sizeof(expected));
    buffer_fini(&buffer);
}

/* 1: read whole; -1: seen to be damaged. */
static int read_all(const uint8_t *data, size_t len)
{
    struct change_reader reader;
    struct backend_edit edit;
    int more;

    if (!change_open(&reader, data, len)) {
        return -1;
    }
    do {
        more = change_next(&reader, &edit);
    } while (more > 0);
    return more == 0 ? 1 : -1;
}

static void a_change_cut_anywhere_is_damaged(void **state)
{
    struct buffer buffer = BUFFER_INIT;

    (void) state;
    pack(&buffer);
    assert_int_equal(read_all(buffer.data, buffer.len), 1);
    for (size_t len = 0; len < buffer.len; len++) {
        uint8_t *cut = malloc(len + 1); /* on its own, so that ASan sees a step beyond */
        memcpy(cut + 1, buffer.data, len);
        assert_int_equal(read_all(cut + 1, len), -1);
        free(cut);
    }
    buffer_put_u8(&buffer, 0);
    assert_int_equal(read_all(buffer.data, buffer.len), -1);
    buffer_fini(&buffer);
}

static void nonsense_is_damaged(void **state)
{
    static const uint8_t newer[] = { 0x02, 0, 0 };
    static const uint8_t no_flags[] = { 0x01, 0, 1, 1, 'k', 0x00 };
    static const uint8_t strange_flag[] = { 0x01, 0, 1, 1, 'k', 0x04 };
    static const uint8_t huge[] = { 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 };

    (void) state;
    assert_int_equal(read_all(newer, sizeof(newer)), -1);
    assert_int_equal(read_all(no_flags, sizeof(no_flags)), -1);
    assert_int_equal(read_all(strange_flag, sizeof(strange_flag)), -1);
    assert_int_equal(read_all(huge, sizeof(huge)), -1);
}

/* printf '%064x%016x%s' 0 1 $(printf change | xxd -p) | xxd -r -p | sha256sum */
static void the_chain_is_the_documented_one(void **state)
{
    static const uint8_t expected[DIGEST_SIZE] = { 0x55, 0xcb, 0xe1, 0x41, 0x01, 0x07, 0x6d, 0x51,
                                                   0x97, 0x46, 0x37, 0xe9, 0xa9, 0x94, 0xea, 0xb9,
                                                   0x98, 0xa9, 0x8d, 0x49, 0x5d, 0x7d, 0xee, 0xc7,
                                                   0x74, 0xae, 0xa5, 0x33, 0x70, 0x39, 0xf6, 0x3f };
    struct position start = { 0, { 0 } };
    struct position next = position_next(&start, BYTES("change"));
    struct position other = position_next(&start, BYTES("Change"));

    (void) state;
    assert_int_equal(next.revision, 1);
    assert_memory_equal(next.chain, expected, DIGEST_SIZE);
    assert_false(position_equal(&next, &other));
    assert_false(position_equal(&next, &start));
    assert_true(position_equal(&next, &next));
}

static void each_result_has_its_name(void **state)
{
    (void) state;
    assert_string_equal(backend_result_name(BACKEND_OK), "OK");
    assert_string_equal(backend_result_name(BACKEND_READ_ONLY), "READ_ONLY");
    assert_string_equal(backend_result_name(BACKEND_UNAVAILABLE), "UNAVAILABLE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_read),
        cmocka_unit_test(the_form_is_the_documented_one),
        cmocka_unit_test(a_change_cut_anywhere_is_damaged),
        cmocka_unit_test(nonsense_is_damaged),
        cmocka_unit_test(the_chain_is_the_documented_one),
        cmocka_unit_test(each_result_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
