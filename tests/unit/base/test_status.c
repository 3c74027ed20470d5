#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct arena *arena;
    struct status status;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->arena = arena_create(1024 * 1024);
    status_init(&fixture->status, fixture->arena);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

static void a_new_status_is_ok(void **state)
{
    struct fixture *fixture = *state;

    assert_true(status_ok(&fixture->status));
    assert_null(fixture->status.violations);
}

static void the_first_problem_decides_and_the_sentences_are_joined(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;

    assert_int_equal(status_fail(status, MX_NOT_FOUND, "GONE", "no '%s'", "x"), MX_NOT_FOUND);
    assert_int_equal(status_fail(status, MX_INTERNAL, "OTHER", "and worse"), MX_NOT_FOUND);
    assert_false(status_ok(status));
    assert_string_equal(status->reason, "GONE");
    assert_string_equal(status->message, "no 'x'; and worse");
}

static void all_wrong_fields_are_told_in_order(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;
    char field[] = "address";

    assert_int_equal(status_field(status, field, "'%s' has no @", "x"), MX_INVALID_ARGUMENT);
    memset(field, '?', sizeof(field) - 1); /* it was copied */
    (void) status_field(status, "headers[2]", "empty");
    assert_int_equal(status->violation_count, 2);
    assert_string_equal(status->violations->field, "address");
    assert_string_equal(status->violations->description, "'x' has no @");
    assert_string_equal(status->violations->next->field, "headers[2]");
    assert_null(status->violations->next->next);
    assert_string_equal(status->message, "address: 'x' has no @; headers[2]: empty");
}

static void violations_and_blockers_are_bounded_and_all_counted(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;
    size_t violations = 0;
    size_t blockers = 0;

    for (unsigned i = 0; i < 300; i++) {
        (void) status_field(status, "f", "wrong");
        (void) status_blocker(status, "IN_USE", "account", "alice", "account 'alice' uses it");
    }
    for (struct status_violation *at = status->violations; at != NULL; at = at->next) {
        violations++;
    }
    for (struct status_blocker *at = status->blockers; at != NULL; at = at->next) {
        blockers++;
    }
    assert_int_equal(violations, STATUS_VIOLATIONS_MAX);
    assert_int_equal(blockers, STATUS_BLOCKERS_MAX);
    assert_int_equal(status->violation_count, 300);
    assert_int_equal(status->blocker_count, 300);
}

static void a_blocker_names_what_stands_in_the_way(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;

    assert_int_equal(status_blocker(status, "IN_USE", "alias", "list@example.org", "alias '%s'",
                                    "list@example.org"),
                     MX_FAILED_PRECONDITION);
    assert_string_equal(status->reason, "IN_USE");
    assert_string_equal(status->blockers->type, "alias");
    assert_string_equal(status->blockers->subject, "list@example.org");
    assert_string_equal(status->message, "alias 'list@example.org'");
}

static void resource_retry_and_metadata_are_kept(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;

    (void) status_resource(status, MX_NOT_FOUND, "NO_DOMAIN", "domain", "a.example", "no domain");
    (void) status_resource(status, MX_NOT_FOUND, "NO_DOMAIN", "domain", "b.example", "nor this");
    (void) status_retry(status, MX_RESOURCE_EXHAUSTED, "BUSY", 250, "busy");
    (void) status_retry(status, MX_RESOURCE_EXHAUSTED, "BUSY", 900, "busy");
    status_metadata(status, "revision", "7");
    assert_int_equal(status->code, MX_NOT_FOUND);
    assert_string_equal(status->resource_name, "a.example");
    assert_int_equal(status->retry_delay_ms, 250);
    assert_string_equal(status->metadata->key, "revision");
    assert_string_equal(status->metadata->value, "7");
}

static void an_error_of_a_lower_layer_is_taken_over(void **state)
{
    struct status *status = &((struct fixture *) *state)->status;
    struct mx_error err;

    (void) mx_fail(&err, MX_DATA_LOSS, "page %d is damaged", 4);
    assert_int_equal(status_error(status, &err), MX_DATA_LOSS);
    assert_string_equal(status->reason, "DATA_LOSS");
    assert_string_equal(status->message, "page 4 is damaged");
}

static void without_memory_the_code_still_says_what_counts(void **state)
{
    struct arena *arena = arena_create(64);
    struct status status;

    (void) state;
    status_init(&status, arena);
    assert_int_equal(status_field(&status, "address", "%0100d", 1), MX_INVALID_ARGUMENT);
    assert_non_null(status.message);
    status_init(&status, arena);
    assert_int_equal(status_fail(&status, MX_ABORTED, "LATE", "%0100d", 1), MX_ABORTED);
    assert_string_equal(status.message, "");
    arena_destroy(arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_status_is_ok),
        TEST(the_first_problem_decides_and_the_sentences_are_joined),
        TEST(all_wrong_fields_are_told_in_order),
        TEST(violations_and_blockers_are_bounded_and_all_counted),
        TEST(a_blocker_names_what_stands_in_the_way),
        TEST(resource_retry_and_metadata_are_kept),
        TEST(an_error_of_a_lower_layer_is_taken_over),
        TEST(without_memory_the_code_still_says_what_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
