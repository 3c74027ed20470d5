/*
 * Values of records (model/check.h), and what they may cost (model/regexp.h). The rules of whole
 * records are in tests/rpc.
 */
#include "model/check.h"

#include "model/config.h"
#include "model/regexp.h"
#include "settings/settings.h"
#include "support/cmocka.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ARENA_MAX ((size_t) 4 * 1024 * 1024)

static struct arena *arena;
static struct status status;
static struct settings settings;
static struct model model;

static int setup(void **state)
{
    (void) state;
    arena = arena_create(ARENA_MAX);
    memset(&settings, 0, sizeof(settings));
    model = (struct model){ .arena = arena, .status = &status, .settings = &settings };
    status_init(&status, arena);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    arena_destroy(arena);
    return 0;
}

/* The answer of a check, which reports exactly what it refuses, at "f". */
static bool told(bool good)
{
    bool reported = status.violation_count > 0;

    assert_true(good != reported);
    if (reported) {
        assert_int_equal(status.violation_count, 1);
        assert_string_equal(status.violations->field, "f");
        assert_true(strlen(status.violations->description) < 400);
    }
    status_init(&status, arena);
    return good;
}

struct text_case {
    const char *text;
    bool good;
};

static void assert_cases(bool (*check)(struct model *, const char *, const char *),
                         const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (told(check(&model, "f", cases[i].text)) != cases[i].good) {
            fail_msg("<%s> should be %s", cases[i].text, cases[i].good ? "good" : "refused");
        }
    }
}

#define ASSERT_CASES(check, cases) assert_cases(check, cases, sizeof(cases) / sizeof((cases)[0]))

static char *text_of(char c, size_t len)
{
    char *text = arena_alloc(arena, len + 1);

    memset(text, c, len);
    return text;
}

static void paths_are_joined(void **state)
{
    (void) state;
    assert_string_equal(check_field(&model, "a.b", "c"), "a.b.c");
    assert_string_equal(check_field(&model, "", "c"), "c");
    assert_string_equal(check_path(&model, "%s[%d]", "a", 3), "a[3]");
}

static void urls_are_http_with_a_host(void **state)
{
    static const struct text_case cases[] = {
        { "", true },
        { "http://h", true },
        { "HTTPS://h.example:443/a?b#c", true },
        { "http://127.0.0.1:8080", true },
        { "http://[::1]:80/x", true },
        { "http://h:65535", true },
        { "http:", false },
        { "http:/h", false },
        { "http://", false },
        { "http:///x", false },
        { "http://:80", false },
        { "http://h:", false },
        { "http://h:x", false },
        { "http://h:123456", false },
        { "http://[::1", false },
        { "http://[]", false },
        { "http://u@h", false },
        { "ftp://h", false },
        { "h", false },
        { "://", false },
        { "http://h/a b", false },
        { "http://h/\x7f", false },
        { "http://h/\xc3\xa9", false },
        { "http://h/\n", false },
        { "http://h/<", false },
    };

    (void) state;
    ASSERT_CASES(check_web_url, cases);
    assert_true(told(
        check_web_url(&model, "f", arena_printf(arena, "http://h/%s", text_of('a', 2048 - 9)))));
    assert_false(told(
        check_web_url(&model, "f", arena_printf(arena, "http://h/%s", text_of('a', 2049 - 9)))));
}

static void rule_2_9_02_expressions_are_those_of_re2(void **state)
{
    static const struct text_case cases[] = {
        { "", true },         { "^(a|b)+$", true },
        { "(?i)a", true },    { "(a*)*(a|a)*b", true },
        { "(", false },       { "[", false },
        { "a{2,1}", false },  { "(?=a)", false },
        { "(?<!a)b", false }, { "(a)\\1", false },
        { "\\", false },      { "a{1001}", false },
        { "a\nb", false },    { "((a{100}){100}){100}", false },
    };

    (void) state;
    ASSERT_CASES(check_regexp, cases);
    assert_true(told(check_regexp(&model, "f", text_of('a', REGEXP_MAX))));
    assert_false(told(check_regexp(&model, "f", text_of('a', REGEXP_MAX + 1))));
    assert_false(told(check_regexp(&model, "f", text_of('(', REGEXP_MAX))));
}

static void rule_3_6_04_literal_letters_are_lower_case(void **state)
{
    static const struct text_case cases[] = {
        { "list-id", true },      { "\\S\\W\\D\\B", true }, { "\\pL\\PN\\p{Greek}", true },
        { "\\x4A", true },        { "\\x{4A}a", true },     { "(?P<Name>a)", true },
        { "(?U:a)", true },       { "\\Qa.b\\E\\S", true }, { "\xc3\xa4", true },
        { "List", false },        { "[A-Z]", false },       { "\\.A", false },
        { "\\\\S", false },       { "\\QA\\E", false },     { "\\Qa\\SA\\E", false },
        { "\\p{Greek}A", false }, { "(?P<n>A)", false },    { "(?i:A)", false },
        { "\\x4AA", false },      { "\xc3\x84", false },    { "\\pLA", false },
    };

    (void) state;
    ASSERT_CASES(check_lower_regexp, cases);
}

static void durations_lie_within_their_bounds(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        bool good;
        bool whole_good;
    } cases[] = {
        { 0, 0, false, false },         { 1, 0, true, true },
        { 10, 0, true, true },          { 9, 999999999, true, false },
        { 10, 1, false, false },        { 11, 0, false, false },
        { 0, 999999999, false, false }, { 5, -1, false, false },
        { -5, 0, false, false },        { 5, 1000000000, false, false },
        { INT64_MIN, 0, false, false }, { INT64_MAX, 0, false, false },
        { 2, INT32_MIN, false, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;

        duration.seconds = cases[i].seconds;
        duration.nanos = cases[i].nanos;
        assert_int_equal(told(check_duration(&model, "f", &duration, 1, 10, false)), cases[i].good);
        assert_int_equal(told(check_duration(&model, "f", &duration, 1, 10, true)),
                         cases[i].whole_good);
    }
    assert_true(told(check_duration(&model, "f", NULL, 1, 10, true)));
}

static void numbers_lie_within_their_bounds(void **state)
{
    (void) state;
    assert_true(told(check_range(&model, "f", -1, -1, INT64_MAX)));
    assert_true(told(check_range(&model, "f", INT64_MAX, -1, INT64_MAX)));
    assert_false(told(check_range(&model, "f", INT64_MIN, -1, INT64_MAX)));
    assert_true(told(check_fraction(&model, "f", 0.5, 0, 0.5)));
    assert_false(told(check_fraction(&model, "f", 0.500001, 0, 0.5)));
    assert_false(told(check_fraction(&model, "f", NAN, 0, 0.5)));
    assert_false(told(check_fraction(&model, "f", INFINITY, 0, 0.5)));
    assert_false(told(check_fraction(&model, "f", -INFINITY, 0, 0.5)));
    assert_true(told(check_count(&model, "f", 10, 10)));
    assert_false(told(check_count(&model, "f", 11, 10)));
}

static void texts_are_bounded_and_of_their_characters(void **state)
{
    (void) state;
    assert_true(told(check_ascii(&model, "f", "a ~", 3)));
    assert_false(told(check_ascii(&model, "f", "a ~b", 3)));
    assert_false(told(check_ascii(&model, "f", "\x1f", 3)));
    assert_false(told(check_ascii(&model, "f", "\xc3\xa9", 3)));
    assert_true(told(check_line(&model, "f", text_of('a', 1024))));
    assert_false(told(check_line(&model, "f", text_of('a', 1025))));
    assert_false(told(check_line(&model, "f", "a\xe2\x80\xa8")));
    assert_false(told(check_required(&model, "f", "")));
    assert_true(told(check_mailbox(&model, "f", "Inbox", false)));
    assert_false(told(check_mailbox(&model, "f", "iNbOX", true)));
    assert_true(told(check_mailbox(&model, "f", "Inbox/x", true)));
}

static void names_that_are_equal_are_found_however_many(void **state)
{
    static const char *const names[] = { "b", NULL, "a", "b", NULL, "c" };
    const char **many = arena_alloc(arena, 10000 * sizeof(*many));

    (void) state;
    assert_false(check_distinct(&model, "list", ".name", names, 6));
    assert_int_equal(status.violation_count, 1);
    assert_string_equal(status.violations->field, "list[3].name");
    status_init(&status, arena);
    for (int i = 0; i < 10000; i++) {
        many[i] = arena_printf(arena, "n%d", i);
    }
    assert_true(check_distinct(&model, "list", "", many, 10000));
    many[9999] = "n0";
    assert_false(check_distinct(&model, "list", "", many, 10000));
    assert_string_equal(status.violations->field, "list[9999]");
}

static void rule_3_2_02_a_route_names_a_transport_of_the_settings(void **state)
{
    static const char *transports[] = { "smarthost" };
    Mxadm__V1__Route route = MXADM__V1__ROUTE__INIT;
    Mxadm__V1__Route *routes[] = { &route };

    (void) state;
    route.transport = (char *) "smarthost";
    assert_false(check_routes(&model, "routes", routes, 1, 10));
    assert_string_equal(status.violations->field, "routes[0].transport");
    status_init(&status, arena);
    settings.transports = transports;
    settings.transport_count = 1;
    assert_true(check_routes(&model, "routes", routes, 1, 10));
    route.minimum_attempts = 1000;
    assert_true(check_routes(&model, "routes", routes, 1, 10));
    route.minimum_attempts = 1001;
    assert_false(check_routes(&model, "routes", routes, 1, 10));
}

static void rule_3_9_01_the_web_server_needs_a_listener(void **state)
{
    struct settings_listener listeners[] = { { .name = "mail", .smtp = true },
                                             { .name = "web", .web = true } };
    Mxadm__V1__WebDomainRedirect redirect = MXADM__V1__WEB_DOMAIN_REDIRECT__INIT;
    Mxadm__V1__WebDomainRedirect *redirects[] = { &redirect };
    Mxadm__V1__Config config = MXADM__V1__CONFIG__INIT;

    (void) state;
    redirect.from = (char *) "a.example";
    redirect.to = (char *) "b.example";
    settings.listeners = listeners;
    settings.listener_count = 1;
    assert_true(config_check(&model, &config, "config"));
    config.web_domain_redirects = redirects;
    config.n_web_domain_redirects = 1;
    assert_false(config_check(&model, &config, "config"));
    assert_string_equal(status.violations->field, "config.web_domain_redirects");
    status_init(&status, arena);
    settings.listener_count = 2;
    assert_true(config_check(&model, &config, "config"));
}

static void an_expression_weighs_what_compiling_it_may_cost(void **state)
{
    (void) state;
    assert_int_equal(regexp_weight(""), 0);
    assert_int_equal(regexp_weight("^a+$"), 4);
    assert_int_equal(regexp_weight("\\pL"), 1203);
    assert_true(regexp_weight("\\pL{10}") > 10000);
    assert_true(regexp_weight("((\\pL{10}){10}){10}") >= 40000);
    assert_true(regexp_weight("a{1000}") >= 5000);
    assert_true(regexp_weight("a{1,3}") < 30);
    /* Whatever it is, it does not run over. */
    assert_true(regexp_weight("a{99999999999999999999,99999999999999999999}") < 10000);
    assert_true(regexp_weight("a{0}\\pL{0}") < 3000);
    assert_true(regexp_weight("\\") == 1);
    assert_false(told(check_weight(&model, "f", 101, 100)));
    assert_true(told(check_weight(&model, "f", 100, 100)));
}

static void domains_become_names_and_what_is_none_stays(void **state)
{
    char *domains[] = { (char *) "XN--BCHER-KVA.example", (char *) ".Example.ORG",
                        (char *) "no domain", (char *) "." };
    Mxadm__V1__Route route = MXADM__V1__ROUTE__INIT;
    Mxadm__V1__Route *routes[] = { &route };

    (void) state;
    route.from_domain = domains;
    route.n_from_domain = 4;
    check_normal_routes(&model, routes, 1);
    assert_string_equal(domains[0], "b\xc3\xbc"
                                    "cher.example");
    assert_string_equal(domains[1], ".example.org");
    assert_string_equal(domains[2], "no domain");
    assert_string_equal(domains[3], ".");
    assert_string_equal(check_normal_domain(&model, ""), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(paths_are_joined),
        TEST(urls_are_http_with_a_host),
        TEST(rule_2_9_02_expressions_are_those_of_re2),
        TEST(rule_3_6_04_literal_letters_are_lower_case),
        TEST(durations_lie_within_their_bounds),
        TEST(numbers_lie_within_their_bounds),
        TEST(texts_are_bounded_and_of_their_characters),
        TEST(names_that_are_equal_are_found_however_many),
        TEST(rule_3_2_02_a_route_names_a_transport_of_the_settings),
        TEST(rule_3_9_01_the_web_server_needs_a_listener),
        TEST(an_expression_weighs_what_compiling_it_may_cost),
        TEST(domains_become_names_and_what_is_none_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
