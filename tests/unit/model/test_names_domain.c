#include "names_fixture.h"

#include "model/names.h"

#include <pthread.h>

/* mox-behaviour 4.6: what becomes of a name; NULL: refused. */
struct vector {
    const char *text;
    const char *ascii;
    const char *name; /* NULL: as ascii */
};

static void assert_vectors(struct arena *arena, const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct vector *vector = &vectors[i];
        struct name_domain domain = { NULL, NULL };
        const char *problem = name_parse_domain(arena, vector->text, &domain);

        if (vector->ascii == NULL) {
            if (problem == NULL) {
                fail_msg("\"%s\" was accepted as %s", vector->text, domain.ascii);
            }
            /* Out-parameters are written only on success. */
            assert_null(domain.name);
            continue;
        }
        if (problem != NULL) {
            fail_msg("\"%s\" %s", vector->text, problem);
        }
        assert_string_equal(domain.ascii, vector->ascii);
        assert_string_equal(domain.name, vector->name == NULL ? vector->ascii : vector->name);
    }
}

#define ASSERT_VECTORS(arena, vectors)                                                             \
    assert_vectors((arena), (vectors), sizeof(vectors) / sizeof(*(vectors)))

static void names_of_the_upstream_table_are_accepted_as_there(void **state)
{
    static const struct vector vectors[] = {
        { "a\u3002b", "a.b", NULL },
        { "a--b.c", "a--b.c", NULL },
        { "XN--BCHER-KVA.example", "xn--bcher-kva.example", "bücher.example" },
        { "BÜCHER.example", "xn--bcher-kva.example", "bücher.example" },
        { "BU\u0308CHER.example", "xn--bcher-kva.example", "bücher.example" },
        { "faß.de", "xn--fa-hia.de", "faß.de" },
        { "\u03c2.example", "xn--3xa.example", "\u03c2.example" },
        { "☺.example", "xn--74h.example", "☺.example" },
        { "💩.la", "xn--ls8h.la", "💩.la" },
        { "so\u00adft.example", "soft.example", NULL },
        { "\uff41.example", "a.example", NULL },
        { "Ⓡ.example", "r.example", NULL },
        { "ℂᵤⓇℒ。𝐒🄴", "curl.se", NULL },
        { "XMOX.NL", "xmox.nl", NULL },
        { "\u0645\u062b.example", "xn--qgb5c.example", "\u0645\u062b.example" },
        { "localhost", "localhost", NULL },
    };

    ASSERT_VECTORS(*state, vectors);
}

static void names_of_the_upstream_table_are_refused_as_there(void **state)
{
    static const struct vector vectors[] = {
        { ".", NULL, NULL },
        { "a.", NULL, NULL },
        { "1.2.3.4", NULL, NULL }, /* by later upstream */
        { "[1.2.3.4]", NULL, NULL },
        { "::1", NULL, NULL },
        { "a_b.c", NULL, NULL },
        { "a b", NULL, NULL },
        { "*.a", NULL, NULL },
        { "a/b", NULL, NULL },
        { "a:25", NULL, NULL },
        { "a@b.c", NULL, NULL },
        { "%41.c", NULL, NULL },
        { "a!b.c", NULL, NULL },
        { "ab--c.d", NULL, NULL },
        { "-a.b", NULL, NULL },
        { "a-.b", NULL, NULL },
        { "ab-.c", NULL, NULL },
        { "ab--.c", NULL, NULL },
        { "-", NULL, NULL },
        { "--", NULL, NULL },
        { "xn--a", NULL, NULL },
        { "xn--abc-", NULL, NULL }, /* by later upstream */
        { "a\u200db.c", NULL, NULL },
        { "\u0301a.example", NULL, NULL },
        { "1\u0645.example", NULL, NULL },
        { "\u0661.example", NULL, NULL },
        { "\u0378", NULL, NULL },
        { "\ue000", NULL, NULL },
        { "\ufffd", NULL, NULL },
    };

    ASSERT_VECTORS(*state, vectors);
}

static void we_are_stricter_than_upstream_with_empty_labels(void **state)
{
    static const struct vector vectors[] = {
        { "", NULL, NULL },        { "a..b", NULL, NULL },           { ".a", NULL, NULL },
        { "a\u3002", NULL, NULL }, { "a\uff0e", NULL, NULL },        { "xn--", NULL, NULL },
        { "a.xn--", NULL, NULL },  { "\u200b.example", NULL, NULL }, { "\u00ad", NULL, NULL },
    };

    ASSERT_VECTORS(*state, vectors);
}

static void we_are_stricter_than_upstream_with_names_that_end_in_a_number(void **state)
{
    static const struct vector vectors[] = {
        { "127.1", NULL, NULL },
        { "0x7f.1", NULL, NULL },
        { "1", NULL, NULL },
        { "example.0x7F", NULL, NULL },
        { "0x", NULL, NULL },
        { "a.123", NULL, NULL },
        { "\uff11.\uff12", NULL, NULL },
        { "4294967296", NULL, NULL },
        /* A number elsewhere, or not quite one, is fine. */
        { "1.2.3.4.example", "1.2.3.4.example", NULL },
        { "a.1a", "a.1a", NULL },
        { "0xfg", "0xfg", NULL },
        { "163.com", "163.com", NULL },
    };

    ASSERT_VECTORS(*state, vectors);
}

static void we_are_stricter_than_upstream_with_invalid_utf8(void **state)
{
    for (size_t i = 0; i < INVALID_UTF8_COUNT; i++) {
        char *text = repeated(*state, invalid_utf8[i], 1, ".example");
        struct name_domain domain;
        const char *problem = name_parse_domain(*state, text, &domain);

        assert_non_null(problem);
        assert_string_equal(problem, "is not valid UTF-8");
    }
}

static void we_are_stricter_than_upstream_with_lengths(void **state)
{
    struct arena *arena = *state;
    /* 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253 */
    char *label_63 = repeated(arena, "a", 63, "");
    char *name_253 = arena_printf(arena, "%s.%s.%s.%s", label_63, label_63, label_63,
                                  repeated(arena, "b", 61, ""));
    char *name_254 = arena_printf(arena, "%s.%s.%s.%s", label_63, label_63, label_63,
                                  repeated(arena, "b", 62, ""));
    /* "xn--" and 59 bytes of Punycode; one more u-umlaut makes it longer. */
    char *umlauts_57 = repeated(arena, "ü", 57, ".example");
    char *umlauts_58 = repeated(arena, "ü", 58, ".example");
    struct name_domain domain;

    const struct vector vectors[] = {
        { arena_printf(arena, "%s.b", label_63), arena_printf(arena, "%s.b", label_63), NULL },
        { repeated(arena, "a", 64, ".b"), NULL, NULL },
        { repeated(arena, "a.", 200, "b"), NULL, NULL },
        { name_253, name_253, NULL },
        { name_254, NULL, NULL },
        { umlauts_58, NULL, NULL },
    };

    assert_int_equal(strlen(name_253), NAME_DOMAIN_MAX);
    ASSERT_VECTORS(arena, vectors);
    assert_null(name_parse_domain(arena, umlauts_57, &domain));
    assert_string_equal(domain.name, umlauts_57);
}

static void a_refusal_says_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        { "", "is empty" },
        { "a.", "ends with a dot" },
        { "a..b", "has an empty label" },
        { "a b.c", "has a character that domain names may not have" },
        { "-a.b", "has a label that starts with a hyphen" },
        { "a-.b", "has a label that ends with a hyphen" },
        { "ab--c", "has a label with hyphens in third and fourth place" },
        { "xn--a", "has a label with \"xn--\" that is not valid Punycode" },
        { "\u0301a", "has a label that starts with a combining mark" },
        { "a\u200db", "has a joiner where none may stand" },
        { "1\u0645.a", "has a label that mixes directions of writing" },
        { "10.0.0.1", "ends in a number, as an IP address does" },
        { "\xff.a", "is not valid UTF-8" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct name_domain domain;
        const char *problem = name_parse_domain(*state, cases[i].text, &domain);

        assert_non_null(problem);
        assert_string_equal(problem, cases[i].problem);
    }
}

static void a_name_parses_to_itself_in_either_form(void **state)
{
    static const char *const texts[] = {
        "bücher.example",  "☺.example",        "faß.de",      "\u0645\u062b.example", "xn--ls8h.la",
        "a.b.c.d.example", "क्\u200dष.example", "例え.テスト", "пример.испытание",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct name_domain first, by_name, by_ascii;

        assert_null(name_parse_domain(*state, texts[i], &first));
        assert_null(name_parse_domain(*state, first.name, &by_name));
        assert_null(name_parse_domain(*state, first.ascii, &by_ascii));
        assert_string_equal(by_name.name, first.name);
        assert_string_equal(by_name.ascii, first.ascii);
        assert_string_equal(by_ascii.name, first.name);
        assert_string_equal(by_ascii.ascii, first.ascii);
        assert_true(name_is_ascii(first.ascii));
    }
}

static void a_selector_may_end_in_a_number_and_have_dots(void **state)
{
    static const char *const good[] = { "2024", "2024a", "s1.mail", "1.2.3.4", "bücher" };
    static const char *const bad[] = { "", "a.", "a..b", "a_b", "-", "a b", "a/b", "*" };
    struct name_domain selector;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_null(name_parse_selector(*state, good[i], &selector));
    }
    assert_string_equal(selector.ascii, "xn--bcher-kva");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_non_null(name_parse_selector(*state, bad[i], &selector));
    }
}

static void hostile_text_is_refused_with_little_memory(void **state)
{
    struct arena *arena = *state;
    const char *const texts[] = {
        repeated(arena, "a", 65536, ""),
        repeated(arena, "a.", 32768, "b"),
        repeated(arena, "\u0301", 10000, ""),
        repeated(arena, "a", 1, repeated(arena, "\u0301", 10000, "")),
        repeated(arena, "xn--", 10000, ""),
        noise(arena, 65536, 1),
        repeated(arena, "\u3002", 20000, "a"),
        repeated(arena, "\ufdfa", 300, ".example"),
        repeated(arena, "💩", 250, ".example"),
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct arena *small = arena_create(4096);
        struct name_domain domain;

        assert_non_null(name_parse_domain(small, texts[i], &domain));
        assert_int_equal(arena_used(small), 0);
        arena_destroy(small);
    }
}

static void an_arena_at_its_limit_is_said(void **state)
{
    struct arena *small = arena_create(1);
    struct name_domain domain;

    (void) state;
    assert_string_equal(name_parse_domain(small, "a.example", &domain), NAME_OUT_OF_MEMORY);
    arena_destroy(small);
}

static void *parse_often(void *failures)
{
    struct arena *arena = arena_create(ARENA_LIMIT);

    for (int i = 0; i < 1000; i++) {
        struct name_domain domain;

        arena_reset(arena);
        if (name_parse_domain(arena, "BÜCHER.example", &domain) != NULL ||
            strcmp(domain.ascii, "xn--bcher-kva.example") != 0) {
            (*(int *) failures)++;
        }
    }
    arena_destroy(arena);
    return NULL;
}

static void threads_may_parse_at_once(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int failures[THREADS] = { 0 };

    (void) state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, parse_often, &failures[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failures[i], 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, so that the threads race for opening IDNA. */
        TEST(threads_may_parse_at_once),
        TEST(names_of_the_upstream_table_are_accepted_as_there),
        TEST(names_of_the_upstream_table_are_refused_as_there),
        TEST(we_are_stricter_than_upstream_with_empty_labels),
        TEST(we_are_stricter_than_upstream_with_names_that_end_in_a_number),
        TEST(we_are_stricter_than_upstream_with_invalid_utf8),
        TEST(we_are_stricter_than_upstream_with_lengths),
        TEST(a_refusal_says_what_is_wrong),
        TEST(a_name_parses_to_itself_in_either_form),
        TEST(a_selector_may_end_in_a_number_and_have_dots),
        TEST(hostile_text_is_refused_with_little_memory),
        TEST(an_arena_at_its_limit_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
