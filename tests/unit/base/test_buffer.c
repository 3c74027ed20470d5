#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_was_put_stands_one_after_the_other(void **state)
{
    struct buffer buffer = BUFFER_INIT;

    (void) state;
    buffer_put(&buffer, "abc", 3);
    buffer_put_u8(&buffer, 'd');
    buffer_put(&buffer, NULL, 0);
    memcpy(buffer_reserve(&buffer, 2), "ef", 2);
    assert_false(buffer_failed(&buffer));
    assert_int_equal(buffer.len, 6);
    assert_memory_equal(buffer.data, "abcdef", 6);
    buffer_clear(&buffer);
    assert_int_equal(buffer.len, 0);
    buffer_fini(&buffer);
    assert_null(buffer.data);
}

static void a_buffer_grows_over_many_puts(void **state)
{
    struct buffer buffer = BUFFER_INIT;

    (void) state;
    for (unsigned i = 0; i < 10000; i++) {
        buffer_put_u8(&buffer, (uint8_t) i);
    }
    assert_int_equal(buffer.len, 10000);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(buffer.data[i], (uint8_t) i);
    }
    buffer_fini(&buffer);
}

static void a_failed_buffer_stays_as_it_was_and_says_so(void **state)
{
    struct buffer buffer = BUFFER_INIT;

    (void) state;
    buffer_put(&buffer, "abc", 3);
    assert_null(buffer_reserve(&buffer, SIZE_MAX / 2));
    assert_true(buffer_failed(&buffer));
    buffer_put(&buffer, "d", 1);
    assert_int_equal(buffer.len, 3);
    assert_null(buffer_reserve(&buffer, 1));
    buffer_clear(&buffer);
    assert_false(buffer_failed(&buffer));
    buffer_put(&buffer, "d", 1);
    assert_int_equal(buffer.len, 1);
    buffer_fini(&buffer);
}

static void varints_come_back_as_they_went(void **state)
{
    static const struct {
        uint64_t value;
        size_t len;
    } rows[] = {
        { 0, 1 },
        { 1, 1 },
        { 127, 1 },
        { 128, 2 },
        { 16383, 2 },
        { 16384, 3 },
        { UINT32_MAX, 5 },
        { (UINT64_C(1) << 63) - 1, 9 },
        { UINT64_C(1) << 63, 10 },
        { UINT64_MAX, 10 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer buffer = BUFFER_INIT;
        const uint8_t *cursor;
        uint64_t value;
        buffer_put_varint(&buffer, rows[i].value);
        assert_int_equal(buffer.len, rows[i].len);
        for (size_t cut = 0; cut < buffer.len; cut++) {
            cursor = buffer.data;
            assert_false(varint_get(&cursor, buffer.data + cut, &value));
            assert_ptr_equal(cursor, buffer.data);
        }
        cursor = buffer.data;
        assert_true(varint_get(&cursor, buffer.data + buffer.len, &value));
        assert_true(value == rows[i].value);
        assert_ptr_equal(cursor, buffer.data + buffer.len);
        buffer_fini(&buffer);
    }
}

static void a_varint_of_more_than_64_bits_is_refused(void **state)
{
    uint8_t bytes[11] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0x00 };
    const uint8_t *cursor = bytes;
    uint64_t value;

    (void) state;
    assert_false(varint_get(&cursor, bytes + sizeof(bytes), &value));
    bytes[9] = 0x81; /* goes on, beyond ten bytes */
    assert_false(varint_get(&cursor, bytes + sizeof(bytes), &value));
    assert_ptr_equal(cursor, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_stands_one_after_the_other),
        cmocka_unit_test(a_buffer_grows_over_many_puts),
        cmocka_unit_test(a_failed_buffer_stays_as_it_was_and_says_so),
        cmocka_unit_test(varints_come_back_as_they_went),
        cmocka_unit_test(a_varint_of_more_than_64_bits_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
