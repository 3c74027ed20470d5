#include "names_fixture.h"

#include "model/names.h"

static const char tab_and_del[] = "\t\x7f";

/* mox-behaviour 4.6: the localpart's value and the text of the address; NULL: refused. */
struct vector {
    const char *input;
    const char *value;
    const char *text;
};

static void assert_accepted(struct arena *arena, const struct vector *vector)
{
    struct name_address address, again;
    const char *problem = name_parse_address(arena, vector->input, false, &address);
    const char *text;

    if (problem != NULL) {
        fail_msg("<%s> %s", vector->input, problem);
    }
    assert_false(address.catchall);
    assert_string_equal(address.localpart, vector->value);
    text = name_address_text(arena, &address);
    assert_string_equal(text, vector->text);
    /* Rule 4.3-04: text, parsed and written again, stays. */
    assert_null(name_parse_address(arena, text, false, &again));
    assert_string_equal(again.localpart, vector->value);
    assert_string_equal(name_address_text(arena, &again), text);
}

static void assert_refused(struct arena *arena, const char *input)
{
    struct name_address address = { .localpart = NULL };

    if (name_parse_address(arena, input, false, &address) == NULL) {
        fail_msg("<%s> was accepted", input);
    }
    assert_null(address.localpart);
}

static void addresses_of_the_upstream_table_are_accepted_as_there(void **state)
{
    static const struct vector vectors[] = {
        { "A.B@B.C", "A.B", "A.B@b.c" },
        { "\"john.doe\"@c.d", "john.doe", "john.doe@c.d" },
        { "\"a..b\"@c.d", "a..b", "\"a..b\"@c.d" },
        { "\"a b\"@c.d", "a b", "\"a b\"@c.d" },
        { "\"\"@c.d", "", "\"\"@c.d" },
        { "\"a@b\"@c.d", "a@b", "\"a@b\"@c.d" },
        { "\"a\\\"b\"@c.d", "a\"b", "\"a\\\"b\"@c.d" },
        { "\"a\\\\b\"@c.d", "a\\b", "\"a\\\\b\"@c.d" },
        { "\"a:b\"@c.d", "a:b", "\"a:b\"@c.d" },
        { "#a@c.d", "#a", "#a@c.d" },
        { "a/b@c.d", "a/b", "a/b@c.d" },
        { "a+b@c.d", "a+b", "a+b@c.d" },
        { "e\u0301@c.d", "\u00e9", "\u00e9@c.d" },
        { "\u2126@c.d", "\u03a9", "\u03a9@c.d" },
        { "a\u00a0b@c.d", "a\u00a0b", "a\u00a0b@c.d" },
        { "\"\\a\\ b\"@c.d", "a b", "\"a b\"@c.d" },
        { "!#$%&'*+-/=?^_`{|}~@c.d", "!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~@c.d" },
        { "\".a\"@c.d", ".a", "\".a\"@c.d" },
        { "\"a.\"@c.d", "a.", "\"a.\"@c.d" },
        { "☺@BÜCHER.example", "☺", "☺@bücher.example" },
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        assert_accepted(*state, &vectors[i]);
    }
}

static void addresses_of_the_upstream_table_are_refused_as_there(void **state)
{
    static const char *const inputs[] = {
        "a..b@c.d", ".a@c.d",      "a.@c.d",      "@c.d",     "a",       "",
        "a@b@c.d",  "a\"b@c.d",    "\"ab\"c@c.d", " a b@c.d", "a b@c.d", "a@c.d ",
        " a@c.d",   "a@[1.2.3.4]", "a(b)@c.d",    "a,b@c.d",  "a:b@c.d", "<a@c.d>",
        "a@c.d.",   "a@1.2.3.4",   "\"a@c.d",     "\"a\\",    "\"",      "\"\\\u00e9\"@c.d",
        "@",        "\"\"",        "a\\b@c.d",
    };

    for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
        assert_refused(*state, inputs[i]);
    }
}

static void control_characters_are_refused_quoted_or_not_escaped_or_not(void **state)
{
    struct arena *arena = *state;

    for (const char *c = tab_and_del; *c != '\0'; c++) {
        assert_refused(arena, arena_printf(arena, "a%cb@c.d", *c));
        assert_refused(arena, arena_printf(arena, "\"a%cb\"@c.d", *c));
        assert_refused(arena, arena_printf(arena, "a\\%cb@c.d", *c));
        assert_refused(arena, arena_printf(arena, "\"a\\%cb\"@c.d", *c));
    }
}

static void localparts_of_128_bytes_are_accepted_and_of_129_refused(void **state)
{
    struct arena *arena = *state;
    char *longest = repeated(arena, "a", NAME_LOCALPART_MAX, "");
    char *longest_quoted = repeated(arena, "\\\"", NAME_LOCALPART_MAX, "");
    const struct vector vectors[] = {
        { arena_printf(arena, "%s@c.d", longest), longest, arena_printf(arena, "%s@c.d", longest) },
        /* The decoded value counts, not its quotes and backslashes. */
        { arena_printf(arena, "\"%s\"@c.d", longest_quoted),
          repeated(arena, "\"", NAME_LOCALPART_MAX, ""),
          arena_printf(arena, "\"%s\"@c.d", longest_quoted) },
    };

    assert_accepted(arena, &vectors[0]);
    assert_accepted(arena, &vectors[1]);
    assert_refused(arena, repeated(arena, "a", NAME_LOCALPART_MAX + 1, "@c.d"));
    assert_refused(arena, arena_printf(arena, "\"%s\"@c.d", repeated(arena, "a", 129, "")));
}

static void we_are_stricter_than_upstream_with_an_empty_domain(void **state)
{
    assert_refused(*state, "a@");
    assert_refused(*state, "\"a\"@");
}

static void we_are_stricter_than_upstream_with_control_characters_outside_ascii(void **state)
{
    static const char *const refused[] = {
        "\xc2\x80", "\xc2\x85", "\xc2\x9f", "\u2028", "\u2029", "\u202e",     "\u2066",
        "\u200f",   "\u061c",   "\ufffe",   "\uffff", "\ufdd0", "\U0010ffff",
    };
    struct arena *arena = *state;

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_refused(arena, arena_printf(arena, "a%sb@c.d", refused[i]));
        assert_refused(arena, arena_printf(arena, "\"a%sb\"@c.d", refused[i]));
    }
}

static void we_are_stricter_than_upstream_with_invalid_utf8(void **state)
{
    struct arena *arena = *state;

    assert_refused(arena, "a\xff@c.d");
    assert_refused(arena, "\"a\xff\"@c.d");
    for (size_t i = 0; i < INVALID_UTF8_COUNT; i++) {
        assert_refused(arena, arena_printf(arena, "%s@c.d", invalid_utf8[i]));
        assert_refused(arena, arena_printf(arena, "\"%s\"@c.d", invalid_utf8[i]));
        assert_refused(arena, arena_printf(arena, "a@%s", invalid_utf8[i]));
    }
}

/* Otherwise a canonical address could be longer than an address may be. */
static void we_are_stricter_than_upstream_with_localparts_that_grow(void **state)
{
    struct arena *arena = *state;

    /* U+023A has 2 bytes, its lower case 3; U+1D15E is never composed: 4 bytes become 8. */
    assert_refused(arena, repeated(arena, "\u023a", 64, "@c.d"));
    assert_refused(arena, repeated(arena, "\U0001d15e", 32, "@c.d"));
    /* Too long normalised, short again in lower case. */
    assert_refused(arena, repeated(arena, "\u0130", 60, "\U0001d15e\U0001d15e@c.d"));
}

static void a_catchall_is_an_address_only_where_it_may_be(void **state)
{
    struct name_address address;

    assert_null(name_parse_address(*state, "@BÜCHER.example", true, &address));
    assert_true(address.catchall);
    assert_null(address.localpart);
    assert_string_equal(address.domain.ascii, "xn--bcher-kva.example");
    assert_string_equal(name_address_text(*state, &address), "@bücher.example");
    assert_string_equal(name_parse_address(*state, "@c.d", false, &address), "has no localpart");
    assert_non_null(name_parse_address(*state, "@", true, &address));
    assert_null(name_parse_address(*state, "a@c.d", true, &address));
    assert_false(address.catchall);
}

static void a_refusal_says_which_part_is_wrong(void **state)
{
    static const struct {
        const char *input;
        const char *problem;
    } cases[] = {
        { "", "is empty" },
        { "a", "has no \"@\" with a domain" },
        { "a@", "has a domain that is empty" },
        { "a@b..c", "has a domain that has an empty label" },
        { ".a@b", "has a localpart that starts with a dot" },
        { "a..b@b", "has a localpart that has two dots in a row" },
        { "a.@b", "has a localpart that ends with a dot" },
        { "\"a@b", "has a localpart that has no closing quote" },
        { "\"a\"b@c", "has a localpart that goes on behind the closing quote" },
        { "a\u202e@b", "has a localpart that has a mark that changes the direction of text" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct name_address address;
        const char *problem = name_parse_address(*state, cases[i].input, false, &address);

        assert_non_null(problem);
        assert_string_equal(problem, cases[i].problem);
    }
}

static void a_bare_localpart_takes_the_whole_text(void **state)
{
    static const char *const bad[] = { "", "a@", "a@b", "\"a\"@", "\"a\"b", "a b", ".", "a." };
    const char *value;

    assert_null(name_parse_localpart(*state, "\"a b\"", &value));
    assert_string_equal(value, "a b");
    assert_string_equal(name_localpart_text(*state, value), "\"a b\"");
    assert_null(name_parse_localpart(*state, "\"\"", &value));
    assert_string_equal(value, "");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_non_null(name_parse_localpart(*state, bad[i], &value));
    }
}

static const char *const plus[] = { "+" };
static const char *const plus_and_dash[] = { "+", "-" };
static const struct name_policy no_policy = { NULL, 0, false };
static const struct name_policy plus_policy = { plus, 1, false };
static const struct name_policy two_policy = { plus_and_dash, 2, false };

static void canonical_localparts_are_those_of_the_upstream_table(void **state)
{
    static const struct {
        const char *value;
        const char *with_plus;
        const char *with_both;
    } cases[] = {
        { "MJL+x", "mjl", "mjl" },     { "mjl+a-b", "mjl", "mjl" },
        { "mjl-a+b", "mjl-a", "mjl" }, { "+x", "", "" },
        { "\u0130x", "ix", "ix" },     { "ΑΣ", "ασ", "ασ" },
        { "MJL", "mjl", "mjl" },       { "", "", "" },
        { "a b+\"c", "a b", "a b" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *value = cases[i].value;

        assert_string_equal(name_canonical_localpart(*state, value, &plus_policy),
                            cases[i].with_plus);
        assert_string_equal(name_canonical_localpart(*state, value, &two_policy),
                            cases[i].with_both);
    }
}

static void letter_case_counts_on_a_case_sensitive_domain(void **state)
{
    const struct name_policy policy = { plus, 1, true };

    assert_string_equal(name_canonical_localpart(*state, "MJL+X", &policy), "MJL");
    assert_string_equal(name_canonical_localpart(*state, "MJL+X", &no_policy), "mjl+x");
}

static void the_leftmost_separator_cuts_whatever_their_order(void **state)
{
    static const char *const one[] = { "==", "+" };
    static const char *const other[] = { "+", "==" };
    const struct name_policy one_way = { one, 2, false };
    const struct name_policy other_way = { other, 2, false };

    assert_string_equal(name_canonical_localpart(*state, "a==b+c", &one_way), "a");
    assert_string_equal(name_canonical_localpart(*state, "a==b+c", &other_way), "a");
    assert_string_equal(name_canonical_localpart(*state, "a=b+c==d", &one_way), "a=b");
    assert_string_equal(name_find_separator("a==b+c", &other_way), "==");
    assert_string_equal(name_find_separator("a+b==c", &one_way), "+");
    assert_null(name_find_separator("a=b", &one_way));
    assert_null(name_find_separator("a+b", &no_policy));
}

/* 4.5-02: upstream does not normalise again, so that two spellings of one text stay two. */
static void a_canonical_localpart_is_normalised_after_lower_casing(void **state)
{
    /* There is no composed H with line below, but a composed h. */
    assert_string_equal(name_canonical_localpart(*state, "H\u0331", &no_policy), "\u1e96");
}

static void a_canonical_localpart_is_its_own(void **state)
{
    static const char *const values[] = {
        "MJL+x", "H\u0331+X", "\u0130x", "ΑΣ-\u023a", "a b", "Ǆ", "ẞ", "\u212a", "ΐ", "",
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        const char *once = name_canonical_localpart(*state, values[i], &two_policy);

        assert_string_equal(name_canonical_localpart(*state, once, &two_policy), once);
    }
}

static void hostile_text_is_refused(void **state)
{
    struct arena *arena = *state;

    assert_refused(arena, repeated(arena, "a", 65536, "@c.d"));
    assert_refused(arena, repeated(arena, "a.", 32768, "a@c.d"));
    assert_refused(arena, repeated(arena, "@", 65536, ""));
    assert_refused(arena, repeated(arena, "\"", 65536, ""));
    assert_refused(arena, repeated(arena, "\\", 65536, ""));
    assert_refused(arena, repeated(arena, "\u0301", 10000, "@c.d"));
    assert_refused(arena, arena_printf(arena, "a@%s", repeated(arena, "b\u0301", 10000, "")));
    for (uint32_t seed = 0; seed < 10; seed++) {
        assert_refused(arena, noise(arena, 20000, seed));
    }
}

static void an_arena_at_its_limit_is_said(void **state)
{
    struct name_address address;

    (void) state;
    /* Every limit up to where there is enough: each allocation fails once. */
    for (size_t limit = 0;; limit += 16) {
        struct arena *small = arena_create(limit);
        const char *problem = name_parse_address(small, "\"e\u0301 \"@b.c", false, &address);
        bool enough = problem == NULL;

        if (!enough) {
            assert_string_equal(problem, NAME_OUT_OF_MEMORY);
        }
        arena_destroy(small);
        if (enough) {
            assert_true(limit > 0);
            break;
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_of_the_upstream_table_are_accepted_as_there),
        TEST(addresses_of_the_upstream_table_are_refused_as_there),
        TEST(control_characters_are_refused_quoted_or_not_escaped_or_not),
        TEST(localparts_of_128_bytes_are_accepted_and_of_129_refused),
        TEST(we_are_stricter_than_upstream_with_an_empty_domain),
        TEST(we_are_stricter_than_upstream_with_control_characters_outside_ascii),
        TEST(we_are_stricter_than_upstream_with_invalid_utf8),
        TEST(we_are_stricter_than_upstream_with_localparts_that_grow),
        TEST(a_catchall_is_an_address_only_where_it_may_be),
        TEST(a_refusal_says_which_part_is_wrong),
        TEST(a_bare_localpart_takes_the_whole_text),
        TEST(canonical_localparts_are_those_of_the_upstream_table),
        TEST(letter_case_counts_on_a_case_sensitive_domain),
        TEST(the_leftmost_separator_cuts_whatever_their_order),
        TEST(a_canonical_localpart_is_normalised_after_lower_casing),
        TEST(a_canonical_localpart_is_its_own),
        TEST(hostile_text_is_refused),
        TEST(an_arena_at_its_limit_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
