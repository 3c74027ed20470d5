/* Numbers, durations and sizes as the settings file writes them. */
#include "settings/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct good {
    const char *text;
    uint64_t value;
};

static void a_number_is_decimal_digits(void **state)
{
    static const struct good good[] = {
        { "0", 0 }, { "7", 7 }, { "4096", 4096 }, { "18446744073709551615", UINT64_MAX }
    };
    static const char *const bad[] = { "",    "-1", "+1", "01",  "1.0",
                                       "0x1", "1 ", " 1", "1_0", "18446744073709551616" };
    uint64_t value;

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(value_parse_number(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(value_parse_number(bad[i], &value));
    }
}

static void a_duration_has_one_unit(void **state)
{
    static const struct good good[] = { { "0", 0 },       { "0s", 0 },      { "250ms", 250 },
                                        { "30s", 30000 }, { "5m", 300000 }, { "24h", 86400000 } };
    static const char *const bad[] = { "",      "5",  "s",   "5 s",  "5S",
                                       "1h30m", "1d", "-5s", "0.5s", "18446744073709551615h" };
    uint64_t value;

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(value_parse_duration(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(value_parse_duration(bad[i], &value));
    }
}

static void a_size_is_bytes_or_has_a_binary_unit(void **state)
{
    static const struct good good[] = { { "0", 0 },
                                        { "4096", 4096 },
                                        { "512KiB", 512 * 1024 },
                                        { "4MiB", 4 * 1024 * 1024 },
                                        { "2GiB", (uint64_t) 2 * 1024 * 1024 * 1024 } };
    static const char *const bad[] = { "",     "4MB", "4M",    "4 MiB",
                                       "4mib", "MiB", "4MiBx", "18446744073709551615KiB" };
    uint64_t value;

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(value_parse_size(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(value_parse_size(bad[i], &value));
    }
}

static void what_is_formatted_parses_back_in_the_largest_unit(void **state)
{
    char text[VALUE_TEXT_SIZE];

    (void) state;
    value_format_duration(0, text);
    assert_string_equal(text, "0");
    value_format_duration(1500, text);
    assert_string_equal(text, "1500ms");
    value_format_duration(90000, text);
    assert_string_equal(text, "90s");
    value_format_duration(7200000, text);
    assert_string_equal(text, "2h");
    value_format_size(64 * 1024, text);
    assert_string_equal(text, "64KiB");
    value_format_size(1025, text);
    assert_string_equal(text, "1025");
    value_format_number(UINT64_MAX, text);
    assert_string_equal(text, "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_decimal_digits),
        cmocka_unit_test(a_duration_has_one_unit),
        cmocka_unit_test(a_size_is_bytes_or_has_a_binary_unit),
        cmocka_unit_test(what_is_formatted_parses_back_in_the_largest_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
