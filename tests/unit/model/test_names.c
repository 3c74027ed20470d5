#include "names_fixture.h"

#include "model/names.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void account_names_that_real_configurations_have_are_accepted(void **state)
{
    static const char *const names[] = {
        "mjl☺", "☺",      "☺\ufe0f", "☎\ufe0e", "a",    "A-b_c.d+e~f", "_x",
        "0",    "jürgen", "Ελένη",   "नमस्ते",    "山田", "a..b",        "a.",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        const char *name = NULL;
        const char *problem = name_parse_account(*state, names[i], &name);

        if (problem != NULL) {
            fail_msg("\"%s\" %s", names[i], problem);
        }
        assert_string_equal(name, names[i]);
    }
}

static void an_account_name_is_made_nfc(void **state)
{
    const char *name;

    assert_null(name_parse_account(*state, "ju\u0308rgen", &name));
    assert_string_equal(name, "jürgen");
}

static void account_names_that_could_do_harm_are_refused(void **state)
{
    static const char *const names[] = {
        "",         ".",         "..",       "a:b",     "a\nb",     "#x",       "../x",
        "a/b",      "/a",        ".a",       "-a",      "a b",      " a",       "a\tb",
        "a\x7f",    "a\xc2\x85", "a\u00a0b", "a\\b",    "a@b",      "a\"b",     "a'b",
        "a,b",      "a;b",       "a*b",      "a?b",     "a$b",      "a%b",      "a|b",
        "a<b",      "a\u2028",   "a\u202eb", "\u0301a", "a\u200bb", "a\u200db", "a\u3164",
        "a\u00adb", "a\ue000",   "a\u0378",  "a\ufffd", "a\ufeff",  "a\ufffe",  "a—b",
        "a\u3000b",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        const char *name = NULL;

        if (name_parse_account(*state, names[i], &name) == NULL) {
            fail_msg("\"%s\" was accepted", names[i]);
        }
        assert_null(name);
    }
    for (size_t i = 0; i < INVALID_UTF8_COUNT; i++) {
        const char *name;

        assert_string_equal(name_parse_account(*state, invalid_utf8[i], &name),
                            "is not valid UTF-8");
    }
}

static void an_account_name_has_at_most_64_characters_and_128_bytes(void **state)
{
    struct arena *arena = *state;
    const char *name;

    assert_null(name_parse_account(arena, repeated(arena, "a", 64, ""), &name));
    assert_string_equal(name_parse_account(arena, repeated(arena, "a", 65, ""), &name),
                        "is longer than 64 characters");
    assert_null(name_parse_account(arena, repeated(arena, "☺", 42, "aa"), &name));
    assert_string_equal(name_parse_account(arena, repeated(arena, "☺", 43, ""), &name),
                        "is longer than 128 bytes");
    /* Never composed: 90 bytes become 60 characters of 180 bytes. */
    assert_string_equal(name_parse_account(arena, repeated(arena, "\u0958", 30, ""), &name),
                        "is longer than 128 bytes");
    assert_non_null(name_parse_account(arena, repeated(arena, "a", 65536, ""), &name));
    assert_non_null(name_parse_account(arena, repeated(arena, "a\u0301", 10000, ""), &name));
    assert_non_null(name_parse_account(arena, noise(arena, 65536, 7), &name));
}

static void separators_are_1_to_4_characters_of_punctuation(void **state)
{
    static const char *const good[] = { "+", "-", "_", "=", ".", "--", "+-_=" };
    static const char *const bad[] = { "", "+++++", "a", "+a", "@", " ", "\n", "\u00b1", "\xff" };

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_null(name_check_separator(good[i]));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_non_null(name_check_separator(bad[i]));
    }
}

static void mailbox_names_follow_rule_3_4_05(void **state)
{
    static const char *const good[] = {
        "Inbox", "inbox", "a/b/c", "Entwürfe", "a#b",  ".a",
        "a.",    "...",   "a b",   " ",        "a/#b", "..a/b",
    };
    static const char *const bad[] = {
        "",       "/",     "/a",        "a/",        "a//b",    "#a",      ".",
        "..",     "a/.",   "a/..",      "../a",      "./a",     "a/../b",  "a\nb",
        "a\x1f",  "a\x7f", "a\xc2\x80", "a\xc2\x9f", "a\u2028", "a\u2029", "Entwu\u0308rfe",
        "\u2126",
    };
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(good); i++) {
        const char *problem = name_check_mailbox(arena, good[i]);

        if (problem != NULL) {
            fail_msg("\"%s\" %s", good[i], problem);
        }
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (name_check_mailbox(arena, bad[i]) == NULL) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
    for (size_t i = 0; i < INVALID_UTF8_COUNT; i++) {
        assert_non_null(name_check_mailbox(arena, invalid_utf8[i]));
    }
    assert_null(name_check_mailbox(arena, repeated(arena, "a", 255, "")));
    assert_non_null(name_check_mailbox(arena, repeated(arena, "a", 256, "")));
    assert_non_null(name_check_mailbox(arena, repeated(arena, "\u0301", 10000, "")));
}

static void a_line_has_no_controls_and_at_most_1024_bytes(void **state)
{
    static const char *const good[] = { "", "Jürgen ☺", "\u05d0\u200f", "a \"b\" \\" };
    static const char *const bad[] = { "a\nb",     "a\rb",   "a\tb",  "\x7f",
                                       "\xc2\x85", "\u2028", "\u2029" };
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(good); i++) {
        assert_null(name_check_line(good[i]));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_non_null(name_check_line(bad[i]));
    }
    for (size_t i = 0; i < INVALID_UTF8_COUNT; i++) {
        assert_string_equal(name_check_line(invalid_utf8[i]), "is not valid UTF-8");
    }
    assert_null(name_check_line(repeated(arena, "a", 1024, "")));
    assert_non_null(name_check_line(repeated(arena, "a", 1025, "")));
}

static void a_shown_value_can_neither_break_a_line_nor_hide_its_end(void **state)
{
    static const struct {
        const char *text;
        const char *shown;
    } cases[] = {
        { "", "\"\"" },
        { "a.example", "\"a.example\"" },
        { "bücher ☺", "\"bücher ☺\"" },
        { "a\nb\x7f", "\"a\\x0Ab\\x7F\"" },
        { "a\" is fine", "\"a\\\" is fine\"" },
        { "a\\x0A", "\"a\\\\x0A\"" },
        { "\xff\xc3", "\"\\xFF\\xC3\"" },
        { "\xc2\x85\u2028\u202e", "\"\\xC2\\x85\\xE2\\x80\\xA8\\xE2\\x80\\xAE\"" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(name_show(*state, cases[i].text), cases[i].shown);
    }
}

static void a_shown_value_is_cut_after_80_bytes_between_characters(void **state)
{
    struct arena *arena = *state;
    struct arena *none = arena_create(1);
    char *a_80 = repeated(arena, "a", 80, "");

    assert_string_equal(name_show(arena, a_80), arena_printf(arena, "\"%s\"", a_80));
    assert_string_equal(name_show(arena, repeated(arena, "a", 81, "")),
                        arena_printf(arena, "\"%s...\"", a_80));
    /* 26 of 3 bytes are 78; the 27th does not fit. */
    assert_string_equal(name_show(arena, repeated(arena, "☺", 1000, "")),
                        arena_printf(arena, "\"%s...\"", repeated(arena, "☺", 26, "")));
    assert_string_equal(name_show(arena, repeated(arena, "\x01", 65536, "")),
                        arena_printf(arena, "\"%s...\"", repeated(arena, "\\x01", 80, "")));
    assert_string_equal(name_show(none, "a"), "\"...\"");
    arena_destroy(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(account_names_that_real_configurations_have_are_accepted),
        TEST(an_account_name_is_made_nfc),
        TEST(account_names_that_could_do_harm_are_refused),
        TEST(an_account_name_has_at_most_64_characters_and_128_bytes),
        TEST(separators_are_1_to_4_characters_of_punctuation),
        TEST(mailbox_names_follow_rule_3_4_05),
        TEST(a_line_has_no_controls_and_at_most_1024_bytes),
        TEST(a_shown_value_can_neither_break_a_line_nor_hide_its_end),
        TEST(a_shown_value_is_cut_after_80_bytes_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
